"""Verbs that count, estimate and compare: read what was named, call one function, print. No arithmetic lives here."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from picojoule import _api as api
from picojoule.levels import Estimate, Held
from picojoule.quantity import InputError
from picojoule.report import count_json, estimate_json
from picojoule.report.terminal import compare_text, count_text, estimate_text, held_text
from picojoule.workload import Workload

from ._common import DONE, machines, power_cap, print_json, read, references, run, talk, terminal_paint, write
from ._progress import Progress

if TYPE_CHECKING:
    from picojoule.studies import Batches


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
    """`picojoule estimate MODEL --on A,B`; with several batches, one row each as `compare` prints them, and a chart."""
    batches, limit_w = options.batch or [None], power_cap(options.power_cap)
    if limit_w is not None:
        _whole_runs_only(options)
    if len(batches) > 1:
        return _over_batches(options, limit_w)
    options.batch = batches[0]
    with Progress(f"estimating {options.model}"):
        workload = read(options)
        estimates = [run(options, workload, machine) for machine in machines(options.on)]
        capped = _capped(estimates, limit_w)
    if options.html:
        _write_page(options, workload, estimates)
    if options.json:
        print_json(estimate_json(estimates, dtype=options.dtype, capped=capped))
    elif options.csv:
        from picojoule.report import estimate_csv

        sys.stdout.write(estimate_csv(estimates))
    elif options.cite:
        _cite(estimates)
    else:
        rows = len(workload.operators) if options.all else 5
        sys.stdout.write(estimate_text(estimates, terminal_paint(), rows=rows) + held_text(estimates, capped))
    return talk([workload], options.strict, estimates)


def compare(options: argparse.Namespace) -> int:
    """`picojoule compare A,B --on C,D --batch 1,8`."""
    workloads, estimates = _several(options)
    if options.json:
        print_json(_compared(options, estimates))
    else:
        sys.stdout.write(compare_text(estimates, terminal_paint()))
    return talk(workloads, options.strict, estimates)


def _over_batches(options: argparse.Namespace, limit_w: float | None) -> int:
    """One model at several batches: the rows of `compare`, and joules of each item by batch beside what was measured."""
    from picojoule.report import batches_json
    from picojoule.report.terminal import batches_text
    from picojoule.studies import by_batch

    _one_batch_only(options)
    workloads, estimates = _several(options)
    curves, capped = by_batch(estimates, options.phase, limit_w), _capped(estimates, limit_w)
    if options.html:
        options.batch = options.batch[0]
        machines_of_one = len(estimates) // len(workloads)
        _write_page(options, workloads[0], estimates[:machines_of_one], curves)
    if options.json:
        print_json({**_compared(options, estimates, capped), "by_batch": batches_json(curves)})
    else:
        paint = terminal_paint()
        sys.stdout.write(compare_text(estimates, paint) + held_text(estimates, capped) + batches_text(curves, paint))
    return talk(workloads, options.strict, estimates)


def _several(options: argparse.Namespace) -> tuple[list[Workload], list[Estimate]]:
    """Every model and batch on every machine."""
    chosen = machines(options.on)
    workloads, estimates = [], []
    with Progress(f"comparing {options.model}"):
        for model in options.model.split(","):
            for batch in options.batch or [None]:
                workload = read(options, model, batch)
                workloads.append(workload)
                estimates += [run(options, workload, machine) for machine in chosen]
    return workloads, estimates


def _compared(
    options: argparse.Namespace, estimates: Sequence[Estimate], capped: Sequence[Held] = ()
) -> dict[str, Any]:
    runs = [estimate_json([e], dtype=options.dtype, capped=capped[n : n + 1]) for n, e in enumerate(estimates)]
    return {"schema": "picojoule/compare/1", "runs": runs}


def _capped(estimates: Sequence[Estimate], limit_w: float | None) -> list[Held]:
    """Each run with its machine held to a limit; none where no limit was given."""
    from picojoule.levels import held

    return [] if limit_w is None else [held(estimate, limit_w) for estimate in estimates]


def _one_batch_only(options: argparse.Namespace) -> None:
    """Refuse what is made of a single run."""
    for flag, given in (("--csv", options.csv), ("--all", options.all), ("--cite", options.cite)):
        if given:
            raise InputError(f"{flag} is of one run, and --batch names {len(options.batch)}", where="--batch",
                             expected="one batch, or no " + flag, example=f"--batch {options.batch[0]}")  # fmt: skip
    if options.html and "," in options.model:
        raise InputError("a page is of one model", where="--html", expected="one model, or no --html",
                         example="picojoule estimate llama3-8b --on h100 --batch 8,64 --html report.html")  # fmt: skip


def _whole_runs_only(options: argparse.Namespace) -> None:
    """Refuse what lists operators: a limit is worked out for whole runs."""
    for flag, given in (("--csv", options.csv), ("--html", options.html)):
        if given:
            raise InputError(f"{flag} lists operators, and --power-cap is of whole runs", where="--power-cap",
                             expected="no " + flag, example="--power-cap 300W --json")  # fmt: skip


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
    if _is_model(options.model):
        raise InputError(f"a model, {options.model}, costs nothing until it runs somewhere", where="--on",
                         expected="the machine that it runs on",
                         example=f"picojoule explain {options.model} --on h100")  # fmt: skip
    machine, action = _machine_and_action(options.model)
    if action is None:
        sys.stdout.write(explain_device(machine.architecture, machine.technology, terminal_paint()))
    else:
        sys.stdout.write(
            explain_price(machine.architecture, machine.technology, action, terminal_paint(), references())
        )
    return DONE


def _is_model(text: str) -> bool:
    from picojoule.frontends.zoo import known

    return text.endswith((".onnx", ".json", ".pt2")) or known(text)


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


def _write_page(
    options: argparse.Namespace, workload: Workload, estimates: Sequence[Estimate], curves: "Sequence[Batches]" = ()
) -> None:
    """The report as one file; with several batches, of the first, and the curves over all."""
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
                references=references(), batches=curves)  # fmt: skip
    write("--html", options.html, text, "--html report.html")
