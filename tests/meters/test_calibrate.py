import datetime
import json
from dataclasses import replace
from pathlib import Path

import pytest

from picojoule.formats import load_hardware, read_hardware
from picojoule.levels import estimate
from picojoule.meters import Calibration, Host, Rate, calibrate, calibration_json, calibration_text, calibration_yaml
from picojoule.meters._host import read_host, sanitised
from picojoule.meters._numpy_bench import copy_benches, gemm_benches, limit_blas, working_sets
from picojoule.meters._paces import MeasuredFetch, MeasuredPace, Paces
from picojoule.meters._probes import probes
from picojoule.meters._timing import Bench, Timing, interference, refuse_noise, time_all
from picojoule.quantity import InputError
from picojoule.workload import Graph, ops


def made(*, cores: int = 8, cache: int = 32 << 20, noise: float = 1.1, title: str = "Test CPU") -> Calibration:
    rate = Rate(1e11, 1.2, "numpy GEMM, n = 512")
    return Calibration(
        Host(title, "AMD", cores, {1: 1 << 18, 3: cache} if cache else {}), "2026-11-20",
        {"float32": {64: 9e10, 512: 1e11}, "float64": {64: 4e10, 512: 5e10}},
        {"float32": rate, "float64": Rate(5e10, 1.2, "numpy GEMM, n = 512")}, {1 << 20: 9e10, 1 << 27: 3e10},
        Rate(3e10, 1.1, "copy"), Rate(9e10, 1.3, "copy inside the caches"), Rate(2e-7, 1.5, "chain"),
        {"gemm": Rate(0.9, 1.2, "matmul"), "conv": Rate(0.5, 1.5, "conv")}, noise, ("gemm float32 64", 1.4), 0.5,
        "numpy 2", 4, 2, cores,
    )  # fmt: skip


def net() -> Graph:
    g = Graph("net")
    g.output(ops.matmul(g, g.input("x", (64, 1024)), g.parameter("w", (1024, 1024))))
    return g


class Steps:
    """A clock of which each reading is the next of a list, then one second on."""

    def __init__(self, *durations: float) -> None:
        self.durations, self.now, self.odd = list(durations), 0.0, False

    def __call__(self) -> float:
        if self.odd:
            self.now += self.durations.pop(0) if self.durations else 1.0
        self.odd = not self.odd
        return self.now


def test_least_of_all_runs_in_all_passes() -> None:
    """By hand: of 1 s runs one took 0.5 s: least 0.5, median 1, interference 2."""
    clock = Steps(1.0, 1, 1, 1, 1, 1, 0.5, 1, 1)  # the first tells how often to repeat
    timing = time_all([Bench("a", lambda: None)], clock=clock)["a"]
    assert (len(timing.samples), timing.best, timing.median, timing.interference) == (8, 0.5, 1.0, 2.0)


def test_short_calls_are_repeated() -> None:
    """By hand: a call of 1 ms runs five times in 5 ms; 10 ms for five is 2 ms each."""
    calls = []
    clock = Steps(0.001, *[0.010] * 8)
    timing = time_all([Bench("a", lambda: calls.append(1))], clock=clock)["a"]
    assert timing.best == pytest.approx(0.002)
    assert len(calls) == 2 + 8 * 5


@pytest.mark.parametrize(("runs", "passes"), [(8, 1), (3, 2), (0, 9)])
def test_too_few_runs(runs: int, passes: int) -> None:
    """Message: fewer than eight runs or two passes are refused."""
    with pytest.raises(InputError, match="too few"):
        time_all([], runs=runs, passes=passes)


def test_noise_is_refused_unless_asked() -> None:
    """Message: above 1.3 a calibration is refused, and told how to go on."""
    refuse_noise(1.3, anyway=False)
    refuse_noise(3.0, anyway=True)
    with pytest.raises(InputError, match=r"busy: the median of its runs is 1\.50 times the least") as error:
        refuse_noise(1.5, anyway=False)
    assert "--threads 1" in str(error.value)
    assert interference([Timing((1.0, 1.0)), Timing((1.0, 3.0, 3.0)), Timing((1.0, 1.2))]) == pytest.approx(1.1)


def test_work_of_the_benches() -> None:
    """By hand: 2 · 8³ FLOP; a copy counts each byte read and each byte written."""
    assert {bench.work for bench in gemm_benches((8,))} == {1024}
    (copy,) = copy_benches([32 << 20], 2)
    copy.call()
    assert copy.work == 32 << 20
    assert working_sets(32 << 20, 2 << 20) == [1 << 20, 16 << 20, 128 << 20]
    assert working_sets(0, 0) == [128 << 20]


