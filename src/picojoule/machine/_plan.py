"""Laying a program out for one machine: loops as arrays, tokens and durations worked out, every address checked."""

from typing import Final

import numpy as np

from picojoule.quantity import InputError

from ._code import MASKS, Code, compiled
from ._decoder import MEET, Decoder
from ._isa import SPECS, Instruction
from ._layout import Ints, Layout, Order, Part, Pattern, Queue, Slot, Slots, room, space_name, space_of
from ._machine import Machine
from ._program import Program
from ._shapes import known_shapes

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
        return Layout(self.slots, self.queues, np.concatenate([np.zeros(0, np.int64), *self.times]))

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
        part = Part(first, code, decoder.words)
        shape_of, bounds, fault = self._shapes(agent, part)
        self._check_addresses(part, shape_of, bounds, decoder, fault)
        self.slots.parts.append(part)
        self.slots.shape_of = np.concatenate([self.slots.shape_of, shape_of]) if first else shape_of
        order = tree.order()
        if first:
            order = np.where(order >= 0, order + np.int32(first), order)
        self.queues.append(self._queue(name, order, shapes))

    def _shapes(self, agent: int, part: Part) -> tuple[Order, Ints, "tuple[int, InputError] | None"]:
        """The shape of every slot, the bounds of each shape; the first word that has no shape, and why."""
        code, at, known = part.code, part.at, self.known
        kinds, of = code.kinds, np.full(len(code.kinds.first), -1, np.int32)
        opcodes, end = code.opcodes(), int(at[-1]) + 1 if len(at) else 0
        mine = np.flatnonzero((kinds.first < end) & ~_SCALAR[opcodes])
        kept = code.words[kinds.first[mine]] & MASKS[opcodes[mine]]
        found, fault = list[int](), None
        for kind, low, high in zip(mine.tolist(), kept[:, 0].tolist(), kept[:, 1].tolist(), strict=True):
            number = known.numbers.get((agent, low, high))
            if number is None:
                word = int(kinds.first[kind])
                instruction = code[word]
                try:
                    number = known.add((agent, low, high), instruction)
                except InputError as error:
                    fault = word, InputError(error.what, where=_line(instruction), expected=error.expected,
                                             example=error.example)  # fmt: skip
                    at = at[: np.searchsorted(at, word)]
                    break
            found.append(number)
        of[mine[: len(found)]] = np.arange(len(found), dtype=np.int32) + np.int32(len(self.slots.shapes))
        self.slots.shapes += [known.shapes[number] for number in found]
        self.slots.rows.append(known.rows[found])
        self.slots.acts.append(known.acts[found])
        self.slots.actions = known.actions
        return of[kinds.of if len(at) == len(code) else kinds.of[at]], known.bounds[found], fault

    def _check_addresses(self, part: Part, shape_of: Order, bounds: Ints, decoder: Decoder,
                         fault: "tuple[int, InputError] | None") -> None:  # fmt: skip
        """Raise for the first word that has no shape, or reaches outside a memory in some round."""
        at, slots = part.at[: len(shape_of)], self.slots
        worst = _first_outside(part.code, at, shape_of, bounds, len(slots.shapes) - len(bounds))
        for number, (steps, trips) in decoder.stepped.items():
            if number >= len(at):
                break
            slot = Slot(part.code[int(at[number])], slots.shapes[shape_of[number]], steps, trips)
            if slot.moves:
                slots.moving[part.first + number] = slot
                if number < worst and _leaves(slot, self.machine) is not None:
                    worst = number
        if worst < len(at):
            self.word = int(at[worst])
            slot = slots.moving.get(part.first + worst) or Slot(
                part.code[self.word], slots.shapes[shape_of[worst]], (), ()
            )
            pattern = _leaves(slot, self.machine)
            assert pattern is not None, "both checks of addresses agree"
            raise _outside(slot, pattern, room(self.machine, space_of(pattern.scope, slot.shape.agent)))
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


_SCALAR: Final = np.isin(np.arange(16), [SPECS[name].opcode for name in ("end", "sync", "loop", "endloop", "step")])


def _first_outside(code: Code, at: Ints, shape_of: Order, bounds: Ints, first: int) -> int:
    """The first slot that reaches outside a memory in its first round; as many as there are if none does.

    `bounds` are those of the shapes from number `first` on.
    """
    lay = compiled(len(at))
    if lay is not None:
        found = int(lay.outside(code.words, at, shape_of, bounds, first))
        return found if found >= 0 else len(at)
    values, rows = code.addresses(at), bounds[shape_of - np.int32(first)]
    bad = ((rows[:, :, 1] > 0) & ((values < rows[:, :, 2]) | (values > rows[:, :, 3]))).any(axis=1)
    return int(bad.argmax()) if bad.any() else len(at)


def _leaves(slot: Slot, machine: Machine) -> Pattern | None:
    """The first region that leaves its memory in some round."""
    for pattern in (*slot.shape.reads, *slot.shape.writes):
        low, high = slot.reach(pattern.base)
        size = room(machine, space_of(pattern.scope, slot.shape.agent))
        if low + pattern.offset < 0 or high + pattern.end > size:
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


def _line(one: Instruction) -> str:
    return f"line {one.line}" if one.line else ""
