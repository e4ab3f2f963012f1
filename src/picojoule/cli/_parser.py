"""Verbs and their options. Each option has help; a test sees to it."""

import argparse
import difflib
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn

from picojoule.quantity import InputError


class Parser(argparse.ArgumentParser):
    """argparse that answers a wrong word with the nearest right one, as an InputError."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the whole usage."""
        raise InputError(_near(message), expected=f"what `{self.prog} --help` lists", example=_EXAMPLES.get(
            self.prog.rpartition(" ")[2], "picojoule estimate resnet50 --on h100"))  # fmt: skip


_EXAMPLES = {
    "count": "picojoule count resnet50", "estimate": "picojoule estimate resnet50 --on h100,eyeriss",
    "compare": "picojoule compare resnet50 --on h100,xeon --batch 1,8,64", "zoo": "picojoule zoo",
    "explain": "picojoule explain h100.hbm.read", "hardware": "picojoule hardware list", "job": "picojoule job examples/job.yaml",
    "methods": "picojoule methods resnet50,bert-base --on h100", "diff": "picojoule diff resnet50 resnet101",
    "predict": "picojoule predict resnet50 --on a100 --batch 64",
    "compile": "picojoule compile net.onnx -o net.pjx", "run": "picojoule run net.pjx --input x.npy --output y.npy",
    "map": "picojoule map resnet50 --on eyeriss",
    "fpga": "picojoule fpga resnet50 --on zcu102",
    "asm": "picojoule asm net.asm -o net.pjx", "disasm": "picojoule disasm net.pjx",
    "time": "picojoule time net.pjx --on textbook-core", "trace": "picojoule trace net.pjx -o trace.json",
    "fit": "picojoule fit timings.csv --device h100 -o device.json",
    "exercise": "picojoule exercise 2.2", "errata": "picojoule errata --lang zh",
}  # fmt: skip


def _near(message: str) -> str:
    """`invalid choice: 'estimat' (choose from …)` in one plain line."""
    if "invalid choice: '" not in message:
        return message
    word = message.split("invalid choice: '", 1)[1].split("'", 1)[0]
    choices = [c.strip(" '\")") for c in message.partition("choose from ")[2].split(",")]
    near = difflib.get_close_matches(word, choices, n=1)
    return f"unknown word {word!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    from picojoule._version import __version__

    top = Parser(prog="picojoule", description="Where every joule, nanosecond and byte of a neural network goes.",
                 epilog="exit codes: 0 done, 1 a gate failed, 2 bad input, 130 interrupted")  # fmt: skip
    top.add_argument("--version", "-V", action="version", version=f"picojoule {__version__}")
    verbs = top.add_subparsers(dest="verb", required=False, metavar="VERB")
    top.set_defaults(run=_help(top))
    for name, about, fill in _VERBS:
        fill(verbs.add_parser(name, help=about, description=about))
    return top


