"""The compiled twin of machine._window: out-of-order issue over arrays, in Numba.

A row of `spans` is one region of one shape, `SPANS` to a shape; `start` has the fields that steps can move, by slot. Place
p in the order of an agent stands in entry p % window of its ring; `entries` has its state, how many earlier ones stand
against it, its value of a wait, its address in DRAM, and the start of each region in its round; `stands` says entry by
entry who stands against whom.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ._jit import jit
from ._kernel import (
    AGENT_OF,
    BANKS,
    LEFT,
    MOVING,
    OWNER,
    ROLE,
    SEEN,
    SEM,
    SETTLED,
    STREAM_OF,
    SYNCS,
    TICKS,
    Flags,
    Ids,
    Ints,
    in_turn,
    next_epoch,
    opening_at,
    value,
)
from ._layout import BUS, POST, WAIT

Stands = NDArray[np.bool_]  # (agents, window, window)
SPACE, FIELD, FROM, LENGTH, LINES, BYTES, APART, WRITES, SPAN = range(9)  # FROM: what is added to the field
SPANS: Final = 4
STATE, AGAINST, VALUE, STARTS, ENTRY = 0, 1, 2, 3, 3 + SPANS
ENDED, STANDING, RUNNING = range(3)
OLDEST, NEXT, BOUND, FIRST, RING = range(
    5
)  # of an agent: places in its order, where its epoch ends, its place in `order`


def _overlaps(a: Ints, x: int, b: Ints, y: int) -> bool:
    """Whether region a from byte x and region b from byte y share a byte."""
    if a[SPACE] != b[SPACE] or x >= y + b[LENGTH] or y >= x + a[LENGTH]:
        return False
    if a[LINES] == 1 and b[LINES] == 1:
        return True
    for row in range(a[LINES]):
        start = x + row * a[APART]
        first = max(0, -(-(start - y - b[BYTES] + 1) // b[APART]))
        if first < b[LINES] and y + first * b[APART] < start + a[BYTES]:
            return True
    return False


overlaps: Final[Any] = jit(_overlaps)


def _conflict(spans: Ints, entries: Ints, a: int, shape: int, here: int, other: int, there: int) -> bool:
    """Whether two instructions touch a byte that one of them writes."""
    for i in range(SPANS):
        if spans[shape, i, SPACE] < 0:
            break
        x, x_end = entries[a, here, STARTS + i], entries[a, here, STARTS + i] + spans[shape, i, LENGTH]
        for j in range(SPANS):
            if spans[other, j, SPACE] < 0:
                break
            if spans[shape, i, SPACE] != spans[other, j, SPACE] or not (
                spans[shape, i, WRITES] or spans[other, j, WRITES]
            ):
                continue
            y = entries[a, there, STARTS + j]
            if x < y + spans[other, j, LENGTH] and y < x_end and overlaps(spans[shape, i], x, spans[other, j], y):
                return True
    return False


conflict: Final[Any] = jit(_conflict)


def _fill(order: Ids, shape_of: Ids, shapes: Ints, start: Ints, moved: Ids, moves: Ints, spans: Ints, rings: Ints,
          entries: Ints, stands: Stands, one: Ints, a: int) -> None:  # fmt: skip
    """Bring the window of one agent up to where it may reach."""
    window = entries.shape[1]
    while rings[a, NEXT] < min(rings[a, OLDEST] + window, rings[a, BOUND]):
        at = rings[a, NEXT]
        slot, here = order[rings[a, FIRST] + at], at % window
        shape, row = shape_of[slot], moved[slot] if one[MOVING] else -1
        entries[a, here, STATE], entries[a, here, AGAINST] = STANDING, 0
        entries[a, here, VALUE] = value(start[slot, 0], moves, row, 0)
        for i in range(SPANS):
            if spans[shape, i, SPACE] < 0:
                break
            column = spans[shape, i, FIELD]
            entries[a, here, STARTS + i] = spans[shape, i, FROM] + value(start[slot, column], moves, row, column)
        alone = shapes[shape, ROLE] == POST or shapes[shape, ROLE] == WAIT
        for earlier in range(rings[a, OLDEST], at):
            there = earlier % window
            if entries[a, there, STATE] != ENDED:
                other = shape_of[order[rings[a, FIRST] + earlier]]
                if alone or conflict(spans, entries, a, shape, here, other, there):
                    stands[a, here, there] = True
                    entries[a, here, AGAINST] += 1
        if row >= 0:
            moves[row, SEEN] += 1
        rings[a, NEXT] += 1


fill: Final[Any] = jit(_fill)


def _oldest_free(order: Ids, shape_of: Ids, shapes: Ints, sems: Ints, rings: Ints, entries: Ints, s: int) -> int:
    """The place of the oldest instruction of a stream that nothing earlier stands against; -1: none."""
    a, stream = s // 3, s % 3
    for at in range(rings[a, OLDEST], rings[a, NEXT]):
        here = at % entries.shape[1]
        state = entries[a, here, STATE]
        if state == ENDED:
            continue
        shape = shape_of[order[rings[a, FIRST] + at]]
        free = state == STANDING and entries[a, here, AGAINST] == 0 and shapes[shape, STREAM_OF] == stream
        if free and (shapes[shape, ROLE] != WAIT or sems[shapes[shape, SEM]] >= entries[a, here, VALUE]):
            return int(at)
        if shapes[shape, ROLE] == WAIT:
            break
    return -1


oldest_free: Final[Any] = jit(_oldest_free)


def _finish(order: Ids, shape_of: Ids, shapes: Ints, place: Ints, agents: Ints, sems: Ints, one: Ints, rings: Ints,
            entries: Ints, stands: Stands, s: int, at: int) -> None:  # fmt: skip
    """End what runs on stream s, from place `at` of its agent's order."""
    window, a = entries.shape[1], s // 3
    shape, here = shape_of[order[rings[a, FIRST] + at]], at % window
    entries[a, here, STATE] = ENDED
    for other in range(window):
        if stands[a, other, here]:
            stands[a, other, here] = False
            entries[a, other, AGAINST] -= 1
    while rings[a, OLDEST] < rings[a, NEXT] and entries[a, rings[a, OLDEST] % window, STATE] == ENDED:
        rings[a, OLDEST] += 1
    if shapes[shape, ROLE] == BUS:
        one[OWNER] = -1
    elif shapes[shape, ROLE] == POST:
        sems[shapes[shape, SEM]] += 1
    place[s] += 1
    agents[shapes[shape, AGENT_OF], LEFT] -= 1
    if agents[shapes[shape, AGENT_OF], LEFT] == 0:
        one[SETTLED] = 1


