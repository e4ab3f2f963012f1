"""A machine as parts: memories from the outermost inward, compute units, links. No energy lives here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from picojoule.quantity import Value

from ._array import ProcessingArray
from ._runtime import Runtime

Kind = Literal["gpu", "cpu", "fpga", "npu"]
Group = Literal["arithmetic", "registers", "network", "on-chip", "off-chip", "static"]


@dataclass(frozen=True, slots=True)
class Memory:
    """A store. `bandwidth` [B/s] and `size` [B] are None where no source gives them: unknown, not infinite."""

    name: str
    kind: str  # "HBM3", "DDR4-2400", "SRAM", "register file"
    size: Value | None
    bandwidth: Value | None
    group: Group = "on-chip"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Compute:
    """Units that multiply and add. `peak` maps a dtype to dense operations per second, two per MAC."""

    name: str
    unit: Literal["matrix", "vector"]
    peak: Mapping[str, Value]
    clock: Value | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A way in or out of the machine: PCIe, NVLink, Ethernet. `bandwidth` [B/s] one way."""

    name: str
    kind: str
    bandwidth: Value | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Attained:
    """The share (0, 1] of peak that one class of operators reaches: `compute` of FLOP/s, `memory` of B/s."""

    compute: Value
    memory: Value


@dataclass(frozen=True, slots=True)
class Architecture:
    """One machine. `memories` stand outermost first; `attained` is keyed by operator class, "default" always there.

    `launch` [s] is paid once per operator that does work. `max_power` is the sheet's TDP, `idle_power` a measured
    or quoted floor; both are for display and checks: energy comes from the Technology named in `technology`.
    """

    name: str
    title: str
    kind: Kind
    vendor: str
    memories: tuple[Memory, ...]
    compute: tuple[Compute, ...]
    attained: Mapping[str, Attained]
    launch: Value | None
    technology: str
    year: int | None = None
    node: Value | None = None
    links: tuple[Link, ...] = ()
    max_power: Value | None = None
    idle_power: Value | None = None
    notes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    facts: Mapping[str, Value] = field(default_factory=dict)  # SM count, clock, DSP slices, PEs: name -> value
    array: ProcessingArray | None = None  # what loop nests are mapped onto; None: the file does not say
    runtime: Runtime | None = None  # paces of a runtime that was measured on it; None: none was
    machine: str = ""  # the machine for programs that this is, in library/machines; "": none

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Every dtype that some unit computes in."""
        return tuple(dict.fromkeys(dtype for unit in self.compute for dtype in unit.peak))

    def unit(self, dtype: str, prefer: Literal["matrix", "vector"]) -> Compute | None:
        """The fastest unit of the preferred sort that computes in `dtype`, else any that does, else None."""
        able = [unit for unit in self.compute if dtype in unit.peak]
        chosen = [unit for unit in able if unit.unit == prefer] or able
        return max(chosen, key=lambda unit: unit.peak[dtype].nominal, default=None)
