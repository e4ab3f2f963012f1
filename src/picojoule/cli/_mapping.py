"""Verb `map`: loop nests on arrays."""

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from picojoule import _api as api
from picojoule.quantity import InputError
from picojoule.report import plain

from ._common import print_json, read, talk, terminal_paint
from ._progress import Progress

if TYPE_CHECKING:
    from picojoule.mapping import MappedNetwork
    from picojoule.workload import Workload

Refused = tuple[tuple[str, str], ...]


def map_(options: argparse.Namespace) -> int:
    """`picojoule map MODEL --on ARCH`: the best nest of every layer, with its traffic and its proof."""
    from picojoule.report import map_json
    from picojoule.report.terminal import map_text

    if options.replay:
        return _replay(options)
    if not options.model or not options.on:
        raise InputError("a model and a machine are needed", expected="MODEL --on DEVICE, or --replay FILE…",
                         example="picojoule map resnet50 --on eyeriss")  # fmt: skip
    if options.front:
        return _front(options)
    with Progress(f"mapping {options.model}"):
        workload = _chosen(read(options), options.layer)
        found = api.map_network(workload, options.on, objective=options.objective, dataflow=options.dataflow,
                                dtype=options.dtype)  # fmt: skip
    _something(bool(found.layers), found.refused, options)
    checked, rejected = _checked(found) if options.check else ((), ())
    if options.json:
        print_json(map_json(found, checked))
    else:
        nests = len(found.layers) if options.all else 3
        sys.stdout.write(map_text(found, terminal_paint(), nests=nests, checked=checked))
    _say(found.refused)
    if found.unmapped and not options.json:
        sys.stderr.write(f"note: {len(found.unmapped)} operators do no MACs and have no nest\n")
    code = talk([workload], options.strict)
    if options.check:
        sys.stderr.writelines(f"rejected: {plain(line)}\n" for line in rejected)
        sys.stderr.write(
            f"checked: {sum(checked)} of {len(checked)} certificates accepted by the independent checker\n"
        )
    code = max(code, int(bool(rejected)))
    return max(code, int(options.strict and bool(found.refused)))


def _replay(options: argparse.Namespace) -> int:
    """What another tool's mapping moves, by our law and by its own rules."""
    from picojoule.formats.exchange import replay_files

    if options.model or options.on:
        raise InputError("--replay reads layer and machine from its files", where="--replay",
                         expected="no model and no --on",
                         example="picojoule map --replay machine.yaml layer.yaml map.yaml")  # fmt: skip
    found = replay_files(options.replay)
    if options.json:
        print_json(found.as_dict())
    else:
        sys.stdout.write(found.text())
    return 0


def _front(options: argparse.Namespace) -> int:
    from picojoule.report import front_json
    from picojoule.report.terminal import front_text

    with Progress(f"mapping {options.model}"):
        workload = _chosen(read(options), options.layer)
        fronts, refused = api.front_network(workload, options.on, dataflow=options.dataflow, dtype=options.dtype)
    _something(bool(fronts), refused, options)
    if options.json:
        print_json(front_json(fronts, refused))
    else:
        sys.stdout.write(front_text(fronts, terminal_paint()))
    _say(refused)
    return max(talk([workload], options.strict), int(options.strict and bool(refused)))


def _say(refused: Refused) -> None:
    for name, reason in refused:
        sys.stderr.write(f"warning: {plain(name)} has no mapping: {plain(reason)}\n")


def _checked(found: "MappedNetwork") -> tuple[tuple[bool, ...], tuple[str, ...]]:
    """Write every certificate and have it checked: (accepted, layer by layer; why the others are rejected)."""
    from picojoule.mapping import certificate, check

    with Progress("checking certificates"):
        faults = [(one.problem.name, check(one, certificate(one))) for one, _ in found.layers]
    return tuple(not why for _, why in faults), tuple(f"{name}: {why[0]}" for name, why in faults if why)


def _chosen(workload: "Workload", layer: str | None) -> "Workload":
    """The operators whose name holds `layer`."""
    if layer is None:
        return workload
    kept = tuple(operator for operator in workload.operators if layer in operator.name)
    if not kept:
        names = ", ".join(operator.name for operator in workload.operators if operator.work.macs)
        raise InputError(f"no layer of {workload.name} has {layer!r} in its name", where="--layer",
                         expected=f"a part of one of {names[:300]}", example="--layer conv1")  # fmt: skip
    return replace(workload, operators=kept)


def _something(any_found: bool, refused: Refused, options: argparse.Namespace) -> None:
    """Nothing to print is an error with its reason."""
    if any_found:
        return
    if refused:
        name, reason = refused[0]
        raise InputError(f"no mapping: {reason}", where=f"layer {name} on {options.on}",
                         expected="a smaller layer, a larger memory, or another dataflow",
                         example="picojoule map conv:3x224x224-64x7x7:stride=2:pad=3 --on eyeriss")  # fmt: skip
    raise InputError(f"{options.model} has no operator that does MACs", expected="a layer or a model with products",
                     example="picojoule map resnet50 --on eyeriss")  # fmt: skip
