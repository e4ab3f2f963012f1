"""FPGA designs as text: one line a design, the resources of the first, its power, its slowest layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from picojoule.quantity import format_quantity

from .._plain import fold, plain
from ._paint import Paint

if TYPE_CHECKING:
    from picojoule.fpga import LayerRun, Power, Run

NAME = 26


def fpga_text(model: str, found: "Sequence[tuple[Run, Power]]", paint: Paint, *, rows: int = 10) -> str:
    """`found` in at most 80 columns; `rows` layers of the first design, slowest first, or in order if all are shown."""
    run, power = found[0]
    board = run.board
    head = f"{plain(model)} on {board.name} at {format_quantity(board.clock_hz, 'Hz')}, {run.dtype}"
    lines = [paint.bold(line) for line in fold(head)]
    lines += [paint.dim(f"{'design':<36}{'latency':>11}{'frames/s':>11}{'used':>8}{'power':>12}")]
    lines += [_design(one, watts) for one, watts in found]
    lines += ["", *_resources(run), "", *_power(power, paint), "", *_layers(run, paint, rows)]
    return "\n".join(lines) + "\n"


def _design(run: "Run", power: "Power") -> str:
    return (f"{run.design:<36}{format_quantity(run.latency_s, 's'):>11}{run.rate_per_s:>11,.4g}"
            f"{100 * run.utilisation:>7.1f}%{format_quantity(power.power_w, 'W'):>12}")  # fmt: skip


def _resources(run: "Run") -> list[str]:
    from picojoule.fpga import WORDS

    has, usable = run.board.has.as_dict(), run.board.usable.as_dict()
    lines = []
    for key, used in run.used.as_dict().items():
        if has[key]:
            lines.append(f"{WORDS[key]:<16}{used:>10,.0f} of {has[key]:>9,.0f}{100 * used / has[key]:>7.1f}%"
                         f"   usable {usable[key]:,.0f}")  # fmt: skip
    return lines


def _power(power: "Power", paint: Paint) -> list[str]:
    parts = ", ".join(f"{name.replace('_', ' ')} {100 * joules / power.energy_j:.0f} %"
                      for name, joules in power.parts_j.items())  # fmt: skip
    text = (f"{format_quantity(power.energy_j, 'J')} a frame ({format_quantity(power.energy_low_j, 'J')} to "
            f"{format_quantity(power.energy_high_j, 'J')}), {format_quantity(power.power_w, 'W')} "
            f"({format_quantity(power.power_low_w, 'W')} to {format_quantity(power.power_high_w, 'W')})")  # fmt: skip
    return [*fold(text), *(paint.dim(line) for line in fold(parts))]


def _layers(run: "Run", paint: Paint, rows: int) -> list[str]:
    shown = list(run.layers) if rows >= len(run.layers) else sorted(run.layers, key=lambda one: -one.time_s)[:rows]
    spread = run.error.spread
    lines = [paint.dim(f"{'layer of ' + run.design.partition(',')[0]:<{NAME}}{'MACs':>10}{'cycles':>12}{'moved':>11}"
                       f"{'time':>10}   bound by"), *(_layer(one) for one in shown)]  # fmt: skip
    said = (f"latency within {format_quantity(run.latency_s / spread, 's')} to "
            f"{format_quantity(run.latency_s * spread, 's')} in 90 %: {run.error.where}")  # fmt: skip
    if len(shown) < len(run.layers):
        said = f"{len(run.layers) - len(shown)} more layers: --all. {said}"
    return [*lines, *(paint.dim(line) for line in fold(said))]


def _layer(one: "LayerRun") -> str:
    name = plain(one.name)
    short = name if len(name) < NAME else "…" + name[-(NAME - 2) :]
    return (f"{short:<{NAME}}{format_quantity(one.macs, '') if one.macs else '-':>10}{one.cycles:>12,.0f}"
            f"{format_quantity(one.size_bytes, 'B') if one.size_bytes else '-':>11}"
            f"{format_quantity(one.time_s, 's'):>10}   {one.bound_by}")  # fmt: skip
