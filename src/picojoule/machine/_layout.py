"""What a program is on one machine: slots that issue, queues in which they wait, and what they come to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from picojoule.hardware import Action

from ._assembler import line_of
from ._code import STEPS, Code
from ._isa import ASYNC, Instruction, Values
from ._machine import Machine
from ._program import Program

ROW: Final = 16  # numbers of row_of
KINDS: Final = ("load", "store", "move", "matrix", "vector", "other")
PLAIN, BUS, WAIT, POST = range(4)  # what an instruction needs besides its stream and its tokens
Order = NDArray[np.int32]
Ints = NDArray[np.int64]
Steps = tuple[Instruction, ...]


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
    field: int  # which of the fields that steps move `base` is
    offset: int
    rows: int
    size: int
    stride: int
    end: int  # one past the last byte, from the field on


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What instructions of one agent that differ in addresses only have in common.

    Token t is from stream t // 3 % 3 to stream t % 3 of agent t // 9. `kind` is what they keep busy.
    """

    agent: int
    stream: int
    opcode: int
    role: int
    kind: str
    sem: int  # the counter of a wait or a post
    ticks: int
    waits: tuple[int, ...]
    signals_to: tuple[tuple[int, int], ...]  # tokens, and the streams that they go to
    reads: tuple[Pattern, ...]
    writes: tuple[Pattern, ...]
    counts: Mapping[Action, int]

    @property
    def far(self) -> Pattern | None:
        """What a move over the bus touches in DRAM."""
        if self.role != BUS or not self.reads:
            return None
        return (self.reads + self.writes)[self.kind == "store"]


def row_of(shape: Shape, ticks: int) -> tuple[int, ...]:
    """As machine._kernel has it: ticks, role, two tokens waited for, two signalled, the streams they go to, counter, region
    in DRAM, agent, stream, ticks of DRAM rows, and what they keep busy."""
    far = shape.far
    waits, given = (*shape.waits, -1, -1)[:2], (*shape.signals_to, (-1, -1), (-1, -1))[:2]
    signals, targets = [token for token, _ in given], [stream for _, stream in given]
    region = (far.rows, far.size, far.stride) if far is not None else (0, 0, 0)
    return (ticks, shape.role, *waits, *signals, *targets, shape.sem, *region, shape.agent, shape.stream, 0,
            KINDS.index(shape.kind))  # fmt: skip


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

    `moves` are the fields that `step` moves, with what one round of each loop around it adds; where nothing moves,
    `trips` is left empty.
    """

    __slots__ = ("_op", "instruction", "moves", "shape", "trips")

    def __init__(self, instruction: Instruction, shape: Shape, steps: Steps, trips: tuple[int, ...]) -> None:
        self.instruction, self.trips, self.shape = instruction, trips, shape
        self.moves = _moves(instruction, steps, trips) if steps else _STILL
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


def _moves(one: Instruction, steps: Steps, trips: tuple[int, ...]) -> dict[str, list[int]]:
    """What one round of each loop adds to each field."""
    moves: dict[str, list[int]] = {}
    for step in steps:
        for name, key in zip(one.spec.steps, "abc", strict=False):
            if step.values[key]:
                moves.setdefault(name, [0] * len(trips))[step.values["level"]] += step.values[key]
    return moves


class Part(NamedTuple):
    """The slots of one agent: from number `first` on, the words `at` of its code."""

    first: int
    code: Code
    at: Ints


class Slots(Sequence[Slot]):
    """Words that issue, by number. What is known of all of them is in columns; a Slot is made where one is asked for."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.shapes: list[Shape] = []
        self.rows: list[Ints] = []  # of the shapes, agent after agent, as row_of has them
        self.acts: list[Ints] = []  # and how often each of `actions` happens in one of them
        self.actions: Sequence[Action] = ()
        self.shape_of = np.zeros(0, np.int32)
        self.moving: dict[int, Slot] = {}
        self._known: dict[int, Slot] = {}

    def __len__(self) -> int:
        return len(self.shape_of)

    @overload
    def __getitem__(self, number: int) -> Slot: ...

    @overload
    def __getitem__(self, number: slice) -> list[Slot]: ...

    def __getitem__(self, number: int | slice) -> Slot | list[Slot]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        found = self._known.get(number) or self.moving.get(number)
        if found is None:
            if not 0 <= number < len(self):
                raise IndexError(number)
            part = next(part for part in reversed(self.parts) if part.first <= number)
            instruction = part.code[int(part.at[number - part.first])]
            found = self._known[number] = Slot(instruction, self.shapes[self.shape_of[number]], (), ())
        return found

    def addresses(self) -> Ints:
        """Fields that steps can move, of every slot in its first round."""
        return np.concatenate([np.zeros((0, STEPS), np.int64), *(part.code.addresses(part.at) for part in self.parts)])


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

    slots: Slots
    queues: list[Queue]
    times: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # how often instructions of each shape are run

    @property
    def instructions(self) -> int:
        """How many will issue."""
        return sum(len(stream) for queue in self.queues for stream in queue.streams)

    def __iter__(self) -> Iterator[Queue]:
        return iter(self.queues)


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


