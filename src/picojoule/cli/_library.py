"""Verbs of the library, of the exercises and of jobs."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from picojoule import _api as api
from picojoule.quantity import InputError

from ._common import DONE, print_json, terminal_paint, write
from ._progress import Progress


def hardware_list(options: argparse.Namespace) -> int:
    """`picojoule hardware list`."""
    from picojoule.formats import list_hardware
    from picojoule.report.terminal import hardware_table

    def hardware_line(row: Any) -> dict[str, Any]:
        return {"name": row.name, "title": row.title, "kind": row.kind, "vendor": row.vendor, "year": row.year,
                "peak_ops_per_s": row.peak, "bandwidth_bytes_per_s": row.bandwidth, "memory": row.memory,
                "memory_bytes": row.size, "max_power_w": row.max_power, "node_m": row.node, "recalled": row.recalled,
                "aliases": list(row.aliases)}  # fmt: skip

    rows = [row for row in list_hardware() if options.kind in (None, row.kind)]
    if options.json:
        print_json({"schema": "picojoule/hardware-list/1", "hardware": [hardware_line(row) for row in rows]})
    else:
        sys.stdout.write(hardware_table(rows, terminal_paint()))
    return DONE


def hardware_show(options: argparse.Namespace) -> int:
    """`picojoule hardware show NAME`."""
    from picojoule.report import hardware_json
    from picojoule.report.terminal import hardware_text

    machine = api.read_hardware(options.name)
    if options.json:
        print_json(hardware_json(machine.architecture, machine.technology))
    else:
        sys.stdout.write(hardware_text(machine.architecture, machine.technology, terminal_paint()))
    return DONE


def hardware_schema(_: argparse.Namespace) -> int:
    """`picojoule hardware schema`."""
    from picojoule.formats import hardware_schema as schema

    print_json(schema())
    return DONE


def zoo(options: argparse.Namespace) -> int:
    """`picojoule zoo`."""
    from picojoule.frontends.zoo import zoo as models

    rows = [{"name": name, "aliases": list(entry.aliases), "about": entry.about, "example": entry.example or name}
            for name, entry in models().items()]  # fmt: skip
    if options.json:
        print_json({"schema": "picojoule/zoo/1", "models": rows})
    else:
        from picojoule.report.terminal import zoo_text

        sys.stdout.write(zoo_text(rows, terminal_paint()))
    return DONE


def exercise(options: argparse.Namespace) -> int:
    """`picojoule exercise ID`."""
    from picojoule import exercises

    if options.list or options.id is None:
        rows = exercises.list_exercises(options.lang)
        if options.json:
            print_json({"schema": "picojoule/exercise-list/1", "exercises": [exercises.row_json(r) for r in rows]})
        else:
            sys.stdout.write(exercises.list_text(rows))
        return DONE
    answer = exercises.answer(options.id, hardware=options.on, lang=options.lang, inputs=_overrides(options.overrides))
    if options.svg:
        write("--svg", options.svg, exercises.answer_svg(answer), "--svg utilisation.svg")
    if options.json:
        print_json(exercises.answer_json(answer))
    else:
        sys.stdout.write(exercises.answer_text(answer))
    return DONE


def errata(options: argparse.Namespace) -> int:
    """`picojoule errata`."""
    from picojoule import exercises

    rows = exercises.list_errata(options.lang)
    if options.json:
        print_json({"schema": "picojoule/errata/1", "errata": [exercises.row_json(row) for row in rows]})
    else:
        sys.stdout.write(exercises.errata_text(rows))
    return DONE


def job(options: argparse.Namespace) -> int:
    """`picojoule job JOB.yaml`."""
    from picojoule.report import job_json, plain
    from picojoule.report.terminal import job_text

    with Progress(f"running {options.file}"):
        result = api.job(options.file, draws=options.draws, seed=options.seed)
    if options.json:
        print_json(job_json(result))
    else:
        sys.stdout.write(job_text(result, terminal_paint()))
    for note in dict.fromkeys((*result.notes, *(note for stage in result.stages for note in stage.notes))):
        sys.stderr.write(f"note: {plain(note)}\n")
    return DONE


def _overrides(given: Sequence[str]) -> dict[str, Any]:
    values = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text!r}", expected="KEY=VALUE", example="--set T=16")
        try:
            values[key] = json.loads(value)
        except json.JSONDecodeError:
            values[key] = value
    return values
