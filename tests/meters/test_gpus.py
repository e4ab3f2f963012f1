import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from tests.meters.fakes import Clock, Nvml

from picojoule.meters import (
    AmdMeter,
    AppleMeter,
    CodeCarbonMeter,
    NvmlMeter,
    RaplMeter,
    ZeusMeter,
    find_meters,
    measure,
    meters_named,
)
from picojoule.quantity import InputError


def test_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 5000 J to 5600 J in 3 s is 600 J; the caveat of sampling stands beside it."""
    nvml, clock = Nvml(), Clock()
    meter = NvmlMeter(nvml, clock=clock)
    meter.start()
    nvml.mj, clock.now = 5_600_000, 103.0
    (reading,) = meter.stop()
    assert (reading.joules, reading.label, reading.domain, reading.scope) == (600, "measured", "gpu-0", "board")
    assert reading.source == "NVML Fake GPU"
    assert "energy counter" in reading.note
    assert "sample a quarter of the time" in reading.note
    assert "below" not in reading.note


@pytest.mark.parametrize(("missing", "how"), [(("counter",), "instant power"), (("counter", "instant"), "1 s mean")])
def test_power_where_no_counter_is(missing: tuple[str, ...], how: str) -> None:
    """By hand: 100 W for 1 s, then evenly up to 300 W in 2 s, is 100 + 400 J by trapezia."""
    nvml, clock = Nvml(missing=missing), Clock()
    meter = NvmlMeter(nvml, clock=clock, interval_s=60)
    meter.start()
    clock.now = 101.0
    meter.sample()
    nvml.mw, clock.now = 300_000, 103.0
    (reading,) = meter.stop()
    assert reading.joules == pytest.approx(500)
    assert how in reading.note


def test_field_that_is_not_supported() -> None:
    """Equality: an instant power that comes with an error code is not taken; the mean power is."""
    nvml, clock = Nvml(missing=("counter",)), Clock()
    nvml.nvmlDeviceGetFieldValues = lambda handle, fields: [  # type: ignore[method-assign]
        SimpleNamespace(nvmlReturn=3, value=SimpleNamespace(uiVal=0))
    ]
    meter = NvmlMeter(nvml, clock=clock, interval_s=60)
    meter.start()
    clock.now += 2
    (reading,) = meter.stop()
    assert reading.joules == pytest.approx(200)
    assert "1 s mean" in reading.note


def test_neither_counter_nor_power() -> None:
    """Message: a slice of a GPU without sensors is unknown."""
    meter = NvmlMeter(Nvml(missing=("counter", "instant", "mean")))
    meter.start()
    (reading,) = meter.stop()
    assert reading.label == "unknown"
    assert "vGPU and MIG" in reading.note


def test_short_window() -> None:
    """Message: below two seconds the reading and the measurement say so."""
    nvml, clock = Nvml(), Clock()
    with measure(meters=[NvmlMeter(nvml, clock=clock)]) as m:
        nvml.mj, clock.now = 5_001_000, 100.5
    assert "the window of 0.5 s is below 2 s" in m.figures[0].note
    assert any("repeat the work" in note for note in m.notes)


def test_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Message: without the library the meter still answers, with what to install."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    meter = NvmlMeter()
    meter.start()
    (reading,) = meter.stop()
    assert (reading.joules, reading.label) == (None, "unknown")
    assert "pip install nvidia-ml-py" in reading.note


def test_no_driver() -> None:
    """Message: the library without a driver is unknown, with NVML's own words."""
    meter = NvmlMeter(Nvml(missing=("driver",)))
    meter.start()
    (reading,) = meter.stop()
    assert reading.label == "unknown"
    assert "NVML Shared Library Not Found" in reading.note


@pytest.mark.parametrize("missing", [(), ("counter",)])
def test_gpu_falls_off_the_bus(missing: tuple[str, ...]) -> None:
    """Message: a GPU that is lost in the middle has no number."""
    nvml, clock = Nvml(missing=missing), Clock()
    meter = NvmlMeter(nvml, clock=clock, interval_s=60)
    meter.start()
    nvml.gone, clock.now = True, 102.5
    (reading,) = meter.stop()
    assert reading.joules is None
    assert "went away after 2.5 s (GPU is lost)" in reading.note


def test_counter_that_falls() -> None:
    """Message: a driver loaded anew starts at zero: no number."""
    nvml = Nvml()
    meter = NvmlMeter(nvml)
    meter.start()
    nvml.mj = 10
    assert "counter fell" in meter.stop()[0].note


class Amd(ModuleType):
    def __init__(self) -> None:
        super().__init__("amdsmi")
        self.ticks, self.key = 1000, "energy_accumulator"

    def amdsmi_init(self) -> None: ...

    def amdsmi_get_processor_handles(self) -> list[int]:
        return [0]

    def amdsmi_get_energy_count(self, handle: int) -> dict[str, float]:
        if self.ticks < 0:
            raise RuntimeError("AMDSMI_STATUS_NOT_SUPPORTED")
        return {self.key: self.ticks, "counter_resolution": 15.25}


@pytest.mark.parametrize("key", ["energy_accumulator", "power"])
def test_amd(key: str) -> None:
    """By hand: 2 000 000 ticks of 15.25 uJ are 30.5 J, under the old and the new name of the field."""
    smi, clock = Amd(), Clock()
    smi.key = key
    meter = AmdMeter(smi, clock=clock)
    meter.start()
    smi.ticks, clock.now = 2_001_000, 102.0
    (reading,) = meter.stop()
    assert reading.joules == pytest.approx(30.5)
    meter.start()
    smi.ticks = -1
    assert "AMDSMI_STATUS_NOT_SUPPORTED" in meter.stop()[0].note