def ticks_of(layout: Layout) -> Ints:
    """Of each shape, without opening DRAM rows; Python's integers where a machine word is too short for their sum."""
    found = _stacked(layout.slots.rows, ROW)[:, _TICKS]
    if float(layout.times.astype(np.float64) @ found.astype(np.float64)) < _WORD:
        return found
    return np.array([shape.ticks for shape in layout.slots.shapes], object)


_TICKS, _AGENT, _STREAM, _KIND = 0, 12, 13, 15
_WORD: Final = float(1 << 62)


def _stacked(parts: Sequence[Ints], width: int) -> Ints:
    return np.concatenate([np.zeros((0, width), np.int64), *parts])


def _sums(group: Ints, count: int, amounts: Ints) -> list[int]:
    """The sum of the amounts of each of `count` groups."""
    found = np.zeros(count, amounts.dtype)
    np.add.at(found, group, amounts)
    return [int(one) for one in found.tolist()]


def _worked(layout: Layout, opening: Sequence[int]) -> Ints:
    """Ticks of work by shape."""
    ticks = ticks_of(layout)
    kind = ticks.dtype if sum(opening) < _WORD else np.dtype(object)
    return layout.times.astype(kind) * ticks.astype(kind) + np.array(opening, kind)


def tally(layout: Layout) -> dict[Action, int]:
    """How often each action happens, over the whole program, in the order in which they first do."""
    slots, width = layout.slots, len(layout.slots.actions)
    acts = np.concatenate([np.zeros((0, width), np.int64), *(np.pad(one, ((0, 0), (0, width - one.shape[1])))
                                                            for one in slots.acts)])  # fmt: skip
    few = float((layout.times.astype(np.float64) @ acts.astype(np.float64)).max(initial=0)) < _WORD
    kind = np.int64 if few else object
    totals = (layout.times.astype(kind) @ acts.astype(kind)).tolist()
    mine = [column for column, total in enumerate(totals) if total]
    first = (acts[:, mine] > 0).argmax(axis=0).tolist() if mine else []
    place = {column: (shape, list(slots.shapes[shape].counts).index(slots.actions[column]))
             for column, shape in zip(mine, first, strict=True)}  # fmt: skip
    return {slots.actions[column]: int(totals[column]) for column in sorted(mine, key=lambda one: place[one])}


def busy(layout: Layout, opening: Sequence[int]) -> dict[tuple[str, str], int]:
    """Ticks of work by (agent, what): load, store, move, matrix, vector, other; `opening`: of DRAM rows, by shape."""
    rows = _stacked(layout.slots.rows, ROW)
    group = len(KINDS) * rows[:, _AGENT] + rows[:, _KIND]
    found = _sums(group, len(KINDS) * len(layout.queues), _worked(layout, opening))
    present, first = np.unique(group, return_index=True)
    order = present[np.argsort(first)].tolist()
    return {(layout.queues[one // len(KINDS)].name, KINDS[one % len(KINDS)]): found[one] for one in order}


def loads(layout: Layout, opening: Sequence[int]) -> dict[tuple[str, str], tuple[int, int]]:
    """Instructions and ticks of work of every stream, by (agent, stream)."""
    rows = _stacked(layout.slots.rows, ROW)
    group, count = 3 * rows[:, _AGENT] + rows[:, _STREAM], 3 * len(layout.queues)
    many, ticks = _sums(group, count, layout.times), _sums(group, count, _worked(layout, opening))
    return {(queue.name, name): (many[3 * agent + stream], ticks[3 * agent + stream])
            for agent, queue in enumerate(layout.queues) for stream, name in enumerate(ASYNC)}  # fmt: skip


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
    scope, slots = ("dram", "sram")[space], layout.slots
    ends = [slot.reach(one.base)[1] + one.end for slot in slots.moving.values()
            for one in (*slot.shape.reads, *slot.shape.writes) if one.scope == scope]  # fmt: skip
    past = np.full((len(slots.shapes), STEPS), -1, np.int64)  # how far a region goes beyond the field it starts at
    for row, shape in zip(past, slots.shapes, strict=True):
        for one in (*shape.reads, *shape.writes):
            if one.scope == scope:
                row[one.field] = max(row[one.field], one.end)
    if (past >= 0).any():
        beyond = past[slots.shape_of]
        ends.append(int(np.where(beyond >= 0, slots.addresses() + beyond, 0).max()))
    return max([1, *ends, *(one.address + one.bytes for one in program.buffers if one.scope == scope)])
