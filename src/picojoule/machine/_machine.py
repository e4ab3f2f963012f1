"""A deep-learning processor: cores with a matrix and a vector unit, memories, one off-chip bus, a link to each core."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, lcm
from typing import Final

from picojoule.quantity import InputError

SCOPES: Final = ("dram", "sram", "nram", "wram")  # outermost first
STREAMS: Final = ("io", "move", "compute", "scalar")
ARBITRATIONS: Final = ("first-come", "fixed", "round-robin")
DATAFLOWS: Final = ("vector", "weight-stationary", "output-stationary")
DTYPES: Final = ("float32", "float16", "int8", "int16", "int32")
BYTES: Final = {"float32": 4, "float16": 2, "int8": 1, "int16": 2, "int32": 4}


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of DRAM, left open after use: `size` bytes follow each other in one bank, the next `size` in the next bank.

    A row in a bank that has none open costs `activate` cycles, in a bank with another one `precharge` + `activate`,
    before its bytes move. Left out: column latency (part of `setup`), refresh, and what the banks could do meanwhile.
    """

    size: int
    banks: int
    activate: Fraction
    precharge: Fraction


@dataclass(frozen=True, slots=True)
class Machine:
    """What a program runs on. Rates are exact: bytes, MACs and element operations per cycle.

    A machine with SharedRAM (`sizes["sram"]` above 0) is a cluster: it has one more agent, "dma", whose IO stream
    moves between DRAM and SharedRAM. With `whole` every duration is rounded up to whole cycles.

    `dataflow` says how a matrix unit of `tile` (rows, columns) works on m×k by k×n. "vector": one row of x each cycle,
    m·⌈k/rows⌉·⌈n/columns⌉. "weight-stationary", systolic: each of the ⌈k/rows⌉·⌈n/columns⌉ parts of w takes `rows`
    cycles to fill, m rows stream through, rows + columns − 2 to drain. "output-stationary", systolic: each of the
    ⌈m/rows⌉·⌈n/columns⌉ parts of y takes k + rows + columns − 2, then `rows` to shift its sums out.

    `arbitration` says who of those in line gets the off-chip bus: "first-come" (ready for longest), "fixed" (first in
    stream order) or "round-robin" (the next in stream order after who had it last). With a `window` of w the streams
    issue out of order: see machine._window.
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
    dataflow: str = "vector"
    arbitration: str = "first-come"
    window: int = 0  # instructions among which hardware finds what may start; 0: streams in order, tokens between them
    rows: Rows | None = None  # of DRAM; None: every byte is as near as the last
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
        self._check_options()
        if not self.whole:
            rates = (self.bus.numerator, self.link.numerator, *self.macs.values(), *self.lanes.values())
            opening = (self.rows.activate.denominator, self.rows.precharge.denominator) if self.rows else ()
            object.__setattr__(self, "ticks", lcm(*rates, *self.special.values(), *opening))

    def _check_options(self) -> None:
        where = f"machine {self.name}"
        for name, value, known in (
            ("dataflow", self.dataflow, DATAFLOWS),
            ("arbitration", self.arbitration, ARBITRATIONS),
        ):
            if value not in known:
                raise InputError(
                    f"{name} is {value!r}", where=where, expected=f"one of {', '.join(known)}", example=known[0]
                )
        if self.dataflow != "vector" and self.tile is None:
            raise InputError(f"a {self.dataflow} unit without its rows and columns", where=where,
                             expected="the size of the array", example="tile: [16, 16]")  # fmt: skip
        if not 0 <= self.window <= 64:
            raise InputError(
                f"a window of {self.window}", where=where, expected="0 (in order) to 64", example="window: 8"
            )
        rows = self.rows
        if rows and (min(rows.size, rows.banks) < 1 or rows.banks > 1024 or min(rows.activate, rows.precharge) < 0):
            raise InputError(f"DRAM rows of {rows.size} bytes in {rows.banks} banks", where=where,
                             expected="a size of 1 or more, 1 to 1024 banks, times of 0 or more",
                             example="{size: 8 KiB, banks: 16, activate: 13.32 ns, precharge: 13.32 ns}")  # fmt: skip

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
        rows, columns = self.tile
        if self.dataflow == "output-stationary":
            return Fraction(-(-m // rows) * -(-n // columns) * (k + 2 * rows + columns - 2))
        parts = -(-k // rows) * -(-n // columns)
        return Fraction(parts * (m if self.dataflow == "vector" else m + 2 * rows + columns - 2))
