"""Small machines, and random programs for them."""

import random
from dataclasses import replace
from fractions import Fraction

from picojoule.machine import Machine, Program, assemble

CORE = Machine("core", Fraction(10**9), 1, {"float32": 4, "int8": 8}, {"float32": 4, "int8": 8, "int32": 4},
               {"float32": 2}, {"dram": 65536, "sram": 0, "nram": 4096, "wram": 4096}, Fraction(4), Fraction(8))  # fmt: skip
CLUSTER = replace(CORE, name="cluster", cores=3, sizes={**CORE.sizes, "sram": 8192})
STREAMS = ("io", "move", "compute")


class Writer:
    """Random assembly. In the order in which lines are written every token is there, so it can always run."""

    def __init__(self, machine: Machine, seed: int) -> None:
        self.machine, self.random, self.plain = machine, random.Random(seed), bool(machine.window)
        self.text: dict[str, list[str]] = {name: [] for name in machine.agents}
        self.tokens: dict[tuple[str, str, str], int] = {}
        self.posts = [0] * 4

    def program(self, size: int, loose: bool = False) -> Program:
        """`loose` adds waits for tokens that may never come."""
        for _ in range(size):
            agent, roll = self.random.choice(self.machine.agents), self.random.random()
            if roll < 0.04:
                self.text[agent].append("sync")
            elif roll < 0.06:
                for lines in self.text.values():
                    lines.append("sync cluster=1")
            elif roll < 0.12:
                self.loop(agent)
            elif roll < 0.2:
                self.counter(agent)
            else:
                self.text[agent].append(self.line(agent, self.tokens))
        if loose:
            lines = self.random.choice([x for x in self.text.values() if x] or [["sync"]])
            late = "wait on=compute sem=3 value=999" if self.plain else "nop on=compute cycles=1 ?io"
            lines.insert(self.random.randrange(len(lines) + 1), late)
        return assemble("\n".join(
            line for name, lines in self.text.items() if lines
            for line in (".dma" if name == "dma" else f".core {name[4:]}", *lines)))  # fmt: skip

    def loop(self, agent: str) -> None:
        inside: dict[tuple[str, str, str], int] = {}
        count = self.random.randint(1, 4)
        body = []
        for _ in range(self.random.randint(1, 4)):
            line = self.line(agent, inside)
            if self.random.random() < 0.3 and line.startswith("move"):
                body.append(f"step level=0 a={self.random.randint(0, 300)} b={self.random.randint(0, 20)}")
            body.append(line)
        if self.random.random() < 0.2:
            body.insert(0, f"loop count={self.random.randint(1, 3)}\nnop on=compute cycles=1\nsync\nendloop")
        self.text[agent] += [f"loop count={count}", *body, "endloop"]
        for key, left in inside.items():
            self.tokens[key] = self.tokens.get(key, 0) + left * count

    def counter(self, agent: str) -> None:
        sem, on = self.random.randrange(4), self.random.choice(STREAMS)
        if self.random.random() < 0.5:
            self.text[agent].append(f"post on={on} sem={sem}")
            self.posts[sem] += 1
        else:
            self.text[agent].append(f"wait on={on} sem={sem} value={self.random.randint(0, self.posts[sem])}")

    def line(self, agent: str, tokens: dict[tuple[str, str, str], int]) -> str:
        draw = self.random
        stream = draw.choice(STREAMS) if agent != "dma" else "io"
        one = draw.choice(["nop", "real", "real", "real"])
        size = draw.randint(1, 40)
        sram = bool(self.machine.sizes["sram"])
        if one == "nop":
            text = f"nop on={stream} cycles={draw.randint(0, 9)}"
        elif stream == "io":
            near = "sram" if agent == "dma" else draw.choice(["nram", "wram", *["sram"] * sram])
            ends = draw.choice([f"src=dram dst={near}", f"src={near} dst=dram"])
            text = f"move {ends} far={draw.randrange(999)} near={draw.randrange(999)} bytes={size}"
            text += draw.choice(["", f" rows={draw.randint(2, 4)} stride=64", " decode=1"])
            if near == "nram" and agent != "dma" and not self.machine.rows and draw.random() < 0.3:
                text = f"gather far={draw.randrange(999)} near={draw.randrange(999)} bytes={size} count={draw.randint(1, 4)}"
                text += f" limit={draw.randint(1, 9)}"
        elif stream == "move":
            ends = draw.choice(["src=nram dst=wram", "src=nram dst=nram", *["src=sram dst=nram"] * sram])
            text = f"move {ends} far={draw.randrange(999)} near={draw.randrange(999)} bytes={size}"
        elif draw.random() < 0.5:
            dtype = draw.choice(["float32", "int8"])
            text = f"mm x=0 y=64 w=0 m={draw.randint(1, 4)} k={draw.randint(1, 4)} n={draw.randint(1, 4)} type={dtype}"
        else:
            text = f"vec fn={draw.choice(['add', 'exp', 'relu'])} dst=0 a=512 b=1024 length={size}"
        if self.plain:
            return text
        others = [other for other in STREAMS if other != stream]
        for other in others:
            if tokens.get((agent, other, stream)) and draw.random() < 0.5:
                tokens[agent, other, stream] -= 1
                text += f" ?{other}"
        for other in others:
            if draw.random() < 0.3:
                tokens[agent, stream, other] = tokens.get((agent, stream, other), 0) + 1
                text += f" !{other}"
        return text
