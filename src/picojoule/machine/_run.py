"""Values, time and action counts of a program in one walk.

Time goes from event to event; at each instant, in this order: (1) what ends now ends, in stream order: agents as the
machine lists them, of each io, move, compute; (2) in passes over the streams, again in that order, each stream issues
its head if it is in the agent's present epoch (what stands between two `sync`), its tokens are there, its counter has
been reached, and the off-chip bus, where it needs it, is free. The bus goes to whoever has been ready for longest, in
stream order among equals, for one whole instruction. A pass that issued something is followed by another.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from picojoule.cost import Activity, Term
from picojoule.hardware import Action
from picojoule.quantity import InputError

from ._machine import Machine
from ._memory import Memory
from ._plan import LIMIT, Op, Queue, busy, kind, overlap, plan, space_name, tally
from ._program import Program

_NAMES: Final = ("io", "move", "compute")


class DeadlockError(InputError):
    """Nothing can go on. `heads` has the blocked head of every queue: (queue, instruction and line, what it waits for)."""

    def __init__(self, heads: list[tuple[str, str, str]], where: str, cycle: Fraction) -> None:
        self.heads = heads
        rows = "; ".join(f"{queue}: `{text}` waits for {what}" for queue, text, what in heads)
        super().__init__(f"deadlock at cycle {float(cycle):g}: {rows}", where=where,
                         expected="a signal for every wait, and a place that becomes free",
                         example="move ... !compute before mm ... ?io")  # fmt: skip


class Event(NamedTuple):
    """One instruction in time [cycles]."""

    agent: str
    stream: str
    kind: str
    text: str
    line: int
    start: Fraction
    end: Fraction


@dataclass(frozen=True, slots=True)
class Run:
    """What a program did. `busy` is in cycles, by (agent, load | store | move | matrix | vector | other)."""

    cycles: Fraction
    seconds: float
    instructions: int
    counts: Mapping[Action, int]
    busy: Mapping[tuple[str, str], Fraction]
    outputs: Mapping[str, NDArray[Any]]
    events: tuple[Event, ...] = ()

    def activity(self, name: str = "program") -> Activity:
        """For cost.price: the counts, and the time as one exact term."""
        return Activity(name, name, "program", self.counts, (Term("program", self.seconds),))


def simulate(
    program: Program,
    machine: Machine,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    trace: bool = False,
    check: bool = True,
    seed: int | None = None,
    limit: int = LIMIT,
) -> Run:
    """Run `program`. With `inputs` (arrays for its input buffers, maybe none) values are computed too.

    `check` watches that nothing touches bytes which another instruction in flight is writing. `seed` gives every
    instruction a random duration: another legal order, to find races; `cycles` then mean nothing.
    """
    queues = plan(program, machine, limit)
    memory = Memory(program, queues, machine, inputs) if inputs is not None else None
    engine = _Engine(queues, machine, program.source, memory, check or memory is not None, seed)
    ticks = engine.run(trace)
    scale = machine.ticks
    return Run(
        Fraction(ticks, scale), float(Fraction(ticks, scale) / machine.clock_hz),
        sum(len(stream) for queue in queues for stream in queue.streams), tally(queues),
        {key: Fraction(value, scale) for key, value in busy(queues).items()},
        memory.outputs() if memory is not None else {},
        tuple(Event(queues[op.agent].name, _NAMES[op.stream], kind(op), op.text, op.instruction.line,
                    Fraction(start, scale), Fraction(end, scale)) for op, start, end in engine.events),
    )  # fmt: skip


def find_races(program: Program, machine: Machine, inputs: Mapping[str, NDArray[Any]], seeds: Iterable[int]) -> Run:
    """Run once in time and once in random order for each seed; raise InputError if an order fails or changes a value."""
    first = simulate(program, machine, inputs)
    for seed in seeds:
        other = simulate(program, machine, inputs, seed=seed)
        for name, value in first.outputs.items():
            if value.tobytes() != other.outputs[name].tobytes():
                raise InputError(f"a race: {name!r} has other values in another legal order (seed {seed})",
                                 where=program.source, expected="tokens between what writes and what reads",
                                 example="move ... !compute before mm ... ?io")  # fmt: skip
    return first


class _Engine:
    """The state of one run. Stream s is stream s % 3 of agent s // 3; token t is from stream t // 3 % 3 to t % 3."""

    def __init__(self, queues: list[Queue], machine: Machine, source: str, memory: Memory | None, check: bool,
                 seed: int | None) -> None:  # fmt: skip
        self.queues, self.machine, self.source, self.memory, self.check = queues, machine, source, memory, check
        self.random = random.Random(seed) if seed is not None else None
        count = 3 * len(queues)
        self.lists = [stream for queue in queues for stream in queue.streams]
        self.place, self.end = [0] * count, [-1] * count
        self.epoch = [0] * len(queues)
        self.stop = [end for queue in queues for end in queue.ends[0]]
        self.tokens, self.sems = [0] * (9 * len(queues)), [0] * 256
        self.bus, self.line = -1, list[int]()  # who has the bus; who is ready for it, longest first
        self.flying: dict[int, Op] = {}
        self.events: list[tuple[Op, int, int]] = []
        self.syncs = sum(len(queue.ends) - 1 for queue in queues)  # still to pass
        self.active = [a for a, queue in enumerate(queues) if len(queue.ends) > 1 or any(queue.streams)]
        self.live = [s for s in range(count) if self.lists[s]]

    def run(self, trace: bool) -> int:
        """Ticks until everything has ended."""
        now, end, live, flying = 0, self.end, self.live, self.flying
        while True:
            for s in live:
                if end[s] == now:
                    self._finish(s)
            moved = True
            while moved:
                moved = False
                for s in live:
                    if end[s] < 0 and self.place[s] < self.stop[s] and self._ready(s):
                        self._issue(s, now, trace)
                        moved = True
                if not moved:
                    moved = self._next_epoch()
            if not flying:
                if all(self.place[s] == len(self.lists[s]) for s in live) and self._at_end():
                    return now
                raise DeadlockError(self._heads(), self.source, Fraction(now, self.machine.ticks))
            now = min([end[s] for s in flying])

    def _ready(self, s: int) -> bool:
        op = self.lists[s][self.place[s]]
        tokens = self.tokens
        for token in op.waits:
            if not tokens[token]:
                return False
        if op.instruction.name == "wait":
            return self.sems[op.values["sem"]] >= op.values["value"]
        if op.bus:
            if s not in self.line:
                self.line.append(s)
            return self.bus < 0 and self.line[0] == s
        return True

    def _issue(self, s: int, now: int, trace: bool) -> None:
        op = self.lists[s][self.place[s]]
        for token in op.waits:
            self.tokens[token] -= 1
        if op.bus:
            self.line.pop(0)
            self.bus = s
        if self.check:
            self._check(op)
        if self.memory is not None:
            self.memory.run(op)
        ticks = self.random.randint(1, 64) if self.random is not None and op.ticks else op.ticks
        self.end[s] = now + ticks
        self.flying[s] = op
        if trace:
            self.events.append((op, now, now + ticks))
        if not ticks:
            self._finish(s)

    def _finish(self, s: int) -> None:
        op = self.flying.pop(s)
        for token in op.signals:
            self.tokens[token] += 1
        if op.instruction.name == "post":
            self.sems[op.values["sem"]] += 1
        self.place[s] += 1
        self.end[s] = -1
        if self.bus == s:
            self.bus = -1

    def _idle(self, agent: int) -> bool:
        """Whether an agent has ended its epoch."""
        return all(self.place[s] == self.stop[s] and self.end[s] < 0 for s in range(3 * agent, 3 * agent + 3))

    def _next_epoch(self) -> bool:
        """Let agents pass their `sync`; whether one did."""
        if not self.syncs:
            return False
        idle = [self._idle(agent) for agent in range(len(self.queues))]
        at = [queue.cluster[self.epoch[agent]] for agent, queue in enumerate(self.queues)]
        together = all(idle[agent] and at[agent] for agent in self.active)
        passed = False
        for agent, queue in enumerate(self.queues):
            last = self.epoch[agent] + 1 == len(queue.ends)
            if idle[agent] and not last and (together or not at[agent]):
                self.epoch[agent] += 1
                self.syncs -= 1
                self.stop[3 * agent : 3 * agent + 3] = queue.ends[self.epoch[agent]]
                passed = True
        return passed

    def _at_end(self) -> bool:
        return not self.syncs

    def _check(self, op: Op) -> None:
        for other in self.flying.values():
            for mine, theirs, what in ((op.reads, other.writes, "reads what is still being written"),
                                       (op.writes, other.writes, "writes what is still being written"),
                                       (op.writes, other.reads, "writes what is still being read")):  # fmt: skip
                for a in mine:
                    for b in theirs:
                        if a.space == b.space and a.start < b.end and b.start < a.end and overlap(a, b):
                            raise self._hazard(op, other, what, max(a.start, b.start), space_name(a.space))

    def _hazard(self, op: Op, other: Op, what: str, byte: int, where: str) -> InputError:
        heads = "; ".join(f"{queue}: `{text}`" for queue, text, _ in self._heads() if text != op.text)
        return InputError(
            f"{self._name(op)}: `{op.text}` {what}: byte {byte} of {where}, by {self._name(other)}: `{other.text}`"
            + (f"; waiting: {heads}" if heads else ""),
            where=f"{self.source}:{op.instruction.line}" if op.instruction.line else self.source,
            expected="a token between the two", example="move ... !compute before mm ... ?io",
        )  # fmt: skip

    def _name(self, op: Op) -> str:
        return f"{self.queues[op.agent].name}.{_NAMES[op.stream]}"

    def _heads(self) -> list[tuple[str, str, str]]:
        heads = []
        for s in self.live:
            if self.end[s] < 0 and self.place[s] < len(self.lists[s]):
                op = self.lists[s][self.place[s]]
                heads.append((self._name(op), op.text, self._lacks(op, s)))
        for agent, queue in enumerate(self.queues):
            if self._idle(agent) and self.epoch[agent] + 1 < len(queue.ends) and queue.cluster[self.epoch[agent]]:
                heads.append((queue.name, "sync cluster=1", "the other agents"))
        return heads

    def _lacks(self, op: Op, s: int) -> str:
        if self.place[s] >= self.stop[s]:
            return "the sync before it"
        for token in op.waits:
            if not self.tokens[token]:
                return f"a token of {_NAMES[token // 3 % 3]}"
        if op.instruction.name == "wait" and self.sems[op.values["sem"]] < op.values["value"]:
            return f"{op.values['value']} posts of counter {op.values['sem']}, which has {self.sems[op.values['sem']]}"
        return "the off-chip bus" if s % 3 == 0 and s in self.line else "nothing"
