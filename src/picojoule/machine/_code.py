"""The code of one agent as columns: 128-bit words, of which kind each is, and the lines they were written in.

Two words are of one kind if they differ in addresses only (`Spec.steps`, cut from the table of the instruction set). A
program has few kinds, so whatever does not depend on addresses is checked and worked out once for each of them; the words
themselves are only passed over as arrays. An Instruction is made where somebody asks for it.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, Final, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

from ._encoding import CUTS, decode, encode, unpack
from ._isa import SPECS, WORD, Instruction, Spec

Words = NDArray[np.uint64]  # (instructions, 2), low half first
Ints = NDArray[np.int64]
WORTH_COMPILING: Final = 1_000_000  # words that NumPy passes over while Numba is still loading
STEPS: Final = 3  # fields that steps can move, at most
_KERNEL: Final = "picojoule.machine._kernel_lay"
_GOOD: Final = set[int]()  # kinds that were found to be instructions
_MOST_GOOD: Final = 200_000


class Kinds(NamedTuple):
    """`of` is the kind of each word, `first` the first word of each kind; kinds are numbered as they come."""

    of: NDArray[np.int32]
    first: Ints


def _address_bits(spec: Spec) -> int:
    """The bits of a word that two instructions of one kind may differ in."""
    bits = 0
    fields = {one.name: one for one in spec.fields}
    for cut in CUTS[spec.name]:
        if cut.name in spec.steps:
            bits |= (cut.mask & ((1 << (fields[cut.name].address or WORD * 8)) - 1)) << cut.at
    return bits


def _masks() -> Words:
    """By opcode: the bits that say of which kind a word is."""
    masks = np.full((16, 2), ~np.uint64(0))
    for spec in SPECS.values():
        bits = ((1 << 128) - 1) ^ _address_bits(spec)
        masks[spec.opcode] = (bits & ((1 << 64) - 1), bits >> 64)
    return masks


def _places() -> Ints:
    """By opcode: first bit and bits of each field that steps can move; no bits: there is none."""
    places = np.zeros((16, STEPS, 2), np.int64)
    for spec in SPECS.values():
        for cut in CUTS[spec.name]:
            if cut.name in spec.steps:
                places[spec.opcode, spec.steps.index(cut.name)] = (cut.at, cut.mask.bit_length())
    return places


MASKS: Final = _masks()
PLACES: Final = _places()


class Code(Sequence[Instruction]):
    """Instructions that are known to be some. Equal where their words are; lines are no part of what code means."""

    __slots__ = ("kinds", "lines", "words")

    def __init__(self, words: Words, lines: NDArray[np.uint32] | None, kinds: Kinds) -> None:
        self.words, self.lines, self.kinds = words, lines, kinds

    @classmethod
    def of(cls, code: Iterable[Instruction]) -> "Code":
        """The columns of a list of instructions. Raises InputError for one that cannot be."""
        if isinstance(code, Code):
            return code
        code = tuple(code)
        content = b"".join([encode(one).to_bytes(WORD, "little") for one in code])
        lines = np.array([one.line for one in code], np.uint32)
        return cls.read(content, lines if lines.any() else None)

    @classmethod
    def read(cls, content: "bytes | memoryview", lines: NDArray[np.uint32] | None = None) -> "Code":
        """Instructions from their bytes. Raises BadWord with the place of the first word that is none."""
        words = np.require(np.frombuffer(content, "<u8").reshape(-1, 2), np.uint64, ["C", "A"])
        kinds = kinds_of(words)
        kept = words[kinds.first] & MASKS[words[kinds.first, 0] & np.uint64(15)]
        for at, low, high in zip(kinds.first.tolist(), kept[:, 0].tolist(), kept[:, 1].tolist(), strict=True):
            kind = low | high << 64
            if kind not in _GOOD:
                try:
                    decode(int(words[at, 0]) | int(words[at, 1]) << 64, int(lines[at]) if lines is not None else 0)
                except InputError as error:
                    raise BadWord(at, error) from None
                if len(_GOOD) >= _MOST_GOOD:
                    _GOOD.clear()
                _GOOD.add(kind)
        return cls(words, lines, kinds)

    def numbered(self, lines: "bytes | memoryview") -> "Code":
        """The same code with a line for each word."""
        return Code(self.words, np.frombuffer(lines, "<u4"), self.kinds)

    def line(self, at: int) -> int:
        """The line of a word; 0: unknown."""
        return int(self.lines[at]) if self.lines is not None else 0

    def __len__(self) -> int:
        return len(self.words)

    @overload
    def __getitem__(self, at: int) -> Instruction: ...

    @overload
    def __getitem__(self, at: slice) -> "Code": ...

    def __getitem__(self, at: "int | slice") -> "Instruction | Code":
        if isinstance(at, slice):
            words = np.ascontiguousarray(self.words[at])
            return Code(words, None if self.lines is None else self.lines[at], kinds_of(words))
        low, high = self.words[at].tolist()
        return unpack(low | high << 64, self.line(at))

    def __iter__(self) -> Iterator[Instruction]:
        lines = [0] * len(self) if self.lines is None else self.lines.tolist()
        for low, high, line in zip(self.words[:, 0].tolist(), self.words[:, 1].tolist(), lines, strict=True):
            yield unpack(low | high << 64, line)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Code):
            return self.words.shape == other.words.shape and bool((self.words == other.words).all())
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.words.tobytes())

    def __repr__(self) -> str:
        return f"Code of {len(self)} instructions"

    @property
    def content(self) -> bytes:
        """The words, little-endian."""
        return self.words.astype("<u8", copy=False).tobytes()

    def opcodes(self) -> Ints:
        """Of each kind."""
        found: Ints = (self.words[self.kinds.first, 0] & np.uint64(15)).astype(np.int64)
        return found

    def addresses(self, at: Ints) -> Ints:
        """The fields that steps move, of the words in places `at`; 0 where an instruction has fewer than three."""
        lay, found = compiled(len(at)), np.zeros((len(at), STEPS), np.int64)
        if lay is not None:
            lay.addresses(self.words, at, PLACES, found)
            return found
        words = self.words[at]
        opcodes = self.opcodes()[self.kinds.of[at]]
        for opcode in np.unique(opcodes).tolist():
            rows = np.flatnonzero(opcodes == opcode)
            for i, (first, bits) in enumerate(PLACES[opcode].tolist()):
                if bits:
                    found[rows, i] = _field(words[rows, 0], words[rows, 1], first, bits)
        return found


class BadWord(InputError):  # noqa: N818 - what it is, as DeadlockError is
    """A word that is no instruction; `at` is its place."""

    def __init__(self, at: int, error: InputError) -> None:
        super().__init__(error.what, where=error.where, expected=error.expected, example=error.example)
        self.at = at


def _field(low: Words, high: Words, first: int, bits: int) -> Ints:
    """Some bits of every word."""
    if first >= 64:
        found = high >> np.uint64(first - 64)
    else:
        found = low >> np.uint64(first)
        if first + bits > 64:
            found = found | high << np.uint64(64 - first)
    return (found & np.uint64((1 << bits) - 1)).astype(np.int64)


def compiled(count: int) -> Any:
    """The compiled passes over words, where they are loaded or worth loading; else None."""
    if _KERNEL not in sys.modules and (count < WORTH_COMPILING or not _numba()):
        return None
    from . import _kernel_lay

    return _kernel_lay


@cache
def _numba() -> bool:
    return find_spec("numba") is not None


def kinds_of(words: Words) -> Kinds:
    """Of which kind each word is."""
    lay = compiled(len(words))
    if lay is not None:
        of, first = lay.group(words, MASKS)
        if len(first) or not len(words):
            return Kinds(of, first)
    kept = words & MASKS[words[:, 0] & np.uint64(15)]
    mixed = kept[:, 0] * np.uint64(0x9E3779B97F4A7C15) ^ (kept[:, 1] * np.uint64(0xC2B2AE3D27D4EB4F) >> np.uint64(7))
    _, first, of = np.unique(mixed, return_index=True, return_inverse=True)
    if not (kept == kept[first[of]]).all():  # two kinds mixed to one number
        _, first, of = np.unique(kept, axis=0, return_index=True, return_inverse=True)
    turn = np.argsort(first)
    rank = np.empty(len(first), np.int32)
    rank[turn] = np.arange(len(first), dtype=np.int32)
    return Kinds(rank[of.reshape(-1)], first[turn].astype(np.int64))
