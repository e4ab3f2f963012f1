"""A program: one list of instructions per agent, the names of its data, and constants to lay down before it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from picojoule.quantity import InputError

from ._code import Code
from ._isa import Instruction
from ._machine import BYTES, SCOPES

ROLES = ("input", "output", "scratch", "constant")


@dataclass(frozen=True, slots=True)
class Buffer:
    """A named place in DRAM or SharedRAM: whole numbers row after row."""

    name: str
    scope: str
    address: int
    dtype: str
    shape: tuple[int, ...]
    role: str = "scratch"

    def __post_init__(self) -> None:
        bad = (
            self.scope not in SCOPES or self.dtype not in BYTES or self.role not in ROLES or self.address < 0
            or not self.shape or min(self.shape) < 1 or not self.name.isidentifier() or self.bytes >= 1 << 40
        )  # fmt: skip
        if bad:
            raise InputError(f"buffer {self.name[:40]!r} cannot be laid out", where="memory list",
                             expected="a name, a memory, an address, a type, a shape and a role",
                             example=".data X dram 0 float32 32x256 input")  # fmt: skip

    @property
    def bytes(self) -> int:
        """Its size."""
        return prod(self.shape) * BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class Program:
    """`sections` by agent ("core0", ..., "dma"), kept as columns; `constants` are the bytes of buffers of that role."""

    sections: Mapping[str, Sequence[Instruction]]
    buffers: tuple[Buffer, ...] = ()
    constants: Mapping[str, bytes | memoryview] = field(default_factory=dict)
    source: str = field(default="program", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sections", {name: Code.of(code) for name, code in self.sections.items()})
        names = [one.name for one in self.buffers]
        if len(set(names)) < len(names):
            raise InputError("two buffers have one name", where=self.source, expected="each name once")
        known = {one.name: one for one in self.buffers}
        for name, content in self.constants.items():
            if name not in known or known[name].bytes != len(content):
                raise InputError(f"the constant {name!r} has {len(content)} bytes", where=self.source,
                                 expected="a buffer of that name and size")  # fmt: skip

    @property
    def words(self) -> int:
        """Instructions as written, loops not unrolled."""
        return sum(len(code) for code in self.sections.values())

    def buffer(self, name: str) -> Buffer:
        """One buffer by name."""
        for one in self.buffers:
            if one.name == name:
                return one
        raise InputError(f"no buffer {name!r}", where=self.source,
                         expected=f"one of {', '.join(b.name for b in self.buffers) or 'none'}")  # fmt: skip