def _help(top: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def call(_: argparse.Namespace) -> int:
        top.print_help()
        return 0

    return call


def _lazy(verb: str, home: str = "_verbs") -> Callable[[argparse.Namespace], int]:
    """Import the verbs only when one runs, so that --help stays fast."""

    def call(options: argparse.Namespace) -> int:
        code: int = getattr(import_module(f"{__package__}.{home}"), verb)(options)
        return code

    return call


def _model(p: argparse.ArgumentParser, *, many: bool = False, batches: bool = False,
           optional: bool = False) -> None:  # fmt: skip
    p.add_argument("model", nargs="?" if optional else None,
                   help="a zoo name (resnet50, mlp:33-512-10), an .onnx or .pt2 file, a config.json, or a"
                   " Python object (package.module:callable)"
                   + ("; several with commas" if many else ""))  # fmt: skip
    p.add_argument("--batch", type=_numbers if many or batches else _number, metavar="N",
                   help="samples of one run" + ("; several with commas" if many or batches else ""))  # fmt: skip
    p.add_argument("--seq", type=_number, metavar="N", help="sequence length")
    p.add_argument("--dtype", metavar="TYPE", help="replace the floating-point formats: fp32, bf16, fp16, int8, …")
    p.add_argument("--input", action="append", default=[], metavar="NAME=N,N,…",
                   help="shape of one input: x=1,3,224,224; may be given again")  # fmt: skip
    _phase(p)


def _phase(p: argparse.ArgumentParser) -> None:
    p.add_argument("--phase", default="infer", metavar="PHASE",
                   help="infer (default), train (one step), prefill or decode (models that generate)")  # fmt: skip
    p.add_argument("--context", type=_number, metavar="N", help="tokens in sight of a decode step")
    p.add_argument("--halved", action="store_true", help="count only what a causal mask shows, not the whole square")
    p.add_argument("--optimiser", default="sgd", metavar="NAME",
                   help="of a training step: sgd (default), momentum, adam, adamw, adafactor, adam8bit")  # fmt: skip
    p.add_argument("--ops", metavar="FILE", help="YAML file with the work of operators of your own")
    p.add_argument("--recompute", default="none", metavar="HOW", help="in training: none (default), selective, full")


def _estimating(p: argparse.ArgumentParser) -> None:
    p.add_argument("--on", required=True, metavar="A,B,…", help="machines by name, or YAML files")
    p.add_argument("--level", default="roofline", metavar="LEVEL", help="count, roofline (default), mapped, simulated")
    _search(p)
    p.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (default 0)")
    p.add_argument("--draws", type=_number, default=1000, metavar="N", help="draws of the intervals (default 1000)")


def _search(p: argparse.ArgumentParser) -> None:
    p.add_argument("--objective", default="edp", metavar="WHAT",
                   help="what mappings make least: energy, latency or edp, energy x latency (default)")  # fmt: skip
    p.add_argument("--dataflow", metavar="NAME", help="keep mappings to a dataflow: ws, os, is, rs or nlr")


def _data(p: argparse.ArgumentParser, *, csv: bool = True) -> None:
    shape = p.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    if csv:
        shape.add_argument("--csv", action="store_true", help="print one line per operator, SI units")


def _lang(p: argparse.ArgumentParser) -> None:
    p.add_argument("--lang", choices=("en", "zh"), default="en", help="language of the words: en or zh")


def _strict(p: argparse.ArgumentParser) -> None:
    p.add_argument("--strict", action="store_true", help="exit with 1 if any operator is uncounted")


def _fill_count(p: argparse.ArgumentParser) -> None:
    _model(p)
    _data(p)
    _strict(p)
    p.add_argument("--depth", type=_number, default=1, metavar="N", help="depth of the module tree (default 1)")
    p.set_defaults(run=_lazy("count"))


def _fill_estimate(p: argparse.ArgumentParser) -> None:
    _model(p, batches=True)
    _estimating(p)
    _data(p)
    _strict(p)
    _lang(p)
    p.add_argument("--html", metavar="FILE", help="write the report page, one file that works offline")
    p.add_argument("--all", action="store_true", help="list every operator")
    p.add_argument("--cite", action="store_true", help="print BibTeX of every source that was used")
    p.set_defaults(run=_lazy("estimate"))


def _fill_compare(p: argparse.ArgumentParser) -> None:
    _model(p, many=True)
    _estimating(p)
    _data(p, csv=False)
    _strict(p)
    p.set_defaults(run=_lazy("compare"))


def _fill_explain(p: argparse.ArgumentParser) -> None:
    p.add_argument("model", metavar="WHAT", help="a model (with --on), a device, or a price such as h100.hbm.read")
    p.add_argument("--on", metavar="DEVICE", help="the machine the model runs on")
    p.add_argument("--batch", type=_number, metavar="N", help="samples of one run")
    p.add_argument("--seq", type=_number, metavar="N", help="sequence length")
    p.add_argument("--dtype", metavar="TYPE", help="replace the floating-point formats")
    p.add_argument("--input", action="append", default=[], metavar="NAME=N,N,…", help="shape of one input")
    _phase(p)
    p.add_argument("--level", default="roofline", metavar="LEVEL", help="count, roofline (default), mapped, simulated")
    _search(p)
    p.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (default 0)")
    p.add_argument("--draws", type=_number, default=1000, metavar="N", help="draws of the intervals (default 1000)")
    p.add_argument("--cite", action="store_true", help="print BibTeX of every source that was used")
    p.set_defaults(run=_lazy("explain"))


def _fill_methods(p: argparse.ArgumentParser) -> None:
    _model(p, many=True)
    p.add_argument("--on", metavar="DEVICE", help="also show the shares of energy on this machine")
    p.add_argument("--blocks", type=_number, metavar="DEPTH", help="with --on: shares of the modules at this depth")
    p.add_argument("--level", default="roofline", metavar="LEVEL", help="count, roofline (default), mapped, simulated")
    _search(p)
    p.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (default 0)")
    p.add_argument("--draws", type=_number, default=1000, metavar="N", help="draws of the intervals (default 1000)")
    p.set_defaults(run=_lazy("methods"))


def _fill_diff(p: argparse.ArgumentParser) -> None:
    p.add_argument("model", metavar="A", help="a model: a name, a file, or .safetensors weights alone")
    p.add_argument("other", metavar="B", help="the model to set against it")
    p.add_argument("--batch", type=_number, metavar="N", help="samples of one run")
    p.add_argument("--seq", type=_number, metavar="N", help="sequence length")
    p.add_argument("--input", action="append", default=[], metavar="NAME=N,N,…", help="shape of one input")
    _phase(p)
    p.set_defaults(run=_lazy("diff"))


def _fill_fuse(p: argparse.ArgumentParser) -> None:
    _model(p, many=True)
    p.add_argument("--on", required=True, metavar="DEVICE", help="the machine whose on-chip memory holds what is fused")
    p.add_argument("--buffer", metavar="SIZE", help="bytes on the chip instead of the machine's own: 2MB, 108KiB")
    p.add_argument("--elementwise", action="store_true", help="fuse only norms, activations and additions")
    p.set_defaults(run=_lazy("fuse", "_tools"))


def _fill_map(p: argparse.ArgumentParser) -> None:
    _model(p, optional=True)
    p.add_argument("--on", metavar="DEVICE", help="a machine whose file states its array, or a YAML file")
    p.add_argument("--replay", nargs="+", metavar="FILE",
                   help="count a mapping of Timeloop or ZigZag from its files, results among them if there are any")  # fmt: skip
    _search(p)
    p.add_argument("--layer", metavar="NAME", help="only layers whose name holds this text")
    p.add_argument("--all", action="store_true", help="draw the nest of every layer, not of the three dearest")
    p.add_argument("--front", action="store_true", help="energy against cycles instead of one optimum")
    p.add_argument("--check", action="store_true", help="have the certificates checked by an independent program")
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    _strict(p)
    p.set_defaults(run=_lazy("map_", "_mapping"))


def _fill_predict(p: argparse.ArgumentParser) -> None:
    _model(p, many=True)
    p.add_argument("--on", required=True, metavar="A,B,…", help="GPUs by name, or YAML files")
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    _strict(p)
    p.set_defaults(run=_lazy("predict", "_predict"))


def _fill_compile(p: argparse.ArgumentParser) -> None:
    p.add_argument("model", help="an .onnx file with its weights")
    p.add_argument(
        "--on", default="aics-core", metavar="MACHINE", help="a processor by name (default aics-core), or a YAML file"
    )
    p.add_argument("-o", "--output", metavar="FILE", help="write the program: net.pjx")
    p.add_argument("--dtype", metavar="TYPE", help="fp32 (default), or int8 with --calibrate")
    p.add_argument("--calibrate", action="append", default=[], metavar="[NAME=]FILE",
                   help="inputs that scale int8: a .npy array for each input, or a .npz file")  # fmt: skip
    p.add_argument("--per-tensor", action="store_true", help="one int8 scale for all of a weight, not one by channel")
    p.add_argument("--batch", type=_number, metavar="N", help="samples of one run, where the file leaves it open")
    p.add_argument("--input", action="append", default=[], metavar="NAME=N,N,…", help="shape of one input")
    p.add_argument("--explain", action="store_true", help="list what was folded, fused, removed and placed")
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    p.set_defaults(run=_lazy("compile_", "_compile"))


def _fill_run(p: argparse.ArgumentParser) -> None:
    p.add_argument("file", help="a program: net.pjx")
    p.add_argument(
        "--on", default="aics-core", metavar="MACHINE", help="a processor by name (default aics-core), or a YAML file"
    )
    p.add_argument(
        "--input", action="append", default=[], metavar="[NAME=]FILE", help="a .npy array for an input, or a .npz file"
    )
    p.add_argument("--output", metavar="FILE", help="write the output as .npy, several as .npz")
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    p.set_defaults(run=_lazy("run_", "_compile"))


def _fill_fpga(p: argparse.ArgumentParser) -> None:
    _model(p)
    p.add_argument("--on", required=True, metavar="BOARD", help="an FPGA board by name, or a YAML file")
    p.add_argument("--design", default="best", metavar="NAME",
                   help="dpu-b512 to dpu-b4096 (an overlay), tiled, or best (default) of all that fit")  # fmt: skip
    p.add_argument("--clock", metavar="HZ", help="clock of the design: 281MHz; the board's own if absent")
    p.add_argument("--cores", type=_number, metavar="N", help="cores of an overlay; as many as fit if absent")
    p.add_argument("--bandwidth", metavar="RATE", help="of the off-chip memory: 4.3GB/s; the board's own if absent")
    p.add_argument("--all", action="store_true", help="list every layer, not the ten slowest")
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    _strict(p)
    p.set_defaults(run=_lazy("fpga", "_fpga"))


def _fill_isa(p: argparse.ArgumentParser) -> None:
    p.add_argument("--decoder", nargs="?", const="text", choices=("text", "dot", "svg"), metavar="FORMAT",
                   help="the decoder's state machine instead: as text (default), dot or svg")  # fmt: skip
    p.set_defaults(run=_lazy("isa", "_processor"))


def _program(p: argparse.ArgumentParser) -> None:
    p.add_argument("file", metavar="FILE", help="a .pjx file, assembly, or the textbook's simplified notation")
    p.add_argument("--on", default="textbook-core", metavar="MACHINE",
                   help="a machine for programs, or its YAML file (default textbook-core)")  # fmt: skip


def _fill_asm(p: argparse.ArgumentParser) -> None:
    p.add_argument("file", metavar="FILE", help="assembly, or the textbook's simplified notation")
    p.add_argument("-o", "--output", required=True, metavar="FILE", help="the program file to write: net.pjx")
    p.add_argument("--on", metavar="MACHINE", help="also check every address against this machine, or its YAML file")
    p.set_defaults(run=_lazy("asm", "_processor"))


def _fill_disasm(p: argparse.ArgumentParser) -> None:
    p.add_argument("file", metavar="FILE", help="a program file: net.pjx")
    p.add_argument("-o", "--output", metavar="FILE", help="write the assembly here instead of printing it")
    p.set_defaults(run=_lazy("disasm", "_processor"))


def _fill_time(p: argparse.ArgumentParser) -> None:
    _program(p)
    p.add_argument("--engine", choices=("auto", "plain", "compiled"), default="auto",
                   help="plain Python, compiled (needs Numba), or auto (default); the cycles are the same")  # fmt: skip
    p.add_argument("--check", action="store_true", help="also watch that nothing touches bytes which are being written")
    p.add_argument("--limit", type=_number, metavar="N",
                   help="instructions after unrolling (default 1 million, compiled 20 million)")  # fmt: skip
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    p.set_defaults(run=_lazy("time", "_processor"))


def _fill_trace(p: argparse.ArgumentParser) -> None:
    _program(p)
    p.add_argument("-o", "--output", required=True, metavar="FILE", help="the trace to write: trace.json")
    p.add_argument("--limit", type=_number, default=200_000, metavar="N",
                   help="instructions after unrolling (default 200000)")  # fmt: skip
    p.set_defaults(run=_lazy("trace", "_processor"))


def _fill_measure(p: argparse.ArgumentParser) -> None:
    p.add_argument("--repeats", type=_number, default=3, metavar="N", help="windows measured (default 3)")
    p.add_argument("--idle", type=float, default=2.0, metavar="S", help="seconds of idling first, as baseline")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what to run")
    p.set_defaults(run=_lazy("measure", "_tools"))


def _fill_calibrate(p: argparse.ArgumentParser) -> None:
    p.add_argument("-o", "--output", metavar="FILE", help="write a hardware file: here.yaml")
    p.add_argument("--gpu", action="store_true", help="the GPU by PyTorch, not the processor")
    p.add_argument("--like", metavar="DEVICE", help="take energies per action from this machine of the library")
    p.add_argument("--threads", type=int, default=0, metavar="N", help="threads; 0 (default) for all")
    p.add_argument("--anyway", action="store_true", help="also on a machine that others disturb")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.set_defaults(run=_lazy("calibrate", "_tools"))


def _fill_fit(p: argparse.ArgumentParser) -> None:
    p.add_argument("data", metavar="DATA.csv", help="timings: kind, dtype, shapes, time_s in seconds, power_w if known")
    p.add_argument("--device", required=True, metavar="DEVICE", help="the machine they are of: a name or a YAML file")
    p.add_argument("--stack", default="own", metavar="NAME", help="the library that ran them: a word for the file")
    p.add_argument(
        "--multiprocessors", type=_number, metavar="N", help="units that take one tile each, if the file lacks them"
    )
    p.add_argument("-o", "--output", metavar="FILE", help="write what was learnt: device.json")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.set_defaults(run=_lazy("fit", "_fit"))


def _fill_check(p: argparse.ArgumentParser) -> None:
    _model(p)
    _estimating(p)
    p.add_argument("--threads", type=int, default=0, metavar="N", help="threads; 0 (default) for all")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.set_defaults(run=_lazy("check", "_tools"))


def _fill_job(p: argparse.ArgumentParser) -> None:
    p.add_argument("file", metavar="JOB.yaml", help="a job file: see examples/job.yaml")
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (default 0)")
    p.add_argument("--draws", type=_number, default=1000, metavar="N", help="draws of the intervals (default 1000)")
    p.set_defaults(run=_lazy("job"))


def _fill_hardware(p: argparse.ArgumentParser) -> None:
    verbs = p.add_subparsers(dest="what", required=True, metavar="WHAT")
    listing = verbs.add_parser("list", help="every machine of the library", description="every machine of the library")
    listing.add_argument("--kind", choices=("gpu", "cpu", "fpga", "npu"), help="only one kind")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=_lazy("hardware_list"))
    show = verbs.add_parser("show", help="one machine with its sources", description="one machine with its sources")
    show.add_argument("name", help="a name of the list, or a YAML file")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=_lazy("hardware_show"))
    schema = verbs.add_parser("schema", help="JSON Schema of hardware files, for editors",
                              description="JSON Schema of hardware files, for editors")  # fmt: skip
    schema.set_defaults(run=_lazy("hardware_schema"))


