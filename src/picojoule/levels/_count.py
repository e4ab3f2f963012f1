"""Level `count`: what the mathematics demands. A bound that no machine beats.

Each tensor crosses the outermost memory once an operator, parameters once whatever the repeats; arithmetic runs at the
dense peak, memory at the sheet's bandwidth, nothing is launched:

    t = max(2·MACs / peak, other operations / (peak / 2), bytes / bandwidth)

Left out: inner memories, attained fractions, launch.
"""

from typing import TYPE_CHECKING, NamedTuple

from picojoule.cost import Term
from picojoule.hardware import Action, Architecture

from ._demand import Demand
from ._machine import Key, unit_for
from ._setting import Setting

if TYPE_CHECKING:
    from picojoule.mapping import Optimum


class Outcome(NamedTuple):
    """Actions, time terms and what comes on top; the nest behind them, and why there is none, at level `mapped`."""

    counts: dict[Action, int]
    terms: tuple[Term, ...]
    overhead: Term | None
    nest: "Optimum | None" = None
    note: str = ""


def count(demand: Demand, setting: Setting) -> Outcome:
    """Actions and time terms of one operator."""
    architecture = setting.architecture
    counts, terms = arithmetic(demand, architecture)
    outer = architecture.memories[0]
    read, write = demand.in_bytes + demand.weight_bytes, demand.out_bytes
    add(counts, (outer.name, "read"), read)
    add(counts, (outer.name, "write"), write)
    if outer.bandwidth is not None and read + write:
        seconds = (read + write) / outer.bandwidth.nominal
        terms.append(Term(outer.name, seconds, f"{architecture.name}.{outer.name}.bandwidth", outer.bandwidth))
    return Outcome(counts, tuple(terms), None)


def arithmetic(demand: Demand, architecture: Architecture) -> tuple[dict[Action, int], list[Term]]:
    """MACs on the matrix unit, everything else on the vector unit, each at its dense peak.

    A peak counts two operations a MAC, so a unit does peak / 2 of any other operation a second.
    """
    counts: dict[Action, int] = {}
    terms: list[Term] = []
    key = Key(architecture)
    if demand.macs:
        unit, dtype = unit_for(key, demand.dtype, "matrix")
        add(counts, (unit.name, f"mac_{dtype}"), demand.macs)
        peak = unit.peak[dtype]
        terms.append(Term("compute", 2 * demand.macs / peak.nominal, f"{architecture.name}.{unit.name}.{dtype}", peak))
    if demand.others:
        unit, dtype = unit_for(key, demand.dtype, "vector")
        for name, n in demand.others:
            add(counts, (unit.name, f"{name}_{dtype}"), n)
        peak = unit.peak[dtype]
        total = sum(n for _, n in demand.others)
        terms.append(Term("compute", 2 * total / peak.nominal, f"{architecture.name}.{unit.name}.{dtype}", peak))
    return counts, terms


def add(counts: dict[Action, int], action: Action, n: int) -> None:
    """Count `n` more of `action`; nothing is not an entry."""
    if n:
        counts[action] = counts.get(action, 0) + n
