"""Laying a program out for one machine: loops as arrays, tokens and durations worked out, every address checked."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Final

import numpy as np

from picojoule.quantity import InputError

from ._assembler import line_of
from ._code import MASKS, PLACES, STEPS, Code, compiled
from ._decoder import MEET, Decoder
from ._isa import ASYNC, SPECS, Instruction, Region, Spec
from ._layout import (
    BUS,
    PLAIN,
    POST,
    WAIT,
    Ints,
    Layout,
    Order,
    Part,
    Pattern,
    Queue,
    Shape,
    Slot,
    Slots,
    room,
    space_name,
    space_of,
)
from ._machine import SCOPES, Machine
from ._program import Program

LIMIT: Final = 1_000_000  # instructions after unrolling, where Python walks them
COMPILED_LIMIT: Final = 20_000_000  # and where the compiled engine does
_MOST_KNOWN: Final = 200_000  # shapes that are kept


def plan(program: Program, machine: Machine, limit: int = LIMIT) -> Layout:
    """Lay out every agent. Raises InputError with the source line for whatever cannot run."""
    for name in program.sections:
        if name not in machine.agents:
            raise InputError(f"no agent {name!r}", where=f"{program.source}: machine {machine.name}",
                             expected=f"one of {', '.join(machine.agents)}", example=".core 0")  # fmt: skip
    planner = _Planner(machine, limit)
    for agent, name in enumerate(machine.agents):
        try:
            planner.add(agent, name, Code.of(program.sections.get(name, ())))
        except InputError as error:
            line = error.where.removeprefix("line ")
            where = f"{program.source}:{line}" if line else f"{program.source}: {name}, word {planner.word}"
            raise InputError(error.what, where=where, expected=error.expected, example=error.example) from None
    return planner.layout()


class _Planner:
    """Lays out agent after agent; what differs in addresses only is worked out once."""

    def __init__(self, machine: Machine, limit: int) -> None:
        self.machine, self.limit = machine, limit
        self.slots = Slots()
        self.queues: list[Queue] = []
        self.word = 0  # of the agent, where an error is
        self.known = known_shapes(machine)
        self.columns: list[Order] = []
        self.times: list[Ints] = []

    def layout(self) -> Layout:
        """All agents together."""
        times = np.concatenate([np.zeros(0, np.int64), *self.times]).tolist()
        return Layout(self.slots, self.queues, dict(zip(self.slots.shapes, times, strict=True)))

    def add(self, agent: int, name: str, code: Code) -> None:
        """One more agent."""
        decoder = Decoder()
        try:
            tree = decoder.run(code)
        finally:
            self.word = max(0, decoder.word)
        if tree.size() > self.limit:
            raise InputError(f"{name}: {tree.size()} instructions after unrolling",
                             expected=f"at most {self.limit}", example="fewer rounds")  # fmt: skip
        first, shapes = len(self.slots.shape_of), len(self.slots.shapes)
        rooms = {scope: room(self.machine, space_of(scope, agent)) for scope in SCOPES}
        part = Part(first, code, decoder.words)
        shape_of, fault = self._shapes(agent, part)
        self._check_addresses(part, shape_of, shapes, decoder, rooms, fault)
        self.slots.parts.append(part)
        self.slots.shape_of = np.concatenate([self.slots.shape_of, shape_of]) if first else shape_of
        order = tree.order()
        if first:
            order = np.where(order >= 0, order + np.int32(first), order)
        self.queues.append(self._queue(name, order, shapes))

    def _shapes(self, agent: int, part: Part) -> tuple[Order, "tuple[int, InputError] | None"]:
        """The shape of every slot; the first word that has none, and why."""
        code, at = part.code, part.at
        kinds, of = code.kinds, np.full(len(code.kinds.first), -1, np.int32)
        opcodes, end = code.opcodes(), int(at[-1]) + 1 if len(at) else 0
        kept = (code.words[kinds.first] & MASKS[opcodes]).tolist()
        for kind in np.flatnonzero((kinds.first < end) & ~np.isin(opcodes, _SCALAR)).tolist():
            of[kind], key = len(self.slots.shapes), (agent, *kept[kind])
            shape = self.known.get(key)
            if shape is None:
                word = int(kinds.first[kind])
                instruction = code[word]
                try:
                    shape = self.known[key] = self._shape(instruction, agent)
                except InputError as error:
                    return of[kinds.of[at[: np.searchsorted(at, word)]]], (word, InputError(
                        error.what, where=_line(instruction), expected=error.expected, example=error.example))  # fmt: skip
            self.slots.shapes.append(shape)
        return of[kinds.of if len(at) == len(code) else kinds.of[at]], None

    def _check_addresses(self, part: Part, shape_of: Order, shapes: int, decoder: Decoder, rooms: Mapping[str, int],
                         fault: "tuple[int, InputError] | None") -> None:  # fmt: skip
        """Raise for the first word that has no shape, or reaches outside a memory in some round."""
        at, slots = part.at[: len(shape_of)], self.slots
        bounds = np.array([_bounds(shape, rooms) for shape in slots.shapes[shapes:]], np.int64).reshape(-1, STEPS, 4)
        worst = _first_outside(part.code, at, shape_of - np.int32(shapes), bounds)
        for number, (steps, trips) in decoder.stepped.items():
            if number >= len(at):
                break
            slot = Slot(part.code[int(at[number])], slots.shapes[shape_of[number]], steps, trips)
            if slot.moves:
                slots.moving[part.first + number] = slot
                if number < worst and _leaves(slot, rooms) is not None:
                    worst = number
        if worst < len(at):
            self.word = int(at[worst])
            slot = slots.moving.get(part.first + worst) or Slot(
                part.code[self.word], slots.shapes[shape_of[worst]], (), ()
            )
            pattern = _leaves(slot, rooms)
            assert pattern is not None, "both checks of addresses agree"
            raise _outside(slot, pattern, rooms[pattern.scope])
        if fault is not None:
            self.word = fault[0]
            raise fault[1]

    def _queue(self, name: str, order: Order, shapes: int) -> Queue:
        own, shape_of = self.slots.shapes[shapes:], self.slots.shape_of
        stream_of = np.array([shape.stream for shape in own], np.int32)
        stops = np.flatnonzero(order < 0)
        lay = compiled(len(order))
        ends, times = np.zeros((len(stops) + 1, 3), np.int64), np.zeros(len(own), np.int64)
        if lay is not None:
            ids = np.empty((3, len(order)), np.int32)
            counts = lay.split(order, shape_of - np.int32(shapes) if shapes else shape_of, stream_of, ids, ends, times)
            streams = [row[:count] for row, count in zip(ids, counts, strict=True)]
        else:
            streams = []
            none = np.full(2, len(own) + shapes, np.int32)  # where SYNC and MEET point, from the end
            shape = np.append(shape_of, none)[order] - np.int32(shapes)
            which = np.append(stream_of, np.int32(-1))[shape]
            for stream in range(3):
                mine = which == stream
                streams.append(order[mine])
                ends[:-1, stream], ends[-1, stream] = np.cumsum(mine)[stops] if len(stops) else 0, len(streams[-1])
            times += np.bincount(shape, minlength=len(own) + 1)[: len(own)]
        self.times.append(times)
        return Queue(name, order, (streams[0], streams[1], streams[2]), ends, np.append(order[stops] == MEET, False))

    def _shape(self, one: Instruction, agent: int) -> Shape:
        """What an instruction and all others of its kind have in common."""
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
        check_kind(self.machine, one, writes)  # rows that are only read may overlap: a window that slides
        over_bus = spec.resource(values) == "bus"
        kind = {"bus": "store" if values.get("dst") == 0 else "load", "link": "move", "": "other"}
        return Shape(
            agent, stream, spec.opcode, {"wait": WAIT, "post": POST}.get(spec.name, BUS if over_bus else PLAIN),
            kind.get(spec.resource(values), spec.resource(values)), values.get("sem", 0), spec.duration(self.machine, values),
            tuple(9 * agent + 3 * other + stream for i, other in enumerate(others) if bits >> i & 1),
            tuple(9 * agent + 3 * stream + other for i, other in enumerate(others) if bits >> (2 + i) & 1),
            reads, writes, spec.counts(values),
        )  # fmt: skip


_SCALAR: Final = [spec.opcode for name, spec in SPECS.items() if name in ("end", "sync", "loop", "endloop", "step")]
_FREE: Final = (0, 0, 0, 0)


def _bounds(shape: Shape, rooms: Mapping[str, int]) -> list[tuple[int, ...]]:
    """Of each field that steps move: first bit, bits, least and greatest value; no bits where nothing bounds it."""
    found = [_FREE] * STEPS
    for one in (*shape.reads, *shape.writes):
        _, bits, low, high = found[one.field]
        high = min(high, rooms[one.scope] - one.end) if bits else rooms[one.scope] - one.end
        first, bits = PLACES[shape.opcode, one.field].tolist()
        found[one.field] = (first, bits, max(low, -one.offset), high)
    return found


def _first_outside(code: Code, at: Ints, shape_of: Order, bounds: Ints) -> int:
    """The first slot that reaches outside a memory in its first round; as many as there are if none does."""
    lay = compiled(len(at))
    if lay is not None:
        found = int(lay.outside(code.words, at, shape_of, bounds))
        return found if found >= 0 else len(at)
    values, rows = code.addresses(at), bounds[shape_of]
    bad = ((rows[:, :, 1] > 0) & ((values < rows[:, :, 2]) | (values > rows[:, :, 3]))).any(axis=1)
    return int(bad.argmax()) if bad.any() else len(at)


def _leaves(slot: Slot, rooms: Mapping[str, int]) -> Pattern | None:
    """The first region that leaves its memory in some round."""
    for pattern in (*slot.shape.reads, *slot.shape.writes):
        low, high = slot.reach(pattern.base)
        if low + pattern.offset < 0 or high + pattern.end > rooms[pattern.scope]:
            return pattern
    return None


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
    return Pattern(
        region.scope, spec.steps[number - 1], number - 1, offset, region.rows, region.size, region.stride, end
    )


def _line(one: Instruction) -> str:
    return f"line {one.line}" if one.line else ""


def check_kind(machine: Machine, one: Instruction, patterns: Iterable[Pattern]) -> None:
    """Raise InputError for what no instruction of this kind may do on a machine."""
    text = line_of(one)
    for pattern in patterns:
        if pattern.rows > 1 and pattern.stride < pattern.size:
            raise InputError(f"`{text}`: rows of {pattern.size} bytes overlap", expected="a stride of at least a row",
                             example=f"stride={pattern.size}")  # fmt: skip
    if one.name == "xfer":
        for scope in (SCOPES[one.values[end]] for end in ("src", "dst")):
            if one.values["bytes"] > machine.sizes[scope]:
                raise InputError(f"`{text}`: {scope} has {machine.sizes[scope]} bytes",
                                 expected=f"at most {machine.sizes[scope]} bytes")  # fmt: skip
        if machine.rows and 0 in (one.values["src"], one.values["dst"]):
            raise InputError(f"`{text}` has no address, and this machine's DRAM has rows", expected="move, which has one",
                             example="move dst=nram src=dram far=0 near=0 bytes=64")  # fmt: skip
    if machine.window and one.tokens:
        raise InputError(f"`{text}` has tokens, and this machine finds for itself what may start",
                         expected="no ? and no !, in the order of meaning", example="a machine without a window")  # fmt: skip


_KNOWN: Final = dict[object, dict[tuple[int, ...], Shape]]()


def known_shapes(machine: Machine) -> dict[tuple[int, ...], Shape]:
    """Shapes that were worked out before on machines like this one, by (agent, kind)."""
    key = tuple(
        tuple(sorted(value.items())) if isinstance(value, Mapping) else value
        for value in (getattr(machine, one.name) for one in fields(machine))
    )
    if sum(map(len, _KNOWN.values())) > _MOST_KNOWN or len(_KNOWN) > 64:
        _KNOWN.clear()
    return _KNOWN.setdefault(key, {})
