"""When to start a job that can wait: carbon of its energy over the hours of the day, or the peak it adds to.

Profiles are constant within an hour and repeat every day, so the best start has one end of the job on a full hour: those
starts are all tried, and the answer is exact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from picojoule.quantity import InputError

from ._data import Profile

Objective = Literal["carbon", "peak"]


@dataclass(frozen=True, slots=True)
class Window:
    """One start, in hours from midnight: carbon [kg], its range over the days of the year, and the peak [W]."""

    start_h: float
    carbon_kg: float
    low_kg: float
    high_kg: float
    peak_w: float


@dataclass(frozen=True, slots=True)
class Shift:
    """The best and the worst start of a job of constant power. `flat_kg` is the carbon of the power for 24 hours."""

    profile: Profile
    power_w: float
    hours: float
    objective: Objective
    best: Window
    worst: Window
    flat_kg: float

    @property
    def saved(self) -> float:
        """Share of the worst start's carbon, or peak, that the best one saves."""
        pairs = {"carbon": (self.best.carbon_kg, self.worst.carbon_kg), "peak": (self.best.peak_w, self.worst.peak_w)}
        best, worst = pairs[self.objective]
        return 1 - best / worst


def shift(power_w: float, hours: float, profile: Profile, *, earliest_h: float = 0.0, deadline_h: float | None = None,
          base_w: Sequence[float] = (), objective: Objective = "carbon") -> Shift:  # fmt: skip
    """Best and worst start of a job of `power_w` and `hours`, from `earliest_h` on and done by `deadline_h`.

    Without a deadline any start of the day will do, also over midnight; a deadline beyond 24 is on a later day.
    `base_w` is the load of the others by hour, for the peak.
    """
    if not (math.isfinite(power_w) and power_w > 0 and math.isfinite(hours) and 0 < hours <= 24 * 366):
        raise InputError(f"a job of {power_w:g} W and {hours:g} h", expected="a power and a time above 0, a year at most",
                         example="1 MW for 4 h")  # fmt: skip
    if objective not in ("carbon", "peak"):
        raise InputError(f"no objective {objective!r}", expected="carbon or peak", example="carbon")
    if base_w and len(base_w) != 24:
        raise InputError(f"the base load has {len(base_w)} hours", expected="24 numbers in W")
    if not (math.isfinite(earliest_h) and 0 <= earliest_h < 24):
        raise InputError(f"the earliest start is {earliest_h:g} h", expected="an hour from 0 to 24", example="18")
    starts = _starts(hours, earliest_h, deadline_h)
    windows = [_window(start, hours, power_w, profile, base_w) for start in starts]
    rank = (lambda w: w.carbon_kg) if objective == "carbon" else (lambda w: (w.peak_w, w.carbon_kg))
    flat = power_w / 1e3 * sum(profile.mean) / 1e3
    return Shift(profile, power_w, hours, objective, min(windows, key=rank), max(windows, key=rank), flat)


def _starts(hours: float, earliest: float, deadline: float | None) -> list[float]:
    """All starts that can be best: the ends of the window, and those with one end of the job on a full hour."""
    last = earliest + 24 if deadline is None else deadline - hours
    if deadline is not None and not (math.isfinite(deadline) and last >= earliest - 1e-9):
        raise InputError(
            f"a job of {hours:g} h that may start at {earliest:g} h cannot be done by {deadline:g} h",
            where="shift", expected=f"a deadline of {earliest + hours:g} h or later; 24 and more is the next day",
            example=f"deadline_h={math.ceil(earliest + hours):g}",
        )  # fmt: skip
    last = max(earliest, min(last, earliest + 24))
    whole = range(math.ceil(earliest), math.floor(last) + 1)
    ends = range(math.ceil(earliest + hours), math.floor(last + hours) + 1)
    found = {earliest, *map(float, whole), *(end - hours for end in ends)}
    if deadline is not None:
        found.add(last)
    elif len(found) > 1:
        found.discard(earliest + 24)  # the same hour of the next day
    return sorted(start for start in found if earliest <= start <= last)


def _window(start: float, hours: float, power_w: float, profile: Profile, base_w: Sequence[float]) -> Window:
    weights = overlap(start, hours)
    energy_mwh = power_w / 1e6
    mean, low, high = (
        energy_mwh * math.fsum(part * grams for part, grams in zip(weights, series, strict=True))
        for series in (profile.mean, profile.p5, profile.p95)
    )
    busy = [power_w if part > 0 else 0.0 for part in weights]
    peak = max(a + b for a, b in zip(busy, base_w or [0.0] * 24, strict=True))
    return Window(start % 24, mean, low, high, peak)


def overlap(start: float, hours: float) -> list[float]:
    """Hours that a run from `start` spends in each hour of the day."""
    days, rest = divmod(hours, 24)
    found = [days] * 24
    start, left = start % 24, rest
    hour = int(start)
    while left > 1e-12:
        part = min(left, hour + 1 - start)
        found[hour % 24] += part
        left -= part
        hour += 1
        start = float(hour)
    return found
