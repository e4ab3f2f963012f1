"""Random operators on a machine with little memory: the program's bits are the reference's, its values ONNX's."""

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from picojoule.frontends.onnx import compile_onnx
from picojoule.machine import Machine, dump_program, find_races, parse_program, simulate
from picojoule.machine.compiler import Compiled
from picojoule.quantity import InputError

from .networks import Net, feeds

RATES = {"float32": 8, "int8": 8, "int32": 8}
SMALL = Machine("small", Fraction(10**9), 1, {"float32": 16, "int8": 32}, RATES, {"float32": 4},
                {"dram": 1 << 24, "sram": 0, "nram": 16384, "wram": 8192}, Fraction(4), Fraction(16))  # fmt: skip
TINY = replace(SMALL, name="tiny", sizes={**SMALL.sizes, "nram": 6144, "wram": 2048}, setup=7, burst=32)
THREE = replace(SMALL, name="three", cores=3, sizes={**SMALL.sizes, "sram": 1024})
MACHINES = st.sampled_from([SMALL, TINY, THREE])


def checked(net: Net, *outputs: str, machine: Machine = SMALL, opset: int = 17, seeds: int = 1,
            oracle: Callable[[NDArray[Any]], NDArray[Any]] | None = None) -> Compiled:  # fmt: skip
    """Compile, run in random legal orders, and compare: bits with the reference, values with the onnx package."""
    with tempfile.TemporaryDirectory() as folder:
        path = net.save(Path(folder) / "net.onnx", *outputs, opset=opset)
        inputs, model = feeds(path, 3), onnx.load(path)
        try:
            compiled = compile_onnx(path, machine)
        except InputError as error:
            assert error.what == "no tile fits on chip", error  # a tiny machine may say so, and nothing else
            return compile_onnx(path, replace(machine, sizes={**machine.sizes, "nram": 1 << 20, "wram": 1 << 20}))
    found, expected = compiled(inputs), compiled.reference(inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = [oracle(inputs["x"])] if oracle else ReferenceEvaluator(model).run(None, inputs)
    values = dict(zip(outputs, results, strict=True))
    for name in outputs:
        assert found[name].tobytes() == expected[name].tobytes()
        assert found[name].shape == values[name].shape
        assert close(found[name], values[name])
    if compiled.time().cpu:  # a row that is too long for the memory
        assert all("too long for NRAM" in line for line in compiled.explain() if "CPU" in line)
        return compiled
    for segment in compiled.steps:
        program = segment.program  # type: ignore[union-attr]
        given_ = {buffer: inputs[name] for name, buffer in segment.inputs.items()}  # type: ignore[union-attr]
        run = find_races(parse_program(dump_program(program)), compiled.machine, given_, range(seeds))
        assert run.cycles == segment.planned or machine.cores > 1  # type: ignore[union-attr]
    return compiled


def close(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Within what sums of a few thousand float32 terms round."""
    scale = max(1e-3, float(np.abs(b).max(initial=0)))
    return bool(np.abs(a - b).max(initial=0) <= 2e-5 * scale)


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_convolutions(data: st.DataObject) -> None:
    """Equality: any size, stride, pad, dilation, group, batch, with bias, norm, activation and residual."""
    draw = data.draw
    groups, per_in, per_out = draw(st.integers(1, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    if draw(st.booleans()):
        per_in = per_out = 1
    channels, outputs = groups * per_in, groups * per_out
    size = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    stride, dilation = [draw(st.integers(1, 3)) for _ in "yx"], [draw(st.integers(1, 2)) for _ in "yx"]
    pads = [draw(st.integers(0, 2)) for _ in range(4)]
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    shape = [max(1, r - pads[i] - pads[i + 2]) + draw(st.integers(0, 12)) for i, r in enumerate(reach)]
    net = Net(draw(st.integers(0, 99)))
    x = net.input("x", draw(st.integers(1, 2)), channels, *shape)
    bias = (net.weight(outputs),) if draw(st.booleans()) else ()
    y = net.add("Conv", x, net.weight(outputs, per_in, *size), *bias, strides=stride, dilations=dilation, pads=pads,
                group=groups)  # fmt: skip
    if draw(st.booleans()):
        y = net.add("BatchNormalization", y, *(net.constant(net.draw.uniform(0.5, 2, outputs).astype(np.float32))
                                               for _ in range(4)))  # fmt: skip
    if draw(st.booleans()):
        y = net.add(draw(st.sampled_from(["Relu", "Sigmoid", "HardSwish"])), y)
    if draw(st.booleans()):
        y = net.add("Add", net.add("Conv", x, net.weight(outputs, per_in, *size), strides=stride, dilations=dilation,
                                   pads=pads, group=groups), y)  # fmt: skip
    compiled = checked(net, y, machine=draw(MACHINES))
    assert not compiled.time().cpu


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_pools(data: st.DataObject) -> None:
    """Equality: maxima and means over windows, with pads, written out (onnx.reference mistakes uneven pads)."""
    draw = data.draw
    size, stride = [draw(st.integers(1, 4)) for _ in "yx"], [draw(st.integers(1, 3)) for _ in "yx"]
    pads = [draw(st.integers(0, (size[i % 2] - 1) // 2)) for i in range(4)]
    net = Net(draw(st.integers(0, 99)))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 20)), *(s + draw(st.integers(0, 12)) for s in size))
    x = net.input("x", *shape)
    kind, include = draw(st.sampled_from(["MaxPool", "AveragePool"])), draw(st.integers(0, 1))
    more = {"count_include_pad": include} if kind == "AveragePool" else {}
    y = net.add(kind, net.add("Relu", x), kernel_shape=size, strides=stride, pads=pads, **more)

    def oracle(x: NDArray[Any]) -> NDArray[Any]:
        return np.tanh(pooled(np.maximum(x, 0), kind == "MaxPool", size, stride, pads, bool(include)))

    checked(net, net.add("Tanh", y), machine=draw(MACHINES), oracle=oracle)


def pooled(
    x: NDArray[Any], largest: bool, size: list[int], stride: list[int], pads: list[int], include: bool
) -> NDArray[Any]:
    """Window by window; what lies outside the image counts for means that include it."""
    wide = np.pad(
        x.astype(np.float64), ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=np.nan
    )
    out = [(n - k) // s + 1 for n, k, s in zip(wide.shape[2:], size, stride, strict=True)]
    y = np.zeros((*x.shape[:2], *out), np.float32)
    for i, j in np.ndindex(*out):
        window = wide[:, :, i * stride[0] : i * stride[0] + size[0], j * stride[1] : j * stride[1] + size[1]]
        mean = np.nansum(window, (2, 3)) / (size[0] * size[1]) if include else np.nanmean(window, (2, 3))
        y[:, :, i, j] = np.nanmax(window, (2, 3)) if largest else mean
    return y


@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), MACHINES)
@settings(max_examples=40, deadline=None)
def test_whole_images(images: int, channels: int, height: int, width: int, machine: Machine) -> None:
    """Equality: one mean and one maximum for each channel, in slices where an image does not fit."""
    net = Net(channels)
    x = net.add("Relu", net.input("x", images, channels, height, width))
    checked(net, net.add("GlobalAveragePool", x), net.add("GlobalMaxPool", x), machine=machine)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_products(data: st.DataObject) -> None:
    """Equality: products of matrices, alone and in stacks, of transposes and slices, with what follows them."""
    draw = data.draw
    m, k, n = (draw(st.integers(1, 40)) for _ in "mkn")
    net = Net(draw(st.integers(0, 99)))
    kind = draw(st.sampled_from(["gemm", "matmul", "stack", "attention"]))
    if kind == "gemm":
        turn = draw(st.integers(0, 1))
        x = net.input("x", *((k, m) if turn else (m, k)))
        y = net.add(
            "Gemm",
            x,
            net.weight(n, k),
            net.weight(n),
            transA=turn,
            transB=1,
            alpha=0.5,
            beta=draw(st.sampled_from([1.0, 2.0])),
        )
    elif kind == "matmul":
        x = net.input("x", draw(st.integers(1, 3)), m, k)
        y = net.add("Add", net.add("MatMul", x, net.weight(k, n)), net.weight(n))
    elif kind == "stack":
        batch = draw(st.integers(1, 3))
        y = net.add(
            "MatMul", net.input("a", batch, 2, m, k), net.input("b", draw(st.sampled_from([1, batch])), 2, k, n)
        )
    else:
        heads, size = draw(st.integers(1, 3)), draw(st.integers(1, 8))
        x = net.input("x", 1, m, 3 * heads * size)
        shape = net.constant(np.array([1, m, heads, size]))
        parts = [net.add("Reshape", p, shape) for p in net.add("Split", x, outputs=3, axis=-1)]
        q, v = (net.add("Transpose", parts[i], perm=(0, 2, 1, 3)) for i in (0, 2))
        scores = net.add("Softmax", net.add("MatMul", q, net.add("Transpose", parts[1], perm=(0, 2, 3, 1))), axis=-1)
        y = net.add("Transpose", net.add("MatMul", scores, v), perm=(0, 2, 1, 3))
    y = net.add(draw(st.sampled_from(["Relu", "Tanh", "Neg", "Exp"])), y) if draw(st.booleans()) else y
    checked(net, y, machine=draw(MACHINES))


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_chains(data: st.DataObject) -> None:
    """Equality: random chains of arithmetic, broadcasts, reductions, moves and norms, fused as it comes."""
    draw = data.draw
    rank = draw(st.integers(2, 4))
    shape = tuple(draw(st.integers(1, 7)) for _ in range(rank))
    net = Net(draw(st.integers(0, 99)))
    known = [net.input("x", *shape)]
    if draw(st.booleans()):
        known.append(net.input("y", *(size if draw(st.booleans()) else 1 for size in shape)))
    shapes = {name: net.shapes[name] for name in known}
    for _ in range(draw(st.integers(1, 7))):
        a = draw(st.sampled_from(known))
        if shapes[a] != shape:
            a = known[0]
        kind = draw(st.sampled_from(["unary", "pair", "constant", "softmax", "mean", "turn", "norm", "split"]))
        if kind == "unary":
            y = net.add(draw(st.sampled_from(["Relu", "Tanh", "Sigmoid", "Neg", "Abs", "HardSigmoid", "Erf"])), a)
        elif kind == "pair":
            y = net.add(
                draw(st.sampled_from(["Add", "Sub", "Mul", "Max", "Min"])),
                *draw(st.permutations([a, draw(st.sampled_from(known))])),
            )
        elif kind == "constant":
            other = net.weight(*(size if draw(st.booleans()) else 1 for size in shape))
            pair = draw(st.permutations([a, other]))
            y = net.add("Div" if pair[1] == other and draw(st.booleans()) else "Sub", *pair)
        elif kind == "softmax":
            y = net.add("Softmax", a, axis=draw(st.integers(0, rank - 1)))
        elif kind == "mean":
            axes = draw(st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True))
            y = net.add("Sub", a, net.add(draw(st.sampled_from(["ReduceMean", "ReduceMax"])), a, axes=axes))
        elif kind == "turn":
            order = draw(st.permutations(range(rank)))
            y = net.add("Relu", net.add("Transpose", a, perm=order))
            y = net.add("Transpose", y, perm=[order.index(i) for i in range(rank)])
        elif kind == "norm":
            n = shape[-1]
            y = net.add("LayerNormalization", a, net.weight(n), net.weight(n), axis=-1, epsilon=0.01)
        else:
            axis = draw(st.integers(0, rank - 1))
            cut = draw(st.integers(0, shape[axis] - 1))
            ends = (
                [net.constant(np.array([v])) for v in (0, cut, axis)],
                [net.constant(np.array([v])) for v in (cut, 99, axis)],
            )
            pieces = [net.add("Slice", a, *e) for e in ends if e != ends[0] or cut]
            y = net.add("Concat", *pieces[::-1], axis=axis)
        known.append(y)
        shapes[y] = shape
    checked(net, known[-1], *([known[-2]] if len(known) > 2 and draw(st.booleans()) and known[-2] not in net.shapes else []),
            machine=draw(MACHINES))  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "batch", "width", "hidden", "directions"), [(1, 1, 3, 2, 1), (4, 3, 5, 7, 2), (6, 1, 20, 24, 1)]
)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "reset"])
def test_recurrent(kind: str, steps: int, batch: int, width: int, hidden: int, directions: int) -> None:
    """Equality: every step of LSTM and GRU layers, against the recurrences written out in float64."""
    net = Net(5)
    gates = 4 if kind == "LSTM" else 3
    x = net.input("x", steps, batch, width)
    w = [net.weight(directions, gates * hidden, size, scale=0.4) for size in (width, hidden)]
    bias = net.weight(directions, 2 * gates * hidden, scale=0.4)
    late = {"linear_before_reset": 1} if kind == "reset" else {}
    op = "LSTM" if kind == "LSTM" else "GRU"
    names = net.add(
        op,
        x,
        *w,
        bias,
        outputs=2,
        hidden_size=hidden,
        direction="bidirectional" if directions == 2 else "forward",
        **late,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = net.save(Path(folder) / "net.onnx", *names)
        inputs, weights = (
            feeds(path),
            [onnx.numpy_helper.to_array(t).astype(np.float64) for t in onnx.load(path).graph.initializer],
        )
        compiled = compile_onnx(path, SMALL)
    found, expected = compiled(inputs), compiled.reference(inputs)
    y, last = recurrence(kind, inputs["x"].astype(np.float64), *weights)
    for name, value in zip(names, (y, last), strict=True):
        assert found[name].tobytes() == expected[name].tobytes()
        assert np.allclose(found[name], value, atol=3e-6)
    assert simulate(compiled.program, SMALL, check=True).cycles == compiled.steps[0].planned  # type: ignore[union-attr]


def recurrence(
    kind: str, x: NDArray[Any], w: NDArray[Any], r: NDArray[Any], b: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The equations of ONNX's specification."""
    steps, batch, _ = x.shape
    directions, _, hidden = r.shape
    y, last = np.zeros((steps, directions, batch, hidden)), np.zeros((directions, batch, hidden))
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    for d in range(directions):
        wb, rb = np.split(b[d], 2)
        h, c = np.zeros((batch, hidden)), np.zeros((batch, hidden))
        for t in range(steps)[:: -1 if d else 1]:
            one, two = x[t] @ w[d].T + wb, h @ r[d].T + rb
            if kind == "LSTM":
                i, o, f, g = np.split(one + two, 4, axis=1)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            else:
                z, reset = (
                    sigmoid(p + q) for p, q in zip(np.split(one, 3, 1)[:2], np.split(two, 3, 1)[:2], strict=True)
                )
                back = reset * two[:, 2 * hidden :]
                if kind == "GRU":
                    back = (reset * h) @ r[d][2 * hidden :].T + rb[2 * hidden :]
                h = (1 - z) * np.tanh(one[:, 2 * hidden :] + back) + z * h
            y[t, d] = h
        last[d] = h
    return y, last
