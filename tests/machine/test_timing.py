"""Time: events against a stepped model, by hand, and what stops a program."""

from dataclasses import replace
from fractions import Fraction

import pytest

from picojoule.machine import DeadlockError, Machine, Program, assemble, simulate
from picojoule.quantity import InputError

from .machines import CLUSTER, CORE, Writer
from .stepped import Stepped


def ticks(program: Program, machine: Machine) -> int | None:
    try:
        return int(simulate(program, machine, check=False).cycles * machine.ticks)
    except DeadlockError:
        return None


@pytest.mark.parametrize("part", range(20))
def test_equal_to_stepped_model(part: int) -> None:
    """Equality: 2,000 random programs take as many ticks as in the stepped model; one in ten may deadlock, in both."""
    deadlocks = 0
    for seed in range(100 * part, 100 * part + 100):
        machine = (CORE, CLUSTER)[seed % 2]
        machine = replace(machine, whole=seed % 4 >= 2, setup=seed % 3, burst=(1, 8, 32)[seed % 5 % 3])
        program = Writer(machine, seed).program(4 + seed % 37, loose=seed % 10 == 0)
        expected = Stepped(program, machine).run()
        assert ticks(program, machine) == expected, f"seed {seed}"
        deadlocks += expected is None
    assert deadlocks <= 10


def test_overlap_by_hand() -> None:
    """By hand: a load of 40 bytes at 4 a cycle beside a product of 64 MACs at 4 a cycle; then a store of 16 bytes."""
    program = assemble("""
        move src=dram dst=nram far=0 near=512 bytes=40
        mm x=0 w=0 y=256 m=4 k=4 n=4 !io
        move dst=dram src=nram far=0 near=256 bytes=16 ?compute
    """)
    run = simulate(program, CORE, trace=True)
    assert run.cycles == 16 + 4
    assert [(e.start, e.end) for e in run.events] == [(0, 10), (0, 16), (16, 20)]
    assert run.busy == {("core0", "load"): 10, ("core0", "matrix"): 16, ("core0", "store"): 4}
    assert run.counts == {
        ("dram", "read"): 40, ("nram", "write"): 40 + 64, ("nram", "read"): 64 + 16, ("wram", "read"): 64,
        ("dram", "write"): 16, ("matrix", "mac_float32"): 64,
    }  # fmt: skip
    assert run.activity().time_s == pytest.approx(20e-9)


def test_bus_goes_to_the_longest_ready() -> None:
    """By hand: core 1 asks at 0 and waits for core 0; core 0's second load, ready at 10, comes after core 1's."""
    load = "move src=dram dst=nram far=0 near=0 bytes=40"
    run = simulate(assemble(f".core 0\n{load}\n{load}\n.core 1\n{load}\n"), CLUSTER, trace=True)
    assert [(e.agent, e.start) for e in run.events] == [("core0", 0), ("core1", 10), ("core0", 20)]


def test_fractions_and_whole_cycles() -> None:
    """By hand: 3 bytes at 4 a cycle are 3/4 of a cycle, or one whole cycle."""
    program = assemble("xfer src=dram dst=nram bytes=3")
    assert simulate(program, CORE).cycles == Fraction(3, 4)
    assert simulate(program, replace(CORE, whole=True)).cycles == 1


def test_step_moves_addresses() -> None:
    """By hand: two nested loops of steps 100 and 10 read from 5, 15, 105, 115."""
    run = simulate(assemble("""
        loop count=2
          loop count=2
            step level=0 a=100
            step level=1 a=10 b=8
            move src=dram dst=nram far=5 near=0 bytes=4
          endloop
        endloop
    """), CORE, trace=True)  # fmt: skip
    assert [e.text.split()[3] for e in run.events] == ["far=5", "far=15", "far=105", "far=115"]
    assert [e.text.split()[4] for e in run.events] == ["near=0", "near=8", "near=0", "near=8"]


def test_sync_holds_everything_back() -> None:
    """By hand: without sync the longer of two; with sync their sum; sync of the cluster holds the others too."""
    parts = ("nop on=io cycles=7", "nop on=compute cycles=5")
    assert simulate(assemble("\n".join(parts)), CORE).cycles == 7
    assert simulate(assemble("\nsync\n".join(parts)), CORE).cycles == 12
    text = ".core 0\nnop on=io cycles=7\nsync cluster=1\n.core 1\nsync cluster=1\nnop on=move cycles=2\n"
    assert simulate(assemble(text), CLUSTER).cycles == 9


