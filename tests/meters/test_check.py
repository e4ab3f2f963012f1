import json
from pathlib import Path

import pytest

from picojoule.hardware import Architecture, Attained, Compute, Memory, Technology
from picojoule.levels import Estimate, estimate
from picojoule.meters import Reading, calibrate, calibration_yaml, check, check_json, check_text
from picojoule.meters._habits import runtime_time
from picojoule.quantity import InputError, Value
from picojoule.workload import Graph, Workload, ops


def value(x: float, unit: str, provenance: str = "measured") -> Value:
    return Value(x, unit, 1.2, "here", provenance=provenance)  # type: ignore[arg-type]


def machine(cache: float, provenance: str = "measured") -> tuple[Architecture, Technology]:
    """1 GFLOP/s, 1 MB/s outside, a cache without a bandwidth, 1 us a launch; everything is attained."""
    memories = (Memory("ddr", "DRAM", None, value(1e6, "B/s", provenance), "off-chip"),
                Memory("cache", "SRAM", value(cache, "B"), None))  # fmt: skip
    one = value(1, "1")
    prices = {key: value(1e-12, unit) for key, unit in (("simd.*", "J"), ("ddr.*", "J/B"), ("cache.*", "J/B"))}
    return Architecture("here", "Here", "cpu", "", memories,
                        (Compute("simd", "vector", {"float32": value(1e9, "FLOP/s", provenance)}),),
                        {"default": Attained(one, one)}, value(1e-6, "s"), "t"), Technology("t", prices)  # fmt: skip


def matmul_relu(n: int = 100) -> Workload:
    g = Graph("net")
    x = ops.matmul(g, g.input("x", (n, n)), g.parameter("w", (n, n)))
    g.output(ops.unary(g, "relu", x))
    return g.workload()


def predicted(net: Workload, cache: float) -> Estimate:
    return estimate(net, *machine(cache))


def test_weights_that_do_not_fit_are_fetched_first() -> None:
    """By hand: 2·100³ FLOP take 2 ms, 120 kB cross in 120 ms; the weights' 40 ms, alone, then max(2, 80) ms."""
    time, habits = runtime_time(predicted(matmul_relu(), 30e3))
    assert time == pytest.approx(0.040 + 0.080 + 1e-6)
    assert any("fetches its own first" in habit for habit in habits)


def test_what_fits_stays_in_the_cache() -> None:
    """By hand: with room for all, arithmetic alone is left: 2 ms and a launch; relu is fused."""
    time, habits = runtime_time(predicted(matmul_relu(), 1e6))
    assert time == pytest.approx(2e-3 + 1e-6)
    assert any("1 activations and batch norms are fused" in habit for habit in habits)


def test_half_the_cache_is_the_bound() -> None:
    """By hand: 80 kB of activations stay in 160 kB and not in 159 kB, where they take 120 ms with the weights."""
    assert runtime_time(predicted(matmul_relu(), 160e3))[0] == pytest.approx(2e-3 + 1e-6)
    assert runtime_time(predicted(matmul_relu(), 159e3))[0] == pytest.approx(0.120 + 1e-6)


def test_an_activation_that_is_shared_is_not_fused() -> None:
    """By hand: two readers of a product keep its relu apart: two more operators, each a launch."""
    g = Graph("net")
    x = ops.matmul(g, g.input("x", (8, 8)), g.parameter("w", (8, 8)))
    g.output(ops.binary(g, "add", ops.unary(g, "relu", x), x))
    _, habits = runtime_time(predicted(g.workload(), 1e9))
    assert not any("fused" in habit for habit in habits)


def test_without_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Message: nothing is run beside the prediction, and what to install is named."""
    monkeypatch.setattr("picojoule.meters._ort.available", lambda: False)
    with pytest.raises(InputError, match="onnxruntime is not installed"):
        check("x.onnx", predicted(matmul_relu(), 1e6))


def onnx_file(path: Path, n: int = 100) -> Path:
    pytest.importorskip("onnxruntime")
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save

    w = numpy_helper.from_array(np.ones((n, n), "float32"), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [n, n]) for name in "xy"]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [w])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


class Fixed:
    """A meter of 6 J a window."""

    shortest_window_s = 0.0

    def start(self) -> None: ...

    def stop(self) -> tuple[Reading, ...]:
        return (Reading(6.0, 2.0, "measured", "package-0", "device", "fake"),)


def test_beside_the_prediction(tmp_path: Path) -> None:
    """Bound: measured time is positive; without a sensor the energy is unknown, in text and in JSON."""
    path = onnx_file(tmp_path / "net.onnx")
    c = check(path, predicted(matmul_relu(), 1e6), meters=(), threads=1)
    assert c.timing.best > 0
    assert (c.measured_j, c.energy_label) == (None, "unknown")
    assert (c.predicted_label, c.predicted_energy_label) == ("calibrated", "calibrated")
    text = check_text(c)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "no energy sensor here" in text.replace("\n    ", " ")
    data = json.loads(json.dumps(check_json(c)))
    assert data["energy_j"]["measured"] is None
    assert data["time_s"]["label"] == "measured"


def test_measured_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 6 J over the runs of one window."""
    monkeypatch.setattr("picojoule.meters._check.ENERGY_WINDOW_S", 0.01)
    path = onnx_file(tmp_path / "net.onnx")
    c = check(path, predicted(matmul_relu(), 1e6), meters=[Fixed()], energy_window_s=0.05, threads=1)
    assert c.runs_of_energy > 1
    assert c.measured_j == pytest.approx(6.0 / c.runs_of_energy)
    assert c.energy_label == "measured"


def test_labels_of_a_data_sheet(tmp_path: Path) -> None:
    """Equality: rates that were not measured make a prediction of the data sheet."""
    path = onnx_file(tmp_path / "net.onnx")
    c = check(path, estimate(matmul_relu(), *machine(1e6, "seen")), meters=(), threads=1)
    assert c.predicted_label == "data sheet"


def test_bad_files(tmp_path: Path) -> None:
    """Message: no file, and a file that is no model."""
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match="no such file"):
        check(tmp_path / "none.onnx", predicted(matmul_relu(), 1e6))
    (tmp_path / "bad.onnx").write_bytes(b"hello")
    with pytest.raises(InputError, match="ONNX Runtime cannot load it"):
        check(tmp_path / "bad.onnx", predicted(matmul_relu(), 1e6))


def test_shapes_must_agree(tmp_path: Path) -> None:
    """Message: a run of another shape than was estimated is refused."""
    path = onnx_file(tmp_path / "net.onnx")
    with pytest.raises(InputError, match="was estimated with the shape"):
        check(path, predicted(matmul_relu(), 1e6), inputs={"x": (50, 100)})


def test_calibration_through_onnxruntime(tmp_path: Path) -> None:
    """Bound: every class has a share in (0, 1] and a spread of at least 1.5; the file reads back."""
    pytest.importorskip("onnxruntime")
    from picojoule.formats import read_hardware

    c = calibrate(anyway=True, gemm_sizes=(64,), largest_set=1 << 20, threads=1)
    assert {"gemm", "conv", "depthwise", "pool", "elementwise", "softmax", "norm"} == set(c.shares)
    assert all(0 < rate.nominal <= 1 and rate.spread >= 1.5 for rate in c.shares.values())
    (tmp_path / "here.yaml").write_text(calibration_yaml(c))
    assert read_hardware(tmp_path / "here.yaml")[0].launch is not None
