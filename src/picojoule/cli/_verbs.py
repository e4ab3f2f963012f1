"""The verbs: read what was named, call one function, print. No arithmetic lives here."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from picojoule import _api as api
from picojoule.levels import Estimate
from picojoule.quantity import InputError
from picojoule.report import count_json, estimate_json
from picojoule.report.terminal import Paint, compare_text, count_text, estimate_text
from picojoule.workload import Workload

from ._progress import Progress

DONE, GATE = 0, 1


def count(options: argparse.Namespace) -> int:
    """`picojoule count MODEL`."""
    with Progress(f"counting {options.model}"):
        counted = api.count(read(options), dtype=options.dtype)
    if options.json:
        print_json(count_json(counted))
    elif options.csv:
        from picojoule.report import count_csv

        sys.stdout.write(count_csv(counted))
    else:
        sys.stdout.write(count_text(counted, terminal_paint(), depth=options.depth))
    return talk([counted.workload], options.strict)


def estimate(options: argparse.Namespace) -> int:
    """`picojoule estimate MODEL --on A,B`; with several batches, one row each as `compare` prints them."""
    batches = options.batch or [None]
    if len(batches) > 1:
        _one_batch_only(options)
        return compare(options)
    options.batch = batches[0]
    with Progress(f"estimating {options.model}"):
        workload = read(options)
        estimates = [run(options, workload, machine) for machine in machines(options.on)]
    if options.html:
        _write_page(options, workload, estimates)
    if options.json:
        print_json(estimate_json(estimates, dtype=options.dtype))
    elif options.csv:
        from picojoule.report import estimate_csv

        sys.stdout.write(estimate_csv(estimates))
    elif options.cite:
        _cite(estimates)
    else:
        rows = len(workload.operators) if options.all else 5
        sys.stdout.write(estimate_text(estimates, terminal_paint(), rows=rows))
    return talk([workload], options.strict, estimates)


def compare(options: argparse.Namespace) -> int:
    """`picojoule compare A,B --on C,D --batch 1,8`."""
    chosen = machines(options.on)
    workloads, estimates = [], []
    with Progress(f"comparing {options.model}"):
        for model in options.model.split(","):
            for batch in options.batch or [None]:
                workload = read(options, model, batch)
                workloads.append(workload)
                estimates += [run(options, workload, machine) for machine in chosen]
    if options.json:
        print_json({"schema": "picojoule/compare/1", "runs": [estimate_json([e], dtype=options.dtype)
                                                              for e in estimates]})  # fmt: skip
    else:
        sys.stdout.write(compare_text(estimates, terminal_paint()))
    return talk(workloads, options.strict, estimates)


def _one_batch_only(options: argparse.Namespace) -> None:
    """Refuse what is made of a single run."""
    for flag, given in (
        ("--html", options.html),
        ("--csv", options.csv),
        ("--all", options.all),
        ("--cite", options.cite),
    ):
        if given:
            raise InputError(f"{flag} is of one run, and --batch names {len(options.batch)}", where="--batch",
                             expected="one batch, or no " + flag, example=f"--batch {options.batch[0]}")  # fmt: skip


def explain(options: argparse.Namespace) -> int:
    """`picojoule explain MODEL --on DEVICE`, `explain DEVICE`, `explain device.part.action`."""
    from picojoule.report.terminal import explain_device, explain_estimate, explain_price

    if options.on:
        workload = read(options)
        result = run(options, workload, api.read_hardware(options.on))
        if options.cite:
            _cite([result])
        else:
            sys.stdout.write(explain_estimate(result, terminal_paint(), _references()))
        return talk([workload], False, [])
    machine, action = _machine_and_action(options.model)
    if action is None:
        sys.stdout.write(explain_device(machine.architecture, machine.technology, terminal_paint()))
    else:
        sys.stdout.write(
            explain_price(machine.architecture, machine.technology, action, terminal_paint(), _references())
        )
    return DONE


def _machine_and_action(text: str) -> tuple[api.Hardware, tuple[str, str] | None]:
    """ "h100.hbm.read" as the machine h100 and the action (hbm, read); "h100" or a YAML file alone has no action."""
    name, _, rest = text.partition(".")
    if not rest or text.endswith((".yaml", ".yml")):
        return api.read_hardware(text), None
    machine = api.read_hardware(name)
    part, _, action = rest.partition(".")
    outer = machine.architecture.memories[0].name
    part = outer if part == "dram" and part not in {m.name for m in machine.architecture.memories} else part
    if not action:
        raise InputError(f"{text!r} names no action", expected="device.part.action",
                         example=f"picojoule explain {name}.{outer}.read")  # fmt: skip
    return machine, (part, action)


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
        _write("--svg", options.svg, exercises.answer_svg(answer), "--svg utilisation.svg")
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


def methods(options: argparse.Namespace) -> int:
    """`picojoule methods A,B,C [--on DEVICE]`."""
    from picojoule.report.terminal import blocks_text, methods_text, shares_text
    from picojoule.studies import block_shares, shares
    from picojoule.studies import methods as found

    with Progress(f"counting {options.model}"):
        workloads = [read(options, m, b) for m in options.model.split(",") for b in options.batch or [None]]
    sys.stdout.write(methods_text([found(workload) for workload in workloads], terminal_paint()))
    if options.on:
        machine = api.read_hardware(options.on)
        estimates = [run(options, workload, machine) for workload in workloads]
        sys.stdout.write("\n" + shares_text([shares(estimate) for estimate in estimates], terminal_paint()))
        for estimate in estimates if options.blocks else ():
            sys.stdout.write("\n" + blocks_text(block_shares(estimate, options.blocks), terminal_paint()))
    return talk(workloads, False)


def diff(options: argparse.Namespace) -> int:
    """`picojoule diff A B`."""
    from picojoule.report.terminal import diff_text
    from picojoule.studies import diff as difference

    with Progress(f"comparing {options.model} and {options.other}"):
        (net_a, weights_a), (net_b, weights_b) = (_both(options, name) for name in (options.model, options.other))
        found = difference(net_a, net_b, weights_a, weights_b)
        sys.stdout.write(diff_text(found, terminal_paint()))
    return talk([net for net in (net_a, net_b) if net is not None], False)


def _both(options: argparse.Namespace, name: str) -> tuple[Workload | None, Any]:
    """The network of `name` and its stored weights, either of which a file may lack."""
    from picojoule.frontends import read_weights

    if name.endswith(".safetensors"):
        return None, read_weights(Path(name))
    net = read(options, name, options.batch)
    if not name.endswith(".onnx"):
        return net, None
    try:
        return net, read_weights(Path(name))
    except InputError as fault:  # weights kept elsewhere: the structure can still be compared
        from picojoule.report import plain

        sys.stderr.write(f"note: no weights of {plain(name)}: {plain(fault.what)}\n")
        return net, None


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


def read(options: argparse.Namespace, model: str | None = None, batch: int | None = None) -> Workload:
    """The workload that the options name; `model` and `batch` one by one where several are compared."""
    if options.ops:
        api.register_file(options.ops)
    return api.read_model(
        model or options.model, batch=options.batch if model is None else batch, seq=options.seq,
        inputs=shapes(options.input), phase=options.phase, context=options.context, halved=options.halved,
        optimiser=options.optimiser, recompute=options.recompute,
    )  # fmt: skip


def run(options: argparse.Namespace, workload: Workload, machine: api.Hardware) -> Estimate:
    return api.estimate(workload, machine, level=options.level, dtype=options.dtype, draws=options.draws,
                        seed=options.seed, objective=options.objective, dataflow=options.dataflow)  # fmt: skip


def machines(text: str) -> list[api.Hardware]:
    """The machines that `--on` names."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(
            "--on names no machine", expected="names or YAML files with commas", example="--on h100,eyeriss"
        )
    return [api.read_hardware(name) for name in names]


