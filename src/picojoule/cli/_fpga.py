"""Verb `fpga`: designs that fit an FPGA board."""

import argparse
import sys

from picojoule import _api as api
from picojoule.quantity import InputError, parse_quantity
from picojoule.report import plain

from ._common import print_json, read, talk, terminal_paint
from ._progress import Progress


def fpga(options: argparse.Namespace) -> int:
    """`picojoule fpga MODEL --on BOARD`: what a design takes, how fast it is, what it draws."""
    from picojoule.report import fpga_json
    from picojoule.report.terminal import fpga_text

    clock = _positive(options.clock, "Hz", "--clock", "--clock 300MHz")
    bandwidth = _positive(options.bandwidth, "B/s", "--bandwidth", "--bandwidth 19.2GB/s")
    with Progress(f"placing {options.model}"):
        workload = read(options)
        found = api.fpga_designs(workload, options.on, design=options.design, clock_hz=clock, bandwidth=bandwidth,
                         cores=options.cores, dtype=options.dtype or "int8")  # fmt: skip
    if options.json:
        print_json(fpga_json(workload.name, workload.batch, found))
    else:
        run = found[0][0]
        name = workload.name + (f", frames of {workload.batch} samples" if workload.batch > 1 else "")
        sys.stdout.write(fpga_text(name, found, terminal_paint(), rows=len(run.layers) if options.all else 10))
    if "ai_engines" in api.read_hardware(options.on).architecture.facts:
        sys.stderr.write(f"note: {options.on} has AI engines; only its slices and block RAM are used here\n")
    for note in found[0][0].notes:
        sys.stderr.write(f"note: {note}\n")
    left = found[0][0].left_out
    if left:
        names = ", ".join(plain(name) for name in left[:5]) + (", …" if len(left) > 5 else "")
        sys.stderr.write(f"warning: {len(left)} operators are left to a processor, at an unknown time: {names}\n")
    code = talk([workload], options.strict)
    return max(code, int(options.strict and bool(left)))


def _positive(text: str | None, unit: str, option: str, example: str) -> float | None:
    if text is None:
        return None
    try:
        number = parse_quantity(text, unit)
    except ValueError as fault:
        raise InputError(str(fault), where=option, expected=f"a quantity in {unit}", example=example) from None
    if not 0 < number < 1e15:
        raise InputError(f"{text} is not above 0, or beyond every device", where=option,
                         expected=f"a quantity in {unit}", example=example)  # fmt: skip
    return number