finish: Final[Any] = jit(_finish)


def _walk_window(order: Ids, shape_of: Ids, shapes: Ints, start: Ints, moved: Ids, moves: Ints, spans: Ints, first: Ints,
                 place: Ints, stop: Ints, look: Flags, line: Ints, agents: Ints, sems: Ints, ends: Ints, open_rows: Ints,
                 one: Ints, rings: Ints, entries: Ints, stands: Stands) -> int:  # fmt: skip
    """Ticks until everything has ended, or -1 - the tick of a deadlock."""
    count, now = len(place), 0
    end, running, kept = np.full(count, -1), np.full(count, -1), np.full(count, -1)
    while True:
        more = True
        while more:
            more = False
            for s in range(count):
                a = s // 3
                if rings[a, NEXT] < min(rings[a, OLDEST] + entries.shape[1], rings[a, BOUND]):
                    fill(order, shape_of, shapes, start, moved, moves, spans, rings, entries, stands, one, a)
                if end[s] >= 0:
                    continue
                at = kept[s]
                if at < 0:
                    at = oldest_free(order, shape_of, shapes, sems, rings, entries, s)
                if at < 0:
                    continue
                shape, here = shape_of[order[rings[a, FIRST] + at]], at % entries.shape[1]
                ticks = shapes[shape, TICKS]
                if shapes[shape, ROLE] == BUS:
                    kept[s] = at
                    if not in_turn(line, one, s):
                        continue
                    kept[s] = -1
                    if one[BANKS]:
                        ticks += opening_at(shapes, one, open_rows, shape, entries[a, here, VALUE])
                entries[a, here, STATE] = RUNNING
                running[s], end[s], more = at, now + ticks, True
                if not ticks:
                    end[s] = -1
                    finish(order, shape_of, shapes, place, agents, sems, one, rings, entries, stands, s, at)
            while not more and one[SYNCS] and one[SETTLED]:
                more = next_epoch(place, stop, look, agents, ends, one)
                for s in range(count):
                    rings[s // 3, BOUND] += (stop[s] - first[s]) - (rings[s // 3, BOUND] if s % 3 == 0 else 0)
        after = -1
        for s in range(count):
            if end[s] >= 0 and (after < 0 or end[s] < after):
                after = end[s]
        if after < 0:
            break
        now = after
        for s in range(count):
            if end[s] == now:
                end[s] = -1
                finish(order, shape_of, shapes, place, agents, sems, one, rings, entries, stands, s, running[s])
    for s in range(count):
        if place[s] < stop[s]:
            return -1 - now
    return now if one[SYNCS] == 0 else -1 - now


walk_window: Final[Any] = jit(_walk_window)
