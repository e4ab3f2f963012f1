"""Random programs on random machines, timed by every engine: python -m tests.machine.fuzz [COUNT] [SEED]

10,000 programs of seed 0 by default. Raises AssertionError at the first on which two engines differ.
"""

import random
import sys
from collections import Counter
from dataclasses import replace
from fractions import Fraction

from picojoule.machine import DeadlockError, Machine, Program, Rows, simulate
from picojoule.machine._compiled import available, time
from picojoule.machine._plan import plan

from .machines import CLUSTER, CORE, STREAMS, Writer
from .stepped import Stepped


def options(seed: int) -> Machine:
    """A machine with a few options on, or none; with DRAM rows, programs have no `xfer`."""
    draw = random.Random(seed)
    machine = replace(draw.choice((CORE, CLUSTER)), whole=draw.random() < 0.5, setup=draw.choice((0, 0, 1, 3)),
                      burst=draw.choice((1, 8, 32)))  # fmt: skip
    if draw.random() < 0.4:
        machine = replace(machine, arbitration=draw.choice(("fixed", "round-robin")))
    if draw.random() < 0.3:
        machine = replace(machine, rows=Rows(draw.choice((64, 100, 256)), draw.choice((1, 2, 4)), Fraction(
            draw.randint(0, 12), 4), Fraction(draw.randint(0, 12), 4)))  # fmt: skip
    if draw.random() < 0.3:
        machine = replace(machine, window=draw.choice((1, 2, 3, 5, 8, 16)))
    if draw.random() < 0.2:
        dataflow = draw.choice(("vector", "weight-stationary", "output-stationary"))
        machine = replace(machine, tile=(draw.randint(1, 3), draw.randint(1, 3)), dataflow=dataflow)
    return machine


def plain(program: Program, machine: Machine) -> tuple[int | None, list[tuple[int, int, int, str]]]:
    """Ticks by the reference (None for a deadlock), and (tick, agent, stream, name) of every start."""
    try:
        run = simulate(program, machine, check=False, engine="plain", trace=True)
    except DeadlockError:
        return None, []
    starts = [(int(e.start * machine.ticks), machine.agents.index(e.agent), STREAMS.index(e.stream), e.text.split()[0])
              for e in run.events]  # fmt: skip
    return int(run.cycles * machine.ticks), sorted(starts)


def compiled(program: Program, machine: Machine) -> int | None:
    """Ticks by the compiled engine."""
    try:
        return time(plan(program, machine), machine, "program").ticks
    except DeadlockError:
        return None


def one(seed: int) -> str:
    """Time one program by all engines."""
    machine = options(seed)
    program = Writer(machine, seed).program(4 + seed % 37, loose=seed % 10 == 0)
    stepped = Stepped(program, machine)
    expected = stepped.run()
    ticks, starts = plain(program, machine)
    assert ticks == expected, f"seed {seed}: plain and stepped"
    assert expected is None or starts == sorted(stepped.starts), f"seed {seed}: some instruction starts elsewhere"
    if available():
        assert compiled(program, machine) == expected, f"seed {seed}: compiled and stepped"
    what = "window" if machine.window else "in order"
    what += ", rows" if machine.rows else ""
    return what + (", deadlock" if expected is None else "")


def run(first: int, count: int) -> Counter[str]:
    """Time `count` programs; how many of which kind."""
    return Counter(one(seed) for seed in range(first, first + count))


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    found = run(given[1] if len(given) > 1 else 0, given[0] if given else 10_000)
    print(dict(sorted(found.items())), "compiled engine:", "compared" if available() else "absent")
