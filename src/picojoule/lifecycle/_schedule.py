"""How training goes on: rates, sparsity and steps as functions of the step number."""

import math

from picojoule.quantity import InputError


def learning_rate(first: float, decay: float, every: int, step: int) -> float:
    """Staircase decay: first · decay ^ ⌊step / every⌋."""
    return first * decay ** (step // every)


def sparsity(final: float, progress: float) -> float:
    """Share of zeros at `progress` 0 … 1 of pruning: s_f · (1 − (1 − t)³).

    M. Zhu, S. Gupta, To prune, or not to prune, arXiv 1710.01878, equation 1 with s_0 = 0.
    """
    if not 0 <= progress <= 1:
        raise InputError(f"progress {progress:g}", expected="a share from 0 to 1", example="0.5")
    return final * (1 - (1 - progress) ** 3)


def momentum_gain(momentum: float) -> float:
    """What a constant gradient is multiplied by in the limit: Σ aᵏ = 1 / (1 − a), for |a| < 1."""
    if not abs(momentum) < 1:
        raise InputError(f"momentum {momentum:g}", expected="a number between -1 and 1", example="0.9")
    return 1 / (1 - momentum)


def descent_steps(kappa: float, tolerance: float) -> int:
    """Steps of gradient descent to ‖x‖ ≤ tolerance · ‖x₀‖ on ½ (x² + κ y²) from (1, 1).

    x ← (1 − η λ) x with the best constant η = 2 / (1 + κ): both factors are ∓ (κ − 1) / (κ + 1) in size.
    B. Polyak, Introduction to Optimization, 1987, section 1.4.
    """
    rate = 2 / (1 + kappa)
    x, y, steps = 1.0, 1.0, 0
    while math.hypot(x, y) > tolerance * math.sqrt(2):
        x, y, steps = x - rate * x, y - rate * kappa * y, steps + 1
    return steps


def heavy_ball_steps(kappa: float, tolerance: float) -> int:
    """As descent_steps, with momentum: x ← x − η λ x + β (x − x before).

    η = (2 / (√κ + 1))², β = ((√κ − 1) / (√κ + 1))². B. Polyak, Some methods of speeding up the convergence of
    iteration methods, 1964.
    """
    root = math.sqrt(kappa)
    rate, momentum = 4 / (root + 1) ** 2, ((root - 1) / (root + 1)) ** 2
    now, before, steps = (1.0, 1.0), (1.0, 1.0), 0
    while math.hypot(*now) > tolerance * math.sqrt(2):
        following = tuple(
            n - rate * c * n + momentum * (n - b) for n, b, c in zip(now, before, (1.0, kappa), strict=True)
        )
        before, now, steps = now, (following[0], following[1]), steps + 1
    return steps
