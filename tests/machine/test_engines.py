"""The engines against each other and against the stepped model, option by option; arrays, windows, DRAM rows by hand."""

import importlib.util
import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.formats import load_machine, read_references
from picojoule.formats._machine import _MACHINES, machine_names
from picojoule.formats._yaml import read_document
from picojoule.machine import (
    SPECS,
    DeadlockError,
    Program,
    Rows,
    assemble,
    cluster_matmul,
    column_blocks,
    find_races,
    greedy,
    imbalance,
    in_program_order,
    matmul,
    out_of_order,
    outer_products,
    plan,
    row_tiles,
    run_json,
    simulate,
)
from picojoule.machine._decoder import ACTIONS, TRANSITIONS
from picojoule.machine._decoder_drawing import DRAWINGS, states
from picojoule.machine._dram import OpenRows
from picojoule.quantity import InputError

from . import fuzz
from .arrays import product
from .machines import CLUSTER, CORE, Writer

TEXTBOOK = load_machine("textbook-core")
needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="Numba, the extra `fast`, is absent")


@pytest.mark.parametrize("part", range(8))
def test_engines_equal_the_stepped_model(part: int) -> None:
    """Equality: 400 random programs on machines with random options take equal ticks in every engine there is."""
    found = fuzz.run(50_000 + 50 * part, 50)
    assert sum(found.values()) == 50
    assert found["in order"]
    assert sum(count for what, count in found.items() if what.startswith("window"))


