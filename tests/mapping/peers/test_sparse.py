"""Timeloop's sparse rules: chances, representations, what is gated and skipped; recorded runs are in tests/formats."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.mapping import contraction
from picojoule.mapping.peers import (
    Memory,
    Nest,
    Rank,
    Saving,
    Sparse,
    SpatialLoop,
    Stage,
    empty,
    filled,
    held,
    representation_j,
    rounding,
    sparse_counts,
    sparse_cycles,
    timeloop_counters,
)
from picojoule.mapping.peers._sparse_format import units

AXES = {"input": [[("M", 1)], [("K", 1)]], "weight": [[("K", 1)], [("N", 1)]], "output": [[("M", 1)], [("N", 1)]]}
ROLES = ("input", "weight", "output")


def product(m=4, n=4, k=8, inner=(("K", 8), ("N", 4), ("M", 4)), outer=()):
    """A matrix product on a DRAM and a buffer that keeps the weights and the sums."""
    problem = contraction("product", {"M": m, "N": n, "K": k}, AXES)
    return Nest(problem, (Stage("DRAM", ROLES, tuple(outer)), Stage("buffer", ("weight", "output"), tuple(inner))))


def zeros(nest, densities, formats=None, savings=(), block=1, **more):
    memories = {stage.name: Memory(block, 8, 4, 4) for stage in nest.stages}
    return Sparse(densities, formats or {}, tuple(savings), memories, ROLES, **more)


@given(st.floats(0.01, 1), st.integers(1, 200))
def test_fixed_structure(density, words):
    """Bound: two neighbouring counts with the mean n d; a tile is empty only if n d < 1, then with chance 1 - n d."""
    counts = held(density, words)
    assert sum(chance for chance, _ in counts) == pytest.approx(1)
    assert sum(chance * count for chance, count in counts) == pytest.approx(words * density)
    assert all(abs(count - words * density) < 1 for _, count in counts)
    assert empty(density, words) == pytest.approx(max(0, 1 - words * density))
    assert filled(density, words) == pytest.approx(density)


def test_rounding_by_hand():
    """By hand: 3 words, 1 or 2 of them left (mean 1.29), always touch one block of 4: 1 / (1.29 / 4)."""
    assert rounding(0.43, 3, 4) == pytest.approx(4 / 1.29)
    assert rounding(0.5, 16, 4) == 1  # 8 words fill two blocks
    assert rounding(0.5, 18, 4) == pytest.approx(3 / 2.25)
    assert rounding(0.43, 3, 1) == rounding(1.0, 3, 4) == 1
    assert rounding(0.5, 4 * 75 + 2, 4) == 1 < rounding(0.5, 4 * 74 + 2, 4)  # 1.5 words of 150 are one in a hundred
    with pytest.raises(ValueError, match="blocks of 3 words"):
        rounding(0.5, 12, 3)


@given(st.data())
def test_metadata_of_full_tensors(data):
    """Equality: where no word is zero, a rank holds every coordinate of its fibres, counted by walking all of them."""
    trips = data.draw(st.permutations([("K", 2), ("N", 3), ("K", 4), ("N", 2)]))
    nest = product(m=1, n=6, k=8, inner=trips)
    nest = Nest(nest.problem, (nest.stages[1], Stage("cell", ("input",))))
    kinds = data.draw(st.lists(st.sampled_from(("UOP", "CP", "RLE")), min_size=3, max_size=3))
    ranks = tuple(Rank(kind) for kind in (*kinds, "RLE"))
    found = units(nest, nest.problem.operands[1], {("buffer", "weight"): ranks}, 0, 1.0)
    for depth, rank in enumerate(ranks):
        fibres = list(itertools.product(*(range(trip) for _, trip in trips[:depth])))
        each = trips[depth][1]
        count = sum(each + 1 if rank.format == "UOP" else each for _ in fibres)
        meta, load = found[len(ranks) - 1 - depth]
        assert meta == (0 if rank.format == "UOP" else count)
        assert load == (0 if depth == len(ranks) - 1 else count)


def test_product_by_hand():
    """By hand: 4 × 4 × 8 MACs, a quarter of the inputs, half of the weights; each is skipped where the other is zero.

    Inputs (plain): 128 reads, half skipped. Weights (packed): 64 of 128 left, three quarters of those skipped: 16. Sums:
    a pair is useful once in 8: of 112 reads back 98 skipped, of 128 updates 112. MACs: 128 · 1/2 · 1/4.
    """
    nest = product()
    savings = (
        Saving("skipping", "buffer", "input", ("weight",)), Saving("skipping", "buffer", "weight", ("input",)),
        Saving("skipping", "buffer", "output", ("input", "weight")),
    )  # fmt: skip
    packed = {(name, "weight"): (Rank("UOP"), Rank("CP")) for name in ("DRAM", "buffer")}
    sparse = zeros(nest, {"input": 0.25, "weight": 0.5}, packed, savings)
    found = sparse_counts(nest, sparse, timeloop_counters(nest))
    assert (found.actual["DRAM", "input", "read"], found.skipped["DRAM", "input", "read"]) == (64, 64)
    assert (found.actual["buffer", "weight", "read"], found.skipped["buffer", "weight", "read"]) == (16, 48)
    assert (found.actual["buffer", "weight", "write"], found.actual["DRAM", "weight", "read"]) == (16, 16)
    assert (found.actual["buffer", "output", "read"], found.skipped["buffer", "output", "read"]) == (14, 98)
    assert (found.actual["buffer", "output", "update"], found.skipped["buffer", "output", "update"]) == (16, 112)
    assert found.macs == 16
    # 8 rows K: 9 offsets once; 16 coordinates; read 4 times, three quarters skipped
    assert found.formats["buffer", "weight", "write"] == ((16, 0), (0, 9))
    assert found.formats["buffer", "weight", "read"] == ((16, 0), (0, 9))
    assert found.formats_skipped["buffer", "weight", "read"] == ((48, 0), (0, 27))
    joules = representation_j(nest, sparse, found, {("buffer", "read"): 2.0, ("buffer", "write"): 3.0}, {})
    assert joules["buffer", "weight"] == 25 * 2.0 + 25 * 3.0
    assert sparse_cycles(nest, sparse, found, {}) == 16
    # 16 weights and 14 sums read back, and 25 units of 4 bits are 12 words of 8: 42 words at 2 a cycle
    assert sparse_cycles(nest, sparse, found, {("buffer", "read"): 2.0}) == 21


def test_gated_takes_its_turn():
    """By hand: gated reads are no actual reads, yet they pass the port: 128 weights and 112 sums at 2 words, 120 cycles."""
    nest = product()
    sparse = zeros(nest, {"input": 0.25}, savings=[Saving("gating", "buffer", "weight", ("input",))])
    found = sparse_counts(nest, sparse, timeloop_counters(nest))
    assert (found.actual["buffer", "weight", "read"], found.gated["buffer", "weight", "read"]) == (32, 96)
    assert found.macs == 32
    assert sparse_cycles(nest, sparse, found, {("buffer", "read"): 2.0}) == 120


def test_block_of_the_target():
    """By hand: a block of 4 sums goes with 4 steps of M; 4 inputs of density 1/8 are all zero every second time."""
    nest = product(m=8, inner=(("K", 8), ("N", 4), ("M", 8)))
    saving = [Saving("skipping", "buffer", "output", ("input",))]
    one = sparse_counts(nest, zeros(nest, {"input": 0.125}, savings=saving, block=1), timeloop_counters(nest))
    four = zeros(nest, {"input": 0.125}, savings=saving, block=4, innermost="M")
    assert one.skipped["buffer", "output", "update"] == 256 * 7 / 8
    assert sparse_counts(nest, four, timeloop_counters(nest)).skipped["buffer", "output", "update"] == 128
    along_n = replace(four, innermost="N")  # the inputs do not see N: one word, as without blocks
    assert sparse_counts(nest, along_n, timeloop_counters(nest)).skipped["buffer", "output", "update"] == 224
    with pytest.raises(ValueError, match="without an innermost loop"):
        sparse_counts(nest, replace(four, innermost=None), timeloop_counters(nest))


def test_reads_that_serve_an_array():
    """By hand: an input goes to 4 PEs with a weight of their own; all 4 are zero half of the time at density 1/8."""
    nest = product()
    inner = (
        Stage("buffer", ("input",), (("K", 8), ("M", 4)), (SpatialLoop("N", 4),)),
        Stage("cell", ("weight", "output")),
    )
    nest = Nest(nest.problem, (Stage("DRAM", ROLES), *inner))
    sparse = zeros(nest, {"weight": 0.125}, savings=[Saving("skipping", "buffer", "input", ("weight",))])
    found = sparse_counts(nest, sparse, timeloop_counters(nest))
    assert (found.actual["buffer", "input", "read"], found.skipped["buffer", "input", "read"]) == (16, 16)
    assert found.macs == 64


def test_words_that_change_their_representation():
    """By hand: DRAM keeps half of 32 weights, packed; the buffer unpacks all 32 that come. Sums are packed on their way."""
    nest = product()
    formats = {("DRAM", role): (Rank("UOP", (("K", "N", "M"),)), Rank("RLE", (("K", "N", "M"),)))
               for role in ("weight", "output")}  # fmt: skip
    found = sparse_counts(nest, zeros(nest, {"weight": 0.5, "output": 0.25}, formats), timeloop_counters(nest))
    assert (found.actual["DRAM", "weight", "read"], found.actual["buffer", "weight", "write"]) == (16, 32)
    assert found.unpacked["buffer", "weight"] == 32
    assert (found.actual["DRAM", "output", "update"], found.packed["buffer", "output"]) == (4, 4)
    assert found.macs == 128  # nothing tells the buffer which words are zero


@given(st.data())
def test_laws(data):
    """Bound: reads left, gated and skipped are at most the dense count, without zeros all of it; gating saves as skipping."""
    nest = product()
    densities = {role: data.draw(st.sampled_from((0.1, 0.25, 0.43, 0.5, 0.9, 1.0))) for role in ("input", "weight")}
    target, other = data.draw(st.permutations(("input", "weight")))
    where = Saving("gating", "buffer", target, (other,))
    formats = {("buffer", "weight"): (Rank("UOP"), Rank("CP")), ("DRAM", "weight"): (Rank("UOP"), Rank("CP"))}
    formats = data.draw(st.sampled_from(({}, formats)))
    dense = timeloop_counters(nest)
    gated = sparse_counts(nest, zeros(nest, densities, formats, [where]), dense)
    skipped = sparse_counts(nest, zeros(nest, densities, formats, [replace(where, kind="skipping")]), dense)
    assert (gated.actual, gated.gated, gated.macs) == (skipped.actual, skipped.skipped, skipped.macs)
    for key, count in dense.items():
        left = gated.actual[key] + gated.gated.get(key, 0)
        assert 0 <= gated.actual[key] <= left <= count
        assert left == count or key[:2] in formats
    assert gated.macs >= math.floor(nest.problem.macs * densities["input"] * densities["weight"])
    full = sparse_counts(nest, zeros(nest, {}, formats, [where]), dense)
    assert {key: count for key, count in full.actual.items() if count} == {k: v for k, v in dense.items() if v}
    assert full.macs == nest.problem.macs


def test_what_is_not_counted():
    """Message: savings and representations that these rules do not cover are refused, each with its reason."""
    nest, dense = product(), timeloop_counters(product())
    spread = Nest(nest.problem, (nest.stages[0], Stage("buffer", ("weight", "output"), (("K", 8), ("N", 4)),
                                                       (SpatialLoop("M", 4),))))  # fmt: skip
    for which, formats, savings, message in (
        (nest, {}, [Saving("gating", "DRAM", "weight", ("input",))], "not its innermost memory"),
        (spread, {}, [Saving("gating", "buffer", "weight", ("input",))], "above an array of MACs, at buffer"),
        (nest, {("buffer", "weight"): (Rank("UOP"), Rank("CP"))}, [], "packs weight that DRAM keeps plain"),
        (nest, {("buffer", "weight"): (Rank("CP"), Rank("UOP"))}, [], "innermost rank UOP of weight compresses nothing"),
        (nest, {("buffer", "weight"): (Rank("CP"),)}, [], "its loops need more"),
        (nest, {("buffer", "weight"): (Rank("UOP", (("M",),)), Rank("CP"))}, [], "no list of a rank of buffer names"),
        (nest, {("buffer", "weight"): (Rank("CP"), Rank("CP"), Rank("CP"))}, [], "a rank without a loop below CP"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            sparse_counts(which, zeros(which, {"weight": 0.5}, formats, savings), dense)
    both = {(name, "weight"): (Rank("UOP"), Rank("CP")) for name in ("DRAM", "buffer")}
    with pytest.raises(ValueError, match="tiles of weight that may be empty"):
        sparse_counts(nest, zeros(nest, {"weight": 0.01}, both), dense)
    with pytest.raises(ValueError, match="shares above 0"):
        zeros(nest, {"weight": 0.0})
    with pytest.raises(ValueError, match="every read of weight is left out"):
        sparse_counts(
            nest, zeros(nest, {"input": 1e-7}, savings=[Saving("gating", "buffer", "weight", ("input",))]), dense
        )
