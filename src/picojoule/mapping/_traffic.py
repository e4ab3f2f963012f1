"""The traffic law: words moved by a mapping, exactly, per level, role and action.

Notation: extents X, spatial factors S, passes Y_0 = ceil(X / S), tile Y_c of level c; n, m as in
    m_o    = product of S over the dimensions irrelevant to operand o (PEs that hold the same word)
    q_o(c) = product of the trips above c that are irrelevant to o, except those of the run that is innermost above c:
             loops irrelevant to o, trip-1 loops passed over, continuing through level boundaries (o is stationary)
    A_o(T) = words of all tiles of the grid T on X, clipped (`spread`)
Boundary from parent p down to child c, f the level above the array:
    child  words = q A(S·Y_c) for c <= f,  q m A(Y_c) below
    parent words = q A(S·Y_c) for c <= f, and for c = f+1 under multicast `union`
                   q A(Y_c)   for p <= f < c otherwise (equal tiles share), q m A(Y_c) without multicast or for p > f
    MACs: all of them for p > f or without multicast; else (product of relevant X)(product of irrelevant Y_0)
Inputs: parent read, child write. Output: parent update; what is not a first visit is read back at the parent and
written to the child.
"""

import math
from collections.abc import Mapping as Map
from dataclasses import dataclass
from typing import Literal

from ._accelerator import Accelerator
from ._convention import Convention
from ._mapping import Mapping, factors, passes_of, tiles
from ._problem import Axis, Operand, Problem, Tile
from ._window import Sweep, spread, words

Action = Literal["read", "write", "update"]
Key = tuple[str, str, Action]  # (level, role, action)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Words of a whole run by (level, role, action), over all instances; `steps` are the cycles of the MACs."""

    counts: Map[Key, int]
    steps: int
    pes: int

    def of(self, level: str, role: str, action: Action) -> int:
        """Words, 0 where nothing moves."""
        return self.counts.get((level, role, action), 0)

    def as_dict(self) -> dict[str, dict[str, dict[str, int]]]:
        """{level: {role: {action: words}}} for JSON."""
        nested: dict[str, dict[str, dict[str, int]]] = {}
        for (level, role, action), count in self.counts.items():
            nested.setdefault(level, {}).setdefault(role, {})[action] = count
        return nested


def traffic(
    problem: Problem, accelerator: Accelerator, mapping: Mapping, convention: Convention | None = None
) -> Traffic:
    """Words moved by a legal mapping (see `faults`); exact under the convention, Python integers."""
    convention = convention or Convention()
    machine = accelerator.without(mapping.bypass)
    spatial = factors(problem, mapping)
    counts: dict[Key, int] = {}
    for operand in problem.operands:
        output = operand is problem.operands[-1]
        for child in (*machine.holders(operand.role)[1:], len(machine.levels)):
            parent = machine.parent(operand.role, child)
            above, below = _boundary(problem, machine, mapping, operand, parent, child, convention)
            _book(counts, machine, operand, parent, child, above, below, _first(problem, machine, spatial, parent, child)
                  if output else None, convention)  # fmt: skip
    return Traffic(counts, math.prod(passes_of(problem.extents, spatial)), math.prod(spatial))


def _book(
    counts: dict[Key, int], machine: Accelerator, operand: Operand, parent: int, child: int, above: int, below: int,
    first: tuple[int, int] | None, convention: Convention,
) -> None:  # fmt: skip
    """Enter the words of one boundary; `first` = words of first visits at (parent, child) for the output."""

    def add(level: int, action: Action, count: int) -> None:
        key: Key = (machine.levels[level].name, operand.role, action)
        counts[key] = counts.get(key, 0) + count

    if first is None:
        add(parent, "read", above)
        if child < len(machine.levels):
            add(child, "write", below)
        return
    free = convention.partial_sums == "first-free"
    add(parent, "update", above)
    add(parent, "read", above - first[0] * free)
    if child < len(machine.levels):
        add(child, "write", below - first[1] * free)


