"""A deep-learning processor: cores with a matrix and a vector unit, memories, one off-chip bus, a link to each core."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, lcm
from typing import Final

from picojoule.quantity import InputError

SCOPES: Final = ("dram", "sram", "nram", "wram")  # outermost first
STREAMS: Final = ("io", "move", "compute", "scalar")
DTYPES: Final = ("float32", "float16", "int8", "int16", "int32")
BYTES: Final = {"float32": 4, "float16": 2, "int8": 1, "int16": 2, "int32": 4}


@dataclass(frozen=True, slots=True)
class Machine:
    """What a program runs on. Rates are exact: bytes, MACs and element operations per cycle.

    A machine with SharedRAM (`sizes["sram"]` above 0) is a cluster: it has one more agent, "dma", whose IO stream
    moves between DRAM and SharedRAM. With `whole` every duration is rounded up to whole cycles.
    """

    name: str
    clock_hz: Fraction
    cores: int
    macs: Mapping[str, int]  # matrix unit, by type
    lanes: Mapping[str, int]  # vector unit, by type
    special: Mapping[str, int]  # vector unit: exp, tanh, sigmoid, division
    sizes: Mapping[str, int]  # bytes of each of SCOPES; nram and wram are of one core
    bus: Fraction  # B/cycle, off chip, shared by loads and stores of every agent
    link: Fraction  # B/cycle, between SharedRAM and each core, and inside a core; one direction at a time
    tile: tuple[int, int] | None = None  # inner and outer size of the matrix unit; None: fully used whatever the shape
    setup: int = 0  # cycles before the first byte of a move over the bus
    burst: int = 1  # bytes; each row of a move over the bus is rounded up to whole bursts
    whole: bool = False
    title: str = ""
    assumptions: tuple[str, ...] = ()
    ticks: int = field(init=False, default=1)  # in a cycle: so many that every duration is a whole number of them

    def __post_init__(self) -> None:
        for name, number in (("clock_hz", self.clock_hz), ("cores", self.cores), ("bus", self.bus),
                             ("link", self.link), ("burst", self.burst)):  # fmt: skip
            if number <= 0:
                raise InputError(f"{name} is {number}", where=f"machine {self.name}", expected="a number above 0",
                                 example=f"{name}: 1")  # fmt: skip
        if self.setup < 0 or min([1, *self.macs.values(), *self.lanes.values(), *self.special.values()]) < 1:
            raise InputError("a rate below 1 or a negative setup", where=f"machine {self.name}",
                             expected="rates of 1 or more, a setup of 0 or more", example="macs: {float32: 256}")  # fmt: skip

        if not self.whole:
            rates = (self.bus.numerator, self.link.numerator, *self.macs.values(), *self.lanes.values())
            object.__setattr__(self, "ticks", lcm(*rates, *self.special.values()))

    @property
    def agents(self) -> tuple[str, ...]:
        """Whoever has a program of its own: the cores and, in a cluster, the DMA."""
        return tuple(f"core{i}" for i in range(self.cores)) + (("dma",) if self.sizes["sram"] else ())

    def duration(self, cycles: Fraction) -> int:
        """`cycles` in ticks; rounded up to whole cycles where the machine has only those."""
        return ceil(cycles) if self.whole else cycles.numerator * self.ticks // cycles.denominator

    def rate(self, table: str, dtype: str) -> int:
        """Operations per cycle of "macs", "lanes" or "special" in `dtype`. Raises InputError if it has none."""
        rates: Mapping[str, int] = {"macs": self.macs, "lanes": self.lanes, "special": self.special}[table]
        if dtype not in rates:
            raise InputError(f"no {table} of type {dtype}", where=f"machine {self.name}",
                             expected=f"one of {', '.join(rates) or 'none'}", example=f"{table}: {{{dtype}: 16}}")  # fmt: skip
        return rates[dtype]

    def bus_cycles(self, rows: int, row_bytes: int) -> Fraction:
        """Of one move over the off-chip bus."""
        return self.setup + Fraction(rows * -(-row_bytes // self.burst) * self.burst) / self.bus

    def mac_cycles(self, m: int, k: int, n: int, dtype: str) -> Fraction:
        """Of one m×k by k×n product on one core's matrix unit."""
        if self.tile is None:
            return Fraction(m * k * n, self.rate("macs", dtype))
        self.rate("macs", dtype)
        return Fraction(m * -(-k // self.tile[0]) * -(-n // self.tile[1]))
