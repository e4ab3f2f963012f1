"""One line per operator, SI units in the header."""

import csv
import io
from collections.abc import Sequence

from picojoule.cost import interval
from picojoule.levels import Estimate

from ._count import Count
from ._plain import plain


def count_csv(count: Count) -> str:
    """Operators of `count`; one column per special function that occurs."""
    special = list(dict(count.work.special))
    rows: list[list[object]] = [
        ["name", "kind", "path", "params", "macs", "muls", "adds", *special, "bytes_in", "bytes_out", "bytes_weights"]
    ]
    for row in count.operators:
        work = dict(row.work.special)
        rows.append(
            [_cell(row.operator.name), row.operator.kind, _cell(row.operator.path), row.params, row.work.macs,
             row.work.muls, row.work.adds, *(work.get(name, 0) for name in special), row.traffic.bytes_in,
             row.traffic.bytes_out, row.traffic.bytes_weights]
        )  # fmt: skip
    return _write(rows)


def estimate_csv(estimates: Sequence[Estimate]) -> str:
    """Operators of each estimate with energy, its 90 % interval, time and off-chip bytes."""
    rows: list[list[object]] = [
        ["hardware", "scope", "level", "dtype", "name", "kind", "path", "energy_j", "energy_low_j", "energy_high_j",
         "time_s", "bound_by", "off_chip_bytes"]
    ]  # fmt: skip
    for estimate in estimates:
        outer = estimate.architecture.memories[0].name
        for index, activity in enumerate(estimate.cost.activities):
            energy = interval(estimate.cost.energy_j[index])
            moved = activity.counts.get((outer, "read"), 0) + activity.counts.get((outer, "write"), 0)
            rows.append(
                [estimate.architecture.name, estimate.cost.scope, estimate.level, estimate.dtype,
                 _cell(activity.operator), activity.kind, _cell(activity.path), energy.nominal, energy.low,
                 energy.high, float(estimate.cost.time_s[index, 0]), activity.bound_by, moved]
            )  # fmt: skip
    return _write(rows)


def _cell(text: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    safe = plain(text)
    return f"'{safe}" if safe[:1] in ("=", "+", "-", "@") else safe


def _write(rows: list[list[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