@needs_numba
@pytest.mark.parametrize("seed", range(0, 200, 10))
def test_compiled_names_the_same_heads(seed: int) -> None:
    """Equality: a program that cannot go on stops in both engines with the same message."""
    machine = replace((CORE, CLUSTER)[seed // 10 % 2], window=seed // 10 % 4 // 2 * 3)
    program = Writer(machine, seed).program(4 + seed % 37, loose=True)
    said = []
    for engine in ("plain", "compiled"):
        try:
            said.append(str(simulate(program, machine, check=False, engine=engine).cycles))
        except DeadlockError as error:
            said.append(str(error))
    assert said[0] == said[1]


@needs_numba
def test_compiled_equals_plain_on_long_loops() -> None:
    """Equality: 300,000 instructions with steps, tokens, counters and syncs, on one core and on a cluster."""
    body = """
        loop count=300
          loop count=250
            step level=1 a=4 b=-1
            move src=dram dst=nram far=0 near=400 bytes=40 !compute
            mm x=0 w=0 y=1024 m=1 k=4 n=4 ?io !io
            move src=nram dst=dram far=0 near=1024 bytes=16 ?compute
          endloop
          post on=io sem={0}
          sync
          step level=0 a=1
          wait on=compute sem={1} value=1
        endloop
    """
    for text, machine in (
        (body.format(0, 0), CORE),
        (f".core 0\n{body.format(1, 2)}.core 2\n{body.format(2, 1)}", CLUSTER),
    ):
        runs = [simulate(assemble(text), machine, check=False, engine=engine) for engine in ("plain", "compiled")]
        assert runs[0].instructions > 200_000
        assert simulate(assemble(text), machine, check=False).engine == "plain"  # too short to load another for
        assert [run.engine for run in runs] == ["plain", "compiled"]
        assert runs[0] == replace(runs[1], engine="plain")


@needs_numba
def test_long_programs_are_compiled() -> None:
    """By hand: four million cycles of four million instructions, more than plain Python would take."""
    program = assemble("loop count=4000000\nnop on=move cycles=1\nendloop")
    run = simulate(program, CORE, check=False)
    assert (run.engine, run.cycles) == ("compiled", 4_000_000)
    with pytest.raises(InputError, match="at most 1000000"):
        simulate(program, CORE)


def test_engine_is_refused() -> None:
    """Message: an engine that is none, and one that has to compute what it cannot."""
    program = assemble("nop on=io cycles=1")
    with pytest.raises(InputError, match="no engine 'fast'"):
        simulate(program, CORE, engine="fast")
    with pytest.raises(InputError, match="time alone"):
        simulate(program, CORE, {}, engine="compiled")
    with pytest.raises(InputError, match="time alone"):
        simulate(program, CORE, engine="compiled")


def test_numbers_too_large_for_words_stay_in_python() -> None:
    """Equality: durations beyond 62 bits are refused by no engine: Python counts them."""
    slow = replace(CORE, bus=Fraction(1, 10**9))
    program = assemble("loop count=3\nxfer src=dram dst=nram bytes=4000\nendloop")
    slow = replace(slow, link=Fraction(10**18 + 9, 7))
    run = simulate(
        program, slow, check=False, engine="plain" if importlib.util.find_spec("numba") is None else "compiled"
    )
    assert run.cycles == 12000 * 10**9
    assert run.engine == "plain"


small = st.integers(1, 7)


@given(small, small, small, st.integers(1, 4), st.integers(1, 4),
       st.sampled_from(["weight-stationary", "output-stationary"]), st.integers(0, 999))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_systolic_units(m: int, k: int, n: int, rows: int, columns: int, dataflow: str, seed: int) -> None:
    """Equality: fill, stream and drain in closed form, and an array stepped with its values, which are the product."""
    draw = np.random.default_rng(seed)
    x, w = draw.integers(-9, 9, (m, k)), draw.integers(-9, 9, (k, n))
    y, cycles = product(x, w, rows, columns, dataflow)
    assert (y == x @ w).all()
    machine = replace(CORE, tile=(rows, columns), dataflow=dataflow)
    assert machine.mac_cycles(m, k, n, "int8") == cycles


def test_systolic_by_hand() -> None:
    """By hand: 16×16 array, 32×256 by 256×128: 16·8 parts of 32 + 3·16 - 2; 2·8 parts of 256 + 3·16 - 2."""
    held = load_machine("systolic-16")
    assert held.mac_cycles(32, 256, 128, "int8") == 128 * (16 + 32 + 16 + 16 - 2)
    assert replace(held, dataflow="output-stationary").mac_cycles(32, 256, 128, "int8") == 16 * (256 + 30 + 16)
    assert load_machine("vta-pynq").mac_cycles(32, 256, 128, "int8") == 32 * 16 * 8


MOVE = "move src=dram dst=nram far={} near={} bytes={}\n"


def test_dram_rows_by_hand() -> None:
    """By hand: rows of 64 bytes, 2 banks, 3 + 2 cycles, 4 bytes a cycle; bytes 0-127 open rows 0 and 1 (3 each); 32-63
    lie in an open row; 128-191 is row 1 of bank 0 (2 + 3); 0-63 again is a conflict."""
    machine = replace(CORE, rows=Rows(64, 2, Fraction(3), Fraction(2)))
    text = MOVE.format(0, 0, 128) + MOVE.format(32, 200, 32) + MOVE.format(128, 300, 64) + MOVE.format(0, 400, 64)
    run = simulate(assemble(text), machine, trace=True)
    assert [e.end - e.start for e in run.events] == [32 + 6, 8, 16 + 5, 16 + 5]
    assert run.busy[("core0", "load")] == run.cycles == 88
    assert simulate(assemble(text), CORE).cycles == 72


move_of = st.tuples(st.integers(0, 900), st.integers(1, 5), st.integers(1, 700), st.integers(0, 50))


@given(st.integers(1, 8), st.integers(1, 40), st.lists(move_of, min_size=1, max_size=4))
def test_dram_rows_in_closed_form(banks: int, page: int, moves: list[tuple[int, int, int, int]]) -> None:
    """Equality: what long runs open, counted page by page, and byte by byte as the definition says."""
    rows = Rows(page, banks, Fraction(3), Fraction(2))
    model, opened = OpenRows(replace(CORE, rows=rows), rows), dict[int, int]()
    for far, many, size, gap in moves:
        expected = 0
        for byte in (far + r * (size + gap) + i for r in range(many) for i in range(size)):
            row, bank = divmod(byte // page, banks)
            if opened.get(bank) != row:
                expected += 5 if bank in opened else 3
                opened[bank] = row
        assert model.ticks(far, many, size, size + gap) == expected * CORE.ticks


def test_dram_rows_need_addresses() -> None:
    """Message: a move without an address cannot be timed where rows count."""
    with pytest.raises(InputError, match="has no address"):
        simulate(assemble("xfer src=dram dst=nram bytes=4"), load_machine("textbook-core-ddr4"))


def test_arbitration_by_hand() -> None:
    """By hand: three cores ask for the bus twice, 10 cycles each: in turn; the first twice before the others; and, when
    core 1 has it while core 0 and core 2 come, the next after it or the first."""
    load = "move src=dram dst=nram far=0 near={} bytes=40\n"
    text = "".join(f".core {core}\n{load.format(0)}{load.format(40)}" for core in range(3))
    order = {}
    for how in ("first-come", "fixed", "round-robin"):
        run = simulate(assemble(text), replace(CLUSTER, arbitration=how), trace=True)
        order[how] = "".join(e.agent[-1] for e in run.events)
    assert order == {"first-come": "012012", "fixed": "001122", "round-robin": "012012"}
    late = ".core 0\nnop on=io cycles=4\n" + load.format(0) + ".core 1\n" + load.format(0)
    late += ".core 2\nnop on=io cycles=5\n" + load.format(0)
    found = {}
    for how in ("first-come", "fixed", "round-robin"):
        run = simulate(assemble(late), replace(CLUSTER, arbitration=how), trace=True)
        found[how] = "".join(e.agent[-1] for e in run.events if e.kind == "load")
    assert found == {"first-come": "102", "fixed": "102", "round-robin": "120"}


def test_window_by_hand() -> None:
    """By hand: load A 10, use A 16, load B 10, use B 16, all in other places. One at a time 52; with 3 in sight B is
    loaded while A is used: 10 + 16 + 16."""
    text = """
        move src=dram dst=nram far=0 near=0 bytes=40
        mm x=0 w=0 y=1000 m=4 k=4 n=4
        move src=dram dst=nram far=0 near=100 bytes=40
        mm x=100 w=0 y=1200 m=4 k=4 n=4
    """
    cycles = [simulate(assemble(text), replace(CORE, window=size)).cycles for size in (1, 2, 3, 4)]
    assert cycles == [52, 42, 42, 42]
    over = assemble(text.replace("near=100", "near=0").replace("x=100", "x=0"))  # B over A: nothing to gain
    assert simulate(over, replace(CORE, window=4)).cycles == 52


@needs_numba
@pytest.mark.parametrize("window", [1, 7, 64])
def test_compiled_windows(window: int) -> None:
    """Equality: 20,000 instructions with steps and strided regions, in both engines."""
    text = """
        loop count=40
          loop count=125
            step level=1 a=8 b=4
            step level=0 a=1 b=1
            move src=dram dst=nram far=0 near=0 bytes=16 rows=2 stride=40
            step level=1 a=0 b=4
            mm x=0 w=0 y=2000 m=1 k=4 n=4
            step level=1 a=0 b=4
            vec fn=relu dst=3000 a=2000 length=4
            move src=nram dst=dram far=30000 near=3000 bytes=16
          endloop
        endloop
    """
    machine = replace(CORE, window=window)
    runs = [simulate(assemble(text), machine, check=False, engine=engine) for engine in ("plain", "compiled")]
    assert runs[0].instructions == 20_000
    assert runs[0] == replace(runs[1], engine="plain")


def test_window_is_worth_something() -> None:
    """Bound: out-of-order issue of 7.8 in program order gains with the window, down to no less than the bound."""
    found = out_of_order(TEXTBOOK, 32, 256, 128, (32, 256, 16))
    cycles = list(found.values())
    assert cycles[0] == 6912  # one instruction after the other
    assert all(a >= b for a, b in pairwise(cycles))
    assert 4096 <= cycles[-1] < 5000


@pytest.mark.parametrize("window", [1, 2, 5, 16])
def test_window_keeps_the_values(window: int) -> None:
    """Equality: a program in program order gives the same bits in any order that hazards allow."""
    machine = replace(TEXTBOOK, window=window, sizes={**TEXTBOOK.sizes, "nram": 1200, "wram": 700})
    draw = np.random.default_rng(window)
    given_ = {
        "X": draw.standard_normal((12, 16)).astype(np.float32),
        "W": draw.standard_normal((16, 10)).astype(np.float32),
    }
    program = in_program_order(machine, 12, 16, 10, (4, 8, 5))
    run = find_races(program, machine, given_, range(5))
    plain = matmul(replace(machine, window=0), 12, 16, 10, (4, 8, 5))
    assert run.outputs["Y"].tobytes() == simulate(plain, replace(machine, window=0), given_).outputs["Y"].tobytes()


@pytest.mark.parametrize("window", [1, 4, 16])
def test_schedules_on_a_window(window: int) -> None:
    """Equality: every named schedule, made for a machine with a window, gives the bits of the one with tokens."""
    draw = np.random.default_rng(window)
    given_ = {
        name: draw.standard_normal(shape).astype(np.float32) for name, shape in (("X", (16, 32)), ("W", (32, 16)))
    }
    cluster = load_machine("textbook-cluster")
    for machine, made in (
        (TEXTBOOK, lambda m: column_blocks(m, 16, 32, 16, 4)), (TEXTBOOK, lambda m: row_tiles(m, 16, 32, 16, 4)),
        (TEXTBOOK, lambda m: outer_products(m, 16, 32, 16)), (TEXTBOOK, lambda m: greedy(m, 16, 32, 16, (4, 8, 8), "knm")),
        (cluster, lambda m: cluster_matmul(m, 16, 32, 16, 2)), (cluster, lambda m: cluster_matmul(m, 16, 32, 16, 4, 4)),
    ):  # fmt: skip
        other = replace(machine, window=window)
        run = find_races(made(other), other, given_, range(3))
        assert run.outputs["Y"].tobytes() == simulate(made(machine), machine, given_).outputs["Y"].tobytes()


def test_window_takes_no_tokens() -> None:
    """Message: tokens on a machine that does not need them; a program that would overwrite what it needs."""
    with pytest.raises(InputError, match=r"p\.s:1: .*has tokens"):
        simulate(assemble("nop on=io cycles=1 !compute", "p.s"), replace(CORE, window=2))
    with pytest.raises(DeadlockError, match="2 posts of counter 1"):
        simulate(assemble("wait on=io sem=1 value=2"), replace(CORE, window=2))


def test_decoder_is_its_table() -> None:
    """Bound: every state but the last is left, every state but the first is entered, actions are told, all is drawn."""
    assert {action for _, action in TRANSITIONS.values()} == set(ACTIONS)
    assert {state for state, _ in TRANSITIONS} == set(states()) - {"halt"}
    assert {after for after, _ in TRANSITIONS.values()} == set(states())
    for name, draw in DRAWINGS.items():
        text = draw()
        for (state, symbol), (after, action) in TRANSITIONS.items():
            assert all(re.search(rf"\b{word}\b", text) for word in (state, after, action)), name
            assert symbol in text, name
    edges = re.findall(r'"(\w+)" -> "(\w+)" \[label="([^"]*)"', DRAWINGS["dot"]())
    assert sum(len(labels.split(r"\n")) for _, _, labels in edges) == len(TRANSITIONS)


@pytest.mark.parametrize(("text", "words"), [("step level=0 a=1\nloop count=2\nnop on=io\nendloop", "a step of loop 0"),
                                             ("loop count=2\nstep a=1\nendloop", "a step before endloop"),
                                             ("loop count=2\nend\nendloop", "an end inside a loop"),
                                             ("loop count=2\nstep a=1\nsync\nendloop", "a step before sync")])  # fmt: skip
def test_decoder_refuses(text: str, words: str) -> None:
    """Message: words that no line of the table allows."""
    with pytest.raises(InputError, match=words):
        simulate(assemble(text), CORE)


@given(st.sampled_from(sorted(SPECS)), st.integers(0, 999))
def test_regions_start_at_one_field(name: str, seed: int) -> None:
    """Equality: the laid-out regions of an instruction in some round are those of its table entry."""
    if SPECS[name].effect is None:
        return
    draw = np.random.default_rng(seed)
    lines = [line for line in Writer(CLUSTER, seed).program(30).sections.get("core0", ()) if line.name == name]
    for one in lines[:3]:
        by = [int(b) for b in draw.integers(0, 3, 3)]
        words = assemble(f"loop count=3\nstep level=0 a={by[0]} b={by[1]} c={by[2]}\nnop on=io\nendloop").sections[
            "core0"
        ]
        layout = plan(Program({"core0": (words[0], words[1], replace(one, tokens=0), words[3])}), CLUSTER)
        op = layout.slots[0].op(2)
        moved = {**one.values, **{f: one.values[f] + 2 * b for f, b in zip(one.spec.steps, by, strict=False)}}
        assert op.values == moved
        for spans, regions in ((op.reads, one.spec.reads(moved)), (op.writes, one.spec.writes(moved))):
            assert [(s.start, s.rows, s.size, s.stride) for s in spans] == [tuple(r[1:]) for r in regions]


def test_a_step_out_of_memory_is_seen_without_unrolling() -> None:
    """Message: the round in which an address leaves its memory, below 0 and above, in two loops."""
    text = "loop count=30\nloop count=1000\nstep level=0 a={}\nstep level=1 a={}\nmove src=dram dst=nram far={} near=0 bytes=8\n"
    for outer, inner, far, words in ((10, 64, 1500, "far=65726 .*byte 65733"), (-4, 2, 100, "far=-16 .*byte -16"),
                                     (0, 0, 65530, "byte 65537")):  # fmt: skip
        with pytest.raises(InputError, match=words):
            plan(assemble(text.format(outer, inner, far) + "endloop\nendloop"), CORE)
    plan(assemble(text.format(-4, 64, 200) + "endloop\nendloop"), CORE)


def test_load_of_the_streams() -> None:
    """By hand: 7.8 whole: io 2,560 + 256 cycles in 3 instructions, compute 4,096 in 1; busiest over mean 4096/3456."""
    run = simulate(matmul(TEXTBOOK, 32, 256, 128, (32, 256, 128), overlap=False), TEXTBOOK)
    assert run.streams[("core0", "io")] == (3, 2816)
    assert run.streams[("core0", "compute")] == (1, 4096)
    assert imbalance(run) == Fraction(4096, 3456)
    assert imbalance(simulate(assemble("nop on=io"), CORE)) is None
    data = run_json(run, assemble("nop on=io"), TEXTBOOK)
    assert sum(row["instructions"] for row in data["streams"]) == run.instructions


@pytest.mark.parametrize("name", machine_names())
def test_shipped_machines_name_their_sources(name: str) -> None:
    """Bound: every source is a key of the references, and stands for a field of the file."""
    tree = read_document(_MACHINES / f"{name}.yaml").data
    for field, key in tree.get("sources", {}).items():
        assert key in read_references()
        part = tree
        for step in field.split("."):
            part = part[step]
    assert load_machine(name).title


def test_a_changed_machine_changes_the_answer() -> None:
    """Metamorphic: 7.8 in four blocks with rows of DRAM, a slower bus, an array that fills: each changes the cycles."""
    base = simulate(matmul(TEXTBOOK, 32, 256, 128, (32, 256, 32)), TEXTBOOK).cycles
    changes = (
        {"rows": load_machine("textbook-core-ddr4").rows}, {"bus": Fraction(32)}, {"setup": 10}, {"macs": {"float32": 128}},
        {"tile": (16, 16), "dataflow": "weight-stationary"},
    )  # fmt: skip
    found = Counter(
        simulate(matmul(other, 32, 256, 128, (32, 256, 32)), other).cycles
        for other in (replace(TEXTBOOK, **change) for change in changes)
    )
    assert base == 5184
    assert min(found) > base
    assert max(found.values()) == 1
