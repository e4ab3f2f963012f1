"""Robust non-linear least squares in logarithms, with bounds and priors: what every fit of a device uses.

    minimise  Σ_i ρ(((ln f_i(θ) − ln y_i) / s)²)  +  Σ_j ((θ_j − μ_j) / σ_j)²,      ρ(z) = 2·(√(1 + z) − 1)

θ are logarithms of the parameters, kept between bounds. ρ grows like |r| for wrong rows, so a neighbour's kernel or a
mistyped row cannot pull the fit. Levenberg (1944) and Marquardt (1963), with weights 1/√(1 + z) renewed in each step
and derivatives by differences. Nothing here knows a device.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SCALE = 0.1  # a tenth in the logarithm: the width at which a residual starts to count less than its square


@dataclass(frozen=True, slots=True)
class Prior:
    """Where parameters are expected before any row is seen: mean and standard deviation in logarithms."""

    mean: Array
    sigma: Array


def solve(
    model: Callable[[Array], Array],
    measured: Array,
    start: Array,
    low: Array,
    high: Array,
    *,
    prior: Prior | None = None,
    steps: int = 60,
) -> Array:
    """Logarithms of the parameters that fit `model(θ)` [any unit] to `measured`, from `start`, between bounds."""
    log_y = np.log(measured)

    def residuals(theta: Array) -> Array:
        rows = (np.log(np.maximum(model(theta), 1e-300)) - log_y) / SCALE
        return rows if prior is None else np.concatenate([rows, (theta - prior.mean) / prior.sigma])

    theta = np.clip(np.asarray(start, float), low, high)
    rest = residuals(theta)
    loss, damping = _loss(rest, len(log_y)), 1e-2
    for _ in range(steps):
        jacobian = _jacobian(residuals, theta, rest, high)
        weights = np.ones(len(rest))
        weights[: len(log_y)] = 1 / np.sqrt(1 + rest[: len(log_y)] ** 2)
        normal = jacobian.T @ (weights[:, None] * jacobian)
        slope = jacobian.T @ (weights * rest)
        before = loss
        for _ in range(8):
            step = _step(normal, slope, damping, theta, low, high)
            tried = np.clip(theta - step, low, high)
            rest_tried = residuals(tried)
            loss_tried = _loss(rest_tried, len(log_y))
            if loss_tried < loss:
                theta, rest, loss, damping = tried, rest_tried, loss_tried, max(damping / 5, 1e-9)
                break
            damping *= 6
        if before - loss <= 1e-6 * max(before, 1e-12):
            break
    return np.asarray(theta)


def _loss(rest: Array, rows: int) -> float:
    robust = 2 * (np.sqrt(1 + rest[:rows] ** 2) - 1)
    return float(robust.sum() + (rest[rows:] ** 2).sum())


def _jacobian(residuals: Callable[[Array], Array], theta: Array, rest: Array, high: Array) -> Array:
    columns = []
    for j in range(len(theta)):
        moved = theta.copy()
        move = 1e-4 if theta[j] + 1e-4 <= high[j] else -1e-4
        moved[j] += move
        columns.append((residuals(moved) - rest) / move)
    return np.stack(columns, axis=1)


def _step(normal: Array, slope: Array, damping: float, theta: Array, low: Array, high: Array) -> Array:
    """The damped step in the parameters that are free: one at a bound with the slope pointing out stays."""
    free = ~(((theta <= low) & (slope > 0)) | ((theta >= high) & (slope < 0)))
    step = np.zeros(len(theta))
    if free.any():
        part = normal[np.ix_(free, free)]
        scale = np.diag(np.maximum(np.diag(part), 1e-8))
        step[free] = np.linalg.lstsq(part + damping * scale, slope[free], rcond=None)[0]
    return np.clip(step, -1.5, 1.5)


def uncertainty(model: Callable[[Array], Array], measured: Array, theta: Array, prior: Prior) -> Array:
    """Standard deviation of each parameter's logarithm, from the curvature at the fit (Laplace) and the rows' scatter.

    A parameter that the rows do not touch keeps the prior's.
    """
    rest = np.log(np.maximum(model(theta), 1e-300) / measured)
    columns = []
    for j in range(len(theta)):
        moved = theta.copy()
        moved[j] += 1e-4
        columns.append((np.log(np.maximum(model(moved), 1e-300) / measured) - rest) / 1e-4)
    jacobian = np.stack(columns, axis=1)
    scatter = max(float(np.quantile(np.abs(rest), 0.68)), 1e-3)
    curvature = jacobian.T @ jacobian / scatter**2 + np.diag(1 / prior.sigma**2)
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(curvature))))
