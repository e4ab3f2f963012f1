"""What a law leaves over on a device, as a smooth surface over shapes: kriging of the residuals.

    r(x) = Σ_j c_j · K(|x − x_j|),   K(d) = (1 + √3·d/ℓ)·exp(−√3·d/ℓ)

r is ln(measured / law). The centres x_j are chosen farthest first among the rows, so that they cover the shapes seen;
c solves the penalised least squares of a Gaussian process with those inducing points, rows weighted against outliers.
Far from every shape that was measured the surface returns to zero: the law alone speaks there.

G. Matheron, Economic Geology 58 (1963) 1246; J. Quiñonero-Candela, C. Rasmussen, JMLR 6 (2005) 1939.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_SCALE = 0.1  # a tenth in the logarithm: the width at which a residual starts to count less than its square


@dataclass(frozen=True, slots=True)
class Surface:
    """Centres (centres, axes), weights (centres), and the length ℓ in the units of the axes: octaves of shape."""

    centres: Array
    weights: Array
    length: float

    def at(self, places: Array) -> Array:
        """ln(measured / law) expected at each place."""
        if not len(self.weights):
            return np.zeros(len(places))
        return np.asarray(_kernel(places, self.centres, self.length) @ self.weights)

    def gap(self, places: Array) -> Array:
        """How far each place lies from the nearest centre; zero without a surface."""
        if not len(self.weights):
            return np.zeros(len(places))
        return np.asarray(np.sqrt(np.maximum(_squares(places, self.centres), 0)).min(axis=1))


def krige(places: Array, rest: Array, *, length: float = 4.0, noise: float = 0.1, most: int = 160) -> Surface:
    """The surface through residuals `rest` at `places`. `noise` is the variance of a row over that of the surface."""
    centres = places[_spread_out(places, length, most)]
    near, among = _kernel(places, centres, length), _kernel(centres, centres, length)
    weights: Array = np.ones(len(rest))
    found: Array = np.zeros(len(centres))
    for _ in range(3):
        system = near.T @ (weights[:, None] * near) + noise * among + 1e-8 * np.eye(len(centres))
        found = np.asarray(np.linalg.solve(system, near.T @ (weights * rest)), float)
        weights = np.asarray(1 / np.sqrt(1 + ((rest - near @ found) / _SCALE) ** 2), float)
    return Surface(centres, found, length)


def _kernel(a: Array, b: Array, length: float) -> Array:
    reach = np.sqrt(3 * np.maximum(_squares(a, b), 0)) / length
    return np.asarray((1 + reach) * np.exp(-reach))


def _squares(a: Array, b: Array) -> Array:
    return np.asarray((a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T)


def _spread_out(places: Array, length: float, most: int) -> list[int]:
    """Row numbers, each the farthest from those before it; rows at the same place count once."""
    first = int(np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1)))
    chosen, gap = [first], ((places - places[first]) ** 2).sum(axis=1)
    while len(chosen) < min(most, len(places)):
        farthest = int(np.argmax(gap))
        if gap[farthest] <= (1e-3 * length) ** 2:
            break
        chosen.append(farthest)
        gap = np.minimum(gap, ((places - places[farthest]) ** 2).sum(axis=1))
    return chosen
