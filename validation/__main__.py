"""python -m validation [--data DIR] [--write] [--learn]: predict published measurements, compare with what was accepted.

Without --data the samples kept here are predicted: held-out shape groups, which nothing was fitted to. With --data DIR
the full sets are. --write remakes docs/validation.md and the accepted table; --learn, with --data, fits the library's
device files and intervals from the seen groups first.

Exit code 1: a class is worse than accepted beyond noise.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "src"))


def main(arguments: list[str] | None = None) -> int:
    """Run and return the exit code."""
    from picojoule.quantity import InputError

    parser = argparse.ArgumentParser(prog="python -m validation", description="Predict published measurements.")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the full published sets (CSV)")
    parser.add_argument("--write", action="store_true", help="remake docs/validation.md and the accepted table")
    parser.add_argument(
        "--learn", action="store_true", help="fit the library's device files from the seen groups (needs --data)"
    )
    options = parser.parse_args(arguments)
    try:
        return _run(options.data, options.write, options.learn)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2


def _run(data: Path | None, write: bool, learn: bool) -> int:
    from picojoule.quantity import InputError

    from . import _learned, _read, _report, _sets, _table

    skipped: list[str] = []
    if data is not None and not data.is_dir():
        raise InputError(
            "is not a folder",
            where=str(data),
            expected="a folder of published sets",
            example="--data ../shared/data/measured",
        )
    if learn:
        if data is None:
            raise InputError(
                "fitting needs the full sets",
                where="--learn",
                expected="--data DIR beside it",
                example="--data DIR --learn",
            )
        _learned.relearn(data)
    if data is None:
        sets = _sets.samples()
        skipped.append("full sets: no --data DIR; the samples kept here are predicted")
    else:
        sets, words = _read.read(data)
        skipped += words
    rows = _table.operator_rows(sets) + _table.energy_rows(sets)
    more, words = _table.network_rows(data if data is not None else HERE)
    rows += more
    for word in skipped + words:
        print(f"note: {word}")
    print(_report.text(rows))
    if write:
        _report.write(rows, sets, full=data is not None)
        return 0
    worse = _report.compare(rows, full=data is not None)
    for word in worse:
        print(f"worse than accepted: {word}", file=sys.stderr)
    return int(bool(worse))


if __name__ == "__main__":
    sys.exit(main())
