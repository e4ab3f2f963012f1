"""Chains of layers: the program's values are NumPy's, its file runs alone, its bounds hold."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from picojoule.formats import load_machine
from picojoule.machine import Layer, compile_layers, dump_program, find_races, parse_program, reference, simulate
from picojoule.quantity import InputError

CORE = load_machine("textbook-core")


def net(sizes: list[int], dtype: str, seed: int = 0, activation: str = "relu") -> list[Layer]:
    draw = np.random.default_rng(seed)
    layers = []
    for i, (k, n) in enumerate(pairwise(sizes)):
        if dtype == "int8":
            weights: NDArray[Any] = draw.integers(-128, 128, (k, n), np.int8)
            layers.append(
                Layer(weights, draw.integers(-999, 999, n, np.int32), "relu", 0.01 if i < len(sizes) - 2 else 0)
            )
        else:
            weights = draw.standard_normal((k, n)).astype(np.float32)
            layers.append(Layer(weights, draw.standard_normal(n).astype(np.float32), activation))
    return layers


def plain(layers: list[Layer], x: NDArray[Any]) -> NDArray[Any]:
    """int8 layers in Python's own whole numbers."""
    for layer in layers:
        sums = x.astype(object) @ layer.weights.astype(object) + layer.bias.astype(object)  # type: ignore[union-attr]
        y = np.maximum(sums.astype(np.int64), 0)
        x = np.clip(np.rint(y.astype(np.float32) * np.float32(layer.scale)), -128, 127) if layer.scale else y
        x = x.astype(np.int64)
    return x


@pytest.mark.parametrize("batch", [1, 4, 32])
def test_adder_net_int8(batch: int) -> None:
    """Equality: the 9-20-20-5 net in int8 gives what Python's whole numbers give, in any legal order, from its file."""
    layers = net([9, 20, 20, 5], "int8")
    x = np.random.default_rng(1).integers(-128, 128, (batch, 9), np.int8)
    program = parse_program(dump_program(compile_layers(CORE, layers, batch)))
    run = find_races(program, CORE, {"X": x}, range(5))
    assert run.outputs["Y"].tolist() == plain(layers, x).tolist()
    assert run.counts[("matrix", "mac_int8")] == batch * (9 * 20 + 20 * 20 + 20 * 5)
    assert run.cycles >= batch * 680 / 256


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", ""])
def test_adder_net_float32(activation: str) -> None:
    """Equality: bit for bit the reference; near NumPy's own product."""
    layers = net([9, 20, 20, 5], "float32", activation=activation)
    x = np.random.default_rng(1).standard_normal((8, 9)).astype(np.float32)
    run = find_races(compile_layers(CORE, layers, 8), CORE, {"X": x}, range(3))
    assert run.outputs["Y"].tobytes() == reference(layers, x).tobytes()
    y: NDArray[Any] = x.astype(np.float64)
    for layer in layers:
        y = y @ layer.weights + layer.bias
        y = {"relu": lambda a: np.maximum(a, 0), "tanh": np.tanh, "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
             "": lambda a: a}[activation](y)  # fmt: skip
    assert np.allclose(run.outputs["Y"], y, rtol=1e-4, atol=1e-5)


@given(st.lists(st.integers(1, 60), min_size=2, max_size=4), st.integers(1, 5), st.sampled_from(["int8", "float32"]),
       st.integers(512, 4096), st.integers(0, 99))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_blocks_change_no_bit(sizes: list[int], batch: int, dtype: str, wram: int, seed: int) -> None:
    """Metamorphic: a WRAM so small that layers pass in blocks gives the same bits; the bus bounds the time."""
    layers = net(sizes, dtype, seed)
    draw = np.random.default_rng(seed)
    x = draw.integers(-128, 128, (batch, sizes[0])).astype(dtype)
    small = replace(CORE, sizes={**CORE.sizes, "wram": wram})
    run = find_races(compile_layers(small, layers, batch), small, {"X": x}, [seed])
    assert run.outputs["Y"].tobytes() == reference(layers, x).tobytes()
    assert run.cycles >= Fraction(run.counts[("dram", "read")] + run.counts[("dram", "write")]) / CORE.bus


def test_a_layer_larger_than_wram() -> None:
    """Equality: 600×400 float32 weights, 960 KB, stream through 256 KiB; the bus bounds the time."""
    layers = net([600, 400, 10], "float32")
    x = np.random.default_rng(1).standard_normal((3, 600)).astype(np.float32)
    run = simulate(compile_layers(CORE, layers, 3), CORE, {"X": x})
    assert run.outputs["Y"].tobytes() == reference(layers, x).tobytes()
    assert run.cycles >= 4 * (600 * 400 + 400 * 10) / 64


def test_refused() -> None:
    """Message: the layer and what it should be."""
    good = net([9, 20, 5], "int8")
    for layers, words in (
        ([good[0], good[0]], "layer 1: 9 inputs"), ([], "no layers"),
        ([replace(good[0], activation="tanh")], "activation 'tanh' of int8"),
        ([replace(good[0], bias=np.zeros(3, np.int32))], "the bias is"), ([replace(good[0], scale=0.0), good[1]], "scale"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            compile_layers(CORE, layers)
    with pytest.raises(InputError, match="bytes of NRAM"):
        compile_layers(CORE, good, 100_000)
