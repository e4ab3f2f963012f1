"""Whole networks in small: bits of the reference, values of the onnx package and of ONNX Runtime, times as planned."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from picojoule.formats import load_machine
from picojoule.frontends.onnx import compile_onnx
from picojoule.machine import Machine, by_window, dump_program, find_races, parse_program, read_program, simulate
from picojoule.machine.compiler import Compiled
from picojoule.quantity import InputError

from . import networks as nets

CORE = load_machine("textbook-core")
NETWORKS: dict[str, Callable[[Path], Path]] = {
    "lenet": nets.lenet,
    "alexnet": lambda path: nets.alexnet(path, 64, 16, 10, 64),
    "vgg16": lambda path: nets.vgg16(path, 32, 8, 10, 64),
    "resnet18": lambda path: nets.resnet(path, 18, 32, 16, 10),
    "resnet50": lambda path: nets.resnet(path, 50, 32, 8, 10),
    "mobilenet": lambda path: nets.mobilenet(path, 32, 0.25, 10),
    "lstm": nets.recurrent,
    "gru": lambda path: nets.recurrent(path, "GRU", linear_before_reset=1),
    "bidirectional": lambda path: nets.recurrent(path, "LSTM", directions=2),
    "bert": lambda path: nets.bert(path, 12, 32, 4, 2),
    "bert-embedded": lambda path: nets.bert(path, 16, 32, 4, 1, embed=10),
    "gpt2": lambda path: nets.gpt2(path, 16, 32, 4),
    "gpt2-batch": lambda path: nets.gpt2(path, 16, 32, 4, 3),
}
RECURRENT = ("lstm", "gru", "bidirectional")  # onnx.reference has one direction and two outputs only
Made = tuple[Path, Compiled, dict[str, NDArray[Any]]]


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    path = NETWORKS[request.param](tmp_path_factory.mktemp("nets") / f"{request.param}.onnx")
    return path, compile_onnx(path, CORE), nets.feeds(path)


def test_bits_of_the_reference(made: Made) -> None:
    """Equality: the program's outputs are the reference's to the bit, in float32 and in int8."""
    path, compiled, inputs = made
    small = compile_onnx(path, CORE, "int8", calibration=[nets.feeds(path, seed) for seed in range(3)])
    for one in (compiled, small):
        found, expected = one(inputs), one.reference(inputs)
        assert {name: found[name].tobytes() for name in found} == {name: expected[name].tobytes() for name in found}
    whole = [name for name, array in found.items() if array.size > 1]
    for name in whole:
        error = np.linalg.norm(found[name] - compiled.reference(inputs)[name])
        assert 0 < error < 0.25 * np.linalg.norm(found[name])  # int8 is near, and is another arithmetic


def test_time_is_the_planned_one(made: Made) -> None:
    """Equality: the simulator takes the cycles that the compiler planned. Bound: units and bus take no less."""
    _, compiled, _ = made
    for step in compiled.steps:
        if hasattr(step, "program"):
            run = simulate(step.program, CORE)
            assert run.cycles == step.planned
            macs = run.counts[("matrix", "mac_float32")] / CORE.macs["float32"]
            moved = (run.counts[("dram", "read")] + run.counts[("dram", "write")]) / CORE.bus
            assert run.cycles >= max(macs, moved)
    assert compiled.time().cpu == ()


def test_values_of_onnx(made: Made) -> None:
    """Peer: within rounding of the onnx package's own evaluation."""
    path, compiled, inputs = made
    if path.stem in RECURRENT:
        pytest.skip("onnx.reference runs one direction with two outputs; test_recurrent has the equations")
    found = compiled(inputs)
    session = ReferenceEvaluator(onnx.load(path))
    for name, value in zip(session.output_names, session.run(None, inputs), strict=True):
        assert np.abs(found[name] - value).max() <= 1e-5 * np.abs(value).max()


