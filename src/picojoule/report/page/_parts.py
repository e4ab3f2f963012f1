"""One bar of 100 % for each device: which part of the machine the joules go to."""

from collections.abc import Mapping, Sequence

from ._data import PARTS, Device
from ._format import percent, si
from ._html import esc

Words = Mapping[str, str]


def legend(w: Words) -> str:
    """The six parts and their colours, from the multiplier outwards."""
    items = "".join(f'<li><i class="sw p{n}"></i>{w[part]}</li>' for n, part in enumerate(PARTS))
    return f'<ul class="legend" aria-label="{w["parts"]}">{items}</ul>'


def shares(w: Words, devices: Sequence[Device]) -> str:
    """The bars."""
    return f'<div class="shares">{"".join(_share(w, device) for device in devices)}</div>'


def _share(w: Words, device: Device) -> str:
    total = sum(device.parts)
    if total <= 0:
        return ""
    segments, words = [], []
    for n, (part, joules) in enumerate(zip(PARTS, device.parts, strict=True)):
        share = joules / total
        if share <= 0:
            continue
        words.append(f"{w[part]} {si(joules, 'J', 2)}, {percent(share)}")
        number = f"<b{' class=s' if share < 0.09 else ''}>{percent(share)}</b>" if share > 0.035 else ""
        name = f" <em>{w[part]}</em>" if share > (0.16 if w["lang"] == "en" else 0.12) else ""
        joule = f' <em class="j">{si(joules, "J", 2)}</em>' if share > 0.28 else ""
        segments.append(
            f'<span class="p{n}" style="flex:{share:.4f} 1 0" title="{words[-1]}">{number}{name}{joule}</span>'
        )
    return (
        f'<div class="share"><span class="who">{esc(device.title)}</span><div class="bar" role="img" '
        f'aria-label="{"; ".join(words)}">{"".join(segments)}</div></div>'
    )
