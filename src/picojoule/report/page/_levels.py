"""The same network at several levels of fidelity: each may only add cost, and a crossing is a fault."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from picojoule.cost import Interval
from picojoule.levels import Estimate

from ._data import Device
from ._format import interval_text, si
from ._html import esc
from ._intervals import axis_of, dot

Words = Mapping[str, str]
ORDER: Final = ("count", "roofline", "mapped", "simulated")
_SLACK = 1e-9


def levels(w: Words, devices: Sequence[Device], others: Mapping[str, Sequence[Estimate]]) -> str:
    """Two small tables a device, energy and time; empty if no other level is given."""
    panels, faults = [], []
    for device in devices:
        found = _of(device, others)
        if len(found) < 2:
            continue
        panels.append(_panel(w, device, w["energy_run"], [(e, e.cost.total_energy_j) for e in found], "J"))
        panels.append(_panel(w, device, w["time_run"], [(e, e.cost.total_time_s) for e in found], "s"))
        faults += list(_faults(w, device, found))
    if not panels:
        return ""
    warned = f'<ul class="warn">{"".join(f"<li>{fault}</li>" for fault in faults)}</ul>' if faults else ""
    return f'{warned}<div class="two">{"".join(panels)}</div>'


def _of(device: Device, others: Mapping[str, Sequence[Estimate]]) -> list[Estimate]:
    """This device's estimate at each level, shallowest first."""
    own = device.estimate
    found = {own.level: own}
    for level, estimates in others.items():
        for estimate in estimates:
            if estimate.architecture.name == own.architecture.name:
                found.setdefault(level, estimate)
    rank = {level: n for n, level in enumerate(ORDER)}
    return sorted(found.values(), key=lambda e: rank.get(e.level, len(ORDER)))


def _panel(w: Words, device: Device, what: str, rows: Sequence[tuple[Estimate, Interval]], unit: str) -> str:
    axis = axis_of((interval for _, interval in rows), 1.15)
    body = "".join(
        f'<tr{" class=now" if estimate is device.estimate else ""}><th scope="row">{esc(estimate.level)}</th>'
        f'<td class="wide">{dot(interval, axis)}</td><td class="num">{si(interval.nominal, unit)}</td>'
        f'<td class="num dim">{interval_text(interval, unit) or w["exact"]}</td></tr>'
        for estimate, interval in rows
    )
    return (
        f'<div class="small-table"><h3>{what} <small>{esc(device.title)}</small></h3><table class="levels"><thead class="sr"><tr>'
        f'<th scope="col">{w["level_name"]}</th><td></td><th scope="col">{w["nominal"]}</th>'
        f'<th scope="col">{w["interval"]}</th></tr></thead><tbody>{body}</tbody></table></div>'
    )


def _faults(w: Words, device: Device, found: Sequence[Estimate]) -> Iterator[str]:
    for a, b in pairwise(found):
        pairs = ((a.cost.total_energy_j, b.cost.total_energy_j), (a.cost.total_time_s, b.cost.total_time_s))
        if any(x.nominal > y.nominal * (1 + _SLACK) for x, y in pairs):
            yield w["warn_order"].format(a=esc(a.level), b=esc(b.level), device=esc(device.title))
