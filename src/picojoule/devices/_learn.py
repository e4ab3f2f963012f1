"""From measurements to a device: robust least squares in logarithms under a prior, then the surface of what is left.

Where the rows of a device say little, the prior speaks. `learn` gives evidence that owes nothing to other devices: its
prior is the law's start, twice as wide. `calibrate` fits under what all devices say: twelve rows are enough to help.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._evidence import Evidence, Knowledge, first, power_for_work, traits
from ._law import Array, Law, Rows
from ._sheet import Sheet
from ._solve import Prior, solve, uncertainty
from ._surface import Surface, krige

_ENOUGH = 500  # rows that settle a dozen parameters; the surface uses more
_SURFACE_ROWS = 3000
_LEAST_SURFACE = 40


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows of one class on one device in one number format, with what was measured: seconds, or watts for power.

    `host` says that every call was launched by the host, not replayed from a captured graph.
    """

    rows: Rows
    value: Array
    sheet: Sheet
    dtype: str
    host: bool = False

    def take(self, chosen: NDArray[Any]) -> "Measured":
        """The rows at the positions or under the mask `chosen`."""
        return Measured({k: np.asarray(v)[chosen] for k, v in self.rows.items()}, self.value[chosen], self.sheet,
                        self.dtype, self.host)  # fmt: skip

    def some(self, most: int) -> "Measured":
        """At most `most` rows, the same ones each time."""
        if len(self.value) <= most:
            return self
        return self.take(np.sort(np.random.default_rng(0).permutation(len(self.value))[:most]))


def learn(law: Law, data: Measured, *, stack: str, source: str = "", where: str = "", centres: int = 160) -> Evidence:
    """Evidence of one device and library, fitted without any other."""
    mean, sigma = first(law)
    return _evidence(law, data, Prior(mean, 2 * sigma), stack, source, where, centres)


def calibrate(
    known: Knowledge, data: Measured, *, stack: str, source: str = "", where: str = "", centres: int = 160
) -> Evidence:
    """As `learn`, under the prior of all devices: for few rows."""
    prior = known.prior(data.sheet, data.dtype, host=data.host)
    return _evidence(known.law, data, prior, stack, source, where, centres)


def predict_by(law: Law, theta: Array, surface: Surface | None, rows: Rows, sheet: Sheet, dtype: str) -> Array:
    """Seconds (watts) of each row by parameters and surface."""
    found = law.prepare(rows, sheet, dtype)(theta)
    return found if surface is None else np.asarray(found * np.exp(surface.at(law.place(rows, sheet))))


def _evidence(law: Law, data: Measured, prior: Prior, stack: str, source: str, where: str, centres: int) -> Evidence:
    few = data.some(_ENOUGH)
    time = law.prepare(few.rows, few.sheet, few.dtype)
    theta = solve(time, few.value, prior.mean, law.low, law.high, prior=prior)
    sigma = uncertainty(time, few.value, theta, prior)
    return Evidence(law.name, data.sheet.name, stack, data.dtype, traits(data.sheet), power_for_work(data.sheet, data.dtype),
                    theta, sigma, _surface(law, data, theta, centres), len(data.value), data.host, source, where)  # fmt: skip


def _surface(law: Law, data: Measured, theta: Array, centres: int) -> Surface:
    """The surface of the residuals; none for few rows, or for power, whose residuals belong to the meter."""
    width = law.place({k: v[:1] for k, v in data.rows.items()}, data.sheet).shape[1]
    if len(data.value) < _LEAST_SURFACE or law.family == "power":
        return Surface(np.zeros((0, width)), np.zeros(0), 1.0)
    many = data.some(_SURFACE_ROWS)
    rest = np.log(many.value / law.prepare(many.rows, many.sheet, many.dtype)(theta))
    return krige(law.place(many.rows, many.sheet), rest, most=centres)
