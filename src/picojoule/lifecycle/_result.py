"""What a job costs: rows that add up, in every draw."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picojoule.cost import Cost, Interval, interval
from picojoule.hardware import Action

from ._job import Job, Stage

Draws = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PartCost:
    """One part of a stage: its own actions, without static power. `hidden_s` of its time runs behind another part."""

    name: str
    cost: Cost
    hidden_s: Draws

    @property
    def energy_j(self) -> Draws:
        """Energy of its actions, (1 + draws,)."""
        energy: Draws = self.cost.energy_j.sum(axis=0)
        return energy

    @property
    def time_s(self) -> Draws:
        """Time that it adds to its stage."""
        time: Draws = self.cost.time_s.sum(axis=0) - self.hidden_s
        return time

    @property
    def counts(self) -> dict[Action, int]:
        """How often each action happened, on all devices together."""
        return self.cost.counts


@dataclass(frozen=True, slots=True)
class StageCost:
    """A stage: the parts it consists of, and its share of its device's static power while that is busy with it."""

    stage: Stage
    parts: tuple[PartCost, ...]
    static_j: Draws
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.stage.name

    @property
    def dynamic_j(self) -> Draws:
        """Energy of the actions alone: what moves with the stage to another device."""
        return _sum([part.energy_j for part in self.parts])

    @property
    def energy_j(self) -> Draws:
        """All its energy."""
        return self.dynamic_j + self.static_j

    @property
    def time_s(self) -> Draws:
        """Its time, were it alone."""
        return _sum([part.time_s for part in self.parts])

    @property
    def counts(self) -> dict[Action, int]:
        """How often each action happened."""
        totals: dict[Action, int] = {}
        for part in self.parts:
            for action, count in part.counts.items():
                totals[action] = totals.get(action, 0) + count
        return totals

    @property
    def macs(self) -> int:
        """Multiply-adds of dot products."""
        return sum(count for (_, action), count in self.counts.items() if action.startswith("mac_"))


@dataclass(frozen=True, slots=True)
class Idle:
    """A machine or a storage that is held and waits: static power · (time of the job − its busy time)."""

    name: str
    time_s: Draws
    energy_j: Draws


@dataclass(frozen=True, slots=True)
class JobResult:
    """Energy and time of a job. Column 0 is nominal; column k is the same world in every row.

    `conversion_j` is what power supply and cooling add, if the job states them. The rows of `energies` add up to
    `energy_j`; `time_s` is the sum over blocks, of each its longest stage (or the pipeline law).
    """

    job: Job
    stages: tuple[StageCost, ...]
    idle: tuple[Idle, ...]
    conversion_j: Draws | None
    time_s: Draws
    scope: str
    draws: int
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def energies(self) -> dict[str, Draws]:
        """Energy of every row by its name: stages, what waits, conversion."""
        rows = {stage.name: stage.energy_j for stage in self.stages}
        rows |= {f"idle {idle.name}": idle.energy_j for idle in self.idle}
        if self.conversion_j is not None:
            rows["conversion"] = self.conversion_j
        return rows

    @property
    def energy_j(self) -> Draws:
        """Energy of the job, (1 + draws,)."""
        return _sum(list(self.energies.values()))

    @property
    def total_energy_j(self) -> Interval:
        """Energy of the job [J]."""
        return interval(self.energy_j)

    @property
    def total_time_s(self) -> Interval:
        """Time of the job [s]."""
        return interval(self.time_s)

    @property
    def shares(self) -> Mapping[str, float]:
        """Nominal share of each row; they add up to one."""
        total = float(self.energy_j[0])
        return {name: float(energy[0]) / total if total else 0.0 for name, energy in self.energies.items()}

    @property
    def bottleneck(self) -> str:
        """The stage that takes longest."""
        return max(self.stages, key=lambda stage: float(stage.time_s[0])).name

    def stage(self, name: str) -> StageCost:
        """One stage by name."""
        return next(stage for stage in self.stages if stage.name == name)


def _sum(rows: list[Draws]) -> Draws:
    total: Draws = np.sum(rows, axis=0)
    return total
