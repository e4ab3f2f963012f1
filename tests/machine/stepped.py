"""A second model of time, stepped tick by tick, written from the description alone: no events, no shared code."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

import numpy as np

from picojoule.machine import Instruction, Machine, Program

from .arrays import product

DTYPES = ("float32", "float16", "int8", "int16", "int32")
WIDTH = {"float32": 4, "float16": 2, "int8": 1, "int16": 2, "int32": 4}
SLOW = {5, 7, 8, 9}  # div, exp, tanh, sigmoid among the functions of vec
PAIRS = {0, 1, 2, 3, 4, 5}  # functions of two operands
FILL, QUANTISE = 11, 12
STEPPED = {"move": ("far", "near"), "wait": ("value",), "mm": ("y", "x", "w"), "vec": ("dst", "a", "b"),
           "gather": ("far", "near")}  # fmt: skip
Bytes = set[tuple[str, int]]


@dataclass(eq=False)
class Item:
    code: Instruction
    epoch: int
    kind: int
    ticks: int
    needs_bus: bool
    values: dict[str, int]


@dataclass(eq=False)
class Line:
    """One stream of one agent. `items` are its own, or, with a window, all of its agent."""

    agent: int
    kind: int  # 0 io, 1 move, 2 compute
    number: int
    items: list[Item] = field(default_factory=list)
    at: int = 0
    left: int = -1  # ticks to go of the running item; -1: idle
    running: Item | None = None
    kept: Item | None = None  # with a window: what stands in line for the bus

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
    if one.name == "gather":
        return (
            0,
            machine.setup + v["count"] * ceil(Fraction(v["bytes"], machine.burst)) * machine.burst / machine.bus,
            True,
        )
    if one.name == "mm":
        if machine.tile is None:
            return 2, Fraction(v["m"] * v["k"] * v["n"], machine.macs[DTYPES[v["type"]]]), False
        rows, columns = machine.tile
        if machine.dataflow == "vector":
            parts = len(range(0, v["k"], rows)) * len(range(0, v["n"], columns))
            return 2, Fraction(parts * v["m"]), False
        x, w = np.ones((v["m"], v["k"]), np.int64), np.ones((v["k"], v["n"]), np.int64)
        return 2, Fraction(product(x, w, rows, columns, machine.dataflow)[1]), False
    if one.name == "vec":
        table = machine.special if v["fn"] in SLOW else machine.lanes
        return 2, Fraction(v["length"], table[DTYPES[v["type"]]]), False
    return v["on"], Fraction(v.get("cycles", 0)), False


def touched(item: Item, agent: int) -> tuple[Bytes, Bytes]:
    """Every single byte that an instruction reads, and that it writes."""
    v = item.values
    names = ["dram", "sram", f"nram{agent}", f"wram{agent}"]

    def flat(place: str, start: int, size: int) -> Bytes:
        return {(place, start + i) for i in range(size)}

    if item.code.name == "move":
        short = ceil(Fraction(v["bytes"], 2 ** v["decode"]))
        outer, inner = names[min(v["src"], v["dst"])], names[max(v["src"], v["dst"])]
        far = {(outer, v["far"] + r * (v["stride"] or short) + i) for r in range(v["rows"]) for i in range(short)}
        near = flat(inner, v["near"], v["rows"] * v["bytes"])
        return (far, near) if v["src"] <= v["dst"] else (near, far)
    if item.code.name == "gather":
        size = v["count"] * v["bytes"]
        table = flat("dram", v["far"], v["limit"] * v["bytes"])
        return table | flat(names[2], v["near"] + size, 4 * v["count"]), flat(names[2], v["near"], size)
    width = WIDTH[DTYPES[v["type"]]] if "type" in v else 0
    if item.code.name == "mm":
        y = flat(names[2], v["y"], v["m"] * v["n"] * 4)
        reads = flat(names[2], v["x"], v["m"] * v["k"] * width) | flat(names[3], v["w"], v["k"] * v["n"] * width)
        return (reads | y if v["acc"] else reads), y
    if item.code.name == "vec":
        reads = set() if v["fn"] == FILL else flat(names[2], v["a"], v["length"] * width)
        if v["fn"] in PAIRS and not v["imm"]:
            reads |= flat(names[2], v["b"], v["length"] * width)
        return reads, flat(names[2], v["dst"], v["length"] * (1 if v["fn"] == QUANTISE else width))
    return set(), set()


class Stepped:
    def __init__(self, program: Program, machine: Machine) -> None:
        self.machine = machine
        self.scale = machine.ticks
        self.lines = [Line(agent, kind, 3 * agent + kind) for agent in range(len(machine.agents)) for kind in range(3)]
        self.barriers: list[list[bool]] = []
        self.orders: list[list[Item]] = []
        for agent, name in enumerate(machine.agents):
            self.barriers.append([])
            self.orders.append([])
            self.unroll(agent, list(program.sections.get(name, ())), [])
        self.done: set[int] = set()  # with a window: id of every item that has ended
        self.epoch = [0] * len(machine.agents)
        self.token: dict[tuple[int, int, int], int] = {}
        self.counter = [0] * 256
        self.owner: Line | None = None
        self.before: Line | None = None
        self.turn: list[Line] = []
        self.open: dict[int, int] = {}
        self.now = 0
        self.starts: list[tuple[int, int, int, str]] = []  # (tick, agent, stream, name) of all that started

    def unroll(self, agent: int, code: list[Instruction], rounds: list[int]) -> None:
        i = 0
        steps: list[Instruction] = []
        while i < len(code):
            one = code[i]
            if one.name == "loop":
                depth, j = 1, i
                while depth:
                    j += 1
                    depth += {"loop": 1, "endloop": -1}.get(code[j].name, 0)
                for round_ in range(one.values["count"]):
                    self.unroll(agent, code[i + 1 : j], [*rounds, round_])
                i = j
            elif one.name == "sync":
                self.barriers[agent].append(bool(one.values["cluster"]))
            elif one.name == "step":
                steps.append(one)
            else:
                values = dict(one.values)
                for step in steps:
                    for name, key in zip(STEPPED.get(one.name, ()), "abc", strict=False):
                        values[name] += step.values[key] * rounds[step.values["level"]]
                steps = []
                self.place(agent, one, values)
            i += 1

    def place(self, agent: int, one: Instruction, values: dict[str, int]) -> None:
        kind, time, bus = cycles(self.machine, one)
        ticks = ceil(time) if self.machine.whole else time * self.scale
        assert ticks == int(ticks)
        item = Item(one, len(self.barriers[agent]), kind, int(ticks), bus, values)
        self.orders[agent].append(item)
        self.lines[3 * agent + kind].items.append(item)

    def others(self, line: Line) -> list[int]:
        return [kind for kind in (0, 1, 2) if kind != line.kind]

    def choice(self, line: Line) -> Item | None:
        """What a stream would start next, if nothing but the bus is missing."""
        if self.machine.window:
            return line.kept or self.from_window(line)
        if line.over or line.items[line.at].epoch != self.epoch[line.agent]:
            return None
        item = line.items[line.at]
        for i, other in enumerate(self.others(line)):
            if item.code.tokens & (1, 2)[i] and not self.token.get((line.agent, other, line.kind)):
                return None
        return item if self.counted(item) else None

    def counted(self, item: Item) -> bool:
        return item.code.name != "wait" or self.counter[item.values["sem"]] >= item.values["value"]

    def from_window(self, line: Line) -> Item | None:
        order = self.orders[line.agent]
        first = next((i for i, item in enumerate(order) if id(item) not in self.done), len(order))
        reads: Bytes = set()
        writes: Bytes = set()
        earlier = 0
        started = {id(other.running) for other in self.lines}
        for item in order[first : first + self.machine.window]:
            if item.epoch != self.epoch[line.agent]:
                return None
            if id(item) in self.done:
                continue
            mine_read, mine_write = touched(item, line.agent)
            if item.kind == line.kind and id(item) not in started:
                if item.code.name in ("post", "wait"):
                    free = not earlier
                else:
                    free = not (mine_read & writes or mine_write & (reads | writes))
                if free and self.counted(item):
                    return item
            if item.code.name == "wait":
                return None
            reads |= mine_read
            writes |= mine_write
            earlier += 1
        return None

    def may_start(self, line: Line) -> Item | None:
        item = self.choice(line)
        if item is None or not item.needs_bus:
            return item
        line.kept = item
        if line not in self.turn:
            self.turn.append(line)
        return item if self.owner is None and self.next_line() is line else None

    def next_line(self) -> Line:
        if self.machine.arbitration == "first-come":
            return self.turn[0]
        if self.machine.arbitration == "fixed":
            return min(self.turn, key=lambda line: line.number)
        after = self.before.number + 1 if self.before else 0
        ring = [*range(after, len(self.lines)), *range(after)]
        return next(self.lines[i] for i in ring if self.lines[i] in self.turn)

    def start(self, line: Line, item: Item) -> None:
        self.starts.append((self.now, line.agent, line.kind, item.code.name))
        for i, other in enumerate(self.others(line)):
            if item.code.tokens & (1, 2)[i]:
                self.token[line.agent, other, line.kind] -= 1
        line.left, line.running, line.kept = item.ticks, item, None
        if item.needs_bus:
            self.turn.remove(line)
            self.owner = self.before = line
            line.left += self.opened(item)
        if not line.left:
            self.stop(line)

    def opened(self, item: Item) -> int:
        """Byte by byte: whenever the next one lies in a row that is not open, open it."""
        rows = self.machine.rows
        if rows is None:
            return 0
        one = ceil if self.machine.whole else lambda time: int(time * self.scale)
        v, ticks = item.values, 0
        short = ceil(Fraction(v["bytes"], 2 ** v["decode"]))
        for r in range(v["rows"]):
            for i in range(short):
                page = (v["far"] + r * (v["stride"] or short) + i) // rows.size
                bank, row = page % rows.banks, page // rows.banks
                if self.open.get(bank) != row:
                    ticks += one(rows.activate) + (one(rows.precharge) if bank in self.open else 0)
                    self.open[bank] = row
        return ticks

    def stop(self, line: Line) -> None:
        item = line.running
        assert item is not None
        for i, other in enumerate(self.others(line)):
            if item.code.tokens & (4, 8)[i]:
                key = line.agent, line.kind, other
                self.token[key] = self.token.get(key, 0) + 1
        if item.code.name == "post":
            self.counter[item.values["sem"]] += 1
        if self.owner is line:
            self.owner = None
        self.done.add(id(item))
        line.left, line.running, line.at = -1, None, line.at + 1

    def pass_barriers(self) -> bool:
        def finished(agent: int) -> bool:
            return all(id(item) in self.done for item in self.orders[agent] if item.epoch <= self.epoch[agent])

        agents = range(len(self.epoch))
        taking_part = [a for a in agents if self.barriers[a] or self.orders[a]]
        idle = [finished(a) for a in agents]
        at = [self.epoch[a] < len(self.barriers[a]) for a in agents]
        every = all(idle[a] and at[a] and self.barriers[a][self.epoch[a]] for a in taking_part)
        moved = [a for a in agents if idle[a] and at[a] and (every or not self.barriers[a][self.epoch[a]])]
        for a in moved:
            self.epoch[a] += 1
        return bool(moved)

    def run(self) -> int | None:
        """Ticks, or None for a deadlock."""
        while True:
            for line in self.lines:
                if line.left == 0:
                    self.stop(line)
            moved = True
            while moved:
                moved = False
                for line in self.lines:
                    item = self.may_start(line) if line.left < 0 else None
                    if item is not None:
                        self.start(line, item)
                        moved = True
                moved = moved or self.pass_barriers()
            running = [line for line in self.lines if line.left > 0]
            if not running:
                done = all(x.over for x in self.lines) and all(
                    self.epoch[a] == len(self.barriers[a]) for a in range(len(self.epoch))
                )
                return self.now if done else None
            for line in running:
                line.left -= 1
            self.now += 1
