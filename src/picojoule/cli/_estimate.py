"""Verbs that count, estimate and compare: read what was named, call one function, print. No arithmetic lives here."""

import argparse
import sys
from collections.abc import Sequence

from picojoule import _api as api
from picojoule.levels import Estimate
from picojoule.quantity import InputError
from picojoule.report import count_json, estimate_json
from picojoule.report.terminal import compare_text, count_text, estimate_text
from picojoule.workload import Workload

from ._common import DONE, machines, print_json, read, references, run, talk, terminal_paint, write
from ._progress import Progress


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
            sys.stdout.write(explain_estimate(result, terminal_paint(), references()))
        return talk([workload], False, [])
    machine, action = _machine_and_action(options.model)
    if action is None:
        sys.stdout.write(explain_device(machine.architecture, machine.technology, terminal_paint()))
    else:
        sys.stdout.write(
            explain_price(machine.architecture, machine.technology, action, terminal_paint(), references())
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
                references=references())  # fmt: skip
    write("--html", options.html, text, "--html report.html")
