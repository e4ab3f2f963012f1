"""Operators that are taken apart, resized images, grids of quantised numbers: values against their equations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from picojoule._api import read_model
from picojoule.formats import load_machine
from picojoule.frontends.onnx import compile_onnx
from picojoule.machine.compiler import Compiled, Lone, lone, time_alone

from .networks import Net

MACHINES = [load_machine("textbook-core"), load_machine("textbook-cluster")]
Floats = NDArray[Any]


def checked(net: Net, output: str, path: Path, inputs: dict[str, Floats], want: Floats, opset: int = 17,
            error: float = 1e-5) -> Compiled:  # fmt: skip
    """Bits of the reference, values within rounding, nothing on the CPU, on one core and four."""
    net.save(path, output, opset=opset)
    compiled: Compiled
    for machine in MACHINES[::-1]:
        compiled = compile_onnx(path, machine)
        found = compiled(inputs)[output]
        assert found.shape == want.shape
        assert found.tobytes() == compiled.reference(inputs)[output].tobytes()
        assert np.abs(found - want).max() <= error * max(1e-3, np.abs(want).max())
        assert compiled.time().cpu == ()
    return compiled


@pytest.mark.parametrize(("op", "fn"), [
    ("Elu", lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0)))),
    ("Celu", lambda x: np.maximum(x, 0) + np.minimum(0, 0.7 * np.expm1(x / 0.7))),
    ("Selu", lambda x: 1.3 * np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0)))),
    ("Softplus", lambda x: np.logaddexp(x, 0)), ("Mish", lambda x: x * np.tanh(np.logaddexp(x, 0))),
    ("Softsign", lambda x: x / (1 + np.abs(x))), ("Swish", lambda x: x / (1 + np.exp(-0.7 * x))),
])  # fmt: skip
def test_activations(op: str, fn: Any, tmp_path: Path) -> None:
    """By hand: the equation in float64, far from 0 too; all are steps of the product before them."""
    given = {
        "Elu": {"alpha": 0.7},
        "Celu": {"alpha": 0.7},
        "Selu": {"alpha": 0.7, "gamma": 1.3},
        "Swish": {"alpha": 0.7},
    }
    net = Net(1)
    net.input("x", 1, 8)
    x = np.array([[-200, -90, -3, -0.1, 0, 0.2, 4, 90]], np.float32)
    y = net.add(op, net.add("MatMul", "x", net.constant(np.eye(8, dtype=np.float32))), **given.get(op, {}))
    compiled = checked(net, y, tmp_path / "net.onnx", {"x": x}, fn(x.astype(np.float64)), opset=24)
    assert len(compiled.layers()) == 1


def test_prelu_and_norms(tmp_path: Path) -> None:
    """By hand: a slope for each channel; normalised images and groups; the root mean square of rows."""
    net = Net(2)
    x = net.draw.standard_normal((2, 6, 5, 7)).astype(np.float32) + 3
    net.input("x", *x.shape)
    slope, scale, shift = (net.draw.uniform(0.2, 1, 6).astype(np.float32) for _ in range(3))
    wide = x.astype(np.float64)
    leaky = np.where(wide - 3 > 0, wide - 3, (wide - 3) * slope.reshape(6, 1, 1))
    less = net.add("Sub", "x", net.constant(np.float32(3)))
    checked(net, net.add("PRelu", less, net.constant(slope.reshape(6, 1, 1))), tmp_path / "a.onnx", {"x": x}, leaky)
    for op, axes, more in (("InstanceNormalization", (2, 3), {}), ("GroupNormalization", (2, 3, 4), {"num_groups": 3})):
        one = Net(2)
        one.input("x", *x.shape)
        rows = wide if op[0] == "I" else wide.reshape(2, 3, 2, 5, 7)
        want = (rows - rows.mean(axes, keepdims=True)) / np.sqrt(rows.var(axes, keepdims=True) + 1e-5)
        want = want.reshape(x.shape) * scale.reshape(6, 1, 1) + shift.reshape(6, 1, 1)
        y = one.add(op, "x", one.constant(scale), one.constant(shift), **more)
        compiled = checked(one, y, tmp_path / "b.onnx", {"x": x}, want, opset=21)
        assert any(line.startswith(f"expanded /{y}/{op} ({op}): ") for line in compiled.explain())
    one = Net(2)
    one.input("x", *x.shape)
    row = net.draw.uniform(0.5, 1, 7).astype(np.float32)
    want = wide / np.sqrt((wide**2).mean(-1, keepdims=True) + 1e-5) * row
    checked(one, one.add("RMSNormalization", "x", one.constant(row)), tmp_path / "c.onnx", {"x": x}, want, opset=23)


@pytest.mark.parametrize(
    "equation", ["ij,jk->ik", "bij,bjk->bik", "bhid,bhjd->bhij", "ij,kj->ki", "aij->ji", "ijk,k->ji"]
)
def test_einsum(equation: str, tmp_path: Path) -> None:
    """Peer: numpy.einsum in float64."""
    size = dict(zip("abhdijk", (2, 3, 2, 4, 5, 6, 3), strict=True))
    terms = equation.split("->", maxsplit=1)[0].split(",")
    net = Net(3)
    arrays = [net.draw.standard_normal([size[c] for c in term]).astype(np.float32) for term in terms]
    names = [net.input(f"x{i}", *array.shape) for i, array in enumerate(arrays)]
    want = np.einsum(equation, *(array.astype(np.float64) for array in arrays))
    checked(
        net,
        net.add("Einsum", *names, equation=equation),
        tmp_path / "net.onnx",
        dict(zip(names, arrays, strict=True)),
        want,
    )


@pytest.mark.parametrize("way", ["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"])
@pytest.mark.parametrize(
    ("mode", "size"), [("nearest", (10, 14)), ("nearest", (7, 3)), ("linear", (9, 14)), ("cubic", (5, 14))]
)
def test_resized(way: str, mode: str, size: tuple[int, int], tmp_path: Path) -> None:
    """Peer: every pixel from its coordinate, by the share of each neighbour, pixel by pixel in float64."""
    net = Net(4)
    x = net.draw.standard_normal((2, 3, 5, 7)).astype(np.float32)
    sizes = net.constant(np.array([2, 3, *size]))
    y = net.add("Resize", net.input("x", *x.shape), "", "", sizes, mode=mode, coordinate_transformation_mode=way,
                nearest_mode="round_prefer_floor")  # fmt: skip
    want = x.astype(np.float64)
    for axis, wide in ((2, size[0]), (3, size[1])):
        want = np.stack([_pixel(want, axis, i, wide, way, mode) for i in range(wide)], axis)
    checked(net, y, tmp_path / "net.onnx", {"x": x}, want, error=2e-5)


def _pixel(x: Floats, axis: int, i: int, wide: int, way: str, mode: str) -> Floats:
    size = x.shape[axis]
    at = {"half_pixel": (i + 0.5) * size / wide - 0.5, "align_corners": i * (size - 1) / max(1, wide - 1),
          "asymmetric": i * size / wide, "pytorch_half_pixel": (i + 0.5) * size / wide - 0.5 if wide > 1 else 0}[way]  # fmt: skip

    def taken(j: int) -> Floats:
        return np.asarray(x.take(min(size - 1, max(0, j)), axis))

    if mode == "nearest":
        return taken(int(np.ceil(at - 0.5)))
    first, a = int(np.floor(at)), -0.75
    if mode == "linear":
        return taken(first) * (first + 1 - at) + taken(first + 1) * (at - first)
    total = np.zeros_like(taken(0))
    for j in range(first - 1, first + 3):
        d = abs(at - j)
        share = (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
        total += share * taken(j)
    return total


@pytest.mark.parametrize(("kind", "zero"), [(np.int8, 0), (np.int8, -7), (np.uint8, 128), (np.uint8, 3), (np.int16, 0)])
def test_grids(kind: Any, zero: int, tmp_path: Path) -> None:
    """Equality: a pair of nodes gives s·(clip(round(x / s) + z) - z) to the bit, halves to even, weights dequantised."""
    net = Net(5)
    whole = net.draw.integers(-127, 127, (16, 6)).astype(np.int8)
    scales = net.draw.uniform(0.01, 0.1, 6).astype(np.float32)
    scale, point = net.constant(np.float32(0.25)), net.constant(np.array(zero, kind))
    q = net.add("DequantizeLinear", net.add("QuantizeLinear", net.input("x", 4, 16), scale, point), scale, point)
    w = net.add("DequantizeLinear", net.constant(whole), net.constant(scales), axis=1)
    y = net.add("MatMul", q, w)
    x = np.concatenate([net.draw.standard_normal((3, 16)) * 40, np.arange(16)[None] / 8 - 1]).astype(np.float32)
    ends = np.iinfo(kind)
    grid = (np.clip(np.rint(x / np.float32(0.25)) + zero, ends.min, ends.max) - zero) * 0.25
    compiled = checked(net, y, tmp_path / "net.onnx", {"x": x}, grid @ (whole * scales.astype(np.float64)))
    assert sum(line.startswith("joined ") for line in compiled.explain()) == 1
    alone = compile_onnx(net.save(tmp_path / "grid.onnx", q), MACHINES[0])
    assert alone({"x": x})[q].tobytes() == grid.astype(np.float32).tobytes()


@pytest.mark.parametrize("axis", [0, 1])
def test_rounded_weights(axis: int, tmp_path: Path) -> None:
    """By hand: float weights behind a pair of their own, a scale for each channel, are constants on a grid."""
    net = Net(axis)
    w = net.draw.standard_normal((6, 5)).astype(np.float32)
    scales = net.draw.uniform(0.01, 0.05, w.shape[axis]).astype(np.float32)
    given = [net.constant(scales), net.constant(np.zeros(w.shape[axis], np.int8))]
    q = net.add("QuantizeLinear", net.constant(w), *given, axis=axis)
    y = net.add("MatMul", net.input("x", 3, 6), net.add("DequantizeLinear", q, *given, axis=axis))
    x = net.draw.standard_normal((3, 6)).astype(np.float32)
    wide = scales.reshape((-1, 1) if axis == 0 else (1, -1))
    grid = np.clip(np.rint(w / wide), -128, 127).astype(np.float64) * wide
    checked(net, y, tmp_path / "net.onnx", {"x": x}, x @ grid)


def test_rows_again_and_again(tmp_path: Path) -> None:
    """By hand: a product of two stacks, the rows of one spread from a single one."""
    net = Net(3)
    a, b = (
        net.draw.standard_normal((2, 1, 8)).astype(np.float32),
        net.draw.standard_normal((2, 8, 3)).astype(np.float32),
    )
    wide = net.add("Expand", net.input("a", *a.shape), net.constant(np.array([2, 4, 8])))
    y = net.add("MatMul", wide, net.input("b", *b.shape))
    checked(net, y, tmp_path / "net.onnx", {"a": a, "b": b}, np.broadcast_to(a, (2, 4, 8)) @ b)


def test_plain_recurrent_layer(tmp_path: Path) -> None:
    """By hand: h' = tanh(x·W + h·R + b), both directions, step by step in float64."""
    net = Net(6)
    x = net.draw.standard_normal((5, 2, 4)).astype(np.float32)
    w, r = (net.draw.standard_normal((2, 3, n)).astype(np.float32) for n in (4, 3))
    b = net.draw.standard_normal((2, 6)).astype(np.float32)
    names = net.add("RNN", net.input("x", *x.shape), *(net.constant(a) for a in (w, r, b)), outputs=2, hidden_size=3,
                    direction="bidirectional")  # fmt: skip
    want = np.zeros((5, 2, 2, 3))
    for direction, steps in enumerate((range(5), range(4, -1, -1))):
        h = np.zeros((2, 3))
        for step in steps:
            h = np.tanh(x[step] @ w[direction].T + h @ r[direction].T + b[direction, :3] + b[direction, 3:])
            want[step, direction] = h
    checked(net, names[0], tmp_path / "net.onnx", {"x": x}, want)
    assert compile_onnx(net.save(tmp_path / "net.onnx", *names), MACHINES[0])({"x": x})[names[1]].shape == (2, 2, 3)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_blocks_of_pixels(mode: str, tmp_path: Path) -> None:
    """Round trip: pixels to channels and back; a tensor side by side with itself."""
    net = Net(7)
    x = net.draw.standard_normal((2, 8, 4, 6)).astype(np.float32)
    y = net.add("SpaceToDepth", net.add("DepthToSpace", net.input("x", *x.shape), blocksize=2, mode="DCR"), blocksize=2)
    checked(net, y, tmp_path / "net.onnx", {"x": x}, x, error=0)
    one = Net(7)
    y = one.add("DepthToSpace", one.input("x", *x.shape), blocksize=2, mode=mode)
    split = x.reshape(2, 2, 2, 2, 4, 6) if mode == "DCR" else x.reshape(2, 2, 2, 2, 4, 6).transpose(0, 2, 3, 1, 4, 5)
    want = split.transpose(0, 3, 4, 1, 5, 2).reshape(2, 2, 8, 12)
    checked(one, y, tmp_path / "net.onnx", {"x": x}, want, error=0)
    other = Net(7)
    y = other.add("Tile", other.input("x", *x.shape), other.constant(np.array([1, 2, 1, 3])))
    checked(other, y, tmp_path / "net.onnx", {"x": x}, np.tile(x, (1, 2, 1, 3)), error=0)


