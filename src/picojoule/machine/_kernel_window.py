"""The compiled twin of machine._window: out-of-order issue over arrays, in Numba.

A row of `spans` is one region of one slot, `SPANS` to a slot. Place p in the order of an agent stands in entry p % window of
its ring; `entries` has its state, how many earlier ones stand against it, its value of a wait, its address in DRAM, and the
start of each region in its round; `stands` says entry by entry who stands against whom.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ._kernel import (
    AGENT_OF,
    BANKS,
    BY,
    LEFT,
    OWNER,
    ROLE,
    SEEN,
    SEM,
    SETTLED,
    START,
    SYNCS,
    TICKS,
    TRIPS,
    Flags,
    Ids,
    Ints,
    _jit,
    in_turn,
    next_epoch,
    opening_at,
)
from ._layout import BUS, POST, WAIT

Stands = NDArray[np.bool_]  # (agents, window, window)
SPACE, FROM, STEP, LENGTH, LINES, BYTES, APART, WRITES, SPAN = 0, 1, 2, 6, 7, 8, 9, 10, 11  # STEP: 4
SPANS: Final = 4
STATE, AGAINST, VALUE, STARTS, ENTRY = 0, 1, 2, 3, 3 + SPANS
ENDED, STANDING, RUNNING = range(3)
OLDEST, NEXT, BOUND, FIRST, RING = range(
    5
)  # of an agent: places in its order, where its epoch ends, its place in `order`


def _at_round(slots: Ints, slot: int, start: int, row: Ints, by: int) -> int:
    """A number that steps move, in the round that the slot is in."""
    number, found = slots[slot, SEEN], start
    for level in range(3, -1, -1):
        trips = slots[slot, TRIPS + level]
        if trips > 1:
            found += row[by + level] * (number % trips)
            number //= trips
    return int(found)


at_round: Final[Any] = _jit(_at_round)


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


overlaps: Final[Any] = _jit(_overlaps)


def _conflict(spans: Ints, entries: Ints, a: int, slot: int, here: int, other: int, there: int) -> bool:
    """Whether two instructions touch a byte that one of them writes."""
    for i in range(SPANS):
        if spans[slot, i, SPACE] < 0:
            break
        x, x_end = entries[a, here, STARTS + i], entries[a, here, STARTS + i] + spans[slot, i, LENGTH]
        for j in range(SPANS):
            if spans[other, j, SPACE] < 0:
                break
            if spans[slot, i, SPACE] != spans[other, j, SPACE] or not (
                spans[slot, i, WRITES] or spans[other, j, WRITES]
            ):
                continue
            y = entries[a, there, STARTS + j]
            if x < y + spans[other, j, LENGTH] and y < x_end and overlaps(spans[slot, i], x, spans[other, j], y):
                return True
    return False


conflict: Final[Any] = _jit(_conflict)


def _fill(order: Ids, slots: Ints, spans: Ints, rings: Ints, entries: Ints, stands: Stands, a: int) -> None:
    """Bring the window of one agent up to where it may reach."""
    window = entries.shape[1]
    while rings[a, NEXT] < min(rings[a, OLDEST] + window, rings[a, BOUND]):
        at = rings[a, NEXT]
        slot, here = order[rings[a, FIRST] + at], at % window
        entries[a, here, STATE], entries[a, here, AGAINST] = STANDING, 0
        entries[a, here, VALUE] = at_round(slots, slot, slots[slot, START], slots[slot], BY)
        for i in range(SPANS):
            entries[a, here, STARTS + i] = at_round(slots, slot, spans[slot, i, FROM], spans[slot, i], STEP)
        alone = slots[slot, ROLE] == POST or slots[slot, ROLE] == WAIT
        for earlier in range(rings[a, OLDEST], at):
            there = earlier % window
            if entries[a, there, STATE] != ENDED:
                other = order[rings[a, FIRST] + earlier]
                if alone or conflict(spans, entries, a, slot, here, other, there):
                    stands[a, here, there] = True
                    entries[a, here, AGAINST] += 1
        slots[slot, SEEN] += 1
        rings[a, NEXT] += 1


fill: Final[Any] = _jit(_fill)


def _oldest_free(order: Ids, slots: Ints, stream_of: Ints, sems: Ints, rings: Ints, entries: Ints, s: int) -> int:
    """The place of the oldest instruction of a stream that nothing earlier stands against; -1: none."""
    a, stream = s // 3, s % 3
    for at in range(rings[a, OLDEST], rings[a, NEXT]):
        here = at % entries.shape[1]
        state = entries[a, here, STATE]
        if state == ENDED:
            continue
        slot = order[rings[a, FIRST] + at]
        free = state == STANDING and entries[a, here, AGAINST] == 0 and stream_of[slot] == stream
        if free and (slots[slot, ROLE] != WAIT or sems[slots[slot, SEM]] >= entries[a, here, VALUE]):
            return int(at)
        if slots[slot, ROLE] == WAIT:
            break
    return -1


oldest_free: Final[Any] = _jit(_oldest_free)


def _finish(order: Ids, slots: Ints, place: Ints, agents: Ints, sems: Ints, one: Ints, rings: Ints, entries: Ints,
            stands: Stands, s: int, at: int) -> None:  # fmt: skip
    """End what runs on stream s, from place `at` of its agent's order."""
    window, a = entries.shape[1], s // 3
    slot, here = order[rings[a, FIRST] + at], at % window
    entries[a, here, STATE] = ENDED
    for other in range(window):
        if stands[a, other, here]:
            stands[a, other, here] = False
            entries[a, other, AGAINST] -= 1
    while rings[a, OLDEST] < rings[a, NEXT] and entries[a, rings[a, OLDEST] % window, STATE] == ENDED:
        rings[a, OLDEST] += 1
    if slots[slot, ROLE] == BUS:
        one[OWNER] = -1
    elif slots[slot, ROLE] == POST:
        sems[slots[slot, SEM]] += 1
    place[s] += 1
    agents[slots[slot, AGENT_OF], LEFT] -= 1
    if agents[slots[slot, AGENT_OF], LEFT] == 0:
        one[SETTLED] = 1


