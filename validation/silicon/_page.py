"""The table and the plot of docs/validation-silicon.md."""

import math
from collections.abc import Callable, Sequence

from ._row import Row

INTRODUCTION = """# Accelerators beside their silicon

Written by `python -m validation.silicon`; not edited by hand. The equations are in the docstrings of
`validation/silicon`. The interval is that of prices and attained shares, 90 %; traffic is a count and has none.
"""


def page(rows: Sequence[Row]) -> str:
    """Markdown with one table a chip; rows outside their interval are named."""
    parts = [INTRODUCTION, "![predicted over published](validation-silicon.svg)\n"]
    for chip in dict.fromkeys(row.chip for row in rows):
        own = [row for row in rows if row.chip == chip]
        parts.append(f"## {chip}\n\n| | quantity | published | predicted | 90 % | error |\n|---|---|---|---|---|---|")
        parts += [_line(row) for row in own]
        held = [row.inside for row in own if row.inside is not None]
        parts.append(f"\nInside their interval: {sum(held)} of {len(held)}. Mean absolute error "
                     f"{sum(abs(row.error_pct) for row in own) / len(own):.1f} %.\n")  # fmt: skip
    return "\n".join(parts)


def _line(row: Row) -> str:
    interval = "" if row.inside is None else f"{row.low:.3g} – {row.high:.3g}{'' if row.inside else ' **outside**'}"
    return (f"| {row.what} | {row.quantity} | {row.published:.3g} {row.unit} | {row.predicted:.3g} {row.unit} | {interval} | "
            f"{row.error_pct:+.1f} % |")  # fmt: skip


def plot(rows: Sequence[Row]) -> str:
    """Predicted over published on a log axis, one dot a row with its interval; SVG."""
    height, left, width = 18 * len(rows) + 60, 250, 480
    ends = [x / row.published for row in rows for x in (row.low, row.high, row.predicted)]
    top = math.log(max(2.0, max(ends) * 1.05, 1 / (min(ends) * 0.95)))

    def x(ratio: float) -> float:
        return left + width * (0.5 + math.log(ratio) / (2 * top))

    marks = [f'<line x1="{x(r):.1f}" x2="{x(r):.1f}" y1="24" y2="{height - 30}" stroke="#ccc"/>'
             f'<text x="{x(r):.1f}" y="{height - 12}" text-anchor="middle">{r:g}×</text>'
             for r in (0.5, 0.67, 1, 1.5, 2)]  # fmt: skip
    dots = [_dot(row, 34 + 18 * n, x) for n, row in enumerate(rows)]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} {height}" font-family="sans-serif" '
            f'font-size="12"><rect width="100%" height="100%" fill="#fff"/>{"".join(marks)}{"".join(dots)}</svg>\n')  # fmt: skip


def _dot(row: Row, y: int, x: Callable[[float], float]) -> str:
    low, high, at = (x(v / row.published) for v in (row.low, row.high, row.predicted))
    return (f'<text x="8" y="{y + 4}">{row.chip} {row.what}, {row.quantity}</text>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="#1d7f87" stroke-width="3"/>'
            f'<circle cx="{at:.1f}" cy="{y}" r="4" fill="#b5470e"/>')  # fmt: skip
