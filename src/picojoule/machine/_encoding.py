"""Instructions as 128-bit words and back, cut by the table of the instruction set."""

from typing import Final, NamedTuple

from picojoule.quantity import InputError

from ._isa import SPECS, Instruction, Spec, make

_OPCODES: Final = {(spec.opcode, bit): spec for spec in SPECS.values() for bit in (0, 1) if spec.variant in (None, bit)}


class Cut(NamedTuple):
    """Where a field stands in the word."""

    name: str
    at: int
    mask: int
    sign: int  # twice the highest bit of a signed field, else 0
    least: int
    top: int


def _cuts(spec: Spec) -> tuple[Cut, ...]:
    """The fields of an entry, one after the other behind its head."""
    found, at = [], spec.head
    for one in spec.fields:
        mask = (1 << one.bits) - 1
        found.append(Cut(one.name, at, mask, (mask + 1) if one.signed else 0, one.least, one.top))
        at += one.bits
    return tuple(found)


CUTS: Final = {spec.name: _cuts(spec) for spec in SPECS.values()}
_USED: Final = {spec.name: spec.head + sum(one.bits for one in spec.fields) for spec in SPECS.values()}


def encode(instruction: Instruction) -> int:
    """The 128-bit word. Raises InputError for a value that its field cannot hold."""
    name, values, spec = instruction.name, instruction.values, instruction.spec
    word = spec.opcode | instruction.tokens << 4 | (spec.variant or 0) << 8
    for cut in CUTS[name]:
        value = values[cut.name]
        if not cut.least <= value < cut.top:
            make(name, tokens=instruction.tokens, line=instruction.line, **values)  # raises
        word |= (value & cut.mask) << cut.at
    if instruction.tokens >> 4:
        make(name, tokens=instruction.tokens, line=instruction.line, **values)
    return word


def unpack(word: int, line: int = 0) -> Instruction:
    """The instruction of a word that is known to be one."""
    spec = _OPCODES[word & 15, word >> 8 & 1]
    values = {}
    for name, at, mask, sign, _, _ in CUTS[spec.name]:
        value = word >> at & mask
        values[name] = value - sign if value & sign >> 1 else value
    return Instruction(spec.name, values, word >> 4 & 15, line)


def decode(word: int, line: int = 0) -> Instruction:
    """The instruction of a word. Raises InputError for a word that no instruction has."""
    spec = _OPCODES.get((word & 15, word >> 8 & 1))
    where = f"line {line}" if line else "instruction word"
    if spec is None or not 0 <= word < 1 << 128:
        raise InputError(f"no opcode {word & 15}", where=where, expected="a word that encode() wrote")
    if word >> _USED[spec.name]:
        raise InputError(f"{spec.name}: unused bits are set", where=where, expected="0 in every bit without a field")
    found = unpack(word, line)
    return make(spec.name, tokens=found.tokens, line=line, **found.values)