def test_values_of_onnx_runtime(made: Made) -> None:
    """Peer: within rounding of ONNX Runtime."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    path, compiled, inputs = made
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = compiled(inputs)
    for info, value in zip(session.get_outputs(), session.run(None, inputs), strict=True):
        assert np.abs(found[info.name] - value).max() <= 1e-5 * np.abs(value).max()


CLUSTER = load_machine("textbook-cluster")


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_four_cores(name: str, tmp_path: Path) -> None:
    """Equality: four cores give the reference's bits in any legal order, do the same MACs, and take less time."""
    path = NETWORKS[name](tmp_path / "net.onnx")
    one, four, inputs = compile_onnx(path, CORE), compile_onnx(path, CLUSTER), nets.feeds(path)
    found, expected, alone = four(inputs), four.reference(inputs), one(inputs)
    for output, value in found.items():
        assert value.tobytes() == expected[output].tobytes()
        assert np.abs(value - alone[output]).max() <= 1e-5 * np.abs(value).max()
    mac = ("matrix", "mac_float32")
    assert four.time().counts[mac] == one.time().counts[mac]
    assert one.time().cycles / 4 / 2 < four.time().cycles < one.time().cycles  # the bus is twice as fast
    (segment,) = four.steps
    assert len([name for name in segment.program.sections if name != "dma"]) == 4  # type: ignore[union-attr]
    find_races(four.program, CLUSTER, _given(segment, inputs), range(2))


@pytest.mark.parametrize(("name", "machine"), [*((name, CORE) for name in sorted(NETWORKS)),
                                               *((name, CLUSTER) for name in ("lenet", "lstm", "bert", "gpt2"))])  # fmt: skip
def test_out_of_order(name: str, machine: Machine, tmp_path: Path) -> None:
    """Equality: where hardware finds what may start, the reference's bits, in any legal order. Bound: no more than one
    instruction after the other, no less than units and bus, about what the static schedule takes."""
    path = NETWORKS[name](tmp_path / "net.onnx")
    compiled, inputs = compile_onnx(path, replace(machine, window=64)), nets.feeds(path)
    outputs, expected = compiled(inputs), compiled.reference(inputs)
    assert {n: a.tobytes() for n, a in outputs.items()} == {n: a.tobytes() for n, a in expected.items()}
    if not compiled.time().cpu:
        (segment,) = compiled.steps
        find_races(compiled.program, compiled.machine, _given(segment, inputs), range(2))
    static, found = compile_onnx(path, machine).time(), compiled.time()
    macs = found.counts[("matrix", "mac_float32")] / Fraction(machine.macs["float32"] * machine.cores)
    moved = (found.counts[("dram", "read")] + found.counts[("dram", "write")]) / machine.bus
    assert found.counts == static.counts
    assert max(macs, moved) <= found.cycles <= static.cycles * Fraction(11, 10)
    if machine is CORE:
        serial = sum((by_window(one, compiled.machine, [1])[1] for one in compiled.programs), Fraction())
        assert found.cycles < serial


@pytest.mark.parametrize("window", [0, 4])
def test_engines_agree(made: Made, window: int) -> None:
    """Equality: every network takes the same cycles and does the same in plain Python and compiled."""
    pytest.importorskip("numba", reason="Numba, the extra `fast`, is absent")
    for machine in (CORE, CLUSTER):
        machine_ = replace(machine, window=window)
        for program in compile_onnx(made[0], machine_).programs:
            content = parse_program(dump_program(program))
            runs = [simulate(content, machine_, check=False, engine=engine) for engine in ("plain", "compiled")]
            assert runs[0] == replace(runs[1], engine="plain")


def test_macs_by_hand(tmp_path: Path) -> None:
    """By hand: LeNet-5 multiplies 117,600 + 240,000 + 48,000 + 10,080 + 840 times; weights cross the bus once."""
    compiled = compile_onnx(nets.lenet(tmp_path / "net.onnx"), CORE)
    counts = compiled.time().counts
    assert counts[("matrix", "mac_float32")] == 117_600 + 240_000 + 48_000 + 10_080 + 840
    assert counts[("wram", "write")] == 4 * (150 + 2400 + 48_000 + 10_080 + 840)


