"""The roofline of one device, log-log: operations per second against operations per byte of the outermost memory."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from picojoule.levels import Estimate

from ._data import COMPUTE, LAUNCH, MEMORY, NOTHING, Block, Device
from ._format import decades, place, si
from ._html import esc

Words = Mapping[str, str]
_WIDE, _HIGH = 1000, 400
_LABELS = 4


@dataclass(frozen=True, slots=True)
class Roof:
    """A peak [op/s] and a bandwidth [B/s]; None where nobody knows."""

    peak: float | None
    bandwidth: float | None

    @property
    def ridge(self) -> float | None:
        """Operations per byte where the two meet."""
        return self.peak / self.bandwidth if self.peak and self.bandwidth else None

    def at(self, x: float) -> float | None:
        """The least of the two at `x` operations per byte."""
        ends = [end for end in (self.peak, self.bandwidth and self.bandwidth * x) if end]
        return min(ends, default=None)


@dataclass(frozen=True, slots=True)
class _Dot:
    index: int
    name: str
    x: float
    y: float
    share: float
    mark: str


class _Frame:
    """Where a value stands, in per cent from the left and from the bottom."""

    def __init__(self, dots: Sequence[_Dot], roofs: Sequence[Roof]) -> None:
        xs = [dot.x for dot in dots] + [roof.ridge for roof in roofs if roof.ridge]
        ys = [dot.y for dot in dots] + [roof.peak for roof in roofs if roof.peak]
        self.x0, self.x1 = min(xs) / 2, max(xs) * 3
        self.y0, self.y1 = min(ys) / 2, max(ys) * 2

    def x(self, value: float) -> float:
        return 100 * place(value, self.x0, self.x1)

    def y(self, value: float) -> float:
        return 100 * place(value, self.y0, self.y1)


def sheet_roof(estimate: Estimate) -> Roof:
    """The data sheet: dense peak of the matrix unit in this number format, bandwidth of the outermost memory."""
    unit = estimate.architecture.unit(estimate.dtype, "matrix")
    bandwidth = estimate.architecture.memories[0].bandwidth
    peak = unit.peak[estimate.dtype].nominal if unit and estimate.dtype in unit.peak else None
    return Roof(peak, bandwidth.nominal if bandwidth else None)


def level_roof(estimate: Estimate) -> Roof:
    """The highest rates that this level grants any operator of this network."""
    peaks, bandwidths = [0.0], [0.0]
    outer = estimate.architecture.memories[0].name
    for activity in estimate.cost.activities:
        for term in activity.terms:
            if term.rate is not None and term.resource == "compute":
                peaks.append(term.rate.nominal)
            elif term.rate is not None and term.resource == outer:
                bandwidths.append(term.rate.nominal)
    return Roof(max(peaks) or None, max(bandwidths) or None)


def roofline(w: Words, blocks: Sequence[Block], device: Device) -> str:
    """One device's panel."""
    dots = _dots(blocks, device)
    if not dots:
        return ""
    level, sheet = level_roof(device.estimate), sheet_roof(device.estimate)
    frame = _Frame(dots, (level, sheet))
    unit = "FLOP/s" if "float" in device.estimate.dtype else "OP/s"
    grid, ticks = _axes(frame)
    lines = ("" if _same(level, sheet) else _line(sheet, frame, "roof sheet")) + _line(level, frame, "roof")
    slope, taken = _slope(level.bandwidth or sheet.bandwidth, level.ridge, dots, frame)
    axis = w["axis_ai"].format(memory=esc(device.outer, 24))
    label = w["a_roof"].format(device=esc(device.title))
    return (
        f'<figure class="chart roofline"><figcaption><h3>{esc(device.title)}</h3><p>{_says(w, blocks, device, dots, level)}'
        f'</p></figcaption><div class="plot tall" role="img" aria-label="{label}"><svg viewBox="0 0 {_WIDE} {_HIGH}" '
        f'preserveAspectRatio="none" aria-hidden="true">{grid}{lines}</svg>{ticks}'
        f"{''.join(_mark(dot, frame) for dot in sorted(dots, key=lambda d: -d.share))}"
        f"{_peaks(w, level, sheet, frame, unit)}{slope}{_labels(dots, frame, level, taken)}</div>"
        f'<div class="xt low" aria-hidden="true"><span>↑ {unit} · {axis}</span></div></figure>'
    )


