"""The reference engine: time from event to event in plain Python, with values, checks and the reasons of a deadlock.

At each instant, in this order: (1) what ends now ends, in stream order: agents as the machine lists them, of each io,
move, compute; (2) in passes over the streams, again in that order, each stream issues its head if it is in the agent's
present epoch (what stands between two `sync`), its tokens are there, its counter has been reached, and the off-chip bus,
where it needs it, is free and its own. A stream that lacks only the bus stands in line for it; Machine.arbitration says
who of the line is next; it has the bus for one whole instruction. A pass that issued something is followed by another.
Only streams that something has happened to are looked at.
"""

import random
from bisect import insort
from fractions import Fraction
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

import numpy as np

from picojoule.quantity import InputError

from ._dram import OpenRows
from ._layout import BUS, POST, WAIT, Layout, Op, Slot, overlap, space_name
from ._machine import Machine

if TYPE_CHECKING:
    from ._memory import Memory

STREAMS: Final = ("io", "move", "compute")


class DeadlockError(InputError):
    """Nothing can go on. `heads` has the blocked head of every queue: (queue, instruction and line, what it waits for)."""

    def __init__(self, heads: list[tuple[str, str, str]], where: str, cycle: Fraction) -> None:
        self.heads = heads
        rows = "; ".join(f"{queue}: `{text}` waits for {what}" for queue, text, what in heads)
        super().__init__(f"deadlock at cycle {float(cycle):g}: {rows}", where=where,
                         expected="a signal for every wait, and a place that becomes free",
                         example="move ... !compute before mm ... ?io")  # fmt: skip


