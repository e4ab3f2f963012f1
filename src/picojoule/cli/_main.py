"""One place where faults become messages and exit codes."""

import errno
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Final

from picojoule.quantity import InputError

from ._parser import parser

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
DONE, GATE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit code."""
    _open_streams()
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
    except OSError as fault:
        if fault.errno not in _FULL:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _complain(InputError(f"cannot write the results: {fault.strerror}", expected="a place with room for them"))
        return BAD_INPUT


def _open_streams() -> None:
    """A stream that is closed takes nothing; one of another encoding takes `?` for what it cannot write."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 -- open until the program ends
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


def _complain(fault: InputError) -> None:
    """`error:` with its place, then what would pass, each on its own line."""
    from picojoule.report import plain

    head = f"{fault.where}: {fault.what}" if fault.where else fault.what
    rows = [("error: ", head), ("  expected     ", fault.expected), ("  for example  ", fault.example)]
    for label, text in rows:
        for index, line in enumerate(text.split("\n") if text else ()):
            sys.stderr.write(f"{label if index == 0 else ' ' * len(label)}{plain(line)}\n")
