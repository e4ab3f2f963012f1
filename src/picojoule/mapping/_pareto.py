"""The front of energy against steps: for every number of steps the least energy that any mapping reaches with so many.

Steps depend on the unrolling alone, so one walk over the unrollings in the order of their steps suffices: an unrolling
whose floor (see `_bound`) is no better than the least energy so far cannot add a point. Exact over tile shapes, loop
orders, unrollings and bypass. Bandwidths are left out of the walk; each point states its cycles with them, and points
that these make no better than another are dropped, so with bandwidths the front is a subset of good mappings only.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from ._accelerator import Accelerator
from ._convention import Convention
from ._engine import Engine, solver
from ._field import field
from ._latency import latency
from ._mapping import Mapping
from ._ports import has_ports
from ._problem import Problem
from ._refine import Loose, refine_loosely
from ._search import TIE, NoMappingError, Space, masks, unrolled
from ._seat import Factors
from ._solve import solve
from ._trace import trace
from ._traffic import Traffic, traffic
from ._weights import Weights, cost

MANY = 256  # unrollings whose bounds are sharpened together


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
    factors: Factors = "ragged", engine: Engine | None = None,
) -> Front:  # fmt: skip
    """The front of one contraction. Raises NoMappingError where nothing fits.

    A front takes thousands of solves: unless an engine is named the compiled one works where it is installed.
    """
    rule = convention or Convention()
    spaces = [unrolled(problem, accelerator, m, weights, "energy", rule, factors) for m in masks(accelerator)]
    solved = [solver(engine)(problem, space.machine, space.prices, rule) for space in spaces]
    beaten, points = [math.inf], []  # least energy so far, shared with the walk
    for _, group in groupby(_promising(problem, spaces, rule, beaten), key=lambda row: row[0]):
        best: tuple[Space, int] | None = None
        for _, bound, m, i in group:
            if bound < beaten[0] * (1 - TIE):
                space = spaces[m]
                energy = float(space.floor.fixed[i]) + solved[m](tuple(int(s) for s in space.spatial[i]))
                if energy < beaten[0] * (1 - TIE):
                    beaten[0], best = energy, (space, i)
        if best is not None:
            points.append(_point(problem, accelerator, _mapping(problem, *best, rule), weights, rule))
    if not points:
        raise NoMappingError(f"{problem.name}: no mapping on {accelerator.name}")
    kept = tuple(p for p in points if not any(q.cycles <= p.cycles and q.energy < p.energy for q in points))
    return Front(problem, accelerator, kept, not has_ports(accelerator))


def _promising(
    problem: Problem, spaces: list[Space], rule: Convention, beaten: list[float]
) -> Iterator[tuple[float, float, int, int]]:  # fmt: skip
    """(steps, bound, space, unrolling) by rising steps, without those that cannot beat the least energy at the time.

    The bound is the floor; once there is an energy to beat, for many unrollings at once, also that of the tiles of a PE.
    """
    walk = sorted(
        (float(space.floor.steps[i]), float(space.floor.least[i]), m, i)
        for m, space in enumerate(spaces)
        for i in range(len(space.spatial))
    )
    start, size = 0, 1
    while start < len(walk):
        some = [row for row in walk[start : start + size] if row[1] < beaten[0] * (1 - TIE)]
        start, size = start + size, min(2 * size, MANY)
        sharper = {row[2:]: row[1] for row in some}
        for m, space in enumerate(spaces):
            rows = [i for _, _, of, i in some if of == m]
            if len(rows) > 1 and space.machine.fanout < len(space.machine.levels) - 1:
                shared = Loose(problem, space.machine, rule, space.prices)
                bounds = refine_loosely(shared, space.spatial[rows]).tolist()
                sharper |= {(m, i): max(sharper[m, i], bound) for i, bound in zip(rows, bounds, strict=True)}
        yield from ((steps, sharper[m, i], m, i) for steps, _, m, i in some)


def _mapping(problem: Problem, space: Space, index: int, rule: Convention) -> Mapping:
    """The best mapping of one unrolling that has one."""
    grid = field(problem, space.machine, tuple(int(s) for s in space.spatial[index]), rule)
    found = trace(grid, solve(grid, [space.prices], keep=True))
    assert found is not None, "a finite cost has a mapping"
    return replace(found, bypass=space.bypass)


def _point(problem: Problem, accelerator: Accelerator, mapping: Mapping, weights: Weights, rule: Convention) -> Point:
    moved = traffic(problem, accelerator, mapping, rule)
    return Point(mapping, moved, moved.steps, latency(accelerator, moved), cost(problem, moved, weights))
