"""A second model of time, stepped tick by tick, written from the description alone: no events, no shared code."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from picojoule.machine import Instruction, Machine, Program

DTYPES = ("float32", "float16", "int8", "int16", "int32")
WIDTH = {"float32": 4, "float16": 2, "int8": 1, "int16": 2, "int32": 4}
SLOW = {5, 7, 8, 9}  # div, exp, tanh, sigmoid among the functions of vec


@dataclass
class Item:
    code: Instruction
    epoch: int
    ticks: int
    needs_bus: bool


@dataclass
class Line:
    """One stream of one agent."""

    agent: int
    kind: int  # 0 io, 1 move, 2 compute
    items: list[Item] = field(default_factory=list)
    at: int = 0
    left: int = -1  # ticks to go of the running item; -1: idle

    @property
    def head(self) -> Item:
        return self.items[self.at]

    @property
    def over(self) -> bool:
        return self.at == len(self.items)


def cycles(machine: Machine, one: Instruction) -> tuple[int, Fraction, bool]:
    """(stream, cycles, whether over the bus)."""
    v = one.values
    if one.name in ("move", "xfer"):
        rows = v.get("rows", 1)
        if 0 not in (v["src"], v["dst"]):
            return 1, Fraction(rows * v["bytes"]) / machine.link, False
        row = ceil(Fraction(v["bytes"], 2 ** v.get("decode", 0)))
        return 0, machine.setup + rows * ceil(Fraction(row, machine.burst)) * machine.burst / machine.bus, True
    if one.name == "mm":
        return 2, Fraction(v["m"] * v["k"] * v["n"], machine.macs[DTYPES[v["type"]]]), False
    if one.name == "vec":
        table = machine.special if v["fn"] in SLOW else machine.lanes
        return 2, Fraction(v["length"], table[DTYPES[v["type"]]]), False
    return v["on"], Fraction(v.get("cycles", 0)), False


class Stepped:
    def __init__(self, program: Program, machine: Machine) -> None:
        self.machine = machine
        self.scale = machine.ticks
        self.lines = [Line(agent, kind) for agent in range(len(machine.agents)) for kind in range(3)]
        self.barriers: list[list[bool]] = []
        for agent, name in enumerate(machine.agents):
            self.barriers.append([])
            self.unroll(agent, list(program.sections.get(name, ())))
        self.epoch = [0] * len(machine.agents)
        self.token: dict[tuple[int, int, int], int] = {}
        self.counter = [0] * 256
        self.owner: Line | None = None
        self.turn: list[Line] = []

    def unroll(self, agent: int, code: list[Instruction]) -> None:
        i = 0
        while i < len(code):
            one = code[i]
            if one.name == "loop":
                depth, j = 1, i
                while depth:
                    j += 1
                    depth += {"loop": 1, "endloop": -1}.get(code[j].name, 0)
                for _ in range(one.values["count"]):
                    self.unroll(agent, code[i + 1 : j])
                i = j
            elif one.name == "sync":
                self.barriers[agent].append(bool(one.values["cluster"]))
            else:
                kind, time, bus = cycles(self.machine, one)
                ticks = ceil(time) if self.machine.whole else time * self.scale
                assert ticks == int(ticks)
                item = Item(one, len(self.barriers[agent]), int(ticks), bus)
                self.lines[3 * agent + kind].items.append(item)
            i += 1

    def others(self, line: Line) -> list[int]:
        return [kind for kind in (0, 1, 2) if kind != line.kind]

    def may_start(self, line: Line) -> bool:
        item = line.head
        if item.epoch != self.epoch[line.agent]:
            return False
        for i, other in enumerate(self.others(line)):
            if item.code.tokens & (1, 2)[i] and not self.token.get((line.agent, other, line.kind)):
                return False
        if item.code.name == "wait":
            return self.counter[item.code.values["sem"]] >= item.code.values["value"]
        if item.needs_bus:
            if line not in self.turn:
                self.turn.append(line)
            return self.owner is None and self.turn[0] is line
        return True

    def start(self, line: Line) -> None:
        item = line.head
        for i, other in enumerate(self.others(line)):
            if item.code.tokens & (1, 2)[i]:
                self.token[line.agent, other, line.kind] -= 1
        if item.needs_bus:
            self.turn.remove(line)
            self.owner = line
        line.left = item.ticks
        if not item.ticks:
            self.stop(line)

    def stop(self, line: Line) -> None:
        item = line.head
        for i, other in enumerate(self.others(line)):
            if item.code.tokens & (4, 8)[i]:
                key = line.agent, line.kind, other
                self.token[key] = self.token.get(key, 0) + 1
        if item.code.name == "post":
            self.counter[item.code.values["sem"]] += 1
        if self.owner is line:
            self.owner = None
        line.left, line.at = -1, line.at + 1

    def pass_barriers(self) -> bool:
        def finished(agent: int) -> bool:
            mine = [line for line in self.lines if line.agent == agent]
            return all(x.left < 0 and (x.over or x.head.epoch > self.epoch[agent]) for x in mine)

        agents = range(len(self.epoch))
        taking_part = [a for a in agents if self.barriers[a] or any(x.items for x in self.lines if x.agent == a)]
        idle = [finished(a) for a in agents]
        at = [self.epoch[a] < len(self.barriers[a]) for a in agents]
        every = all(idle[a] and at[a] and self.barriers[a][self.epoch[a]] for a in taking_part)
        moved = [a for a in agents if idle[a] and at[a] and (every or not self.barriers[a][self.epoch[a]])]
        for a in moved:
            self.epoch[a] += 1
        return bool(moved)

    def run(self) -> int | None:
        """Ticks, or None for a deadlock."""
        now = 0
        while True:
            for line in self.lines:
                if line.left == 0:
                    self.stop(line)
            moved = True
            while moved:
                moved = False
                for line in self.lines:
                    if line.left < 0 and not line.over and self.may_start(line):
                        self.start(line)
                        moved = True
                moved = moved or self.pass_barriers()
            running = [line for line in self.lines if line.left > 0]
            if not running:
                done = all(x.over for x in self.lines) and all(
                    self.epoch[a] == len(self.barriers[a]) for a in range(len(self.epoch))
                )
                return now if done else None
            for line in running:
                line.left -= 1
            now += 1
