"""The first screen: what was asked, one sentence of verdict, the totals with their intervals, and what to beware of."""

from collections.abc import Mapping, Sequence

from picojoule.cost import Interval, ratio

from .._count import Count
from ._data import PARTS, Block, Device
from ._format import interval_text, percent, si, times, times_span
from ._html import esc
from ._intervals import axis_of, dot, scale

Words = Mapping[str, str]


def headline(w: Words, count: Count, blocks: Sequence[Block], devices: Sequence[Device]) -> str:
    """Title, counts, verdict, warnings and the table of totals."""
    return (
        f"<h1>{esc(count.workload.name)}</h1>{_meta(w, count, blocks)}"
        f'<p class="verdict-line">{verdict(w, devices)}</p>{_warnings(w, count, devices)}{_totals(w, devices)}'
    )


def scope_text(w: Words, scope: str) -> str:
    """A scope, or several added, in the words of the page."""
    return " + ".join(w.get(f"scope_{part}", esc(part)) for part in scope.split(" + "))


def subtitle(w: Words, device: Device) -> str:
    """Node, number format, batch and scope: what the name of a machine does not say."""
    estimate = device.estimate
    node = estimate.architecture.node
    words = [si(node.nominal, "m", 2).replace(".0", "")] if node else []
    words += [esc(estimate.dtype), w["batch"].format(n=device.batch)]
    return " · ".join(words)


def _meta(w: Words, count: Count, blocks: Sequence[Block]) -> str:
    workload = count.workload
    missing = len(workload.uncounted)
    items = [
        f"<b>{count.work.macs:,}</b> {w['macs']}", f"<b>{count.params['total']:,}</b> {w['params']}",
        f"<b>{len(workload.operators):,}</b> {w['operators']}",
    ]  # fmt: skip
    spans = [f"<span>{item}</span>" for item in items]
    spans.append(f'<span class="{"bad" if missing else "ok"}"><b>{missing}</b> {w["uncounted"]}</span>')
    for name in workload.inputs[:4]:
        tensor = workload.tensors[name]
        shape = " × ".join(f"{n:,}" for n in tensor.shape)
        spans.append(f"<span>{w['input']} <code>{esc(name, 40)}</code> {shape or '1'} {esc(tensor.dtype)}</span>")
    if len(blocks) < len(workload.operators):
        spans.append(f"<span>{w['folded'].format(n=len(blocks))}</span>")
    return f'<p class="meta">{"".join(spans)}</p>'


def verdict(w: Words, devices: Sequence[Device]) -> str:
    """The answer in words; ratios of several devices come from draws they share."""
    unit = w["run"] if all(device.batch == 1 for device in devices) else w["sample"]
    ranked = sorted(devices, key=lambda d: d.energy.nominal / d.batch)
    if len(ranked) == 1:
        first = _alone(w, ranked[0], unit)
    elif len(ranked) == 2:
        first = _pair(w, ranked[0], ranked[1], unit)
    else:
        first = _many(w, ranked, unit)
    told = devices if len(devices) <= 2 else ranked[:1]
    spends = w["semicolon"].join(text for text in (_spends(w, device) for device in told) if text)
    gap = "" if w["lang"].startswith("zh") else " "
    return first + w["stop"] + (f"{gap}{spends}{w['stop']}" if spends else "")


def _alone(w: Words, device: Device, unit: str) -> str:
    n = device.batch
    energy = Interval(*(v / n for v in (device.energy.nominal, device.energy.low, device.energy.high)))
    return w["v_one"].format(
        unit=unit, a=_name(device), energy=si(energy.nominal, "J", 2), time=si(device.time.nominal / n, "s", 2),
        interval=_aside(w, interval_text(energy, "J"), "90 %") if energy.low < energy.high else "",
    )  # fmt: skip


def _pair(w: Words, a: Device, b: Device, unit: str) -> str:
    energy, shared = _ratio(b, a, "energy")
    alike = shared and energy.low <= 1 <= energy.high
    if energy.nominal <= 0:
        return _alone(w, a, unit)
    key = "v_alike" if alike else "v_less"
    text = w[key].format(
        unit=unit, a=_name(a), b=_name(b), factor=times(energy.nominal), interval=_of(w, energy, shared)
    )
    time, _ = _ratio(b, a, "time")
    if alike:
        return text + _faster(w, a, b, time)
    if time.low <= 1 <= time.high or time.nominal <= 0:
        return text + w["v_same_time"]
    if time.nominal > 1:
        return text + w["v_sooner"].format(factor=times(time.nominal), a=_name(a), b=_name(b))
    return text + w["v_later"].format(factor=times(1 / time.nominal), a=_name(a), b=_name(b))


def _faster(w: Words, a: Device, b: Device, time: Interval) -> str:
    if time.nominal <= 0 or time.low <= 1 <= time.high:
        return ""
    fast, slow, factor = (a, b, time.nominal) if time.nominal > 1 else (b, a, 1 / time.nominal)
    return w["v_faster"].format(a=_name(fast), b=_name(slow), factor=times(factor))


def _many(w: Words, ranked: Sequence[Device], unit: str) -> str:
    best = ranked[0]
    others: list[str] = []
    for device in ranked[1:]:
        energy, shared = _ratio(device, best, "energy")
        # That the draws are shared is said once.
        aside = _of(w, energy, shared) if not others or not shared else _aside(w, times_span(energy.low, energy.high))
        others.append(w["v_more"].format(b=_name(device), factor=times(energy.nominal), interval=aside))
    head = w["v_least"].format(n=len(ranked), a=_name(best), unit=unit)
    return w["semicolon"].join((head, *others))


