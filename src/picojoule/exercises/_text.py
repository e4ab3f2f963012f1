"""Rows of both lists as text for a terminal and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from picojoule.report import fold

from ._book import Row
from ._errata import Erratum


def row_json(row: Row | Erratum) -> dict[str, Any]:
    """A row of either list as JSON data."""
    return asdict(row)


def list_text(rows: Sequence[Row]) -> str:
    """One line an exercise: id, what answers it, title."""
    ids, sorts = max(len(row.id) for row in rows), max(len(row.capability) for row in rows)
    return "".join(f"{row.id:<{ids}}  {row.capability:<{sorts}}  {row.title}\n" for row in rows)


def errata_text(rows: Sequence[Erratum]) -> str:
    """Each slip with its place, what the document says, and what is right."""
    lines = []
    for row in rows:
        lines.append(f"{row.id:<4} {row.document} §{row.section}  {row.kind_name}")
        lines += fold(f"“{row.says}”", first="     ", rest="     ")
        lines += fold(f"→ {row.right}", first="     ", rest="       ")
    return "\n".join(lines) + "\n"
