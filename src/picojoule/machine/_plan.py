"""A program laid out for one machine: loops as arrays, tokens and durations worked out, every address checked."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picojoule.hardware import Action
from picojoule.quantity import InputError

from ._assembler import line_of
from ._decoder import MEET, Decoder, Dispatch
from ._isa import ASYNC, SPECS, Instruction, Region, Spec, Values
from ._machine import SCOPES, Machine
from ._program import Program

LIMIT: Final = 1_000_000  # instructions after unrolling, where Python walks them
COMPILED_LIMIT: Final = 20_000_000  # and where the compiled engine does
PLAIN, BUS, WAIT, POST = range(4)  # what an instruction needs besides its stream and its tokens
Order = NDArray[np.int32]


class Span(NamedTuple):
    """A region of one memory: `space` 0 is DRAM, 1 SharedRAM, 2 + 2a and 3 + 2a NRAM and WRAM of agent a."""

    space: int
    start: int
    end: int
    rows: int
    size: int
    stride: int


class Pattern(NamedTuple):
    """A region whose start is a field that `step` may move, plus an offset; without a field, the offset alone."""

    scope: str
    base: str
    offset: int
    rows: int
    size: int
    stride: int

    @property
    def end(self) -> int:
        """One past the last byte, from the field on."""
        return self.offset + (self.rows - 1) * self.stride + self.size


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What instructions of one agent that differ in addresses only have in common.

    Token t is from stream t // 3 % 3 to stream t % 3 of agent t // 9. `kind` is what they keep busy.
    """

    agent: int
    stream: int
    role: int
    kind: str
    sem: int  # the counter of a wait or a post
    ticks: int
    waits: tuple[int, ...]
    signals: tuple[int, ...]
    reads: tuple[Pattern, ...]
    writes: tuple[Pattern, ...]
    counts: Mapping[Action, int]


class Op:
    """One instruction in one round of its loops."""

    __slots__ = ("agent", "instruction", "reads", "stream", "values", "writes")

    def __init__(self, slot: "Slot", round_: int) -> None:
        shape = slot.shape
        self.instruction, self.agent, self.stream = slot.instruction, shape.agent, shape.stream
        self.values = slot.values(round_)
        self.reads = tuple(_span(one, self.values, shape.agent) for one in shape.reads)
        self.writes = tuple(_span(one, self.values, shape.agent) for one in shape.writes)

    @property
    def text(self) -> str:
        """The instruction as written, and its line."""
        line = f" (line {self.instruction.line})" if self.instruction.line else ""
        return line_of(Instruction(self.instruction.name, self.values, self.instruction.tokens)) + line


class Slot:
    """One word of an agent's code, ready to issue as often as its loops say.

    `moves` are the fields that `step` moves, with what one round of each loop around it adds.
    """

    __slots__ = ("_op", "instruction", "moves", "shape", "trips")

    def __init__(self, one: Dispatch, shape: Shape) -> None:
        self.instruction, self.trips, self.shape = one.instruction, one.trips, shape
        self.moves = _moves(one) if one.steps else _STILL
        self._op: Op | None = None

    def rounds(self, number: int) -> list[int]:
        """The round of each loop around it, outermost first, when it is run for the `number`-th time (0: the first)."""
        found = [0] * len(self.trips)
        for level in range(len(self.trips) - 1, -1, -1):
            number, found[level] = divmod(number, self.trips[level])
        return found

    def value(self, name: str, number: int) -> int:
        """One field in that round."""
        start = self.instruction.values[name]
        if name not in self.moves:
            return start
        return start + sum(by * at for by, at in zip(self.moves[name], self.rounds(number), strict=True))

    def values(self, number: int) -> Values:
        """All fields in that round."""
        if not self.moves:
            return self.instruction.values
        return {name: self.value(name, number) for name in self.instruction.values}

    def op(self, number: int) -> Op:
        """The instruction in that round; one object for all rounds if nothing moves."""
        if self.moves:
            return Op(self, number)
        if self._op is None:
            self._op = Op(self, 0)
        return self._op

    def reach(self, name: str) -> tuple[int, int]:
        """Least and greatest value of a field over all rounds."""
        low = high = self.instruction.values[name]
        for by, count in zip(self.moves.get(name, ()), self.trips, strict=False):
            low, high = low + min(0, by * (count - 1)), high + max(0, by * (count - 1))
        return low, high


_STILL: Final[dict[str, list[int]]] = {}


