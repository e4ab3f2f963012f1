"""What the graph loses before it is lowered, and that its values do not change."""

from pathlib import Path

import numpy as np

from picojoule.formats import load_machine
from picojoule.frontends.onnx import compile_onnx, read_graph
from picojoule.machine.compiler import Graph
from picojoule.machine.compiler._fold import optimise

from .networks import Net, feeds

CORE = load_machine("textbook-core")


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def test_norms_go_into_weights(tmp_path: Path) -> None:
    """By hand: w·γ/√(σ²+ε) and (b - μ)·γ/√(σ²+ε) + β, of one channel; one that two nodes read stays."""
    net = Net()
    x = net.input("x", 1, 1, 2, 2)
    three = [net.constant(np.array([v], np.float32)) for v in (3, 5, 7, 4 - 1e-5)]  # γ, β, μ, σ²
    conv = net.add(
        "Conv", x, net.constant(np.full((1, 1, 1, 1), 2, np.float32)), net.constant(np.array([1], np.float32))
    )
    y = net.add("BatchNormalization", conv, *three)
    path = net.save(tmp_path / "net.onnx", y)
    graph, lines = optimise(read_graph(path))
    assert ops(graph) == ["Conv"]
    assert lines == [
        "folded /batchnormalization1/BatchNormalization (BatchNormalization) into the weights of /conv0/Conv"
    ]
    weight, bias = (graph.constants[name].reshape(-1) for name in graph.nodes[0].inputs[1:])
    assert np.allclose([weight[0], bias[0]], [2 * 1.5, (1 - 7) * 1.5 + 5])
    graph, lines = optimise(read_graph(net.save(tmp_path / "two.onnx", y, conv)))
    assert ops(graph) == ["Conv", "BatchNormalization"]
    compiled, inputs = compile_onnx(tmp_path / "two.onnx", CORE), feeds(path)
    found = compiled(inputs)
    assert np.allclose(found[conv], 2 * inputs["x"] + 1, atol=1e-5)
    assert np.allclose(found[y], (2 * inputs["x"] + 1 - 7) * 1.5 + 5, atol=1e-5)


def test_constants_and_dead_nodes(tmp_path: Path) -> None:
    """By hand: a product of constants is worked out, an Identity and a branch that nobody reads are dropped."""
    net = Net()
    x = net.input("x", 2, 2)
    w = net.add("Mul", net.constant(np.full((2, 2), 3, np.float32)), net.constant(np.float32(2)))
    net.add("Exp", x)
    y = net.add("MatMul", net.add("Dropout", net.add("Identity", x)), net.add("Transpose", w, perm=(1, 0)))
    path = net.save(tmp_path / "net.onnx", y)
    graph, lines = optimise(read_graph(path))
    assert ops(graph) == ["MatMul"]
    assert [(line.split()[0], line.split(":")[1].strip()) for line in lines] == [
        ("folded", "its value is a constant"), ("folded", "its value is a constant"),
        ("removed", "it changes nothing"), ("removed", "it changes nothing"), ("removed", "no output needs it"),
    ]  # fmt: skip
    (found,) = compile_onnx(path, CORE)({"x": np.ones((2, 2), np.float32)}).values()
    assert found.tolist() == [[12, 12], [12, 12]]


def test_shapes_are_constants(tmp_path: Path) -> None:
    """Equality: Shape, Gather, Concat and Reshape as exporters write them leave a Reshape alone."""
    net = Net()
    x = net.input("x", 2, 3, 4)
    size = net.add("Gather", net.add("Shape", x), net.constant(np.array([0])))
    target = net.add("Concat", size, net.constant(np.array([-1])), axis=0)
    y = net.add("Relu", net.add("Reshape", x, target))
    path = net.save(tmp_path / "net.onnx", y)
    compiled, inputs = compile_onnx(path, CORE), feeds(path)
    assert ops(compiled.graph) == ["Reshape", "Relu"]
    assert compiled(inputs)[y].tobytes() == np.maximum(inputs["x"].reshape(2, 12), 0).tobytes()


def test_outputs_that_cost_nothing(tmp_path: Path) -> None:
    """By hand: a constant, an input and a view of an input as outputs."""
    net = Net()
    x = net.input("x", 2, 3)
    c = net.add("Neg", net.constant(np.arange(3, dtype=np.float32)))
    same, turned = net.add("Identity", x), net.add("Transpose", x, perm=(1, 0))
    path = net.save(tmp_path / "net.onnx", c, same, turned)
    compiled, inputs = compile_onnx(path, CORE), feeds(path)
    found = compiled(inputs)
    assert found[c].tolist() == [0, -1, -2]
    assert found[same].tobytes() == inputs["x"].tobytes()
    assert found[turned].tolist() == inputs["x"].T.tolist()


def test_operator_sets(tmp_path: Path) -> None:
    """By hand: before operator set 13 Softmax takes all axes from the first on as one."""
    model_inputs = {"x": np.zeros((2, 2, 2), np.float32)}
    for opset, each in ((11, 0.25), (13, 0.5)):
        net = Net()
        y = net.add("Softmax", net.input("x", 2, 2, 2), axis=1)
        path = net.save(tmp_path / "net.onnx", y, opset=opset)
        found = compile_onnx(path, CORE)(model_inputs)[y]
        assert found.shape == (2, 2, 2)
        assert np.allclose(found, each)


def test_names_may_repeat(tmp_path: Path) -> None:
    """Metamorphic: nodes of one name have their own constants."""
    net = Net()
    x = net.input("x", 1, 2, 3, 3)
    y = x
    for scale in (1.0, 2.0):
        y = net.add(
            "BatchNormalization",
            net.add("Relu", y),
            *(net.constant(np.full(2, v, np.float32)) for v in (scale, 0, 0, 1)),
        )
    for node in net.nodes:
        node.name = "same"
    path = net.save(tmp_path / "net.onnx", y)
    inputs = feeds(path)
    found = compile_onnx(path, CORE)(inputs)[y]
    assert np.allclose(found, 2 * np.maximum(inputs["x"], 0), rtol=1e-4)
