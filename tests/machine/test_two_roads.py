"""Two roads to one count: a nest executed as instructions, and the traffic law of level `mapped`, which share no formula."""

import itertools
import random

import numpy as np

from picojoule.formats import load_machine
from picojoule.machine import assemble, simulate
from picojoule.mapping import Accelerator, Array, Level, Mapping, contraction, traffic

CORE = load_machine("textbook-core")
ROLES = ("input", "weight", "output")
DIMS = "mkn"
# Inputs and sums lie in NRAM, weights in WRAM; loops at DRAM change what NRAM holds, loops at NRAM what WRAM holds.
MACHINE = Accelerator("core", (Level("dram", ROLES), Level("nram", ("input", "output")), Level("wram", ("weight",))),
                      Array("wram", ()), tuple((role, 32) for role in ROLES))  # fmt: skip
AXES = {"input": [[("m", 1)], [("k", 1)]], "weight": [[("k", 1)], [("n", 1)]], "output": [[("m", 1)], [("n", 1)]]}


class Writer:
    """Assembly of Y = X·W under a nest, one instruction at a time; it knows tiles and what is resident, no formula."""

    def __init__(self, size, held, tile, outer, inner):
        self.size, self.held, self.tile, self.outer, self.inner = size, held, tile, outer, inner
        self.lines = [f".data X dram 0 float32 {size['m']}x{size['k']} input",
                      f".data W dram 65536 float32 {size['k']}x{size['n']} input",
                      f".data Y dram 131072 float32 {size['m']}x{size['n']} output", ".core 0"]  # fmt: skip
        self.begun = set()  # blocks of Y that hold sums, in DRAM or in NRAM

    def say(self, text):
        self.lines += [text, "sync"]

    def blocks(self, a, b, at):
        """Blocks of the resident tile over two dimensions: (index in the tile, first row, first column)."""
        rows = range(at[a], at[a] + self.held[a], self.tile[a])
        columns = range(at[b], at[b] + self.held[b], self.tile[b])
        return list(enumerate(itertools.product(rows, columns)))

    def move(self, into, dram, near, a, b, row, column, scope="nram"):
        """One block between DRAM and the chip, row by row."""
        width = 4 * self.size[b]
        far, size = dram + row * width + 4 * column, 4 * self.tile[b]
        ends = f"dst={scope} src=dram" if into else f"dst=dram src={scope}"
        self.say(f"move {ends} far={far} near={near} bytes={size} rows={self.tile[a]} stride={width}")

    def run(self):
        """The nest: tiles are moved when the indices that name them change."""
        x_size, y_size = 4 * self.tile["m"] * self.tile["k"], 4 * self.tile["m"] * self.tile["n"]
        y_base, x_held, y_held = 65536, None, None
        for at in self.walk(self.outer, self.size, self.held, dict.fromkeys(DIMS, 0)):
            if (at["m"], at["n"]) != y_held:
                self.drain(y_held, y_base, y_size)
                y_held = at["m"], at["n"]
                for i, (row, column) in self.blocks("m", "n", at):
                    if (row, column) in self.begun:
                        self.move(True, 131072, y_base + i * y_size, "m", "n", row, column)
            if (at["m"], at["k"]) != x_held:
                x_held = at["m"], at["k"]
                for i, (row, column) in self.blocks("m", "k", at):
                    self.move(True, 0, i * x_size, "m", "k", row, column)
            self.inside(at, x_size, y_base, y_size)
        self.drain(y_held, y_base, y_size)
        return "\n".join(self.lines)

    weight = None

    def inside(self, at, x_size, y_base, y_size):
        for place in self.walk(self.inner, self.held, self.tile, at):
            if (place["k"], place["n"]) != self.weight:
                self.weight = place["k"], place["n"]
                self.move(True, 65536, 0, "k", "n", place["k"], place["n"], scope="wram")
            x = {block: i for i, block in self.blocks("m", "k", at)}[place["m"], place["k"]]
            block = place["m"], place["n"]
            y = {block: i for i, block in self.blocks("m", "n", at)}[block]
            acc = " acc=1" if block in self.begun else ""
            self.begun.add(block)
            self.say(f"mm y={y_base + y * y_size} x={x * x_size} w=0 m={self.tile['m']} k={self.tile['k']} "
                     f"n={self.tile['n']}{acc}")  # fmt: skip

    def drain(self, y_held, y_base, y_size):
        if y_held is not None:
            for i, (row, column) in self.blocks("m", "n", dict(zip("mn", y_held, strict=True)) | {"k": 0}):
                self.move(False, 131072, y_base + i * y_size, "m", "n", row, column)

    def walk(self, order, whole, part, start):
        """Every place of `part` inside `whole`, loops outermost first."""
        steps = [
            range(start[d], start[d] + (self.size if whole is self.size else self.held)[d], part[d]) for d in order
        ]
        for at in itertools.product(*steps):
            yield dict(zip(order, at, strict=True))


def draw(rng):
    """Sizes, tiles that divide them and two loop orders."""
    tile = {d: rng.choice((1, 2, 3, 4)) for d in DIMS}
    inner = {d: rng.choice((1, 1, 2, 3)) for d in DIMS}
    outer = {d: rng.choice((1, 1, 2, 3)) for d in DIMS}
    held = {d: tile[d] * inner[d] for d in DIMS}
    size = {d: held[d] * outer[d] for d in DIMS}
    return size, held, tile, rng.sample(DIMS, 3), rng.sample(DIMS, 3)


def test_the_program_moves_what_the_law_says():
    """Equality: 200 random products, tilings and orders; bytes over every boundary, level by level, and the values."""
    rng, back = random.Random(7), 0
    for _ in range(200):
        size, held, tile, outer, inner = draw(rng)
        program = assemble(Writer(size, held, tile, outer, inner).run())
        x = np.array([[rng.randrange(-4, 5) for _ in range(size["k"])] for _ in range(size["m"])], np.float32)
        w = np.array([[rng.randrange(-4, 5) for _ in range(size["n"])] for _ in range(size["k"])], np.float32)
        run = simulate(program, CORE, {"X": x, "W": w})
        assert np.array_equal(run.outputs["Y"], x @ w)

        mapping = Mapping((
            tuple((d, size[d] // held[d]) for d in outer), tuple((d, held[d] // tile[d]) for d in inner),
            tuple((d, tile[d]) for d in DIMS),
        ))  # fmt: skip
        moved = traffic(contraction("product", size, AXES), MACHINE, mapping)
        told = {
            key: moved.of(*key)
            for key in itertools.product(("dram", "nram", "wram"), ROLES, ("read", "write", "update"))
        }
        assert run.counts["dram", "read"] == 4 * sum(told["dram", role, "read"] for role in ROLES)
        assert run.counts["dram", "write"] == 4 * told["dram", "output", "update"]
        assert run.counts["wram", "write"] == 4 * told["wram", "weight", "write"]
        products = [one for one in program.sections["core0"] if one.name == "mm"]
        made = sum(one.values["m"] * one.values["n"] for one in products)  # words of Y that products write into NRAM
        filled = told["nram", "input", "write"] + told["nram", "output", "write"]
        assert run.counts["nram", "write"] == 4 * (filled + made)
        back += told["dram", "output", "read"] > 0
    assert back > 20  # sums that leave the chip and come back