def _moves(one: Dispatch) -> dict[str, list[int]]:
    """What one round of each loop adds to each field."""
    moves: dict[str, list[int]] = {}
    for step in one.steps:
        for name, key in zip(one.instruction.spec.steps, "abc", strict=False):
            if step.values[key]:
                moves.setdefault(name, [0] * len(one.trips))[step.values["level"]] += step.values[key]
    return moves


@dataclass(slots=True)
class Queue:
    """What one agent runs, in the order of its code: numbers of `Layout.slots`; at SYNC and MEET an epoch ends.

    `streams` are the numbers of io, move and compute; `ends[e]` says where epoch e ends in each, `cluster[e]` how.
    """

    name: str
    order: Order
    streams: tuple[Order, Order, Order]
    ends: NDArray[np.int64]
    cluster: NDArray[np.bool_]


@dataclass(slots=True)
class Layout:
    """A whole program on one machine."""

    slots: list[Slot]
    queues: list[Queue]

    @property
    def instructions(self) -> int:
        """How many will issue."""
        return sum(len(stream) for queue in self.queues for stream in queue.streams)

    def times(self) -> dict[Shape, int]:
        """How often instructions of each shape are run."""
        total = np.zeros(len(self.slots), np.int64)
        for queue in self.queues:
            for stream in queue.streams:
                total += np.bincount(stream, minlength=len(self.slots))
        times: dict[Shape, int] = {}
        for slot, count in zip(self.slots, total.tolist(), strict=True):
            times[slot.shape] = times.get(slot.shape, 0) + count
        return times

    def __iter__(self) -> Iterator[Queue]:
        return iter(self.queues)


def plan(program: Program, machine: Machine, limit: int = LIMIT) -> Layout:
    """Lay out every agent. Raises InputError with the source line for whatever cannot run."""
    for name in program.sections:
        if name not in machine.agents:
            raise InputError(f"no agent {name!r}", where=f"{program.source}: machine {machine.name}",
                             expected=f"one of {', '.join(machine.agents)}", example=".core 0")  # fmt: skip
    planner = _Planner(machine, limit)
    for agent, name in enumerate(machine.agents):
        try:
            planner.add(agent, name, program.sections.get(name, ()))
        except InputError as error:
            line = error.where.removeprefix("line ")
            where = f"{program.source}:{line}" if line else f"{program.source}: {name}, word {planner.word}"
            raise InputError(error.what, where=where, expected=error.expected, example=error.example) from None
    return Layout(planner.slots, planner.queues)


