"""Fit every published set and write what the library ships. Held-out groups and held-out devices are never touched."""

from collections.abc import Sequence
from pathlib import Path

from picojoule.devices import LAWS, POWERS, Evidence, learn
from picojoule.devices._store import write_evidence

from ._sets import HOME, Set

LIBRARY = HOME.parent / "src" / "picojoule" / "library" / "devices"


def learn_all(sets: Sequence[Set]) -> dict[str, list[Evidence]]:
    """Evidence by law, each from the seen groups of one set alone."""
    found: dict[str, list[Evidence]] = {}
    for one in sets:
        if not one.learn or not len(one.seen().value):
            continue
        law = POWERS[one.kind] if one.kind in POWERS else LAWS[one.kind]
        centres = 48 if law.family == "collective" else 160
        found.setdefault(one.kind, []).append(
            learn(law, one.seen(), stack=one.stack, source=one.source, where=f"{one.where}, shape groups not held out", centres=centres)
        )
    return found


def write(found: dict[str, list[Evidence]], folder: Path = LIBRARY) -> list[Path]:
    """One file for each law."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, evidence in sorted(found.items()):
        path = folder / f"{name}.json"
        path.write_text(write_evidence(evidence), encoding="utf-8")
        paths.append(path)
    return paths
