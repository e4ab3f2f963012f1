import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.hardware import Architecture, Attained, Compute, Fetch, Memory, Pace, Runtime, Technology
from picojoule.levels import Estimate, estimate
from picojoule.meters._as_run import as_run, between_uses, wait
from picojoule.meters._groups import groups
from picojoule.meters._paces import MeasuredPace, fit, seconds
from picojoule.meters._probes import Probe, fetch_layers, probes
from picojoule.meters._timing import Timing
from picojoule.quantity import Value
from picojoule.workload import Graph, Workload, ops


def value(x: float, unit: str, spread: float = 1.25) -> Value:
    return Value(x, unit, spread, "here", provenance="measured")


def machine(runtime: Runtime | None) -> tuple[Architecture, Technology]:
    """1 GFLOP/s, 1 MB/s outside, 1 us a launch."""
    one = Value(1, "1", 1.5, "here")
    prices = {key: value(1e-12, unit) for key, unit in (("simd.*", "J"), ("ddr.*", "J/B"))}
    return Architecture("here", "Here", "cpu", "", (Memory("ddr", "DRAM", None, value(1e6, "B/s"), "off-chip"),),
                        (Compute("simd", "vector", {"float32": value(1e9, "FLOP/s")}),), {"default": Attained(one, one)},
                        value(1e-6, "s"), "t", runtime=runtime), Technology("t", prices)  # fmt: skip


def runtime(**paces: Pace) -> Runtime:
    fetch = (Fetch(value(1e3, "B"), None, None), Fetch(value(1e5, "B"), value(1e9, "B/s"), value(4e9, "B/s")))
    return Runtime("some runtime", paces, fetch)


def predicted(net: Workload, paces: Runtime) -> Estimate:
    return estimate(net, *machine(paces))


GEMM = Pace(value(1e9, "FLOP/s"), value(1e8, "B/s"))
PASS = Pace(None, value(1e8, "B/s"))


def product(rows: int, relu: bool = True) -> Workload:
    g = Graph("net")
    x = ops.matmul(g, g.input("x", (rows, 100)), g.parameter("w", (100, 100)))
    g.output(ops.unary(g, "relu", x) if relu else x)
    return g.workload()


def test_a_product_by_hand() -> None:
    """By hand: 2·100³ FLOP at 1 GFLOP/s, 120 kB at 100 MB/s, 40 kB of weights waiting, one launch, one pass of relu."""
    net = product(100)
    paces = runtime(gemm=GEMM, activation=PASS)
    waiting = 40_000 * math.log(120_000 / 1e3) / math.log(100) * 1e-9  # 40 kB of weights, 80 kB held at once
    assert between_uses(net) == 120_000
    found = as_run(predicted(net, paces), paces)
    assert found.time.nominal == pytest.approx(2e-3 + 1.2e-3 + min(waiting, 40_000e-9) + 1e-6 + 80_000 / 1e8)
    assert found.unmeasured == ()


def test_one_row_waits_as_a_vector() -> None:
    """By hand: with one row the parameters come at 4 GB/s, not at 1 GB/s, where 100 kB or more lie between."""
    fetch = (Fetch(value(1, "B"), value(1e9, "B/s"), value(4e9, "B/s")),)
    paces = Runtime("r", {"gemv": GEMM, "gemm": GEMM}, fetch)
    one = as_run(predicted(product(1, relu=False), paces), paces).time.nominal
    two = as_run(predicted(product(2, relu=False), paces), paces).time.nominal
    assert one == pytest.approx(2e-5 + 40_800e-8 + 1e-6 + 40_000 / 4e9)
    assert two == pytest.approx(4e-5 + 41_600e-8 + 1e-6 + 40_000 / 1e9)


def test_a_class_without_a_pace_keeps_its_estimate() -> None:
    """By hand: sorting has no pace: its time is the roofline's, and it is named."""
    g = Graph("net")
    g.output(ops.softmax(g, g.input("x", (100, 100))))
    net = g.workload()
    paces = runtime(gemm=GEMM)
    e = predicted(net, paces)
    found = as_run(e, paces)
    assert found.unmeasured == ("softmax",)
    assert found.time.nominal == pytest.approx(e.cost.total_time_s.nominal)


def test_classes_err_apart() -> None:
    """By hand: two classes of equal time and spread 1.25: the interval widens by the root of two, not by two."""
    g = Graph("net")
    x = ops.softmax(g, g.input("x", (100, 100)))
    g.output(ops.layer_norm(g, x, g.parameter("s", (100,), role="norm")))
    net = g.workload()
    paces = Runtime("r", {"softmax": PASS, "norm": Pace(None, value(1e8 * 80_400 / 80_000, "B/s"))}, ())
    found = as_run(predicted(net, paces), paces)
    width = found.time.high - found.time.nominal
    assert width == pytest.approx(math.sqrt(2) * 0.25 * 800e-6, rel=0.01)


@given(st.floats(1e8, 1e12), st.floats(1e8, 1e12))
def test_fit_finds_the_rates(arithmetic: float, stream: float) -> None:
    """Equality: times made by the law give its rates back, with the least spread."""
    shapes = [(1e6, 1e5), (4e6, 2e5), (2e6, 9e5), (0.5e6, 3e6)]
    found = fit([(w, b, w / arithmetic + b / stream) for w, b in shapes], ["a"], 1.0)
    for rate, true in ((found.arithmetic, arithmetic), (found.stream, stream)):
        hidden = rate is None or rate != pytest.approx(true, rel=1e-3)
        terms = [(w / arithmetic, b / stream) for w, b in shapes]
        small = max(min(pair) / sum(pair) for pair in terms)
        assert not hidden or small < 1e-4
    assert found.spread == pytest.approx(1.25, rel=1e-6)


