"""The list of exercises, and the answer to one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from picojoule.quantity import InputError

from ._answer import LANGUAGES, Answer
from ._entries import entries, find, solver_of
from ._errata import erratum
from ._findings import Findings
from ._task import Task, merge


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list of exercises."""

    id: str
    title: str
    capability: str


def list_exercises(lang: str = "en") -> tuple[Row, ...]:
    """Every exercise with an id of its own, in the order of the documents."""
    check_language(lang)
    return tuple(Row(id_, e.title[lang], e.capability) for e in entries().values() for id_ in e.ids)


def check_language(lang: str) -> None:
    """Raise InputError for a language that the exercises are not written in."""
    if lang not in LANGUAGES:
        raise InputError(f"no language {lang!r}", expected=" or ".join(LANGUAGES), example="--lang zh")


def answer(
    id_: str, *, hardware: str | None = None, lang: str = "en", inputs: Mapping[str, Any] | None = None
) -> Answer:
    """Exercise `id_`, computed now. `hardware` replaces the exercise's own machine, `inputs` its parameters."""
    check_language(lang)
    name = id_.strip()
    entry, places = find(name)
    defaults = merge(name, entry.inputs, {}, places, entry.signed)
    used = merge(name, defaults, entry.fixed, inputs or {}, entry.signed)
    findings = Findings()
    _tell_changes(findings, defaults, used, places)
    solver = solver_of(entry.id)
    if hardware is not None and not entry.hardware:
        raise InputError(f"exercise {name} does not depend on a machine", expected="no hardware",
                         example=f"picojoule exercise {name}")  # fmt: skip
    task = Task(name, used, hardware, entry.hardware)
    if solver is not None:
        solver(task, findings)
    machine = hardware or (None if entry.hardware in ("", "library") else entry.hardware)
    return Answer(
        name, entry.title[lang], entry.capability, entry.question[lang], used, machine,
        tuple(_words(entry.assumptions, lang)) + tuple(pair[lang == "zh"] for pair in findings.assumptions),
        findings.answers, tuple(_words(entry.words, lang)) + tuple(pair[lang == "zh"] for pair in findings.lines),
        tuple(erratum(slip, lang) for slip in entry.slips),
        lang, tuple(findings.listings), tuple(findings.figures),
    )  # fmt: skip


def _words(texts: tuple[Mapping[str, str], ...], lang: str) -> Iterator[str]:
    return (text[lang] for text in texts)


def _tell_changes(findings: Findings, defaults: Mapping[str, Any], used: Mapping[str, Any],
                  places: Mapping[str, Any]) -> None:  # fmt: skip
    """Say what the id itself names, and what was set to another value than the exercise's own."""
    here = ", ".join(f"{key} = {used[key]}" for key in places)
    if here:
        findings.assume(f"here: {here}", f"此处：{here}")
    changed = ", ".join(f"{key} = {value}" for key, value in used.items() if value != defaults[key])
    if changed:
        findings.assume(f"not the exercise's own: {changed}", f"与原题不同：{changed}")
