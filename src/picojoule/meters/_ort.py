"""ONNX Runtime: sessions, random inputs, and small models of one operator each. Imported only where it is installed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from picojoule.levels import demand
from picojoule.quantity import InputError
from picojoule.workload import Graph, Workload, ops

from ._timing import Bench

CHAIN: Final = 100


def available() -> bool:
    """Whether onnxruntime and onnx can be imported."""
    return all(find_spec(name) is not None for name in ("onnxruntime", "onnx"))


def session(model: Any, threads: int = 0) -> Any:
    """An inference session on the CPU of a path or of serialised bytes; `threads` 0 is ONNX Runtime's own choice."""
    onnxruntime = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def version() -> str:
    """The version of onnxruntime."""
    return str(import_module("onnxruntime").__version__)


_TYPES: Final[Mapping[str, str]] = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(int64)": "int64",
    "tensor(int32)": "int32", "tensor(int8)": "int8", "tensor(uint8)": "uint8", "tensor(bool)": "bool",
}  # fmt: skip


def random_inputs(found: Any, shapes: Mapping[str, Sequence[int]], seed: int = 0) -> dict[str, Any]:
    """Standard normal floats, and zeros for integers (indices that are always in range); fixed by `seed`."""
    random = np.random.default_rng(seed)
    values = {}
    for node in found.get_inputs():
        shape = list(shapes.get(node.name, node.shape))
        if not all(isinstance(n, int) and n > 0 for n in shape):
            example = f"inputs={{'{node.name}': (1, 3, 224, 224)}}"
            raise InputError(f"the shape {shape} of input {node.name!r} is not known",
                             expected="sizes for its open dimensions", example=example)  # fmt: skip
        dtype = _TYPES.get(node.type)
        if dtype is None:
            raise InputError(f"input {node.name!r} is of type {node.type}", expected=f"one of {', '.join(_TYPES)}")
        whole = dtype.startswith(("int", "uint", "bool"))
        values[node.name] = np.zeros(shape, dtype) if whole else random.standard_normal(shape).astype(dtype)
    return values


@dataclass(frozen=True, slots=True)
class Small:
    """One operator: its ONNX model, its class of attained shares, and what it asks: MACs, others, bytes."""

    name: str
    kind: str
    model: bytes
    shapes: Mapping[str, Sequence[int]]
    macs: int
    others: int
    n_bytes: int


def small_models() -> list[Small]:
    """Two shapes of each class of operators, of everyday size."""
    made = [_small(f"matmul {n}", "gemm", "MatMul", (n, n), (n, n), {}, ops.matmul)
            for n in (256, 512)]  # fmt: skip
    for c, s in ((64, 56), (256, 14)):
        made.append(_small(f"conv {c}x{s}", "conv", "Conv", (1, c, s, s), (c, c, 3, 3), {"pads": [1] * 4},
                           lambda g, x, w: ops.conv(g, x, w, padding=[(1, 1), (1, 1)])))  # fmt: skip
        made.append(_small(f"depthwise {c}x{s}", "depthwise", "Conv", (1, c, s, s), (c, 1, 3, 3),
                           {"pads": [1] * 4, "group": c},
                           lambda g, x, w, c=c: ops.conv(g, x, w, padding=[(1, 1), (1, 1)], groups=c)))  # fmt: skip
        made.append(_small(f"pool {c}x{s}", "pool", "MaxPool", (1, c, s, s), None,
                           {"kernel_shape": [2, 2], "strides": [2, 2]},
                           lambda g, x, _: ops.pool(g, x, "max", [2, 2], stride=[2, 2])))  # fmt: skip
    for rows in (128, 1024):
        shape = (rows, 768)
        made.append(_small(f"add {rows}", "elementwise", "Add", shape, shape, {},
                           lambda g, x, w: ops.binary(g, "add", x, w)))  # fmt: skip
        made.append(_small(f"softmax {rows}", "softmax", "Softmax", shape, None, {"axis": -1},
                           lambda g, x, _: ops.softmax(g, x)))  # fmt: skip
        made.append(_small(f"norm {rows}", "norm", "LayerNormalization", shape, (768,), {"axis": -1},
                           ops.layer_norm))  # fmt: skip
    return made


def _small(name: str, kind: str, op: str, shape: Sequence[int], weight: Sequence[int] | None,
           attributes: Mapping[str, Any], emit: Callable[..., Any]) -> Small:  # fmt: skip
    """The ONNX model, and the demand of the same operator as this library counts it."""
    import onnx
    from onnx import helper, numpy_helper

    g = Graph(name)
    out = emit(g, g.input("x", shape), g.parameter("w", weight) if weight else None)
    g.output(out)
    asked = [_demand(g.workload(), index) for index in range(len(g.workload().operators))]
    stored = []
    if weight:
        values = np.random.default_rng(1).standard_normal(list(weight)).astype("float32")
        stored.append(numpy_helper.from_array(values, "w"))
    node = helper.make_node(op, ["x", "w"] if weight else ["x"], ["y"], **attributes)
    wires = [
        helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, list(s)) for n, s in (("x", shape), ("y", out.shape))
    ]
    graph = helper.make_graph([node], "small", [wires[0]], [wires[1]], stored)
    return Small(name, kind, serialised(graph), {"x": shape}, *(sum(part) for part in zip(*asked, strict=True)))


def _demand(workload: Workload, index: int) -> tuple[int, int, int]:
    asked = demand(workload, workload.operators[index])
    return asked.macs, sum(n for _, n in asked.others), asked.in_bytes + asked.weight_bytes + asked.out_bytes


def serialised(graph: Any) -> bytes:
    """A model of one graph, in the operator set that the probes are written in."""
    from onnx import helper

    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


def bench_of(small: Small, threads: int) -> Bench:
    """Runs the small model."""
    ready = session(small.model, threads)
    inputs = random_inputs(ready, small.shapes)
    return Bench(small.name, lambda: ready.run(None, inputs), 2.0 * small.macs + small.others)


def chain_benches(threads: int) -> list[Bench]:
    """A chain of CHAIN + 1 negations of one small tensor, and one negation: their difference is CHAIN launches."""
    import onnx
    from onnx import helper

    found = []
    for n in (1, CHAIN + 1):
        nodes = [helper.make_node("Neg", [f"t{i}"], [f"t{i + 1}"]) for i in range(n)]
        ends = [helper.make_tensor_value_info(f"t{i}", onnx.TensorProto.FLOAT, [16]) for i in (0, n)]
        ready = session(serialised(helper.make_graph(nodes, "chain", [ends[0]], [ends[1]])), threads)
        inputs = {"t0": np.ones(16, "float32")}
        found.append(Bench(f"chain {n}", lambda ready=ready, inputs=inputs: ready.run(None, inputs)))  # type: ignore[misc]
    return found
