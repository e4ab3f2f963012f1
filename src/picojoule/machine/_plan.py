"""A program laid out for one machine: loops as arrays, tokens and durations worked out, every address checked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picojoule.hardware import Action
from picojoule.quantity import InputError

from ._assembler import line_of
from ._decoder import MEET, Decoder, Dispatch
from ._isa import ASYNC, Instruction, Region, Spec, Values
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
    def extent(self) -> int:
        """Bytes from the first to the last."""
        return (self.rows - 1) * self.stride + self.size


@dataclass(frozen=True, slots=True)
class Shape:
    """What instructions that differ in addresses only have in common."""

    ticks: int
    reads: tuple[Pattern, ...]
    writes: tuple[Pattern, ...]


class Op:
    """One instruction in one round of its loops."""

    __slots__ = ("agent", "instruction", "reads", "stream", "values", "writes")

    def __init__(self, slot: "Slot", round_: int) -> None:
        self.instruction, self.agent, self.stream = slot.instruction, slot.agent, slot.stream
        self.values = slot.values(round_)
        self.reads = tuple(_span(one, self.values, slot.agent) for one in slot.shape.reads)
        self.writes = tuple(_span(one, self.values, slot.agent) for one in slot.shape.writes)

    @property
    def text(self) -> str:
        """The instruction as written, and its line."""
        line = f" (line {self.instruction.line})" if self.instruction.line else ""
        return line_of(Instruction(self.instruction.name, self.values, self.instruction.tokens)) + line


class Slot:
    """One word of an agent's code, ready to issue as often as its loops say.

    `moves` are the fields that `step` moves, with what one round of each loop around it adds. Token t is from stream
    t // 3 % 3 to stream t % 3 of agent t // 9.
    """

    __slots__ = ("_op", "agent", "instruction", "moves", "role", "shape", "signals", "stream", "trips", "waits")

    def __init__(self, one: Dispatch, agent: int, shape: Shape) -> None:
        self.instruction, self.agent, self.trips, self.shape = one.instruction, agent, one.trips, shape
        spec, bits, base = self.instruction.spec, self.instruction.tokens, 9 * agent
        self.stream = ASYNC.index(spec.stream(self.instruction.values))
        self.role = {"wait": WAIT, "post": POST}.get(spec.name, BUS if self._over_bus(spec) else PLAIN)
        others = [i for i in range(3) if i != self.stream]
        self.waits = tuple(base + 3 * one + self.stream for i, one in enumerate(others) if bits >> i & 1)
        self.signals = tuple(base + 3 * self.stream + one for i, one in enumerate(others) if bits >> (2 + i) & 1)
        self.moves = _moves(one) if one.steps else {}
        self._op: Op | None = None

    def _over_bus(self, spec: Spec) -> bool:
        return self.stream == 0 and spec.name in ("move", "xfer")

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

    def times(self) -> list[int]:
        """How often each slot is run."""
        total = np.zeros(len(self.slots), np.int64)
        for queue in self.queues:
            for stream in queue.streams:
                total += np.bincount(stream, minlength=len(self.slots))
        return [int(n) for n in total]

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
            where = f"{program.source}:{error.where.removeprefix('line ')}" if error.where else program.source
            raise InputError(error.what, where=where, expected=error.expected, example=error.example) from None
    return Layout(planner.slots, planner.queues)


class _Planner:
    """Lays out agent after agent; what differs in addresses only is worked out once."""

    def __init__(self, machine: Machine, limit: int) -> None:
        self.machine, self.limit = machine, limit
        self.slots: list[Slot] = []
        self.queues: list[Queue] = []
        self.shapes: dict[tuple[str, tuple[int, ...]], Shape] = {}

    def add(self, agent: int, name: str, code: tuple[Instruction, ...]) -> None:
        """One more agent."""
        decoder = Decoder()
        tree = decoder.run(code)
        if tree.size() > self.limit:
            raise InputError(f"{name}: {tree.size()} instructions after unrolling",
                             expected=f"at most {self.limit}", example="fewer rounds")  # fmt: skip
        first = len(self.slots)
        for one in decoder.found:
            self.slots.append(self._slot(one, agent))
        order = tree.order()
        order[order >= 0] += first
        self.queues.append(self._queue(name, order, first))

    def _queue(self, name: str, order: Order, first: int) -> Queue:
        stops = np.flatnonzero(order < 0)
        stream_of = np.array([slot.stream for slot in self.slots[first:]] + [-1], np.int8)
        which = stream_of[np.where(order < 0, len(stream_of) - 1, order - first)]
        ends = np.empty((len(stops) + 1, 3), np.int64)
        streams = []
        for stream in range(3):
            at = np.flatnonzero(which == stream)
            streams.append(order[at])
            ends[:-1, stream], ends[-1, stream] = np.searchsorted(at, stops), len(at)
        return Queue(name, order, (streams[0], streams[1], streams[2]), ends, np.append(order[stops] == MEET, False))

    def _slot(self, one: Dispatch, agent: int) -> Slot:
        try:
            slot = Slot(one, agent, self._shape(one.instruction))
        except InputError as error:
            where = _line(one.instruction)
            raise InputError(error.what, where=where, expected=error.expected, example=error.example) from None
        for pattern in (*slot.shape.reads, *slot.shape.writes):
            self._check_room(slot, pattern)
        if one.instruction.name == "xfer":
            self._check_xfer(one.instruction)
        if self.machine.window and one.instruction.tokens:
            raise InputError(f"`{line_of(one.instruction)}` has tokens, and this machine finds for itself what may start",
                             where=_line(one.instruction), expected="no ? and no !, in the order of meaning",
                             example="a machine without a window")  # fmt: skip
        return slot

    def _shape(self, one: Instruction) -> Shape:
        spec, values = one.spec, one.values
        key = (spec.name, tuple(value for name, value in values.items() if name not in spec.steps or name == "value"))
        found = self.shapes.get(key)
        if found is None:
            probe = {**values, **{name: (i + 1) << 60 for i, name in enumerate(spec.steps)}} if spec.effect else values
            reads, writes = (tuple(_pattern(region, spec) for region in find(probe)) for find in (spec.reads, spec.writes))
            starts = [region.start for find in (spec.reads, spec.writes) for region in find(values)]
            assert starts == [values[one.base] + one.offset for one in (*reads, *writes)], f"{spec.name}: regions start at one field"
            found = self.shapes[key] = Shape(spec.duration(self.machine, values), reads, writes)
        return found

    def _check_room(self, slot: Slot, pattern: Pattern) -> None:
        space = _space(pattern.scope, slot.agent)
        size = room(self.machine, space)
        low, high = slot.reach(pattern.base)
        if low + pattern.offset < 0 or high + pattern.offset + pattern.extent > size:
            number = 0
            if slot.moves:  # a round at which it leaves the memory, to show it as it is there
                down = low + pattern.offset < 0
                for by, count in zip(slot.moves.get(pattern.base, ()), slot.trips, strict=False):
                    number = number * count + (count - 1 if (by < 0) == down and by else 0)
            op = slot.op(number)
            byte = op.values[pattern.base] + pattern.offset
            byte = byte if byte < 0 else byte + pattern.extent - 1
            raise InputError(f"`{op.text}` reaches byte {byte} of {space_name(space)}, which has {size}",
                             where=_line(slot.instruction), expected=f"addresses of 0 to {size - 1}",
                             example="a smaller tile, or a lower address")  # fmt: skip
        if pattern.rows > 1 and pattern.stride < pattern.size:
            raise InputError(f"`{slot.op(0).text}`: rows of {pattern.size} bytes overlap", where=_line(slot.instruction),
                             expected="a stride of at least a row", example=f"stride={pattern.size}")  # fmt: skip

    def _check_xfer(self, one: Instruction) -> None:
        for end in ("src", "dst"):
            scope = SCOPES[one.values[end]]
            if one.values["bytes"] > self.machine.sizes[scope]:
                raise InputError(f"`{line_of(one)}`: {scope} has {self.machine.sizes[scope]} bytes", where=_line(one),
                                 expected=f"at most {self.machine.sizes[scope]} bytes")  # fmt: skip
        if self.machine.rows and 0 in (one.values["src"], one.values["dst"]):
            raise InputError(f"`{line_of(one)}` has no address, and this machine's DRAM has rows", where=_line(one),
                             expected="move, which says where", example="move dst=nram src=dram far=0 near=0 bytes=64")  # fmt: skip


def _pattern(region: Region, spec: Spec) -> Pattern:
    """Which field a region starts at: the probe gave each its own high bits."""
    number, offset = divmod(region.start, 1 << 60)
    return Pattern(region.scope, spec.steps[number - 1], offset, region.rows, region.size, region.stride)


def _span(one: Pattern, values: Values, agent: int) -> Span:
    start = values[one.base] + one.offset
    return Span(_space(one.scope, agent), start, start + one.extent, one.rows, one.size, one.stride)


def _space(scope: str, agent: int) -> int:
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
    for slot, times in zip(layout.slots, layout.times(), strict=True):
        for action, count in slot.instruction.spec.counts(slot.instruction.values).items():
            counts[action] = counts.get(action, 0) + times * count
    return counts


def busy(layout: Layout, opening: Sequence[int]) -> dict[tuple[str, str], int]:
    """Ticks of work by (agent, what): load, store, move, matrix, vector, other; `opening`: of DRAM rows, by slot."""
    ticks: dict[tuple[str, str], int] = {}
    for slot, times, more in zip(layout.slots, layout.times(), opening, strict=True):
        key = (layout.queues[slot.agent].name, kind(slot))
        ticks[key] = ticks.get(key, 0) + times * slot.shape.ticks + more
    return ticks


def kind(slot: Slot) -> str:
    """What an instruction keeps busy."""
    found = slot.instruction.spec.resource(slot.instruction.values)
    if found == "bus":
        return "store" if slot.instruction.values["dst"] == 0 else "load"
    return {"link": "move", "": "other"}.get(found, found)


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
    ends = [slot.reach(one.base)[1] + one.offset + one.extent for slot in layout.slots
            for one in (*slot.shape.reads, *slot.shape.writes) if one.scope == scope]  # fmt: skip
    return max([1, *ends, *(one.address + one.bytes for one in program.buffers if one.scope == scope)])