def test_apple() -> None:
    """By hand: 2500 mJ are 2.5 J; a part the chip does not show is unknown and so is the total."""
    metrics = SimpleNamespace(cpu_total_mj=2500, gpu_mj=500, dram_mj=100, ane_mj=None)
    monitor = SimpleNamespace(begin_window=lambda name: None, end_window=lambda name: metrics)
    with measure(meters=[AppleMeter(SimpleNamespace(AppleEnergyMonitor=lambda: monitor))]) as m:
        pass
    assert [(f.domain, f.joules) for f in m.figures] == [("cpu", 2.5), ("gpu", 0.5), ("dram", 0.1), ("ane", None)]
    assert m.total_joules is None


def test_zeus() -> None:
    """Equality: Zeus's joules pass through; what it does not read is unknown."""
    window = SimpleNamespace(gpu_energy={0: 12.5, 1: 3.0}, cpu_energy=None, dram_energy=None)
    monitor = SimpleNamespace(begin_window=lambda name, **_: None, end_window=lambda name, **_: window)
    meter = ZeusMeter(SimpleNamespace(ZeusMonitor=lambda: monitor))
    meter.start()
    found = {reading.domain: reading for reading in meter.stop()}
    assert (found["gpu-0"].joules, found["gpu-1"].joules) == (12.5, 3.0)
    assert found["cpu"].label == "unknown"


@pytest.mark.parametrize(("mode", "label"), [("intel_rapl", "measured"), ("constant", "data sheet"),
                                             ("cpu_load", "data sheet"), ("", "data sheet")])  # fmt: skip
def test_codecarbon_is_labelled_by_how_it_knows(mode: str, label: str) -> None:
    """By hand: 1e-5 kWh is 36 J; a TDP is a data sheet, and so is memory; a zero GPU is unknown."""
    data = SimpleNamespace(cpu_energy=1e-5, gpu_energy=0, ram_energy=2e-6)
    parts = [type("CPU", (), {"_mode": mode})(), type("GPU", (), {})()]
    tracker = SimpleNamespace(start=lambda: None, stop=lambda: None, final_emissions_data=data, _hardware=parts)
    meter = CodeCarbonMeter(SimpleNamespace(OfflineEmissionsTracker=lambda **_: tracker))
    meter.start()
    cpu, ram, gpu = meter.stop()
    assert cpu.joules == pytest.approx(36)
    assert cpu.label == label
    assert (gpu.joules, gpu.label) == (None, "unknown")
    assert ram.label == "data sheet"


@pytest.mark.parametrize(("meter", "module", "what"), [
    (AmdMeter, "amdsmi", "pip install amdsmi"), (AppleMeter, "zeus_apple_silicon", "pip install zeus-apple-silicon"),
    (ZeusMeter, "zeus.monitor", "pip install zeus"), (CodeCarbonMeter, "codecarbon", "pip install codecarbon"),
])  # fmt: skip
def test_library_absent(meter: type[AmdMeter], module: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Message: each names what to install, and gives no number."""
    monkeypatch.setitem(sys.modules, module, None)
    absent = meter()
    absent.start()
    (reading,) = absent.stop()
    assert reading.label == "unknown"
    assert what in reading.note


def test_gpu_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Message: a GPU that is seen and cannot be read is unknown, not left out."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia0").touch()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with measure(meters=find_meters(tmp_path)) as m:
        pass
    assert [figure.label for figure in m.figures] == ["unknown"]
    assert "pip install nvidia-ml-py" in m.figures[0].note


def test_amd_gpu_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Message: the same for AMD's driver."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kfd").touch()
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    with measure(meters=find_meters(tmp_path)) as m:
        pass
    assert "pip install amdsmi" in m.figures[0].note


def test_adapters_do_not_invent_a_gpu() -> None:
    """Equality: where Zeus and CodeCarbon find no GPU, none is shown."""
    window = SimpleNamespace(gpu_energy={}, cpu_energy={0: 3.0}, dram_energy={0: 1.0})
    monitor = SimpleNamespace(begin_window=lambda name, **_: None, end_window=lambda name, **_: window)
    with measure(meters=[ZeusMeter(SimpleNamespace(ZeusMonitor=lambda: monitor))]) as m:
        pass
    assert m.total_joules == 4
    data = SimpleNamespace(cpu_energy=1e-5, gpu_energy=0, ram_energy=2e-6)
    tracker = SimpleNamespace(start=lambda: None, stop=lambda: None, final_emissions_data=data)
    with measure(meters=[CodeCarbonMeter(SimpleNamespace(OfflineEmissionsTracker=lambda **_: tracker))]) as m:
        pass
    assert [figure.domain for figure in m.figures] == ["cpu", "ram"]
    assert m.total_label == "data sheet"


def test_meters_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Message: each name once, in order; an unknown one lists the known."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert [type(meter) for meter in meters_named("nvidia, rapl,nvidia")] == [NvmlMeter, RaplMeter]
    with pytest.raises(InputError, match="no meter is named 'wattson'"):
        meters_named("rapl,wattson")


def test_work_of_torch_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: kernels still running at either end of the block are waited for before the sensor is read."""
    waits: list[str] = []
    cuda = SimpleNamespace(is_initialized=lambda: True, synchronize=lambda: waits.append("wait"))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    with measure(meters=[NvmlMeter(Nvml())]):
        waits.append("work")
    assert waits[0] == "wait"
    assert waits[waits.index("work") + 1] == "wait"