def test_deadlock_names_every_head() -> None:
    """Message: the blocked head of every queue, its line, and the token, counter or sync that is missing."""
    program = assemble("nop on=io cycles=1 ?compute\nnop on=compute cycles=1 ?io\nwait on=move sem=3 value=2\n", "p.s")
    with pytest.raises(DeadlockError, match="deadlock at cycle 0") as caught:
        simulate(program, CORE)
    assert caught.value.heads == [
        ("core0.io", "nop on=io cycles=1 ?compute (line 1)", "a token of compute"),
        ("core0.move", "wait on=move sem=3 value=2 (line 3)", "2 posts of counter 3, which has 0"),
        ("core0.compute", "nop on=compute cycles=1 ?io (line 2)", "a token of io"),
    ]
    assert "p.s" in str(caught.value)


def test_cluster_sync_that_one_core_lacks() -> None:
    """Message: a core waits at a sync of the cluster that another never reaches."""
    with pytest.raises(DeadlockError, match="the other agents"):
        simulate(assemble(".core 0\nsync cluster=1\nnop on=io cycles=1\n.core 1\nnop on=io cycles=1\n"), CLUSTER)


def test_greedy_prefetch_deadlocks() -> None:
    """Message: loads that fill SharedRAM leave no place for the output; both sides wait, and the page says for what."""
    program = assemble("""
        .core 0
        wait on=move sem=0 value=1
        move src=nram dst=sram far=0 near=0 bytes=64
        post on=move sem=1
        .dma
        move src=dram dst=sram far=0 near=0 bytes=8192
        wait on=io sem=1 value=1
        post on=io sem=0
    """)  # the place of the output is freed only after the output came
    with pytest.raises(DeadlockError) as caught:
        simulate(program, CLUSTER)
    assert [head[0] for head in caught.value.heads] == ["core0.move", "dma.io"]


PRODUCT = "mm x=0 w=0 y=256 m=4 k=4 n=4\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PRODUCT + "nop on=io cycles=1\nmove dst=dram src=nram far=0 near=256 bytes=16", "reads what is still being written"),
        ("move src=dram dst=nram far=0 near=16 bytes=40\nvec fn=relu dst=256 a=0 length=8", "reads what is still being"),
        ("move src=dram dst=nram far=0 near=0 bytes=4 rows=3\nvec fn=fill dst=8 length=1 imm=1", "writes what is still"),
        (PRODUCT + "nop on=io cycles=1\nmove src=dram dst=wram far=0 near=60 bytes=8", "writes what is still being read"),
    ],
)  # fmt: skip
def test_touching_what_is_in_flight(text: str, words: str) -> None:
    """Message: both instructions with their lines, the byte and the memory."""
    with pytest.raises(InputError, match=words) as caught:
        simulate(assemble(text, "race.s"), CORE)
    assert str(caught.value).count("(line ") == 2
    assert f"race.s:{text.count(chr(10)) + 1}" in str(caught.value)


def test_rows_beside_rows_do_not_touch() -> None:
    """By hand: two column blocks of one matrix interleave in memory without sharing a byte; shifted by one they do."""
    text = """
        .core 0
        move src=sram dst=nram far=0 near=0 bytes=16 rows=8 stride=32
        .core 1
        move src=nram dst=sram far={} near=0 bytes=16 rows=8 stride=32
    """
    simulate(assemble(text.format(16)), CLUSTER)
    with pytest.raises(InputError, match="still being"):
        simulate(assemble(text.format(15)), CLUSTER)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("move src=dram dst=nram far=0 near=4090 bytes=8", "nram of agent 0, which has 4096"),
        ("mm x=0 w=4000 y=0 m=4 k=4 n=4\nsync\nmm x=0 w=4090 y=0 m=1 k=4 n=4", "wram of agent 0, which has 4096"),
        ("xfer src=dram dst=nram bytes=5000", "nram has 4096 bytes"),
        ("move src=dram dst=sram far=0 near=0 bytes=8", "sram, which has 0"),
        ("loop count=3\nstep level=0 a=30000\nmove src=dram dst=nram far=10000 near=0 bytes=8\nendloop", "dram"),
        ("loop count=3\nnop on=io", "a loop without its endloop"),
        ("endloop", "endloop without a loop"),
        ("step level=0 a=1\nmm x=0 w=0 y=0 m=1 k=1 n=1", "a step of loop 0"),
        ("loop count=4000000000\nnop on=io\nendloop", "4000000000 instructions"),
        ("vec fn=exp type=int8 dst=0 a=0 length=4", "no special of type int8"),
        (".core 7\nsync", "no agent 'core7'"),
        (".dma\nmove src=dram dst=nram far=0 near=0 bytes=4", "nram of agent 3, which has 0"),
    ],
)
def test_refused_before_it_runs(text: str, words: str) -> None:
    """Message: what does not fit is refused at once, with its line."""
    with pytest.raises(InputError, match=words):
        simulate(assemble(text), CLUSTER if ".dma" in text else CORE)


def test_empty_loops_end() -> None:
    """Bound: a loop of 2^32 - 1 rounds of nothing takes no time to run."""
    assert simulate(assemble("loop count=4294967295\nloop count=4294967295\nendloop\nendloop"), CORE).cycles == 0
