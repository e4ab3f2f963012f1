"""The compiled engine's inner loop: the same instants, passes and rules as machine._engine, over arrays, in Numba.

Imported only when it is wanted: loading Numba takes longer than timing a small program. A row of `shapes` is one shape of
the layout, of `moves` one slot whose fields steps move, of `agents` one agent, of `ends` one epoch; the names below are
their columns, and the places of `one`. `shape_of`, `start` (the first field that steps can move, in the first round) and
`moved` (its row of `moves`, or -1) are by slot. By stream there are: `place` and `stop` in `ids`, the `end` of what runs
(-1: nothing does), `look` (something happened to it), `line` (who stands at this place of the line for the bus).
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ._jit import jit
from ._layout import BUS, POST, WAIT

Ints = NDArray[np.int64]
Ids = NDArray[np.int32]
Flags = NDArray[np.bool_]
TICKS, ROLE, WAITS, SIGNALS, TARGETS, SEM = 0, 1, 2, 4, 6, 8  # WAITS, SIGNALS, TARGETS (streams of the signals): 2
ROWS, SIZE, STRIDE, AGENT_OF, STREAM_OF, OPENING = 9, 10, 11, 12, 13, 14
SEEN, TRIPS, BY, MOVE = 0, 1, 5, 17  # of a row of moves: rounds so far, counts of 4 loops, what they add to 3 fields
FIRST_END, EPOCHS, EPOCH, LEFT, AGENT = range(5)
CLUSTER = 3  # after the ends of the three streams
OWNER, LAST, IN_LINE, SYNCS, SETTLED, ACTIVE, ARBITRATION, PAGE, BANKS, ACTIVATE, PRECHARGE, MOVING, BEYOND, ONE = (
    range(14)
)
FIRST_COME: Final = 0
FIXED: Final = 1


def _value(start: int, moves: Ints, row: int, column: int) -> int:
    """A field that steps move, in the present round; `start` if row is -1."""
    if row < 0:
        return start
    number, found = moves[row, SEEN], start
    for level in range(3, -1, -1):
        trips = moves[row, TRIPS + level]
        if trips > 1:
            found += moves[row, BY + 4 * column + level] * (number % trips)
            number //= trips
    return int(found)


value: Final[Any] = jit(_value)


def _run(one: Ints, open_rows: Ints, first: int, size: int) -> int:
    """Ticks to open the rows of bytes one after the other."""
    low, high, banks = first // one[PAGE], (first + size - 1) // one[PAGE], one[BANKS]
    many = max(0, high - low + 1 - 2 * banks) // banks * banks
    ticks = many * (one[ACTIVATE] + one[PRECHARGE])
    at = low
    while at <= high:
        bank, row = at % banks, at // banks
        if open_rows[bank] != row:
            ticks += one[ACTIVATE]
            if open_rows[bank] >= 0:
                ticks += one[PRECHARGE]
            open_rows[bank] = row
        at += 1
        if at == low + banks:
            at += many
    return int(ticks)


run: Final[Any] = jit(_run)


def _opening_at(shapes: Ints, one: Ints, open_rows: Ints, shape: int, far: int) -> int:
    """Ticks to open the rows that a move from or to `far` touches."""
    rows, size = shapes[shape, ROWS], shapes[shape, SIZE]
    if shapes[shape, STRIDE] == size:
        size, rows = size * rows, 1
    opening = 0
    for row in range(rows):
        opening += run(one, open_rows, far + row * shapes[shape, STRIDE], size)
    shapes[shape, OPENING] += opening
    return opening


opening_at: Final[Any] = jit(_opening_at)


def _next_in_line(line: Ints, one: Ints) -> int:
    """Who of the line is next for the bus."""
    best, many = line[0], len(line)
    if one[ARBITRATION] == FIRST_COME:
        return int(best)
    for i in range(1, one[IN_LINE]):
        other = line[i]
        if one[ARBITRATION] == FIXED:
            best = min(best, other)
        elif (other - one[LAST] - 1) % many < (best - one[LAST] - 1) % many:
            best = other
    return int(best)


next_in_line: Final[Any] = jit(_next_in_line)


def _in_turn(line: Ints, one: Ints, s: int) -> bool:
    """Stand in line; whether the bus is free and it is this stream's turn, which then takes it."""
    at = 0
    while at < one[IN_LINE] and line[at] != s:
        at += 1
    if at == one[IN_LINE]:
        line[at] = s
        one[IN_LINE] += 1
    if one[OWNER] >= 0 or next_in_line(line, one) != s:
        return False
    for i in range(at, one[IN_LINE] - 1):
        line[i] = line[i + 1]
    one[IN_LINE] -= 1
    one[OWNER] = one[LAST] = s
    return True


in_turn: Final[Any] = jit(_in_turn)


