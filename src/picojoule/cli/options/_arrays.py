"""Options of the verbs that lay models out on arrays, FPGA boards and chips."""

import argparse

from ._shared import Verb, lazy, model, number, search, strict


def _fill_map(p: argparse.ArgumentParser) -> None:
    model(p, optional=True)
    p.add_argument("--on", metavar="DEVICE", help="a machine whose file states its array, or a YAML file")
    p.add_argument("--replay", nargs="+", metavar="FILE",
                   help="count a mapping of Timeloop or ZigZag from its files, results among them if there are any")  # fmt: skip
    search(p)
    p.add_argument("--layer", metavar="NAME", help="only layers whose name holds this text")
    p.add_argument("--all", action="store_true", help="draw the nest of every layer, not of the three dearest")
    p.add_argument("--front", action="store_true", help="energy against cycles instead of one optimum")
    p.add_argument("--check", action="store_true", help="have the certificates checked by an independent program")
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    strict(p)
    p.set_defaults(run=lazy("map_", "_mapping"))


def _fill_fpga(p: argparse.ArgumentParser) -> None:
    model(p)
    p.add_argument("--on", required=True, metavar="BOARD", help="an FPGA board by name, or a YAML file")
    p.add_argument("--design", default="best", metavar="NAME",
                   help="dpu-b512 to dpu-b4096 (an overlay), tiled, or best (default) of all that fit")  # fmt: skip
    p.add_argument("--clock", metavar="HZ", help="clock of the design: 281MHz; the board's own if absent")
    p.add_argument("--cores", type=number, metavar="N", help="cores of an overlay; as many as fit if absent")
    p.add_argument("--bandwidth", metavar="RATE", help="of the off-chip memory: 4.3GB/s; the board's own if absent")
    p.add_argument("--all", action="store_true", help="list every layer, not the ten slowest")
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    strict(p)
    p.set_defaults(run=lazy("fpga", "_fpga"))


def _fill_fuse(p: argparse.ArgumentParser) -> None:
    model(p, many=True)
    p.add_argument("--on", required=True, metavar="DEVICE", help="the machine whose on-chip memory holds what is fused")
    p.add_argument("--buffer", metavar="SIZE", help="bytes on the chip instead of the machine's own: 2MB, 108KiB")
    p.add_argument("--elementwise", action="store_true", help="fuse only norms, activations and additions")
    p.set_defaults(run=lazy("fuse", "_tools"))


VERBS: tuple[Verb, ...] = (
    ("map", "the provably best loop nest of every layer on an array", _fill_map),
    ("fpga", "designs that fit an FPGA board: resources, time, power", _fill_fpga),
    ("fuse", "what keeping intermediates on the chip saves", _fill_fuse),
)
