"""Timeloop's counters of one mapping: reads, fills and updates of every memory, by its own rules (see `_walk`).

Rules beyond the walk, read in tiling.cpp and written anew: a memory that is bypassed passes the reads of its child on
to its parent in the proportion in which a mesh shares them; words over links count as reads and fills of the child,
divided by all its instances; first visits of a sum, one tile in every instance (integer division), are not read.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._problem import Operand
from .._traffic import Key
from ._nest import Nest, Stage
from ._walk import Shared, Shift, shared, visits, words

MESH = 65_536  # instances below one stage that are walked
WORK = 3_000_000  # instances times kinds of visits


@dataclass(frozen=True, slots=True)
class _Level:
    """One stage of the nest as the walk sees it; sizes of boxes along the axes of the tensor."""

    tile: Shift  # of one instance of the stage below
    spread: Shift  # of all instances below
    whole: Shift  # of this stage
    steps: tuple[tuple[int, Shift], ...]  # temporal loops, innermost first
    offsets: tuple[Shift, ...]  # of the instances below
    width: int


@dataclass(slots=True)
class _Account:
    """Reads above one stage's children, per instance; changed while bypassed stages are merged."""

    found: Shared
    reads: float = field(init=False)
    delivered: float = field(init=False)
    links: float = field(init=False)

    def __post_init__(self) -> None:
        self.reads, self.delivered, self.links = self.found.total, self.found.delivered, self.found.links


def timeloop_counters(nest: Nest, links: bool = True) -> Mapping[Key, int]:
    """Scalar reads, fills (as "write") and updates by (stage, role, action), all instances together.

    `links` = False leaves the words over mesh links out, to tell what they are worth.
    """
    counts: dict[Key, int] = {}
    for operand in nest.problem.operands:
        counts |= _counters(nest, operand, operand is nest.problem.operands[-1], links)
    return counts


def _counters(nest: Nest, operand: Operand, output: bool, links: bool) -> dict[Key, int]:
    levels = _levels(nest, operand)[::-1]  # innermost first from here on
    stages, instances = nest.stages[::-1], nest.instances[::-1]
    last = len(stages) - 1
    fanout = [math.prod(loop.trip for loop in stage.spatial) for stage in stages]
    accounts = [_Account(_walked(levels, i, links)) for i in range(len(stages))]
    share = [accounts[i + 1].delivered / fanout[i + 1] if i < last else 0.0 for i in range(len(stages))]
    for i, stage in enumerate(stages[:-1]):
        if operand.role not in stage.keeps:
            _pass_on(accounts[i], accounts[i + 1], fanout[i + 1])
    over = [accounts[i + 1].links / instances[i] if i < last else 0.0 for i in range(len(stages))]
    first = _partitions(levels) if output else [0] * len(stages)
    outermost = max(i for i, stage in enumerate(stages) if operand.role in stage.keeps)
    found: dict[Key, int] = {}
    for i, stage in enumerate(stages):
        if operand.role not in stage.keeps:
            continue
        reads = round(accounts[i].reads + over[i] - first[i])
        fills = round(share[i] + over[i] - first[i]) if i < outermost else 0
        found[stage.name, operand.role, "read"] = reads * instances[i]
        found[stage.name, operand.role, "write"] = fills * instances[i]
        if output:
            found[stage.name, operand.role, "update"] = round(accounts[i].reads) * instances[i]
    return found


def _pass_on(inner: _Account, outer: _Account, fanout: int) -> None:
    """The reads of a bypassed stage become its parent's."""
    factor = inner.reads * fanout / outer.delivered
    outer.reads, outer.delivered, outer.links = outer.reads * factor, outer.delivered * factor, 0.0


def _partitions(levels: list[_Level]) -> list[int]:
    """Words that every instance sees for the first time."""
    found = [math.prod(levels[-1].whole)]
    for i in range(len(levels) - 2, -1, -1):
        size = math.prod(levels[i].whole)
        of = math.prod(levels[i + 1].spread) if len(levels[i + 1].offsets) > 1 else size
        found.append(found[-1] * size // of)
    return found[::-1]


def _walked(levels: list[_Level], index: int, links: bool) -> Shared:
    """Reads of one instance of stage `index` (counted from the innermost) for all instances below it."""
    level = levels[index]
    loops = [step for outer in levels[index:] for step in outer.steps]
    if index == 0 and len(level.offsets) == 1:
        return Shared({(1, 1): math.prod(trip for trip, _ in loops)}, 0)
    seen = visits(level.tile, loops)
    if len(level.offsets) == 1:
        return Shared({(1, 1): sum(words(level.tile, visit.part) * visit.times for visit in seen)}, 0)
    if len(level.offsets) * len(seen) > WORK:
        raise ValueError(f"{len(level.offsets)} instances in {len(seen)} kinds of visits are too many to walk")
    return shared(level.tile, level.offsets, level.width, seen, index == 0, links)


def _levels(nest: Nest, operand: Operand) -> list[_Level]:
    """The stages, outermost first."""
    index = {dim: i for i, dim in enumerate(nest.problem.dims)}
    extents = [1] * len(index)

    def project(point: list[int]) -> Shift:
        return tuple(sum(stride * point[d] for d, stride in axis) for axis in operand.axes)

    def hull() -> Shift:
        return tuple(1 + by for by in project([extent - 1 for extent in extents]))

    def step(dim: str) -> list[int]:
        return [extents[i] if i == index[dim] else 0 for i in range(len(extents))]

    found = []
    for stage in reversed(nest.stages):
        tile = hull()
        offsets = _mesh(stage, index, extents)
        for loop in stage.spatial:
            extents[index[loop.dim]] *= loop.trip
        spread, steps = hull(), []
        for dim, trip in reversed(stage.temporal):
            if trip > 1:
                steps.append((trip, project(step(dim))))
                extents[index[dim]] *= trip
        width = math.prod(loop.trip for loop in stage.spatial if loop.axis == "x")
        found.append(_Level(tile, spread, hull(), tuple(steps), tuple(project(one) for one in offsets), width))
    return found[::-1]


def _mesh(stage: Stage, index: Mapping[str, int], extents: list[int]) -> list[list[int]]:
    """Where the tile of every instance below begins, x fastest; loops outermost first, those of x inside those of y."""
    if math.prod(loop.trip for loop in stage.spatial) > MESH:
        raise ValueError(f"{stage.name}: more than {MESH} instances below one stage are not walked")
    steps, below = [], list(extents)
    for loop in reversed([*(s for s in stage.spatial if s.axis == "y"), *(s for s in stage.spatial if s.axis == "x")]):
        steps.append((index[loop.dim], loop.trip, below[index[loop.dim]]))
        below[index[loop.dim]] *= loop.trip
    points = [[0] * len(extents)]
    for dim, trip, by in reversed(steps):
        points = [[x + by * k * (i == dim) for i, x in enumerate(point)] for point in points for k in range(trip)]
    return points
