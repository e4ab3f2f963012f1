"""Options of the verbs that measure this machine and learn from timings."""

import argparse

from ._shared import Verb, estimating, lazy, model, number


def _fill_measure(p: argparse.ArgumentParser) -> None:
    p.add_argument("--repeats", type=number, default=3, metavar="N", help="windows measured (default 3)")
    p.add_argument("--idle", type=float, default=2.0, metavar="S", help="seconds of idling first, as baseline")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what to run")
    p.set_defaults(run=lazy("measure", "_tools"))


def _fill_calibrate(p: argparse.ArgumentParser) -> None:
    p.add_argument("-o", "--output", metavar="FILE", help="write a hardware file: here.yaml")
    p.add_argument("--like", metavar="DEVICE", help="take energies per action from this machine of the library")
    p.add_argument("--threads", type=int, default=0, metavar="N", help="threads; 0 (default) for all")
    p.add_argument("--anyway", action="store_true", help="also on a machine that others disturb")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--gpu", action="store_true", help="the GPU by PyTorch, not the processor")
    p.set_defaults(run=lazy("calibrate", "_tools"))


def _fill_fit(p: argparse.ArgumentParser) -> None:
    p.add_argument("data", metavar="DATA.csv", help="timings: kind, dtype, shapes, time_s in seconds, power_w if known")
    p.add_argument("--device", required=True, metavar="DEVICE", help="the machine they are of: a name or a YAML file")
    p.add_argument("--stack", default="own", metavar="NAME", help="the library that ran them: a word for the file")
    p.add_argument(
        "--multiprocessors", type=number, metavar="N", help="units that take one tile each, if the file lacks them"
    )
    p.add_argument("-o", "--output", metavar="FILE", help="write what was learnt: device.json")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.set_defaults(run=lazy("fit", "_fit"))


def _fill_check(p: argparse.ArgumentParser) -> None:
    model(p)
    estimating(p)
    p.add_argument("--threads", type=int, default=0, metavar="N", help="threads; 0 (default) for all")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.set_defaults(run=lazy("check", "_tools"))


VERBS: tuple[Verb, ...] = (
    ("measure", "energy of a command by this machine's sensors", _fill_measure),
    ("calibrate", "measure this machine as a hardware file", _fill_calibrate),
    ("fit", "a device's parameters from its own timings", _fill_fit),
    ("check", "run an ONNX file and set it beside the prediction", _fill_check),
)
