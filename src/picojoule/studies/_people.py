"""Humans and machines: E_human = P · t against E_machine, never without what each number includes.

Learning and inference are two comparisons. A brain at 20 W that learns for a year uses 631,152,000 J = 175.32 kWh.
"""

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from picojoule.cost import Interval, interval
from picojoule.levels import Estimate
from picojoule.quantity import InputError, Value, format_quantity

from ._data import PersonPower, person_power

Draws = NDArray[np.float64]
YEAR_S: Final = 365.25 * 86_400
KWH_J: Final = 3.6e6
_Z_90: Final = Value(1.0, "1", math.e, "definition").sigma  # σ of a factor e: 1 / 1.645
Task = Literal["inference", "learning"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One task, both sides, both scopes. `ratio` is machine over human."""

    task: Task
    what: str
    human_j: Interval
    human_scope: str
    human_s: float
    machine: str
    machine_j: Interval
    machine_scope: str
    ratio: Interval
    source: str

    def __str__(self) -> str:
        return (
            f"{self.task}, {self.what}: human {_range(self.human_j)} ({self.human_scope}), {self.machine} "
            f"{_range(self.machine_j)} ({self.machine_scope}); machine / human {self.ratio.nominal:.3g} "
            f"({self.ratio.low:.2g} to {self.ratio.high:.2g})"
        )


def human_energy_j(power: str | float | PersonPower, seconds: float) -> Interval:
    """Energy [J] of a person for `seconds`."""
    watts = (power if isinstance(power, PersonPower) else person_power(power)).watts
    if not (np.isfinite(seconds) and seconds > 0):
        raise InputError(f"a task of {seconds!r} seconds", expected="a time above 0", example="0.5 s, or 1 year")
    return Interval(watts.nominal * seconds, watts.low * seconds, watts.high * seconds)


def inference(
    estimate: Estimate, seconds: float, *, power: str | float = "brain", what: str = "one sample"
) -> Comparison:
    """A person who answers in `seconds` against one sample of `estimate`."""
    draws = estimate.cost.energy_j.sum(axis=0) / estimate.workload.batch
    return compare("inference", what, draws, estimate.architecture.title, estimate.cost.scope, seconds, power=power,
                   seed=estimate.cost.seed)  # fmt: skip


def compare(task: Task, what: str, machine_j: Draws, machine: str, machine_scope: str, seconds: float, *,
            power: str | float = "brain", seed: int = 0) -> Comparison:  # fmt: skip
    """A person at work for `seconds` against a machine that needs `machine_j` (1 + draws,), whose scope is stated."""
    if not machine_scope.strip():
        raise InputError("the machine's energy has no scope", where="human against machine",
                         expected="what its joules include", example="wall")  # fmt: skip
    person = person_power(power)
    human = human_energy_j(person, seconds)
    drawn = _draws(person, len(machine_j) - 1, seed) * seconds
    return Comparison(task, what, human, person.scope, seconds, machine, interval(machine_j), machine_scope,
                      interval(machine_j / drawn), person.source)  # fmt: skip


def _draws(person: PersonPower, draws: int, seed: int) -> Draws:
    """Watts in every draw: log-normal on either side of the nominal power, so that both ends of the 90 % are kept."""
    name = f"{seed}|{person.name}|{person.source}|{person.watts!r}"
    stream = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
    z = np.random.Generator(np.random.Philox(stream)).standard_normal(draws)
    up = math.log(person.watts.high / person.watts.nominal)
    down = math.log(person.watts.nominal / person.watts.low)
    wide: Draws = np.maximum(z, 0.0) * up + np.minimum(z, 0.0) * down
    factors: Draws = np.concatenate(([1.0], np.exp(wide * _Z_90)))
    return factors * person.watts.nominal


def _range(value: Interval) -> str:
    low, high = format_quantity(value.low, "J", 2), format_quantity(value.high, "J", 2)
    return f"{format_quantity(value.nominal, 'J')} ({low} to {high})"
