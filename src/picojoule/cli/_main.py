"""One place where faults become messages and exit codes."""

import os
import sys
from collections.abc import Sequence

from picojoule.quantity import InputError

from ._parser import parser

DONE, GATE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit code."""
    try:
        options = parser(arguments).parse_args(arguments)
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except InputError as fault:
        _complain(fault)
        return BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our pipe went away (`| head`): be silent, also when Python flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def _complain(fault: InputError) -> None:
    """`error:` with its place, then what would pass, each on its own line."""
    from picojoule.report import plain

    head = f"{fault.where}: {fault.what}" if fault.where else fault.what
    rows = [("error: ", head), ("  expected     ", fault.expected), ("  for example  ", fault.example)]
    for label, text in rows:
        for index, line in enumerate(text.split("\n") if text else ()):
            sys.stderr.write(f"{label if index == 0 else ' ' * len(label)}{plain(line)}\n")