def _fill_zoo(p: argparse.ArgumentParser) -> None:
    p.add_argument("--json", action="store_true", help="print JSON")
    p.set_defaults(run=_lazy("zoo"))


def _fill_exercise(p: argparse.ArgumentParser) -> None:
    p.add_argument("id", nargs="?", help="an exercise: 2.2, 6.8-T16; without it, the list")
    p.add_argument("--on", metavar="DEVICE", help="another machine than the exercise's own: a name or a YAML file")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                   help="replace one input of the exercise; the value is read as JSON")  # fmt: skip
    p.add_argument("--svg", metavar="FILE", help="write the drawings of the exercise as one SVG file")
    p.add_argument("--list", action="store_true", help="list every exercise")
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    _lang(p)
    p.set_defaults(run=_lazy("exercise"))


def _fill_errata(p: argparse.ArgumentParser) -> None:
    p.add_argument("--json", action="store_true", help="print JSON")
    _lang(p)
    p.set_defaults(run=_lazy("errata"))


def _number(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return number


def _numbers(text: str) -> list[int]:
    return [_number(part) for part in text.split(",")]


_VERBS: tuple[tuple[str, str, Callable[[argparse.ArgumentParser], None]], ...] = (
    ("count", "what the mathematics of a model demands", _fill_count),
    ("estimate", "energy, time and traffic of a model on machines", _fill_estimate),
    ("compare", "models, machines and batch sizes side by side, per sample", _fill_compare),
    ("predict", "a model on GPUs by models of their kernels, with intervals", _fill_predict),
    ("explain", "where a total or a price comes from", _fill_explain),
    ("methods", "the counts of the literature side by side, shares of energy", _fill_methods),
    ("diff", "two networks or checkpoints: structure, counts, distance", _fill_diff),
    ("map", "the provably best loop nest of every layer on an array", _fill_map),
    ("fpga", "designs that fit an FPGA board: resources, time, power", _fill_fpga),
    ("fuse", "what keeping intermediates on the chip saves", _fill_fuse),
    ("compile", "an ONNX file to a program of the processor", _fill_compile),
    ("run", "a program with its inputs: values, cycles, actions", _fill_run),
    ("isa", "the instruction set of the processor", _fill_isa),
    ("asm", "assembly to a program file of the processor", _fill_asm),
    ("disasm", "a program file back to assembly", _fill_disasm),
    ("time", "cycles of a program on the processor", _fill_time),
    ("trace", "every instruction of a program in time, for Perfetto", _fill_trace),
    ("measure", "energy of a command by this machine's sensors", _fill_measure),
    ("calibrate", "measure this machine as a hardware file", _fill_calibrate),
    ("fit", "a device's parameters from its own timings", _fill_fit),
    ("check", "run an ONNX file and set it beside the prediction", _fill_check),
    ("job", "every stage of a whole job: load, prepare, move, train or infer", _fill_job),
    ("hardware", "the machines of the library", _fill_hardware),
    ("zoo", "the models that need no file", _fill_zoo),
    ("exercise", "an exercise of the documents, computed when asked", _fill_exercise),
    ("errata", "slips of the documents, with corrections", _fill_errata),
)