class Engine:
    """The state of one run. Stream s is stream s % 3 of agent s // 3."""

    def __init__(self, layout: Layout, machine: Machine, source: str, memory: "Memory | None" = None,
                 check: bool = False, seed: int | None = None) -> None:  # fmt: skip
        self.layout, self.machine, self.source, self.memory, self.check = layout, machine, source, memory, check
        self.random = random.Random(seed) if seed is not None else None
        self.queues, self.slots = layout.queues, layout.slots
        count = 3 * len(self.queues)
        self.tracks: list[list[int]] = [stream.tolist() for queue in self.queues for stream in queue.streams]
        self.place, self.flying = [0] * count, [-1] * count  # in its track; the slot that runs, or -1
        self.ends = [queue.ends.tolist() for queue in self.queues]
        self.wide = [
            np.diff(queue.ends.sum(axis=1), prepend=0).tolist() for queue in self.queues
        ]  # epochs, in instructions
        self.cluster = [queue.cluster.tolist() for queue in self.queues]
        self.epoch = [0] * len(self.queues)
        self.stop: list[int] = [end for ends in self.ends for end in ends[0]]
        self.left = [sum(ends[0]) for ends in self.ends]  # to end, of the present epoch
        self.tokens, self.sems = [0] * (3 * count), [0] * 256
        self.bus, self.last, self.line = -1, -1, list[int]()  # who has it, who had it, who is ready for it
        self.syncs = sum(len(ends) - 1 for ends in self.ends)  # still to pass
        self.active = [a for a, ends in enumerate(self.ends) if len(ends) > 1 or any(ends[0])]
        self.live = [s for s, track in enumerate(self.tracks) if track]
        self.shapes, self.shape_of = layout.slots.shapes, layout.slots.shape_of.tolist()
        self.seen = [0] * len(self.slots)  # how often each slot was issued
        self.opening = [0] * len(self.shapes)  # ticks of DRAM rows
        self.rows = OpenRows(machine, machine.rows) if machine.rows else None
        self.ops: dict[int, Op] = {}  # what runs, in slow runs
        self.events: list[tuple[int, Op, int, int]] | None = None
        self.touched: list[int] = []  # streams that something has happened to
        self.settled = [agent for agent, left in enumerate(self.left) if not left]  # have ended an epoch, not looked at
        self.held: list[int] = []  # streams that wait for a counter
        self.meeting: list[int] = []  # agents at a sync of the cluster

    def run(self, trace: bool = False) -> int:  # noqa: PLR0915 - calls cost more than what they would do
        """Ticks until everything has ended."""
        self.events = [] if trace else None
        slow = bool(self.check or self.memory or self.random or self.rows or trace)
        now, count, heap = 0, len(self.place), list[int]()
        place, stop, flying, tracks, seen = self.place, self.stop, self.flying, self.tracks, self.seen
        tokens, left, settled, line = self.tokens, self.left, self.settled, self.line
        shapes = [self.shapes[shape] for shape in self.shape_of]
        waits, signals = [one.waits for one in shapes], [one.signals_to for one in shapes]
        roles, ticks_of = [one.role for one in shapes], [one.ticks for one in shapes]
        look = list(self.live)
        while True:
            while look:
                again, i = list[int](), 0
                while i < len(look):
                    s = look[i]
                    i += 1
                    at = place[s]
                    if flying[s] >= 0 or at >= stop[s]:
                        continue
                    number = tracks[s][at]
                    for token in waits[number]:
                        if not tokens[token]:
                            break
                    else:
                        role = roles[number]
                        if role == BUS and self.bus < 0 and not line:
                            self.bus = self.last = s
                        elif role and not self._may(s, number, role):
                            continue
                        for token in waits[number]:
                            tokens[token] -= 1
                        flying[s] = number
                        seen[number] += 1
                        ticks = self._begin(s, number, now, None) if slow else ticks_of[number]
                        if ticks:
                            heappush(heap, (now + ticks) * count + s)
                        else:
                            self._settle(s)
                            again += _later(self.touched, look, i, s)
                look = sorted(set(again)) if again else again
                while not look and self.syncs and settled:
                    look = self._next_epoch()
            if not heap:
                if self.syncs or any(place[s] < len(tracks[s]) for s in self.live):
                    raise DeadlockError(self.heads(), self.source, Fraction(now, self.machine.ticks))
                return now
            now, s = divmod(heappop(heap), count)
            limit, look = (now + 1) * count, []
            while True:  # as _settle, which is too slow here
                number = flying[s]
                flying[s] = -1
                place[s] += 1
                look.append(s)
                for token, target in signals[number]:
                    tokens[token] += 1
                    look.append(target)
                role = roles[number]
                if role == BUS:
                    self.bus = -1
                    if line:
                        look.append(self._next_in_line())
                elif role == POST:
                    self.sems[self.shapes[self.shape_of[number]].sem] += 1
                    look += self.held
                    self.held.clear()
                left[s // 3] -= 1
                if not left[s // 3]:
                    settled.append(s // 3)
                if not heap or heap[0] >= limit:
                    break
                s = heappop(heap) % count
            if len(look) > 1:
                look = sorted(set(look))

    def _may(self, s: int, number: int, role: int) -> bool:
        """Whether the counter has been reached, or the bus is free and this stream's turn."""
        if role == BUS:
            if s not in self.line:
                self.line.append(s)
            if self.bus >= 0 or self._next_in_line() != s:
                return False
            self.line.remove(s)
            self.bus = self.last = s
        elif role == WAIT:
            slot = self.slots[number]
            if self.sems[slot.shape.sem] >= slot.value("value", self.seen[number]):
                return True
            self.held.append(s)
            return False
        return True

    def _next_in_line(self) -> int:
        if self.machine.arbitration == "first-come":
            return self.line[0]
        if self.machine.arbitration == "fixed":
            return min(self.line)
        return min(self.line, key=lambda s: (s - self.last - 1) % len(self.place))

    def _begin(self, s: int, number: int, now: int, op: Op | None) -> int:
        """What issuing is besides counting: ticks of this round, after checks and values."""
        slot = self.slots[number]
        op = op or slot.op(self.seen[number] - 1)
        if self.check:
            self._check(s, op)
        self.ops[s] = op
        if self.memory is not None:
            self.memory.run(op)
        ticks = slot.shape.ticks
        if self.random is not None:
            ticks = self.random.randint(1, 64) if ticks else 0
        elif self.rows and slot.shape.role == BUS:
            far = (op.reads + op.writes)[op.values["dst"] == 0]
            opening = self.rows.ticks(far.start, far.rows, far.size, far.stride)
            self.opening[self.shape_of[number]] += opening
            ticks += opening
        if self.events is not None:
            self.events.append((number, op, now, now + ticks))
        return ticks

    def _settle(self, s: int) -> None:
        """End what runs on a stream."""
        number, agent = self.flying[s], s // 3
        shape = self.shapes[self.shape_of[number]]
        self.flying[s] = -1
        self.touched.append(s)
        for token, target in shape.signals_to:
            self.tokens[token] += 1
            self.touched.append(target)
        if shape.role == BUS:
            self.bus = -1
            if self.line:  # nobody else who stands there can be the next
                self.touched.append(self._next_in_line())
        elif shape.role == POST:
            self.sems[shape.sem] += 1
            self.touched += self.held
            self.held.clear()
        self.place[s] += 1
        self.left[agent] -= 1
        if not self.left[agent]:
            self.settled.append(agent)

    def _next_epoch(self) -> list[int]:
        """Let agents pass their `sync`; the streams that may go on."""
        passed = list[int]()
        for agent in self.settled:
            if self.cluster[agent][self.epoch[agent]]:
                self.meeting.append(agent)
            elif self.epoch[agent] + 1 < len(self.ends[agent]):
                passed.append(agent)
        if self.meeting and len(self.meeting) == len(self.active):
            passed += self.meeting
            self.meeting = []
        self.settled.clear()
        looks = list[int]()
        for agent in passed:
            self.epoch[agent] = epoch = self.epoch[agent] + 1
            self.syncs -= 1
            first = 3 * agent
            self.stop[first : first + 3] = self.ends[agent][epoch]
            self.left[agent] = self.wide[agent][epoch]
            looks += (first, first + 1, first + 2)
            if not self.left[agent]:
                self.settled.append(agent)
        if len(passed) > 1:
            looks.sort()
        return looks

    def _check(self, s: int, op: Op) -> None:
        """Whether `op`, about to issue on stream s, touches what another instruction in flight touches."""
        for other in (self.ops[t] for t, number in enumerate(self.flying) if number >= 0 and t != s):
            for mine, theirs, what in ((op.reads, other.writes, "reads what is still being written"),
                                       (op.writes, other.writes, "writes what is still being written"),
                                       (op.writes, other.reads, "writes what is still being read")):  # fmt: skip
                for a in mine:
                    for b in theirs:
                        if a.space == b.space and a.start < b.end and b.start < a.end and overlap(a, b):
                            raise self._hazard(op, other, what, max(a.start, b.start), space_name(a.space))

    def _hazard(self, op: Op, other: Op, what: str, byte: int, where: str) -> InputError:
        heads = "; ".join(f"{queue}: `{text}`" for queue, text, _ in self.heads() if text != op.text)
        return InputError(
            f"{self._name(op)}: `{op.text}` {what}: byte {byte} of {where}, by {self._name(other)}: `{other.text}`"
            + (f"; waiting: {heads}" if heads else ""),
            where=f"{self.source}:{op.instruction.line}" if op.instruction.line else self.source,
            expected="a token between the two", example="move ... !compute before mm ... ?io",
        )  # fmt: skip

    def _name(self, op: Op) -> str:
        return f"{self.queues[op.agent].name}.{STREAMS[op.stream]}"

    def heads(self) -> list[tuple[str, str, str]]:
        """The blocked head of every queue, and what it waits for."""
        heads = []
        for s in self.live:
            if self.flying[s] < 0 and self.place[s] < len(self.tracks[s]):
                number = self.tracks[s][self.place[s]]
                op = self.slots[number].op(self.seen[number])
                heads.append((self._name(op), op.text, self._lacks(op, self.slots[number], s)))
        for agent, queue in enumerate(self.queues):
            epoch = self.epoch[agent]
            if not self.left[agent] and epoch + 1 < len(self.ends[agent]) and self.cluster[agent][epoch]:
                heads.append((queue.name, "sync cluster=1", "the other agents"))
        return heads

    def _lacks(self, op: Op, slot: Slot, s: int) -> str:
        if self.place[s] >= self.stop[s]:
            return "the sync before it"
        for token in slot.shape.waits:
            if not self.tokens[token]:
                return f"a token of {STREAMS[token // 3 % 3]}"
        if slot.shape.role == WAIT and self.sems[op.values["sem"]] < op.values["value"]:
            return self._counter(op)
        return "the off-chip bus" if s in self.line else "nothing"

    def _counter(self, op: Op) -> str:
        return f"{op.values['value']} posts of counter {op.values['sem']}, which has {self.sems[op.values['sem']]}"


def _later(touched: list[int], look: list[int], i: int, s: int) -> list[int]:
    """Streams touched within a pass: those after `s` are looked at in this pass, the others (returned) in the next."""
    again = []
    for other in touched:
        if other <= s:
            again.append(other)
        elif other not in look[i:]:
            insort(look, other, i)
    touched.clear()
    return again
