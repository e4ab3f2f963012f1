"""`picojoule estimate` and `compare` as text: devices, parts, the dearest operators, one sentence."""

from collections.abc import Sequence

import numpy as np

from picojoule.cost import Interval, ratio
from picojoule.levels import Estimate
from picojoule.quantity import format_quantity

from .._plain import pad, plain
from ._paint import PARTS, Paint, decades, dots


def estimate_text(estimates: Sequence[Estimate], paint: Paint, *, rows: int = 5) -> str:
    """What was read, the devices with their intervals, their parts, the dearest operators, a comparison."""
    first = estimates[0]
    lines = [_headline(first, paint), "", *_devices(estimates, paint), "", *_parts(estimates, paint)]
    for estimate in estimates:
        lines += ["", *_dearest(estimate, paint, rows)]
    if len(estimates) > 1:
        lines += ["", *_sentences(estimates)]
    lines.append(paint.dim(_footer(first)))
    return "\n".join(lines) + "\n"


def compare_text(estimates: Sequence[Estimate], paint: Paint) -> str:
    """One row per run, per sample; each ratio is to the first row, from shared draws."""
    lines = [paint.dim(f"{'run':<27}{'energy a sample':>16}{'ratio, 90 %':>19}{'time a sample':>14}  bound")]
    base = estimates[0]
    reference = _per_sample(base)
    for estimate in estimates:
        name = f"{plain(estimate.workload.name, 13)} {estimate.architecture.name} b{estimate.workload.batch}"
        energy = estimate.cost.total_energy_j.nominal / estimate.workload.batch
        time = estimate.cost.total_time_s.nominal / estimate.workload.batch
        against = "1 (reference)" if estimate is base else _interval(ratio(_per_sample(estimate), reference))
        lines.append(f"{pad(plain(name, 27), 27)}{format_quantity(energy, 'J'):>16}{against:>19}"
                     f"{format_quantity(time, 's'):>14}  {_bound(estimate)}")  # fmt: skip
    scopes = {e.cost.scope for e in estimates}
    if len(scopes) > 1:
        lines.append(
            "scopes differ: " + "; ".join(f"{e.architecture.name} {e.cost.scope}" for e in _distinct(estimates))
        )
    lines.append(paint.dim(_footer(base)))
    return "\n".join(lines) + "\n"


def _per_sample(estimate: Estimate) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    draws: np.ndarray[tuple[int], np.dtype[np.float64]] = estimate.cost.energy_j.sum(axis=0) / estimate.workload.batch
    return draws


def _distinct(estimates: Sequence[Estimate]) -> list[Estimate]:
    return list({e.architecture.name: e for e in estimates}.values())


def _bound(estimate: Estimate) -> str:
    """What most of the time waits for."""
    waits: dict[str, float] = {}
    for activity in estimate.cost.activities:
        waits[activity.bound_by] = waits.get(activity.bound_by, 0.0) + activity.time_s
    return max(waits, key=lambda name: waits[name], default="nothing")


def _headline(estimate: Estimate, paint: Paint) -> str:
    workload = estimate.workload
    shapes = "  ".join("×".join(map(str, workload.tensors[name].shape)) for name in workload.inputs[:2])
    parameters = sum(t.stored_elements for t in workload.parameters)
    macs = format_quantity(workload.work.macs, "")
    missing, all_ = len(workload.uncounted), len(workload.operators) + len(workload.uncounted)
    return (
        f"{paint.bold(plain(workload.name, 24))}  {plain(shapes, 18)}  {macs} MAC  "
        f"{format_quantity(parameters, '')} param.  {missing} of {all_} uncounted"
    )


