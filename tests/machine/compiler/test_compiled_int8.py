"""int8: exact whole-number sums, scales by channel and by tensor."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from picojoule.formats import load_machine
from picojoule.frontends.onnx import compile_onnx
from picojoule.machine.compiler import Segment

from .networks import Net, feeds, lenet, mobilenet, resnet

CORE = load_machine("textbook-core")


def in_whole_numbers(x: NDArray[np.float32], w: NDArray[np.float32], bias: NDArray[np.float32], sx: float, relu: bool,
                     per_channel: bool) -> NDArray[np.float32]:  # fmt: skip
    """round(x/s)·round(w/s_w) in Python's own integers; then float32, one operation after the other."""
    one = np.float32
    largest = np.abs(w).max(0) if per_channel else np.full(w.shape[1], np.abs(w).max(), one)
    scales = largest.astype(one) / one(127)
    whole_x = np.clip(np.rint(x * one(1 / sx)), -128, 127).astype(np.int64).astype(object)
    whole_w = np.clip(np.rint(w / scales), -127, 127).astype(np.int64).astype(object)
    sums = (whole_x @ whole_w).astype(np.int64)
    y = (
        (sums.astype(one) * one(1) * (scales * one(sx))).astype(one)
        if per_channel
        else sums.astype(one) * (scales[0] * one(sx))
    )
    y = (y + bias).astype(one)
    return np.maximum(y, one(0)) if relu else y