def test_attention_operator(tmp_path: Path) -> None:
    """By hand: operator set 23's Attention: shared heads, a cache that grows, a causal mask, in one kernel."""
    net = Net(8)
    q, k, v = (net.draw.standard_normal((1, 3, n)).astype(np.float32) for n in (32, 16, 16))
    past = [net.draw.standard_normal((1, 2, 5, 8)).astype(np.float32) for _ in range(2)]
    names = [net.input(name, *a.shape) for name, a in zip("qkvab", (q, k, v, *past), strict=True)]
    outs = net.add("Attention", *names[:3], "", *names[3:], outputs=3, q_num_heads=4, kv_num_heads=2, is_causal=1)
    inputs = dict(zip("qkvab", (q, k, v, *past), strict=True))
    keys, values = (
        np.concatenate([p, one.reshape(1, 3, 2, 8).swapaxes(1, 2)], 2) for p, one in zip(past, (k, v), strict=True)
    )
    s = q.reshape(1, 3, 4, 8).swapaxes(1, 2) @ keys.repeat(2, 1).swapaxes(2, 3).astype(np.float64) / 8**0.5
    p = np.exp(np.where(np.tri(3, 8, 5, dtype=bool), s, -np.inf))
    want = (p / p.sum(-1, keepdims=True) @ values.repeat(2, 1)).swapaxes(1, 2).reshape(1, 3, 32)
    compiled = checked(net, outs[0], tmp_path / "net.onnx", inputs, want, opset=23)
    assert any("into attention" in line for line in compiled.explain())
    found = compile_onnx(net.save(tmp_path / "net.onnx", *outs, opset=23), MACHINES[0])(inputs)
    assert found[outs[1]].tobytes() == np.ascontiguousarray(keys).tobytes()
    assert found[outs[2]].tobytes() == np.ascontiguousarray(values).tobytes()


