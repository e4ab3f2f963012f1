"""Scores: what a prediction misses, and what simpler ones miss on the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picojoule.devices import LAWS, POWERS, Evidence, Knowledge, Law, Measured, gather, predict_by
from picojoule.devices._evidence import power_for_work
from picojoule.devices._laws import family
from picojoule.devices._power import maximum_w
from picojoule.devices._store import knowledge, measured_on, sort_of

from ._sets import Set

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """n rows; mean and median absolute error of measured, in per cent; bias of the geometric mean, in per cent."""

    rows: int
    mean: float
    median: float
    bias: float


def score(predicted: Array, measured: Array) -> Score:
    """Errors relative to the measured value."""
    ratio = np.asarray(predicted) / np.asarray(measured)
    wrong = 100 * np.abs(ratio - 1)
    return Score(
        len(ratio), float(wrong.mean()), float(np.median(wrong)), float(100 * (np.exp(np.log(ratio).mean()) - 1))
    )


def law_of_set(one: Set) -> Law:
    """The law that predicts a set."""
    return POWERS[one.kind] if one.kind in POWERS else LAWS[one.kind]


def calibrated(one: Set, data: Measured) -> Array | None:
    """By what was fitted on other shapes of the same device and library; None where nothing was."""
    law = law_of_set(one)
    seen = measured_on(law, one.device, data.dtype, one.stack)
    return None if seen is None else predict_by(law, seen.theta, seen.surface, data.rows, data.sheet, data.dtype)


def gap(one: Set, data: Measured) -> Array:
    """How far each row lies from the shapes that were fitted; zero where nothing was."""
    law = law_of_set(one)
    seen = measured_on(law, one.device, data.dtype, one.stack)
    return np.zeros(len(data.value)) if seen is None else seen.surface.gap(law.place(data.rows, data.sheet))


def by_sheet(one: Set, data: Measured, also_without: frozenset[str] = frozenset()) -> Array | None:
    """By the data sheet and the other devices alone; None where no other device was measured."""
    known = knowledge(law_of_set(one), data.dtype, without=also_without | {one.device}, sort=sort_of(one.stack))
    return None if not known.evidence else from_knowledge(known, data)


def from_knowledge(known: Knowledge, data: Measured) -> Array:
    """The prior's mean, and what other devices left over where they are alike."""
    theta = known.prior(data.sheet, data.dtype, host=data.host).mean
    found = known.law.prepare(data.rows, data.sheet, data.dtype)(theta)
    return np.asarray(found * np.exp(known.left_over(data.rows, data.sheet)))


def roofline(one: Set, data: Measured) -> Array:
    """max(operations / peak, bytes / bandwidth) of the sheet, of links for collectives; for power, the maximum power."""
    law = law_of_set(one)
    if law.family == "power":
        return np.full(len(data.value), maximum_w(data.sheet))
    operations, size = law.work(data.rows, data.dtype)
    from picojoule.devices._law import number_format

    if law.family == "collective":
        return np.asarray(size / (data.sheet.link_bytes_per_s or np.nan))
    compute = operations / data.sheet.peak(number_format(data.dtype).peak) if operations.any() else 0.0
    return np.asarray(np.maximum(compute, size / data.sheet.bandwidth_bytes_per_s))


def others(evidence: Sequence[Evidence], law: Law, device: str, dtype: str) -> Knowledge:
    """Knowledge from fresh evidence without a device."""
    same = [e for e in evidence if e.law == law.name and e.device != device and family(e.dtype) == family(dtype)]
    return gather(law, same or [e for e in evidence if e.law == law.name and e.device != device])


__all__ = [
    "Score",
    "by_sheet",
    "calibrated",
    "from_knowledge",
    "gap",
    "law_of_set",
    "others",
    "power_for_work",
    "roofline",
    "score",
]
