"""The examples run, learn, and print what they cost."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def digits() -> ModuleType:
    return _example("digits")


@pytest.fixture(scope="module")
def adder() -> ModuleType:
    return _example("adder")


def _example(name: str) -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


def test_digits_are_the_published_ones(digits: ModuleType) -> None:
    """Published: 1,797 images of the UCI test set, 174 to 183 of each class, levels of 16."""
    x, y = digits.load()
    assert x.shape == (1797, 64)
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (x.min(), x.max()) == (0, 1)
    assert set(np.unique(x * 16).tolist()) <= set(range(17))


def test_digits_are_learned(digits: ModuleType) -> None:
    """Bound: at least 95 % of 360 held-out digits, and no more than two points less with half the weights or bits."""
    found = digits.one_seed(0)
    assert found["dense"] >= 0.95
    assert found["sparse"] >= found["dense"] - 0.02
    assert found["mixed"] >= found["dense"] - 0.02


def test_sparsity_rises_to_half(digits: ModuleType) -> None:
    """By hand: 1/2 · (1 - (1 - t)³) on the way, half of every layer at the end; the steps are epochs · batches."""
    from dataclasses import replace

    x, y = digits.load()
    network = sys.modules["network"]
    plan = replace(digits.KINDS["sparse"], epochs=10)
    net, history = network.train(network.Network.of(digits.WIDTHS, 1), x[:640], y[:640], plan, 1)
    assert history.steps == 200
    assert history.zeros == sorted(history.zeros)
    assert history.zeros[-1] == pytest.approx(0.5, abs=1e-3)
    assert net.zeros == pytest.approx(0.5, abs=1e-3)
    # After the fifth epoch the mask is that of step 90 of the 140 in which it rises.
    assert history.zeros[4] == pytest.approx(0.5 * (1 - (1 - 90 / 140) ** 3), abs=1e-3)


@pytest.mark.parametrize("loss", ["softmax", "bits"])
def test_gradient(adder: ModuleType, loss: str) -> None:
    """Equality: the gradient is the slope of the loss, by central differences in float64."""
    network = sys.modules["network"]
    generator = np.random.default_rng(2)
    net = network.Network.of((6, 7, 4), 3)
    net.weights, net.biases = ([v.astype(np.float64) for v in values] for values in (net.weights, net.biases))
    x = generator.standard_normal((9, 6))
    y = generator.integers(0, 4, 9) if loss == "softmax" else generator.integers(0, 2, (9, 4))
    plan = network.Plan(loss=loss)
    _, gradients = network.backward(net, x, y, plan, 1.0)
    for parameter, gradient in zip([*net.weights, *net.biases], gradients, strict=True):
        for index in [tuple(generator.integers(0, size) for size in parameter.shape) for _ in range(5)]:
            kept, slope = parameter[index], 0.0
            for sign in (1, -1):
                parameter[index] = kept + sign * 1e-3
                net32 = network.backward(net, x, y, plan, 1.0)[0]
                slope += sign * net32 / 2e-3
            parameter[index] = kept
            assert gradient[index] == pytest.approx(slope, abs=2e-3)


def test_adder_by_hand(adder: ModuleType) -> None:
    """By hand: a 9-20-20-5 network with written weights adds all 512 rows right, so the shape suffices."""
    x, y = adder.load()
    assert x.shape == (512, 9)
    values = x @ np.array([1, 2, 4, 8, 1, 2, 4, 8, 1])
    assert np.array_equal(y @ (1 << np.arange(5)), values)
    exact = adder.exact()
    assert [w.shape for w in exact.weights] == [(20, 9), (20, 20), (5, 20)]
    assert sum(w.size for w in exact.weights) + sum(b.size for b in exact.biases) == 725
    assert adder.accuracy(exact, x, y) == 1.0


def test_adder_is_learned(adder: ModuleType) -> None:
    """Bound: every row trained on is right, and 90 % of the rows never seen."""
    inside, outside = adder.one_seed(0, ("dense",))["dense"]
    assert inside == 1.0
    assert outside >= 0.9


@pytest.mark.parametrize("name", ["digits", "adder"])
def test_stages_are_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Bound: one seed trains, every stage has its joules, the parts sum to the total, lines fit a terminal."""
    example = _example(name)
    assert example.main(["--seeds", "1", "--on", "h100"]) == 0
    text = capsys.readouterr().out
    for stage in ("load", "preprocess", "train", "infer", "total"):
        assert f"  {stage} " in text
    assert "scope:" in text
    assert max(map(len, text.splitlines())) <= 80


def test_stages_add_up() -> None:
    """Equality: energies of the rows are the total to 1e-12; training costs more than answering."""
    _example("digits")
    stages = sys.modules["stages"]
    setting = stages.Setting("digits", "mlp:64-128-64-10", 1437, 360, "64", 32, 30, "momentum")
    result = stages.result(setting, "xeon")
    assert sum(float(row[0]) for row in result.energies.values()) == pytest.approx(float(result.energy_j[0]), rel=1e-12)
    assert result.stage("train").macs > 100 * result.stage("infer").macs
