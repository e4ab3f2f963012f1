"""A loop nest as other tools write it: several arrays, spatial loops between any two memories; counted by our law.

The law of `traffic` knows one array. A boundary sees one: the spatial loops between its parent and its child. Those
above the parent only say how often it stands there, those below the child only make the child's tile larger. So every
boundary is the law on a machine of two levels.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .._accelerator import Accelerator, Array, Level, SpatialAxis
from .._convention import Convention
from .._mapping import Loop
from .._mapping import Mapping as LoopMapping
from .._problem import Operand, Problem
from .._traffic import Action, Key, traffic
from .._window import distinct


@dataclass(frozen=True, slots=True)
class SpatialLoop:
    """A dimension spread over `trip` instances of everything below, along the rows (x) or the columns (y) of a mesh."""

    dim: str
    trip: int
    axis: Literal["x", "y"] = "x"


@dataclass(frozen=True, slots=True)
class Stage:
    """One level of a nest: its temporal loops, then the spatial loops below it; both outermost first.

    A stage that keeps nothing only holds loops (a mesh between two memories).
    """

    name: str
    keeps: tuple[str, ...]
    temporal: tuple[Loop, ...] = ()
    spatial: tuple[SpatialLoop, ...] = ()


@dataclass(frozen=True, slots=True)
class Nest:
    """Stages outermost first; the trips of a dimension, spatial ones included, cover its extent."""

    problem: Problem
    stages: tuple[Stage, ...]

    def holders(self, role: str) -> tuple[int, ...]:
        """Stages that keep the role."""
        return tuple(i for i, stage in enumerate(self.stages) if role in stage.keeps)

    @property
    def instances(self) -> tuple[int, ...]:
        """Instances in use of every stage: the spatial trips above it."""
        found, count = [], 1
        for stage in self.stages:
            found.append(count)
            count *= math.prod(loop.trip for loop in stage.spatial)
        return tuple(found)

    @property
    def pes(self) -> int:
        """MACs in use."""
        return math.prod(loop.trip for stage in self.stages for loop in stage.spatial)

    @property
    def steps(self) -> int:
        """Product of all temporal trips."""
        return math.prod(trip for stage in self.stages for _, trip in stage.temporal)


def uncovered(nest: Nest) -> list[tuple[str, int, int]]:
    """(dimension, product of its trips, extent) of every dimension whose trips do not cover it as the law asks.

    With S the product of its spatial trips and X its extent, its temporal trips must multiply to ceil(X / S).
    """
    found = []
    for dim, extent in nest.problem.space:
        spread = math.prod(loop.trip for stage in nest.stages for loop in stage.spatial if loop.dim == dim)
        trips = math.prod(trip for stage in nest.stages for name, trip in stage.temporal if name == dim)
        if trips != -(-extent // spread):
            found.append((dim, trips * spread, extent))
    return found


def nest_traffic(nest: Nest, convention: Convention, roles: Iterable[str] | None = None) -> Mapping[Key, int]:
    """Words by (stage, role, action) over all instances: the traffic law, boundary by boundary."""
    wanted = None if roles is None else set(roles)
    counts: dict[Key, int] = {}
    for operand in nest.problem.operands:
        if wanted is not None and operand.role not in wanted:
            continue
        holders = nest.holders(operand.role)
        for parent, child in zip(holders, (*holders[1:], len(nest.stages)), strict=True):
            _boundary(counts, nest, operand, parent, child, convention)
    return counts


def _boundary(
    counts: dict[Key, int], nest: Nest, operand: Operand, parent: int, child: int, convention: Convention
) -> None:
    """Enter the words of one boundary."""
    above, below = (
        _mac_words(nest, operand, parent, convention)
        if child == len(nest.stages)
        else _words(nest, operand, parent, child, convention)
    )
    for index, found in ((parent, above), (child, below)):
        for action, words in found.items():
            key: Key = (nest.stages[index].name, operand.role, action)
            counts[key] = counts.get(key, 0) + words


def _copies(nest: Nest, operand: Operand, stage: int) -> int:
    """Instances of a stage that hold the same word: the spatial trips above it over irrelevant dimensions."""
    index = {dim: i for i, dim in enumerate(nest.problem.dims)}
    return math.prod(
        loop.trip for one in nest.stages[:stage] for loop in one.spatial if index[loop.dim] not in operand.relevant
    )


def _spread(stages: Iterable[Stage]) -> dict[str, int]:
    """Spatial factors by dimension."""
    found: dict[str, int] = {}
    for stage in stages:
        for loop in stage.spatial:
            found[loop.dim] = found.get(loop.dim, 1) * loop.trip
    return found


def _above(nest: Nest, parent: int, child: int) -> int:
    """The stage directly above a child; one that keeps nothing and has no loop is only a mesh."""
    for index in range(child - 1, parent, -1):
        stage = nest.stages[index]
        if stage.keeps or any(trip > 1 for _, trip in stage.temporal):
            return index
    return parent


def _words(
    nest: Nest, operand: Operand, parent: int, child: int, convention: Convention
) -> tuple[dict[Action, int], dict[Action, int]]:
    """Words at the parent and at the child of a boundary between two memories."""
    stages, dims = nest.stages, nest.problem.dims
    _whole_windows(nest, operand, parent, child, convention)
    relevant = {dims[i] for i in operand.relevant}
    last = _above(nest, parent, child)
    outer = [(dim, trip) for dim, trip in _spread(stages[:parent]).items() if dim in relevant]
    outer += [loop for stage in stages[:last] for loop in stage.temporal]
    inner = [loop for stage in stages[child:] for loop in stage.temporal] + [*_spread(stages[child:]).items()]
    between = _spread(stages[parent:child])
    everything = tuple(one.role for one in nest.problem.operands)
    machine = Accelerator(
        "boundary",
        (Level("parent", everything), Level("above", ()), Level("child", (operand.role,))),
        Array("above", (SpatialAxis("all", math.prod(between.values()), dims),)),
        tuple((role, 1) for role in everything),
    )
    loops = (tuple(outer), stages[last].temporal, tuple(inner))
    found = traffic(nest.problem, machine, LoopMapping(loops, tuple(between.items())), convention)
    copies, role = _copies(nest, operand, parent), operand.role
    above: dict[Action, int] = {"read": copies * found.of("parent", role, "read")}
    if operand is nest.problem.operands[-1]:
        above["update"] = copies * found.of("parent", role, "update")
    return above, {"write": copies * found.of("child", role, "write")}


def _whole_windows(nest: Nest, operand: Operand, parent: int, child: int, convention: Convention) -> None:
    """Refuse a union that is scattered: a window spread over instances between which loops of it still run in time."""
    if convention.multicast != "union":
        return
    dims = nest.problem.dims
    for window in operand.windows:
        moved, spread = {dims[i] for i, _ in window}, False
        for stage in nest.stages[parent:child]:
            if spread and any(dim in moved and trip > 1 for dim, trip in stage.temporal):
                raise ValueError(
                    f"the union of scattered words of the window {' and '.join(sorted(moved))} below "
                    f"{nest.stages[parent].name} is not counted; multicast identical_tile is"
                )
            spread |= any(loop.dim in moved and loop.trip > 1 for loop in stage.spatial)


def _mac_words(
    nest: Nest, operand: Operand, parent: int, convention: Convention
) -> tuple[dict[Action, int], dict[Action, int]]:
    """Words between the innermost memory and the MACs: one for every PE group that shares it, every step.

    Where both dimensions of a window are spread, PEs at different places of it share words (multicast `union`).
    """
    problem, stages = nest.problem, nest.stages
    words, between = problem.macs, _spread(stages[parent:])
    if between:
        above, all_ = _spread(stages[:parent]), _spread(stages)
        each = [
            x if i in operand.relevant else -(-x // all_.get(dim, 1)) * above.get(dim, 1)
            for i, (dim, x) in enumerate(problem.space)
        ]
        words = math.prod(each)
        spread = [between.get(dim, 1) for dim in problem.dims]
        for window in operand.windows:
            (a, stride), (b, dilation) = window
            if spread[a] > 1 and spread[b] > 1 and convention.multicast == "union":
                _whole_windows(nest, operand, parent, len(stages), convention)
                whole = spread[a] * spread[b]
                if problem.extents[a] % spread[a] or problem.extents[b] % spread[b]:
                    raise ValueError(f"a window over PEs that do not divide {problem.dims[a]} is not counted")
                words = words // whole * distinct(spread[a], spread[b], stride, dilation)
    if operand is not problem.operands[-1]:
        return {"read": words}, {}
    first = math.prod(problem.extents[i] for i in operand.relevant) * _copies(nest, operand, parent)
    return {"update": words, "read": words - first * (convention.partial_sums == "first-free")}, {}
