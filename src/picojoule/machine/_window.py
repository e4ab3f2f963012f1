"""Out-of-order issue: hardware finds what may start among the next few instructions of an agent's program.

A program for such a machine has no tokens: it means what it says line by line. The window of an agent holds its
`Machine.window` instructions from the oldest that has not ended, within the present epoch. In the passes of
machine._engine each idle stream issues the oldest of its instructions in the window that no earlier one which has not
ended stands against: both touch a byte, and one of the two writes it. `post` and `wait` issue only as the oldest of all,
and nothing passes a `wait`. A stream that stands in line for the bus keeps to its instruction.
"""

from fractions import Fraction
from typing import TYPE_CHECKING

from ._engine import DeadlockError, Engine
from ._layout import BUS, POST, WAIT, Layout, Op, Slot, overlap
from ._machine import Machine

if TYPE_CHECKING:
    from ._memory import Memory


def conflict(a: Op, b: Op) -> bool:
    """Whether two instructions touch a byte that one of them writes."""
    for mine, theirs in ((a.reads, b.writes), (a.writes, b.reads), (a.writes, b.writes)):
        for x in mine:
            for y in theirs:
                if x.space == y.space and x.start < y.end and y.start < x.end and overlap(x, y):
                    return True
    return False


class WindowEngine(Engine):
    """As Engine, with a window for each agent instead of tracks in order."""

    def __init__(self, layout: Layout, machine: Machine, source: str, memory: "Memory | None" = None,
                 check: bool = False, seed: int | None = None) -> None:  # fmt: skip
        super().__init__(layout, machine, source, memory, check, seed)
        self.orders = [queue.order[queue.order >= 0].tolist() for queue in self.queues]
        self.oldest = [0] * len(self.queues)
        self.bound = [sum(ends[0]) for ends in self.ends]  # where the present epoch ends in the order
        self.windows: list[dict[int, Op]] = [{} for _ in self.queues]  # what stands in it and has not ended, by place
        self.against: list[dict[int, set[int]]] = [{} for _ in self.queues]  # earlier places that stand against a place
        self.next_in = [0] * len(self.queues)
        self.at, self.until = [-1] * len(self.place), [-1] * len(self.place)  # of what runs: place in the order, end
        self.kept = [-1] * len(self.place)  # places of what stands in line

    def run(self, trace: bool = False) -> int:
        """Ticks until everything has ended."""
        self.events = [] if trace else None
        now = 0
        while True:
            moved = True
            while moved:
                moved = False
                for s in range(len(self.place)):
                    self._fill(s // 3)
                    moved = (self.flying[s] < 0 and self._try(s, now)) or moved
                while not moved and self.syncs and self.settled:
                    moved = bool(self._next_epoch())
                    self.bound = [sum(ends[epoch]) for ends, epoch in zip(self.ends, self.epoch, strict=True)]
            running = [self.until[s] for s, number in enumerate(self.flying) if number >= 0]
            if not running:
                if self.syncs or any(place < len(order) for place, order in zip(self.oldest, self.orders, strict=True)):
                    raise DeadlockError(self.heads(), self.source, Fraction(now, self.machine.ticks))
                return now
            now = min(running)
            for s, number in enumerate(self.flying):
                if number >= 0 and self.until[s] == now:
                    self._end(s)

    def _fill(self, agent: int) -> None:
        """Bring the window of an agent up to where it may reach."""
        order, window = self.orders[agent], self.windows[agent]
        top = min(self.oldest[agent] + self.machine.window, self.bound[agent])
        while self.next_in[agent] < top:
            at = self.next_in[agent]
            number = order[at]
            op = self.slots[number].op(self.seen[number])
            alone = self.slots[number].shape.role in (POST, WAIT)
            self.against[agent][at] = {place for place, other in window.items() if alone or conflict(op, other)}
            window[at] = op
            self.seen[number] += 1
            self.next_in[agent] += 1

    def _try(self, s: int, now: int) -> bool:
        """Issue something on stream s; whether it did."""
        at = self.kept[s] if self.kept[s] >= 0 else self._oldest_free(s)
        if at < 0:
            return False
        number, op = self.orders[s // 3][at], self.windows[s // 3][at]
        if self.slots[number].shape.role == BUS:
            self.kept[s] = at
            if not self._may(s, number, BUS):
                return False
            self.kept[s] = -1
        self.flying[s], self.at[s] = number, at
        self.until[s] = now + self._begin(s, number, now, op)
        if self.until[s] == now:
            self._end(s)
        return True

    def _oldest_free(self, s: int) -> int:
        """The place of the oldest instruction of stream s that nothing earlier stands against; -1: none."""
        agent, order = s // 3, self.orders[s // 3]
        for at, op in self.windows[agent].items():  # in order: places are added as they come
            slot = self.slots[order[at]]
            free = op.stream == s % 3 and not self.against[agent][at] and self.at[3 * agent + op.stream] != at
            if free and self._reached(op, slot):
                return at
            if slot.shape.role == WAIT:
                break
        return -1

    def _reached(self, op: Op, slot: Slot) -> bool:
        return slot.shape.role != WAIT or self.sems[op.values["sem"]] >= op.values["value"]

    def _end(self, s: int) -> None:
        agent = s // 3
        window = self.windows[agent]
        del window[self.at[s]]
        for places in self.against[agent].values():
            places.discard(self.at[s])
        del self.against[agent][self.at[s]]
        self.at[s] = -1
        self._settle(s)
        self.touched.clear()
        self.oldest[agent] = next(iter(window)) if window else self.next_in[agent]

    def heads(self) -> list[tuple[str, str, str]]:
        """The oldest instruction of every agent, and what it waits for."""
        heads = []
        for agent, window in enumerate(self.windows):
            if window:
                at, op = next(iter(window.items()))
                slot = self.slots[self.orders[agent][at]]
                what = "nothing" if self._reached(op, slot) else self._counter(op)
                heads.append((self._name(op), op.text, what))
            elif self.epoch[agent] + 1 < len(self.ends[agent]) and self.cluster[agent][self.epoch[agent]]:
                heads.append((self.queues[agent].name, "sync cluster=1", "the other agents"))
        return heads
