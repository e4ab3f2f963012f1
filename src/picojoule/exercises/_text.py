"""Exercises and slips as text for a terminal, and their rows as JSON."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from ._answer import Answer
from ._book import Row
from ._errata import Erratum

_HEADS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {"assumptions": "Assumed", "derivation": "How", "answers": "Answer", "slips": "Slips of the document",
           "machine": "Machine", "says": "says"},
    "zh": {"assumptions": "假设", "derivation": "推导", "answers": "答案", "slips": "文档中的错误", "machine": "机器",
           "says": "原文"},
}  # fmt: skip


def row_json(row: Row | Erratum) -> dict[str, Any]:
    """A row of either list as JSON data."""
    return asdict(row)


def list_text(rows: Sequence[Row]) -> str:
    """One line an exercise: id, what answers it, title."""
    ids, sorts = max(len(row.id) for row in rows), max(len(row.capability) for row in rows)
    return "".join(f"{row.id:<{ids}}  {row.capability:<{sorts}}  {row.title}\n" for row in rows)


def errata_text(rows: Sequence[Erratum]) -> str:
    """Each slip with its place, what the document says, and what is right."""
    return "".join(
        f"{row.id:<4} {row.document} §{row.section}  {row.kind_name}\n     “{row.says}”\n     → {row.right}\n"
        for row in rows
    )


def answer_text(answer: Answer) -> str:
    """Question, assumptions, derivation, numbers and slips."""
    heads = _HEADS[answer.lang]
    lines = [f"{answer.id}  {answer.title}", answer.question]
    if answer.hardware:
        lines.append(f"{heads['machine']}: {answer.hardware}")
    for name, texts in (("assumptions", answer.assumptions), ("derivation", answer.derivation)):
        if texts:
            lines += ["", heads[name], *(f"  {text}" for text in texts)]
    if answer.answers:
        lines += ["", heads["answers"]]
        table = [line for name, item in answer.answers.items() for line in _lines(name, item.value, item.unit)]
        width = max(_columns(name) for name, _ in table)
        lines += [f"  {name}{' ' * (width - _columns(name))}  {value}".rstrip() for name, value in table]
    if answer.slips:
        lines += ["", heads["slips"]]
        for slip in answer.slips:
            lines += [f"  {slip.id}  {heads['says']} “{slip.says}”", f"      → {slip.right}"]
    return "\n".join(lines) + "\n"


def _lines(name: str, value: Any, unit: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for part, inner in value.items():
            yield from _lines(f"{name}.{part}", inner, unit)
    else:
        yield name, _shown(value) + ("" if unit == "1" else f" {unit}")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.10g}"


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
