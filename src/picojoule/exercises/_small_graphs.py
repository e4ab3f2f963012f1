"""Small networks with random weights for the compiler: a convolutional, a recurrent and an attention network."""

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

if TYPE_CHECKING:
    from picojoule.machine.compiler import Graph, Node

Shape = tuple[int, ...]


class Drawing:
    """A graph in the making; weights are drawn from a seed, their spread that of the fan-in."""

    def __init__(self, name: str, seed: int, **inputs: Shape) -> None:
        self.name, self.draw, self.inputs = name, np.random.default_rng(seed), tuple(inputs)
        self.shapes: dict[str, Shape] = dict(inputs)
        self.constants: dict[str, NDArray[Any]] = {}
        self.nodes: list[Node] = []

    def weight(self, *shape: int, inputs: int = 1) -> str:
        """A random constant."""
        return self.constant((self.draw.standard_normal(shape) * inputs**-0.5).astype(np.float32))

    def constant(self, array: NDArray[Any]) -> str:
        """A given constant."""
        name = f"w{len(self.constants)}"
        self.constants[name], self.shapes[name] = array, array.shape
        return name

    def add(self, op: str, inputs: Sequence[str], *shapes: Shape, **attributes: Any) -> str:
        """One more node; the name of its first result."""
        from picojoule.machine.compiler import Node

        names = tuple(f"{op.lower()}{len(self.nodes)}" + (f"_{i}" if i else "") for i in range(len(shapes)))
        self.nodes.append(Node(op, names[0], tuple(inputs), names, attributes))
        self.shapes.update(zip(names, shapes, strict=True))
        return names[0]

    def linear(self, x: str, outputs: int, act: str = "") -> str:
        """x·W + b, and what follows."""
        shape = self.shapes[x]
        y = self.add("MatMul", (x, self.weight(shape[-1], outputs, inputs=shape[-1])), (*shape[:-1], outputs))
        y = self.add("Add", (y, self.weight(outputs)), self.shapes[y])
        return self.add(act, (y,), self.shapes[y]) if act else y

    def graph(self, output: str) -> "Graph":
        """The finished graph."""
        from picojoule.machine.compiler import Graph

        dtypes = {
            name: str(self.constants[name].dtype) if name in self.constants else "float32" for name in self.shapes
        }
        return Graph(self.name, tuple(self.nodes), self.inputs, (output,), self.constants, self.shapes, dtypes, _never)

    def feeds(self, count: int) -> list[dict[str, NDArray[Any]]]:
        """So many random inputs."""
        return [
            {name: self.draw.standard_normal(self.shapes[name], np.float32) for name in self.inputs}
            for _ in range(count)
        ]


def _never(node: "Node", _: Sequence[NDArray[Any] | None]) -> list[NDArray[Any]]:
    raise InputError(f"{node.op} is not for the CPU", expected="operators of the processor")


def convolutional(seed: int, side: int) -> tuple[Drawing, str]:
    """LeNet-5: two convolutions of 5×5 with pools, three fully connected layers; images of side×side."""
    net = Drawing("lenet5", seed, image=(1, 1, side, side))
    x, channels, pad = "image", 1, 2
    for outputs in (6, 16):
        size = net.shapes[x][2] + 2 * pad - 4
        shape = (1, outputs, size, size)
        weights = (net.weight(outputs, channels, 5, 5, inputs=25 * channels), net.weight(outputs))
        x = net.add("Conv", (x, *weights), shape, pads=[pad] * 4, kernel_shape=[5, 5])
        x = net.add("MaxPool", (net.add("Relu", (x,), shape),), (1, outputs, size // 2, size // 2), kernel_shape=[2, 2],
                    strides=[2, 2])  # fmt: skip
        channels, pad = outputs, 0
    x = net.add("Flatten", (x,), (1, prod(net.shapes[x])))
    for outputs, act in ((120, "Relu"), (84, "Relu"), (10, "")):
        x = net.linear(x, outputs, act)
    return net, x


def recurrent(seed: int, width: int, hidden: int, steps: int) -> tuple[Drawing, str]:
    """An LSTM over so many steps."""
    net = Drawing(f"lstm {width}x{hidden}", seed, x=(steps, 1, width))
    weights = [net.weight(1, 4 * hidden, size, inputs=size) for size in (width, hidden)]
    y = net.add("LSTM", ("x", *weights, net.weight(1, 8 * hidden)), (steps, 1, 1, hidden), (1, 1, hidden), (1, 1, hidden),
                hidden_size=hidden)  # fmt: skip
    return net, y


def attention(seed: int, tokens: int, width: int, heads: int) -> tuple[Drawing, str]:
    """One encoder layer of a Transformer: attention of several heads, a network of 4·width, norms after both."""
    net = Drawing(f"encoder {tokens}x{width}", seed, x=(1, tokens, width))
    size = width // heads
    split = net.constant(np.array([1, tokens, heads, size]))
    parts = []
    for order in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)):
        part = net.add("Reshape", (net.linear("x", width), split), (1, tokens, heads, size))
        parts.append(net.add("Transpose", (part,), tuple(net.shapes[part][i] for i in order), perm=order))
    scores = net.add("MatMul", parts[:2], (1, heads, tokens, tokens))
    scores = net.add("Mul", (scores, net.constant(np.float32(size**-0.5).reshape(1))), (1, heads, tokens, tokens))
    scores = net.add("Softmax", (scores,), (1, heads, tokens, tokens), axis=-1)
    y = net.add("MatMul", (scores, parts[2]), (1, heads, tokens, size))
    y = net.add("Transpose", (y,), (1, tokens, heads, size), perm=(0, 2, 1, 3))
    y = net.add("Reshape", (y, net.constant(np.array([1, tokens, width]))), (1, tokens, width))
    y = _norm(net, net.add("Add", (net.linear(y, width), "x"), (1, tokens, width)))
    inner = net.linear(net.linear(y, 4 * width, "Relu"), width)
    return net, _norm(net, net.add("Add", (inner, y), (1, tokens, width)))


def _norm(net: Drawing, x: str) -> str:
    width = net.shapes[x][-1]
    parts = (net.constant(np.ones(width, np.float32)), net.weight(width))
    return net.add("LayerNormalization", (x, *parts), net.shapes[x], axis=-1, epsilon=1e-5)
