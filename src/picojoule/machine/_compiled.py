"""The compiled engine: a layout as arrays, timed by machine._kernel. Needs Numba; values and checks stay in Python."""

from fractions import Fraction
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

from ._engine import DeadlockError, Engine
from ._layout import BUS, WAIT, Layout, Shape, space_of
from ._machine import ARBITRATIONS, Machine
from ._window import WindowEngine

Ints = NDArray[np.int64]
_TOP: Final = 1 << 62  # ticks that fit a machine word


class Timed(NamedTuple):
    """`ticks` until the end, and ticks of opening DRAM rows by slot."""

    ticks: int
    opening: list[int]


def available() -> bool:
    """Whether Numba is installed."""
    return find_spec("numba") is not None


def fits(layout: Layout, machine: Machine) -> bool:
    """Whether the compiled engine can hold a layout: no number above 62 bits, no more than four regions an instruction."""
    pages = -(-(1 << 32) // machine.rows.size) + 2 if machine.rows else 0  # that one move may open
    opening = machine.duration(machine.rows.activate + machine.rows.precharge) * pages if machine.rows else 0
    ticks = sum(count * (shape.ticks + opening + machine.ticks) for shape, count in layout.times().items())
    values = (abs(bound) for slot in layout.slots for name in slot.moves for bound in slot.reach(name))
    return ticks < _TOP and max(values, default=0) < _TOP and _regions(layout) <= 4


def time(layout: Layout, machine: Machine, source: str) -> Timed:
    """As Engine.run, to the tick. Raises DeadlockError with the same heads."""
    if not available():
        raise InputError("the compiled engine needs Numba, which is not installed", where="engine",
                         expected="engine='plain', or the extra `fast`", example="pip install 'picojoule[fast]'")  # fmt: skip
    from ._kernel import IN_LINE, OPENING, walk

    count = 3 * len(layout.queues)
    ids = np.concatenate([stream for queue in layout.queues for stream in queue.streams])
    first = _before([len(stream) for queue in layout.queues for stream in queue.streams])
    slots, agents, one = _slots(layout), _agents(layout), _scalars(layout, machine)
    ends = np.concatenate([np.column_stack([queue.ends + first[3 * a : 3 * a + 3], queue.cluster])
                           for a, queue in enumerate(layout.queues)])  # fmt: skip
    place, stop = first.copy(), np.concatenate([ends[agent[0], :3] for agent in agents])
    end, look, line = np.full(count, -1, np.int64), np.ones(count, np.bool_), np.zeros(count, np.int64)
    tokens, sems = np.zeros(3 * count, np.int64), np.zeros(256, np.int64)
    open_rows = np.full(machine.rows.banks if machine.rows else 0, -1, np.int64)
    if machine.window:
        ticks = _window(
            layout, machine, source, (slots, first, place, stop, look, line, agents, sems, ends, open_rows, one)
        )
        return Timed(ticks, slots[:, OPENING].tolist())
    ticks = int(walk(ids, slots, place, stop, end, look, line, agents, tokens, sems, ends, open_rows, one))
    if ticks < 0:
        engine = Engine(layout, machine, source)  # as the reference stands where the kernel stopped
        engine.place, engine.stop = (place - first).tolist(), (stop - first).tolist()
        engine.tokens, engine.sems, engine.line = tokens.tolist(), sems.tolist(), line[: one[IN_LINE]].tolist()
        _resume(engine, agents, slots)
        raise DeadlockError(engine.heads(), source, Fraction(-1 - ticks, machine.ticks))
    return Timed(ticks, slots[:, OPENING].tolist())


def _regions(layout: Layout) -> int:
    return max((len(slot.shape.reads) + len(slot.shape.writes) for slot in layout.slots), default=0)


def _window(layout: Layout, machine: Machine, source: str, state: tuple[Any, ...]) -> int:
    """As WindowEngine.run."""
    from ._kernel import EPOCH
    from ._kernel_window import BOUND, ENDED, ENTRY, FIRST, NEXT, OLDEST, RING, STATE, walk_window

    slots, first, place, stop, look, line, agents, sems, ends, open_rows, one = state
    orders = [queue.order[queue.order >= 0] for queue in layout.queues]
    rings = np.zeros((len(orders), RING), np.int64)
    rings[:, FIRST] = _before([len(order) for order in orders])
    rings[:, BOUND] = [queue.ends[0].sum() for queue in layout.queues]
    entries = np.zeros((len(orders), machine.window, ENTRY), np.int64)
    stands = np.zeros((len(orders), machine.window, machine.window), np.bool_)
    stream_of = np.array([slot.shape.stream for slot in layout.slots], np.int64)
    ticks = int(walk_window(np.concatenate(orders), slots, _spans(layout), stream_of, first, place, stop, look, line, agents,
                            sems, ends, open_rows, one, rings, entries, stands))  # fmt: skip
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
    """Regions of every slot: space, start, what steps add to it, length, rows, bytes, stride, whether it is written."""
    from ._kernel_window import SPACE, SPAN, SPANS, STEP

    spans = np.zeros((len(layout.slots), SPANS, SPAN), np.int64)
    spans[:, :, SPACE] = -1
    for number, slot in enumerate(layout.slots):
        parts = [(one, 0) for one in slot.shape.reads] + [(one, 1) for one in slot.shape.writes]
        for i, (one, writes) in enumerate(parts):
            start = slot.instruction.values[one.base] + one.offset
            space = space_of(one.scope, slot.shape.agent)
            spans[number, i] = (space, start, 0, 0, 0, 0, one.end - one.offset, one.rows, one.size, one.stride, writes)
            if one.base in slot.moves:
                spans[number, i, STEP : STEP + len(slot.trips)] = slot.moves[one.base]
    return spans


def _before(sizes: list[int]) -> Ints:
    return np.cumsum([0, *sizes[:-1]], dtype=np.int64)


def _slots(layout: Layout) -> Ints:
    """A row for each slot: that of its shape, and for what depends on addresses or rounds also its own part."""
    from ._kernel import BY, MOVED, SLOT, START, TRIPS

    shapes = dict.fromkeys(slot.shape for slot in layout.slots)
    places = {shape: i for i, shape in enumerate(shapes)}
    table = np.array([_row(shape) for shape in shapes], np.int64).reshape(len(shapes), SLOT)
    slots = table[[places[slot.shape] for slot in layout.slots]] if shapes else table
    for row, slot in zip(slots, layout.slots, strict=True):
        name = _ADDRESS.get(slot.shape.role)
        if name is not None:
            values = slot.instruction.values
            row[START] = values.get(name, 0)
        if slot.moves:
            row[MOVED] = 1
            row[TRIPS : TRIPS + len(slot.trips)] = slot.trips
            if name in slot.moves:
                row[BY : BY + len(slot.trips)] = slot.moves[name]
    return slots


_ADDRESS: Final = {BUS: "far", WAIT: "value"}


def _row(shape: Shape) -> tuple[int, ...]:
    """Ticks, role, two tokens waited for, two signalled, what is a slot's own, a region in DRAM, agent, two targets."""
    region = (0, 0, 0)
    if shape.role == BUS and shape.reads:
        far = (shape.reads + shape.writes)[shape.kind == "store"]
        region = (far.rows, far.size, far.stride)
    targets = [3 * shape.agent + token % 3 for token in shape.signals]
    tokens = (*(*shape.waits, -1, -1)[:2], *(*shape.signals, -1, -1)[:2])
    own = (0, *(0,) * 4, *(1,) * 4)  # start, steps, counts of loops
    return (shape.ticks, shape.role, *tokens, shape.sem, *own, *region, shape.agent, *(*targets, -1, -1)[:2], 0, 0, 0)


def _agents(layout: Layout) -> Ints:
    from ._kernel import AGENT, EPOCHS, FIRST_END, LEFT

    agents = np.zeros((len(layout.queues), AGENT), np.int64)
    agents[:, EPOCHS] = [len(queue.ends) for queue in layout.queues]
    agents[:, FIRST_END] = _before(agents[:, EPOCHS].tolist())
    agents[:, LEFT] = [queue.ends[0].sum() for queue in layout.queues]
    return agents


def _scalars(layout: Layout, machine: Machine) -> Ints:
    from ._kernel import ACTIVATE, ACTIVE, ARBITRATION, BANKS, LAST, ONE, OWNER, PAGE, PRECHARGE, SETTLED, SYNCS

    one, rows = np.zeros(ONE, np.int64), machine.rows
    one[[OWNER, LAST]], one[SETTLED] = -1, 1
    one[SYNCS] = sum(len(queue.ends) - 1 for queue in layout.queues)
    one[ACTIVE] = sum(len(queue.ends) > 1 or any(map(len, queue.streams)) for queue in layout.queues)
    one[ARBITRATION] = ARBITRATIONS.index(machine.arbitration)
    if rows:
        one[[PAGE, BANKS]] = rows.size, rows.banks
        one[[ACTIVATE, PRECHARGE]] = machine.duration(rows.activate), machine.duration(rows.precharge)
    return one


def _resume(engine: Engine, agents: Ints, slots: Ints) -> None:
    from ._kernel import EPOCH, LEFT, SEEN

    engine.epoch, engine.left = agents[:, EPOCH].tolist(), agents[:, LEFT].tolist()
    engine.seen = slots[:, SEEN].tolist()
