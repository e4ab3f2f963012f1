"""Bandwidth: latency and energy · latency of one unrolling when ports, not MACs, set the pace."""

from dataclasses import dataclass

import numpy as np

from ._accelerator import Accelerator
from ._convention import Convention
from ._field import Field, fixed_cost, fixed_words
from ._latency import latency
from ._mapping import Mapping
from ._solve import solve
from ._trace import trace
from ._traffic import traffic
from ._weights import Prices


@dataclass(frozen=True, slots=True)
class PortBound:
    """The best mapping found for one unrolling, (value, energy) of it, and a lower bound of all its mappings."""

    mapping: Mapping | None
    key: tuple[float, float]
    lower_bound: float


def has_ports(machine: Accelerator) -> bool:
    """Does any level state a bandwidth?"""
    return any(level.read_bandwidth or level.write_bandwidth for level in machine.levels)


def port_prices(field: Field) -> list[Prices]:
    """For every port the prices that count its cycles: 1 / (instances · words per cycle) a word."""
    machine = field.machine
    shape = (len(machine.levels), len(field.problem.operands))
    pes = int(np.prod(field.spatial))
    found = []
    for index, level in enumerate(machine.levels):
        instances = pes if index > machine.fanout else 1
        for port, bandwidth in (("read", level.read_bandwidth), ("write", level.write_bandwidth)):
            if bandwidth is not None:
                hit, none = np.zeros(shape), np.zeros(shape)
                hit[index] = 1 / (bandwidth * instances)
                found.append(Prices(0.0, hit, none, none) if port == "read" else Prices(0.0, none, hit, hit))
    return found


def blend(energy: Prices, port: Prices, share: float) -> Prices:
    """energy + share · cycles of a port."""
    return Prices(
        energy.mac,
        energy.read + share * port.read,
        energy.write + share * port.write,
        energy.update + share * port.update,
    )


def within_ports(
    field: Field, energy: Prices, steps: float, objective: str, convention: Convention, beaten: float
) -> PortBound:  # fmt: skip
    """Least cycles D >= max(steps, least cycles of every port); least energy E >= the optimum, and E + λ·t >= c_λ.

    Each bound is one more row of prices in the same running minima, and each row's own optimum is a candidate.
    """
    ports = port_prices(field)
    rows = [energy, *ports]
    base = np.array([float(fixed_cost(field.problem, _fixed(field, convention), row)[0]) for row in rows])
    solution = solve(field, rows, keep=True)
    least = solution.least + base
    cycles = max(steps, *least[1:].tolist())
    bound = cycles if objective == "latency" else cycles * float(least[0])
    if bound >= beaten:
        return PortBound(None, (np.inf, np.inf), bound)
    best: PortBound = PortBound(None, (np.inf, np.inf), bound)
    for row in range(len(rows)):
        mapping = trace(field, solution, row)
        if mapping is not None:
            moved = traffic(field.problem, field.machine, mapping, convention)
            spent = fixed_energy(field, mapping, energy, convention)
            pace = latency(field.machine, moved)
            value = pace if objective == "latency" else pace * spent
            if (value, spent) < best.key:
                best = PortBound(mapping, (value, spent), bound)
    return best


def _fixed(field: Field, convention: Convention) -> list:  # type: ignore[type-arg]
    return fixed_words(field.problem, field.machine, np.array([field.spatial]), convention)


def fixed_energy(field: Field, mapping: Mapping, energy: Prices, convention: Convention) -> float:
    """Energy of one mapping by the law, priced from arrays."""
    names = [level.name for level in field.machine.levels]
    roles = [operand.role for operand in field.problem.operands]
    moved = traffic(field.problem, field.machine, mapping, convention)
    words = sum(
        n * energy.of(action)[names.index(lv), roles.index(role)] for (lv, role, action), n in moved.counts.items()
    )
    return float(field.problem.macs * energy.mac + words)
