"""Options that several verbs share."""

import argparse
from collections.abc import Callable
from importlib import import_module

Fill = Callable[[argparse.ArgumentParser], None]
Verb = tuple[str, str, Fill]  # its name, what it is about, and what fills its parser


def lazy(verb: str, home: str) -> Callable[[argparse.Namespace], int]:
    """Import the verbs only when one runs, so that --help stays fast."""

    def call(options: argparse.Namespace) -> int:
        code: int = getattr(import_module(f"picojoule.cli.{home}"), verb)(options)
        return code

    return call


def model(p: argparse.ArgumentParser, *, many: bool = False, batches: bool = False,
           optional: bool = False) -> None:  # fmt: skip
    p.add_argument("model", nargs="?" if optional else None,
                   help="a zoo name (resnet50, mlp:33-512-10), an .onnx or .pt2 file, a config.json, or a"
                   " Python object (package.module:callable)"
                   + ("; several with commas" if many else ""))  # fmt: skip
    p.add_argument("--batch", type=numbers if many or batches else number, metavar="N",
                   help="samples of one run" + ("; several with commas" if many or batches else ""))  # fmt: skip
    p.add_argument("--seq", type=number, metavar="N", help="sequence length")
    p.add_argument("--dtype", metavar="TYPE", help="replace the floating-point formats: fp32, bf16, fp16, int8, …")
    p.add_argument("--input", action="append", default=[], metavar="NAME=N,N,…",
                   help="shape of one input: x=1,3,224,224; may be given again")  # fmt: skip
    phase(p)


def phase(p: argparse.ArgumentParser) -> None:
    p.add_argument("--phase", default="infer", metavar="PHASE",
                   help="infer (default), train (one step), prefill or decode (models that generate)")  # fmt: skip
    p.add_argument("--context", type=number, metavar="N", help="tokens in sight of a decode step")
    p.add_argument("--halved", action="store_true", help="count only what a causal mask shows, not the whole square")
    p.add_argument("--optimiser", default="sgd", metavar="NAME",
                   help="of a training step: sgd (default), momentum, adam, adamw, adafactor, adam8bit")  # fmt: skip
    p.add_argument("--ops", metavar="FILE", help="YAML file with the work of operators of your own")
    p.add_argument("--recompute", default="none", metavar="HOW", help="in training: none (default), selective, full")


def search(p: argparse.ArgumentParser) -> None:
    p.add_argument("--objective", default="edp", metavar="WHAT",
                   help="what mappings make least: energy, latency or edp, energy x latency (default)")  # fmt: skip
    p.add_argument("--dataflow", metavar="NAME", help="keep mappings to a dataflow: ws, os, is, rs or nlr")


def estimating(p: argparse.ArgumentParser) -> None:
    p.add_argument("--on", required=True, metavar="A,B,…", help="machines by name, or YAML files")
    p.add_argument("--level", default="roofline", metavar="LEVEL", help="count, roofline (default), mapped, simulated")
    search(p)
    p.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (default 0)")
    p.add_argument("--draws", type=number, default=1000, metavar="N", help="draws of the intervals (default 1000)")


def data(p: argparse.ArgumentParser, *, csv: bool = True) -> None:
    shape = p.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    if csv:
        shape.add_argument("--csv", action="store_true", help="print one line per operator, SI units")


def lang(p: argparse.ArgumentParser) -> None:
    p.add_argument("--lang", choices=("en", "zh"), default="en", help="language of the words: en or zh")


def strict(p: argparse.ArgumentParser) -> None:
    p.add_argument("--strict", action="store_true", help="exit with 1 if any operator is uncounted")


def power_cap(p: argparse.ArgumentParser) -> None:
    """A board held to less power."""
    p.add_argument(
        "--power-cap", metavar="WATTS", help="power limit of each board: 300W; what would draw more runs slower"
    )


def number(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return number


def numbers(text: str) -> list[int]:
    return [number(part) for part in text.split(",")]
