"""The shipped machines, from JSON that was built beforehand: no YAML, no checks, a few milliseconds."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from picojoule.hardware import Architecture, Technology
from picojoule.quantity import InputError

from ._built import unpack
from ._place import built


@dataclass(frozen=True, slots=True)
class HardwareRow:
    """What a list of machines shows of one. Units: FLOP/s (or integer operations), B/s, B, W, m."""

    name: str
    title: str
    kind: str
    vendor: str
    peak: dict[str, float]
    bandwidth: float | None
    memory: str
    size: float | None
    max_power: float | None
    year: int | None
    node: float | None
    recalled: int  # how many of its data are from memory and were not found at a source
    aliases: tuple[str, ...] = ()


@cache
def list_hardware() -> tuple[HardwareRow, ...]:
    """One row per shipped machine, by kind and name."""
    return tuple(HardwareRow(**{**row, "aliases": tuple(row["aliases"])}) for row in built("index")["rows"])


def hardware_names() -> dict[str, str]:
    """Every name and alias of a shipped machine, with the name of the machine."""
    names: dict[str, str] = built("index")["names"]
    return names


def load_hardware(name: str) -> tuple[Architecture, Technology]:
    """A shipped machine by name or alias ("h100", "RTX 4090"). Raises InputError with the nearest names."""
    names = hardware_names()
    slug = names.get(plain_name(name)) or names.get(plain_name(name).replace("-", ""))
    if slug is None:
        raise InputError(
            f"no hardware is named {name!r}", expected="a name from `picojoule hardware`, or a YAML file",
            example=", ".join(_near(plain_name(name), names)),
        )  # fmt: skip
    data: Any = built(slug)
    return unpack(data)


def plain_name(text: str) -> str:
    """Lower case, with single hyphens for whatever separates words: plain_name("RTX 4090") is "rtx-4090"."""
    return re.sub(r"[^a-z0-9.]+", "-", text.strip().lower()).strip("-")


def _near(name: str, names: dict[str, str]) -> list[str]:
    """Up to four names that look like `name`, each of another machine."""
    from difflib import get_close_matches

    alike = [*get_close_matches(name, names, 8, 0.6), *(known for known in names if name and name in known)]
    first: dict[str, str] = {}
    for known in alike:
        first.setdefault(names[known], known)
    return list(first.values())[:4] or ["h100", "eyeriss", "zcu102"]
