"""From lower bounds of rows, each a sum of shares of energy and cycles of ports, to one of the objective."""

from dataclasses import dataclass

import numpy as np

from ._check_world import Numbers, World

SLACK = 1e-9  # relative: what a proof may miss of the value that is claimed


@dataclass(frozen=True, slots=True)
class Weighing:
    """Shares of the rows, [rows, quantities]: of the energy first, then of every port."""

    shares: Numbers

    @property
    def energy(self) -> Numbers:
        """Share of the energy in each row."""
        return np.asarray(self.shares[:, 0])

    @property
    def pace(self) -> Numbers:
        """Sum of the shares of ports: no port has more cycles than the latency."""
        return np.asarray(self.shares[:, 1:].sum(axis=1))


def weighing(world: World, rows: tuple[tuple[tuple[str, str, float], ...], ...]) -> Weighing | None:
    """The shares by quantity; None if one is negative, no number, or of something that is not there."""
    shares = np.zeros((len(rows), len(world.names)))
    for row, parts in enumerate(rows):
        for level, port, share in parts:
            if (level, port) not in world.names or not 0 <= share < np.inf:
                return None
            shares[row, world.names.index((level, port))] += share
    return Weighing(shares) if len(rows) and (shares.sum(axis=1) > 0).all() else None


@dataclass(frozen=True, slots=True)
class Bound:
    """What is to be shown: that no mapping has an objective below the value."""

    objective: str
    value: float

    def reached(self, rows: Weighing, floor: Numbers, least: Numbers) -> np.ndarray:
        """Does the bound reach the value? `least` [rows, …]."""
        return np.asarray(self.of(rows, floor, least) >= self.value * (1 - SLACK))

    def of(self, rows: Weighing, floor: Numbers, least: Numbers) -> Numbers:
        """Least objective where energy is at least floor[0], latency at least each of the rest, and
        share · energy + pace · latency >= least in every row; `floor` [energy, steps, ports, 1 or as many as `least`].

        The product over a half-plane share · E + pace · D >= c and the box E >= e, D >= d: at (e, d) if that corner lies
        inside, else at one of the two points where the line leaves the box, for the product is concave along the line.
        """  # fmt: skip
        energy, pace = (
            np.maximum(floor[0], np.zeros(least.shape[1])),
            np.maximum(floor[1:].max(axis=0), np.zeros(least.shape[1])),
        )
        for a, b, c in zip(rows.energy, rows.pace, least, strict=True):
            if b == 0:
                energy = np.maximum(energy, c / a)
            elif a == 0:
                pace = np.maximum(pace, c / b)
        none = (least == np.inf).any(axis=0)
        if self.objective == "energy":
            return np.where(none, np.inf, energy)
        if self.objective == "latency":
            return np.where(none, np.inf, pace)
        found = energy * pace
        for a, b, c in zip(rows.energy, rows.pace, least, strict=True):
            if a > 0 and b > 0:
                with np.errstate(invalid="ignore"):
                    outside = a * energy + b * pace < c
                    along = np.minimum((c - b * pace) / a * pace, energy * (c - a * energy) / b)
                found = np.where(outside, np.maximum(found, along), found)
        return np.where(none, np.inf, found)