def shapes(given: Sequence[str]) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for text in given:
        name, equals, sizes = text.rpartition("=")
        parts = sizes.replace("x", ",").split(",")
        if not equals or not name or not all(part.strip().isdigit() for part in parts):
            raise InputError(f"--input {text!r}", expected="NAME=N,N,… with whole numbers",
                             example="--input x=1,3,224,224")  # fmt: skip
        shapes[name] = tuple(int(part) for part in parts)
    return shapes


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


def terminal_paint() -> Paint:
    """Colour where standard output wants it."""
    return Paint(wants_colour(sys.stdout.isatty(), os.environ))


def wants_colour(terminal: bool, environment: "os._Environ[str] | dict[str, str]") -> bool:
    """Colour on a terminal unless NO_COLOR is set or TERM is dumb; FORCE_COLOR wins over the pipe, not over NO_COLOR."""
    if environment.get("NO_COLOR"):
        return False
    return bool(environment.get("FORCE_COLOR")) or (terminal and environment.get("TERM") != "dumb")


def print_json(data: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=True) + "\n")


def talk(workloads: Sequence[Workload], strict: bool, estimates: Sequence[Estimate] = ()) -> int:
    """Warnings and notes to stderr, once each; 1 if `strict` and something is uncounted."""
    from picojoule.report import plain

    said = dict.fromkeys(f"warning: {text}" for w in workloads for text in w.warnings)
    said |= dict.fromkeys(f"note: {text}" for w in workloads for text in w.notes)
    said |= dict.fromkeys(f"note: {e.architecture.name}: {text}" for e in estimates for text in e.notes)
    scopes = dict.fromkeys(f"{e.architecture.name} {e.cost.scope}" for e in estimates)
    if len({e.cost.scope for e in estimates}) > 1:
        said[f"warning: scopes differ, energies are not of the same boundary: {'; '.join(scopes)}"] = None
    for line in said:
        sys.stderr.write(plain(line) + "\n")
    missing = [(op, node) for w in workloads for op, node in w.uncounted]
    if missing:
        sys.stderr.write(f"warning: {len(missing)} operators are uncounted: the totals are without "
                         f"{', '.join(dict.fromkeys(plain(op) for op, _ in missing))}\n")  # fmt: skip
    return GATE if strict and missing else DONE


