"""Priced activities: energy and time per operator in every draw, so that sums and ratios stay honest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picojoule.hardware import Action
from picojoule.quantity import Value

from ._activity import Activity

Draws = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A nominal value and its 90 % interval."""

    nominal: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Energy and time of the operators of one run. Column 0 is nominal; column k is the same world everywhere.

    energy_j, time_s: (operators, 1 + draws). `prices` and `rates` are the values that were used.
    """

    activities: tuple[Activity, ...]
    energy_j: Draws
    time_s: Draws
    actions: tuple[Action, ...]
    prices: Mapping[Action, Value]
    price_keys: Mapping[Action, str]
    rates: Mapping[str, Value]
    scope: str
    seed: int

    @property
    def total_energy_j(self) -> Interval:
        """Energy of the whole run [J]."""
        return interval(self.energy_j.sum(axis=0))

    @property
    def total_time_s(self) -> Interval:
        """Time of the whole run [s], operators one after another."""
        return interval(self.time_s.sum(axis=0))

    @property
    def counts(self) -> dict[Action, int]:
        """How often each action happened in the whole run."""
        totals: dict[Action, int] = {}
        for activity in self.activities:
            for action, count in activity.counts.items():
                totals[action] = totals.get(action, 0) + count
        return totals

    def energy_by_action(self) -> dict[Action, NDArray[np.float64]]:
        """Nominal energy [J] of each operator, by action: values of shape (operators,)."""
        by_action: dict[Action, NDArray[np.float64]] = {}
        for action in self.actions:
            unit = self.prices[action].nominal
            if action[0] == "static":
                by_action[action] = self.time_s[:, 0] * unit
            else:
                by_action[action] = np.array([float(a.counts.get(action, 0)) * unit for a in self.activities])
        return by_action


def interval(draws: NDArray[np.float64]) -> Interval:
    """Nominal and 5 %, 95 % quantiles of `draws` (1 + n,), whose first element is nominal."""
    if len(draws) == 1:
        return Interval(float(draws[0]), float(draws[0]), float(draws[0]))
    low, high = np.quantile(draws[1:], (0.05, 0.95))
    return Interval(float(draws[0]), float(low), float(high))


def ratio(a: Sequence[float] | NDArray[np.float64], b: Sequence[float] | NDArray[np.float64]) -> Interval:
    """a / b draw by draw. Shared draws cancel what both have in common; both must come from the same seed."""
    return interval(np.asarray(a, dtype=float) / np.asarray(b, dtype=float))
