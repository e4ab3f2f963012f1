"""Options of the verbs of jobs, of the library and of the exercises."""

import argparse

from ._shared import Verb, lang, lazy, number


def _fill_job(p: argparse.ArgumentParser) -> None:
    p.add_argument("file", metavar="JOB.yaml", help="a job file: see examples/job.yaml")
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (default 0)")
    p.add_argument("--draws", type=number, default=1000, metavar="N", help="draws of the intervals (default 1000)")
    p.set_defaults(run=lazy("job", "_library"))


def _fill_hardware(p: argparse.ArgumentParser) -> None:
    verbs = p.add_subparsers(dest="what", required=True, metavar="WHAT")
    listing = verbs.add_parser("list", help="every machine of the library", description="every machine of the library")
    listing.add_argument("--kind", choices=("gpu", "cpu", "fpga", "npu"), help="only one kind")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=lazy("hardware_list", "_library"))
    show = verbs.add_parser("show", help="one machine with its sources", description="one machine with its sources")
    show.add_argument("name", help="a name of the list, or a YAML file")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=lazy("hardware_show", "_library"))
    schema = verbs.add_parser("schema", help="JSON Schema of hardware files, for editors",
                              description="JSON Schema of hardware files, for editors")  # fmt: skip
    schema.set_defaults(run=lazy("hardware_schema", "_library"))


def _fill_zoo(p: argparse.ArgumentParser) -> None:
    p.add_argument("--json", action="store_true", help="print JSON")
    p.set_defaults(run=lazy("zoo", "_library"))


def _fill_exercise(p: argparse.ArgumentParser) -> None:
    p.add_argument("id", nargs="?", help="an exercise: 2.2, 6.8-T16; without it, the list")
    p.add_argument("--on", metavar="DEVICE", help="another machine than the exercise's own: a name or a YAML file")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                   help="replace one input of the exercise; the value is read as JSON")  # fmt: skip
    p.add_argument("--svg", metavar="FILE", help="write the drawings of the exercise as one SVG file")
    p.add_argument("--list", action="store_true", help="list every exercise")
    p.add_argument("--json", action="store_true", help="print JSON, by a published schema")
    lang(p)
    p.set_defaults(run=lazy("exercise", "_library"))


def _fill_errata(p: argparse.ArgumentParser) -> None:
    p.add_argument("--json", action="store_true", help="print JSON")
    lang(p)
    p.set_defaults(run=lazy("errata", "_library"))


VERBS: tuple[Verb, ...] = (
    ("job", "every stage of a whole job: load, prepare, move, train or infer", _fill_job),
    ("hardware", "the machines of the library", _fill_hardware),
    ("zoo", "the models that need no file", _fill_zoo),
    ("exercise", "an exercise of the documents, computed when asked", _fill_exercise),
    ("errata", "slips of the documents, with corrections", _fill_errata),
)
