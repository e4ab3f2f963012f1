"""Which number the answer hangs on: move one price to the ends of its interval, keep all others."""

from dataclasses import dataclass

from picojoule.hardware import STATIC
from picojoule.quantity import Value

from ._cost import Cost


@dataclass(frozen=True, slots=True)
class Swing:
    """Total energy [J] with one value at the low and the high end of its own 90 % interval."""

    key: str
    value: Value
    energy_low_j: float
    energy_high_j: float
    share: float  # of the nominal total


def swings(cost: Cost) -> tuple[Swing, ...]:
    """One swing per price, widest first. Energy is linear in prices, so each is exact.

    Equal values share their draws, so they move together: their keys stand in one row.
    """
    total = cost.total_energy_j.nominal
    keys: dict[Value, list[str]] = {}
    parts: dict[Value, float] = {}
    for action, energy in cost.energy_by_action().items():
        value = cost.prices[action]
        keys.setdefault(value, []).append(cost.price_keys[action])
        parts[value] = parts.get(value, 0.0) + float(energy.sum())
    rows = [
        Swing(", ".join(dict.fromkeys(keys[value])), value, total + part * (1 / value.spread - 1),
              total + part * (value.spread - 1), part / total)
        for value, part in parts.items()
        if total > 0
    ]  # fmt: skip
    return tuple(sorted(rows + _rate_swings(cost), key=lambda s: s.energy_low_j - s.energy_high_j))


def _rate_swings(cost: Cost) -> list[Swing]:
    """Rates move the time, and time moves static energy: recompute the static part with one rate at each end."""
    if STATIC not in cost.prices:
        return []
    watts = cost.prices[STATIC].nominal
    total = cost.total_energy_j.nominal
    rows = []
    for key, value in cost.rates.items():
        ends = []
        for factor in (value.spread, 1 / value.spread):
            time = sum(_time(cost, row, key, factor) for row in range(len(cost.activities)))
            ends.append(total + watts * (time - cost.total_time_s.nominal))
        rows.append(Swing(key, value, min(ends), max(ends), 0.0))
    return rows


def _time(cost: Cost, row: int, key: str, factor: float) -> float:
    activity = cost.activities[row]
    time = max((t.seconds / (factor if t.key == key else 1) for t in activity.terms), default=0.0)
    if activity.overhead is not None:
        time += activity.overhead.seconds * (factor if activity.overhead.key == key else 1)
    return time
