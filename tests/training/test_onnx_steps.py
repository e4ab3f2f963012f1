"""Training steps of ONNX files: operators that zoo networks do not have."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

import picojoule as pj
from picojoule.workload import Workload

node, value = helper.make_node, helper.make_tensor_value_info


def step(
    tmp_path: Path, nodes: list, inputs: dict, outputs: list[str], stored: dict, training: bool = True
) -> Workload:
    """The training step of a graph of float inputs, or its inference."""
    graph = helper.make_graph(nodes, "net", [value(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
                              [value(name, TensorProto.FLOAT, None) for name in outputs],
                              [numpy_helper.from_array(array, name) for name, array in stored.items()])  # fmt: skip
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "net.onnx")
    return pj.read_model(tmp_path / "net.onnx", phase="train" if training else "infer")


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(("kind", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
@pytest.mark.parametrize("ways", [1, 2])
def test_both_directions_learn(kind: str, gates: int, ways: int, tmp_path: Path) -> None:
    """By hand: each direction has dW of both products at every step and dX of the state's at all steps but the first."""
    steps, batch, width, hidden = 7, 3, 6, 5
    stored = {"w": zeros(ways, gates * hidden, width), "r": zeros(ways, gates * hidden, hidden)}
    how = {"hidden_size": hidden, "direction": "bidirectional" if ways == 2 else "forward"}
    net = step(tmp_path, [node(kind, ["x", "w", "r"], ["y"], **how)], {"x": [steps, batch, width]}, ["y"], stored)
    one = batch * gates * hidden
    forward = steps * one * (width + hidden)
    assert net.work.macs == ways * (2 * forward + (steps - 1) * one * hidden)
    assert net.uncounted == ()


def test_places_of_samples_learn(tmp_path: Path) -> None:
    """By hand: a grid made by a layer of 4·8 passes its gradient on: 3·4·8 products forward, as many for dW."""
    nodes = [node("MatMul", ["z", "w"], ["g"]), node("Reshape", ["g", "s"], ["grid"]),
             node("GridSample", ["x", "grid"], ["y"], mode="bilinear")]  # fmt: skip
    stored = {"w": zeros(4, 8), "s": np.array([3, 2, 2, 2])}
    net = step(tmp_path, nodes, {"z": [3, 4], "x": [3, 1, 5, 5]}, ["y"], stored)
    assert (net.work.macs, net.uncounted) == (2 * 3 * 4 * 8, ())


@pytest.mark.parametrize("kind", ["DepthToSpace", "SpaceToDepth", "ScatterElements"])
def test_moves_pass_their_gradient_on(kind: str, tmp_path: Path) -> None:
    """By hand: behind a 1x1 convolution of 4 to 4 maps on 4x4: 256 products and 256 for dW, none for what only moves."""
    nodes = [node("Conv", ["x", "w"], ["c"]), node(kind, ["c"], ["y"], blocksize=2)]
    stored = {"w": zeros(4, 4, 1, 1)}
    if kind == "ScatterElements":
        nodes[1] = node(kind, ["c", "i", "c"], ["y"], axis=0)
        stored["i"] = np.zeros((1, 4, 4, 4), np.int64)
    net = step(tmp_path, nodes, {"x": [1, 4, 4, 4]}, ["y"], stored)
    assert (net.work.macs, net.uncounted) == (512, ())
