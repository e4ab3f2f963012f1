"""The small tables of the studies: power of people, carbon of electricity by hour. Each with its source."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from picojoule.cost import Interval
from picojoule.quantity import InputError

_FOLDER: Final = Path(__file__).resolve().parent.parent / "library" / "studies"


@dataclass(frozen=True, slots=True)
class PersonPower:
    """Power of a person, or of a part of one [W]. `low` and `high` hold 90 %; `scope` says what is included."""

    name: str
    title: str
    scope: str
    watts: Interval
    source: str
    where: str
    provenance: str


@dataclass(frozen=True, slots=True)
class Profile:
    """Carbon of electricity by hour of the day [g CO2e/kWh]; p5 and p95 are quantiles over the days of the year."""

    region: str
    title: str
    year: int
    mean: tuple[float, ...]
    p5: tuple[float, ...]
    p95: tuple[float, ...]
    source: str
    where: str

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.p5) == len(self.p95) == 24:
            raise InputError(f"the profile of {self.region} has {len(self.mean)} hours", expected="24 numbers in g/kWh",
                             example="[52.9, 51.9, …]")  # fmt: skip


@cache
def person_powers() -> Mapping[str, PersonPower]:
    """Brain and body, by name."""
    data = _read("people")
    return {
        name: PersonPower(name, row["title"], row["scope"], Interval(row["power_w"], row["low_w"], row["high_w"]),
                          data["sources"][row["source"]], row["where"], row["provenance"])
        for name, row in data["powers"].items()
    }  # fmt: skip


def person_power(text: str | float) -> PersonPower:
    """A power of the library by name, or the user's own in watts, whose spread is then unknown."""
    if isinstance(text, str) and text in person_powers():
        return person_powers()[text]
    try:
        from picojoule.quantity import parse_quantity

        watts = float(text) if not isinstance(text, str) else parse_quantity(text, "W")
    except ValueError:
        watts = 0.0
    if not watts > 0:
        raise InputError(f"{text!r} is no power of a person", expected=f"{', '.join(person_powers())}, or watts above 0",
                         example="20 W")  # fmt: skip
    return PersonPower("stated", "human", "as stated by the user", Interval(watts, watts, watts), "user", "", "stated")


@cache
def profiles() -> Mapping[str, Profile]:
    """Mean days of 2020, by region."""
    data = _read("grid_hours_2020")
    return {
        region: Profile(region, row["title"], row["year"], tuple(row["mean_g_per_kwh"]), tuple(row["p5_g_per_kwh"]),
                        tuple(row["p95_g_per_kwh"]), data["sources"][data["source"]], data["where"])
        for region, row in data["regions"].items()
    }  # fmt: skip


def profile(region: str) -> Profile:
    """The profile of a region by its two letters."""
    found = profiles().get(region.strip().upper())
    if found is None:
        raise InputError(f"no hourly profile of {region!r}", expected=f"one of {', '.join(profiles())}", example="FR")
    return found


def _read(name: str) -> Any:
    return json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
