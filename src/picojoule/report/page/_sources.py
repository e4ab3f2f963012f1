"""Where every number comes from: prices, rates, references, notes, and how to make the page again."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence

from picojoule.quantity import Value

from ._data import Device
from ._html import clean, esc
from ._values import anchor, key_texts, number, scope_of, source_keys, sources, spread, tag

Words = Mapping[str, str]
_LINK = re.compile(r"https?://[^\s<>\"'{}|\\^`]+|\bdoi:\s?(10\.\d{4,9}/[^\s<>\"'{}|\\^`]+)", re.IGNORECASE)
_Used = dict[Value, dict[str, list[str]]]  # value to its keys on each device, by the name of the device


def values_used(devices: Sequence[Device]) -> tuple[_Used, _Used]:
    """Prices and rates, each value once, with every key it has and every device that uses it."""
    prices: _Used = {}
    rates: _Used = {}
    for device in devices:
        cost, own = device.estimate.cost, device.estimate.architecture.name
        priced = ((cost.price_keys[action], value) for action, value in cost.prices.items())
        for used, rows in ((prices, priced), (rates, cost.rates.items())):
            for key, value in rows:
                used.setdefault(value, {}).setdefault(own, []).append(key)
    return prices, rates


def sources_body(
    w: Words, devices: Sequence[Device], references: Mapping[str, str], notes: Sequence[str], command: str, stamp: str
) -> str:
    """The last section."""
    prices, rates = values_used(devices)
    titles = {device.estimate.architecture.name: device.title for device in devices}
    values = [*prices, *rates]
    keys = dict.fromkeys(key for value in values for key in source_keys(value))
    return "".join((
        _values(w, w["h_prices"], prices, titles), _values(w, w["h_rates"], rates, titles),
        _references(w, keys, references),
        _notes(w, devices, notes), _glossary(w, values), _repeat(w, command, stamp),
    ))  # fmt: skip


def _values(w: Words, title: str, rows: _Used, titles: Mapping[str, str]) -> str:
    if not rows:
        return ""
    scoped = any(value.scope for value in rows)
    heads = ("number", "device", "value", "factor", *(("scope",) if scoped else ()), "known", "source")
    body = "".join(_row(w, value, keys, titles, scoped) for value, keys in rows.items())
    columns = "".join(f'<th scope="col">{w[head]}</th>' for head in heads)
    return (
        f'<h3>{title}</h3><div class="scroll" tabindex="0" role="region" aria-label="{title}, {w["a_src"]}">'
        f'<table class="plain"><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(w: Words, value: Value, used: Mapping[str, Sequence[str]], titles: Mapping[str, str], scoped: bool) -> str:
    keys = dict.fromkeys(text for own, keys in used.items() for text in key_texts(keys, own))
    where = f' <span class="dim" lang="en">{esc(value.where, 200)}</span>' if value.where else ""
    note = f'<small lang="en">{esc(value.note, 300)}</small>' if value.note else ""
    scope = f"<td>{scope_of(w, value)}</td>" if scoped else ""
    return (
        f'<tr><th scope="row">{"<br>".join(f"<code>{key}</code>" for key in keys)}</th>'
        f"<td>{', '.join(dict.fromkeys(esc(titles[own]) for own in used))}</td>"
        f"<td>{number(value)}</td><td>{spread(w, value)}</td>{scope}<td>{tag(w, value)}</td>"
        f"<td>{sources(value)}{where}{note}</td></tr>"
    )


def _references(w: Words, keys: Iterable[str], references: Mapping[str, str]) -> str:
    items = []
    for key in sorted(keys):
        text = references.get(key)
        shown = f'<span lang="en">{linked(text)}</span>' if text else f'<span class="dim">{w["no_reference"]}</span>'
        items.append(f'<li id="{anchor(key)}"><code>{esc(key)}</code> {shown}</li>')
    return f'<h3>{w["h_refs"]}</h3><ul class="refs">{"".join(items)}</ul>' if items else ""


def linked(text: str) -> str:
    """`text` escaped, with web addresses and DOIs as links: they load nothing until someone follows them."""
    text = clean(text, 900)
    out, at = [], 0
    for match in _LINK.finditer(text):
        found = match.group(0).rstrip(".,;)")
        address = f"https://doi.org/{match.group(1).rstrip('.,;)')}" if match.group(1) else found
        out.append(html.escape(text[at : match.start()]))
        out.append(f'<a href="{html.escape(address)}" rel="noreferrer">{html.escape(found)}</a>')
        at = match.start() + len(found)
    return "".join(out) + html.escape(text[at:])


def _notes(w: Words, devices: Sequence[Device], notes: Sequence[str]) -> str:
    items = [f'<li lang="en">{esc(note, 600)}</li>' for note in notes]
    for device in devices:
        items += [
            f'<li><b>{esc(device.title)}</b> <span lang="en">{esc(n, 600)}</span></li>' for n in device.estimate.notes
        ]
    return f'<h3>{w["h_notes"]}</h3><ul class="notes">{"".join(items)}</ul>' if items else ""


def _glossary(w: Words, values: Sequence[Value]) -> str:
    """The words for how a number is known and what it includes: only those that the page uses."""
    terms = [str(value.provenance) for value in values]
    rows = [(w.get(term, term), w.get(f"about_{term}", "")) for term in dict.fromkeys(terms)]
    scopes = dict.fromkeys(str(value.scope) for value in values if value.scope)
    rows += [(w.get(f"scope_{scope}", scope), w.get(f"about_{scope}", "")) for scope in scopes]
    listed = "".join(f"<div><dt>{esc(term)}</dt><dd>{about}</dd></div>" for term, about in rows)
    return f'<h3>{w["h_words"]}</h3><dl class="words">{listed}</dl>' if rows else ""


def _repeat(w: Words, command: str, stamp: str) -> str:
    shown = ""
    if command:
        label = f'tabindex="0" role="region" aria-label="{w["a_command"]}"'
        shown = f'<pre class="cmd" {label}><code>{esc(command, 2000)}</code></pre>'
    return f'<h3>{w["h_repeat"]}</h3>{shown}<p class="dim small">{stamp}</p>'
