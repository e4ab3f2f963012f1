"""The command line: parse, call one function, print. Results on stdout, talk on stderr.

Exit codes: 0 done, 1 a gate failed (`--strict`), 2 bad input, 130 interrupted.
"""

from ._main import main as main
