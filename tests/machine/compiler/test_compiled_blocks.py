"""Blocks as they occur in networks: squeeze and excite, dense, shuffle, U-Net, a decoding step, patches, ConvNeXt, pads."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from picojoule.formats import load_machine
from picojoule.frontends.onnx import compile_onnx

from .networks import Net, feeds, norm

Block = Callable[[Net], tuple[str, ...]]


def excite(net: Net, batch: int = 1) -> tuple[str, ...]:
    x = net.conv(net.input("x", batch, 8, 9, 9), 8, 16, 3)
    s = net.add("GlobalAveragePool", x)
    s = net.add("Relu", net.add("Conv", s, net.weight(4, 16, 1, 1), net.weight(4)))
    s = net.add("HardSigmoid", net.add("Conv", s, net.weight(16, 4, 1, 1), net.weight(16)))
    return (net.add("HardSwish", net.conv(net.add("Mul", x, s), 16, 8, 1, act="")),)


def dense(net: Net) -> tuple[str, ...]:
    found = [net.input("x", 2, 4, 8, 8)]
    for i in range(3):
        x = net.add("Concat", *found, axis=1) if i else found[0]
        found.append(net.conv(x, 4 + 4 * i, 4, 3))
    return (net.add("AveragePool", net.add("Concat", *found, axis=1), kernel_shape=[2, 2], strides=[2, 2]),)


def shuffle(net: Net) -> tuple[str, ...]:
    x = net.conv(net.input("x", 1, 12, 6, 6), 12, 12, 3, group=3)
    y = net.add("Reshape", x, net.constant(np.array([1, 3, 4, 6, 6])))
    y = net.add("Transpose", y, perm=(0, 2, 1, 3, 4))
    y = net.add("Reshape", y, net.constant(np.array([1, 12, 6, 6])))
    a, b = net.add("Split", y, outputs=2, axis=1)
    return (net.conv(net.add("Concat", net.conv(a, 6, 6, 3, group=6), b, axis=1), 12, 8, 1),)


def line(net: Net) -> tuple[str, ...]:
    y = net.add("Conv", net.input("x", 2, 5, 30), net.weight(7, 5, 3), net.weight(7), pads=[1, 1], strides=[2])
    return (net.add("MaxPool", net.add("Relu", y), kernel_shape=[3], strides=[2]),)


def unet(net: Net) -> tuple[str, ...]:
    a = net.conv(net.input("x", 1, 3, 16, 16), 3, 8, 3)
    b = net.conv(net.add("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2]), 8, 16, 3)
    up = net.add("ConvTranspose", b, net.weight(16, 8, 2, 2), net.weight(8), strides=[2, 2])
    return (net.add("Softmax", net.conv(net.add("Concat", a, up, axis=1), 16, 4, 3), axis=1),)


def generator(net: Net) -> tuple[str, ...]:
    x = net.add("ConvTranspose", net.input("x", 1, 8, 4, 4), net.weight(8, 8, 4, 4), net.weight(8), strides=[2, 2],
                pads=[1] * 4)  # fmt: skip
    y = net.add("InstanceNormalization", x, net.weight(8), net.weight(8))
    y = net.add("PRelu", y, net.constant(np.abs(net.draw.standard_normal((8, 1, 1))).astype(np.float32)))
    none, scales = net.constant(np.zeros(0, np.float32)), net.constant(np.array([1, 1, 2, 2], np.float32))
    y = net.add("Resize", y, none, scales, mode="nearest", coordinate_transformation_mode="asymmetric",
                nearest_mode="floor")  # fmt: skip
    y = net.add("Elu", net.conv(y, 8, 16, 3))
    y = net.add("Softplus", net.add("DepthToSpace", y, blocksize=2))
    return net.add("Tanh", net.add("Resize", y, none, scales, mode="linear")), net.add("SpaceToDepth", y, blocksize=4)


def volume(net: Net) -> tuple[str, ...]:
    x = net.add("Conv", net.input("x", 2, 3, 6, 8, 8), net.weight(8, 3, 3, 3, 3), net.weight(8), pads=[1] * 6)
    x = net.add("MaxPool", net.add("Relu", x), kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    x = net.add("Conv", x, net.weight(8, 4, 3, 3, 3), strides=[1, 2, 2], pads=[1] * 6, group=2)
    x = net.add("AveragePool", x, kernel_shape=[3, 2, 2], pads=[1, 0, 0, 1, 0, 0])
    return (net.gemm(net.add("Flatten", net.add("GlobalAveragePool", x)), 8, 4),)


def plain(net: Net) -> tuple[str, ...]:
    """A simple recurrent layer, then activations and norms."""
    w = [net.weight(1, 12, size, scale=0.3) for size in (6, 12)]
    y, _ = net.add("RNN", net.input("x", 5, 2, 6), *w, net.weight(1, 24, scale=0.3), outputs=2, hidden_size=12)
    y = net.add("Reshape", y, net.constant(np.array([10, 12])))
    for op in ("Celu", "Selu", "Softplus", "Softsign"):
        y = net.add(op, y)
    parts = [net.add(op, y, axes=[1], keepdims=1) for op in ("ReduceL1", "ReduceL2", "ReduceMin", "ReduceLogSumExp")]
    y = net.add("Einsum", net.add("Concat", y, *parts, axis=1), net.weight(16, 3), equation="ij,jk->ki")
    return net.add("LogSoftmax", net.add("Mean", y, y, net.weight(3, 1)), axis=0), net.add(
        "Tile", y, net.constant(np.array([2, 3]))
    )


def decode(net: Net) -> tuple[str, ...]:
    """One token, with the keys and values of nine before it."""
    heads, size = 4, 8
    x, keys, values = net.input("x", 1, 1, 32), net.input("k", 1, heads, 9, size), net.input("v", 1, heads, 9, size)
    shape = net.constant(np.array([1, 1, heads, size]))
    parts = net.add("Split", net.linear(norm(net, x, 32, True), 32, 96), outputs=3, axis=2)
    q, k, v = (net.add("Transpose", net.add("Reshape", p, shape), perm=(0, 2, 1, 3)) for p in parts)
    keys, values = net.add("Concat", keys, k, axis=2), net.add("Concat", values, v, axis=2)
    scores = net.add("MatMul", q, net.add("Transpose", keys, perm=(0, 1, 3, 2)))
    scores = net.add("Softmax", net.add("Mul", scores, net.constant(np.float32(size**-0.5))), axis=-1)
    y = net.add("Transpose", net.add("MatMul", scores, values), perm=(0, 2, 1, 3))
    y = net.add("Reshape", y, net.constant(np.array([1, 1, 32])))
    return net.add("Add", net.linear(y, 32, 32), x), keys, values


def patches(net: Net) -> tuple[str, ...]:
    x = net.add("Conv", net.input("x", 2, 3, 16, 16), net.weight(12, 3, 4, 4), net.weight(12), strides=[4, 4])
    y = net.add("Transpose", net.add("Reshape", x, net.constant(np.array([2, 12, 16]))), perm=(0, 2, 1))
    first = net.add("Expand", net.weight(1, 1, 12), net.constant(np.array([2, 1, 12])))
    y = net.add("Add", net.add("Concat", first, y, axis=1), net.weight(1, 17, 12))
    y = net.add("LayerNormalization", y, net.weight(12), net.weight(12), axis=-1)
    every = net.add("Gather", y, net.constant(np.array([1, 4, 7, 10])), axis=1)
    return net.add("Gather", y, net.constant(np.array([0])), axis=1), net.add("Neg", every)


def convnext(net: Net) -> tuple[str, ...]:
    x = net.input("x", 1, 8, 12, 12)
    y = net.add("Conv", x, net.weight(8, 1, 7, 7), net.weight(8), group=8, pads=[3] * 4)
    y = net.add("LayerNormalization", net.add("Transpose", y, perm=(0, 2, 3, 1)), net.weight(8), net.weight(8), axis=-1)
    y = net.linear(y, 8, 32)
    y = net.add("Mul", net.linear(net.add("Mul", y, net.add("Sigmoid", y)), 32, 8), net.weight(8))
    return (net.add("Add", x, net.add("Transpose", y, perm=(0, 3, 1, 2))),)


def padded(net: Net) -> tuple[str, ...]:
    pads = net.constant(np.array([0, 1, 2, 0, 0, 0, 1, 3]))
    y = net.add("Pad", net.add("Relu", net.input("x", 1, 3, 7, 7)), pads, net.constant(np.float32(1.5)))
    y = net.add("Pad", net.conv(y, 4, 6, 3), net.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1])))
    return (net.add("ReduceMean", y, axes=[2, 3], keepdims=0),)


BLOCKS: dict[str, Block] = {
    "excite": excite, "excite-batch": lambda net: excite(net, 3), "dense": dense, "shuffle": shuffle, "line": line,
    "unet": unet, "generator": generator, "volume": volume, "plain": plain,
    "decode": decode, "patches": patches, "convnext": convnext, "padded": padded,
}  # fmt: skip


@pytest.mark.parametrize("machine", ["textbook-core", "textbook-cluster"])
@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_block(name: str, machine: str, tmp_path: Path) -> None:
    """Peer: values of the onnx package; bits of the reference, in float32 and int8; only what must runs on the CPU."""
    net = Net(len(name))
    outputs = BLOCKS[name](net)
    path, core = net.save(tmp_path / "net.onnx", *outputs), load_machine(machine)
    inputs, compiled = feeds(path), compile_onnx(path, core)
    found, same = compiled(inputs), compiled.reference(inputs)
    for output, value in zip(outputs, ReferenceEvaluator(onnx.load(path)).run(None, inputs), strict=True):
        assert found[output].shape == value.shape
        assert np.abs(found[output] - value).max() <= 1e-5 * np.abs(value).max()
        assert found[output].tobytes() == same[output].tobytes()
    assert compiled.time().cpu == ()
    small = compile_onnx(path, core, "int8", calibration=[inputs])
    found, same = small(inputs), small.reference(inputs)
    assert {n: a.tobytes() for n, a in found.items()} == {n: a.tobytes() for n, a in same.items()}
