"""The tables and the plot of docs/validation-fpga.md."""

import math
from collections.abc import Callable, Sequence
from statistics import mean, median

from ._row import Row

INTRODUCTION = """# FPGA designs beside published boards

Written by `python -m validation.fpga`; not edited by hand. The laws are in the docstrings of `picojoule.fpga`, what is
fitted in `validation/fpga/_fit.py`.

* **Fitted**: five rates of the DPU (share of its ports, share of the memory under all cores, factor of depthwise
  layers, start of a layer, time between frames), on one board, one release: ZCU102, Vitis AI 2.5, 22 networks. Without
  MobileNets nothing has depthwise layers: their factor is then 1. The form of the law was chosen after
  seeing errors of all boards; a family, a release or a board is left out of the fit below, not out of that choice.
  The width of the interval was set on the errors held out here.
* **Not fitted**: cycles, traffic, slices, block RAM; the tiled designs. The pipeline of 20 cycles is from the paper.
* **Circular**: power. Static watts of the three boards were read off the same published totals, and the three energies
  per cycle are recalled: agreement says only that they are possible. No published power of a network is held out.
* **Recalled** rows are from memory and not judged.
* No other tool ships a prediction for these boards in the data at hand; peak and roofline stand beside instead. Peak:
  operations over the peak of the cores. Roofline: that, or all bytes of this model at the sheet's bandwidth, if longer.
"""
LIMITS = {"in-sample": 9.0, "held out: family of networks": 15.0, "held out: release": 12.0, "held out: board": 12.0}


def page(rows: Sequence[Row], notes: Sequence[str] = ()) -> str:
    """Markdown: errors by set, then every row."""
    parts = [INTRODUCTION, "![predicted over published](validation-fpga.svg)\n", _summary(rows)]
    parts += [f"* {note}" for note in notes] + [""] * bool(notes)
    for group in dict.fromkeys(row.group for row in rows):
        own = [row for row in rows if row.group == group]
        timed = any(row.peak is not None for row in own)
        parts.append(f"## {group[0].upper()}{group[1:]}\n\n| board | what | quantity | published | predicted | error | 90 % |"
                     + (" peak | roofline |" if timed else "") + "\n|---|---|---|---|---|---|---|"
                     + ("---|---|" if timed else ""))  # fmt: skip
        parts += [_line(row, timed) for row in own]
        parts.append("")
    return "\n".join(parts)


def _summary(rows: Sequence[Row]) -> str:
    columns = ("set", "quantity", "rows", "mean", "median", "worst", "inside 90 %", "peak", "roofline")
    head = f"## Absolute error [%]; peak and roofline: mean / median\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|"
    made = [head]
    for group in dict.fromkeys(row.group for row in rows if row.peak is not None):
        for quantity in ("one thread", "all threads"):
            own = [row for row in rows if row.group == group and row.quantity == quantity]
            if own:
                made.append(f"| {group} | {quantity} | {_errors(own)} |")
    everything = [row for row in rows if row.held == "held out"]
    made.append(f"| all held out | both | {_errors(everything)} |")
    timed = [row for row in rows if row.held == "no fit" and row.quantity in ("latency", "rate")]
    made.append(f"| tiled designs, times and rates | | {_errors(timed)} |")
    return "\n".join(made) + "\n"


def _errors(rows: Sequence[Row]) -> str:
    own = [abs(row.error_pct) for row in rows]
    beside = [_beside(rows, lambda row: row.peak), _beside(rows, lambda row: row.roofline)]
    held = sum(row.inside for row in rows)
    return f"{len(rows)} | {mean(own):.1f} | {median(own):.1f} | {max(own):.1f} | {held} of {len(rows)} | {' | '.join(beside)}"


def _beside(rows: Sequence[Row], value: Callable[[Row], float | None]) -> str:
    errors = [abs(100 * (found / row.published - 1)) for row in rows if (found := value(row)) is not None]
    return f"{mean(errors):.0f} / {median(errors):.0f}" if errors else "–"


def _line(row: Row, timed: bool) -> str:
    mark = {"circular": " (circular)", "recalled": " (recalled)"}.get(row.held, "")
    tail = f" {row.peak:.4g} | {row.roofline:.4g} |" if timed else ""
    unit = "" if row.unit == "1" else f" {row.unit}"
    return (f"| {row.board} | {row.what}{mark} | {row.quantity} | {row.published:.4g}{unit} | {row.predicted:.4g}{unit} | "
            f"{row.error_pct:+.1f} % | {'' if row.inside else '**outside**'} |{tail}")  # fmt: skip


def mean_error(rows: Sequence[Row], group: str) -> float:
    """Mean absolute error of a set [%]."""
    return mean(abs(row.error_pct) for row in rows if row.group == group)


def plot(rows: Sequence[Row]) -> str:
    """Predicted over published on a log axis: one line a set, one dot a row, held-out sets open; SVG."""
    groups = list(dict.fromkeys(row.group for row in rows))
    height, left, width = 46 * len(groups) + 60, 250, 480
    top = math.log(
        max(2.0, *(max(row.predicted / row.published, row.published / row.predicted) * 1.05 for row in rows))
    )

    def x(ratio: float) -> float:
        return left + width * (0.5 + math.log(ratio) / (2 * top))

    marks = [f'<line x1="{x(r):.1f}" x2="{x(r):.1f}" y1="24" y2="{height - 30}" stroke="#ccc"/>'
             f'<text x="{x(r):.1f}" y="{height - 12}" text-anchor="middle">{r:g}×</text>'
             for r in (0.5, 0.8, 1, 1.25, 2)]  # fmt: skip
    drawn = []
    for n, group in enumerate(groups):
        y = 48 + 46 * n
        drawn.append(f'<text x="8" y="{y + 4}">{group}</text>')
        drawn += [_dot(row, y, i, x) for i, row in enumerate(row for row in rows if row.group == group)]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} {height}" font-family="sans-serif" '
            f'font-size="12"><rect width="100%" height="100%" fill="#fff"/>{"".join(marks)}{"".join(drawn)}</svg>\n')  # fmt: skip


def _dot(row: Row, y: int, index: int, x: Callable[[float], float]) -> str:
    fill = "#b5470e" if row.held in ("in-sample", "circular") else "#fff"
    return (f'<circle cx="{x(row.predicted / row.published):.1f}" cy="{y - 12 + 6 * (index % 5)}" r="4" fill="{fill}" '
            f'stroke="#1d7f87" stroke-width="1.5"/>')  # fmt: skip
