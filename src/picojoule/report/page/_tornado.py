"""What the answer hangs on: one number at a time to the ends of its own interval, widest effect first."""

from collections.abc import Mapping, Sequence
from typing import Final

from picojoule.cost import Swing, swings
from picojoule.quantity import Value

from ._data import Device
from ._html import esc
from ._values import facts, key_texts, tag

Words = Mapping[str, str]
_ROWS: Final = 8
_LEAST: Final = 0.003  # of the total, either way


def tornado(w: Words, devices: Sequence[Device]) -> str:
    """One panel a device, side by side."""
    return f'<div class="two">{"".join(_panel(w, device) for device in devices)}</div>'


def _panel(w: Words, device: Device) -> str:
    total = device.energy.nominal
    rows = [swing for swing in _merged(swings(device.estimate.cost), total) if swing.energy_high_j > swing.energy_low_j]
    shown = [s for s in rows if (s.energy_high_j - s.energy_low_j) / total / 2 > _LEAST][:_ROWS] or rows[:1]
    head = f"<h3>{esc(device.title)}</h3>"
    if not shown:
        return f'<div class="small-table">{head}<p class="dim">{w["still"]}</p></div>'
    widest = max(max(total - s.energy_low_j, s.energy_high_j - total) for s in shown) / total
    body = "".join(_row(w, device, swing, total, widest) for swing in shown)
    rest = len(rows) - len(shown)
    foot = f'<p class="dim small">{w["minor"].format(n=rest)}</p>' if rest else ""
    return (
        f'<div class="small-table">{head}<table class="tornado"><thead class="sr"><tr><th scope="col">{w["price"]}</th>'
        f'<td></td><th scope="col">{w["effect"]}</th></tr></thead><tbody>{body}</tbody></table>{foot}</div>'
    )


def _merged(found: Sequence[Swing], total: float) -> list[Swing]:
    """One swing for each value: keys with the same value share its draws, so they move together."""
    by_value: dict[Value, Swing] = {}
    for swing in found:
        if swing.energy_high_j - swing.energy_low_j <= total * 1e-9:
            continue
        other = by_value.get(swing.value)
        by_value[swing.value] = swing if other is None else Swing(
            f"{other.key}, {swing.key}", swing.value, other.energy_low_j + swing.energy_low_j - total,
            other.energy_high_j + swing.energy_high_j - total, other.share + swing.share,
        )  # fmt: skip
    return sorted(by_value.values(), key=lambda s: s.energy_low_j - s.energy_high_j)


def _row(w: Words, device: Device, swing: Swing, total: float, widest: float) -> str:
    down, up = (total - swing.energy_low_j) / total, (swing.energy_high_j - total) / total
    own = device.estimate.architecture.name
    name = ", ".join(f"<code>{key}</code>" for key in key_texts(swing.key.split(", "), own)[:3])
    return (
        f'<tr><th scope="row">{name} {tag(w, swing.value)}<small>{facts(w, swing.value)}</small></th>'
        f'<td class="wide"><span class="torn" aria-hidden="true"><i class="dn" style="width:{down / widest * 50:.1f}%"></i>'
        f'<i class="up" style="width:{up / widest * 50:.1f}%"></i></span></td>'
        f'<td class="num">−{_percent(down)}<br>+{_percent(up)}</td></tr>'
    )


def _percent(share: float) -> str:
    text = f"{100 * share:.0f}" if share >= 0.0995 else f"{100 * share:.1f}"
    return f"{text}\u202f%"