def _dots(blocks: Sequence[Block], device: Device) -> list[_Dot]:
    total = device.time.nominal
    return [
        _Dot(index, block.name, block.operations / r.n_bytes, block.operations / r.time.nominal,
             r.time.nominal / total, r.mark)
        for index, (block, r) in enumerate(zip(blocks, device.readings, strict=True))
        if block.operations and r.n_bytes and r.time.nominal > 0 and r.mark != NOTHING
    ]  # fmt: skip


def _axes(frame: _Frame) -> tuple[str, str]:
    xs, ys = decades(frame.x0, frame.x1, 9), decades(frame.y0, frame.y1, 7)
    grid = "".join(f"M{10 * frame.x(x):.0f} 0v{_HIGH}" for x in xs)
    grid += "".join(f"M0 {_HIGH - 4 * frame.y(y):.0f}h{_WIDE}" for y in ys)
    ticks = "".join(f'<span class="yt" style="bottom:{frame.y(y):.1f}%">{si(y, "", 1)}</span>' for y in ys)
    ticks += "".join(f'<span class="xtick" style="left:{frame.x(x):.1f}%">{_plain(x)}</span>' for x in xs)
    return f'<path class="grid" d="{grid}"/>', ticks


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _line(roof: Roof, frame: _Frame, kind: str) -> str:
    def point(x: float, y: float) -> str:
        return f"{10 * frame.x(x):.1f} {_HIGH - 4 * frame.y(y):.1f}"

    points = []
    if roof.bandwidth:
        left = max(frame.x0, frame.y0 / roof.bandwidth)
        points.append(point(left, left * roof.bandwidth))
        if roof.ridge and roof.peak:
            points.append(point(roof.ridge, roof.peak))
        else:
            points.append(point(frame.x1, frame.x1 * roof.bandwidth))
    elif roof.peak:
        points.append(point(frame.x0, roof.peak))
    if roof.peak:
        points.append(point(frame.x1, roof.peak))
    return f'<path class="{kind}" d="M{"L".join(points)}"/>' if points else ""


def _same(a: Roof, b: Roof) -> bool:
    pairs = ((a.peak, b.peak), (a.bandwidth, b.bandwidth))
    return all(x is not None and y is not None and _same_number(x, y) for x, y in pairs)


def _same_number(x: float, y: float) -> bool:
    return abs(x - y) < 1e-9 * abs(y)


def _mark(dot: _Dot, frame: _Frame) -> str:
    style = f"left:{frame.x(dot.x):.1f}%;bottom:{frame.y(dot.y):.1f}%;--d:{_size(dot):.0f}px"
    return f'<i class="mk {dot.mark}" data-i="{dot.index}" style="{style}"></i>'


def _size(dot: _Dot) -> float:
    """The width of a mark in pixels: its area is the share of time, down to a least one that can be seen."""
    return min(44.0, 5 + 52 * math.sqrt(dot.share))


def _says(w: Words, blocks: Sequence[Block], device: Device, dots: Sequence[_Dot], roof: Roof) -> str:
    marks: dict[str, int] = {}
    for block, reading in zip(blocks, device.readings, strict=True):
        marks[reading.mark] = marks.get(reading.mark, 0) + block.times
    named = (("n_compute", COMPUTE), ("n_memory", MEMORY), ("n_launch", LAUNCH))
    words = [w[key].format(n=marks[mark]) for key, mark in named if mark in marks]
    if roof.ridge:
        words.append(w["ridge"].format(x=si(roof.ridge, "", 2)))
    hidden = sum(block.times for block in blocks) - sum(blocks[dot.index].times for dot in dots)
    if hidden:
        words.append(w["unseen"].format(n=hidden))
    return " · ".join(words)


def _peaks(w: Words, level: Roof, sheet: Roof, frame: _Frame, unit: str) -> str:
    """The peaks by name, at the right end."""
    highest = max(filter(None, (level.peak, sheet.peak)), default=None)
    if not highest:
        return ""
    text = w["reach"].format(x=si(highest, unit, 2))
    if sheet.peak and level.peak and not _same_number(level.peak, sheet.peak):
        text = w["reach_of"].format(x=si(level.peak, unit, 2), y=si(sheet.peak, unit, 2))
    elif sheet.peak:
        text = w["sheet"].format(x=si(sheet.peak, unit, 2))
    return f'<span class="note" style="right:2px;bottom:{frame.y(highest) + 1:.1f}%">{text}</span>'