def test_norm_with_its_mean(tmp_path: Path) -> None:
    """By hand: a layer norm that also gives the mean and one over the deviation of each row."""
    net = Net(9)
    x = net.draw.standard_normal((3, 4, 6)).astype(np.float32)
    names = net.add("LayerNormalization", net.input("x", *x.shape), net.weight(6), outputs=3, axis=-1)
    found = compile_onnx(net.save(tmp_path / "net.onnx", *names), MACHINES[0])({"x": x})
    mean = x.mean(-1, keepdims=True, dtype=np.float64)
    deviation = np.sqrt(x.var(-1, keepdims=True, dtype=np.float64) + 1e-5)
    for name, want in ((names[1], mean), (names[2], 1 / deviation)):
        assert found[name].shape == (3, 4, 1)
        assert np.abs(found[name] - want).max() <= 1e-5 * np.abs(want).max()


def test_lone_operators() -> None:
    """Bound: operators of the zoo that the simulated level times alone have the MACs and the bytes of their tables."""
    core = MACHINES[0]
    up = next(one for one in read_model("unet").operators if one.kind == "conv_transpose")
    found = lone(read_model("unet"), up)
    assert isinstance(found, Lone)
    timing = time_alone(found, core)
    assert not isinstance(timing, str)
    assert timing.counts[("matrix", "mac_float32")] == up.work.macs
    words = read_model("gpt2")
    table = next(one for one in words.operators if one.op == "embedding")
    found = lone(words, table)
    assert isinstance(found, Lone)
    timing = time_alone(found, core)
    assert not isinstance(timing, str)
    assert timing.counts[("dram", "read")] == 4 * 128 * (768 + 1)
    for op in ("transpose", "silu", "square", "rsqrt", "concat"):
        whole = read_model("t5-small" if op in ("square", "rsqrt") else "unet" if op == "concat" else
                           "gpt2" if op == "transpose" else "efficientnet-b0")  # fmt: skip
        one = lone(whole, next(o for o in whole.operators if o.op == op))
        assert isinstance(one, Lone)
        assert not isinstance(time_alone(one, core), str)
