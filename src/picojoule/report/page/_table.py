"""Every operator with its numbers; the last row is the headline again."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from ._data import Block, Device, Reading
from ._format import si, whole
from ._html import esc

Words = Mapping[str, str]


def table(w: Words, blocks: Sequence[Block], devices: Sequence[Device]) -> str:
    """Tools (for those with script), and the table."""
    total = sum(block.times for block in blocks)
    return (
        f'<div class="tools js"><label>{w["filter"]} <input id="q" type="search" placeholder="{w["filter_hint"]}" '
        f'autocomplete="off" spellcheck="false"></label><span id="hits" class="dim" aria-live="polite"></span>'
        f'<span class="grow"></span><button class="btn" type="button" data-save="csv" aria-label="{w["a_csv"]}">{w["csv"]}'
        f'</button><button class="btn" type="button" data-save="json" aria-label="{w["a_json"]}">{w["json"]}</button></div>'
        f'<div class="scroll tall" tabindex="0" role="region" aria-label="{w["a_table"]}"><table id="table" data-n="{total}">'
        f'<caption class="sr">{w["caption"]}</caption>{_head(w, devices)}<tbody>{_rows(w, blocks, devices)}</tbody>'
        f"{_foot(w, blocks, devices)}</table></div>"
    )


def _head(w: Words, devices: Sequence[Device]) -> str:
    groups = "".join(f'<th scope="colgroup" colspan="4">{esc(device.title)}</th>' for device in devices)
    columns = "".join(
        f'<th scope="col" data-sort="e{n}">{w["energy"]}</th><td></td><th scope="col" data-sort="t{n}">{w["time"]}</th>'
        f'<th scope="col" data-sort="b{n}">{w["bound"]}</th>'
        for n in range(len(devices))
    )
    return (
        f'<thead><tr class="who"><td colspan="3"></td>{groups}</tr><tr><th scope="col" data-sort="i">{w["operator"]}</th>'
        f'<th scope="col" data-sort="k">{w["kind"]}</th><th scope="col" data-sort="m">{w["mac"]}</th>{columns}</tr></thead>'
    )


def _rows(w: Words, blocks: Sequence[Block], devices: Sequence[Device]) -> str:
    widest = [max((r.energy.nominal for r in device.readings), default=0.0) or 1.0 for device in devices]
    rows = []
    for index, block in enumerate(blocks):
        cells = "".join(_cells(w, d.readings[index], top) for d, top in zip(devices, widest, strict=True))
        times = f"<b>{block.times} ×</b> " if block.times > 1 else ""
        rows.append(
            f'<tr data-i="{index}"><th scope="row">{times}<code>{esc(block.name)}</code></th><td>{esc(block.op, 40)}</td>'
            f"<td>{whole(block.macs) if block.macs else ''}</td>{cells}</tr>"
        )
    return "".join(rows)


def _cells(w: Words, reading: Reading, widest: float) -> str:
    joules = reading.energy.nominal
    bound = w.get(f"b_{reading.bound_by}") or esc(reading.bound_by, 24)
    return (
        f"<td>{si(joules, 'J')}</td><td>{mini(reading.parts, joules / widest)}</td><td>{si(reading.time.nominal, 's')}</td>"
        f'<td><i class="key {reading.mark}"></i>{bound}</td>'
    )


def mini(parts: Sequence[float], share: float = 1.0) -> str:
    """A small bar stacked by part, as one element: the ends of the parts in per cent."""
    total = sum(parts)
    if total <= 0:
        return ""
    ends = [round(100 * end / total) for end in accumulate(parts)][:-1]
    marks = ";".join(f"--{letter}:{end}" for letter, end in zip("abcde", ends, strict=False))
    return f'<i class="mb" style="--w:{max(1, round(100 * share))};{marks}"></i>'


def _foot(w: Words, blocks: Sequence[Block], devices: Sequence[Device]) -> str:
    cells = "".join(
        f"<td>{si(sum(r.energy.nominal for r in d.readings), 'J')}</td><td></td>"
        f"<td>{si(sum(r.time.nominal for r in d.readings), 's')}</td><td></td>"
        for d in devices
    )
    macs = sum(block.macs for block in blocks)
    return f'<tfoot><tr><th scope="row">{w["total"]}</th><td></td><td>{whole(macs) if macs else ""}</td>{cells}</tr></tfoot>'
