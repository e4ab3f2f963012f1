"""Published measurements of whole steps, shown beside predictions and fitted to nothing: library/devices/measured.csv."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


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
def _rows() -> tuple[dict[str, str], ...]:
    place = files("picojoule.library") / "devices" / "measured.csv"
    return tuple(csv.DictReader(place.read_text("utf-8").splitlines()))


def published(model: str, device: str, dtype: str, phase: str, devices: int = 1) -> tuple[Published, ...]:
    """What was measured of this very model, device, format and phase, by batch; empty where nothing was."""
    wanted = (model.lower(), device, dtype, phase, str(devices))
    return tuple(
        Published(float(row["batch"]), float(row["energy_j_per_token"]), int(row["generated_tokens"]) if
                  row["generated_tokens"] else None, row["source"], row["provenance"], row["where"])
        for row in _rows()
        if (row["model"], row["device"], row["dtype"], row["phase"], row["devices"]) == wanted
    )  # fmt: skip
