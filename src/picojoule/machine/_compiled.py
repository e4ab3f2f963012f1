"""The compiled engine: a layout as arrays, timed by machine._kernel. Needs Numba; values and checks stay in Python."""

from fractions import Fraction
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

from ._code import STEPS
from ._engine import DeadlockError, Engine
from ._layout import ROW, WAIT, Layout, space_of, ticks_of
from ._machine import ARBITRATIONS, Machine
from ._window import WindowEngine

Ints = NDArray[np.int64]
_TOP: Final = 1 << 62  # ticks that fit a machine word


class Timed(NamedTuple):
    """`ticks` until the end, and ticks of opening DRAM rows by shape."""

    ticks: int
    opening: list[int]


class Columns(NamedTuple):
    """The layout as the kernels take it: see machine._kernel."""

    shape_of: NDArray[np.int32]
    shapes: Ints
    start: Ints
    moved: NDArray[np.int32]
    moves: Ints


def available() -> bool:
    """Whether Numba is installed."""
    return find_spec("numba") is not None


def fits(layout: Layout, machine: Machine) -> bool:
    """Whether the compiled engine can hold a layout: no number above 62 bits, no more than four regions an instruction."""
    pages = -(-(1 << 32) // machine.rows.size) + 2 if machine.rows else 0  # that one move may open
    opening = machine.duration(machine.rows.activate + machine.rows.precharge) * pages if machine.rows else 0
    ticks = float(layout.times.astype(np.float64) @ ticks_of(layout).astype(np.float64))
    ticks += float(layout.times.sum()) * float(opening + machine.ticks)
    values = (abs(bound) for slot in layout.slots.moving.values() for name in slot.moves for bound in slot.reach(name))
    return ticks < _TOP and max(values, default=0) < _TOP and _regions(layout) <= 4


def time(layout: Layout, machine: Machine, source: str) -> Timed:
    """As Engine.run, to the tick. Raises DeadlockError with the same heads."""
    if not available():
        raise InputError("the compiled engine needs Numba, which is not installed", where="engine",
                         expected="engine='plain', or the extra `fast`", example="pip install 'picojoule[fast]'")  # fmt: skip
    from ._kernel import IN_LINE, MOVING, OPENING, walk

    count = 3 * len(layout.queues)
    ids = np.concatenate([stream for queue in layout.queues for stream in queue.streams])
    first = _before([len(stream) for queue in layout.queues for stream in queue.streams])
    columns, agents, one = _columns(layout, machine), _agents(layout), _scalars(layout, machine)
    one[MOVING] = len(columns.moves)
    ends = np.concatenate([np.column_stack([queue.ends + first[3 * a : 3 * a + 3], queue.cluster])
                           for a, queue in enumerate(layout.queues)])  # fmt: skip
    place, stop = first.copy(), np.concatenate([ends[agent[0], :3] for agent in agents])
    end, look, line = np.full(count, -1, np.int64), np.ones(count, np.bool_), np.zeros(count, np.int64)
    tokens, sems = np.zeros(3 * count, np.int64), np.zeros(256, np.int64)
    open_rows = np.full(machine.rows.banks if machine.rows else 0, -1, np.int64)
    if machine.window:
        ticks = _window(
            layout, machine, source, columns, (first, place, stop, look, line, agents, sems, ends, open_rows, one)
        )
        return Timed(ticks, columns.shapes[:, OPENING].tolist())
    columns = columns._replace(start=np.ascontiguousarray(columns.start[:, 0]))
    ticks = int(walk(ids, *columns, place, stop, end, look, line, agents, tokens, sems, ends, open_rows, one))
    if ticks < 0:
        engine = Engine(layout, machine, source)  # as the reference stands where the kernel stopped
        engine.place, engine.stop = (place - first).tolist(), (stop - first).tolist()
        engine.tokens, engine.sems, engine.line = tokens.tolist(), sems.tolist(), line[: one[IN_LINE]].tolist()
        _resume(engine, agents, columns)
        raise DeadlockError(engine.heads(), source, Fraction(-1 - ticks, machine.ticks))
    return Timed(ticks, columns.shapes[:, OPENING].tolist())


def _regions(layout: Layout) -> int:
    return max((len(shape.reads) + len(shape.writes) for shape in layout.slots.shapes), default=0)


def _window(layout: Layout, machine: Machine, source: str, columns: Columns, state: tuple[Any, ...]) -> int:
    """As WindowEngine.run."""
    from ._kernel import EPOCH
    from ._kernel_window import BOUND, ENDED, ENTRY, FIRST, NEXT, OLDEST, RING, STATE, walk_window

    agents, sems = state[5:7]
    orders = [queue.order[queue.order >= 0] for queue in layout.queues]
    rings = np.zeros((len(orders), RING), np.int64)
    rings[:, FIRST] = _before([len(order) for order in orders])
    rings[:, BOUND] = [queue.ends[0].sum() for queue in layout.queues]
    entries = np.zeros((len(orders), machine.window, ENTRY), np.int64)
    stands = np.zeros((len(orders), machine.window, machine.window), np.bool_)
    ticks = int(walk_window(np.concatenate(orders), *columns, _spans(layout), *state, rings, entries, stands))
    if ticks >= 0:
        return ticks
    engine = WindowEngine(layout, machine, source)  # as the reference stands where the kernel stopped
    engine.orders, engine.epoch, engine.sems = (
        [order.tolist() for order in orders],
        agents[:, EPOCH].tolist(),
        sems.tolist(),
    )
    for agent, (ring, order) in enumerate(zip(rings, orders, strict=True)):
        for at in range(ring[OLDEST], ring[NEXT]):
            if entries[agent, at % machine.window, STATE] != ENDED:
                number = int(np.count_nonzero(order[:at] == order[at]))
                engine.windows[agent][at] = layout.slots[order[at]].op(number)
    raise DeadlockError(engine.heads(), source, Fraction(-1 - ticks, machine.ticks))


def _spans(layout: Layout) -> Ints:
    """Regions of every shape: space, the field it starts at and what is added, length, rows, bytes, stride, if written."""
    from ._kernel_window import SPACE, SPAN, SPANS

    shapes = layout.slots.shapes
    spans = np.zeros((len(shapes), SPANS, SPAN), np.int64)
    spans[:, :, SPACE] = -1
    for number, shape in enumerate(shapes):
        parts = [(one, 0) for one in shape.reads] + [(one, 1) for one in shape.writes]
        for i, (one, writes) in enumerate(parts):
            space = space_of(one.scope, shape.agent)
            spans[number, i] = (
                space,
                one.field,
                one.offset,
                one.end - one.offset,
                one.rows,
                one.size,
                one.stride,
                writes,
            )
    return spans


def _before(sizes: list[int]) -> Ints:
    return np.cumsum([0, *sizes[:-1]], dtype=np.int64)


def _columns(layout: Layout, machine: Machine) -> Columns:
    from ._kernel import BY, MOVE, TRIPS

    slots = layout.slots
    shapes = np.concatenate(
        [np.zeros((0, ROW), np.int64), *slots.rows]
    )  # its own: ticks of DRAM rows are counted there
    needed = machine.window or machine.rows or any(shape.role == WAIT for shape in slots.shapes)
    start = slots.addresses() if needed else np.zeros((0, STEPS), np.int64)
    moved = np.full(len(slots) if slots.moving else 0, -1, np.int32)
    moves = np.zeros((len(slots.moving), MOVE), np.int64)
    moves[:, TRIPS : TRIPS + 4] = 1
    for row, (number, slot) in enumerate(slots.moving.items()):
        moved[number] = row
        moves[row, TRIPS : TRIPS + len(slot.trips)] = slot.trips
        for column, name in enumerate(slot.instruction.spec.steps):
            by = slot.moves.get(name, ())
            moves[row, BY + 4 * column : BY + 4 * column + len(by)] = by
    return Columns(slots.shape_of, shapes, start, moved, moves)


def _agents(layout: Layout) -> Ints:
    from ._kernel import AGENT, EPOCHS, FIRST_END, LEFT

    agents = np.zeros((len(layout.queues), AGENT), np.int64)
    agents[:, EPOCHS] = [len(queue.ends) for queue in layout.queues]
    agents[:, FIRST_END] = _before(agents[:, EPOCHS].tolist())
    agents[:, LEFT] = [queue.ends[0].sum() for queue in layout.queues]
    return agents


def _scalars(layout: Layout, machine: Machine) -> Ints:
    from ._kernel import ACTIVATE, ACTIVE, ARBITRATION, BANKS, BEYOND, LAST, ONE, OWNER, PAGE, PRECHARGE, SETTLED, SYNCS

    one, rows = np.zeros(ONE, np.int64), machine.rows
    one[[OWNER, LAST]], one[SETTLED] = -1, 1
    one[SYNCS] = sum(len(queue.ends) - 1 for queue in layout.queues)
    lengths = [len(stream) for queue in layout.queues for stream in queue.streams]
    one[BEYOND] = max((s + 1 for s, length in enumerate(lengths) if length), default=0)
    one[ACTIVE] = sum(len(queue.ends) > 1 or any(map(len, queue.streams)) for queue in layout.queues)
    one[ARBITRATION] = ARBITRATIONS.index(machine.arbitration)
    if rows:
        one[[PAGE, BANKS]] = rows.size, rows.banks
        one[[ACTIVATE, PRECHARGE]] = machine.duration(rows.activate), machine.duration(rows.precharge)
    return one


def _resume(engine: Engine, agents: Ints, columns: Columns) -> None:
    from ._kernel import EPOCH, LEFT, SEEN

    engine.epoch, engine.left = agents[:, EPOCH].tolist(), agents[:, LEFT].tolist()
    for slot in np.flatnonzero(columns.moved >= 0).tolist():
        engine.seen[slot] = int(columns.moves[columns.moved[slot], SEEN])