@pytest.mark.parametrize("cache", [0, 32 << 20])
def test_file_is_read_by_the_library(tmp_path: Path, cache: int) -> None:
    """Round trip: rates and spreads of the calibration come back from its file, and a network can be estimated."""
    path = tmp_path / "here.yaml"
    path.write_text(calibration_yaml(made(cache=cache)))
    machine, technology = read_hardware(path)
    peak = machine.compute[0].peak["float32"]
    assert (peak.nominal, peak.spread, peak.provenance, peak.source) == (1e11, 1.2, "measured", "measured here")
    assert machine.memories[0].bandwidth is not None
    assert machine.memories[0].bandwidth.nominal == 3e10
    assert machine.launch is not None
    assert machine.launch.nominal == 2e-7
    assert machine.attained["conv"].compute.nominal == 0.5
    result = estimate(net().workload(), machine, technology)
    # 2 · 64 · 1024² FLOP at 0.9 of 1e11, and one launch
    assert result.cost.total_time_s.nominal == pytest.approx(2 * 64 * 1024**2 / 9e10 + 2e-7)
    assert "its static power is unknown: the energy is without it" in result.notes


def test_paces_come_back(tmp_path: Path) -> None:
    """Round trip: paces and waits of a runtime are read from the file as they were measured."""
    shown = Paces("some runtime, 1 thread", {"conv": MeasuredPace(2e11, None, 1.3, "64-64 56x56")},
                  (MeasuredFetch(1000, None, None), MeasuredFetch(2000, 3e10, 9e10)))  # fmt: skip
    path = tmp_path / "here.yaml"
    path.write_text(calibration_yaml(replace(made(), paces=shown)))
    runtime = read_hardware(path)[0].runtime
    assert runtime is not None
    assert runtime.name == "some runtime, 1 thread"
    arithmetic = runtime.paces["conv"].arithmetic
    assert arithmetic is not None
    assert (arithmetic.nominal, arithmetic.spread, arithmetic.provenance) == (2e11, 1.3, "measured")
    assert runtime.paces["conv"].stream is None
    assert [(f.total.nominal, f.product and f.product.nominal) for f in runtime.fetches] == [(1000, None), (2000, 3e10)]


