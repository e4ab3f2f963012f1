"""Zeus and CodeCarbon as meters, for those who have them: optional extras, imported when a meter is made, or faked.

CodeCarbon fills gaps with TDP tables and watts per memory slot; such figures are labelled "data sheet" here.
"""

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from picojoule.quantity import Scope

from ._reading import Label, Reading, unknown

_JOULES_PER_KWH: Final = 3.6e6
# Modes in which CodeCarbon reads a sensor of the CPU; in every other it multiplies a TDP.
_SENSED: Final = ("intel_rapl", "intel_power_gadget", "windows_emi")


class ZeusMeter:
    """Joules by zeus.monitor.ZeusMonitor: GPUs, and CPU and DRAM where its daemon or root lets it read them."""

    shortest_window_s = 2.0

    def __init__(self, module: Any = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._at, self.missing, self._monitor = clock, 0.0, "", None
        try:
            library = module if module is not None else import_module("zeus.monitor")
            self._monitor = library.ZeusMonitor()
        except ImportError:
            self.missing = "Zeus is not installed: pip install zeus"
        except Exception as error:
            self.missing = f"Zeus cannot start: {error}"

    def start(self) -> None:
        """Open a window."""
        self._at = self._clock()
        if self._monitor is not None:
            self._monitor.begin_window("picojoule", sync_execution=False)

    def stop(self) -> tuple[Reading, ...]:
        """Close the window."""
        seconds = self._clock() - self._at
        if self._monitor is None:
            return (unknown("zeus", "Zeus", self.missing, seconds),)
        window = self._monitor.end_window("picojoule", sync_execution=False)
        found = []
        scopes: tuple[tuple[str, Scope], ...] = (("gpu", "board"), ("cpu", "device"), ("dram", "device"))
        for kind, scope in scopes:
            energies = getattr(window, f"{kind}_energy", None)
            if kind == "gpu" and energies == {}:
                continue  # there is none
            if not energies:
                found.append(unknown(kind, "Zeus", f"Zeus reads no {kind} here", seconds))
                continue
            found += [
                Reading(float(joules), seconds, "measured", f"{kind}-{index}", scope, "Zeus", "by Zeus")
                for index, joules in energies.items()
            ]
        return tuple(found)


class CodeCarbonMeter:
    """Joules by codecarbon.OfflineEmissionsTracker, each labelled by how CodeCarbon came to it."""

    shortest_window_s = 2.0

    def __init__(self, module: Any = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._at, self.missing = clock, 0.0, ""
        self._tracker: Any = None
        try:
            self._library = module if module is not None else import_module("codecarbon")
        except ImportError:
            self.missing = "CodeCarbon is not installed: pip install codecarbon"

    def start(self) -> None:
        """Open a window."""
        self._at = self._clock()
        if self.missing:
            return
        self._tracker = self._library.OfflineEmissionsTracker(
            country_iso_code="USA", measure_power_secs=1, save_to_file=False, log_level="error"
        )
        self._tracker.start()
        self._at = self._clock()  # the tracker takes a second or two to be made

    def stop(self) -> tuple[Reading, ...]:
        """Close the window."""
        tracker = self._tracker
        if tracker is None:
            return (unknown("codecarbon", "CodeCarbon", self.missing or "never started", self._clock() - self._at),)
        seconds = self._clock() - self._at
        tracker.stop()
        data, sensed = tracker.final_emissions_data, _cpu_is_sensed(tracker)
        found = [
            _figure("cpu", data.cpu_energy, sensed, seconds, "a TDP from a table: no sensor was read"),
            _figure("ram", data.ram_energy, False, seconds, "constant watts per memory slot: no sensor was read"),
        ]
        if _has_gpu(tracker) or data.gpu_energy:
            found.append(_figure("gpu", data.gpu_energy, True, seconds, ""))
        return tuple(found)


def _figure(domain: str, kwh: float | None, sensed: bool, seconds: float, why: str) -> Reading:
    source = f"CodeCarbon {domain}"
    if not kwh:
        return unknown(domain, source, f"CodeCarbon has no {domain} energy (it writes 0 where it has none)", seconds)
    label: Label = "measured" if sensed else "data sheet"
    return Reading(kwh * _JOULES_PER_KWH, seconds, label, domain, "device", source, "by CodeCarbon" if sensed else why)


def _has_gpu(tracker: Any) -> bool:
    return any(type(part).__name__ == "GPU" for part in getattr(tracker, "_hardware", ()))


def _cpu_is_sensed(tracker: Any) -> bool:
    """Whether CodeCarbon's CPU figure comes from a sensor; what cannot be told is taken as not."""
    parts = getattr(tracker, "_hardware", ())
    return any(type(part).__name__ == "CPU" and getattr(part, "_mode", "") in _SENSED for part in parts)
