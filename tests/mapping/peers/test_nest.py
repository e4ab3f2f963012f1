"""Nests of several arrays by our law, and Timeloop's walk, each against a slow second way."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.mapping import Convention, contraction, traffic
from picojoule.mapping.peers import (
    Nest,
    SpatialLoop,
    Stage,
    nest_traffic,
    replay_timeloop,
    timeloop_counters,
    uncovered,
)
from picojoule.mapping.peers._walk import Part, Visit, _from_neighbours, shared, visits, words
from tests.mapping import cases
from tests.mapping.peers.naive import stepped, walked

ROLES = ("input", "weight", "output")
PLAIN = Convention("refetch", "touched", "union")


def product(m, n, k):
    return contraction("product", {"m": m, "n": n, "k": k}, {
        "input": [[("m", 1)], [("k", 1)]], "weight": [[("k", 1)], [("n", 1)]], "output": [[("m", 1)], [("n", 1)]],
    })  # fmt: skip


def two_arrays(rng):
    """A product on three to four stages with spatial loops below any of them."""
    count = rng.randint(3, 4)
    trips = {dim: [rng.choice((1, 1, 2, 3)) for _ in range(2 * count)] for dim in "mnk"}
    for listed in trips.values():
        while math.prod(listed) > 12:
            listed[listed.index(max(listed))] = 1
    stages = []
    for i in range(count):
        temporal = [(dim, trips[dim][i]) for dim in "mnk"]
        spatial = [SpatialLoop(dim, trips[dim][count + i]) for dim in "mnk" if trips[dim][count + i] > 1]
        rng.shuffle(temporal)
        keeps = ROLES if i == 0 else tuple(role for role in ROLES if rng.random() < 0.6)
        stages.append(Stage(f"L{i}", keeps, tuple(temporal), tuple(spatial)))
    return Nest(product(*(math.prod(trips[dim]) for dim in "mnk")), tuple(stages))


@given(st.integers(0, 10**9))
def test_several_arrays(seed):
    """Equality: our law on a nest with any number of arrays, and every instance walked step by step."""
    nest = two_arrays(random.Random(seed))
    counts = nest_traffic(nest, PLAIN)
    for role in ROLES:
        for (stage, action), found in stepped(nest, role).items():
            assert counts.get((stage, role, action), 0) == found, (role, stage, action, nest)


def single_arrays():
    """200 random legal mappings; a nest shares words over its array, and looks through a level that is only a mesh."""
    found = (cases.case(seed) for seed in itertools.count())
    fit = (
        case for case in found
        if case.machine.array.multicast and not any(
            not level.keeps and all(trip == 1 for _, trip in loops)
            for level, loops in zip(case.machine.levels, case.mapping.loops, strict=True)
        )
    )  # fmt: skip
    return list(itertools.islice(fit, 200))


@pytest.mark.parametrize("case", single_arrays(), ids=lambda case: case.problem.name)
def test_one_array(case):
    """Equality: on machines with one array the nest's counts are those of `traffic`, windows and conventions included."""
    spatial = tuple(SpatialLoop(dim, trip) for dim, trip in case.mapping.spatial)
    fanout = case.machine.fanout
    stages = tuple(
        Stage(level.name, level.keeps, loops, spatial if i == fanout else ())
        for i, (level, loops) in enumerate(zip(case.machine.levels, case.mapping.loops, strict=True))
    )
    nest = Nest(case.problem, stages)
    assert not uncovered(nest)
    moved = traffic(case.problem, case.machine, case.mapping, case.convention)
    counts = nest_traffic(nest, case.convention)
    assert {key: count for key, count in counts.items() if count} == {
        key: count for key, count in moved.counts.items() if count
    }


@given(st.data())
def test_walk(data):
    """Equality: Timeloop's visits in closed form, and its recursion over boxes, up to 7 loops over up to 3 axes."""
    axes = data.draw(st.integers(1, 3))
    size = tuple(data.draw(st.lists(st.integers(1, 5), min_size=axes, max_size=axes)))
    step = st.lists(st.sampled_from((0, 0, 1, 1, 2, 3, 5)), min_size=axes, max_size=axes).map(tuple)
    loops = data.draw(st.lists(st.tuples(st.integers(2, 4), step), max_size=7))
    closed = sum(words(size, visit.part) * visit.times for visit in visits(size, loops))
    assert closed == walked(size, loops[::-1])


def test_walk_credits_a_step_outside():
    """By hand: 4 pixels under 3 taps, one word a PE: the second and third tap find their first word: 4 + 3 + 3."""
    assert sum(words((1,), visit.part) * visit.times for visit in visits((1,), [(4, (1,)), (3, (1,))])) == 10


def test_walk_forgets_its_direction():
    """By hand: a tile of 3 slides by 1 four times (3 + 3 · 1); a second sweep comes back against its way: all 3 again."""
    loops = [(4, (1,)), (2, (0,))]
    assert sum(words((3,), visit.part) * visit.times for visit in visits((3,), loops)) == 12