def _given(segment: Any, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What the host hands to a program: numbers of rows as int32."""
    arrays = {name: array.astype(np.int32) if array.dtype == np.int64 else array for name, array in inputs.items()}
    return {buffer: arrays[name] for name, buffer in segment.inputs.items()}


@pytest.mark.parametrize("name", ["lenet", "bert", "bert-embedded", "gpt2", "lstm", "mobilenet"])
def test_no_races(name: str, tmp_path: Path) -> None:
    """Metamorphic: any order that the tokens allow gives the same bits, and touches nothing that is being written."""
    path = NETWORKS[name](tmp_path / "net.onnx")
    compiled, inputs = compile_onnx(path, CORE), nets.feeds(path)
    (segment,) = compiled.steps
    given = _given(segment, inputs)
    found = find_races(compiled.program, CORE, given, range(3))
    alone = simulate(compiled.program, CORE, given)
    assert {name: array.tobytes() for name, array in found.outputs.items()} == {
        name: array.tobytes() for name, array in alone.outputs.items()
    }


def test_file_runs_alone(tmp_path: Path) -> None:
    """Round trip: the program file gives the values without the network; the file of a mixed network is refused."""
    path = nets.lenet(tmp_path / "net.onnx")
    compiled, inputs = compile_onnx(path, CORE), nets.feeds(path)
    compiled.save(tmp_path / "net.pjx")
    run = simulate(read_program(tmp_path / "net.pjx"), CORE, {"image": inputs["image"]})
    (value,) = compiled(inputs).values()
    assert {name: array.shape for name, array in run.outputs.items()} == dict.fromkeys(compiled.outputs, (1, 10))
    assert next(iter(run.outputs.values())).tobytes() == value.tobytes()
    with pytest.raises(InputError, match=r"on the CPU /sin0/Sin \(Sin\)"):
        compile_onnx(_mixed(tmp_path / "mixed.onnx"), CORE).save(tmp_path / "mixed.pjx")


def _mixed(path: Path) -> Path:
    """A node that the processor has, after one that it has not."""
    net = nets.Net(3)
    return net.save(path, net.add("Relu", net.add("Sin", net.input("x", 2, 3))))


def test_explained(tmp_path: Path) -> None:
    """By hand: what is folded, fused and placed in a ResNet and in a layer with its embedding, line by line."""
    lines = compile_onnx(nets.resnet(tmp_path / "net.onnx", 18, 32, 8, 10), CORE).explain()
    assert sum(line.startswith("folded") and "BatchNormalization" in line for line in lines) == 20
    assert sum("(Relu) into" in line for line in lines) == 17
    assert sum("(Add) into" in line for line in lines) == 8
    assert not any("CPU" in line for line in lines)
    lines = compile_onnx(nets.bert(tmp_path / "bert.onnx", 8, 16, 2, embed=5), CORE).explain()
    assert "placed /gather0/Gather on the processor: 8 of 5 rows of 16" in lines
    assert not any("CPU" in line for line in lines)
    (placed,) = [line for line in compile_onnx(_mixed(tmp_path / "mixed.onnx"), CORE).explain() if "CPU" in line]
    assert placed == "placed /sin0/Sin (Sin) on the CPU: the processor has no such operator; its time is not modelled"


def test_layers_add_up(made: Made) -> None:
    """Equality: the layers' actions and work are the whole programs'; each lies within the time of the whole."""
    _, compiled, _ = made
    layers, timing = compiled.layers(), compiled.time()
    for action, count in timing.counts.items():
        assert sum(layer.counts.get(action, 0) for layer in layers) == count
    matrix = sum(layer.busy.get("matrix", 0) for layer in layers)
    assert matrix == sum(simulate(p, CORE).busy.get(("core0", "matrix"), 0) for p in compiled.programs)
    assert min(layer.start for layer in layers) == 0
    assert max(layer.end for layer in layers) == timing.cycles
    assert all(layer.end > layer.start for layer in layers)


def test_layers_by_hand(tmp_path: Path) -> None:
    """By hand: MACs of LeNet-5 layer by layer, on one core and on four."""
    path = nets.lenet(tmp_path / "net.onnx")
    for machine in (CORE, CLUSTER):
        macs = [layer.counts.get(("matrix", "mac_float32"), 0) for layer in compile_onnx(path, machine).layers()]
        assert [count for count in macs if count] == [117_600, 240_000, 48_000, 10_080, 840]


def test_every_node_is_explained(made: Made) -> None:
    """Bound: no node of the file goes without a line."""
    path, compiled, _ = made
    for node in onnx.load(path).graph.node:
        assert any(node.name in line for line in compiled.explain()), node.name


def test_refused(tmp_path: Path) -> None:
    """Message: types, inputs and files that do not fit, each in words."""
    path = nets.lenet(tmp_path / "net.onnx")
    compiled = compile_onnx(path, CORE)
    with pytest.raises(InputError, match=r"'image' is float64 of \(1, 1, 28, 28\)"):
        compiled({"image": np.zeros((1, 1, 28, 28))})
    with pytest.raises(InputError, match="inputs none"):
        compiled({})
    with pytest.raises(InputError, match="dtype 'int4'"):
        compile_onnx(path, CORE, "int4")
    with pytest.raises(InputError, match="0 sets of calibration inputs"):
        compile_onnx(path, CORE, "int8")
    with pytest.raises(InputError, match="reaches nan on the calibration data"):
        compile_onnx(path, CORE, "int8", calibration=[{"image": np.full((1, 1, 28, 28), np.nan, np.float32)}])