finish: Final[Any] = _jit(_finish)


def _walk_window(order: Ids, slots: Ints, spans: Ints, stream_of: Ints, first: Ints, place: Ints, stop: Ints, look: Flags,
                 line: Ints, agents: Ints, sems: Ints, ends: Ints, open_rows: Ints, one: Ints, rings: Ints, entries: Ints,
                 stands: Stands) -> int:  # fmt: skip
    """Ticks until everything has ended, or -1 - the tick of a deadlock."""
    count, now = len(place), 0
    end, running, kept = np.full(count, -1), np.full(count, -1), np.full(count, -1)
    while True:
        moved = True
        while moved:
            moved = False
            for s in range(count):
                a = s // 3
                if rings[a, NEXT] < min(rings[a, OLDEST] + entries.shape[1], rings[a, BOUND]):
                    fill(order, slots, spans, rings, entries, stands, a)
                if end[s] >= 0:
                    continue
                at = kept[s]
                if at < 0:
                    at = oldest_free(order, slots, stream_of, sems, rings, entries, s)
                if at < 0:
                    continue
                slot, here = order[rings[a, FIRST] + at], at % entries.shape[1]
                ticks = slots[slot, TICKS]
                if slots[slot, ROLE] == BUS:
                    kept[s] = at
                    if not in_turn(line, one, s):
                        continue
                    kept[s] = -1
                    if one[BANKS]:
                        ticks += opening_at(slots, one, open_rows, slot, entries[a, here, VALUE])
                entries[a, here, STATE] = RUNNING
                running[s], end[s], moved = at, now + ticks, True
                if not ticks:
                    end[s] = -1
                    finish(order, slots, place, agents, sems, one, rings, entries, stands, s, at)
            while not moved and one[SYNCS] and one[SETTLED]:
                moved = next_epoch(place, stop, look, agents, ends, one)
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
                finish(order, slots, place, agents, sems, one, rings, entries, stands, s, running[s])
    for s in range(count):
        if place[s] < stop[s]:
            return -1 - now
    return now if one[SYNCS] == 0 else -1 - now


walk_window: Final[Any] = _jit(_walk_window)
