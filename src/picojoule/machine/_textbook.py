"""The textbook's simplified notation, as it is written: timing only, on one core.

move DRAM NRAM 1024        from, to, bytes
compute MAC_32 256         MAC, ADD, SUB, MUL, DIV in 32 or 16 bits; how many
loop 4 ... endloop
sync                       waits for all before it; without it moves and computations overlap
"""

import re
from typing import Final

from picojoule.quantity import InputError

from ._isa import WORK, Instruction, make
from ._machine import DTYPES, SCOPES, Machine
from ._program import Program

_RAMS: Final = {"DRAM": "dram", "GDRAM": "dram", "SHAREDRAM": "sram", "SRAM": "sram", "NRAM": "nram", "WRAM": "wram"}
_TYPE: Final = re.compile(r"(MAC|ADD|SUB|MUL|DIV)[_ ]?(32|16)$", re.IGNORECASE)


def read_textbook(text: str, machine: Machine | None = None, source: str = "program") -> Program:
    """A program of simplified notation. With `machine`, a move of more bytes than a memory holds is an error."""
    code = []
    for number, raw in enumerate(text.splitlines(), 1):
        words = re.split(r"#|//|;", raw)[0].replace(",", " ").split()
        if not words:
            continue
        try:
            code.append(_statement(words, number))
            if machine is not None:
                _check_room(code[-1], machine)
        except InputError as error:
            raise InputError(error.what, where=f"{source}:{number}", expected=error.expected,
                             example=error.example) from None  # fmt: skip
    return Program({"core0": tuple(code)}, source=source)


def is_textbook(text: str) -> bool:
    """Whether a text is in simplified notation: assembly has fields with `=`, or directives with a dot."""
    for raw in text.splitlines():
        line = re.split(r"#|//|;", raw)[0].strip()
        if "=" in line or line.startswith("."):
            return False
    return True


def _statement(words: list[str], number: int) -> Instruction:
    match words:
        case ["move", source, target, size]:
            src, dst = (SCOPES.index(_ram(name)) for name in (source, target))
            return make("xfer", src=src, dst=dst, bytes=_number(size), line=number)
        case ["compute", *kind, count]:
            found = _TYPE.match("_".join(kind))
            if found is None:
                raise InputError(f"no type {' '.join(kind)[:40]!r}", expected="MAC, ADD, SUB, MUL or DIV, and 32 or 16",
                                 example="compute MAC_32 256")  # fmt: skip
            dtype = DTYPES.index(f"float{found[2]}")
            return make("work", fn=WORK.index(found[1].lower()), type=dtype, count=_number(count), line=number)
        case ["loop", count]:
            return make("loop", count=_number(count), line=number)
        case ["endloop"] | ["sync"]:
            return make(words[0], line=number)
    raise InputError(f"{' '.join(words)[:60]!r} is not read", expected="move, compute, loop, endloop or sync",
                     example="move DRAM NRAM 1024")  # fmt: skip


def _ram(name: str) -> str:
    if name.upper() not in _RAMS:
        raise InputError(
            f"no memory {name[:40]!r}", expected="DRAM, NRAM, WRAM or SharedRAM", example="move DRAM NRAM 1024"
        )
    return _RAMS[name.upper()]


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9_]{1,20}", text) or not text.strip("_"):
        raise InputError(f"{text[:40]!r} is no size", expected="a whole number", example="1024")
    return int(text.replace("_", "") or 0)


def _check_room(instruction: Instruction, machine: Machine) -> None:
    if instruction.name != "xfer":
        return
    for end in ("src", "dst"):
        scope = SCOPES[instruction.values[end]]
        if instruction.values["bytes"] > machine.sizes[scope]:
            raise InputError(f"{instruction.values['bytes']} bytes do not fit {scope}",
                             expected=f"at most {machine.sizes[scope]} bytes", example="a loop of smaller moves")  # fmt: skip
