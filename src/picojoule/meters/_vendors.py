"""AMD GPUs through amdsmi and Apple chips through zeus-apple-silicon: both imported when a meter is made, or faked."""

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from ._reading import Reading, unknown

_WINDOW: Final = "picojoule"
_APPLE: Final = (("cpu", "cpu_total_mj"), ("gpu", "gpu_mj"), ("dram", "dram_mj"), ("ane", "ane_mj"))


class AmdMeter:
    """Joules of every AMD GPU by its energy accumulator. MI100 counts wrongly (ROCm/amdsmi issue 38)."""

    shortest_window_s = 2.0

    def __init__(self, module: Any = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self.missing = clock, ""
        self._handles: list[Any] = []
        self._began: list[float | str] = []
        self._at = 0.0
        try:
            self._smi = module if module is not None else import_module("amdsmi")
            self._smi.amdsmi_init()
            self._handles = list(self._smi.amdsmi_get_processor_handles())
        except ImportError:
            self.missing = "amdsmi is not installed: pip install amdsmi"
        except Exception as error:  # amdsmi raises its own classes, some of them from a library that is not there
            self.missing = f"amdsmi is here but cannot be used: {error}"

    def start(self) -> None:
        """Open a window."""
        self._began, self._at = [self._joules(handle) for handle in self._handles], self._clock()

    def stop(self) -> tuple[Reading, ...]:
        """Close the window."""
        seconds = self._clock() - self._at
        if self.missing:
            return (unknown("amd-gpu", "amdsmi", self.missing, seconds, "board"),)
        return tuple(
            self._reading(index, began, self._joules(handle), seconds)
            for index, (handle, began) in enumerate(zip(self._handles, self._began, strict=True))
        )

    def _reading(self, index: int, began: float | str, ended: float | str, seconds: float) -> Reading:
        domain, source = f"amd-gpu-{index}", "amdsmi energy accumulator"
        if isinstance(began, str) or isinstance(ended, str):
            trouble = began if isinstance(began, str) else ended
            return unknown(domain, source, f"no energy counter: {trouble}", seconds, "board")
        if ended < began:
            return unknown(domain, source, "the energy counter fell", seconds, "board")
        note = "energy counter; MI100 counts wrongly (ROCm/amdsmi issue 38)"
        return Reading(ended - began, seconds, "measured", domain, "board", source, note)

    def _joules(self, handle: Any) -> float | str:
        """The counter in joules, or why there is none."""
        try:
            answer = self._smi.amdsmi_get_energy_count(handle)
            ticks = answer.get("energy_accumulator", answer.get("power"))  # its name before ROCm 6.2
            return float(ticks) * float(answer["counter_resolution"]) / 1e6
        except Exception as error:
            return str(error) or type(error).__name__


class AppleMeter:
    """Joules of CPU, GPU, DRAM and Neural Engine of an Apple chip by IOReport, without sudo."""

    shortest_window_s = 1.0

    def __init__(self, module: Any = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._at, self.missing, self._monitor = clock, 0.0, "", None
        try:
            library = module if module is not None else import_module("zeus_apple_silicon")
            self._monitor = library.AppleEnergyMonitor()
        except ImportError:
            self.missing = "zeus-apple-silicon is not installed: pip install zeus-apple-silicon"
        except Exception as error:
            self.missing = f"IOReport cannot be used: {error}"

    def start(self) -> None:
        """Open a window."""
        self._at = self._clock()
        if self._monitor is not None:
            self._monitor.begin_window(_WINDOW)

    def stop(self) -> tuple[Reading, ...]:
        """Close the window."""
        seconds = self._clock() - self._at
        if self._monitor is None:
            return (unknown("soc", "IOReport", self.missing, seconds, "device"),)
        metrics = self._monitor.end_window(_WINDOW)
        found = []
        for domain, field in _APPLE:
            millijoules = getattr(metrics, field, None)
            if millijoules is None:
                found.append(unknown(domain, "IOReport", f"this chip shows no {domain}", seconds, "device"))
            else:
                note = "Apple's own model of its chip: its error is not published"
                found.append(Reading(millijoules / 1e3, seconds, "measured", domain, "device", "IOReport", note))
        return tuple(found)