def _first(problem: Problem, machine: Accelerator, spatial: Tile, parent: int, child: int) -> tuple[int, int]:
    """Words of the output seen for the first time at the parent and at the child: once per holder."""
    output = problem.operands[-1]
    whole = words(output, problem.extents, Convention())
    sharing = reusers(output, spatial)
    return whole * (sharing if parent > machine.fanout else 1), whole * (sharing if child > machine.fanout else 1)


def reusers(operand: Operand, spatial: Tile) -> int:
    """m_o: PEs that hold the same word."""
    return math.prod(s for i, s in enumerate(spatial) if i not in operand.relevant)


def _boundary(
    problem: Problem, machine: Accelerator, mapping: Mapping, operand: Operand, parent: int, child: int, convention: Convention
) -> tuple[int, int]:  # fmt: skip
    """Words that leave the parent and that arrive in the children."""
    spatial, extents, fanout = factors(problem, mapping), problem.extents, machine.fanout
    if child == len(machine.levels):
        return mac_words(problem, machine, operand, spatial, parent), 0
    passes = repeats(problem, mapping, operand, child)
    tile = tiles(problem, mapping)[child]
    sweep = None
    if convention.halo == "consecutive-overlap":
        sweep = swept(problem, machine, mapping, operand, child, convention)
    array_tile = tuple(s * y for s, y in zip(spatial, tile, strict=True))
    whole = passes * spread(operand, extents, array_tile, convention, sweep)
    if child <= fanout:
        return whole, whole
    apart = passes * spread(operand, extents, tile, convention, sweep)
    copies = apart * reusers(operand, spatial)
    if parent > fanout or not machine.array.multicast:
        return (copies if parent > fanout or operand is not problem.operands[-1] else whole), copies
    if child == fanout + 1 and convention.multicast == "union":
        return whole, copies
    return apart, copies


def mac_words(problem: Problem, machine: Accelerator, operand: Operand, spatial: Tile, parent: int) -> int:
    """Words between the last holder and the MACs, which keep nothing."""
    output = operand is problem.operands[-1]
    if parent > machine.fanout or not (machine.array.multicast or output):
        return problem.macs
    passes = passes_of(problem.extents, spatial)
    return math.prod(x if i in operand.relevant else passes[i] for i, x in enumerate(problem.extents))


def repeats(problem: Problem, mapping: Mapping, operand: Operand, child: int) -> int:
    """q_o(c): how often the operand's whole grid of tiles is brought to level c."""
    times, stationary = 1, True
    position = {dim: i for i, dim in enumerate(problem.dims)}
    for level in range(child - 1, -1, -1):
        for dim, trip in reversed(mapping.loops[level]):
            if trip == 1:
                continue
            if position[dim] in operand.relevant:
                stationary = False
            elif not stationary:
                times *= trip
    return times


def swept(
    problem: Problem, machine: Accelerator, mapping: Mapping, operand: Operand, child: int, convention: Convention
) -> Sweep | None:  # fmt: skip
    """The loop whose steps keep their overlap (halo `consecutive-overlap`).

    It is the operand's innermost relevant one, stands directly above c and moves a window. A word of two tiles must be
    in all tiles between them: hulls always do, touched words if the other dimension of the window has unit stride. At
    the array boundary the moved dimension may not be spatial, nor, where PEs share unions, the other one.
    """
    spatial = factors(problem, mapping)
    position = {dim: i for i, dim in enumerate(problem.dims)}
    for dim, trip in reversed(mapping.loops[child - 1]):
        moved = position[dim]
        if trip == 1 or moved not in operand.relevant:
            continue
        other = partner(operand.windows, moved, convention)
        unions = machine.array.multicast and convention.multicast == "union"
        shared = other is not None and (spatial[moved] > 1 or (spatial[other] > 1 and unions))
        return None if other is None or (child == machine.fanout + 1 and shared) else (moved, trip)
    return None


def partner(windows: tuple[Axis, ...], moved: int, convention: Convention) -> int | None:
    """The other dimension of the window that `moved` shifts, if overlaps of consecutive tiles add up; else None."""
    for axis in windows:
        for (one, stride), (other, step) in (axis, axis[::-1]):
            if one == moved and (convention.window == "hull" or step // math.gcd(stride, step) == 1):
                return other
    return None
