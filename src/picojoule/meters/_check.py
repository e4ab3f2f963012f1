"""A model run in ONNX Runtime beside what was predicted of it: time always, energy only where a sensor is."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Final

from picojoule.cost import Interval
from picojoule.levels import Estimate
from picojoule.quantity import InputError, format_quantity

from . import _ort
from ._find import NO_SENSOR, find_meters
from ._habits import runtime_interval
from ._measure import Measurement, measure
from ._reading import Label, Meter
from ._render import WIDTH
from ._timing import LEAST_PASSES, Bench, Timing, time_all

ENERGY_WINDOW_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """Prediction and measurement of one model on this machine. `as_run`: as the runtime would do it, see `habits`."""

    model: str
    estimate: Estimate
    timing: Timing
    as_run: Interval
    habits: tuple[str, ...]
    energy: Measurement
    runs_of_energy: int
    runtime: str

    @property
    def predicted_s(self) -> Interval:
        """Time by the level of the estimate, with its interval."""
        return self.estimate.cost.total_time_s

    @property
    def time_ratio(self) -> float:
        """Predicted over measured, with the runtime's habits."""
        return self.as_run.nominal / self.timing.best

    @property
    def predicted_label(self) -> Label:
        """Calibrated if the rates behind the time were measured on a machine, else of a data sheet."""
        machine = self.estimate.architecture
        rates = [machine.memories[0].bandwidth, *(peak for unit in machine.compute for peak in unit.peak.values())]
        measured = all(rate is not None and rate.provenance == "measured" for rate in rates)
        return "calibrated" if measured else "data sheet"

    @property
    def predicted_energy_label(self) -> Label:
        """Calibrated if every price that was used was measured, else of a data sheet."""
        prices = self.estimate.cost.prices.values()
        return "calibrated" if all(price.provenance == "measured" for price in prices) else "data sheet"

    @property
    def inside(self) -> bool:
        """Whether the measured time lies in the interval of the prediction with the runtime's habits."""
        return self.as_run.low <= self.timing.best <= self.as_run.high

    @property
    def measured_j(self) -> float | None:
        """Joules of one inference: all non-overlapping domains, None where a sensor is missing."""
        total = self.energy.total_joules
        return None if total is None else total / self.runs_of_energy

    @property
    def energy_label(self) -> Label:
        """What the measured energy is."""
        return "unknown" if self.measured_j is None else "measured"


def check(
    model: Path | str,
    estimate: Estimate,
    *,
    inputs: Mapping[str, Sequence[int]] | None = None,
    threads: int = 0,
    runs: int = 4,
    passes: int = LEAST_PASSES,
    meters: Sequence[Meter] | None = None,
    energy_window_s: float = ENERGY_WINDOW_S,
) -> Check:
    """Run `model` (ONNX) with random inputs and set time and energy beside `estimate`, made of the same file.

    `inputs` are the shapes the estimate was made with. The time is the least of `runs` · `passes`; the energy is that
    of a loop of at least `energy_window_s`, if any meter is there.
    """
    if not _ort.available():
        raise InputError("onnxruntime is not installed, so nothing can be run beside the prediction",
                         expected="pip install onnxruntime", example="picojoule check model.onnx --on here.yaml")  # fmt: skip
    ready = _session(model, threads)
    shapes = {name: estimate.workload.tensors[name].shape for name in estimate.workload.inputs}
    values = _ort.random_inputs(ready, {**shapes, **(inputs or {})})
    _compare_shapes(shapes, {name: value.shape for name, value in values.items()})
    bench = Bench("model", lambda: ready.run(None, values))
    timing = time_all([bench], runs=runs, passes=passes)["model"]
    chosen = find_meters() if meters is None else tuple(meters)
    n = max(1, round(energy_window_s / timing.best)) if chosen else 1
    energy = _energy(bench.call, n, chosen)
    return Check(str(Path(model).name), estimate, timing, *runtime_interval(estimate), energy, n,
                 f"onnxruntime {_ort.version()}, CPU, {threads or 'its own number of'} threads")  # fmt: skip


