"""What all instructions of one kind come to on one machine: stream, time, tokens, regions, actions. Worked out once."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Final

import numpy as np

from picojoule.hardware import Action
from picojoule.quantity import InputError

from ._assembler import line_of
from ._code import PLACES, STEPS
from ._isa import ASYNC, Instruction, Region, Spec
from ._layout import BUS, PLAIN, POST, ROW, WAIT, Pattern, Shape, room, row_of, space_of
from ._machine import SCOPES, Machine

_MOST_KNOWN: Final = 200_000  # shapes that are kept
_FREE: Final = (0, 0, 0, 0)


def shape_of(machine: Machine, one: Instruction, agent: int) -> Shape:
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
    check_kind(machine, one, writes)  # rows that are only read may overlap: a window that slides
    over_bus = spec.resource(values) == "bus"
    kind = {"bus": "store" if values.get("dst") == 0 else "load", "link": "move", "": "other"}
    return Shape(
        agent, stream, spec.opcode, {"wait": WAIT, "post": POST}.get(spec.name, BUS if over_bus else PLAIN),
        kind.get(spec.resource(values), spec.resource(values)), values.get("sem", 0), spec.duration(machine, values),
        tuple(9 * agent + 3 * other + stream for i, other in enumerate(others) if bits >> i & 1),
        tuple((9 * agent + 3 * stream + other, 3 * agent + other) for i, other in enumerate(others) if bits >> (2 + i) & 1),
        reads, writes, spec.counts(values),
    )  # fmt: skip


def _pattern(region: Region, spec: Spec) -> Pattern:
    """Which field a region starts at: the probe gave each its own high bits."""
    number, offset = divmod(region.start, 1 << 60)
    end = offset + (region.rows - 1) * region.stride + region.size
    return Pattern(
        region.scope, spec.steps[number - 1], number - 1, offset, region.rows, region.size, region.stride, end
    )


def check_kind(machine: Machine, one: Instruction, patterns: Iterable[Pattern]) -> None:
    """Raise InputError for what no instruction of this kind may do on a machine."""
    for pattern in patterns:
        if pattern.rows > 1 and pattern.stride < pattern.size:
            raise InputError(f"`{line_of(one)}`: rows of {pattern.size} bytes overlap", expected="a stride of at least a row",
                             example=f"stride={pattern.size}")  # fmt: skip
    if one.name == "xfer":
        for scope in (SCOPES[one.values[end]] for end in ("src", "dst")):
            if one.values["bytes"] > machine.sizes[scope]:
                raise InputError(f"`{line_of(one)}`: {scope} has {machine.sizes[scope]} bytes",
                                 expected=f"at most {machine.sizes[scope]} bytes")  # fmt: skip
        if machine.rows and 0 in (one.values["src"], one.values["dst"]):
            raise InputError(f"`{line_of(one)}` has no address, and this machine's DRAM has rows", expected="move, which has one",
                             example="move dst=nram src=dram far=0 near=0 bytes=64")  # fmt: skip
    if one.name == "gather" and machine.rows:
        raise InputError(f"`{line_of(one)}` opens rows that only running tells, and this machine's DRAM has rows",
                         expected="a machine without dram_rows", example="move for rows known beforehand")  # fmt: skip
    if machine.window and one.tokens:
        raise InputError(f"`{line_of(one)}` has tokens, and this machine finds for itself what may start",
                         expected="no ? and no !, in the order of meaning", example="a machine without a window")  # fmt: skip


def _bounds(shape: Shape, machine: Machine) -> list[tuple[int, ...]]:
    """Of each field that steps move: first bit, bits, least and greatest value; no bits where nothing bounds it."""
    found: list[tuple[int, ...]] = [_FREE] * STEPS
    for one in (*shape.reads, *shape.writes):
        most = room(machine, space_of(one.scope, shape.agent)) - one.end
        _, bits, low, high = found[one.field]
        high = min(high, most) if bits else most
        first, bits = PLACES[shape.opcode, one.field].tolist()
        found[one.field] = (first, bits, max(low, -one.offset), high)
    return found


class Known:
    """The shapes of one machine, by (agent, kind), with what the compiled engine and the check of addresses need."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.numbers: dict[tuple[int, int, int], int] = {}
        self.shapes: list[Shape] = []
        self.rows = np.zeros((0, ROW), np.int64)
        self.bounds = np.zeros((0, STEPS, 4), np.int64)
        self.actions: list[Action] = []
        self.columns: dict[Action, int] = {}
        self.acts = np.zeros((0, 0), np.int64)  # how often an instruction of each shape does each action

    def add(self, key: tuple[int, int, int], one: Instruction) -> int:
        """The shape of one more kind; its number. Raises InputError where the machine cannot do such a thing."""
        shape, number = shape_of(self.machine, one, key[0]), len(self.shapes)
        if number == len(self.rows):
            more = max(256, number)
            self.rows = np.concatenate([self.rows, np.zeros((more, ROW), np.int64)])
            self.bounds = np.concatenate([self.bounds, np.zeros((more, STEPS, 4), np.int64)])
            self.acts = np.pad(self.acts, ((0, more), (0, 0)))
        for action, count in shape.counts.items():
            if action not in self.columns:
                self.columns[action] = len(self.actions)
                self.actions.append(action)
                self.acts = np.pad(self.acts, ((0, 0), (0, 1)))
            self.acts[number, self.columns[action]] = count
        ticks = min(shape.ticks, 1 << 62)  # longer ones stay in Python: see machine._compiled.fits
        self.rows[number], self.bounds[number] = row_of(shape, ticks), _bounds(shape, self.machine)
        self.shapes.append(shape)
        self.numbers[key] = number
        return number


_KNOWN: Final = dict[object, Known]()


def known_shapes(machine: Machine) -> Known:
    """What was worked out before for machines like this one."""
    key = tuple(
        tuple(sorted(value.items())) if isinstance(value, Mapping) else value
        for value in (getattr(machine, one.name) for one in fields(machine))
    )
    if sum(len(one.shapes) for one in _KNOWN.values()) > _MOST_KNOWN or len(_KNOWN) > 64:
        _KNOWN.clear()
    if key not in _KNOWN:
        _KNOWN[key] = Known(machine)
    return _KNOWN[key]