@pytest.mark.parametrize(("old", "new", "message"), [
    ("total: {value: 2000", "total: {value: 500", "the totals do not rise"),
    ("arithmetic: {value: 2e+11 FLOP/s", "arithmetic: {value: 2e+11 s", "FLOP/s"),
])  # fmt: skip
def test_faulty_paces(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Message: totals that fall and rates in another unit are named with their line."""
    shown = Paces(
        "r",
        {"conv": MeasuredPace(2e11, None, 1.3, "")},
        (MeasuredFetch(1000, None, None), MeasuredFetch(2000, 3e10, None)),
    )
    text = calibration_yaml(replace(made(), paces=shown))
    assert text.count(old) == 1
    path = tmp_path / "here.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        read_hardware(path)
    assert "here.yaml:" in str(error.value)


def test_a_calibration_with_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound: with a few probes of this machine, every rate is positive and no product waits for less than nothing."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    few = [probe for probe in probes() if probe.kind in ("gemv", "softmax", "pool")]
    monkeypatch.setattr("picojoule.meters._calibrate.probes", lambda: few)
    monkeypatch.setattr("picojoule.meters._probes._LARGEST_CHAIN", 1 << 20)
    c = calibrate(anyway=True, threads=1, gemm_sizes=(32,), largest_set=1 << 20)
    assert c.paces is not None
    assert set(c.paces.classes) == {"gemv", "softmax", "pool"}
    for pace in c.paces.classes.values():
        assert (pace.arithmetic or pace.stream or 0) > 0
    assert all((fetch.product or 1) > 0 for fetch in c.paces.fetches)
    path = tmp_path / "here.yaml"
    path.write_text(calibration_yaml(c))
    assert read_hardware(path)[0].runtime is not None


def test_energies_like_a_machine_of_the_library(tmp_path: Path) -> None:
    """By hand: with 8 of 96 cores a twelfth of the static power; prices per action are those of the like machine."""
    like = load_hardware("epyc-9654")
    path = tmp_path / "here.yaml"
    path.write_text(calibration_yaml(made(), like=like))
    _, technology = read_hardware(path)
    assert technology.price(("static", "leak")).nominal == pytest.approx(like[1].price(("static", "leak")).nominal / 12)
    for here, there in ((("simd", "mac_float32"), ("simd", "mac_float32")), (("ddr", "read"), ("ddr", "read")),
                        (("simd", "exp_float64"), ("simd", "exp_float64")), (("cache", "read"), ("l2", "read"))):  # fmt: skip
        assert technology.price(here).nominal == pytest.approx(like[1].price(there).nominal, rel=1e-5)
        assert "like epyc-9654" in technology.price(here).where


def test_like_a_gpu_is_refused() -> None:
    """Message: a CPU does not have a GPU's prices."""
    with pytest.raises(InputError, match="h100-sxm is a gpu"):
        calibration_yaml(made(), like=load_hardware("h100-sxm"))


def test_odd_titles_stay_one_line(tmp_path: Path) -> None:
    """Round trip: quotes, colons and hashes in the title of a CPU do not break the file."""
    path = tmp_path / "here.yaml"
    path.write_text(calibration_yaml(made(title='a "b": #c {d}')))
    assert read_hardware(path)[0].title == 'a "b": #c {d}, calibrated'


def test_busy_machine_is_noted(tmp_path: Path) -> None:
    """Message: a file made in spite of noise says so."""
    path = tmp_path / "here.yaml"
    path.write_text(calibration_yaml(made(noise=1.8)))
    assert any("the machine was busy" in note for note in read_hardware(path)[0].notes)


def test_text_and_json() -> None:
    """Bound: 80 columns; and the object is JSON."""
    text = calibration_text(made(title="A very long name of a processor " * 4))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "interference 1.10" in text
    assert json.loads(json.dumps(calibration_json(made())))["peak_flop_per_s"]["float32"]["label"] == "measured"


def cpu(root: Path, number: int, index: int, kind: str, level: int, size: str, shared: str) -> None:
    path = root / f"sys/devices/system/cpu/cpu{number}/cache/index{index}"
    path.mkdir(parents=True)
    for name, text in (("type", kind), ("level", str(level)), ("size", size), ("shared_cpu_list", shared)):
        (path / name).write_text(text + "\n")


def test_host_of_a_fake_tree(tmp_path: Path) -> None:
    """By hand: two cores with 48 KiB and 1 MiB each and a shared 32 MiB; instruction caches do not count."""
    for number in (0, 1):
        cpu(tmp_path, number, 0, "Data", 1, "48K", str(number))
        cpu(tmp_path, number, 1, "Instruction", 1, "32K", str(number))
        cpu(tmp_path, number, 2, "Unified", 2, "1024K", str(number))
        cpu(tmp_path, number, 3, "Unified", 3, "32M", "0-1")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("vendor_id\t: GenuineIntel\nmodel name\t: Intel(R)  Core(TM) i7 @ 3.6GHz\n")
    host = read_host(tmp_path)
    assert (host.title, host.vendor) == ("Intel(R) Core(TM) i7 @ 3.6GHz", "Intel")
    assert host.caches == {1: 98304, 2: 2 << 20, 3: 32 << 20}
    assert host.last_cache == 32 << 20
    assert read_host(tmp_path / "nothing").caches == {}
    assert sanitised("Evil\x1b[31m\nCPU: {x}" + "y" * 99) == "Evil 31m CPU x y" + "y" * 44


def test_this_machine_without_onnxruntime(tmp_path: Path) -> None:
    """Bound: rates are positive, copies do not beat the fastest one, and the file reads back; nothing here is absolute."""
    c = calibrate(anyway=True, use_onnxruntime=False, gemm_sizes=(32, 64), largest_set=1 << 20, root=tmp_path,
                  today=datetime.date(2026, 11, 20))  # fmt: skip
    assert c.peak["float32"].nominal == max(c.gemm["float32"].values()) > 0
    assert c.bandwidth.nominal > 0
    assert "a numpy call: onnxruntime is not installed" in c.launch.where
    assert 0 < c.shares["gemm"].nominal <= 1
    assert len(c.timings["gemm float32 32"].samples) == 8
    path = tmp_path / "here.yaml"
    path.write_text(calibration_yaml(c))
    assert read_hardware(path)[0].name == "here"


def test_blas_that_takes_no_orders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Message: threads that cannot be set are not claimed."""
    monkeypatch.setattr("picojoule.meters._numpy_bench.limit_blas", lambda threads: False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with pytest.raises(InputError, match="OMP_NUM_THREADS=999 picojoule calibrate"):
        calibrate(threads=999, use_onnxruntime=False, root=tmp_path)


def test_limit_blas_answers() -> None:
    """Equality: the answer is whether it was done, and setting the number again does no harm."""
    assert limit_blas(1) is limit_blas(1)
