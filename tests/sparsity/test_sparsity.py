"""Bits by hand, against every array of a small size, against random arrays, and against real encoders."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from picojoule.frontends.zoo import read_zoo
from picojoule.lifecycle._state import weight_bytes
from picojoule.quantity import InputError
from picojoule.sparsity import FORMATS, Format, Hardware, imbalance, lines, sparse
from picojoule.workload import Graph, Workload, ops


def test_by_hand() -> None:
    """By hand: 1,000 values of 32 bits at density one half.

    Bitmap 16,000 + 1,000; CSR 500·(32 + 16), with 11 row starts of 32 bits 352 more; 2:4 250 groups of 2·(32 + 2);
    dense 32,000. Of one value: 2.125 B, 3 B, 2.125 B and 4 B.
    """
    assert Format("bitmap").bits(1000, 0.5, 32) == 17000
    assert Format("csr").bits(1000, 0.5, 32) == Format("coo").bits(1000, 0.5, 32) == 24000
    assert Format("csr", start_bits=32).bits(1000, 0.5, 32, rows=10) == 24352
    assert Format("n:m").bits(1000, 0.5, 32) == 17000
    assert Format("dense").bytes(1000, 0.5, 32) == 4000
    assert Format("n:m").bits(10, 0.1, 8) == 3 * 2 * 10  # ten values are three groups
    assert [Format("n:m", keep=k, group=g).metadata_bits for k, g in ((1, 1), (1, 2), (2, 4), (4, 8))] == [0, 1, 2, 3]


@pytest.mark.parametrize(("kind", "each"), [("dense", 4.0), ("bitmap", 2.125), ("csr", 3.0)])
def test_training_agrees(kind: Any, each: float) -> None:
    """Equality: bytes of a weight as the sparse training schedule has them."""
    assert Format(kind).bytes(8, 0.5, 32) / 8 == weight_bytes(0.5, kind) == each


def test_run_lengths_by_hand() -> None:
    """By hand: runs of 3 at most (2 bits). 0 0 0 0 0 5 0 7: four zeros are a fill, one zero and 5, one zero and 7.

    Six zeros behind the last value: one fill of four, two not stored.
    """
    form = Format("rle", run_bits=2)
    assert form.of(np.array([0, 0, 0, 0, 0, 5, 0, 7]), 8) == 3 * 10
    assert form.of(np.array([1, 0, 0, 0, 0, 0, 0]), 8) == 2 * 10
    assert form.of(np.zeros(3), 8) == 0
    assert form.of(np.zeros(8), 8) == form.bits(8, 0.0, 8) == 20


def decoded_entries(array: NDArray[Any], longest: int) -> int:
    """Entries of a run-length encoder that walks the values, checked by decoding them."""
    entries, zeros = [], 0
    for value in array:
        if value != 0 or zeros == longest - 1:
            entries.append((zeros, value))
            zeros = 0
        else:
            zeros += 1
    back = [x for run, value in entries for x in [0] * run + [value]]
    assert back + [0] * zeros == list(array)
    return len(entries)


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(1, 4))
def test_run_lengths_are_an_encoder(values: list[int], bits: int) -> None:
    """Equality: the bits of an array are those of an encoder whose code decodes to it."""
    array = np.array(values, dtype=np.int64)
    assert Format("rle", run_bits=bits).of(array, 8) == decoded_entries(array, 2**bits) * (8 + bits)


@pytest.mark.parametrize("kind", ["dense", "bitmap", "csr", "coo", "rle"])
@pytest.mark.parametrize("density", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_expectation_over_every_array(kind: Any, density: float) -> None:
    """Equality: the mean over all 2^n patterns of zeros, weighed by their probability."""
    form = Format(kind, run_bits=1, start_bits=8)
    for n in (1, 2, 5, 9):
        mean = 0.0
        for pattern in itertools.product([0, 1], repeat=n):
            ones = sum(pattern)
            mean += density**ones * (1 - density) ** (n - ones) * form.of(np.array(pattern), 8)
        assert form.bits(n, density, 8) == pytest.approx(mean, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "n:m"])
def test_random_arrays(kind: Any) -> None:
    """Equality: a random array of a million values takes the expected bits within five standard deviations."""
    rng = np.random.default_rng(0)
    for density, run_bits in ((0.02, 5), (0.02, 3), (0.3, 2)):
        form = Format(kind, run_bits=run_bits)
        array = rng.random(10**6) < density
        spread = 5 * math.sqrt(10**6 * density) * (8 + 16)
        assert form.of(array, 8) == pytest.approx(form.bits(10**6, density, 8), abs=spread)


def test_n_of_m_of_an_array() -> None:
    """By hand: groups of four with two values each take 2·(8 + 2) bits; a group with three is refused."""
    form = Format("n:m")
    assert form.of(np.array([[1, 0, 2, 0], [0, 0, 0, 3]]), 8) == 40
    assert form.densest(np.array([1, 1, 0, 1, 0])) == 3
    with pytest.raises(InputError, match="3 values"):
        form.of(np.array([1, 1, 0, 1]), 8)


def test_break_even() -> None:
    """By hand: bitmap d·b + 1 < b below 7/8 of 8-bit values; CSR of 16 indices below 1/3; 2:4 always, 1:1 never."""
    assert Format("bitmap").break_even(8) == pytest.approx(7 / 8, abs=1e-6)
    assert Format("csr").break_even(8) == pytest.approx(1 / 3, abs=1e-6)
    assert Format("n:m").break_even(8) == pytest.approx(1)
    assert Format("dense").break_even(8) == pytest.approx(0)


@given(st.sampled_from(["bitmap", "csr", "coo", "rle"]), st.floats(0, 1), st.floats(0, 1), st.integers(1, 10**9))
def test_denser_is_larger(kind: Any, one: float, two: float, n: int) -> None:
    """Bound: bits grow with the density; a run-length code stores no fewer than its values, no more than n."""
    sparse_, dense = sorted((one, two))
    form = Format(kind)
    assert form.bits(n, sparse_, 8) <= form.bits(n, dense, 8) * (1 + 1e-9)
    if kind == "rle":
        assert one * n * 13 * (1 - 1e-9) <= form.bits(n, one, 8) <= n * 13 * (1 + 1e-9)


def test_products_by_hand() -> None:
    """By hand: 1,000 MACs, activations at 0.4, weights at 0.5.

    Skipping both leaves 200; skipping weights and gating activations 500 that take time, 200 that take energy.
    """
    both = Hardware(frozenset(("weight", "activation"))).effect(1000, 0.4, 0.5)
    assert (both.slots, both.active, both.speedup) == (200, 200, 5)
    mixed = Hardware(frozenset({"weight"}), frozenset({"activation"})).effect(1000, 0.4, 0.5)
    assert (mixed.slots, mixed.active) == (500, 200)
    plain = Hardware().effect(1000, 0.4, 0.5)
    assert (plain.slots, plain.active, plain.speedup) == (1000, 1000, 1)
    scores = Hardware(frozenset({"activation"})).effect(1000, 0.4, 0.5, roles=("activation", "activation"))
    assert scores.slots == 200
    assert Hardware(frozenset({"weight"})).effect(5, 1, 0).speedup == math.inf


def test_products_of_random_operands() -> None:
    """Equality: products of two random operands neither of which is zero."""
    rng = np.random.default_rng(1)
    a, w = rng.random((300, 400)) < 0.4, rng.random((400, 200)) < 0.5
    left = int((a.astype(np.int64) @ w.astype(np.int64)).sum())
    macs = 300 * 400 * 200
    expected = Hardware(frozenset(("weight", "activation"))).effect(macs, 0.4, 0.5).slots
    assert left == pytest.approx(expected, rel=0.01)
    exact = Hardware(frozenset(("weight", "activation"))).effect(1, a.mean(), w.mean()).slots * macs
    assert left == pytest.approx(exact, rel=0.005)


def test_imbalance() -> None:
    """By hand: two lanes of one value at one half: 3/4 over 1/2. Enumeration: three lanes of four values."""
    assert imbalance(1, 0.5, 2) == pytest.approx(1.5)
    assert imbalance(100, 0.3, 1) == pytest.approx(1)
    assert imbalance(8, 1.0, 64) == imbalance(8, 0.0, 64) == 1
    mean = 0.0
    for pattern in itertools.product([0, 1], repeat=12):
        most = max(sum(pattern[i : i + 4]) for i in (0, 4, 8))
        mean += 0.3 ** sum(pattern) * 0.7 ** (12 - sum(pattern)) * most
    assert imbalance(4, 0.3, 3) == pytest.approx(mean / 1.2)
    assert 1 < imbalance(1000, 0.5, 16) < imbalance(10, 0.5, 16) < imbalance(10, 0.1, 16)


def two_layers() -> Workload:
    g = Graph("two", dtype="float16")
    x = g.input("x", (8, 64))
    hidden = ops.unary(g, "relu", ops.linear(g, x, g.parameter("w1", (128, 64)), name="one"), name="relu")
    g.output(ops.linear(g, hidden, g.parameter("w2", (32, 128)), name="two"))
    return g.workload()


def test_network_by_hand() -> None:
    """By hand: half the weights (bitmap) and a quarter of what relu writes, 16 bits.

    w1 8,192 values: 8,192·8 + 8,192 bits = 9,216 B of 16,384; w2 4,096: 4,608 B of 8,192. relu writes 1,024 values:
    1,024·4 + 1,024 bits = 640 B, and two reads them. Others dense: 1,024 in, 2,048 out and in, 512 out.
    MACs 65,536 and 32,768; both skipped: 1/2 and 1/8.
    """
    bitmap, both = Format("bitmap"), Hardware(frozenset(("weight", "activation")))
    found = sparse(two_layers(), weights=0.5, activations=0.25, weight_format=bitmap, activation_format=bitmap,
                   hardware=both)  # fmt: skip
    assert found.dense_bytes == 1024 + 16384 + 2 * 2048 + 2 * 2048 + 8192 + 512
    assert found.bytes == 1024 + 9216 + 2 * 2048 + 2 * 640 + 4608 + 512
    assert found.weight_bytes == (16384 + 8192, 9216 + 4608)
    assert found.workload.work.macs == 32768 + 4096 == found.effect.slots == found.effect.active
    gated = sparse(two_layers(), weights=0.5, hardware=Hardware(gates=frozenset({"weight"})))
    assert (gated.effect.slots, gated.effect.active) == (98304, 49152)
    assert gated.bytes == gated.dense_bytes == found.dense_bytes
    named = sparse(two_layers(), activations={"relu.out": 0.25}, activation_format=bitmap)
    assert named.bytes == found.dense_bytes - 2 * (2048 - 640)


def test_dense_is_unchanged() -> None:
    """Metamorphic: density one without a format changes nothing; less density moves and does less, never more."""
    net = read_zoo("resnet18")
    same = sparse(net)
    assert same.workload == net
    assert same.effect.slots == net.work.macs
    half = sparse(net, weights=0.5, weight_format=Format("n:m"), hardware=Hardware(frozenset({"weight"})))
    assert half.bytes < same.bytes
    assert half.workload.work.macs == net.work.macs // 2
    assert max(map(len, lines(half))) <= 80
    assert lines(half)[3].endswith("0.500")


def test_refusals() -> None:
    """Message: what cannot be says what would pass."""
    for wrong in ({"kind": "zip"}, {"index_bits": 0}, {"keep": 5}, {"start_bits": -1}):
        with pytest.raises(InputError, match="expected"):
            Format(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="density"):
        Format().bits(1, 1.5, 8)
    with pytest.raises(InputError, match="sizes"):
        Format().bits(-1, 0.5, 8)
    with pytest.raises(InputError, match="operand"):
        Hardware(frozenset({"bias"}))
    with pytest.raises(InputError, match="density"):
        Hardware().effect(1, 2.0, 1.0)
    with pytest.raises(InputError, match="lanes"):
        imbalance(0, 0.5, 1)
