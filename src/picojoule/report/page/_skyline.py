"""The power skyline: width is time, height is power, so the painted area is the energy; stacked by part."""

from collections.abc import Mapping, Sequence

from ._data import Block, Device
from ._format import interval_text, si, steps
from ._headline import scope_text, subtitle
from ._html import esc

Words = Mapping[str, str]
_WIDE, _HIGH = 10_000, 3_000  # units of the drawing; stretched to the box, lines keep their width
_GAP = 6  # between blocks, where they are wide enough
HATCH = (
    '<svg class="defs" width="0" height="0" aria-hidden="true"><defs><pattern id="hatch" width="90" height="105" '
    'patternUnits="userSpaceOnUse"><rect class="p5" width="90" height="105"/><path class="hatch" '
    'd="M-9 10.5L9-10.5M0 105L90 0M81 115.5L99 94.5"/></pattern></defs></svg>'
)


def skyline(w: Words, blocks: Sequence[Block], device: Device, index: int) -> str:
    """One device's panel."""
    total = device.time.nominal
    peak = max((r.energy.nominal / r.time.nominal for r in device.readings if r.time.nominal), default=0.0)
    if total <= 0 or peak <= 0:
        return ""
    limit = device.estimate.architecture.max_power
    top = peak * 1.06
    if limit is not None and peak < limit.nominal < peak * 1.6:
        top = limit.nominal * 1.04
    sheet = _sheet(w, limit.nominal, top) if limit is not None and limit.nominal < top else ("", "")
    ticks = steps(top)
    grid = "".join(f'<path class="grid" d="M0 {_HIGH * (1 - t / top):.0f}h{_WIDE}"/>' for t in ticks)
    labels = "".join(f'<span class="yt" style="bottom:{100 * t / top:.1f}%">{si(t, "W", 2)}</span>' for t in ticks)
    where = w["a_sky"].format(device=esc(device.title))
    return (
        f'<figure class="chart sky" data-device="{index}"><figcaption><h3>{esc(device.title)} '
        f"<small>{subtitle(w, device)} · {scope_text(w, device.scope)}</small></h3>{_sums(w, device)}</figcaption>"
        f'<div class="plot" tabindex="0" role="group" aria-roledescription="{w["chart"]}" aria-label="{where}">'
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" preserveAspectRatio="none" aria-hidden="true">{grid}'
        f'{_stack(device, total, top)}{sheet[0]}<g class="hits"></g></svg>{labels}{sheet[1]}</div>'
        f"{_stages(blocks, device, total)}"
        f'<div class="xt" aria-hidden="true"><span>0</span><span>{w["axis_time"]}</span><span>{si(total, "s")}</span></div>'
        "</figure>"
    )


def _sums(w: Words, device: Device) -> str:
    energy, time = interval_text(device.energy, "J"), interval_text(device.time, "s")
    return (
        f'<p><b>{si(device.energy.nominal, "J")}</b> <span class="dim">({energy or w["exact"]})</span> {w["in_time"]} '
        f'<b>{si(device.time.nominal, "s")}</b> <span class="dim">({time or w["exact"]})</span> · '
        f"{w['mean']} {si(device.power, 'W')}</p>"
    )


def _sheet(w: Words, watts: float, top: float) -> tuple[str, str]:
    y = _HIGH * (1 - watts / top)
    text = w["sheet_power"].format(x=si(watts, "W"))
    return (
        f'<path class="limit" d="M0 {y:.0f}h{_WIDE}"/>',
        f'<span class="note" style="right:4px;bottom:{100 * watts / top:.1f}%">{text}</span>',
    )


def _stack(device: Device, total: float, top: float) -> str:
    """One path for each part, with a rectangle for each block: some 25 bytes a rectangle."""
    drawn: list[list[str]] = [[] for _ in device.parts]
    start = 0.0
    for reading in device.readings:
        seconds = reading.time.nominal
        if seconds <= 0:
            continue
        left, right = round(start / total * _WIDE), round((start + seconds) / total * _WIDE)
        start += seconds
        width = max(1, right - left - (_GAP if right - left > 3 * _GAP else 0))
        scale, below = _HIGH / seconds / top, 0.0
        for path, joules in zip(drawn, reading.parts, strict=True):
            above = below + joules * scale
            low, high = round(_HIGH - below), round(_HIGH - above)
            if low > high:
                path.append(f"M{left} {high}h{width}v{low - high}h-{width}z")
            below = above
    return "".join(f'<path class="p{n}" d="{"".join(path)}"/>' for n, path in enumerate(drawn) if path)


def _stages(blocks: Sequence[Block], device: Device, total: float) -> str:
    """The modules under the time axis, at the shallowest depth that tells three apart."""
    depth = stage_depth(blocks)
    runs: list[tuple[str, float, float, float]] = []
    start = 0.0
    for block, reading in zip(blocks, device.readings, strict=True):
        name = ".".join(block.path[:depth])
        seconds, joules = reading.time.nominal, reading.energy.nominal
        if runs and runs[-1][0] == name:
            runs[-1] = (name, runs[-1][1], start + seconds, runs[-1][3] + joules)
        else:
            runs.append((name, start, start + seconds, joules))
        start += seconds
    cells = []
    for name, a, b, joules in runs:
        width = 100 * (b - a) / total
        label = name.rsplit(".", 1)[-1] if len(name) * 0.75 > width else name
        if width < 0.6:
            continue
        text = (
            f"<b>{esc(label, 40)}</b><em>{si(joules, 'J', 2)}</em>" if width > 4.5 and len(label) * 0.75 < width else ""
        )
        cells.append(f'<span style="left:{100 * a / total:.2f}%;width:{width:.2f}%">{text}</span>')
    return f'<div class="stages" aria-hidden="true">{"".join(cells)}</div>'


def stage_depth(blocks: Sequence[Block]) -> int:
    """How many segments of a path make a stage."""
    deepest = max((len(block.path) for block in blocks), default=1)
    for depth in range(1, deepest + 1):
        if len({block.path[:depth] for block in blocks}) >= 3:
            return depth
    return 1
