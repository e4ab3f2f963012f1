"""A program laid out for one machine: loops unrolled, tokens and durations worked out, every address checked."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from picojoule.hardware import Action
from picojoule.quantity import InputError

from ._assembler import line_of
from ._isa import ASYNC, Instruction, Region, Values
from ._machine import Machine
from ._program import Program

LIMIT: Final = 1_000_000  # instructions after unrolling
DEPTH: Final = 4


class Span(NamedTuple):
    """A region of one memory: `space` 0 is DRAM, 1 SharedRAM, 2 + 2a and 3 + 2a NRAM and WRAM of agent a."""

    space: int
    start: int
    end: int
    rows: int
    size: int
    stride: int


class Op:
    """One instruction ready to issue. An instruction that no `step` moves is one Op in every round of its loop."""

    __slots__ = ("agent", "bus", "instruction", "reads", "signals", "stream", "ticks", "values", "waits", "writes")

    def __init__(self, instruction: Instruction, values: Values, agent: int, machine: Machine) -> None:
        spec = instruction.spec
        self.instruction, self.values, self.agent = instruction, values, agent
        self.stream = ASYNC.index(spec.stream(values))
        self.ticks = spec.duration(machine, values)
        self.bus = self.stream == 0 and spec.name in ("move", "xfer")
        others = [i for i in range(3) if i != self.stream]
        base, bits = 9 * agent, instruction.tokens
        self.waits = tuple(base + 3 * one + self.stream for i, one in enumerate(others) if bits >> i & 1)
        self.signals = tuple(base + 3 * self.stream + one for i, one in enumerate(others) if bits >> (2 + i) & 1)
        self.reads = tuple(_span(one, agent) for one in spec.reads(values))
        self.writes = tuple(_span(one, agent) for one in spec.writes(values))

    @property
    def text(self) -> str:
        """The instruction as written, and its line."""
        line = f" (line {self.instruction.line})" if self.instruction.line else ""
        return line_of(Instruction(self.instruction.name, self.values, self.instruction.tokens)) + line


def _span(region: Region, agent: int) -> Span:
    space = {"dram": 0, "sram": 1, "nram": 2 + 2 * agent, "wram": 3 + 2 * agent}[region.scope]
    end = region.start + (region.rows - 1) * region.stride + region.size
    return Span(space, region.start, end, region.rows, region.size, region.stride)


@dataclass(slots=True)
class Queue:
    """What one agent runs: its three streams; `ends[e]` says where epoch e ends in each; `cluster[e]` how it ends."""

    name: str
    streams: tuple[list[Op], list[Op], list[Op]] = field(default_factory=lambda: ([], [], []))
    ends: list[tuple[int, int, int]] = field(default_factory=list)
    cluster: list[bool] = field(default_factory=list)

    def close(self, cluster: bool) -> None:
        """End an epoch here."""
        self.ends.append((len(self.streams[0]), len(self.streams[1]), len(self.streams[2])))
        self.cluster.append(cluster)


@dataclass(frozen=True, slots=True)
class _Loop:
    count: int
    body: "list[_Loop | tuple[Instruction, tuple[Instruction, ...]]]"
    line: int

    def size(self) -> int:
        """Instructions after unrolling."""
        return self.count * sum(one.size() if isinstance(one, _Loop) else 1 for one in self.body)


def plan(program: Program, machine: Machine, limit: int = LIMIT) -> list[Queue]:
    """The queues of every agent. Raises InputError with the source line for whatever cannot run."""
    queues = [Queue(name) for name in machine.agents]
    for name in program.sections:
        if name not in machine.agents:
            raise InputError(f"no agent {name!r}", where=f"machine {machine.name}",
                             expected=f"one of {', '.join(machine.agents)}", example=".core 0")  # fmt: skip
    for agent, queue in enumerate(queues):
        code = program.sections.get(queue.name, ())
        try:
            tree = _tree(code)
            if tree.size() > limit:
                raise InputError(f"{queue.name}: {tree.size()} instructions after unrolling",
                                 expected=f"at most {limit}", example="fewer rounds")  # fmt: skip
            for one, values, fresh in _walk(tree, [], {}, top=True):
                _append(queue, one, values, fresh, agent, machine)
        except InputError as error:
            where = f"{program.source}:{error.where}" if error.where else program.source
            raise InputError(error.what, where=where, expected=error.expected, example=error.example) from None
        queue.close(False)
    return queues


def _append(queue: Queue, one: Instruction, values: Values, cache: dict[int, Op] | None, agent: int,
            machine: Machine) -> None:  # fmt: skip
    if one.name in ("sync", "end"):
        queue.close(bool(one.values.get("cluster", 0)))
        return
    known = cache.get(id(one)) if cache is not None else None
    if known is None:
        known = _op(one, values, agent, machine)
        if cache is not None:
            cache[id(one)] = known
    queue.streams[known.stream].append(known)


def _op(one: Instruction, values: Values, agent: int, machine: Machine) -> Op:
    try:
        op = Op(one, values, agent, machine)
    except InputError as error:
        raise InputError(error.what, where=_line(one), expected=error.expected, example=error.example) from None
    for span in (*op.reads, *op.writes):
        size = room(machine, span.space)
        if span.start < 0 or span.end > size:
            raise InputError(f"`{op.text}` reaches byte {span.end - 1} of {space_name(span.space)}, which has {size}",
                             where=_line(one), expected=f"addresses of 0 to {size - 1}",
                             example="a smaller tile, or a lower address")  # fmt: skip
    for span in op.writes:  # rows that are only read may overlap: a window that slides
        if span.rows > 1 and span.stride < span.size:
            raise InputError(f"`{op.text}`: rows of {span.size} bytes overlap", where=_line(one),
                             expected="a stride of at least a row", example=f"stride={span.size}")  # fmt: skip
    if one.name == "xfer":
        for end in ("src", "dst"):
            scope = one.spec.fields[0].names[values[end]]
            if values["bytes"] > machine.sizes[scope]:
                raise InputError(f"`{op.text}`: {scope} has {machine.sizes[scope]} bytes", where=_line(one),
                                 expected=f"at most {machine.sizes[scope]} bytes")  # fmt: skip
    return op


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


def _tree(code: tuple[Instruction, ...]) -> _Loop:
    """Loops as a tree; each instruction with the `step`s before it."""
    stack, steps = [_Loop(1, [], 0)], list[Instruction]()
    for one in code:
        if steps and one.name in ("loop", "endloop", "sync", "end"):
            raise InputError(f"a step before {one.name}", where=_line(one), expected="an instruction with addresses")
        if one.name == "step":
            if one.values["level"] >= len(stack) - 1:
                raise InputError(f"a step of loop {one.values['level']}", where=_line(one),
                                 expected=f"a loop around it: below {len(stack) - 1}")  # fmt: skip
            steps.append(one)
        elif one.name == "loop":
            if len(stack) > DEPTH:
                raise InputError("loops nest too deep", where=_line(one), expected=f"at most {DEPTH} deep")
            stack.append(_Loop(one.values["count"], [], one.line))
        elif one.name == "endloop":
            if len(stack) == 1:
                raise InputError("endloop without a loop", where=_line(one), expected="a loop before it")
            done = stack.pop()
            if done.size():
                stack[-1].body.append(done)
        else:
            stack[-1].body.append((one, tuple(steps)))
            steps = []
            if one.name == "end" and len(stack) == 1:
                break
    if len(stack) > 1:
        raise InputError(
            "a loop without its endloop", where=f"line {stack[-1].line}", expected="an endloop for each loop"
        )
    if steps:
        raise InputError("a step before nothing", where=_line(steps[0]), expected="an instruction after it")
    return stack[0]


_Item = tuple[Instruction, Values, dict[int, Op] | None]


def _walk(loop: _Loop, rounds: list[int], cache: dict[int, Op], top: bool = False) -> Iterator[_Item]:
    """(instruction, its values in this round, a cache if they are the same in every round), in order."""
    for index in range(loop.count):
        here = rounds if top else [*rounds, index]
        for one in loop.body:
            if isinstance(one, _Loop):
                yield from _walk(one, here, cache)
            else:
                yield one[0], _stepped(*one, here) if one[1] else one[0].values, None if one[1] else cache


def _stepped(one: Instruction, steps: tuple[Instruction, ...], rounds: list[int]) -> Values:
    values = dict(one.values)
    for step in steps:
        for name, key in zip(one.spec.steps, "abc", strict=False):
            values[name] += step.values[key] * rounds[step.values["level"]]
    return values


def tally(queues: list[Queue]) -> dict[Action, int]:
    """How often each action happens, over the whole program."""
    counts: dict[Action, int] = {}
    for queue in queues:
        for stream in queue.streams:
            for op, times in _times(stream):
                for action, count in op.instruction.spec.counts(op.values).items():
                    counts[action] = counts.get(action, 0) + times * count
    return counts


def busy(queues: list[Queue]) -> dict[tuple[str, str], int]:
    """Ticks of work by (agent, what): load, store, move, matrix, vector, other."""
    ticks: dict[tuple[str, str], int] = {}
    for queue in queues:
        for stream in queue.streams:
            for op, times in _times(stream):
                key = (queue.name, kind(op))
                ticks[key] = ticks.get(key, 0) + times * op.ticks
    return ticks


def kind(op: Op) -> str:
    """What an instruction keeps busy."""
    found = op.instruction.spec.resource(op.values)
    if found == "bus":
        return "store" if op.values["dst"] == 0 else "load"
    return {"link": "move", "": "other"}.get(found, found)


def _times(stream: list[Op]) -> list[tuple[Op, int]]:
    times: dict[Op, int] = {}
    for op in stream:
        times[op] = times.get(op, 0) + 1
    return list(times.items())


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


def footprint(program: Program, queues: list[Queue], space: int) -> int:
    """Bytes of DRAM or SharedRAM that the program and its data reach."""
    ends = [span.end for queue in queues for stream in queue.streams for op in set(stream)
            for span in (*op.reads, *op.writes) if span.space == space]  # fmt: skip
    scope = ("dram", "sram")[space]
    return max([1, *ends, *(one.address + one.bytes for one in program.buffers if one.scope == scope)])
