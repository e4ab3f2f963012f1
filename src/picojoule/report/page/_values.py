"""A Value in words: number, spread, scope, provenance, source."""

import re
from collections.abc import Iterable, Mapping

from picojoule.quantity import Value

from ._format import si
from ._html import clean, esc

Words = Mapping[str, str]
_ATTAINED = re.compile(r"(.+)·attained\.(\w+)\.(?:compute|memory)$")


def number(value: Value) -> str:
    """Nominal value with its unit."""
    unit = " · ".join(part for part in value.unit.split(" · ") if part not in ("", "1"))
    if not unit:
        return f"{value.nominal:.3g}"
    if " " not in unit:
        return si(value.nominal, esc(unit, 24))
    return f"{value.nominal:.3g}\u202f{esc(unit, 24)}"


def spread(w: Words, value: Value) -> str:
    """The 90 % factor."""
    return w["exact"] if value.spread == 1 else f"×/÷ {value.spread:.3g}"


def scope_of(w: Words, value: Value) -> str:
    """What the number includes; a rate has no scope."""
    return w.get(f"scope_{value.scope}", "") if value.scope else ""


def facts(w: Words, value: Value) -> str:
    """Number, spread, scope and source in one line."""
    words = [f"{number(value)} {spread(w, value)}", scope_of(w, value), sources(value)]
    return " · ".join(word for word in words if word)


def tag(w: Words, value: Value) -> str:
    """How the number is known, as a mark with its meaning on hover."""
    kind = (
        "good" if value.provenance in ("measured", "fitted") else "weak" if value.provenance == "recalled" else "read"
    )
    text = w.get(value.provenance, esc(value.provenance))
    meaning = w.get(f"about_{value.provenance}", "")
    return f'<span class="tag {kind}" title="{meaning}">{text}</span>'


def source_keys(value: Value) -> list[str]:
    """The keys of references.bib that a value rests on; a product names several."""
    return [key.strip() for key in value.source.split(" + ") if key.strip()]


def anchor(key: str) -> str:
    """The id of a reference on the page."""
    return "ref-" + "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in clean(key))


def sources(value: Value) -> str:
    """The source keys as links to the list of references."""
    return " + ".join(f'<a href="#{anchor(key)}">{esc(key)}</a>' for key in source_keys(value))


def key_texts(keys: Iterable[str], architecture: str) -> list[str]:
    """Keys of prices and rates as HTML, without the machine's own name, which stands beside them.

    Rates that differ only in the class of operators become one: `hbm.bandwidth × attained(conv, pool)`.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for key in keys:
        plain = "·".join(part.removeprefix(f"{architecture}.") for part in clean(key).split("·"))
        match = _ATTAINED.match(plain)
        head, label = (match[1], match[2]) if match else (plain, "")
        groups.setdefault((head, "a" if match else ""), []).append(label)
    texts = []
    for (head, attained), labels in groups.items():
        text = esc(head.replace("·", " × ")).replace(".", ".<wbr>").replace("_", "_<wbr>")
        texts.append(f"{text} × attained({esc(', '.join(labels))})" if attained else text)
    return texts
