"""Plain numbers per word and per MAC: joules, or cycles of a port, or any mix. Nothing physical lives here."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._accelerator import Accelerator
from ._problem import Problem
from ._traffic import Action, Key, Traffic


@dataclass(frozen=True, slots=True)
class Weights:
    """What a MAC costs and what a word costs by (level, role, action); none may be negative.

    `joules` says that the numbers are joules, so that `energy_j` may be printed.
    """

    mac: float
    words: tuple[tuple[Key, float], ...]
    joules: bool = False

    @property
    def table(self) -> Mapping[Key, float]:
        """(level, role, action) to weight."""
        return dict(self.words)


def per_level(
    accelerator: Accelerator, mac: float, read: Mapping[str, float], write: Mapping[str, float], *, joules: bool = False
) -> Weights:
    """The same weight for every role of a level: `read` and `write` by level; an update is a write."""
    words: list[tuple[Key, float]] = []
    actions: tuple[Action, ...] = ("read", "write", "update")
    for level in accelerator.levels:
        for role in level.keeps:
            for action in actions:
                words.append(((level.name, role, action), (read if action == "read" else write)[level.name]))
    return Weights(mac, tuple(words), joules)


def cost(problem: Problem, traffic: Traffic, weights: Weights) -> float:
    """MACs · weight + sum of words · weight."""
    table = weights.table
    return problem.macs * weights.mac + sum(count * table.get(key, 0.0) for key, count in traffic.counts.items())


@dataclass(frozen=True, slots=True)
class Prices:
    """Weights as arrays [level, operand], one table per action; the form in which the search reads them."""

    mac: float
    read: npt.NDArray[np.float64]
    write: npt.NDArray[np.float64]
    update: npt.NDArray[np.float64]

    def of(self, action: str) -> npt.NDArray[np.float64]:
        """The table of one action."""
        return {"read": self.read, "write": self.write, "update": self.update}[action]


def prices(problem: Problem, accelerator: Accelerator, weights: Weights) -> Prices:
    """The arrays of a set of weights; a weight that is missing or negative is refused by name."""
    table = weights.table
    output = problem.operands[-1]
    arrays = {
        action: np.zeros((len(accelerator.levels), len(problem.operands))) for action in ("read", "write", "update")
    }
    outermost, innermost = accelerator.levels[0].name, len(accelerator.levels) - 1
    for i, level in enumerate(accelerator.levels):
        for o, operand in enumerate(problem.operands):
            needed: list[Action] = ["read"] if level.name == outermost else ["read", "write"]
            for action in [*needed, "update"] if operand is output else needed:
                key: Key = (level.name, operand.role, action)
                if operand.role in level.keeps and key not in table:
                    raise ValueError(f"no weight for {action} of {operand.role} at {level.name}; give one, 0 if free")
                arrays[action][i, o] = table.get(key, 0.0) if operand.role in level.keeps and i <= innermost else 0.0
    if weights.mac < 0 or any(array.min() < 0 for array in arrays.values()):
        raise ValueError("weights may not be negative: the bounds of the search rest on that")
    return Prices(weights.mac, arrays["read"], arrays["write"], arrays["update"])
