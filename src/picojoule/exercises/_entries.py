"""The exercises by id: their words from data/exercises-*.toml, and the solvers of the chapters."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final

from picojoule.quantity import InputError

from ._task import DATA, SOLVERS, Solver

_CHAPTERS: Final = (
    "document0", "chapter1", "chapter2", "networks", "chapter3", "chapter4", "chapter45", "chapter5", "chapter6",
    "chapter6_unit", "chapter6_tilings", "chapter6_networks", "chapter7", "chapter7_processor", "chapter7_cluster",
    "chapter7_control", "chapter7_storage", "document2", "document2_machines", "document4", "document4_energy", "prices",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """An exercise, or a family of them whose id holds <places>. Texts are {"en": …, "zh": …}."""

    id: str
    capability: str
    title: Mapping[str, str]
    question: Mapping[str, str]
    words: tuple[Mapping[str, str], ...]
    assumptions: tuple[Mapping[str, str], ...]
    inputs: Mapping[str, Any]
    fixed: Mapping[str, Any]
    slips: tuple[str, ...]
    members: tuple[str, ...]
    hardware: str
    signed: bool

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that a list shows: its own, or those of the family's known members."""
        if "<" not in self.id:
            return (self.id,)
        return tuple(re.sub("<[A-Za-z]+>", member, self.id) for member in self.members)

    def match(self, id_: str) -> dict[str, str] | None:
        """The values of the places in `id_`, or None if it is not of this family."""
        parts = re.split("<([A-Za-z]+)>", self.id)
        names = parts[1::2]
        pattern = "".join(f"(?P<{part}>.+)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
        found = re.fullmatch(pattern, id_)
        return {name: found[name] for name in names} if found else None


@cache
def entries() -> Mapping[str, Entry]:
    """Every exercise and family, in the order of the documents."""
    raw: dict[str, dict[str, Any]] = {}
    for path in sorted(DATA.glob("exercises-*.toml")):
        raw |= tomllib.loads(path.read_text(encoding="utf-8"))
    return {id_: _entry(id_, table, raw) for id_, table in raw.items()}


def _entry(id_: str, table: Mapping[str, Any], raw: Mapping[str, Mapping[str, Any]]) -> Entry:
    full = _full(table, raw)
    return Entry(
        id_, full["capability"], full["title"], full["question"], tuple(full.get("words", ())),
        tuple(full.get("assumptions", ())), full.get("inputs", {}), full.get("fixed", {}),
        tuple(full.get("slips", ())), tuple(table.get("members", ())), full.get("hardware", ""),
        full.get("signed", False),
    )  # fmt: skip


def _full(table: Mapping[str, Any], raw: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A table with what it takes from the one it is `like`."""
    return {**(_full(raw[table["like"]], raw) if "like" in table else {}), **table}


def solver_of(id_: str) -> Solver | None:
    """The solver registered for `id_`; chapters are imported one by one until it is found."""
    for chapter in _CHAPTERS:
        if id_ in SOLVERS:
            break
        import_module(f"{__package__}.{chapter}")
    return SOLVERS.get(id_)


def find(id_: str) -> tuple[Entry, dict[str, Any]]:
    """The entry of `id_`, and what its places say. Raises InputError with the nearest ids."""
    known = entries()
    if id_ in known and "<" not in id_:
        return known[id_], {}
    for entry in known.values():
        places = entry.match(id_) if "<" in entry.id else None
        if places is not None:
            return entry, {name: _place(entry, name, text, id_) for name, text in places.items()}
    ids = [id_ for entry in known.values() for id_ in entry.ids]
    near = difflib.get_close_matches(id_, ids, n=3, cutoff=0.4)
    raise InputError(
        f"no exercise {id_!r}" + (f"; did you mean {', '.join(near)}?" if near else ""),
        expected="an id that `picojoule exercise --list` prints", example=f"picojoule exercise {near[0] if near else 3.1}",
    )  # fmt: skip


def _place(entry: Entry, name: str, text: str, id_: str) -> Any:
    default = entry.inputs[name]
    if isinstance(default, str):
        return text
    try:
        if isinstance(default, list):
            return [int(part) for part in text.split("-")]
        return int(text)
    except ValueError:
        raise InputError(f"no exercise {id_!r}: {text!r} is not a whole number", expected=f"{entry.id}",
                         example=f"picojoule exercise {next(iter(entry.ids), entry.id.split('-<')[0])}") from None  # fmt: skip