def _references() -> dict[str, str]:
    """Readable text of every source, by key."""
    from picojoule.formats import read_references

    return {key: entry.text for key, entry in read_references().items()}


def _cite(estimates: Sequence[Estimate]) -> None:
    from picojoule.formats import reference

    values = [v for e in estimates for v in (*e.cost.prices.values(), *e.cost.rates.values())]
    keys = dict.fromkeys(key for value in values for key in value.source.split(" + "))
    sys.stdout.write("\n".join(reference(key).bibtex for key in keys) + "\n")


def _below(level: str) -> list[str]:
    """The levels a page shows beside its own: the two that every machine has, and all below."""
    order = ["count", "roofline", "mapped", "simulated"]
    return [name for name in order[: max(2, order.index(level) if level in order else 0)] if name != level]


def _write_page(options: argparse.Namespace, workload: Workload, estimates: Sequence[Estimate]) -> None:
    """The report as one file."""
    from picojoule.report import count as counted
    from picojoule.report.page import page

    other = {
        level: [api.estimate(workload, api.Hardware(e.architecture, e.technology), level=level, dtype=options.dtype,
                             draws=options.draws, seed=options.seed, objective=options.objective,
                             dataflow=options.dataflow) for e in estimates]
        for level in _below(options.level)
    }  # fmt: skip
    command = f"picojoule estimate {options.model} --on {options.on} --level {options.level}"
    text = page(estimates, count=counted(estimates[0].workload), lang=options.lang, other_levels=other, command=command,
                references=_references())  # fmt: skip
    _write("--html", options.html, text, "--html report.html")


def _write(option: str, name: str, text: str, example: str) -> None:
    """Write a file whole or not at all."""
    target = Path(name)
    if not target.parent.is_dir():
        raise InputError(f"no folder {str(target.parent)!r}", where=option, expected="a file in a folder that exists",
                         example=example)  # fmt: skip
    try:
        part = target.with_name(f".{target.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    except OSError as fault:
        raise InputError(f"cannot write {name}: {fault.strerror}", where=option,
                         expected="a file that can be written", example=example) from None  # fmt: skip
    sys.stderr.write(f"wrote {name} ({len(text.encode()) // 1000} kB)\n")
