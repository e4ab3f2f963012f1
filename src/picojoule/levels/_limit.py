"""An estimate on a machine whose power is limited.

An operator that would draw more than the limit takes ((P − s·P_max) / (P_limit − s·P_max))^x of its time and draws the
limit: the law of `picojoule.devices`, by draws. What that law misses is one more factor on the slowed part, the same for
all operators of one draw, with the spread found on training runs under limits.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from picojoule.cost import Interval, interval
from picojoule.quantity import InputError

from ._estimate import Estimate

_STREAM: Final = 0x11_17  # a stream of draws of its own, beside those of prices


@dataclass(frozen=True, slots=True)
class Held:
    """A run under a limit: time, energy, and the share of the time in which it slows operators."""

    limit_w: float
    time_s: Interval
    energy_j: Interval
    slowed: float


def held(estimate: Estimate, limit_w: float) -> Held:
    """`estimate` with its machine held to `limit_w`.

    Raises InputError where the maximum power is unknown, for a limit above it and for one too low to compute under.
    """
    from picojoule.devices import limit_band, limit_time, still_w

    limit = estimate.architecture.max_power
    if limit is None:
        raise InputError("a power limit needs a maximum power", where=estimate.architecture.name,
                         expected="max_power in its file", example="max_power: 700 W")  # fmt: skip
    still = still_w(limit.nominal)
    if not still < limit_w <= limit.nominal:
        raise InputError(f"a limit of {limit_w:g} W on a machine of {limit.nominal:g} W", where=estimate.architecture.name,
                         expected=f"more than {still:.0f} W, which it draws without computing, up to {limit.nominal:g} W",
                         example=f"{0.6 * limit.nominal:.0f}W")  # fmt: skip
    time, energy = estimate.cost.time_s, estimate.cost.energy_j
    power = np.divide(energy, time, out=np.zeros_like(energy), where=time > 0)
    over = power > limit_w
    slower = np.where(over, limit_time(np.maximum(power, limit_w), limit_w, limit.nominal), 1.0)
    drawn = np.random.default_rng([estimate.cost.seed, _STREAM]).standard_normal(time.shape[1] - 1)
    z = np.concatenate([np.zeros(1), drawn])  # column 0 is nominal
    times = time * slower
    joules = np.where(over, times * limit_w, energy)
    totals = []
    for of, parts in (("time", times), ("energy", joules)):
        missed = np.exp(limit_band(of) * z)
        totals.append(np.where(over, parts * missed, parts).sum(axis=0))
    whole = float(times[:, 0].sum())
    return Held(limit_w, interval(totals[0]), interval(totals[1]),
                float(times[over[:, 0], 0].sum()) / whole if whole else 0.0)  # fmt: skip
