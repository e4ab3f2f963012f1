"""Where laws start, and constants they share: library/devices/laws.json, each with source and provenance."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

FORMAT: Final = "picojoule/device-laws/1"


@cache
def _document() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((files("picojoule.library") / "devices" / "laws.json").read_text("utf-8"))
    return found


def constant(name: str) -> float:
    """A constant in SI units: reference, trend, host_launch, vector_energy, limit_exponent, …"""
    return float(_document()["constants"][name]["value"])


def starts(family: str, name: str) -> tuple[float, float]:
    """(value, spread) of a parameter before any device was measured; spread is a factor, 90 %."""
    entry = _document()["laws"][family]["parameters"][name]
    return float(entry["value"]), float(entry["spread"])
