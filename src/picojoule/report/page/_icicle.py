"""Energy by module of the network: each row one level deeper, widths in proportion to joules, order kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ._data import Block, Device
from ._format import percent, si
from ._html import esc

Words = Mapping[str, str]
_DEEPEST = 5
_THINNEST = 0.0012  # of the width: below a pixel


@dataclass(slots=True)
class _Cell:
    level: int
    path: tuple[str, ...]
    start: float
    joules: float
    index: int  # of the block, or -1 for a module of several


def icicle(w: Words, model: str, blocks: Sequence[Block], device: Device) -> str:
    """One device's icicle."""
    total = sum(reading.energy.nominal for reading in device.readings)
    if total <= 0:
        return ""
    cells = _cells(blocks, device)
    depth = max((cell.level for cell in cells), default=0)
    widest = [max((c.joules for c in cells if c.level == level), default=total) for level in range(depth + 1)]
    drawn = [_draw(cell, total, widest[cell.level]) for cell in cells if cell.joules > total * _THINNEST]
    root = f'<i class="l0" style="left:0;width:100%"><b>{esc(model, 60)}</b> <em>{si(total, "J")}</em></i>'
    label = w["a_icicle"].format(device=esc(device.title))
    return (
        f'<div class="ice"><span class="who">{esc(device.title)}</span><div class="icicle" role="img" '
        f'aria-label="{label}" style="--rows:{depth + 1}">{root}{"".join(drawn)}</div></div>'
    )


def _cells(blocks: Sequence[Block], device: Device) -> list[_Cell]:
    """Neighbours that share the head of their path share a cell."""
    cells: list[_Cell] = []
    open_: list[_Cell] = []
    at = 0.0
    for index, (block, reading) in enumerate(zip(blocks, device.readings, strict=True)):
        joules = reading.energy.nominal
        path = block.path[:_DEEPEST]
        same = 0
        while same < min(len(open_), len(path) - 1) and open_[same].path == path[: same + 1]:
            same += 1
        del open_[same:]
        for cell in open_:
            cell.joules += joules
        for level in range(same + 1, len(path) + 1):
            cell = _Cell(level, path[:level], at, joules, index if level == len(path) else -1)
            cells.append(cell)
            open_.append(cell)
        at += joules
    return cells


def _draw(cell: _Cell, total: float, widest: float) -> str:
    width, name = cell.joules / total, cell.path[-1]
    mark = f' data-i="{cell.index}"' if cell.index >= 0 else ""
    need = 0.0066 * len(name) + 0.012
    text = f"<b>{esc(name, 40)}</b>" if width > need else ""
    if width > need + 0.05:
        text += f" <em>{si(cell.joules, 'J', 2)}</em>"
    title = f' title="{esc(".".join(cell.path))}: {si(cell.joules, "J")}, {percent(width)}"' if cell.index < 0 else ""
    style = f"left:{100 * cell.start / total:.2f}%;width:{100 * width:.2f}%;--s:{cell.joules / widest:.2f}"
    return f'<i class="l{cell.level}{"" if text else " b"}"{mark} style="{style}"{title}>{text}</i>'
