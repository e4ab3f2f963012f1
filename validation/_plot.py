"""docs/validation.svg: predicted against measured, one panel a class, with 90 % intervals; held-out rows alone."""

import math
from collections.abc import Sequence

import numpy as np

from picojoule.devices._interval import band_for, band_key, sheet_key
from picojoule.devices._laws import family

from ._bands import length
from ._score import by_sheet, calibrated, gap
from ._sets import Set
from ._table import CLASSES

_SIDE, _GAP, _COLUMNS, _MOST = 190, 46, 4, 80
_STATES = (("sheet", "#d07a2d"), ("calibrated", "#2d6fb0"))


def svg(sets: Sequence[Set]) -> str:
    """The whole figure; times in seconds, power in watts, both axes logarithmic and equal."""
    panels = [
        (title, [s for s in sets if chosen(s) and len(s.held_out().value)]) for title, (chosen, _, _) in CLASSES.items()
    ]
    rows = math.ceil(len(panels) / _COLUMNS)
    width, height = _COLUMNS * (_SIDE + _GAP) + _GAP, rows * (_SIDE + _GAP + 14) + _GAP
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" role="img" '
           'aria-labelledby="t"><title id="t">Predicted (up) against measured (right), held-out rows, 90 % intervals</title>'
           f'<rect width="{width}" height="{height}" fill="#fff"/>'
           f'<text x="{_GAP}" y="18" fill="#2d6fb0">blue: calibrated on other shapes of the device</text>'
           f'<text x="{_GAP + 300}" y="18" fill="#a85c1a">orange: by the data sheet and other devices alone</text>']  # fmt: skip
    for i, (title, some) in enumerate(panels):
        left, top = _GAP + (i % _COLUMNS) * (_SIDE + _GAP), 44 + (i // _COLUMNS) * (_SIDE + _GAP + 14)
        out.append(_panel(title, some, left, top))
    return "\n".join([*out, "</svg>"]) + "\n"


def _panel(title: str, some: Sequence[Set], left: float, top: float) -> str:
    points = [p for state, colour in _STATES for p in _points(some, state, colour)]
    if not points:
        return ""
    values = np.array([[p[0], p[1]] for p in points])
    low, high = math.log10(values.min()) - 0.1, math.log10(values.max()) + 0.1
    at = lambda v: (math.log10(v) - low) / (high - low) * _SIDE  # noqa: E731
    power = title.startswith("Power")
    out = [f'<g transform="translate({left:g} {top:g})"><rect width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#999"/>'
           f'<text y="-5" fill="#222">{title}</text><path d="M0 {_SIDE}L{_SIDE} 0" stroke="#bbb"/>']  # fmt: skip
    for exponent in range(math.ceil(low), math.floor(high) + 1):
        x = at(10.0**exponent)
        out.append(
            f'<text x="{x:.1f}" y="{_SIDE + 13}" text-anchor="middle" fill="#555">{_tick(exponent, power)}</text>'
        )
    for measured, predicted, below, above, colour in points:
        x, y = at(measured), _SIDE - at(predicted)
        if below is not None and above is not None:
            y1, y2 = (_SIDE - max(0.0, min(_SIDE, at(v))) for v in (below, above))
            out.append(f'<path d="M{x:.1f} {y1:.0f}V{y2:.0f}" stroke="{colour}" stroke-opacity=".18"/>')
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.6" fill="{colour}" fill-opacity=".7"/>')
    return "".join([*out, "</g>"])


def _tick(exponent: int, power: bool) -> str:
    if power:
        return f"{10**exponent:g} W"
    names = {-6: "1 µs", -5: "10 µs", -4: "100 µs", -3: "1 ms", -2: "10 ms", -1: "100 ms", 0: "1 s", 1: "10 s"}
    return names.get(exponent, f"1e{exponent} s")


def _points(some: Sequence[Set], state: str, colour: str) -> list[tuple[float, float, float | None, float | None, str]]:
    found = []
    for one in some:
        data = one.held_out().some(max(6, _MOST // len(some)))
        predicted = (calibrated(one, data) if one.learn else None) if state == "calibrated" else by_sheet(one, data)
        if predicted is None:
            continue
        formats, known = family(data.dtype), state == "calibrated"
        band = (
            band_for(band_key(one.kind, formats), "calibrated", one.device, one.stack)
            if known
            else band_for(sheet_key(one.kind, formats), "sheet", "", "")
        )
        away = gap(one, data) if known else None
        bounds = None if band is None else band.at(length(one, data.rows, predicted), away)
        for i in range(len(predicted)):
            ends = (None, None) if bounds is None else (predicted[i] * bounds[0][i], predicted[i] * bounds[1][i])
            found.append((float(data.value[i]), float(predicted[i]), *ends, colour))
    return found
