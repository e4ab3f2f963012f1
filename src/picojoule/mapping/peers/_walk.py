"""Timeloop's walk over a loop nest: boxes of data, iterations 0 and 1 of every loop, credit for what stays.

Read in the nest analysis of NVlabs/timeloop (src/loop-analysis, BSD-3) and written anew; its rules, in our words:

* A loop is run for iterations 0 and 1 only; what iteration 1 moves counts trip - 1 times. So a loop that steps finds
  the loops inside it at iteration 1, not at their last: d_j = step_j - sum of the steps inside it.
* The tile below a boundary is the hull of its words, a box. A visit fetches the box less the box of the visit before,
  if the two differ along one axis and overlap; else all of it. A move that is not the move before, in length or
  direction, fetches all and is not kept in mind. A visit without a move fetches nothing, and forgets the move before
  (the recorded runs would be the same if it did not).
* Instances whose parts are the same box share one read. A part that a mesh neighbour fetched in the visit before comes
  over a link, if that saves reads of the visit.

This is that tool's convention, not a claim about a machine.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

Shift = tuple[int, ...]  # of a box, along every axis of the tensor
Box = tuple[Shift, Shift]  # first word, one past the last
Share = tuple[int, int]  # (instances that share a read, groups of such instances)
State = tuple[Shift | None, "Part | None"]  # the last move, what the last visit fetched


@dataclass(frozen=True, slots=True)
class Part:
    """What one visit fetches: all of the tile, none, or the slab that the tile's move `shift` uncovers."""

    kind: Literal["all", "none", "slab"]
    shift: Shift


@dataclass(frozen=True, slots=True)
class Visit:
    """`times` visits that fetch `part`; the visit before fetched `before`."""

    times: int
    part: Part
    before: Part | None


def visits(size: Shift, loops: Sequence[tuple[int, Shift]]) -> list[Visit]:
    """All visits of a tile of `size` under temporal loops (trip, step of the box), innermost first, trips above 1."""
    moves: list[Shift] = []
    run: Shift = (0,) * len(size)
    for _, by in loops:
        moves.append(tuple(s - r for s, r in zip(by, run, strict=True)))
        run = tuple(s + r for s, r in zip(by, run, strict=True))

    def step(move: Shift, state: State) -> tuple[Part, State]:
        part, before = _fetched(size, move), state[0]
        if part.kind == "none":
            return part, (None, part)
        if before is None or move == before:
            return part, (move, part)
        part = Part("all", move)
        return part, (None, part)

    @cache
    def walk(depth: int, state: State) -> tuple[Mapping[tuple[Part, Part | None], int], State]:
        if not depth:
            return {}, state
        inner, state = walk(depth - 1, state)
        found, more = Counter(inner), loops[depth - 1][0] - 1
        part, after = step(moves[depth - 1], state)
        found[part, state[1]] += more
        again, after = walk(depth - 1, after)
        for key, times in again.items():
            found[key] += times * more
        return found, after

    first = Part("all", (0,) * len(size))
    counted, _ = walk(len(loops), (None, first))
    return [Visit(1, first, None), *(Visit(times, part, before) for (part, before), times in counted.items())]


def _fetched(size: Shift, move: Shift) -> Part:
    """What a move uncovers."""
    axes = [i for i, by in enumerate(move) if by]
    if not axes:
        return Part("none", move)
    if len(axes) > 1 or abs(move[axes[0]]) >= size[axes[0]]:
        return Part("all", move)
    return Part("slab", move)


def box(size: Shift, part: Part) -> Box:
    """The words of a part, the tile standing at the origin."""
    low, high = [0] * len(size), list(size)
    if part.kind == "slab":
        axis = next(i for i, by in enumerate(part.shift) if by)
        by = part.shift[axis]
        low[axis], high[axis] = (size[axis] - by, size[axis]) if by > 0 else (0, -by)
    return tuple(low), tuple(high)


def words(size: Shift, part: Part) -> int:
    """Words of a part."""
    if part.kind == "none":
        return 0
    low, high = box(size, part)
    return math.prod(h - b for b, h in zip(low, high, strict=True))


@dataclass(frozen=True, slots=True)
class Shared:
    """Reads of one instance above a mesh by how they are shared, and words that came over links."""

    reads: Mapping[Share, int]
    links: int

    @property
    def total(self) -> int:
        """Reads."""
        return sum(self.reads.values())

    @property
    def delivered(self) -> int:
        """Words that arrive, all instances together."""
        return sum(count * share for (share, _), count in self.reads.items())


def shared(
    size: Shift, offsets: Sequence[Shift], width: int, seen: Sequence[Visit], points: bool, links: bool
) -> Shared:
    """Reads for all instances of a mesh; `offsets` of their tiles, row by row of `width`; `points` are the MACs'.

    Deltas of all instances have one shape, so instances share where their offsets are equal.
    """
    found: Counter[Share] = Counter()
    linked = 0
    for visit in seen:
        part = Part("all", visit.part.shift) if points else visit.part
        each = words(size, part) * visit.times
        if not each:
            continue
        reads = _groups(offsets, range(len(offsets)), each)
        if links and visit.before is not None:
            before = Part("all", visit.before.shift) if points else visit.before
            near = _from_neighbours(size, offsets, width, part, before)
            alone = _groups(offsets, [i for i in range(len(offsets)) if i not in near], each)
            if sum(alone.values()) < sum(reads.values()):
                reads, linked = alone, linked + len(near) * each
        found.update(reads)
    return Shared(found, linked)


def _groups(offsets: Sequence[Shift], which: Sequence[int], each: int) -> Counter[Share]:
    """Reads of the instances `which`, each part read once for all that hold it."""
    holders = Counter(offsets[i] for i in which)
    groups = Counter(holders.values())
    return Counter({(share, count): each * count for share, count in groups.items()})


def _from_neighbours(size: Shift, offsets: Sequence[Shift], width: int, part: Part, before: Part) -> set[int]:
    """Instances whose part is what a neighbour in the mesh fetched in the visit before."""
    if before.kind == "none":
        return set()
    low, high = box(size, part)
    low_before, high_before = box(size, before)
    if [h - b for b, h in zip(low, high, strict=True)] != [h - b for b, h in zip(low_before, high_before, strict=True)]:
        return set()
    # part at offset + low, the neighbour's at its offset + low_before - move
    gap = tuple(b + by - c for b, by, c in zip(low, part.shift, low_before, strict=True))
    height, found = -(-len(offsets) // width), set()
    for i, offset in enumerate(offsets):
        wanted = tuple(o + g for o, g in zip(offset, gap, strict=True))
        y, x = divmod(i, width)
        for near_x, near_y in ((x, y - 1), (x, y + 1), (x - 1, y), (x + 1, y)):
            if 0 <= near_x < width and 0 <= near_y < height and offsets[near_y * width + near_x] == wanted:
                found.add(i)
                break
    return found
