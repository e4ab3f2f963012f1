"""A measurement as text of at most 80 columns, and as a JSON object."""

import textwrap
from collections.abc import Mapping
from typing import Any, Final

from picojoule.quantity import format_quantity

from ._measure import Figure, Measurement

WIDTH: Final = 80


def measurement_text(m: Measurement) -> str:
    """A table with one line for each domain; what the figures mean stands below."""
    lines = [textwrap.shorten(f"measured: {m.what}", WIDTH, placeholder=" …"), _how(m), ""]
    lines.append(f"{'domain':<14}{'label':<11}{'joules/run':>11}{'least … most':>21}{'power':>10}{'over idle':>13}")
    lines += [_line(figure) for figure in m.figures]
    lines += ["", _total(m)]
    for figure in m.figures:
        text = f"{figure.domain} ({figure.scope}, {figure.source}): {figure.note}"
        lines += textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=True)
    for note in m.notes:
        lines += textwrap.wrap(note, WIDTH, initial_indent="! ", subsequent_indent="  ")
    return "\n".join(lines) + "\n"


def measurement_json(m: Measurement) -> dict[str, Any]:
    """The same as plain data, in joules, seconds and watts; unknown is null."""
    return {
        "schema": "picojoule/measurement/1",
        "command": m.what,
        "exit_code": m.exit_code,
        "seconds_per_run": m.run_s,
        "runs_per_window": m.runs,
        "window_seconds": [seconds * runs for seconds, runs in zip(m.seconds, m.runs, strict=True)],
        "total_joules_per_run": m.total_joules,
        "total_label": m.total_label,
        "domains": [_figure_json(figure) for figure in m.figures],
        "notes": list(m.notes),
    }


def _figure_json(figure: Figure) -> Mapping[str, Any]:
    return {
        "domain": figure.domain, "label": figure.label, "scope": figure.scope, "source": figure.source,
        "role": figure.role, "joules_per_run": figure.joules, "least": figure.low, "most": figure.high,
        "watts": figure.watts, "idle_watts": figure.idle_w, "joules_above_idle": figure.above_idle,
        "note": figure.note,
    }  # fmt: skip


def _how(m: Measurement) -> str:
    windows = f"{len(m.windows)} window{'s' if len(m.windows) != 1 else ''}"
    inside = f" of {min(m.runs)} to {max(m.runs)} runs" if max(m.runs, default=1) > 1 else ""
    spread = ""
    if len(m.seconds) > 1:
        spread = f" ({format_quantity(min(m.seconds), 's')} … {format_quantity(max(m.seconds), 's')})"
    return f"{format_quantity(m.run_s, 's')} a run{spread}, {windows}{inside}"


def _line(figure: Figure) -> str:
    if figure.joules is None or figure.low is None or figure.high is None:
        return f"{textwrap.shorten(figure.domain, 13, placeholder='…'):<14}{figure.label:<11}{'unknown':>11}".rstrip()
    name = figure.domain if len(figure.domain) <= 13 else figure.domain[:12] + "…"
    between = f"{_joules(figure.low)} … {_joules(figure.high)}"
    power = format_quantity(figure.watts, "W") if figure.watts is not None else "—"
    over = _joules(figure.above_idle) if figure.above_idle is not None else "unknown"
    return f"{name:<14}{figure.label:<11}{_joules(figure.joules):>11}{between:>21}{power:>10}{over:>13}"


def _total(m: Measurement) -> str:
    own = [figure for figure in m.figures if figure.role == "own"]
    if m.total_joules is not None:
        return (
            f"total  {_joules(m.total_joules)} a run, {m.total_label}: {' + '.join(figure.domain for figure in own)}"[
                :WIDTH
            ]
        )
    missing = [figure.domain for figure in own if figure.joules is None]
    known = [figure.domain for figure in own if figure.joules is not None]
    why = f"no figure for {', '.join(missing)}" if missing else "rails may contain one another: nothing is summed"
    return f"total  unknown: {why}{'; known: ' + ', '.join(known) if known else ''}"[:WIDTH]


def _joules(value: float) -> str:
    return format_quantity(value, "J")
