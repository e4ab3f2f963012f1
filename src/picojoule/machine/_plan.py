"""Laying a program out for one machine: loops as arrays, tokens and durations worked out, every address checked."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from operator import itemgetter
from typing import Final

import numpy as np

from picojoule.quantity import InputError

from ._assembler import line_of
from ._decoder import MEET, Decoder, Dispatch
from ._isa import ASYNC, SPECS, Instruction, Region, Spec, Values
from ._layout import BUS, PLAIN, POST, WAIT, Layout, Order, Pattern, Queue, Shape, Slot, room, space_name, space_of
from ._machine import SCOPES, Machine
from ._program import Program

LIMIT: Final = 1_000_000  # instructions after unrolling, where Python walks them
COMPILED_LIMIT: Final = 20_000_000  # and where the compiled engine does


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
        if one.name == "gather" and self.machine.rows:
            raise InputError(f"`{text}` opens rows that only running tells, and this machine's DRAM has rows",
                             expected="a machine without dram_rows", example="move for rows known beforehand")  # fmt: skip
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
    end = offset + (region.rows - 1) * region.stride + region.size
    return Pattern(region.scope, spec.steps[number - 1], offset, region.rows, region.size, region.stride, end)


def _line(one: Instruction) -> str:
    return f"line {one.line}" if one.line else ""