def _devices(estimates: Sequence[Estimate], paint: Paint) -> list[str]:
    energies = [e.cost.total_energy_j for e in estimates]
    nonzero = [x for e in energies for x in (e.low, e.high) if x > 0]
    wide = 11
    floor, ceiling = decades(nonzero) if nonzero else (1.0, 10.0)
    axis = f"{format_quantity(floor, 'J', 1)} … {format_quantity(ceiling, 'J', 1)}"
    name = max(8, *(len(e.architecture.name) for e in estimates))
    name = min(name, 14)
    lines = [paint.dim(f"{'':<{name}} {'energy':>8}  {'90 %':<14}{axis:^14} {'time':>8}  {'90 %':<14}{'off-chip':>8}")]
    for estimate, energy in zip(estimates, energies, strict=True):
        time = estimate.cost.total_time_s
        picture = dots(energy.low, energy.nominal, energy.high, floor, ceiling, wide) if energy.nominal > 0 else ""
        outer = estimate.architecture.memories[0].name
        moved = format_quantity(estimate.traffic_bytes[outer], "B", 2)
        joules, seconds = f"{_two(energy.nominal, 'J'):>8}", f"{_two(time.nominal, 's'):>8}"
        lines.append(
            f"{plain(estimate.architecture.name, name):<{name}} {paint.bold(joules)}  {_range(energy, 'J'):<14} "
            f"{picture:<12}  {paint.bold(seconds)}  {_range(time, 's'):<14}{moved:>8}"
        )
    for estimate in estimates:
        seconds_all, joules_all = estimate.cost.total_time_s.nominal, estimate.cost.total_energy_j.nominal
        power = format_quantity(joules_all / seconds_all, "W") if seconds_all > 0 else "unknown"
        lines.append(paint.dim(
            f"{plain(estimate.architecture.name, name):<{name}} {estimate.dtype}, mean {power}, "
            f"scope {estimate.cost.scope}, waits for {_bound(estimate)}"
        ))  # fmt: skip
    return lines


def _parts(estimates: Sequence[Estimate], paint: Paint) -> list[str]:
    name = min(14, max(8, *(len(e.architecture.name) for e in estimates)))
    width = 79 - name
    lines = [f"{plain(e.architecture.name, name):<{name}} {paint.bar(shares(e), width)}" for e in estimates]
    return [*lines, f"{'':<{name}} {paint.legend()}" if name <= 9 else paint.legend()]


def shares(estimate: Estimate, row: int | None = None) -> dict[str, float]:
    """Share of the nominal energy by part: of the whole run, or of one operator."""
    sums = dict.fromkeys(PARTS, 0.0)
    for action, energy in estimate.cost.energy_by_action().items():
        sums[estimate.group(action[0])] += float(energy.sum() if row is None else energy[row])
    total = sum(sums.values())
    return {part: value / total for part, value in sums.items()} if total > 0 else sums


def _dearest(estimate: Estimate, paint: Paint, rows: int) -> list[str]:
    cost = estimate.cost
    order = np.argsort(-cost.energy_j[:, 0], kind="stable")
    total = cost.total_energy_j.nominal or 1.0
    title = f"dearest on {estimate.architecture.name}"
    lines = [paint.dim(f"{title:<26}{'energy':>8} {'share':>6}  {'':<14}{'time':>8}  bound by")]
    for row in order[:rows]:
        activity = cost.activities[int(row)]
        energy, time = float(cost.energy_j[row, 0]), float(cost.time_s[row, 0])
        lines.append(
            f"{pad(plain(activity.operator, 25), 26)}{format_quantity(energy, 'J'):>8} {energy / total:>6.1%}  "
            f"{paint.bar(shares(estimate, int(row)), 12)}  {format_quantity(time, 's'):>8}  {activity.bound_by}"
        )
    if len(order) > rows:
        lines.append(paint.dim(f"… {len(order) - rows} more: --all, --csv, --html FILE"))
    return lines


def _sentences(estimates: Sequence[Estimate]) -> list[str]:
    best = min(estimates, key=lambda e: e.cost.total_energy_j.nominal)
    lines = []
    for other in estimates:
        if other is best:
            continue
        times = ratio(_per_sample(other), _per_sample(best))
        lines.append(f"{best.architecture.name} costs {times.nominal:.2g}× less energy than {other.architecture.name}  "
                     f"({times.low:.2g} – {times.high:.2g}, 90 %, shared draws)")  # fmt: skip
    return lines


def _footer(estimate: Estimate) -> str:
    draws = estimate.cost.energy_j.shape[1] - 1
    return (f"level {estimate.level} · {draws:,} draws, seed {estimate.cost.seed} · "
            f"why? picojoule explain {plain(estimate.workload.name, 20)} --on {estimate.architecture.name}")  # fmt: skip


def _two(value: float, unit: str) -> str:
    return format_quantity(value, unit, 2)


def _range(interval: Interval, unit: str) -> str:
    """`8.5 – 15 mJ`: two digits, the unit once where both ends share it."""
    low, high = _two(interval.low, unit), _two(interval.high, unit)
    number, _, prefix = low.partition(" ")
    return f"{number} – {high}" if high.partition(" ")[2] == prefix else f"{low} – {high}"


def _interval(interval: Interval) -> str:
    return f"{interval.nominal:.3g} ({interval.low:.2g}–{interval.high:.2g})"
