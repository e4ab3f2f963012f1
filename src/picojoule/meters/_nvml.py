"""NVIDIA GPUs through nvidia-ml-py, imported when a meter is made: the energy counter, else samples of power.

The counter (Volta and later) moves every 10 to 100 ms, so windows of two seconds and more are asked for. Without it,
the instant power is sampled, else the mean power of NVML, which is an average over one second on Ampere and later.
A100 and H100 sensors see a quarter of the time (arXiv:2312.02741): repeat the work, and do not trust short windows.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from ._poll import Integral, Poll
from ._reading import Reading, unknown

SHORTEST_WINDOW_S: Final = 2.0
CAVEAT: Final = "A100 and H100 sensors sample a quarter of the time (arXiv:2312.02741)"


@dataclass(slots=True)
class _Gpu:
    index: int
    name: str
    handle: Any
    how: str  # "counter", "instant", "mean", or "" for none
    began_mj: int = 0
    energy: Integral = field(default_factory=Integral)
    trouble: str = ""


class NvmlMeter:
    """Joules of every NVIDIA GPU. `module` is pynvml, or a fake of it in tests; absent or dead, every stop says why."""

    shortest_window_s = SHORTEST_WINDOW_S

    def __init__(self, module: Any = None, *, interval_s: float = 0.05,
                 clock: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self._clock, self.missing, self.gpus = clock, "", list[_Gpu]()
        self._poll = Poll(self.sample, interval_s)
        self._began = 0.0
        try:
            self._nvml = module if module is not None else import_module("pynvml")
        except ImportError:
            self.missing = "nvidia-ml-py is not installed: pip install nvidia-ml-py"
            return
        try:
            self._nvml.nvmlInit()
            for index in range(self._nvml.nvmlDeviceGetCount()):
                handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
                self.gpus.append(_Gpu(index, _name(self._nvml, handle), handle, self._way(handle)))
        except self._nvml.NVMLError as error:
            self.missing = f"NVML is here but cannot be used: {error}"

    def start(self) -> None:
        """Open a window."""
        for gpu in self.gpus:
            gpu.energy, gpu.trouble = Integral(), ""
            if gpu.how == "counter":
                gpu.began_mj = self._counter(gpu)
        self._began = self._clock()
        if any(gpu.how in ("instant", "mean") for gpu in self.gpus):
            self.sample()
            self._poll.start()

    def sample(self) -> None:
        """Sample the power of GPUs without a counter."""
        for gpu in self.gpus:
            if gpu.how not in ("instant", "mean") or gpu.trouble:
                continue
            try:
                gpu.energy.add(self._clock(), self._power(gpu))
            except self._nvml.NVMLError as error:
                gpu.trouble = self._gone(gpu, error)

    def stop(self) -> tuple[Reading, ...]:
        """Close the window."""
        self._poll.stop()
        self.sample()
        seconds = self._clock() - self._began
        if self.missing:
            return (unknown("gpu", "NVML", self.missing, seconds, "board"),)
        return tuple(self._reading(gpu, seconds) for gpu in self.gpus)

    def _reading(self, gpu: _Gpu, seconds: float) -> Reading:
        domain, source = f"gpu-{gpu.index}", f"NVML {gpu.name}"
        joules = (self._counter(gpu) - gpu.began_mj) / 1e3 if gpu.how == "counter" else gpu.energy.joules
        if not gpu.how:
            gpu.trouble = "neither an energy counter nor power (vGPU and MIG slices often have none)"
        elif not gpu.trouble and joules < 0:
            gpu.trouble = "the energy counter fell: the driver was loaded anew"
        if gpu.trouble:
            return unknown(domain, source, gpu.trouble, seconds, "board")
        note = {
            "counter": "energy counter",
            "instant": f"integral of {gpu.energy.samples} samples of instant power",
            "mean": f"integral of {gpu.energy.samples} samples of NVML's power, a 1 s mean on most GPUs",
        }[gpu.how]
        if seconds < SHORTEST_WINDOW_S:
            note += f"; the window of {seconds:.2g} s is below {SHORTEST_WINDOW_S:g} s: repeat the work"
        return Reading(joules, seconds, "measured", domain, "board", source, f"{note}; {CAVEAT}")

    def _way(self, handle: Any) -> str:
        """How this GPU can be read, the best way first."""
        probe = _Gpu(0, "", handle, "")
        for how, function in (("counter", self._counter_raw), ("instant", self._instant), ("mean", self._mean)):
            try:
                function(probe)
            except (self._nvml.NVMLError, AttributeError, IndexError):
                continue
            return how
        return ""

    def _counter_raw(self, gpu: _Gpu) -> int:
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(gpu.handle))

    def _counter(self, gpu: _Gpu) -> int:
        try:
            return self._counter_raw(gpu)
        except self._nvml.NVMLError as error:
            gpu.trouble = gpu.trouble or self._gone(gpu, error)
            return 0

    def _power(self, gpu: _Gpu) -> float:
        return self._instant(gpu) if gpu.how == "instant" else self._mean(gpu)

    def _instant(self, gpu: _Gpu) -> float:
        value = self._nvml.nvmlDeviceGetFieldValues(gpu.handle, [self._nvml.NVML_FI_DEV_POWER_INSTANT])[0]
        if value.nvmlReturn != 0:
            raise self._nvml.NVMLError(value.nvmlReturn)
        return float(value.value.uiVal) / 1e3

    def _mean(self, gpu: _Gpu) -> float:
        return float(self._nvml.nvmlDeviceGetPowerUsage(gpu.handle)) / 1e3

    def _gone(self, gpu: _Gpu, error: Exception) -> str:
        after = f" after {self._clock() - self._began:.1f} s" if self._began else ""
        return f"the sensor of GPU {gpu.index} went away{after} ({error})"


def _name(nvml: Any, handle: Any) -> str:
    name = nvml.nvmlDeviceGetName(handle)
    return name.decode() if isinstance(name, bytes) else str(name)
