"""What zeros save in a product: time where hardware skips them, energy alone where it gates them.

A product needs both operands. With independent zeros an operand at density d leaves the share d of the products:

    slots  = MACs · Π d of operands whose zeros are skipped                      what takes time
    active = MACs · Π d of operands whose zeros are skipped or gated             what takes energy

so that skipping both leaves d_w·d_a. Hardware that does neither saves nothing, whatever the density.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from picojoule.quantity import InputError

OPERANDS: Final = ("weight", "activation")


@dataclass(frozen=True, slots=True)
class Effect:
    """Of a number of MACs: `slots` take time, `active` take energy."""

    macs: int
    slots: float
    active: float

    @property
    def speedup(self) -> float:
        """Times fewer slots."""
        return self.macs / self.slots if self.slots else math.inf if self.macs else 1.0


@dataclass(frozen=True, slots=True)
class Hardware:
    """Which operands' zeros a machine skips and which it only gates."""

    skips: frozenset[str] = frozenset()
    gates: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if wrong := sorted((self.skips | self.gates) - set(OPERANDS)):
            raise InputError(f"no operand is named {wrong[0]!r}", expected=f"one of {', '.join(OPERANDS)}",
                             example="weight")  # fmt: skip

    def effect(self, macs: int, first: float, second: float, *, roles: tuple[str, str] = ("activation", "weight")
               ) -> Effect:  # fmt: skip
        """Of `macs` products of operands at densities `first` and `second` in these roles."""
        slots = active = 1.0
        for density, role in zip((first, second), roles, strict=True):
            if not 0 <= density <= 1:
                raise InputError(f"density {density:g}", expected="a share from 0 to 1", example="0.5")
            slots *= density if role in self.skips else 1.0
            active *= density if role in self.skips | self.gates else 1.0
        return Effect(macs, macs * slots, macs * active)


def imbalance(length: int, density: float, lanes: int) -> float:
    """Expected time of the slowest of `lanes` over that of the mean lane; each skips zeros in its own `length` values.

    E[max] = Σ_k 1 - F(k)^lanes with F of the binomial (length, density). 1 for one lane, none skipped, or no zeros.
    """
    if length < 1 or lanes < 1 or not 0 <= density <= 1:
        raise InputError(f"{lanes} lanes of {length} values at density {density:g}", expected="sizes of 1 or more",
                         example="imbalance(64, 0.5, 16)")  # fmt: skip
    if density in (0.0, 1.0):
        return 1.0
    k = np.arange(length + 1)
    logs = np.array([math.lgamma(i + 1) for i in range(length + 1)])
    mass = np.exp(logs[-1] - logs - logs[::-1] + k * math.log(density) + (length - k) * math.log1p(-density))
    below = np.minimum(np.cumsum(mass), 1.0)
    return float((1.0 - below[:-1] ** lanes).sum() / (length * density))
