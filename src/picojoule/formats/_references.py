"""BibTeX of the sources, by key: a small reader for the file we ship."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from picojoule.quantity import InputError

from ._place import LIBRARY


@dataclass(frozen=True, slots=True)
class Reference:
    """One entry of references.bib: its key, its sort, its fields, and its text as it stands there."""

    key: str
    sort: str
    fields: Mapping[str, str]
    bibtex: str

    @property
    def text(self) -> str:
        """One line: author, title, year, address."""
        parts = (self.fields.get(name, "") for name in ("author", "title", "year", "url", "note"))
        return ". ".join(part for part in parts if part)


@cache
def read_references() -> dict[str, Reference]:
    """Every entry of library/references.bib, by key."""
    text = (LIBRARY / "references.bib").read_text(encoding="utf-8")
    return {entry.key: entry for entry in map(_entry, re.split(r"\n(?=@)", text)) if entry is not None}


def reference(key: str) -> Reference:
    """One entry by key. Raises InputError if there is none."""
    entries = read_references()
    if key not in entries:
        from difflib import get_close_matches

        near = get_close_matches(key, entries, 3, 0.4) or sorted(entries)[:3]
        raise InputError(f"no source {key!r} in references.bib", expected="a key of it", example=", ".join(near))
    return entries[key]


def _entry(text: str) -> Reference | None:
    head = re.match(r"\s*@(\w+)\{([^,\s]+),", text)
    if head is None:
        return None
    fields = {
        name: re.sub(r"\s+", " ", value) for name, value in re.findall(r"^\s*(\w+)\s*=\s*\{(.*?)\},?\s*$", text, re.M)
    }
    return Reference(head[2], head[1].lower(), fields, text.strip())
