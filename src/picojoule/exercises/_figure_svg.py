"""Figures as one SVG that stands alone: no script, no font, no style from elsewhere."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from ._figure import Axis, Drawing, Figure, Lanes

COLOURS: Final = ("#1b6ca8", "#d1495b", "#2e933c", "#8f5fbf", "#c77b0a", "#3f8f8f", "#7a5230", "#555555")  # on white
_WIDE, _HIGH, _LEFT, _TOP, _ROW = 720, 300, 84, 34, 18  # px
_LANE, _LABELLED = 26, 18  # px: a lane; a tile at least so wide carries its number


def svg(drawings: Sequence[Drawing], lang: str) -> str:
    """All drawings, one below the other."""
    parts, y = [], 0
    for drawing in drawings:
        body, high = _lanes(drawing, lang) if isinstance(drawing, Lanes) else _curves(drawing, lang)
        parts.append(f'<g transform="translate(0 {y})">{body}</g>')
        y += high
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE + _LEFT + 24} {y}" role="img" '
        f'font-family="system-ui,sans-serif" font-size="12" fill="#222">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(words)}</text>'


def _lanes(drawing: Lanes, lang: str) -> tuple[str, int]:
    shown = max((len(tiles) for tiles in drawing.held.values()), default=1)
    step = _WIDE / max(1, shown)
    parts = [_text(8, 20, drawing.title[lang == "zh"], ' font-weight="600"')]
    for row, (name, tiles) in enumerate(drawing.held.items()):
        top = _TOP + row * (_LANE + 6)
        parts.append(_text(_LEFT - 8, top + _LANE / 2 + 4, name, ' text-anchor="end"'))
        for start, stop in _runs(tiles):
            left, width = _LEFT + start * step, (stop - start) * step
            shade = 0.85 if tiles[start] % 2 else 0.55
            parts.append(f'<rect x="{left:.2f}" y="{top}" width="{max(0.5, width - 1):.2f}" height="{_LANE}" '
                         f'fill="{COLOURS[row % len(COLOURS)]}" fill-opacity="{shade}"/>')  # fmt: skip
            if width >= _LABELLED:
                parts.append(_text(left + width / 2, top + _LANE / 2 + 4, str(tiles[start]),
                                   ' text-anchor="middle" fill="#000"'))  # fmt: skip
    bottom = _TOP + len(drawing.held) * (_LANE + 6)
    said = {"en": f"steps 0 to {shown - 1} of {drawing.steps:,}; a new block is a tile fetched, its number inside",
            "zh": f"共 {drawing.steps:,} 步中的第 0 到 {shown - 1} 步；每个新块为取入一个分块，数字为其编号"}  # fmt: skip
    parts.append(_text(_LEFT, bottom + 12, said[lang]))
    return "".join(parts), bottom + 30


def _runs(tiles: Sequence[int]) -> list[tuple[int, int]]:
    """(first, last + 1) of every stay of one tile."""
    starts = [i for i, tile in enumerate(tiles) if i == 0 or tile != tiles[i - 1]]
    return list(zip(starts, [*starts[1:], len(tiles)], strict=True))


def _curves(figure: Figure, lang: str) -> tuple[str, int]:
    points = [point for curve in figure.curves for point in curve.points]
    x_ticks, y_ticks = (_ticks(axis, [p[i] for p in points]) for i, axis in enumerate((figure.x, figure.y)))
    bottom = _TOP + 18 + _HIGH

    def at(x: float, y: float) -> tuple[float, float]:
        return (_LEFT + _WIDE * _share(figure.x, x, x_ticks), bottom - _HIGH * _share(figure.y, y, y_ticks))

    parts = [_text(8, 20, figure.title[lang == "zh"], ' font-weight="600"'),
             _text(8, _TOP + 8, figure.y.label(lang))]  # fmt: skip
    for value in y_ticks:
        _, y = at(x_ticks[0], value)
        parts.append(f'<path d="M{_LEFT} {y:.1f}h{_WIDE}" stroke="#ddd"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{value:g}", ' text-anchor="end"'))
    for value in x_ticks:
        x, _ = at(value, y_ticks[0])
        parts.append(f'<path d="M{x:.1f} {bottom}v-{_HIGH}" stroke="#ddd"/>')
        parts.append(_text(x, bottom + 18, f"{value:g}", ' text-anchor="middle"'))
    parts.append(_text(_LEFT + _WIDE / 2, bottom + 36, figure.x.label(lang), ' text-anchor="middle"'))
    for row, curve in enumerate(figure.curves):
        colour = COLOURS[row % len(COLOURS)]
        places = [at(*point) for point in curve.points]
        if curve.joined and len(places) > 1:
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
            parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
        key = bottom + 58 + row * _ROW
        parts.append(f'<rect x="{_LEFT}" y="{key - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(_LEFT + 18, key, curve.title[lang == "zh"]))
    return "".join(parts), bottom + 66 + len(figure.curves) * _ROW


def _share(axis: Axis, value: float, ticks: Sequence[float]) -> float:
    low, high = axis.place(ticks[0]), axis.place(ticks[-1])
    return (axis.place(value) - low) / (high - low)


def _ticks(axis: Axis, values: Sequence[float]) -> list[float]:
    """Round numbers from below the least to above the greatest; a linear axis starts at 0."""
    low, high = min(values), max(values)
    if axis.log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return [10.0**n for n in range(first, max(last, first + 1) + 1)]
    low, high = min(0.0, low), max(high, 0.0)
    rough = (high - low or 1.0) / 5
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * (1 - 1e-12))
    return [step * n for n in range(math.floor(low / step), max(math.ceil(high / step), 1) + 1)]
