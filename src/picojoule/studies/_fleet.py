"""A fleet of machines over a day: P(h) = PUE · Σ n · (P_idle + r(h) · E_request), its energy, carbon and cost.

Requests are answered in the hour in which they come; r is per machine. Embodied carbon stands apart: it was emitted before
the first joule. Left out: queues, machines switched off, losses that grow with load.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from picojoule.cost import Activity, Interval, interval, price
from picojoule.hardware import Technology
from picojoule.quantity import InputError, Value, parse_quantity

from ._data import Profile

Draws = NDArray[np.float64]
_EXAMPLE: Final = "machines: [{name: camera, count: 4000, idle: 6 W, request: 0.8 J, rate: 2}]"


@dataclass(frozen=True, slots=True)
class Machines:
    """`count` equal machines: power of waiting [W], energy of a request above it [J], requests a second by hour.

    `embodied` [kg CO2e] is of one machine and spread over `life_years`.
    """

    name: str
    count: int
    idle: Value
    request: Value
    rate: tuple[float, ...]
    embodied: Value | None = None
    life_years: float = 4.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """Machines behind one PUE and, if stated, one feeder of `limit_w`."""

    name: str
    machines: tuple[Machines, ...]
    pue: Value | None = None
    limit_w: float | None = None


@dataclass(frozen=True, slots=True)
class LoadCurve:
    """Power by hour in every draw, (24, 1 + draws) [W]; column 0 is nominal."""

    fleet: Fleet
    power_w: Draws
    embodied_kg: Interval  # a day's share

    @property
    def day_j(self) -> Interval:
        """Energy of a day [J]."""
        return interval(self.power_w.sum(axis=0) * 3600)

    @property
    def peak(self) -> tuple[int, Interval]:
        """The hour of the nominal peak, and the peak [W] whatever its hour."""
        return int(np.argmax(self.power_w[:, 0])), interval(self.power_w.max(axis=0))

    @property
    def over_limit(self) -> tuple[int, ...]:
        """Hours in which the nominal load is above the feeder's limit."""
        limit = self.fleet.limit_w
        return () if limit is None else tuple(int(h) for h in np.nonzero(self.power_w[:, 0] > limit)[0])

    def carbon_kg(self, profile: Profile) -> Interval:
        """Carbon of a day at the mean profile; the days of the year differ, see the profile's p5 and p95."""
        grams = np.array(profile.mean) / 1e3
        return interval(grams @ (self.power_w / 1e3))

    def cost(self, per_kwh: Sequence[float]) -> Interval:
        """Cost of a day by a tariff of 24 prices a kWh."""
        if len(per_kwh) != 24:
            raise InputError(f"the tariff has {len(per_kwh)} hours", expected="24 prices a kWh")
        return interval(np.array(per_kwh, dtype=float) @ (self.power_w / 1e3))


def load_curve(fleet: Fleet, *, draws: int = 1000, seed: int = 0) -> LoadCurve:
    """Power of `fleet` by hour, and the embodied carbon of a day."""
    if not fleet.machines:
        raise InputError("no machines", where=f"fleet {fleet.name}", expected="one sort or more", example=_EXAMPLE)
    power, embodied = np.zeros((24, 1 + draws)), np.zeros(1 + draws)
    for one in fleet.machines:
        rate = np.array(one.rate, dtype=float)
        if rate.shape != (24,) or not np.isfinite(rate).all() or (rate < 0).any() or one.count < 1:
            raise InputError(f"{one.name!r} has {one.count} machines and {rate.size} rates", where=f"fleet {fleet.name}",
                             expected="1 machine or more, 24 rates of 0 or more", example=_EXAMPLE)  # fmt: skip
        power += one.count * (_drawn(one.idle, draws, seed) + np.outer(rate, _drawn(one.request, draws, seed)))
        if one.embodied is not None:
            embodied += one.count * _drawn(one.embodied, draws, seed) / (one.life_years * 365.25)
    if fleet.pue is not None:
        power *= np.maximum(_drawn(fleet.pue, draws, seed), 1.0)
    return LoadCurve(fleet, power, interval(embodied))