class _Planner:
    """Lays out agent after agent; what differs in addresses only is worked out once."""

    def __init__(self, machine: Machine, limit: int) -> None:
        self.machine, self.limit = machine, limit
        self.slots: list[Slot] = []
        self.queues: list[Queue] = []
        self.word = 0  # of the agent, where an error is
        self.shapes: dict[tuple[int, str, int, tuple[int, ...]], Shape] = {}

    def add(self, agent: int, name: str, code: tuple[Instruction, ...]) -> None:
        """One more agent."""
        decoder = Decoder()
        try:
            tree = decoder.run(code)
        finally:
            self.word = max(0, decoder.word)
        if tree.size() > self.limit:
            raise InputError(f"{name}: {tree.size()} instructions after unrolling",
                             expected=f"at most {self.limit}", example="fewer rounds")  # fmt: skip
        first = len(self.slots)
        rooms = {scope: room(self.machine, space_of(scope, agent)) for scope in SCOPES}
        for one in decoder.found:
            self.word = one.word
            self.slots.append(self._slot(one, agent, rooms))
        order = tree.order()
        order[order >= 0] += first
        self.queues.append(self._queue(name, order, first))

    def _queue(self, name: str, order: Order, first: int) -> Queue:
        stops = np.flatnonzero(order < 0)
        stream_of = np.array([slot.shape.stream for slot in self.slots[first:]] + [-1], np.int8)
        which = stream_of[np.where(order < 0, len(stream_of) - 1, order - first)]
        ends = np.empty((len(stops) + 1, 3), np.int64)
        streams = []
        for stream in range(3):
            mine = which == stream
            streams.append(order[mine])
            ends[:-1, stream], ends[-1, stream] = np.cumsum(mine)[stops] if len(stops) else 0, len(streams[-1])
        return Queue(name, order, (streams[0], streams[1], streams[2]), ends, np.append(order[stops] == MEET, False))

    def _slot(self, one: Dispatch, agent: int, rooms: Mapping[str, int]) -> Slot:
        instruction = one.instruction
        values = instruction.values
        key = (agent, instruction.name, instruction.tokens, _sizes(instruction.name)(values))
        shape = self.shapes.get(key)
        if shape is None:
            try:
                shape = self.shapes[key] = self._shape(instruction, agent)
            except InputError as error:
                where = _line(instruction)
                raise InputError(error.what, where=where, expected=error.expected, example=error.example) from None
        slot = Slot(one, shape)
        for part in (shape.reads, shape.writes):
            for pattern in part:
                low = high = values[pattern.base]
                if slot.moves:
                    low, high = slot.reach(pattern.base)
                if low + pattern.offset < 0 or high + pattern.end > rooms[pattern.scope]:
                    raise _outside(slot, pattern, rooms[pattern.scope])
        return slot

    def _shape(self, one: Instruction, agent: int) -> Shape:
        spec, values, bits = one.spec, one.values, one.tokens
        stream = ASYNC.index(spec.stream(values))
        others = [other for other in range(3) if other != stream]
        # each field that a step moves gets high bits of its own, so that a region shows at which of them it starts
        probe = {**values, **{name: (i + 1) << 60 for i, name in enumerate(spec.steps)}} if spec.effect else values
        reads, writes = (tuple(_pattern(region, spec) for region in find(probe)) for find in (spec.reads, spec.writes))
        starts = [region.start for find in (spec.reads, spec.writes) for region in find(values)]
        assert starts == [values[p.base] + p.offset for p in (*reads, *writes)], (
            f"{spec.name}: a region starts at one field"
        )
        self._check(one, writes)  # rows that are only read may overlap: a window that slides
        over_bus = spec.resource(values) == "bus"
        kind = {"bus": "store" if values.get("dst") == 0 else "load", "link": "move", "": "other"}
        return Shape(
            agent, stream, {"wait": WAIT, "post": POST}.get(spec.name, BUS if over_bus else PLAIN),
            kind.get(spec.resource(values), spec.resource(values)), values.get("sem", 0), spec.duration(self.machine, values),
            tuple(9 * agent + 3 * other + stream for i, other in enumerate(others) if bits >> i & 1),
            tuple(9 * agent + 3 * stream + other for i, other in enumerate(others) if bits >> (2 + i) & 1),
            reads, writes, spec.counts(values),
        )  # fmt: skip

    def _check(self, one: Instruction, patterns: Iterable[Pattern]) -> None:
        text = line_of(one)
        for pattern in patterns:
            if pattern.rows > 1 and pattern.stride < pattern.size:
                raise InputError(f"`{text}`: rows of {pattern.size} bytes overlap", expected="a stride of at least a row",
                                 example=f"stride={pattern.size}")  # fmt: skip
        if one.name == "xfer":
            for scope in (SCOPES[one.values[end]] for end in ("src", "dst")):
                if one.values["bytes"] > self.machine.sizes[scope]:
                    raise InputError(f"`{text}`: {scope} has {self.machine.sizes[scope]} bytes",
                                     expected=f"at most {self.machine.sizes[scope]} bytes")  # fmt: skip
            if self.machine.rows and 0 in (one.values["src"], one.values["dst"]):
                raise InputError(f"`{text}` has no address, and this machine's DRAM has rows", expected="move, which has one",
                                 example="move dst=nram src=dram far=0 near=0 bytes=64")  # fmt: skip
        if self.machine.window and one.tokens:
            raise InputError(f"`{text}` has tokens, and this machine finds for itself what may start",
                             expected="no ? and no !, in the order of meaning", example="a machine without a window")  # fmt: skip


@cache
def _sizes(name: str) -> Callable[[Values], tuple[int, ...]]:
    """Reads every field but those that `step` moves."""
    spec = SPECS[name]
    names = [one.name for one in spec.fields if one.name not in spec.steps]
    return itemgetter(*names, names[0]) if names else lambda _: ()


