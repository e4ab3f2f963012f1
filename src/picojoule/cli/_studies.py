"""Verbs `methods` and `diff`: what sets networks side by side."""

import argparse
import sys
from pathlib import Path
from typing import Any

from picojoule import _api as api
from picojoule.quantity import InputError
from picojoule.workload import Workload

from ._common import read, run, talk, terminal_paint
from ._progress import Progress


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
