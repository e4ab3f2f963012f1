"""A fully connected network in NumPy, trained for real: SGD, momentum, Adam; rising sparsity; mixed precision.

Mixed precision (Micikevicius et al., ICLR 2018): weights, activations and gradients are rounded to float16, dot products
add up in float32 as matrix units do, the master weights stay float32, the loss is scaled so that small gradients do not
vanish. Sparse training keeps the dense master too: the forward and backward pass see the largest weights only, the
gradient goes to all of them, the mask is drawn again as the share of zeros rises.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from picojoule.lifecycle import sparsity

Array = NDArray[np.float32]


@dataclass
class Network:
    """Weights [outputs, inputs] and biases of each layer; ReLU between layers."""

    weights: list[Array]
    biases: list[Array]

    @staticmethod
    def of(widths: Sequence[int], seed: int) -> "Network":
        """He initialisation: normal, variance 2 / inputs."""
        generator = np.random.default_rng(seed)
        pairs = list(pairwise(widths))
        return Network(
            [(generator.standard_normal((o, i)) * np.sqrt(2 / i)).astype(np.float32) for i, o in pairs],
            [np.zeros(o, np.float32) for _, o in pairs],
        )

    def __call__(self, x: Array) -> Array:
        """The outputs before the last non-linearity."""
        return self.layers(x)[-1]

    def layers(self, x: Array, half: bool = False) -> list[Array]:
        """What every layer gives, the input first."""
        values = [_rounded(x, half)]
        for n, (w, b) in enumerate(zip(self.weights, self.biases, strict=True), start=1):
            y = values[-1] @ w.T + b
            values.append(_rounded(np.maximum(y, 0) if n < len(self.weights) else y, half))
        return values

    @property
    def zeros(self) -> float:
        """Share of weights that are zero, biases left out."""
        return sum(int((w == 0).sum()) for w in self.weights) / sum(w.size for w in self.weights)


@dataclass
class Plan:
    """How to train. `final` is the share of zeros at the end, reached at 70 % of the steps."""

    epochs: int = 30
    batch: int = 32
    optimiser: str = "momentum"
    rate: float = 0.05
    final: float = 0.0
    mixed: bool = False
    loss: str = "softmax"


@dataclass
class History:
    """What happened: loss by epoch, share of zeros by epoch, steps left out because a scaled gradient overflowed."""

    losses: list[float] = field(default_factory=list)
    zeros: list[float] = field(default_factory=list)
    skipped: int = 0
    steps: int = 0


def train(net: Network, x: Array, y: NDArray[np.integer], plan: Plan, seed: int,
          done: Callable[[Network], bool] = lambda _: False) -> tuple[Network, History]:  # fmt: skip
    """The trained network, zeros in place, and its history. `done` is asked after every epoch."""
    generator = np.random.default_rng(seed)
    update, history, scale, good = _Update(net, plan), History(), 1024.0, 0
    steps = plan.epochs * -(-len(x) // plan.batch)
    masks = [np.ones_like(w, dtype=bool) for w in net.weights]
    for _ in range(plan.epochs):
        order, total = generator.permutation(len(x)), 0.0
        for start in range(0, len(x), plan.batch):
            rows = order[start : start + plan.batch]
            progress = min(1.0, history.steps / (0.7 * steps))
            if plan.final and history.steps % 10 == 0 and history.steps <= 0.7 * steps + 10:
                masks = [mask_of(w, sparsity(plan.final, progress)) for w in net.weights]
            seen = Network([_rounded(w * m, plan.mixed) for w, m in zip(net.weights, masks, strict=True)],
                           [_rounded(b, plan.mixed) for b in net.biases])  # fmt: skip
            with np.errstate(over="ignore", invalid="ignore"):  # an overflow is seen below, and the step left out
                loss, gradients = backward(seen, x[rows], y[rows], plan, scale if plan.mixed else 1.0)
            total += loss * len(rows)
            history.steps += 1
            if not all(np.isfinite(g).all() for g in gradients):
                scale, good, history.skipped = scale / 2, 0, history.skipped + 1
                continue
            update(gradients)
            good += 1
            if plan.mixed and good == 200:
                scale, good = scale * 2, 0
        history.losses.append(total / len(x))
        history.zeros.append(1 - sum(int(m.sum()) for m in masks) / sum(m.size for m in masks))
        if done(net):
            break
    return Network([w * m for w, m in zip(net.weights, masks, strict=True)], net.biases), history


def backward(net: Network, x: Array, y: NDArray[np.integer], plan: Plan, scale: float) -> tuple[float, list[Array]]:
    """Mean loss of the rows, and its gradient: of the weights, then of the biases. `y` are classes, or bits [n, k]."""
    half = plan.mixed
    values = net.layers(x, half)
    scores = values[-1].astype(np.float32)
    if plan.loss == "softmax":
        shifted = scores - scores.max(axis=1, keepdims=True)
        chance = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
        target = np.eye(scores.shape[1], dtype=np.float32)[y]
        loss = -float(np.log(np.maximum(chance[np.arange(len(y)), y], 1e-30)).mean())
    else:  # one sigmoid for each output
        chance, target = 1 / (1 + np.exp(-np.clip(scores, -60, 60))), y.astype(np.float32)
        loss = float((np.logaddexp(0, scores) - target * scores).sum(axis=1).mean())
    delta = _rounded((chance - target) * np.float32(scale / len(x)), half)
    of_weights: list[Array] = []
    of_biases: list[Array] = []
    for n in range(len(net.weights) - 1, -1, -1):
        of_weights.insert(0, _rounded(delta.T @ values[n], half) / np.float32(scale))
        of_biases.insert(0, _rounded(delta.sum(axis=0), half) / np.float32(scale))
        if n:
            delta = _rounded((delta @ net.weights[n]) * (values[n] > 0), half)
    return loss, [*of_weights, *of_biases]


def mask_of(weight: Array, zeros: float) -> NDArray[np.bool_]:
    """True for the weights to keep: all but the share `zeros` of smallest size."""
    kept = np.ones(weight.size, dtype=bool)
    drop = round(zeros * weight.size)
    if drop:
        kept[np.argpartition(np.abs(weight).reshape(-1), drop - 1)[:drop]] = False
    return kept.reshape(weight.shape)


class _Update:
    """The optimiser: w ← w − η · step, its state beside every parameter."""

    def __init__(self, net: Network, plan: Plan) -> None:
        if plan.optimiser not in ("sgd", "momentum", "adam"):
            raise ValueError(f"no optimiser {plan.optimiser!r}; for example momentum")
        self.parameters, self.plan, self.step = [*net.weights, *net.biases], plan, 0
        self.first = [np.zeros_like(p) for p in self.parameters]
        self.second = [np.zeros_like(p) for p in self.parameters]

    def __call__(self, gradients: Sequence[Array]) -> None:
        self.step += 1
        rate = np.float32(self.plan.rate)
        for index, gradient in enumerate(gradients):
            self.parameters[index] -= rate * self._direction(index, gradient)

    def _direction(self, index: int, gradient: Array) -> Array:
        if self.plan.optimiser == "sgd":
            return gradient
        first, second = self.first[index], self.second[index]
        if self.plan.optimiser == "momentum":
            first *= np.float32(0.9)
            first += gradient
            return first
        # Kingma and Ba 2015, with their constants
        first += np.float32(0.1) * (gradient - first)
        second += np.float32(0.001) * (gradient * gradient - second)
        mean, square = first / np.float32(1 - 0.9**self.step), second / np.float32(1 - 0.999**self.step)
        return np.asarray(mean / (np.sqrt(square) + np.float32(1e-8)), np.float32)


def _rounded(x: Array, half: bool) -> Array:
    return x.astype(np.float16).astype(np.float32) if half else x
