"""From instructions with dependences to a program: a static order for every stream, then as few tokens as enforce it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from picojoule.quantity import InputError

from ._isa import ASYNC, Instruction, make
from ._machine import Machine
from ._program import Buffer, Program


@dataclass(slots=True)
class Node:
    """One instruction; `needs` are nodes that must have ended. Of those that could start, the least `key` does."""

    agent: int
    instruction: Instruction
    stream: int
    ticks: int
    needs: list[int]
    key: tuple[int, ...]
    start: int = 0


class Draft:
    """Instructions of one program in the making."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.nodes: list[Node] = []

    def add(self, agent: int, name: str, needs: Iterable[int | None], key: tuple[int, ...], **values: int) -> int:
        """One more instruction; returns its number. `needs` may name instructions that come later."""
        one = make(name, **values)
        ticks = one.spec.duration(self.machine, one.values)
        stream = ASYNC.index(one.spec.stream(one.values))
        self.nodes.append(Node(agent, one, stream, ticks, [n for n in needs if n is not None], key))
        return len(self.nodes) - 1

    def schedule(self) -> int:
        """Give every node its start, each stream one instruction at a time; ticks until all have ended."""
        nodes = self.nodes
        left = [len(set(node.needs)) for node in nodes]
        after: list[list[int]] = [[] for _ in nodes]
        for number, node in enumerate(nodes):
            for need in set(node.needs):
                after[need].append(number)
        count = 3 * len(self.machine.agents)
        ready: list[list[tuple[tuple[int, ...], int]]] = [[] for _ in range(count)]
        ends: list[tuple[int, int]] = []
        free, now, done = [True] * count, 0, 0
        for number, node in enumerate(nodes):
            if not left[number]:
                heappush(ready[3 * node.agent + node.stream], (node.key, number))
        while done < len(nodes):
            for s in range(count):
                if free[s] and ready[s]:
                    number = heappop(ready[s])[1]
                    nodes[number].start, free[s] = now, False
                    heappush(ends, (now + nodes[number].ticks, number))
            if not ends:
                raise InputError("the tiles do not fit: each waits for another's place", where="schedule",
                                 expected="smaller tiles, or another order of the loops", example="order='mnk'")  # fmt: skip
            now = ends[0][0]
            while ends and ends[0][0] == now:
                number = heappop(ends)[1]
                done += 1
                free[3 * nodes[number].agent + nodes[number].stream] = True
                for other in after[number]:
                    left[other] -= 1
                    if not left[other]:
                        heappush(ready[3 * nodes[other].agent + nodes[other].stream], (nodes[other].key, other))
        return now

    def program(self, buffers: Sequence[Buffer], source: str) -> Program:
        """The scheduled program: tokens inside an agent, counters between agents.

        Where hardware finds what may start, each agent's nodes follow each other so that whatever one needs stands before
        it, as close to the order in which they were added as that allows; counters between agents alone.
        """
        if self.machine.window:
            return self._sequential(buffers, source)
        order: list[list[int]] = [[] for _ in range(3 * len(self.machine.agents))]
        for number in sorted(range(len(self.nodes)), key=lambda i: (self.nodes[i].start, i)):
            order[3 * self.nodes[number].agent + self.nodes[number].stream].append(number)
        place = {number: i for stream in order for i, number in enumerate(stream)}
        tokens, posts, waits = self._links(order, place)
        ranks = {stream: {at: i + 1 for i, at in enumerate(sorted(found))} for stream, found in posts.items()}
        sections = {}
        for agent, name in enumerate(self.machine.agents):
            code: list[Instruction] = []
            for stream in range(3):
                for number in order[3 * agent + stream]:
                    for producer, position in waits.get(number, ()):
                        code.append(make("wait", on=stream, sem=producer, value=ranks[producer][position]))
                    one = self.nodes[number].instruction
                    code.append(Instruction(one.name, one.values, tokens.get(number, 0)))
                    if place[number] in posts.get(3 * agent + stream, ()):
                        code.append(make("post", on=stream, sem=3 * agent + stream))
            if code:
                sections[name] = tuple(code)
        return Program(sections, tuple(buffers), source=source)

    def _sequential(self, buffers: Sequence[Buffer], source: str) -> Program:
        order = self._topological()
        place = {number: at for at, number in enumerate(order)}
        posts: dict[int, set[int]] = {}
        waits: dict[int, list[tuple[int, int]]] = {}
        seen: dict[tuple[int, int], int] = {}  # by (who waits, for whom): how far it has waited
        for number in order:
            mine = self.nodes[number].agent
            wanted: dict[int, int] = {}
            for need in self.nodes[number].needs:
                other = self.nodes[need].agent
                if other != mine:
                    wanted[other] = max(wanted.get(other, -1), place[need])
            for other, at in sorted(wanted.items()):
                if at > seen.get((mine, other), -1):
                    seen[mine, other] = at
                    posts.setdefault(other, set()).add(at)
                    waits.setdefault(number, []).append((other, at))
        ranks = {agent: {at: rank + 1 for rank, at in enumerate(sorted(found))} for agent, found in posts.items()}
        sections: dict[str, list[Instruction]] = {}
        for at, number in enumerate(order):
            node = self.nodes[number]
            code = sections.setdefault(self.machine.agents[node.agent], [])
            for other, position in waits.get(number, ()):
                code.append(make("wait", on=node.stream, sem=other, value=ranks[other][position]))
            code.append(Instruction(node.instruction.name, node.instruction.values))
            if at in posts.get(node.agent, ()):
                code.append(make("post", on=node.stream, sem=node.agent))
        return Program(sections, tuple(buffers), source=source)

    def _topological(self) -> list[int]:
        """Every node after what it needs; of those that may come next, the one that was added first."""
        left = [len(set(node.needs)) for node in self.nodes]
        after: list[list[int]] = [[] for _ in self.nodes]
        for number, node in enumerate(self.nodes):
            for need in set(node.needs):
                after[need].append(number)
        ready = [number for number, count in enumerate(left) if not count]
        order = list[int]()
        while ready:
            number = heappop(ready)
            order.append(number)
            for other in after[number]:
                left[other] -= 1
                if not left[other]:
                    heappush(ready, other)
        assert len(order) == len(self.nodes), "schedule() refuses nodes that wait for each other"
        return order

    def _links(
        self, order: list[list[int]], place: dict[int, int]
    ) -> tuple[dict[int, int], dict[int, set[int]], dict[int, list[tuple[int, int]]]]:
        """Token bits by node, positions to post by stream, counters to wait for by node.

        A stream that has waited for position p of another need not wait again for what came before p.
        """
        tokens: dict[int, int] = {}
        posts: dict[int, set[int]] = {}
        waits: dict[int, list[tuple[int, int]]] = {}
        for here, stream in enumerate(order):
            seen: dict[int, int] = {}
            for number in stream:
                wanted: dict[int, int] = {}
                for need in self.nodes[number].needs:
                    there = 3 * self.nodes[need].agent + self.nodes[need].stream
                    wanted[there] = max(wanted.get(there, -1), place[need])
                for there, position in sorted(wanted.items()):
                    if there == here or position <= seen.get(there, -1):
                        continue
                    seen[there] = position
                    if there // 3 == here // 3:
                        tokens[number] = tokens.get(number, 0) | 1 << _bit(here % 3, there % 3)
                        source = order[there][position]
                        tokens[source] = tokens.get(source, 0) | 4 << _bit(there % 3, here % 3)
                    else:
                        posts.setdefault(there, set()).add(position)
                        waits.setdefault(number, []).append((there, position))
        return tokens, posts, waits


def _bit(here: int, other: int) -> int:
    """Which of the two other streams `other` is to `here`."""
    return [s for s in range(3) if s != here].index(other)
