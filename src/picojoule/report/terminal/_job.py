"""`picojoule job` as text: one line a stage and a part, what waits, the total, what runs at once."""

from typing import TYPE_CHECKING

from picojoule.cost import Interval, interval
from picojoule.quantity import format_quantity

from .._plain import pad, plain
from ._paint import Paint

if TYPE_CHECKING:  # a job is loaded by those who have one
    from picojoule.lifecycle import JobResult, StageCost

_NAME, _ON = 17, 11


def job_text(result: "JobResult", paint: Paint) -> str:
    """At most 80 columns; shares are of the nominal total."""
    lines = [*_head(result, paint), "", paint.dim(f"{'stage':<{_NAME}}{'on':<{_ON}}{'energy':>8}  {'90 %':<13}"
                                                  f"{'share':>6} {'time':>8}  {'90 %':<12}".rstrip())]  # fmt: skip
    for stage in result.stages:
        lines.append(_line(stage.name, stage.stage.device, interval(stage.energy_j), result.shares[stage.name],
                           interval(stage.time_s)))  # fmt: skip
        lines += [paint.dim(line) for line in _parts(stage, result)]
    for row in result.idle:
        name = f"idle {row.name}"
        if not row.energy_j.any():
            continue
        lines.append(_line(name, "", interval(row.energy_j), result.shares[name], interval(row.time_s)))
    if result.conversion_j is not None:
        lines.append(_line("conversion", "", interval(result.conversion_j), result.shares["conversion"], None))
    lines.append(paint.bold(_line("total", "", result.total_energy_j, 1.0, result.total_time_s)))
    lines += ["", *_order(result), paint.dim(f"{result.job.level} · {result.draws:,} draws, seed {result.seed}")]
    return "\n".join(lines) + "\n"


def _head(result: "JobResult", paint: Paint) -> list[str]:
    job = result.job
    machines = ", ".join(f"{plain(d.name, 16)} {d.count} × {plain(d.architecture.name, 20)}"
                         for d in job.devices.values())  # fmt: skip
    data = f"{job.data.items:,} items, {format_quantity(job.data.total_bytes, 'B')}" if job.data.shape else ""
    facts = [data, f"batch {job.batch}", f"{job.epochs} epoch{'s' if job.epochs > 1 else ''}"]
    lines = [f"{paint.bold(plain(job.name, 40))}  {', '.join(filter(None, facts))}"[: 80 + 8 * paint.colour]]
    return [*lines, *_wrapped(machines), *_wrapped(f"scope {result.scope}")]


def _line(name: str, device: str, energy: Interval, share: float, time: Interval | None) -> str:
    clock = "" if time is None else f"{_two(time.nominal, 's'):>8}  {_range(time, 's')}"
    left = f"{pad(plain(name, _NAME - 1), _NAME)}{pad(plain(device, _ON - 1), _ON)}"
    return f"{left}{_two(energy.nominal, 'J'):>8}  {_range(energy, 'J'):<13}{share:>6.1%} {clock}".rstrip()


def _parts(stage: "StageCost", result: "JobResult") -> list[str]:
    """The parts of a stage that has several, and its share of static power."""
    if len(stage.parts) < 2:
        return []
    total = float(result.energy_j[0]) or 1.0
    lines = [_line(f"  {part.name}", "", interval(part.energy_j), float(part.energy_j[0]) / total, interval(part.time_s))
             for part in stage.parts]  # fmt: skip
    if stage.static_j[0] > 0:
        lines.append(_line("  static", "", interval(stage.static_j), float(stage.static_j[0]) / total, None))
    return lines


def _order(result: "JobResult") -> list[str]:
    """What runs at once, and what the rest waits for."""
    lines = []
    for block in result.job.blocks:
        if len(block.stages) > 1:
            slowest = max(block.stages, key=lambda name: float(result.stage(name).time_s[0]))
            law = "the longest counts" if block.items is None else f"a pipeline of {block.items:,} items"
            text = f"at once: {', '.join(map(plain, block.stages))} ({law}: {plain(slowest)})"
            lines += _wrapped(text)
    return lines


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 80, subsequent_indent="  ")


def _two(value: float, unit: str) -> str:
    return format_quantity(value, unit, 2)


def _range(value: Interval, unit: str) -> str:
    """`8.5 – 15 mJ`: two digits, the unit once where both ends share it."""
    low, high = _two(value.low, unit), _two(value.high, unit)
    number, _, prefix = low.partition(" ")
    return f"{number} – {high}" if high.partition(" ")[2] == prefix else f"{low}–{high}".replace(" ", "")