def fleet_of(data: Mapping[str, Any], where: str = "fleet") -> Fleet:
    """A fleet from plain data, as a YAML file gives it: name, machines, pue, limit. Quantities are text with a unit."""
    known = {"format", "name", "machines", "pue", "limit", "region", "tariff", "jobs"}
    _no_others(data, known, where)
    rows = data.get("machines")
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise InputError("no machines", where=where, expected="a list of them", example=_EXAMPLE)
    machines = tuple(_machines(row, f"{where}.machines[{index}]") for index, row in enumerate(rows))
    pue = None if data.get("pue") is None else _value(data["pue"], "1", f"{where}.pue")
    limit = None if data.get("limit") is None else _value(data["limit"], "W", f"{where}.limit").nominal
    return Fleet(str(data.get("name", "fleet")), machines, pue, limit)


def _machines(row: Any, where: str) -> Machines:
    if not isinstance(row, Mapping):
        raise InputError("is no table", where=where, expected="name, count, idle, request, rate", example=_EXAMPLE)
    _no_others(row, {"name", "count", "idle", "request", "rate", "embodied", "life_years"}, where)
    for key in ("idle", "request", "rate"):
        if key not in row:
            raise InputError(f"no {key}", where=where, expected="name, count, idle, request, rate", example=_EXAMPLE)
    count, life, rates = row.get("count", 1), row.get("life_years", 4.0), row["rate"]
    hourly = list(rates) if isinstance(rates, Sequence) and not isinstance(rates, str) else [rates] * 24
    numbers = [count, life, *hourly]
    if any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers) or life <= 0 or count != int(count):
        raise InputError("count, life_years or rate is no number", where=where,
                         expected="a whole count, years above 0, one rate a second or 24", example=_EXAMPLE)  # fmt: skip
    embodied = None if row.get("embodied") is None else _value(row["embodied"], "kg", f"{where}.embodied")
    return Machines(str(row.get("name", where)), int(count), _value(row["idle"], "W", f"{where}.idle"),
                    _value(row["request"], "J", f"{where}.request"), tuple(map(float, hourly)), embodied,
                    float(life))  # fmt: skip


def _value(given: Any, unit: str, where: str) -> Value:
    """A quantity, or {value, spread, source}: without a spread it is exact, without a source it is the user's."""
    table = given if isinstance(given, Mapping) else {"value": given}
    _no_others(table, {"value", "spread", "source", "where"}, where)
    text, example = str(table.get("value", "")), {"kg": "150 kg", "1": "1.2", "J": "0.8 J"}.get(unit, "60 W")
    try:
        nominal = float(text) if unit == "1" else parse_quantity(text, unit)
        return Value(nominal, unit, float(table.get("spread", 1.0)), str(table.get("source", "user")),
                     f"{where} {table.get('where', '')}".strip())  # fmt: skip
    except (ValueError, TypeError) as error:
        raise InputError(
            str(error).splitlines()[0], where=where, expected=f"a quantity in {unit}", example=example
        ) from None


def _no_others(row: Mapping[str, Any], known: set[str], where: str) -> None:
    strange = sorted(set(map(str, row)) - known)
    if strange:
        raise InputError(
            f"unknown: {', '.join(strange)}", where=where, expected=", ".join(sorted(known)), example=_EXAMPLE
        )


def _drawn(value: Value, draws: int, seed: int) -> Draws:
    """`value` in every draw, in the same worlds as everywhere."""
    one = Activity("one", "", "", {("one", "unit"): 1}, ())
    row: Draws = price([one], Technology("one", {"one.unit": value}), draws=draws, seed=seed).energy_j[0]
    return row