def _ratio(b: Device, a: Device, what: str) -> tuple[Interval, bool]:
    """b / a per sample, draw by draw if both were drawn alike."""
    top, below = b.estimate.cost, a.estimate.cost
    x, y = (top.energy_j, below.energy_j) if what == "energy" else (top.time_s, below.time_s)
    over, under = x.sum(axis=0) / b.batch, y.sum(axis=0) / a.batch
    shared = top.seed == below.seed and over.shape == under.shape and len(over) > 1
    if not (under > 0).all():
        return Interval(0.0, 0.0, 0.0), False
    return (ratio(over, under), True) if shared else (ratio(over[:1], under[:1]), False)


def _of(w: Words, factor: Interval, shared: bool) -> str:
    return _aside(w, times_span(factor.low, factor.high), w["shared"]) if shared else _aside(w, w["no_shared"])


def _aside(w: Words, first: str, rest: str = "") -> str:
    chinese = w["lang"].startswith("zh")
    left, right, comma, gap = ("（", "）", "，", "") if chinese else ("(", ")", ",", " ")
    tail = f"{gap}{rest}" if rest else ""
    return f'<span class="dim"><span class="nb">{left}{first}{comma if rest else ""}</span>{tail}{right}</span>'


def _name(device: Device) -> str:
    return esc(device.title)


def _spends(w: Words, device: Device) -> str:
    total = sum(device.parts)
    if total <= 0:
        return ""
    ranked = sorted(zip(device.parts, PARTS, strict=True), reverse=True)
    (e1, p1), (e2, p2) = ranked[:2]
    a = _name(device)
    lower = str.lower if w["lang"] == "en" else str
    if e2 / total < 0.005:
        return w["v_spends_one"].format(a=a, p1=lower(w[p1]))
    return w["v_spends"].format(a=a, p1=lower(w[p1]), s1=percent(e1 / total), p2=lower(w[p2]), s2=percent(e2 / total))


def _warnings(w: Words, count: Count, devices: Sequence[Device]) -> str:
    """What makes the numbers above mean less than they seem to."""
    items = []
    for key, values in (
        ("warn_scopes", [scope_text(w, d.scope) for d in devices]),
        ("warn_levels", [esc(d.estimate.level) for d in devices]),
        ("warn_batches", [str(d.batch) for d in devices]),
    ):
        if len(set(values)) > 1:
            listed = w["semicolon"].join(f"{_name(d)}: {v}" for d, v in zip(devices, values, strict=True))
            items.append(w[key].format(list=listed))
    missing = count.workload.uncounted
    if missing:
        listed = w["comma"].join(f"<code>{esc(op, 60)}</code>" for op in dict.fromkeys(op for op, _ in missing))
        items.append(w["warn_uncounted"].format(n=len(missing), list=listed))
    items += [f'<span lang="en">{esc(text, 600)}</span>' for text in count.workload.warnings]
    if not items:
        return ""
    listed = "".join(f"<li>{item}</li>" for item in items)
    return f'<ul class="warn" aria-label="{w["warnings"]}">{listed}</ul>'


def _totals(w: Words, devices: Sequence[Device]) -> str:
    e_axis, t_axis = axis_of(d.energy for d in devices), axis_of(d.time for d in devices)
    last = len(devices) - 1
    rows = "".join(_total(w, d, e_axis, t_axis, with_scale=i == last) for i, d in enumerate(devices))
    return (
        f'<table class="totals"><thead><tr><th scope="col">{w["machine"]}</th><th scope="col">{w["energy_run"]}</th>'
        f'<th scope="col">{w["time_run"]}</th><th scope="col" class="num">{w["power"]}</th>'
        f'<th scope="col" class="num">{w["traffic"]}</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _total(w: Words, d: Device, e_axis: tuple[float, float], t_axis: tuple[float, float], *, with_scale: bool) -> str:
    def cell(label: str, interval: Interval, unit: str, axis: tuple[float, float], scope: str) -> str:
        per = ""
        if d.batch > 1:
            per = f'<span class="per">{w["per_sample"].format(x=si(interval.nominal / d.batch, unit))}</span>'
        return (
            f'<td data-label="{label}"><span class="big">{si(interval.nominal, unit)}</span> '
            f'<span class="range">{interval_text(interval, unit) or w["exact"]}<small>{scope or "90 %"}</small></span>'
            f"{per}{dot(interval, axis)}"
            f"{scale(axis, unit) if with_scale else ''}</td>"
        )

    scope = scope_text(w, d.scope)
    energy = cell(w["energy_run"], d.energy, "J", e_axis, f"90 % · {scope}")
    return (
        f'<tr><th scope="row">{_name(d)}<small>{subtitle(w, d)}</small><small>{w["level"].format(level=d.estimate.level)}'
        f"</small></th>{energy}{cell(w['time_run'], d.time, 's', t_axis, '')}"
        f'<td class="num" data-label="{w["power"]}"><span class="mid">{si(d.power, "W")}</span> '
        f'<span class="range">{scope}</span></td>'
        f'<td class="num" data-label="{w["traffic"]}"><span class="mid">{si(d.off_chip_bytes, "B")}</span>'
        f' <span class="range">{esc(d.outer, 30)}</span></td></tr>'
    )
