"""Schedules of the textbook's products against an event model of their own, written before this one in another way.

That model gives each tile's load, product and store to one bus and one matrix unit, in exact fractions; its cycles are
copied here. It orders tiles greedily, so a schedule may be beaten, never by much; where it is, the row says so.
"""

from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.formats import load_machine
from picojoule.machine import cluster_matmul, find_races, greedy, matmul, simulate
from picojoule.quantity import InputError

CORE, CLUSTER = load_machine("textbook-core"), load_machine("textbook-cluster")
ENGINES = ("plain", "compiled") if find_spec("numba") else ("plain",)
SINGLE = [
    ((1, 256, 1), (1, 256, 1), "mnk", "33.0625"),
    ((1, 256, 1), (1, 128, 1), "mnk", "32.5625"),
    ((1, 256, 1), (1, 64, 1), "mnk", "32.3125"),
    ((1, 256, 1), (1, 16, 1), "mnk", "32.125"),
    ((32, 256, 128), (32, 256, 128), "mnk", "6912"),
    ((32, 256, 128), (32, 256, 32), "mnk", "5184"),
    ((32, 256, 128), (32, 256, 16), "mnk", "4896"),
    ((32, 256, 128), (32, 16, 128), "kmn", "4512"),
    ((32, 256, 128), (32, 16, 16), "kmn", "4176"),
    ((32, 256, 128), (2, 16, 16), "knm", "4130"),
    ((1024, 256, 128), (32, 256, 128), "mnk", "133888"),
    ((1024, 256, 128), (8, 256, 128), "mnk", "133312"),
    ((1024, 256, 128), (1, 256, 128), "mnk", "133144"),
    ((1024, 256, 128), (32, 256, 16), "mnk", "131872"),
    ((1024, 256, 128), (8, 16, 16), "mkn", "132240"),
    ((1024, 256, 128), (4, 16, 16), "mkn", "132680"),
]
ROUNDS = {
    1024: ["2468", "1874", "1577", "1428.5", "1408", "1408"],
    1000: ["2468.864", "1874.432", "1577.216", "1428.608", "1408", "1408"],
}


@pytest.mark.parametrize(("shape", "tile", "order", "cycles"), SINGLE)
def test_one_core(shape: tuple[int, int, int], tile: tuple[int, int, int], order: str, cycles: str) -> None:
    """Peer: the same schedule takes the same cycles, in every engine."""
    program = matmul(CORE, *shape, tile, order)
    for engine in ENGINES:
        assert simulate(program, CORE, check=False, engine=engine).cycles == Fraction(cycles)


LOADS_FIRST = [*(row for row in SINGLE if row[1][0] > 1 and row[0] != (1024, 256, 128)),
               ((1024, 256, 128), (32, 256, 16), "mnk", "131872"), ((1024, 256, 128), (16, 32, 16), "mkn", "131472")]  # fmt: skip


@pytest.mark.parametrize(("shape", "tile", "order", "cycles"), LOADS_FIRST)
def test_loads_first(shape: tuple[int, int, int], tile: tuple[int, int, int], order: str, cycles: str) -> None:
    """Peer: with rooms given out as time passes, as the other model does, the same cycles, 7.9 in 16×32×16 too."""
    program = greedy(CORE, *shape, tile, order)
    for engine in ENGINES:
        assert simulate(program, CORE, check=False, engine=engine).cycles == Fraction(cycles)


def test_fixed_places_do_better() -> None:
    """Bound: 7.9 in tiles of 16 rows, 32×16 of W, takes no more with fixed places, and no less than the products."""
    found = simulate(matmul(CORE, 1024, 256, 128, (16, 32, 16), "mkn"), CORE, check=False).cycles
    assert 131072 <= found <= 131472


sizes = st.integers(1, 24)


@given(sizes, sizes, sizes, st.integers(1, 9), st.integers(1, 9), st.integers(1, 9),
       st.sampled_from(["mkn", "mnk", "nmk", "knm"]), st.integers(300, 2000), st.integers(300, 2000))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_loads_first_keeps_the_values(
    m: int, k: int, n: int, tm: int, tk: int, tn: int, order: str, nram: int, wram: int
) -> None:
    """Equality: in memories of any size the product is that of one tile, in any legal order; or there is no room."""
    small = replace(CORE, sizes={**CORE.sizes, "nram": nram // 4 * 4, "wram": wram // 4 * 4})
    draw = np.random.default_rng(m + k + n)
    given_ = {name: draw.standard_normal(shape).astype(np.float32) for name, shape in (("X", (m, k)), ("W", (k, n)))}
    try:
        program = greedy(small, m, k, n, (tm, tk, tn), order)
    except InputError as error:
        assert "find no room" in error.what
        return
    run = find_races(program, small, given_, range(2))
    whole = simulate(matmul(CORE, m, k, n, (m, k, n)), CORE, given_)
    assert run.outputs["Y"].tobytes() == whole.outputs["Y"].tobytes()
    assert run.cycles <= whole.cycles


@pytest.mark.parametrize("link", [1024, 1000])
def test_four_cores(link: int) -> None:
    """Peer: 1 to 32 column rounds of 7.11, with 1024 and with 1000 bytes a cycle to each core; 1,408 from 16 rounds on."""
    machine = replace(CLUSTER, link=Fraction(link))
    for i, cycles in enumerate(ROUNDS[link]):
        program = cluster_matmul(machine, 32, 256, 128, 1 << i)
        for engine in ENGINES:
            assert simulate(program, machine, check=False, engine=engine).cycles == Fraction(cycles)
