"""Energy of one token, or one sample, by batch: estimated, predicted where a device law exists, measured where published."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from picojoule.cost import Interval
from picojoule.levels import Estimate, held, main_dtype
from picojoule.quantity import InputError

if TYPE_CHECKING:
    from picojoule.devices import Published, Step, Total


@dataclass(frozen=True, slots=True)
class Predicted:
    """Joules by the device's laws; bounds are None where no held-out measurement stands behind them."""

    energy_j: float
    low_j: float | None
    high_j: float | None


@dataclass(frozen=True, slots=True)
class AtBatch:
    """One batch: estimate with its 90 % interval, and prediction, both of one token or sample [J]."""

    batch: int
    estimated: Interval
    predicted: Predicted | None


@dataclass(frozen=True, slots=True)
class Batches:
    """One model on one machine over batches, smallest first.

    `token`: each item is a token of a decode step, which sees `context` tokens, and a prediction holds kernels and serving
    software without prompts of new requests; else it is a sample, and a prediction the kernels run one by one. `why` says
    why there is no prediction, empty where there is. `measured` are the published points of this very model, machine and
    format.
    """

    model: str
    device: str
    title: str
    token: bool
    context: int | None
    points: tuple[AtBatch, ...]
    measured: "tuple[Published, ...]"
    why: str


def by_batch(estimates: Sequence[Estimate], phase: str, limit_w: float | None = None) -> tuple[Batches, ...]:
    """One curve for each model and machine that `estimates` hold at two batches or more.

    Under a power limit `limit_w` nothing measured is shown: what is published ran without. Raises InputError for a limit
    that the machine cannot be held to.
    """
    groups: dict[tuple[str, str], list[Estimate]] = {}
    for estimate in estimates:
        groups.setdefault((estimate.workload.name, estimate.architecture.name), []).append(estimate)
    return tuple(
        _curve(found, phase, limit_w) for found in groups.values() if len({e.workload.batch for e in found}) > 1
    )


def _curve(estimates: Sequence[Estimate], phase: str, limit_w: float | None) -> Batches:
    from picojoule.devices import published

    ordered = sorted({e.workload.batch: e for e in estimates}.values(), key=lambda e: e.workload.batch)
    first, token = ordered[0], phase == "decode"
    points, reasons = [], []
    for estimate in ordered:
        predicted, reason = _predicted(estimate, token, limit_w)
        reasons.append(reason)
        n = estimate.workload.batch
        energy = estimate.cost.total_energy_j if limit_w is None else held(estimate, limit_w).energy_j
        points.append(AtBatch(n, Interval(energy.nominal / n, energy.low / n, energy.high / n), predicted))
    name, machine = first.workload.name, first.architecture
    measured = published(name, machine.name, main_dtype(first.workload), phase) if limit_w is None else ()
    return Batches(name, machine.name, machine.title, token, _context(first) if token else None, tuple(points), measured,
                   next(filter(None, reasons), ""))  # fmt: skip


def _predicted(estimate: Estimate, token: bool, limit_w: float | None) -> tuple[Predicted | None, str]:
    """By the laws of this device, of whole served steps where each item is a token; or None, and why."""
    from picojoule.devices import calls, served, sheet, step, total

    n = estimate.workload.batch
    try:
        about = sheet(estimate.architecture)
        if token:
            found: Step | Total = step(served(estimate.workload), about, batch=n, limit_w=limit_w)
        else:
            found = total([call for _, call in calls(estimate.workload)], about, limit_w=limit_w)
    except InputError as fault:  # not a device with laws: the estimate stands alone, and says why
        return None, fault.what
    joules = (found.energy_j, found.energy_low_j, found.energy_high_j)
    energy, low, high = (None if j is None else j / n for j in joules)
    if energy is None:
        return None, f"the maximum power of {about.name} is unknown"
    return Predicted(energy, low, high), ""


def _context(estimate: Estimate) -> int | None:
    """Tokens in sight of a decode step: the longest keys that any attention reads."""
    lengths = [o.extents["n"] for o in estimate.workload.operators if o.op == "attention_scores"]
    return max(lengths, default=None)