def test_fit_takes_no_negative_rate() -> None:
    """By hand: bytes that seem to save time are left out; the other term is the mean of relative rates."""
    found = fit([(1.0, 1.0, 1.0), (1.0, 2.0, 0.9), (1.0, 3.0, 0.8)], ["a", "b", "c"], 1.0)
    assert found.stream is None
    assert found.arithmetic is not None


def test_seconds_of_a_chain() -> None:
    """By hand: three rounds in 10 s, one in 4 s: a round takes 3 s. A single model: less the call and the pool after."""
    pool = MeasuredPace(10.0, None, 1.2, "")
    times = {"a": Timing((10.0,)), "a, once": Timing((4.0,)), "b": Timing((5.0,))}
    assert seconds(Probe("a", "conv", 1, 1, b"", b"x", 2), times, 9.0, pool) == 3.0
    assert seconds(Probe("b", "thin", 1, 1, b"", after=(5.0, 0.0)), times, 1.0, pool) == 3.5


def test_waiting_between_the_points() -> None:
    """By hand: half way in the logarithm is half of the wait; outside it is the nearest."""
    points = [(1e6, 0.0), (1e8, 4e-11)]
    assert wait(points, 1e7) == pytest.approx(2e-11)
    assert (wait(points, 10), wait(points, 1e12), wait([], 5)) == (0.0, 4e-11, 0.0)


def test_chains_span_the_last_cache() -> None:
    """By hand: of 32 MiB a quarter, half, all, twice and four times, in layers of 768² floats; 256 MiB is the longest."""
    assert fetch_layers(32 << 20) == [1, 4, 7, 14, 28, 57]
    assert max(fetch_layers(1 << 30)) * 768 * 768 * 4 <= 256 << 20


def convolution(*, shared: bool = False) -> Workload:
    g = Graph("net")
    x = g.input("x", (1, 16, 8, 8))
    y = ops.conv(g, x, g.parameter("w", (16, 16, 3, 3)), padding=[(1, 1), (1, 1)])
    z = ops.binary(g, "add", y, x)
    z = ops.unary(g, "relu", z)
    g.output(ops.binary(g, "mul", z, y) if shared else z)
    return g.workload()


def test_addition_and_relu_go_into_a_convolution() -> None:
    """By hand: one group of three; with a second reader of the convolution, four groups."""
    assert [(group.kind, len(group.operators)) for group in groups(convolution())] == [("conv", 3)]
    assert len(groups(convolution(shared=True))) == 4


@given(st.integers(0, 5), st.booleans())
def test_every_operator_is_in_one_group(layers: int, twice: bool) -> None:
    """Equality: the groups together are the network, no operator twice."""
    g = Graph("net")
    x = g.input("x", (4, 8))
    for i in range(layers):
        y = ops.unary(g, "gelu", ops.matmul(g, x, g.parameter(f"w{i}", (8, 8))))
        x = ops.layer_norm(g, ops.binary(g, "add", x, y), g.parameter(f"s{i}", (8,), role="norm"))
        x = ops.binary(g, "mul", x, y) if twice else x
    g.output(x)
    net = g.workload()
    found = sorted(operator.name for group in groups(net) for operator in group.operators)
    assert found == sorted(operator.name for operator in net.operators)


@pytest.mark.parametrize("name", ["bert", "gpt2", "mobilenet", "resnet"])
def test_as_many_groups_as_the_runtime_keeps_nodes(name: str, tmp_path: Path) -> None:
    """Peer: ONNX Runtime's own optimised graph has a node for each group, views and changes of layout left out."""
    onnxruntime = pytest.importorskip("onnxruntime")
    import onnx
    from tests.machine.compiler import networks

    from picojoule import read_model

    path = tmp_path / f"{name}.onnx"
    {"bert": lambda: networks.bert(path, seq=16, hidden=64, heads=4),
     "gpt2": lambda: networks.gpt2(path, seq=16, hidden=64, heads=4),
     "mobilenet": lambda: networks.mobilenet(path, size=64, classes=10),
     "resnet": lambda: networks.resnet(path, 18, size=64, classes=10)}[name]()  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    views = {"Reshape", "Flatten", "ReorderInput", "ReorderOutput", "Split", "Squeeze", "Unsqueeze", "Identity"}
    kept = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node if node.op_type not in views]
    if name in ("mobilenet", "resnet") and not any(op == "ReorderOutput" for op in _types(tmp_path / "optimised.onnx")):
        pytest.skip("this machine's ONNX Runtime does not use blocked layouts")
    ours = [group for group in groups(read_model(path)) if group.operators[0].op != "split"]
    assert len(ours) == len(kept), (sorted(kept), [(g.kind, [o.op for o in g.operators]) for g in ours])


def _types(path: Path) -> list[str]:
    import onnx

    return [node.op_type for node in onnx.load(path).graph.node]


def test_probes_have_work() -> None:
    """Bound: every class has two shapes or more, and each touches bytes; two probes never share a name."""
    pytest.importorskip("onnx")
    found = probes()
    assert len({probe.name for probe in found}) == len(found)
    for kind in {probe.kind for probe in found}:
        assert sum(probe.kind == kind for probe in found) >= 2
    assert all(probe.n_bytes > 0 and probe.rounds >= 1 for probe in found)
