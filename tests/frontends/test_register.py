"""Operators of the user's own, by Python and by YAML."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import picojoule as pj
from picojoule.cli import main
from picojoule.formats import read_operators
from picojoule.frontends import _read
from picojoule.frontends.onnx._formula import FORMULAS

FILE = """format: picojoule/operators/1
operators:
  com.acme::Swish: {work: {mul: 2, sigmoid: 1}}
"""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    FORMULAS.clear()
    _read._CUSTOM.clear()


def model(folder: Path) -> str:
    """y = Swish(x) of com.acme, then ReLU; x [2, 8]."""
    onnx = pytest.importorskip("onnx")
    make, kinds = onnx.helper, onnx.TensorProto
    nodes = [make.make_node("Swish", ["x"], ["h"], domain="com.acme"), make.make_node("Relu", ["h"], ["y"])]
    ends = [make.make_tensor_value_info(name, kinds.FLOAT, [2, 8]) for name in ("x", "y")]
    graph = make.make_graph(nodes, "g", ends[:1], ends[1:])
    sets = [make.make_opsetid("", 17), make.make_opsetid("com.acme", 1)]
    onnx.save(make.make_model(graph, opset_imports=sets), str(folder / "m.onnx"))
    return str(folder / "m.onnx")


def test_python(tmp_path: Path) -> None:
    """By hand: 16 elements of 2 muls and 1 sigmoid; unregistered the operator is uncounted."""
    path = model(tmp_path)
    # the shape of its result is unknown, so what reads it cannot be counted either
    assert [op for op, _ in pj.count(path).workload.uncounted] == ["com.acme::Swish", "Relu"]
    pj.register("com.acme::Swish", pj.Work.of(muls=2, sigmoid=1))
    counted = pj.count(path)
    assert counted.workload.uncounted == ()
    assert (counted.work.muls, dict(counted.work.special)) == (32, {"sigmoid": 16, "compare": 16})


def test_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equality: --ops gives what Python gives, and --strict passes."""
    file = tmp_path / "acme.yaml"
    file.write_text(FILE)
    assert main(["count", model(tmp_path), "--strict", "--ops", str(file)]) == 0
    assert "sigmoid 16" in capsys.readouterr().out


def test_macs_are_multiplications_and_additions(tmp_path: Path) -> None:
    """By hand: 8 MACs an element are 8 muls and 8 adds; `per: input` counts the elements of input 1."""
    file = tmp_path / "ops.yaml"
    file.write_text(FILE + "  a::Mix: {work: {mac: 8, exp: 1}, per: input, shape_of: 1}\n")
    mix = read_operators(file)["a::Mix"]
    shape, work = mix.of([(4,), (3, 5)])
    assert shape == (3, 5)
    assert (work.macs, work.muls, work.adds, work.special) == (120, 120, 120, (("exp", 15),))
    with pytest.raises(pj.InputError, match="the operator has 1 inputs"):
        mix.of([(4,)])


@pytest.mark.parametrize(
    ("line", "says"),
    [("  com.acme::Swish: {wrok: {mul: 2}}", "wrok"), ("  com.acme::Swish: {work: {mul: -2}}", "work.mul"),
     ("  'a b': {work: {mul: 1}}", "a b"), ("  com.acme::Swish: {work: {mul: two}}", "work.mul")],
)  # fmt: skip
def test_faults(tmp_path: Path, line: str, says: str) -> None:
    """Message: each fault with file and line."""
    file = tmp_path / "ops.yaml"
    file.write_text(f"format: picojoule/operators/1\noperators:\n{line}\n")
    with pytest.raises(pj.InputError) as fault:
        read_operators(file)
    assert "ops.yaml:3" in str(fault.value)
    assert says in str(fault.value)


def test_pytorch() -> None:
    """By hand: the same registration counts a PyTorch operator: 6 elements of 2 muls and 1 sigmoid."""
    torch = pytest.importorskip("torch")

    @torch.library.custom_op("acme::swish", mutates_args=())
    def swish(x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)

    swish.register_fake(torch.empty_like)
    pj.register("acme::swish", pj.Work.of(muls=2, sigmoid=1))
    work = pj.read_model(torch.ops.acme.swish, (torch.zeros(2, 3),)).work
    assert (work.muls, dict(work.special)) == (12, {"sigmoid": 6})
