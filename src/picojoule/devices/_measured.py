"""Published measurements of whole steps, shown beside predictions: library/devices/measured.json.

`where` says which of them the time of serving software was fitted on.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Published:
    """Joules of one token at a mean batch, on `devices` devices together. `generated` is the mean answer, None unknown."""

    batch: float
    energy_j: float
    generated: int | None
    source: str
    provenance: str
    where: str


@cache
def _points() -> tuple[dict[str, Any], ...]:
    place = files("picojoule.library") / "devices" / "measured.json"
    return tuple(json.loads(place.read_text("utf-8"))["points"])


def published(model: str, device: str, dtype: str, phase: str, devices: int = 1) -> tuple[Published, ...]:
    """What was measured of this very model, device, format and phase, by batch; empty where nothing was."""
    wanted = (model.lower(), device, dtype, phase, devices)
    return tuple(
        Published(p["batch"], p["energy_j_per_token"], p["generated_tokens"], p["source"], p["provenance"], p["where"])
        for p in _points()
        if (p["model"], p["device"], p["dtype"], p["phase"], p["devices"]) == wanted
    )
