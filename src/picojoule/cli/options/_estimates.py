"""Options of the verbs that count, estimate and compare models."""

import argparse

from ._shared import Verb, data, estimating, lang, lazy, model, number, phase, power_cap, search, strict


def _fill_count(p: argparse.ArgumentParser) -> None:
    model(p)
    data(p)
    strict(p)
    p.add_argument("--depth", type=number, default=1, metavar="N", help="depth of the module tree (default 1)")
    p.set_defaults(run=lazy("count", "_estimate"))


def _fill_estimate(p: argparse.ArgumentParser) -> None:
    model(p, batches=True)
    estimating(p)
    data(p)
    strict(p)
    lang(p)
    power_cap(p)
    p.add_argument("--html", metavar="FILE", help="write the report page, one file that works offline")
    p.add_argument("--all", action="store_true", help="list every operator")
    p.add_argument("--cite", action="store_true", help="print BibTeX of every source that was used")
    p.set_defaults(run=lazy("estimate", "_estimate"))


def _fill_compare(p: argparse.ArgumentParser) -> None:
    model(p, many=True)
    estimating(p)
    data(p, csv=False)
    strict(p)
    p.set_defaults(run=lazy("compare", "_estimate"))


def _fill_predict(p: argparse.ArgumentParser) -> None:
    model(p, many=True)
    p.add_argument("--on", required=True, metavar="A,B,…", help="GPUs by name, or YAML files")
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    p.add_argument("--serving", nargs="?", const="", metavar="PROMPT+GENERATED",
                   help="decode steps of a server: its software, and prompts of requests such as 250+640")  # fmt: skip
    p.add_argument("--parallel", metavar="tensor=N", help="products split over N devices of one node, with all-reduces")
    power_cap(p)
    strict(p)
    p.set_defaults(run=lazy("predict", "_predict"))


def _fill_explain(p: argparse.ArgumentParser) -> None:
    p.add_argument("model", metavar="WHAT", help="a model (with --on), a device, or a price such as h100.hbm.read")
    p.add_argument("--on", metavar="DEVICE", help="the machine the model runs on")
    p.add_argument("--batch", type=number, metavar="N", help="samples of one run")
    p.add_argument("--seq", type=number, metavar="N", help="sequence length")
    p.add_argument("--dtype", metavar="TYPE", help="replace the floating-point formats")
    p.add_argument("--input", action="append", default=[], metavar="NAME=N,N,…", help="shape of one input")
    phase(p)
    p.add_argument("--level", default="roofline", metavar="LEVEL", help="count, roofline (default), mapped, simulated")
    search(p)
    p.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (default 0)")
    p.add_argument("--draws", type=number, default=1000, metavar="N", help="draws of the intervals (default 1000)")
    p.add_argument("--cite", action="store_true", help="print BibTeX of every source that was used")
    p.set_defaults(run=lazy("explain", "_estimate"))


def _fill_methods(p: argparse.ArgumentParser) -> None:
    model(p, many=True)
    p.add_argument("--on", metavar="DEVICE", help="also show the shares of energy on this machine")
    p.add_argument("--blocks", type=number, metavar="DEPTH", help="with --on: shares of the modules at this depth")
    p.add_argument("--level", default="roofline", metavar="LEVEL", help="count, roofline (default), mapped, simulated")
    search(p)
    p.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (default 0)")
    p.add_argument("--draws", type=number, default=1000, metavar="N", help="draws of the intervals (default 1000)")
    p.set_defaults(run=lazy("methods", "_studies"))


def _fill_diff(p: argparse.ArgumentParser) -> None:
    p.add_argument("model", metavar="A", help="a model: a name, a file, or .safetensors weights alone")
    p.add_argument("other", metavar="B", help="the model to set against it")
    p.add_argument("--batch", type=number, metavar="N", help="samples of one run")
    p.add_argument("--seq", type=number, metavar="N", help="sequence length")
    p.add_argument("--input", action="append", default=[], metavar="NAME=N,N,…", help="shape of one input")
    phase(p)
    p.set_defaults(run=lazy("diff", "_studies"))


VERBS: tuple[Verb, ...] = (
    ("count", "what the mathematics of a model demands", _fill_count),
    ("estimate", "energy, time and traffic of a model on machines", _fill_estimate),
    ("compare", "models, machines and batch sizes side by side, per sample", _fill_compare),
    ("predict", "a model on GPUs by models of their kernels, with intervals", _fill_predict),
    ("explain", "where a total or a price comes from", _fill_explain),
    ("methods", "the counts of the literature side by side, shares of energy", _fill_methods),
    ("diff", "two networks or checkpoints: structure, counts, distance", _fill_diff),
)