def _session(model: Path | str, threads: int) -> Any:
    if not Path(model).is_file():
        raise InputError(
            "no such file",
            where=str(model),
            expected="an ONNX file",
            example="picojoule check model.onnx --on here.yaml",
        )
    try:
        return _ort.session(str(model), threads)
    except Exception as error:  # onnxruntime's own classes
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"ONNX Runtime cannot load it: {first}", where=str(model),
                         expected="a model it runs") from None  # fmt: skip


def _compare_shapes(estimated: Mapping[str, Sequence[int]], run: Mapping[str, Sequence[int]]) -> None:
    for name, shape in run.items():
        if name in estimated and tuple(estimated[name]) != tuple(shape):
            raise InputError(f"{name!r} was estimated with the shape {tuple(estimated[name])} and would run with "
                             f"{tuple(shape)}", expected="the same shapes for both")  # fmt: skip


def _energy(call: Callable[[], object], n: int, meters: Sequence[Meter]) -> Measurement:
    if not meters:
        with measure(meters=()) as nothing:
            pass
        return nothing
    with measure("inferences", meters=meters, idle_s=ENERGY_WINDOW_S) as result:
        for _ in range(n):
            call()
    return result


def check_text(c: Check) -> str:
    """Prediction beside measurement, in at most 80 columns."""
    time, energy = c.predicted_s, c.estimate.cost.total_energy_j
    lines = [f"{c.model} on {c.estimate.architecture.title}"[:WIDTH], ""]
    lines += [f"{'':<8}{'predicted':>12}{'90 %':>24}{'measured':>14}   {'label':<10}"]
    lines += [_row("time", time.nominal, time, c.timing.best, "s", "measured")]
    if c.habits:
        lines += [_row("  as run", c.as_run.nominal, c.as_run, c.timing.best, "s", "measured")]
    lines += [_row("energy", energy.nominal, energy, c.measured_j, "J", c.energy_label), ""]
    notes = [f"predicted / measured time: {time.nominal / c.timing.best:.2f}, as run {c.time_ratio:.2f}; "
             "the measured time lies "
             f"{'inside' if c.inside else 'outside'} the interval as run",
             f"predicted time: {c.predicted_label}; predicted energy: {c.predicted_energy_label}",
             f"least of {len(c.timing.samples)} runs by {c.runtime}; interference {c.timing.interference:.2f}"]  # fmt: skip
    notes += [f"as run: {habit}" for habit in c.habits]
    if c.timing.interference > 1.3:
        notes.append("the machine was busy while this ran")
    notes += [NO_SENSOR if f.domain == "machine" else f"{f.domain}: {f.note}" for f in c.energy.figures]
    notes += c.estimate.notes
    for note in notes:
        lines += textwrap.wrap(note, WIDTH, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _row(what: str, predicted: float, bounds: Interval, measured: float | None, unit: str, label: str) -> str:
    between = f"{format_quantity(bounds.low, unit, 2)} … {format_quantity(bounds.high, unit, 2)}"
    shown = format_quantity(measured, unit) if measured is not None and isfinite(measured) else "unknown"
    return f"{what:<8}{format_quantity(predicted, unit):>12}{between:>24}{shown:>14}   {label:<10}"


def check_json(c: Check) -> dict[str, Any]:
    """The same as plain data in SI units; unknown is null."""
    time, energy = c.predicted_s, c.estimate.cost.total_energy_j
    return {
        "schema": "picojoule/check/1",
        "model": c.model,
        "hardware": c.estimate.architecture.name,
        "level": c.estimate.level,
        "runtime": c.runtime,
        "time_s": {
            "predicted": time.nominal,
            "predicted_label": c.predicted_label,
            "as_run": c.as_run.nominal,
            "as_run_low": c.as_run.low,
            "as_run_high": c.as_run.high,
            "low": time.low,
            "high": time.high,
            "measured": c.timing.best,
            "median": c.timing.median,
            "label": "measured",
            "interference": c.timing.interference,
            "inside": c.inside,
            "ratio": c.time_ratio,
        },
        "energy_j": {
            "predicted": energy.nominal,
            "predicted_label": c.predicted_energy_label,
            "low": energy.low,
            "high": energy.high,
            "measured": c.measured_j,
            "label": c.energy_label,
            "notes": [f.note for f in c.energy.figures],
        },
        "notes": [*c.habits, *c.estimate.notes],
    }
