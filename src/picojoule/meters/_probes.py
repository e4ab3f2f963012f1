"""Small ONNX models that show the pace of ONNX Runtime, class by class, and what waiting for parameters costs.

Convolutions and poolings stand in chains, three rounds against one: the difference has no reordering of layouts, which
the runtime does where blocked layouts begin and end. The shapes are everyday ones of no one network.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ._ort import serialised

ROUNDS: Final = 3
FLOAT: Final = 4  # bytes
FETCH_WIDTH: Final = 768  # of the square products whose parameters are waited for
FETCH_ROWS: Final = 64
_LARGEST_CHAIN: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Probe:
    """One measurement: the model's time, less that of `less`, over `rounds`, is `work` and `n_bytes` of class `kind`.

    `after` is what the model does besides, of class "pool": (work, bytes). `weights` are the bytes of parameters in
    `n_bytes`, `held` what lies between two uses of one of them.
    """

    name: str
    kind: str
    work: float
    n_bytes: float
    model: bytes
    less: bytes | None = None
    rounds: int = 1
    after: tuple[float, float] = (0.0, 0.0)
    weights: float = 0.0
    held: float = 0.0


def probes() -> list[Probe]:
    """Every class of operators that has a pace."""
    return [*_convolutions(), *_pools(), *_products(), *_pointwise(), *_rows(), *_moves()]


def fetch_layers(last_cache: int) -> list[int]:
    """Lengths of chains whose parameters fill next to nothing, and a quarter of the last cache to four times it."""
    one = FETCH_WIDTH * FETCH_WIDTH * FLOAT
    most = max(4, _LARGEST_CHAIN // one)
    return sorted({1, *(min(most, max(2, round(share * last_cache / one))) for share in (0.25, 0.5, 1, 2, 4))})


def fetch_chain(rows: int, layers: int) -> bytes:
    """`layers` products of rows x width by width x width, each with parameters of its own."""
    nodes = [_node("MatMul", [f"t{i}", f"w{i}"], [f"t{i + 1}"]) for i in range(layers)]
    stored = {f"w{i}": _weights(FETCH_WIDTH, FETCH_WIDTH, seed=i) for i in range(layers)}
    shape = (rows, FETCH_WIDTH)
    return _model(nodes, {"t0": shape}, {f"t{layers}": shape}, stored)


def _convolutions() -> list[Probe]:
    chains: list[tuple[str, Sequence[tuple[int, int, int, int]], int]] = []
    chains += [("conv", [(c, c, 3, 1)], size) for c, size in ((64, 56), (128, 28), (256, 14), (512, 7))]
    chains += [("pointwise", [(a, b, 1, 1), (b, a, 1, 1)], size) for a, b, size in (
        (16, 96, 112), (24, 144, 56), (64, 256, 56), (32, 192, 28), (96, 576, 14), (256, 1024, 14), (160, 960, 7))]  # fmt: skip
    chains += [("depthwise", [(c, c, 3, c)], size)
               for c, size in ((32, 112), (144, 56), (192, 28), (576, 14), (960, 7))]  # fmt: skip
    chains += [("grouped", [(c, c, 3, g)], size) for c, g, size in ((256, 8, 28), (512, 32, 14), (512, 16, 7))]
    chains += [
        ("narrow", [(c, c, k, g)], size) for c, k, g, size in ((128, 3, 32, 56), (256, 3, 32, 28), (240, 1, 60, 28))
    ]
    found = [_chain(*chain) for chain in chains]
    return found + [
        _thin(3, filters, kernel, stride) for filters, kernel, stride in ((64, 7, 2), (32, 3, 2), (64, 3, 1))
    ]


def _chain(kind: str, layers: Sequence[tuple[int, int, int, int]], size: int) -> Probe:
    """Layers of (channels in, channels out, kernel, groups), each followed by ReLU, at one size of image."""
    work = n_bytes = weights = 0.0
    for into, out, kernel, group in layers:
        taps = out * (into // group) * kernel * kernel
        work += 2.0 * taps * size * size
        n_bytes += FLOAT * ((into + out) * size * size + taps)
        weights += FLOAT * taps

    def model(rounds: int) -> bytes:
        nodes, stored, last = [], {}, "x"
        for index, (into, out, kernel, group) in enumerate([*layers] * rounds):
            stored[f"w{index}"] = _weights(out, into // group, kernel, kernel, seed=index)
            nodes.append(_node("Conv", [last, f"w{index}"], [f"c{index}"], pads=[kernel // 2] * 4, group=group))
            nodes.append(_node("Relu", [f"c{index}"], [f"r{index}"]))
            last = f"r{index}"
        nodes.append(_node("GlobalAveragePool", [last], ["y"]))
        channels = layers[0][0]
        return _model(nodes, {"x": (1, channels, size, size)}, {"y": (1, layers[-1][1], 1, 1)}, stored)

    shape = " ".join(f"{a}-{b}" for a, b, _, _ in layers)
    return Probe(f"{kind} {shape} {size}x{size}", kind, work, n_bytes, model(ROUNDS), model(1), ROUNDS - 1,
                 weights=weights, held=ROUNDS * weights + (n_bytes - weights) / len(layers))  # fmt: skip


def _thin(channels: int, filters: int, kernel: int, stride: int) -> Probe:
    """The first convolution of an image network, and the mean over its result, which is subtracted by the pace of pools."""
    size, out = 224, 224 // stride
    nodes = [_node("Conv", ["x", "w"], ["c"], pads=[kernel // 2] * 4, strides=[stride] * 2), _node("Relu", ["c"], ["r"]),
             _node("GlobalAveragePool", ["r"], ["y"])]  # fmt: skip
    model = _model(nodes, {"x": (1, channels, size, size)}, {"y": (1, filters, 1, 1)},
                   {"w": _weights(filters, channels, kernel, kernel)})  # fmt: skip
    points = filters * out * out
    taps = channels * kernel * kernel
    n_bytes = FLOAT * (channels * size * size + points + filters * taps)
    return Probe(f"thin {channels}-{filters} {kernel}x{kernel} /{stride}", "thin", 2.0 * points * taps, n_bytes, model,
                 after=(float(points), float(FLOAT * points)))  # fmt: skip


def _pools() -> list[Probe]:
    """Windows that keep the size of the image, behind a convolution, so that the layout is the blocked one."""
    found = []
    for op, window, channels, size in (("MaxPool", 3, 64, 56), ("MaxPool", 2, 64, 56), ("MaxPool", 3, 192, 28),
                                       ("AveragePool", 3, 64, 56), ("AveragePool", 3, 192, 28)):  # fmt: skip

        def model(rounds: int, op: str = op, window: int = window, channels: int = channels, size: int = size) -> bytes:
            nodes = [_node("Conv", ["x", "w"], ["t0"])]
            pads = [(window - 1) // 2] * 2 + [window // 2] * 2
            nodes += [_node(op, [f"t{i}"], [f"t{i + 1}"], kernel_shape=[window] * 2, pads=pads) for i in range(rounds)]
            nodes.append(_node("GlobalAveragePool", [f"t{rounds}"], ["y"]))
            return _model(nodes, {"x": (1, channels, size, size)}, {"y": (1, channels, 1, 1)},
                          {"w": _weights(channels, channels, 1, 1)})  # fmt: skip

        points = channels * size * size
        found.append(Probe(f"{op} {window}x{window} {channels}x{size}x{size}", "pool", window * window * points,
                           2 * FLOAT * points, model(ROUNDS), model(1), ROUNDS - 1))  # fmt: skip
    return found


def _products() -> list[Probe]:
    found = []
    for rows, k, n in ((16, 768, 768), (64, 768, 768), (64, 512, 2048), (128, 256, 1024), (196, 384, 384),
                       (256, 256, 256), (512, 512, 512), (1, 768, 768), (1, 1280, 1000), (1, 512, 512)):  # fmt: skip
        kind = "gemv" if rows == 1 else "gemm"
        model = _model([_node("MatMul", ["x", "w"], ["y"])], {"x": (rows, k)}, {"y": (rows, n)}, {"w": _weights(k, n)})
        found.append(
            Probe(f"{kind} {rows}x{k}x{n}", kind, 2.0 * rows * k * n, FLOAT * (rows * k + k * n + rows * n), model)
        )
    for heads, m, k, n in ((12, 128, 64, 128), (12, 128, 128, 64), (12, 64, 64, 64), (8, 256, 64, 256),
                           (8, 256, 256, 64), (6, 196, 64, 196)):  # fmt: skip
        model = _model([_node("MatMul", ["x", "z"], ["y"])], {"x": (1, heads, m, k), "z": (1, heads, k, n)},
                       {"y": (1, heads, m, n)}, {})  # fmt: skip
        found.append(Probe(f"batched {heads}x{m}x{k}x{n}", "batched", 2.0 * heads * m * k * n,
                           FLOAT * heads * (m * k + k * n + m * n), model))  # fmt: skip
    return found


def _pointwise() -> list[Probe]:
    found = []
    for shape in ((64, 768), (128, 768), (128, 3072), (1, 64, 56, 56), (1, 256, 28, 28)):
        text = "x".join(map(str, shape))
        n = FLOAT * math.prod(shape)
        made = {
            "elementwise": (_model([_node("Add", ["x", "z"], ["y"])], {"x": shape, "z": shape}, {"y": shape}, {}), 3),
            "activation": (_model([_node("Relu", ["x"], ["y"])], {"x": shape}, {"y": shape}, {}), 2),
            "sigmoid": (_model([_node("Sigmoid", ["x"], ["y"])], {"x": shape}, {"y": shape}, {}), 2),
        }
        found += [Probe(f"{kind} {text}", kind, 0, times * n, model) for kind, (model, times) in made.items()]
    for channels, size in ((64, 56), (192, 28)):
        shape = (1, channels, size, size)
        model = _model([_node("LRN", ["x"], ["y"], size=5)], {"x": shape}, {"y": shape}, {})
        found.append(Probe(f"lrn {channels}x{size}x{size}", "lrn", 0, 2 * FLOAT * math.prod(shape), model))
    return found


def _rows() -> list[Probe]:
    """What works along the last axis: layer norm, alone and behind an addition, GELU as it is written out, softmax."""
    found = []
    for rows, width in ((64, 768), (128, 768), (196, 384), (512, 512)):
        shape, wide = (1, rows, width), (1, rows, 4 * width)
        n = FLOAT * rows * width
        norm = _node("LayerNormalization", ["a", "g", "b"], ["y"])
        scale = {"g": _weights(width), "b": _weights(width)}
        found.append(Probe(f"norm {rows}x{width}", "norm", 0, 2 * n, _model([norm], {"a": shape}, {"y": shape}, scale)))
        added = _model([_node("Add", ["x", "z"], ["a"]), norm], {"x": shape, "z": shape}, {"y": shape}, scale)
        found.append(Probe(f"add norm {rows}x{width}", "add_norm", 0, 3 * n, added))
        pieces = [_node("Div", ["x", "q"], ["s"]), _node("Erf", ["s"], ["e"]), _node("Add", ["e", "o"], ["p"]),
                  _node("Mul", ["x", "p"], ["m"]), _node("Mul", ["m", "h"], ["y"])]  # fmt: skip
        constants = {"q": np.float32(math.sqrt(2)), "o": np.float32(1), "h": np.float32(0.5)}
        found.append(
            Probe(f"gelu {rows}x{4 * width}", "gelu", 0, 8 * n, _model(pieces, {"x": wide}, {"y": wide}, constants))
        )
    for heads, rows in ((12, 128), (12, 64), (8, 256), (6, 196)):
        square = {"x": (1, heads, rows, rows)}
        model = _model([_node("Softmax", ["x"], ["y"], axis=-1)], square, {"y": square["x"]}, {})
        found.append(Probe(f"softmax {heads}x{rows}x{rows}", "softmax", 0, 2 * FLOAT * heads * rows * rows, model))
    return found


def _moves() -> list[Probe]:
    found = []
    for rows, heads, size in ((128, 12, 64), (64, 12, 64), (256, 8, 64)):
        shape = (1, rows, heads, size)
        n, text = FLOAT * math.prod(shape), "x".join(map(str, shape))
        turned = _model(
            [_node("Transpose", ["x"], ["y"], perm=[0, 2, 1, 3])], {"x": shape}, {"y": (1, heads, rows, size)}, {}
        )
        joined = _model(
            [_node("Concat", ["x", "z"], ["y"], axis=1)],
            {"x": shape, "z": shape},
            {"y": (1, 2 * rows, heads, size)},
            {},
        )
        found += [
            Probe(f"transpose {text}", "transpose", 0, 2 * n, turned),
            Probe(f"copy {text}", "copy", 0, 4 * n, joined),
        ]
    return found


def _node(op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    from onnx import helper

    return helper.make_node(op, list(inputs), list(outputs), **attributes)


def _weights(*shape: int, seed: int = 0) -> Any:
    """Normal values, as small as keeps sums near one. Equal tensors would be stored once: `seed` tells them apart."""
    scale = math.sqrt(max(1, math.prod(shape[1:])))
    return (np.random.default_rng(seed).standard_normal(shape) / scale).astype(np.float32)


def _model(nodes: Sequence[Any], inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, Sequence[int]],
           stored: Mapping[str, Any]) -> bytes:  # fmt: skip
    from onnx import TensorProto, helper, numpy_helper

    wires = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in ends.items()]
        for ends in (inputs, outputs)
    ]
    kept = [numpy_helper.from_array(np.asarray(values), name) for name, values in stored.items()]
    graph = helper.make_graph(list(nodes), "probe", wires[0], wires[1], kept)
    return serialised(graph)
