"""The document: sections in reading order, style and script inside, nothing to load."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from picojoule._version import __version__
from picojoule.levels import Estimate
from picojoule.studies import Batches
from picojoule.workload import Workload

from .._count import Count
from .._count import count as count_
from .._words import words
from ._batches import batches as batches_
from ._data import PARTS, Block, Device
from ._data import devices as devices_of
from ._format import short
from ._headline import headline
from ._html import clean, esc, island, section
from ._icicle import icicle
from ._levels import levels
from ._nests import nests
from ._parts import legend, shares
from ._roofline import roofline
from ._skyline import HATCH, skyline
from ._sources import sources_body
from ._table import table
from ._tornado import tornado

Words = Mapping[str, str]
_SCRIPT_WORDS = ("lang", "batch", "close", "comma", "hits", "no_pick", "of_total", "moved", "b_compute", "b_launch",
                 "b_nothing", "bound", "l_time", "l_ops_js")  # fmt: skip


def page(
    estimates: Sequence[Estimate],
    *,
    count: Count | None = None,
    lang: str = "en",
    other_levels: Mapping[str, Sequence[Estimate]] | None = None,
    command: str = "",
    references: Mapping[str, str] | None = None,
    batches: Sequence[Batches] = (),
) -> str:
    """One HTML file about one model on one or more devices: offline, without tracking, readable without script.

    `other_levels` maps a level to its estimates of the same devices; `command` is what makes this page again;
    `references` maps a source key to a reference that people can read; `batches` are curves over other batches.
    Raises InputError for a language without words, and for estimates of different models.
    """
    w = words(lang)
    blocks, devices = devices_of(estimates)
    workload = estimates[0].workload
    counted = count if count is not None else count_(workload)
    sections = _sections(w, workload, blocks, devices, other_levels or {}, batches)
    notes = tuple(dict.fromkeys(note for estimate in estimates for note in estimate.workload.notes))
    body = sources_body(w, devices, references or {}, notes, command, _stamp(w, devices))
    sections.append(("src", w["n_src"], section("src", w["h_src"], w["l_src"], body)))
    main = headline(w, counted, blocks, devices) + "".join(html for _, _, html in sections)
    title = w["title"].format(model=esc(workload.name), devices=w["and"].join(esc(d.title) for d in devices))
    nav = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name, _ in sections)
    return _document(w, title, nav, main, island(_data(w, workload, blocks, devices)))


def _sections(
    w: Words,
    workload: Workload,
    blocks: Sequence[Block],
    devices: Sequence[Device],
    others: Mapping[str, Sequence[Estimate]],
    curves: Sequence[Batches],
) -> list[tuple[str, str, str]]:
    """(anchor, short name, HTML) of every section that has something to say, in reading order."""
    panels = [panel for n, device in enumerate(devices) if (panel := skyline(w, blocks, device, n))]
    reader = f'<div id="read" class="read js" role="region" aria-label="{w["a_read"]}" aria-live="polite"></div>'
    reader = f'<div id="slot">{reader}</div>'
    ices = "".join(icicle(w, workload.name, blocks, device) for device in devices)
    roofs = "".join(roofline(w, blocks, device) for device in devices)
    bodies = (
        ("batches", "l_batches", batches_(w, curves)),
        ("time", "l_time_static", legend(w) + "".join(panels[:1]) + reader + "".join(panels[1:]) if panels else ""),
        ("parts", "l_parts", f"{shares(w, devices)}<h3>{w['h_modules']}</h3>{ices}" if ices else ""),
        ("roof", "l_roof", f'<div class="two">{roofs}</div>' if roofs else ""),
        ("nests", "l_nests", nests(w, devices)),
        ("levels", "l_levels", levels(w, devices, others)),
        ("why", "l_why", tornado(w, devices) if panels else ""),
        ("ops", "l_ops", table(w, blocks, devices)),
    )
    return [(key, w[f"n_{key}"], section(key, w[f"h_{key}"], w[lead], body)) for key, lead, body in bodies if body]


def _stamp(w: Words, devices: Sequence[Device]) -> str:
    cost = devices[0].estimate.cost
    names = dict.fromkeys(device.estimate.level for device in devices)
    return w["stamp"].format(
        version=esc(__version__), level=esc(", ".join(names)), seed=cost.seed, draws=f"{cost.energy_j.shape[1] - 1:,}"
    )


def _data(w: Words, workload: Workload, blocks: Sequence[Block], devices: Sequence[Device]) -> dict[str, Any]:
    """What the script shows and what the download buttons give: each number once."""
    return {
        "schema": "picojoule/page/1",
        "model": clean(workload.name),
        "parts": list(PARTS),
        "ops": [[clean(b.name), clean(b.op), clean(b.shape), b.macs, b.times] for b in blocks],
        "devices": [_device_data(device) for device in devices],
        "words": {key: w[key] for key in _SCRIPT_WORDS},
    }


def _device_data(device: Device) -> dict[str, Any]:
    bounds = list(dict.fromkeys(reading.bound_by for reading in device.readings))
    estimate = device.estimate
    return {
        "name": clean(estimate.architecture.name),
        "title": clean(device.title),
        "scope": clean(device.scope),
        "dtype": estimate.dtype,
        "level": estimate.level,
        "batch": device.batch,
        "memory": clean(device.outer),
        "energy_j": [device.energy.nominal, device.energy.low, device.energy.high],
        "time_s": [device.time.nominal, device.time.low, device.time.high],
        "bounds": [clean(bound) for bound in bounds],
        # [time, its low and high, energy low and high, bytes, bound, joules of each part]
        "rows": [
            [short(r.time.nominal, 5), short(r.time.low, 3), short(r.time.high, 3), short(r.energy.low, 3),
             short(r.energy.high, 3), r.n_bytes, bounds.index(r.bound_by), *(short(joules, 5) for joules in r.parts)]
            for r in device.readings
        ],
    }  # fmt: skip


@cache
def _asset(name: str) -> str:
    return (Path(__file__).parent.parent / "assets" / name).read_text("utf-8").strip()


@cache
def _policy() -> str:
    """Nothing may be fetched, and no script may run but ours, known by its hash."""
    digest = base64.b64encode(hashlib.sha256(_asset("script.js").encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


_MARK = (
    '<svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><path d="M2 21v-6h5v6zM9.500 21V9h5v12z'
    'M17 21V3h5v18z"/></svg>'
)


def _document(w: Words, title: str, nav: str, main: str, data: str) -> str:
    return (
        f'<!doctype html>\n<html lang="{w["lang"]}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'<meta name="generator" content="picojoule {esc(__version__)}"><meta name="referrer" content="no-referrer">'
        f"<title>{title} · picojoule</title><style>{_asset('style.css')}</style></head><body>"
        f'<a class="skip" href="#main">{w["skip"]}</a><header class="top"><a class="brand" href="#main" '
        f'aria-label="{w["top"]}">{_MARK}picojoule</a><nav aria-label="{w["nav"]}">{nav}</nav>'
        f'<button id="theme" class="btn js" type="button" aria-label="{w["theme"]}">◐</button></header>'
        f'{HATCH}<main id="main" tabindex="-1">{main}</main>'
        f'<script type="application/json" id="data">{data}</script><script>{_asset("script.js")}</script></body></html>\n'
    )
