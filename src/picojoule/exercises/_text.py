"""Rows of both lists as text for a terminal and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from picojoule.report import fold

from ._book import Row
from ._errata import Erratum

_IDS: Final = 20  # columns


def row_json(row: Row | Erratum) -> dict[str, Any]:
    """A row of either list as JSON data."""
    return asdict(row)


def list_text(rows: Sequence[Row]) -> str:
    """One line an exercise: id, what answers it, title."""
    ids = max((len(row.id) for row in rows if len(row.id) <= _IDS), default=0)  # the few longer ones stand out
    sorts = max(len(row.capability) for row in rows)
    return "".join(f"{row.id:<{ids}}  {row.capability:<{sorts}}  {row.title}\n" for row in rows)


def errata_text(rows: Sequence[Erratum]) -> str:
    """Each slip with its place, what the document says, and what is right."""
    lines = []
    for row in rows:
        lines.append(f"{row.id:<4} {row.document} §{row.section}  {row.kind_name}")
        lines += fold(f"“{row.says}”", first="     ", rest="     ")
        lines += fold(f"→ {row.right}", first="     ", rest="       ")
    return "\n".join(lines) + "\n"
