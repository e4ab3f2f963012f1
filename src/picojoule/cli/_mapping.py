"""Verb `map`: loop nests on arrays."""

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from picojoule import _api as api
from picojoule.quantity import InputError
from picojoule.report import plain

from ._progress import Progress
from ._verbs import print_json, read, talk, terminal_paint

if TYPE_CHECKING:
    from picojoule.mapping import MappedNetwork
    from picojoule.workload import Workload


def map_(options: argparse.Namespace) -> int:
    """`picojoule map MODEL --on ARCH`: the best nest of every layer, with its traffic and its proof."""
    from picojoule.report import map_json
    from picojoule.report.terminal import map_text

    with Progress(f"mapping {options.model}"):
        workload = _chosen(read(options), options.layer)
        found = api.map_network(workload, options.on, objective=options.objective, dataflow=options.dataflow,
                                dtype=options.dtype)  # fmt: skip
    _check(found, options)
    if options.json:
        print_json(map_json(found))
    else:
        sys.stdout.write(map_text(found, terminal_paint(), nests=len(found.layers) if options.all else 3))
    for name, reason in found.refused:
        sys.stderr.write(f"warning: {plain(name)} has no mapping: {plain(reason)}\n")
    if found.unmapped and not options.json:
        sys.stderr.write(f"note: {len(found.unmapped)} operators do no MACs and have no nest\n")
    code = talk([workload], options.strict)
    return max(code, int(options.strict and bool(found.refused)))


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


def _check(found: "MappedNetwork", options: argparse.Namespace) -> None:
    """Nothing to print is an error with its reason."""
    if found.layers:
        return
    if found.refused:
        name, reason = found.refused[0]
        raise InputError(f"no mapping: {reason}", where=f"layer {name} on {options.on}",
                         expected="a smaller layer, a larger memory, or another dataflow",
                         example="picojoule map conv:3x224x224-64x7x7:stride=2:pad=3 --on eyeriss")  # fmt: skip
    raise InputError(f"{options.model} has no operator that does MACs", expected="a layer or a model with products",
                     example="picojoule map resnet50 --on eyeriss")  # fmt: skip
