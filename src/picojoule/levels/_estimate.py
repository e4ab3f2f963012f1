"""A whole network on a whole machine at one level, priced."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from picojoule.cost import Activity, Cost, price
from picojoule.hardware import STATIC, Architecture, Technology
from picojoule.quantity import InputError, format_quantity
from picojoule.workload import Operator, Workload, is_float

from ._count import Outcome, count
from ._demand import Demand, contraction, demand, program
from ._machine import native_dtype
from ._mapped import mapped
from ._roofline import roofline
from ._setting import Search, Setting
from ._simulated import simulated

if TYPE_CHECKING:
    from picojoule.machine import Machine
    from picojoule.mapping import Optimum

Level = Callable[[Demand, Setting], Outcome]
LEVELS: Final[Mapping[str, Level]] = {"count": count, "roofline": roofline, "mapped": mapped, "simulated": simulated}
# What a level asks of an operator; most need no loop nest.
ASKS: Final[Mapping[str, Callable[[Workload, Operator], Demand]]] = {"mapped": contraction, "simulated": program}


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one network costs on one machine. `notes` are sentences the user must see beside the numbers.

    `nests` are the best mappings of level `mapped`, by operator.
    """

    workload: Workload
    architecture: Architecture
    technology: Technology
    level: str
    dtype: str
    cost: Cost
    notes: tuple[str, ...] = ()
    nests: "Mapping[str, Optimum]" = field(default_factory=dict)

    @property
    def traffic_bytes(self) -> dict[str, int]:
        """Bytes read and written at each memory."""
        counts = self.cost.counts
        return {
            memory.name: counts.get((memory.name, "read"), 0) + counts.get((memory.name, "write"), 0)
            for memory in self.architecture.memories
        }

    def group(self, part: str) -> str:
        """Which of the six parts of the picture a hardware part belongs to: arithmetic, off-chip, static, …"""
        if part == "static":
            return "static"
        for memory in self.architecture.memories:
            if memory.name == part:
                return memory.group
        return "network" if any(link.name == part for link in self.architecture.links) else "arithmetic"

    def __str__(self) -> str:
        energy, time = self.cost.total_energy_j, self.cost.total_time_s
        return (
            f"{self.workload.name} on {self.architecture.title} ({self.level}, {self.dtype}, {self.cost.scope}): "
            f"{format_quantity(energy.nominal, 'J')} ({format_quantity(energy.low, 'J', 2)} to "
            f"{format_quantity(energy.high, 'J', 2)}), {format_quantity(time.nominal, 's')} "
            f"({format_quantity(time.low, 's', 2)} to {format_quantity(time.high, 's', 2)})"
        )


def estimate(
    workload: Workload,
    architecture: Architecture,
    technology: Technology,
    *,
    level: str = "roofline",
    dtype: str | None = None,
    draws: int = 1000,
    seed: int = 0,
    search: Search | None = None,
    machine: "Machine | None" = None,
) -> Estimate:
    """Energy and time of `workload` on `architecture` at `level`, priced with `technology`.

    `dtype` replaces every floating-point format of the model; a format the machine lacks becomes its nearest wider
    one, else its widest, and a note says so. `search` is what level `mapped` looks for;
    `machine` what level `simulated` compiles for.
    """
    if level not in LEVELS:
        raise InputError(f"unknown level {level!r}", expected=f"one of {', '.join(LEVELS)}", example="--level roofline")
    wanted = dtype or main_dtype(workload)
    used = native_dtype(architecture, wanted)
    notes = list(_dtype_notes(architecture, wanted, used))
    typed = in_native_dtype(workload, architecture, dtype)
    outcomes = _outcomes(typed, Setting(architecture, technology, search or Search(), machine), level)
    activities = [
        Activity(operator.name, operator.path, operator.kind, found.counts, found.terms, found.overhead)
        for operator, found in zip(typed.operators, outcomes, strict=True)
    ]
    cost = price(activities, technology, draws=draws, seed=seed)
    notes += _notes(architecture, technology, cost) + _lower(typed, outcomes, level)
    nests = {o.name: found.nest for o, found in zip(typed.operators, outcomes, strict=True) if found.nest is not None}
    return Estimate(typed, architecture, technology, level, used, cost, tuple(notes), nests)


def in_native_dtype(workload: Workload, architecture: Architecture, dtype: str | None = None) -> Workload:
    """The workload in `dtype`, or its own, as far as the machine computes in it; else in the format that it has."""
    wanted = dtype or main_dtype(workload)
    used = native_dtype(architecture, wanted)
    return workload.with_dtype(used) if dtype is not None or used != wanted else workload


def main_dtype(workload: Workload) -> str:
    """The floating-point format in which most of the MACs run; float32 for a network without any."""
    macs: dict[str, int] = {}
    for operator in workload.operators:
        for access in operator.inputs[:1]:
            dtype = workload.tensors[access.tensor].dtype
            if is_float(dtype) or operator.work.macs:
                macs[dtype] = macs.get(dtype, 0) + 1 + operator.total.macs
    return max(macs, key=lambda name: macs[name], default="float32")


def _outcomes(workload: Workload, setting: Setting, level: str) -> list[Outcome]:
    """One outcome per operator; equal demands are evaluated once."""
    memo: dict[Demand, Outcome] = {}
    found = []
    for operator in workload.operators:
        asked = ASKS.get(level, demand)(workload, operator)
        if asked not in memo:
            memo[asked] = LEVELS[level](asked, setting)
        found.append(memo[asked])
    return found


def _lower(workload: Workload, outcomes: list[Outcome], level: str) -> list[str]:
    """One sentence per reason why operators are taken at a level below."""
    reasons: dict[str, list[str]] = {}
    for operator, found in zip(workload.operators, outcomes, strict=True):
        if found.note:
            reasons.setdefault(found.note, []).append(operator.name)
    return [
        f"not {level} but taken at the level below: {names[0]}{f' and {len(names) - 1} more' if names[1:] else ''} ({reason})"
        for reason, names in reasons.items()
    ]


def _dtype_notes(architecture: Architecture, wanted: str, used: str) -> list[str]:
    if used == wanted:
        return []
    return [f"{architecture.title} has no {wanted} arithmetic on its sheet: computed in {used}"]


def _notes(architecture: Architecture, technology: Technology, cost: Cost) -> list[str]:
    notes = []
    outer = architecture.memories[0]
    if outer.bandwidth is None:
        notes.append(f"the bandwidth of {outer.name} is unknown: time is that of the rest")
    if STATIC not in cost.prices:
        notes.append("its static power is unknown: the energy is without it")
    if technology.mixed_scope:
        notes.append(f"scopes added: {technology.scope}; {technology.mixed_scope}")
    time, energy = cost.total_time_s.nominal, cost.total_energy_j.nominal
    limit = architecture.max_power
    if limit is not None and time > 0 and energy / time > limit.nominal:
        notes.append(f"mean power {format_quantity(energy / time, 'W')} is above the sheet's "
                     f"{format_quantity(limit.nominal, 'W')}: a real device slows down, this level does not")  # fmt: skip
    return notes
