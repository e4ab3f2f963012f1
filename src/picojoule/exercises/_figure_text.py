"""Figures in a terminal: no wider than 80 columns, one sign a curve (after eight, the signs begin again)."""

from collections.abc import Sequence
from itertools import cycle, pairwise
from typing import Final

from picojoule.report import fold

from ._figure import Axis, Drawing, Figure, Lanes

SIGNS: Final = "●○▲△■□◆◇"
_WIDE, _HIGH, _LEFT = 62, 15, 10
_LANE = 60
_HELD: Final = {"en": "█ fetched, ─ kept; first {n} of {all} steps", "zh": "█ 取入，─ 保留；共 {all} 步中的前 {n} 步"}


def figure_lines(drawing: Drawing, lang: str) -> list[str]:
    """The drawing, its title first."""
    head = fold(drawing.title[lang == "zh"], first="  ", rest="  ")
    return head + (_lanes(drawing, lang) if isinstance(drawing, Lanes) else _curves(drawing, lang))


def _lanes(drawing: Lanes, lang: str) -> list[str]:
    count = min(_LANE, drawing.steps)
    lines = []
    for name, tiles in drawing.held.items():
        marks = ("█" if i == 0 or tiles[i] != tiles[i - 1] else "─" for i in range(min(count, len(tiles))))
        lines.append(f"    {name:<8}" + "".join(marks))
    return [*lines, "    " + _HELD[lang].format(n=count, all=f"{drawing.steps:,}")]


def _curves(figure: Figure, lang: str) -> list[str]:
    points = [point for curve in figure.curves for point in curve.points]
    spans = [_span(axis, [p[i] for p in points]) for i, axis in enumerate((figure.x, figure.y))]
    grid = [[" "] * _WIDE for _ in range(_HIGH)]
    for sign, curve in zip(cycle(SIGNS), figure.curves, strict=False):
        cells = [(_cell(p[0], figure.x, spans[0], _WIDE), _cell(p[1], figure.y, spans[1], _HIGH)) for p in curve.points]
        for one, two in pairwise(cells) if curve.joined else ():
            for column, row in _between(one, two):
                grid[row][column] = "·" if grid[row][column] == " " else grid[row][column]
        for column, row in cells:
            grid[row][column] = sign
    lines = [f"    {figure.y.label(lang)}"]
    for row in range(_HIGH - 1, -1, -1):
        mark = _tick(figure.y, spans[1], row / (_HIGH - 1)) if row in (0, _HIGH // 2, _HIGH - 1) else ""
        lines.append(f"{mark:>{_LEFT}} ┤" + "".join(grid[row]).rstrip())
    left, middle, right = (_tick(figure.x, spans[0], share) for share in (0, 0.5, 1))
    gap = _WIDE - len(left) - len(right)
    lines.append(" " * (_LEFT + 1) + "└" + "─" * _WIDE)
    lines.append(" " * (_LEFT + 2) + left + f"{middle:^{gap}}" + right)
    lines += fold(figure.x.label(lang), first=" " * (_LEFT + 2), rest=" " * (_LEFT + 2))
    return lines + [
        f"    {sign} {curve.title[lang == 'zh']}" for sign, curve in zip(cycle(SIGNS), figure.curves, strict=False)
    ]


def _span(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest as spaced; a linear axis starts at 0."""
    placed = [axis.place(value) for value in values]
    low, high = min(placed) if axis.log else min(0.0, *placed), max(placed)
    return (low, high) if high > low else (low, low + 1)


def _cell(value: float, axis: Axis, span: tuple[float, float], size: int) -> int:
    return round((axis.place(value) - span[0]) / (span[1] - span[0]) * (size - 1))


def _tick(axis: Axis, span: tuple[float, float], share: float) -> str:
    value = span[0] + share * (span[1] - span[0])
    return f"{10**value if axis.log else value:.3g}"


def _between(one: tuple[int, int], two: tuple[int, int]) -> list[tuple[int, int]]:
    """Cells on the line from one to the other."""
    count = max(abs(two[0] - one[0]), abs(two[1] - one[1]))
    return [(round(one[0] + (two[0] - one[0]) * i / count), round(one[1] + (two[1] - one[1]) * i / count))
            for i in range(1, count)]  # fmt: skip