def _next_epoch(place: Ints, stop: Ints, look: Flags, agents: Ints, ends: Ints, one: Ints) -> bool:
    """Let agents pass their `sync`; whether one did."""
    waiting = 0
    for agent in range(len(agents)):
        if agents[agent, LEFT] == 0 and ends[agents[agent, FIRST_END] + agents[agent, EPOCH], CLUSTER]:
            waiting += 1
    one[SETTLED] = 0
    passed = False
    for agent in range(len(agents)):
        at = agents[agent, FIRST_END] + agents[agent, EPOCH]
        last = agents[agent, EPOCH] + 1 == agents[agent, EPOCHS]
        if agents[agent, LEFT] or last or (ends[at, CLUSTER] and waiting < one[ACTIVE]):
            continue
        passed = True
        agents[agent, EPOCH] += 1
        one[SYNCS] -= 1
        for stream in range(3):
            s = 3 * agent + stream
            stop[s] = ends[at + 1, stream]
            agents[agent, LEFT] += stop[s] - place[s]
            look[s] = True
        if agents[agent, LEFT] == 0:
            one[SETTLED] = 1
    return passed


next_epoch: Final[Any] = jit(_next_epoch)


def _walk(  # noqa: PLR0915 - one body, because handing arrays to helpers costs more than the work
    ids: Ids, shape_of: Ids, shapes: Ints, start: Ints, moved: Ids, moves: Ints, place: Ints, stop: Ints, end: Ints,
    look: Flags, line: Ints, agents: Ints, tokens: Ints, sems: Ints, ends: Ints, open_rows: Ints, one: Ints,
) -> int:  # fmt: skip
    """Ticks until everything has ended, or -1 - the tick of a deadlock.

    A round of `s` over the streams either ends what ends now, or is a pass that issues; what takes no time ends in it.
    After a round `after` is the next tick at which something ends. The streams from `one[BEYOND]` on are empty.
    """
    count, now, passing, more = one[BEYOND], 0, True, False
    while True:
        after = -1
        for s in range(count):
            at = place[s]
            if passing and look[s]:
                look[s] = False
                if end[s] < 0 and at < stop[s]:
                    slot = ids[at]
                    shape = shape_of[slot]
                    first, second, role = shapes[shape, WAITS], shapes[shape, WAITS + 1], shapes[shape, ROLE]
                    ready = (first < 0 or tokens[first] > 0) and (second < 0 or tokens[second] > 0)
                    if ready and role == BUS:
                        if one[OWNER] < 0 and not one[IN_LINE]:
                            one[OWNER] = one[LAST] = s
                        else:
                            ready = in_turn(line, one, s)
                    elif ready and role == WAIT:
                        row = moved[slot] if one[MOVING] else -1
                        ready = sems[shapes[shape, SEM]] >= value(start[slot], moves, row, 0)
                    if ready:
                        if first >= 0:
                            tokens[first] -= 1
                        if second >= 0:
                            tokens[second] -= 1
                        end[s] = now + shapes[shape, TICKS]
                        if role == BUS and one[BANKS]:
                            row = moved[slot] if one[MOVING] else -1
                            far = value(start[slot], moves, row, 0)
                            end[s] += opening_at(shapes, one, open_rows, shape, far)
                        if one[MOVING] and moved[slot] >= 0:
                            moves[moved[slot], SEEN] += 1
                        more = more or end[s] == now
            if end[s] == now:
                shape = shape_of[ids[at]]
                end[s] = -1
                place[s] = at + 1
                look[s] = True
                first, second, agent = shapes[shape, SIGNALS], shapes[shape, SIGNALS + 1], shapes[shape, AGENT_OF]
                if first >= 0:
                    tokens[first] += 1
                    look[shapes[shape, TARGETS]] = True
                if second >= 0:
                    tokens[second] += 1
                    look[shapes[shape, TARGETS + 1]] = True
                if shapes[shape, ROLE] == BUS:
                    one[OWNER] = -1
                    if one[IN_LINE]:  # nobody else who stands there can be the next
                        look[next_in_line(line, one)] = True
                elif shapes[shape, ROLE] == POST:
                    sems[shapes[shape, SEM]] += 1
                    look[:] = True
                agents[agent, LEFT] -= 1
                if agents[agent, LEFT] == 0:
                    one[SETTLED] = 1
            if end[s] >= 0 and (after < 0 or end[s] < after):
                after = end[s]
        if not passing:
            passing = True
            continue
        while not more and one[SYNCS] and one[SETTLED]:
            more = next_epoch(place, stop, look, agents, ends, one)
        if more:
            more = False
            continue
        if after < 0:
            break
        now, passing = after, False
    for s in range(count):
        if place[s] < stop[s]:
            return -1 - now
    return now if one[SYNCS] == 0 else -1 - now


walk: Final[Any] = jit(_walk)
