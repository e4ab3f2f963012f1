"""Numbers of the documents' exercises, each worked out by hand or by a second way."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule import lifecycle as life
from picojoule.formats._tables import read_tables
from picojoule.frontends import read_model
from picojoule.lifecycle._train import phases
from picojoule.quantity import InputError


def test_cifar_bytes() -> None:
    """By hand: 60,000 images of 32 · 32 · 3 = 3,072 B are 184,320,000 B, with one label byte each 184,380,000."""
    cifar = life.Data(60_000, (32, 32, 3))
    assert (cifar.item_bytes, cifar.elements) == (3072, 3072)
    assert cifar.total_bytes == 184_320_000
    assert life.Data(60_000, (32, 32, 3), label_bytes=1).total_bytes == 184_380_000
    assert life.Data(1, (32, 32, 3), "float32").item_bytes == 12_288


def test_record_overhead() -> None:
    """By hand: 8 + 4 + 4 bytes around each of 50,000 records."""
    assert life.record_overhead_bytes(50_000) == 800_000
    assert life.Data(50_000, (32, 32, 3), record_bytes=16).total_bytes == 50_000 * 3088


def test_preprocessing_values() -> None:
    """By hand: 500 · 375 · 3, 256 · 256 · 3, 224 · 224 · 3 twice; the 0.875 crop is 437 × 328."""
    data = life.Data(1, (500, 375, 3), stored_bytes=110_000)
    spec = life.Preprocess(True, (256, 256), (224, 224), True)
    assert life.values_of(data, spec) == {"decode": 562_500, "resize": 196_608, "crop": 150_528, "normalise": 150_528}
    assert life.central_crop(500, 375, 0.875) == (437, 328)


def test_learning_rate() -> None:
    """By hand: 0.1 · 0.9 ^ ⌊n / 10,000⌋."""
    rates = [life.learning_rate(0.1, 0.9, 10_000, n) for n in (0, 9_999, 10_000, 25_000, 100_000)]
    assert rates == pytest.approx([0.1, 0.1, 0.09, 0.081, 0.1 * 0.9**10], rel=1e-12)


def test_momentum_gain() -> None:
    """Equality: 1 / (1 − a) is the sum of 4,000 powers."""
    for a in (0.9, 0.0, -0.9):
        assert life.momentum_gain(a) == pytest.approx(sum(a**k for k in range(4000)), rel=1e-12)
    with pytest.raises(InputError):
        life.momentum_gain(1.0)


def test_steps_to_target() -> None:
    """Equality: gradient descent takes ⌈ln(tol) / ln ρ⌉ steps by its closed form, and the counts of exercise 3.11."""
    for kappa, steps, ball in ((10, 69, 27), (100, 691, 93), (1000, 6908, 315)):
        assert life.descent_steps(kappa, 1e-6) == steps
        assert steps == math.ceil(math.log(1e-6) / math.log((kappa - 1) / (kappa + 1)))
        assert life.heavy_ball_steps(kappa, 1e-6) == ball


def test_recipes() -> None:
    """By hand: 4 G + 8 D of a GAN, 2 F of style transfer, ResNet-50 on ImageNet for 90 epochs."""
    assert life.gan_macs(1, 1) == (7, 5)
    assert sum(life.gan_macs(3, 5)) == 4 * 3 + 8 * 5
    assert life.frozen_macs(19_508_428_800) == 39_016_857_600
    assert life.frozen_macs(19_508_428_800, 500) == 19_508_428_800_000
    assert life.training_macs(12_149_538_816, 1_281_167, 90) == 1_400_902_937_665_044_480


def test_training_macs_of_a_step() -> None:
    """Equality: forward and gradient of one ResNet-50 step have the 12,149,538,816 MACs of the exercise."""
    parts = phases(read_model("resnet50", batch=1), life.Train("resnet50"))
    assert sum(part.work.macs for part in parts.values()) == 12_149_538_816
    assert parts["forward"].work.macs == read_model("resnet50", batch=1).work.macs
    assert parts["update"].work.macs == 0


@pytest.mark.parametrize(("optimiser", "each"), [("sgd", 12), ("momentum", 20), ("adam", 28)])
def test_update_bytes(optimiser: str, each: int) -> None:
    """Equality: bytes of the update's operators are those by the closed form; 1.222 GB for AlexNet with momentum."""
    net = read_model("alexnet", batch=1)
    update = phases(net, life.Train("alexnet", optimiser))["update"]  # type: ignore[arg-type]
    moved = sum(update.traffic(operator).total for operator in update.operators)
    parameters = sum(t.elements for t in net.parameters)
    assert moved == life.update_bytes(parameters, optimiser) == each * parameters
    assert life.update_bytes(61_100_840, "momentum") == 1_222_016_800


