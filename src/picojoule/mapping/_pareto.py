"""The front of energy against steps: for every number of steps the least energy that any mapping reaches with so many.

Steps depend on the unrolling alone, so one walk over the unrollings in the order of their steps suffices: an unrolling
whose floor (see `_bound`) is no better than the least energy so far cannot add a point. Exact over tile shapes, loop
orders, unrollings and bypass. Bandwidths are left out of the walk; each point states its cycles with them, and points
that these make no better than another are dropped, so with bandwidths the front is a subset of good mappings only.
"""

import math
from dataclasses import dataclass, replace
from itertools import groupby

from ._accelerator import Accelerator
from ._convention import Convention
from ._field import field
from ._latency import latency
from ._mapping import Mapping
from ._ports import has_ports
from ._problem import Problem
from ._search import TIE, NoMappingError, masks, unrolled
from ._seat import Factors
from ._solve import solve
from ._trace import trace
from ._traffic import Traffic, traffic
from ._weights import Weights, cost


@dataclass(frozen=True, slots=True)
class Point:
    """One mapping of the front: `steps` of the MACs, `cycles` with the ports, energy in the unit of the weights."""

    mapping: Mapping
    traffic: Traffic
    steps: int
    cycles: float
    energy: float


@dataclass(frozen=True, slots=True)
class Front:
    """Points by rising steps and falling energy; `exact` where no bandwidth was left out."""

    problem: Problem
    accelerator: Accelerator
    points: tuple[Point, ...]
    exact: bool


def pareto(
    problem: Problem, accelerator: Accelerator, weights: Weights, *, convention: Convention | None = None,
    factors: Factors = "ragged",
) -> Front:  # fmt: skip
    """The front of one contraction. Raises NoMappingError where nothing fits."""
    rule = convention or Convention()
    spaces = [unrolled(problem, accelerator, m, weights, "energy", rule, factors) for m in masks(accelerator)]
    listed = sorted(
        (float(space.floor.steps[i]), float(space.floor.least[i]), m, i)
        for m, space in enumerate(spaces)
        for i in range(len(space.spatial))
    )
    least, points = math.inf, []
    for _, group in groupby(listed, key=lambda row: row[0]):
        best: Mapping | None = None
        for _, bound, m, i in group:
            if bound >= least * (1 - TIE):
                break
            space = spaces[m]
            grid = field(problem, space.machine, tuple(int(s) for s in space.spatial[i]), rule)
            found = solve(grid, [space.prices], keep=True)
            energy = float(space.floor.fixed[i]) + float(found.least[0])
            mapping = trace(grid, found) if energy < least * (1 - TIE) else None
            if mapping is not None:
                least, best = energy, replace(mapping, bypass=space.bypass)
        if best is not None:
            points.append(_point(problem, accelerator, best, weights, rule))
    if not points:
        raise NoMappingError(f"{problem.name}: no mapping on {accelerator.name}")
    kept = tuple(p for p in points if not any(q.cycles <= p.cycles and q.energy < p.energy for q in points))
    return Front(problem, accelerator, kept, not has_ports(accelerator))


def _point(problem: Problem, accelerator: Accelerator, mapping: Mapping, weights: Weights, rule: Convention) -> Point:
    moved = traffic(problem, accelerator, mapping, rule)
    return Point(mapping, moved, moved.steps, latency(accelerator, moved), cost(problem, moved, weights))
