"""The table of intervals: residuals of shapes held out inside the seen rows, and of devices held out whole."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from picojoule.devices import learn, predict_by
from picojoule.devices._interval import FORMAT, Band, band_key, band_of, stretched, widest
from picojoule.devices._laws import family

from ._score import by_sheet, calibrated, law_of_set
from ._sets import FOLDS, Set

_LEAST = 30
_MOST = 600


def calibrated_band(one: Set) -> Band | None:
    """From rows of the seen folds, each fold predicted by a fit of the others: the held-out fold is not touched."""
    law, rest, time = law_of_set(one), [], []
    for fold in range(1, FOLDS):
        kept = one.data.take((one.fold > 0) & (one.fold != fold)).some(1500)
        asked = one.data.take(one.fold == fold).some(_MOST)
        if len(kept.value) < _LEAST or not len(asked.value):
            continue
        seen = learn(law, kept, stack=one.stack)
        found = predict_by(law, seen.theta, seen.surface, asked.rows, asked.sheet, asked.dtype)
        rest.append(np.log(asked.value / found))
        time.append(_length(one, asked.rows, found))
    if sum(len(r) for r in rest) < _LEAST:
        return None
    key = band_key(one.kind, family(one.data.dtype))
    return band_of(key, "calibrated", one.device, one.stack, np.concatenate(time), np.concatenate(rest))


def sheet_bands(sets: Sequence[Set], without: str = "") -> dict[str, Band]:
    """By law: what holds every measured device, each predicted from the others. `without` leaves one more device out."""
    parts: dict[str, list[Band]] = {}
    for one in sets:
        if not one.learn or one.device == without:
            continue
        data = one.seen().some(_MOST)
        found = by_sheet(one, data, frozenset({without} if without else ())) if len(data.value) >= _LEAST else None
        if found is not None:
            key = band_key(one.kind, family(data.dtype))
            rest, time = np.log(data.value / found), _length(one, data.rows, found)
            parts.setdefault(key, []).append(band_of(key, "sheet", one.device, one.stack, time, rest))
    return {key: stretched(widest(some), len({b.device for b in some})) for key, some in parts.items()}


def covered(band: Band, one: Set, found: np.ndarray, data_value: np.ndarray, rows: dict[str, np.ndarray]) -> float:
    """Share of measurements inside the band."""
    low, high = band.at(_length(one, rows, found))
    return float(np.mean((data_value >= found * low) & (data_value <= found * high)))


def table(sets: Sequence[Set]) -> list[Band]:
    """All bands with the coverage found on held-out rows; the library's intervals.json."""
    bands = []
    for one in sets:
        band = calibrated_band(one) if one.learn else None
        if band is None:
            continue
        data = one.held_out()
        found = calibrated(one, data)
        share = (
            covered(band, one, found, data.value, dict(data.rows))
            if found is not None and len(data.value) >= _LEAST
            else None
        )
        bands.append(replace(band, coverage=share))
    for key, band in sheet_bands(sets).items():
        mine = [b for b in bands if b.law == key and b.state == "calibrated"]
        bands.append(widest([band, *mine]))  # of an unknown device nothing can be surer than of a measured one
        if mine:
            bands.append(widest(mine))
    return bands


def write(bands: Sequence[Band], path: Path) -> None:
    """One line for each band."""
    lines = [json.dumps({"law": b.law, "state": b.state, "device": b.device, "stack": b.stack, "low": b.low, "high": b.high,
                         "rows": b.rows, "coverage": None if b.coverage is None else round(b.coverage, 3)}) for b in bands]  # fmt: skip
    about = "90 % multipliers on a prediction: split-conformal on held-out shape groups (calibrated) or devices (sheet, the widest)"
    text = (
        f'{{"format": "{FORMAT}", "about": {json.dumps(about)}, "provenance": "measured", "bands": [\n'
        + ",\n".join(lines)
        + "\n]}\n"
    )
    path.write_text(text, encoding="utf-8")


def _length(one: Set, rows: object, found: np.ndarray) -> np.ndarray:
    """Seconds of each row: the prediction itself, or for power the kernel's own."""
    return np.asarray(rows["time_s"]) if one.kind.startswith("power_") else found  # type: ignore[index]
