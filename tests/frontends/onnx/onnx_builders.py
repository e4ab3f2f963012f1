"""Small ONNX files made in tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from picojoule.frontends.onnx import read_onnx
from picojoule.workload import Workload

FLOAT, INT64, BOOL, INT8, UINT8 = (
    TensorProto.FLOAT,
    TensorProto.INT64,
    TensorProto.BOOL,
    TensorProto.INT8,
    TensorProto.UINT8,
)
SHAPES = Mapping[str, Sequence[int | str | None] | None]


def info(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name, *shape, kind=np.float32):
    rng = np.random.default_rng(len(name) + sum(shape))
    return numpy_helper.from_array((rng.standard_normal(shape) * 3).astype(kind), name)


def ints(name, *values):
    return numpy_helper.from_array(np.asarray(values, np.int64), name)


def scalar(name, value, kind=np.float32):
    return numpy_helper.from_array(np.asarray(value, kind), name)


def model(nodes, inputs, outputs, stored=(), opset=21, functions=(), domains=(), ir=10):
    """A model; inputs and outputs are {name: shape} or ready infos."""
    graph = helper.make_graph(nodes, "g", _infos(inputs), _infos(outputs), initializer=list(stored))
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=ir)


def _infos(given):
    if isinstance(given, Mapping):
        return [info(name, shape) for name, shape in given.items()]
    return list(given)


def read(proto: onnx.ModelProto, folder: Path, **options) -> Workload:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return read_onnx(path, **options)


def parameters(workload: Workload) -> int:
    return sum(tensor.elements for tensor in workload.parameters)


def roles(workload: Workload) -> dict[str, int]:
    """Elements by role of the stored tensors."""
    found: dict[str, int] = {}
    for tensor in workload.tensors.values():
        if not tensor.base and tensor.role not in ("activation", "input"):
            found[tensor.role] = found.get(tensor.role, 0) + tensor.elements
    return found


def shape_of(workload: Workload, index: int = 0) -> tuple[int, ...]:
    """The shape of an output of the network, as its last writer has it."""
    return workload.tensors[workload.outputs[index]].shape


def special(workload: Workload) -> dict[str, int]:
    return dict(workload.work.special)
