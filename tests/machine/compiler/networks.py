"""Networks as ONNX files, with random weights made from a seed. Sizes are arguments: small in tests, full in benchmarks."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A graph in the making; every method adds a node and gives the name of its result."""

    def __init__(self, seed: int = 0) -> None:
        self.draw = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.shapes: dict[str, tuple[int, ...]] = {}

    def input(self, name: str, *shape: int, kind: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        self.shapes[name] = shape
        return name

    def constant(self, array: NDArray[Any]) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def weight(self, *shape: int, scale: float = 0) -> str:
        scale = scale or (2 / max(1, prod(shape[1:]))) ** 0.5
        return self.constant(self.draw.standard_normal(shape, np.float32) * np.float32(scale))

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"{op.lower()}{len(self.nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"/{names[0]}/{op}", **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x: str, inputs: int, outputs: int, size: int, stride: int = 1, group: int = 1, norm: bool = True,
             act: str = "Relu") -> str:  # fmt: skip
        w = self.weight(outputs, inputs // group, size, size)
        bias = () if norm else (self.weight(outputs, scale=0.1),)
        y: str = self.add("Conv", x, w, *bias, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[size // 2] * 4,
                          group=group)  # fmt: skip
        if norm:
            parts = [self.draw.uniform(0.5, 1.5, outputs).astype(np.float32) for _ in range(4)]
            y = self.add("BatchNormalization", y, *(self.constant(p) for p in parts))
        if act == "Clip":
            y = self.add("Clip", y, self.constant(np.float32(0)), self.constant(np.float32(6)))
        elif act:
            y = self.add(act, y)
        return y

    def gemm(self, x: str, inputs: int, outputs: int, act: str = "") -> str:
        y: str = self.add("Gemm", x, self.weight(outputs, inputs), self.weight(outputs, scale=0.1), transB=1)
        return self.add(act, y) if act else y

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        y = self.add("MatMul", x, self.weight(inputs, outputs, scale=inputs**-0.5))
        return str(self.add("Add", y, self.weight(outputs, scale=0.1)))

    def save(self, path: Path, *outputs: str, opset: int = 17) -> Path:
        infos = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(self.nodes, path.stem, self.inputs, infos, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        path.write_bytes(model.SerializeToString())
        return path


def lenet(path: Path) -> Path:
    net = Net(1)
    x = net.input("image", 1, 1, 28, 28)
    x = net.conv(x, 1, 6, 5, norm=False)
    x = net.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.add("Conv", x, net.weight(16, 6, 5, 5), net.weight(16, scale=0.1), kernel_shape=[5, 5])
    x = net.add("MaxPool", net.add("Relu", x), kernel_shape=[2, 2], strides=[2, 2])
    x = net.gemm(net.add("Flatten", x), 400, 120, "Relu")
    x = net.gemm(net.gemm(x, 120, 84, "Relu"), 84, 10)
    return net.save(path, net.add("Softmax", x))


def alexnet(path: Path, size: int = 224, width: int = 64, classes: int = 1000, hidden: int = 4096) -> Path:
    net = Net(2)
    x = net.input("image", 1, 3, size, size)
    w = width
    x = net.add("Conv", x, net.weight(w, 3, 11, 11), net.weight(w, scale=0.1), strides=[4, 4], pads=[2] * 4)
    side = (size + 4 - 11) // 4 + 1
    x = net.add("MaxPool", net.add("Relu", x), kernel_shape=[3, 3], strides=[2, 2])
    side = (side - 3) // 2 + 1
    x = net.conv(x, w, 3 * w, 5, norm=False)
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    side = (side - 3) // 2 + 1
    x = net.conv(
        net.conv(net.conv(x, 3 * w, 6 * w, 3, norm=False), 6 * w, 4 * w, 3, norm=False), 4 * w, 4 * w, 3, norm=False
    )
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    side = (side - 3) // 2 + 1
    x = net.gemm(net.add("Flatten", x), 4 * w * side * side, hidden, "Relu")
    return net.save(path, net.gemm(net.gemm(x, hidden, hidden, "Relu"), hidden, classes))


def vgg16(path: Path, size: int = 224, width: int = 64, classes: int = 1000, hidden: int = 4096) -> Path:
    net = Net(3)
    x, channels = net.input("image", 1, 3, size, size), 3
    for many, factor in ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8)):
        for _ in range(many):
            x, channels = net.conv(x, channels, width * factor, 3, norm=False), width * factor
        x = net.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.gemm(net.add("Flatten", x), channels * (size // 32) ** 2, hidden, "Relu")
    return net.save(path, net.gemm(net.gemm(x, hidden, hidden, "Relu"), hidden, classes))


def resnet(path: Path, depth: int, size: int = 224, width: int = 64, classes: int = 1000) -> Path:
    blocks, deep = {18: ((2, 2, 2, 2), False), 50: ((3, 4, 6, 3), True)}[depth]
    net = Net(depth)
    x = net.conv(net.input("image", 1, 3, size, size), 3, width, 7, 2)
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = width
    for stage, many in enumerate(blocks):
        inner = width << stage
        outer = 4 * inner if deep else inner
        for block in range(many):
            stride, keep = (2 if stage and not block else 1), x
            if deep:
                y = net.conv(net.conv(x, channels, inner, 1), inner, inner, 3, stride)
                y = net.conv(y, inner, outer, 1, act="")
            else:
                y = net.conv(net.conv(x, channels, inner, 3, stride), inner, outer, 3, act="")
            if not block and (stride > 1 or channels != outer):
                keep = net.conv(x, channels, outer, 1, stride, act="")
            x, channels = net.add("Relu", net.add("Add", y, keep)), outer
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    return net.save(path, net.gemm(x, channels, classes))


def mobilenet(path: Path, size: int = 224, width: float = 1.0, classes: int = 1000) -> Path:
    net = Net(4)
    scaled = lambda c: max(8, int(c * width + 4) // 8 * 8)  # noqa: E731
    channels = scaled(32)
    x = net.conv(net.input("image", 1, 3, size, size), 3, channels, 3, 2, act="Clip")
    for factor, outputs, many, first in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                         (6, 160, 3, 2), (6, 320, 1, 1)):  # fmt: skip
        for block in range(many):
            stride, inner, out = (1 if block else first), channels * factor, scaled(outputs)
            y = net.conv(x, channels, inner, 1, act="Clip") if factor > 1 else x
            y = net.conv(net.conv(y, inner, inner, 3, stride, inner, act="Clip"), inner, out, 1, act="")
            x = net.add("Add", x, y) if stride == 1 and channels == out else y
            channels = out
    last = max(1280, scaled(1280)) if width >= 1 else scaled(1280)
    x = net.conv(x, channels, last, 1, act="Clip")
    return net.save(path, net.gemm(net.add("Flatten", net.add("GlobalAveragePool", x)), last, classes))


def recurrent(path: Path, kind: str = "LSTM", steps: int = 5, batch: int = 2, width: int = 12, hidden: int = 16,
              directions: int = 1, **attributes: Any) -> Path:  # fmt: skip
    net = Net(5)
    gates = 4 if kind == "LSTM" else 3
    x = net.input("x", steps, batch, width)
    w = [net.weight(directions, gates * hidden, size, scale=0.3) for size in (width, hidden)]
    bias = net.weight(directions, 2 * gates * hidden, scale=0.3)
    names = net.add(kind, x, *w, bias, outputs=3 if kind == "LSTM" else 2, hidden_size=hidden,
                    direction="bidirectional" if directions == 2 else "forward", **attributes)  # fmt: skip
    return net.save(path, *names)


def bert(path: Path, seq: int = 128, hidden: int = 768, heads: int = 12, batch: int = 1, inner: int = 0,
         embed: int = 0) -> Path:  # fmt: skip
    """One encoder layer as exporters write it; with `embed` words, an embedding and the mask before it."""
    net = Net(6)
    inner = inner or 4 * hidden
    if embed:
        ids = net.input("ids", batch, seq, kind=TensorProto.INT64)
        x = net.add("Gather", net.weight(embed, hidden, scale=1), ids)
    else:
        x = net.input("x", batch, seq, hidden)
    mask = net.input("mask", batch, 1, 1, seq)
    x = encoder(net, x, mask, batch, seq, hidden, heads, inner)
    return net.save(path, x)


def encoder(net: Net, x: str, mask: str, batch: int, seq: int, hidden: int, heads: int, inner: int) -> str:
    size = hidden // heads
    shape = net.constant(np.array([batch, seq, heads, size]))
    parts = []
    for order in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)):
        parts.append(net.add("Transpose", net.add("Reshape", net.linear(x, hidden, hidden), shape), perm=order))
    scores = net.add("Div", net.add("MatMul", parts[0], parts[1]), net.constant(np.float32(size**0.5)))
    y = net.add("MatMul", net.add("Softmax", net.add("Add", scores, mask), axis=-1), parts[2])
    y = net.add("Reshape", net.add("Transpose", y, perm=(0, 2, 1, 3)), net.constant(np.array([batch, seq, hidden])))
    x = norm(net, net.add("Add", net.linear(y, hidden, hidden), x), hidden)
    y = net.linear(x, hidden, inner)
    half = net.add("Erf", net.add("Div", y, net.constant(np.float32(2**0.5))))
    y = net.add(
        "Mul", net.add("Mul", y, net.add("Add", half, net.constant(np.float32(1)))), net.constant(np.float32(0.5))
    )
    return norm(net, net.add("Add", net.linear(y, inner, hidden), x), hidden)


def norm(net: Net, x: str, hidden: int, whole: bool = False) -> str:
    """Layer normalisation, written out or as one node."""
    scale, shift = (net.constant(net.draw.uniform(0.5, 1.5, hidden).astype(np.float32)) for _ in range(2))
    if whole:
        return str(net.add("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-5))
    less = net.add("Sub", x, net.add("ReduceMean", x, axes=[-1]))
    variance = net.add("ReduceMean", net.add("Pow", less, net.constant(np.float32(2))), axes=[-1])
    deviation = net.add("Sqrt", net.add("Add", variance, net.constant(np.float32(1e-12))))
    return str(net.add("Add", net.add("Mul", net.add("Div", less, deviation), scale), shift))


def gpt2(path: Path, seq: int = 64, hidden: int = 768, heads: int = 12, batch: int = 1) -> Path:
    """One block: norms first, one product for q, k and v, a causal mask, gelu by tanh."""
    net = Net(7)
    size = hidden // heads
    x = net.input("x", batch, seq, hidden)
    shape = net.constant(np.array([batch, seq, heads, size]))
    y = norm(net, x, hidden, whole=True)
    parts = net.add("Split", net.linear(y, hidden, 3 * hidden), outputs=3, axis=2)
    q, k, v = (net.add("Transpose", net.add("Reshape", p, shape), perm=o) for p, o in
               zip(parts, ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)), strict=True))  # fmt: skip
    mask = np.where(np.tri(seq, dtype=bool), 0, -1e4).astype(np.float32)[None, None]
    scores = net.add("Mul", net.add("MatMul", q, k), net.constant(np.float32(size**-0.5)))
    scores = net.add("Softmax", net.add("Add", scores, net.constant(mask)), axis=-1)
    y = net.add("Transpose", net.add("MatMul", scores, v), perm=(0, 2, 1, 3))
    y = net.add("Reshape", y, net.constant(np.array([batch, seq, hidden])))
    x = net.add("Add", net.linear(y, hidden, hidden), x)
    y = net.linear(norm(net, x, hidden, whole=True), hidden, 4 * hidden)
    cube = net.add("Mul", net.add("Pow", y, net.constant(np.float32(3))), net.constant(np.float32(0.044715)))
    gate = net.add("Tanh", net.add("Mul", net.add("Add", y, cube), net.constant(np.float32((2 / np.pi) ** 0.5))))
    gate = net.add("Add", gate, net.constant(np.float32(1)))
    y = net.add("Mul", net.add("Mul", y, net.constant(np.float32(0.5))), gate)
    return net.save(path, net.add("Add", net.linear(y, 4 * hidden, hidden), x))


def feeds(path: Path, seed: int = 0, words: int = 10) -> dict[str, NDArray[Any]]:
    """Random inputs for a file."""
    draw = np.random.default_rng(seed)
    found = {}
    for info in onnx.load(path).graph.input:
        shape: Sequence[int] = [d.dim_value for d in info.type.tensor_type.shape.dim]
        if info.type.tensor_type.elem_type == TensorProto.INT64:
            found[info.name] = draw.integers(0, words, shape)
        else:
            found[info.name] = draw.standard_normal(shape, np.float32)
    return found