@given(st.integers(1, 9), st.integers(1, 90), st.integers(1, 40), st.booleans(), st.booleans(), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_product_in_whole_numbers(m: int, k: int, n: int, relu: bool, per_channel: bool, seed: int) -> None:
    """Equality: one layer, to the bit, in integers of any size."""
    import tempfile

    net = Net(seed)
    x = net.input("x", m, k)
    w, b = net.weight(k, n), net.weight(n)
    y = net.add("Gemm", x, w, b)
    y = net.add("Relu", y) if relu else y
    with tempfile.TemporaryDirectory() as folder:
        path = net.save(Path(folder) / "net.onnx", y)
        inputs = feeds(path, seed)
        compiled = compile_onnx(path, CORE, "int8", calibration=[inputs], per_channel=per_channel)
    weights = [np.frombuffer(t.raw_data, np.float32).reshape(t.dims) for t in net.weights]
    sx = float(np.float32(float(np.abs(inputs["x"]).max()) / 127))
    expected = in_whole_numbers(inputs["x"], weights[0], weights[1], sx, relu, per_channel)
    assert compiled(inputs)[y].tobytes() == expected.tobytes()
    assert compiled.time().counts[("matrix", "mac_int8")] == m * k * n


def test_convolution_in_whole_numbers(tmp_path: Path) -> None:
    """Equality: two convolutions, the tensor between them in int8, the second by taps in Python's loops."""
    net = Net(8)
    x = net.input("x", 1, 3, 9, 7)
    one, two = net.weight(8, 3, 3, 3), net.weight(5, 8, 2, 2)
    y = net.add("Relu", net.add("Conv", x, one, pads=[1, 1, 1, 1]))
    y = net.add("Conv", y, two, strides=[2, 1])
    path = net.save(tmp_path / "net.onnx", y)
    inputs, compiled = feeds(path), compile_onnx(path, CORE, "int8", calibration=[feeds(path)])
    assert sum(dtype == "int8" for dtype in compiled.dtypes.values()) == 2
    weights = [np.frombuffer(t.raw_data, np.float32).reshape(t.dims) for t in net.weights]
    (segment,) = compiled.steps
    assert isinstance(segment, Segment)
    kernels = [kernel for kernel in segment.kernels if kernel.name.endswith("Conv")]
    between = next(p.tensor for p in kernels[0].body.stores.values())
    step = next(s for s in kernels[0].body.steps if s.fn == "quantise")
    s_y = np.float32(step.imm)
    s_x = np.float32(float(np.abs(inputs["x"]).max()) / 127)
    mid = by_taps(
        np.rint(np.pad(inputs["x"], ((0, 0), (0, 0), (1, 1), (1, 1))) * np.float32(1 / float(s_x))),
        weights[0],
        s_x,
        (1, 1),
    )
    mid = np.clip(np.rint(np.maximum(mid, np.float32(0)) * s_y), -128, 127)
    assert compiled.dtypes[between] == "int8"
    s_mid = np.float32(round_up_scale(compiled, kernels[1].name))
    last = by_taps(mid, weights[1], s_mid, (2, 1))
    assert compiled(inputs)[y].tobytes() == last.tobytes()


def round_up_scale(compiled: Any, name: str) -> float:
    """The input scale that the compiler tells, to the digits that it tells, checked against the row of scales."""
    row = next(a for key, a in compiled.constants.items() if key.startswith(f"{name}!scales"))
    weights = next(a for key, a in compiled.constants.items() if key.endswith("!turned 1") and a.shape[-1] == row.size)
    largest = np.abs(weights.reshape(-1, row.size)).max(0).astype(np.float32) / np.float32(127)
    scale = float(row[0]) / float(largest[0])
    told = next(line for line in compiled.explain() if line.startswith(f"quantised {name}"))
    assert float(told.rsplit(" ", 1)[1]) == pytest.approx(scale, rel=0.01)
    candidates = np.float32(scale) * (1 + np.arange(-8, 9) * np.float32(2**-24))
    return float(
        next(c for c in candidates.astype(np.float32) if np.array_equal((largest * c).astype(np.float32), row))
    )


def by_taps(x: NDArray[Any], w: NDArray[Any], s_x: np.float32, stride: tuple[int, int]) -> NDArray[np.float32]:
    """Whole-number convolution of NCHW, then times s_x·s_w in float32."""
    scales = np.abs(w.reshape(w.shape[0], -1)).max(1).astype(np.float32) / np.float32(127)
    whole = np.clip(np.rint(w / scales[:, None, None, None]), -127, 127).astype(int).astype(object)
    x = x.astype(int).astype(object)
    out = [(n - k) // s + 1 for n, k, s in zip(x.shape[2:], w.shape[2:], stride, strict=True)]
    y = np.zeros((1, w.shape[0], *out), object)
    for i, j in np.ndindex(*out):
        window = x[0, :, i * stride[0] : i * stride[0] + w.shape[2], j * stride[1] : j * stride[1] + w.shape[3]]
        for c in range(w.shape[0]):
            y[0, c, i, j] = int((window * whole[c]).sum())
    return (y.astype(np.int64).astype(np.float32) * (scales * s_x)[None, :, None, None]).astype(np.float32)


@pytest.mark.parametrize("name", ["lenet", "mobilenet", "resnet18"])
def test_less_traffic_and_near(name: str, tmp_path: Path) -> None:
    """Bound: int8 reads less than half of the bytes, takes less time, and stays near float32."""
    makers = {
        "lenet": lenet,
        "mobilenet": lambda p: mobilenet(p, 32, 0.25, 10),
        "resnet18": lambda p: resnet(p, 18, 32, 8, 10),
    }
    path = makers[name](tmp_path / "net.onnx")
    inputs, data = feeds(path, 7), [feeds(path, seed) for seed in range(3)]
    whole = compile_onnx(path, CORE)
    (output, expected), errors = next(iter(whole.reference(inputs).items())), []
    for per_channel in (True, False):
        small = compile_onnx(path, CORE, "int8", calibration=data, per_channel=per_channel)
        errors.append(float(np.linalg.norm(small.reference(inputs)[output] - expected) / np.linalg.norm(expected)))
    assert max(errors) < 0.3
    assert small.time().counts[("dram", "read")] < 0.5 * whole.time().counts[("dram", "read")]
    assert small.time().cycles < whole.time().cycles
