"""Verb `predict`: a network on GPUs by device models, beside the roofline."""

import argparse
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from picojoule import _api as api
from picojoule.levels import in_native_dtype
from picojoule.quantity import format_quantity
from picojoule.report import fold, plain
from picojoule.workload import Workload, dtype_name

from ._common import machines, print_json, read, talk
from ._progress import Progress

if TYPE_CHECKING:
    from picojoule.devices import Total


def predict(options: argparse.Namespace) -> int:
    """`picojoule predict MODEL --on h100,a100 --batch 8,64`: time and energy as kernels of this device run."""
    from picojoule.devices import calls, sheet, total

    dtype = dtype_name(options.dtype) if options.dtype else None
    rows, workloads = [], []
    with Progress(f"predicting {options.model}"):
        boards = [(machine, sheet(machine.architecture)) for machine in machines(options.on)]
        for model in options.model.split(","):
            for batch in options.batch or [None]:
                workloads.append(read(options, model, batch))
                for machine, about in boards:
                    workload = in_native_dtype(workloads[-1], machine.architecture, dtype)
                    found = total([call for _, call in calls(workload)], about)
                    cost = api.estimate(workload, machine, draws=1).cost
                    rows.append(_row(workload, machine.name, found, cost.total_time_s.nominal,
                                     cost.total_energy_j.nominal))  # fmt: skip
    if options.json:
        print_json({"schema": "picojoule/predict/1", "runs": rows})
    else:
        sys.stdout.write(_text(rows))
    return talk(workloads, options.strict)


def _row(workload: Workload, machine: str, found: "Total", roofline_s: float, roofline_j: float) -> dict[str, Any]:
    """One run in SI units, of the whole batch; null is unknown, and so are bounds that no held-out data stand behind."""
    known = Counter(found.by)
    return {
        "model": workload.name, "hardware": machine, "batch": workload.batch,
        "time_s": {"nominal": found.time_s, "low": found.time_low_s, "high": found.time_high_s},
        "energy_j": {"nominal": found.energy_j, "low": found.energy_low_j, "high": found.energy_high_j},
        "roofline_time_s": roofline_s, "roofline_energy_j": roofline_j, "operators": len(found.by),
        "known_by": [{"by": text, "operators": n} for text, n in known.most_common()],
    }  # fmt: skip


def _text(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'run':<29}{'s a sample':>11}{'90 %':>17}{'J a sample':>11}{'roofline':>12}"]
    for row in rows:
        batch, time, energy = row["batch"], row["time_s"], row["energy_j"]
        name = f"{plain(row['model'], 13)} {row['hardware']} b{batch}"
        joules = "unknown" if energy["nominal"] is None else format_quantity(energy["nominal"] / batch, "J")
        lines.append(f"{plain(name, 28):<29}{format_quantity(time['nominal'] / batch, 's'):>11}{_range(time, batch):>17}"
                     f"{joules:>11}{format_quantity(row['roofline_time_s'] / batch, 's'):>12}")  # fmt: skip
    last = rows[-1]["known_by"]
    lines += fold(
        f"{rows[-1]['hardware']} known by: " + "; ".join(f"{k['by']} ({k['operators']})" for k in last), rest="  "
    )
    lines += fold("board energy; kernels alone, as frameworks run them one by one: without loading, host and serving "
                  "software. No interval where no measurement was held out", rest="  ")  # fmt: skip
    return "\n".join(lines) + "\n"


def _range(bounds: dict[str, float | None], batch: int) -> str:
    low, high = bounds["low"], bounds["high"]
    if low is None or high is None:
        return "no interval"
    first, last = format_quantity(low / batch, "s", 2), format_quantity(high / batch, "s", 2)
    number, _, unit = first.partition(" ")
    return f"{number} – {last}" if last.partition(" ")[2] == unit else f"{first} – {last}"