def test_ring() -> None:
    """By hand: 2 (p − 1) / p of 244,403,360 B at 25 GB/s: 9.776, 14.664, 17.108 ms for 2, 4, 8 devices."""
    size = 244_403_360
    assert [life.ring_bytes(size, p) for p in (1, 2, 4, 8)] == [0, 244_403_360, 366_605_040, 427_705_880]
    seconds = [life.ring_s(size, p, 25e9) for p in (2, 4, 8)]
    assert seconds == pytest.approx([0.0097761344, 0.0146642016, 0.0171082352], rel=1e-9)
    assert life.ring_s(size, 4, 25e9, 1e-6) == pytest.approx(seconds[1] + 6e-6)


@given(st.integers(1, 10**9), st.integers(1, 8), st.integers(1, 8))
def test_hierarchical_ring(size: int, per_node: int, nodes: int) -> None:
    """Bound: with one rate everywhere two rings take as long as one ring over all devices, never less bytes."""
    flat = life.ring_s(size, per_node * nodes, 1e9)
    split = life.hierarchical_s(size, per_node, nodes, 1e9, 1e9)
    assert split == pytest.approx(flat, rel=1e-9)
    assert life.hierarchical_s(size, per_node, nodes, 1e10, 1e9) <= split * (1 + 1e-12)


@given(*[st.floats(0, 10)] * 6)
def test_step(load: float, forward: float, gradient: float, reduce: float, update: float, hidden: float) -> None:
    """Bound: a step is no shorter than its compute and no longer than the sum of all parts."""
    step = life.step_s(load, forward, gradient, reduce, update, hidden=hidden)
    assert step >= max(load, forward + gradient) + update - 1e-12
    assert step <= load + forward + gradient + reduce + update + 1e-12


def test_mixed_precision() -> None:
    """By hand: 2 + 2 + 4 + 4 + 4 = 16 B a parameter with and without; the 45 nm MAC ratio is 4.6 / 1.5 = 3.07."""
    assert life.state_bytes(61_100_840, "adam") == 977_613_440
    assert life.state_bytes(61_100_840, "adam", mixed=True) == 977_613_440
    table = read_tables().operations
    mac = {dtype: table.multiply[dtype] + table.add[dtype] for dtype in ("float32", "float16")}
    assert mac["float32"] / mac["float16"] == pytest.approx(3.066666666666667, rel=1e-9)


def test_sparse_weights() -> None:
    """By hand: at half density 0.5 · 4 + 1/8, 0.5 · (4 + 2), and 4 bytes dense."""
    half = Fraction(1, 2)
    assert [life.weight_bytes(half, s) for s in ("bitmap", "csr", "dense")] == [2.125, 3.0, 4.0]


def test_sparsity_schedule() -> None:
    """By hand: 0.5 · (1 − (1 − t)³) at t = 0, 1/4, 1/2, 3/4, 1."""
    assert [life.sparsity(0.5, t) for t in (0, 0.25, 0.5, 0.75, 1)] == [0, 0.2890625, 0.4375, 0.4921875, 0.5]


def test_break_even() -> None:
    """By hand: 100 J spent to save 2 J a run pay after 50 runs; nothing saved never pays."""
    assert life.break_even_runs(100, 5, 3) == 50
    assert life.break_even_runs(100, 3, 3) == math.inf


def test_padding_waste() -> None:
    """By hand: lengths 1, 2, 3 padded to 3 waste 3 of 9."""
    assert life.padding_waste((1, 2, 3)) == pytest.approx(1 / 3)