def test_walk_wants_the_same_move_again():
    """By hand: a tile of 3 × 1 that jumps aside (all 3) and then steps back by 1 along its length fetches all 3 again.

    The second move overlaps by 2 words; Timeloop gives no credit, for it is not the move before (its run 04.2.3).
    """
    loops = [(2, (0, 1)), (2, (-1, 1))]
    assert sum(words((3, 1), visit.part) * visit.times for visit in visits((3, 1), loops)) == 4 * 3
    assert sum(words((3, 1), visit.part) * visit.times for visit in visits((3, 1), [(2, (-1, 0))])) == 3 + 1


def test_neighbour_ahead():
    """By hand: all tiles move one word on; only the PE whose neighbour stood one word ahead finds its word there."""
    step = Part("slab", (1,))
    assert _from_neighbours((2,), [(0,), (1,), (5,)], 3, step, step) == {0}
    assert _from_neighbours((2,), [(0,), (5,), (1,)], 3, step, step) == set()
    assert _from_neighbours((2,), [(0,), (5,), (1,), (7,)], 2, step, step) == {0}  # the neighbour below


def test_links_that_save_nothing():
    """By hand: PEs 0 and 2 want word 1, only PE 0 has a neighbour with it: PE 2 reads it for both, no link is used."""
    offsets = [(0,), (1,), (0,), (5,)]
    step = Visit(1, Part("all", (1,)), Part("all", (1,)))
    found = shared((1,), offsets, 2, [step], points=False, links=True)
    assert (found.total, found.links) == (3, 0)


@given(st.integers(0, 10**9))
def test_timeloop_without_windows(seed):
    """Equality: without windows no overlap and no link is left, and Timeloop counts as our law does.

    Words over links need a neighbour that held the word before: a dimension that moves in time and in space alike.
    """
    nest = two_arrays(random.Random(seed))
    nest = Nest(nest.problem, tuple(
        Stage(one.name, one.keeps if i else ROLES, one.temporal, one.spatial) for i, one in enumerate(nest.stages)
    ))  # fmt: skip
    if nest.stages[-1].spatial:  # the MACs' own words may come over links
        return
    ours, theirs = (
        nest_traffic(nest, Convention("consecutive-overlap", "hull", "identical_tile")),
        timeloop_counters(nest, False),
    )
    for key, count in theirs.items():
        assert ours.get(key, 0) == count, (key, nest)


def line(p, r):
    return contraction("line", {"p": p, "r": r}, {
        "input": [[("p", 1), ("r", 1)]], "weight": [[("r", 1)]], "output": [[("p", 1)]]})  # fmt: skip


def test_a_window_over_the_array():
    """By hand: 2 × 2 MACs see 3 words of a line in each of 3 passes; identical_tile tells 4 places apart."""
    mesh = (SpatialLoop("p", 2, "y"), SpatialLoop("r", 2, "x"))
    bare = Nest(line(6, 2), (Stage("DRAM", ROLES, (("p", 3),), mesh),))
    assert nest_traffic(bare, Convention())["DRAM", "input", "read"] == 9
    assert nest_traffic(bare, Convention(multicast="identical_tile"))["DRAM", "input", "read"] == 12
    assert timeloop_counters(bare, links=False)["DRAM", "input", "read"] == 9
    replayed = replay_timeloop("line", bare, {"input": "I", "weight": "W", "output": "O"})
    reasons = {row.tensor: row.reasons for row in replayed.rows if row.difference}
    assert reasons == {"I": ("same words",), "W": ("links",)}  # a weight stays: the row above had it a visit before
    held = Nest(line(6, 2), (*bare.stages, Stage("PE", ROLES)))
    assert nest_traffic(held, Convention())["DRAM", "input", "read"] == 9


def test_scattered_words_are_refused():
    """Message: PEs four words apart step through them: the union of their words has holes, which no formula here counts."""
    nest = Nest(line(8, 2), (
        Stage("DRAM", ROLES, (), (SpatialLoop("p", 2), SpatialLoop("r", 2))), Stage("middle", ("weight",), (("p", 4),)),
        Stage("PE", ROLES),
    ))  # fmt: skip
    with pytest.raises(
        ValueError, match="the union of scattered words of the window p and r below DRAM is not counted"
    ):
        nest_traffic(nest, Convention())
    assert nest_traffic(nest, Convention(multicast="identical_tile"))["DRAM", "input", "read"] == 16


def test_rows_and_columns():
    """By hand: 2 × 3 PEs share weights over rows: one read for both; a link needs a neighbour that held the word."""
    problem = product(2, 3, 4)
    nest = Nest(problem, (
        Stage("DRAM", ROLES, (("k", 4),), (SpatialLoop("m", 2, "y"), SpatialLoop("n", 3, "x"))), Stage("PE", ROLES),
    ))  # fmt: skip
    counts = timeloop_counters(nest)
    assert counts["DRAM", "weight", "read"] == 12
    assert counts["PE", "weight", "write"] == 24
    assert counts["DRAM", "input", "read"] == 8
    assert counts["PE", "input", "write"] == 24
    assert (counts["DRAM", "output", "update"], counts["DRAM", "output", "read"]) == (6, 0)