_Box = tuple[float, float, float, float]  # left, right, bottom, top in per cent
_SIDES: Final = ("right", "left", "under", "over")
_ALONG: Final = (0.38, 0.55, 0.2, 0.7, 0.1, 0.85)  # of the slope, the place that looks best first
_STRUCK: Final = 0.3  # of a name's width that a roof may cross


def _slope(bandwidth: float | None, ridge: float | None, dots: Sequence[_Dot], frame: _Frame) -> tuple[str, list[_Box]]:
    """The bandwidth beside the slope, where no mark stands, and the box that it takes."""
    if not bandwidth:
        return "", []
    left, right = max(frame.x0, frame.y0 / bandwidth), ridge or frame.x1
    text, boxes = si(bandwidth, "B/s", 2), []
    for share in _ALONG:
        x = left ** (1 - share) * right**share
        at = frame.x(x), frame.y(x * bandwidth)
        box = (at[0] - 1.2 * len(text), at[0], at[1] + 1, at[1] + 7)
        boxes.append((sum(_near(box, frame, dot) for dot in dots), at, box))
    _, (x, y), box = min(boxes, key=lambda one: one[0])
    style = f"right:{100 - x:.1f}%;bottom:{y + 2:.1f}%"
    return f'<span class="note slope" style="{style}">{text}</span>', [box]


def _near(box: _Box, frame: _Frame, dot: _Dot) -> bool:
    x, y, half = frame.x(dot.x), frame.y(dot.y), _size(dot) / 2
    return box[0] - half / 10 < x < box[1] + half / 10 and box[2] - half / 4 < y < box[3] + half / 4


def _labels(dots: Sequence[_Dot], frame: _Frame, roof: Roof, taken: Sequence[_Box]) -> str:
    """The names of the slowest few, each on a side where nothing else stands; none where there is no room."""
    points = sorted({(round(frame.x(dot.x), 1), round(frame.y(dot.y), 1)) for dot in dots})
    line = _heights(roof, frame)
    placed = list(taken)
    drawn: list[str] = []
    for dot in sorted(dots, key=lambda d: -d.share)[:60]:
        x, y = frame.x(dot.x), frame.y(dot.y)
        if len(dot.name) > 30:
            continue
        for side in _SIDES:
            box = _box(side, x, y, 0.8 * len(dot.name), _size(dot))
            inside = box[0] > 0 and box[1] < 100 and box[2] > 0 and box[3] < 100
            if (
                inside
                and _crossed(box, line) <= _STRUCK
                and not any(_meet(box, other) for other in placed)
                and not any(_holds(box, p) for p in points)
            ):
                placed.append(box)
                style = f"left:{x:.1f}%;bottom:{y:.1f}%;--d:{_size(dot):.0f}px"
                drawn.append(f'<span class="dl {side}" style="{style}">{esc(dot.name)}</span>')
                break
        if len(drawn) == _LABELS:
            break
    return "".join(drawn)


def _heights(roof: Roof, frame: _Frame) -> list[float]:
    """The roof's height at every per cent from the left, both in per cent; far below where there is none."""
    found = []
    for step in range(101):
        top = roof.at(frame.x0 * (frame.x1 / frame.x0) ** (step / 100))
        found.append(frame.y(top) if top else -100.0)
    return found


def _crossed(box: _Box, line: Sequence[float]) -> float:
    """The part of a box's width in which the roof runs through it."""
    steps = range(max(0, math.ceil(box[0])), min(100, math.floor(box[1])) + 1)
    return sum(box[2] < line[step] < box[3] for step in steps) / len(steps) if steps else 0.0


def _box(side: str, x: float, y: float, width: float, size: float) -> _Box:
    """Where a name of `width` per cent stands beside a mark of `size` pixels, in a plot of about 1,000 by 400."""
    dx, dy = size / 20 + 0.5, size / 8 + 0.5
    if side == "right":
        return x + dx, x + dx + width, y - 2.5, y + 2.5
    if side == "left":
        return x - dx - width, x - dx, y - 2.5, y + 2.5
    if side == "over":
        return x - width / 2, x + width / 2, y + dy, y + dy + 5
    return x - width / 2, x + width / 2, y - dy - 5, y - dy


def _meet(a: _Box, b: _Box) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] + 3 and b[2] < a[3] + 3


def _holds(box: _Box, point: tuple[float, float]) -> bool:
    return box[0] <= point[0] <= box[1] and box[2] <= point[1] <= box[3]