def _outside(slot: Slot, pattern: Pattern, size: int) -> InputError:
    """The error of a region outside its memory, with the round of its loops in which it leaves it."""
    number, down = 0, slot.reach(pattern.base)[0] + pattern.offset < 0
    for by, count in zip(slot.moves.get(pattern.base, ()), slot.trips, strict=False):
        number = number * count + (count - 1 if by and (by < 0) == down else 0)
    op = slot.op(number)
    byte = op.values[pattern.base] + (pattern.offset if down else pattern.end - 1)
    return InputError(f"`{op.text}` reaches byte {byte} of {space_name(space_of(pattern.scope, op.agent))}, which has {size}",
                      where=_line(slot.instruction), expected=f"addresses of 0 to {size - 1}",
                      example="a smaller tile, or a lower address")  # fmt: skip


def _pattern(region: Region, spec: Spec) -> Pattern:
    """Which field a region starts at: the probe gave each its own high bits."""
    number, offset = divmod(region.start, 1 << 60)
    return Pattern(region.scope, spec.steps[number - 1], offset, region.rows, region.size, region.stride)


def _span(one: Pattern, values: Values, agent: int) -> Span:
    start = values[one.base] + one.offset
    return Span(space_of(one.scope, agent), start, values[one.base] + one.end, one.rows, one.size, one.stride)


def space_of(scope: str, agent: int) -> int:
    """The number of a memory of an agent."""
    return {"dram": 0, "sram": 1, "nram": 2 + 2 * agent, "wram": 3 + 2 * agent}[scope]


def space_name(space: int) -> str:
    """The name of a memory."""
    return ("dram", "sram")[space] if space < 2 else f"{'wram' if space % 2 else 'nram'} of agent {space // 2 - 1}"


def room(machine: Machine, space: int) -> int:
    """Bytes of a memory; the DMA has none of its own."""
    if space < 2:
        return machine.sizes["sram" if space else "dram"]
    return machine.sizes["wram" if space % 2 else "nram"] if space // 2 - 1 < machine.cores else 0


def _line(one: Instruction) -> str:
    return f"line {one.line}" if one.line else ""


def tally(layout: Layout) -> dict[Action, int]:
    """How often each action happens, over the whole program."""
    counts: dict[Action, int] = {}
    for shape, times in layout.times().items():
        for action, count in shape.counts.items():
            counts[action] = counts.get(action, 0) + times * count
    return counts


def busy(layout: Layout, opening: Sequence[int]) -> dict[tuple[str, str], int]:
    """Ticks of work by (agent, what): load, store, move, matrix, vector, other; `opening`: of DRAM rows, by slot."""
    ticks: dict[tuple[str, str], int] = {}
    for shape, times in layout.times().items():
        key = (layout.queues[shape.agent].name, shape.kind)
        ticks[key] = ticks.get(key, 0) + times * shape.ticks
    for number in np.flatnonzero(np.asarray(opening)).tolist():
        shape = layout.slots[number].shape
        ticks[layout.queues[shape.agent].name, shape.kind] += opening[number]
    return ticks


def loads(layout: Layout, opening: Sequence[int]) -> dict[tuple[str, str], tuple[int, int]]:
    """Instructions and ticks of work of every stream, by (agent, stream)."""
    found = {(queue.name, name): (0, 0) for queue in layout.queues for name in ASYNC}
    rows = [(shape, times, times * shape.ticks) for shape, times in layout.times().items()]
    rows += [
        (layout.slots[number].shape, 0, opening[number]) for number in np.flatnonzero(np.asarray(opening)).tolist()
    ]
    for shape, times, ticks in rows:
        key = (layout.queues[shape.agent].name, ASYNC[shape.stream])
        found[key] = (found[key][0] + times, found[key][1] + ticks)
    return found


def overlap(a: Span, b: Span) -> bool:
    """Whether two regions share a byte."""
    if a.space != b.space or a.start >= b.end or b.start >= a.end:
        return False
    if a.rows == 1 and b.rows == 1:
        return True
    if a.rows > b.rows:
        a, b = b, a
    for row in range(a.rows):  # the few rows of one against the regular rows of the other
        start = a.start + row * a.stride
        first = max(0, -(-(start - b.start - b.size + 1) // b.stride))
        if first < b.rows and b.start + first * b.stride < start + a.size:
            return True
    return False


def footprint(program: Program, layout: Layout, space: int) -> int:
    """Bytes of DRAM or SharedRAM that the program and its data reach."""
    scope = ("dram", "sram")[space]
    ends = [slot.reach(one.base)[1] + one.end for slot in layout.slots
            for one in (*slot.shape.reads, *slot.shape.writes) if one.scope == scope]  # fmt: skip
    return max([1, *ends, *(one.address + one.bytes for one in program.buffers if one.scope == scope)])
