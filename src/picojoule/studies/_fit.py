"""Prices from measurements: E = a·MACs + b·bytes + c·vector operations + P·t, never negative.

Columns are scaled to a largest value of one before solving, so that 1e9 MACs and 1e-3 s weigh alike. With k columns the
non-negative least squares problem is solved exactly: its answer is the unconstrained one on some subset of columns, and
there are only 2^k of them. Intervals come from drawing whole workloads again with replacement; a workload with several
rows goes in or out as one. Left out: how sure each measurement is.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from picojoule.cost import Interval
from picojoule.quantity import InputError

Matrix = NDArray[np.float64]
UNITS: Final[Mapping[str, str]] = {"macs": "J/MAC", "bytes": "J/B", "ops": "J/op", "seconds": "W"}
_ALIASES: Final = {"s": "seconds", "time_s": "seconds", "vector_ops": "ops", "energy": "energy_j", "name": "workload",
                   "joule": "energy_j"}  # fmt: skip
_EXAMPLE: Final = "workload,macs,bytes,ops,seconds,energy_j\nresnet50,4.1e9,3.2e8,2.4e7,0.004,0.31"
_LARGEST: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured run: what it did, and its energy [J]. `ops` are operations outside dot products; None if unknown."""

    workload: str
    macs: float
    bytes: float
    seconds: float
    energy_j: float
    ops: float | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients by column with their 90 % interval by bootstrap; `units` in UNITS.

    `mape` is the mean of |predicted - measured| / measured on the rows fitted, `held_out_mape` the same with each
    workload predicted by a fit of the others (None if the others do not suffice). `condition` is that of the scaled
    columns: above about 100 the columns look alike and single coefficients mean little.
    """

    coefficients: Mapping[str, Interval]
    condition: float
    mape: float
    held_out_mape: float | None
    rows: int
    workloads: int
    resamples: int

    def predict_j(self, row: Measurement) -> float:
        """Energy of a run by the nominal coefficients."""
        return sum(self.coefficients[name].nominal * float(getattr(row, name)) for name in self.coefficients)


def fit(rows: Sequence[Measurement], *, resamples: int = 500, seed: int = 0) -> Fit:
    """Fit all columns that the rows give: MACs, bytes, seconds, and vector operations if every row states them.

    Raises InputError if the rows cannot tell the columns apart.
    """
    columns = ("macs", "bytes", "seconds")
    if rows and all(row.ops is not None for row in rows):
        columns = ("macs", "bytes", "ops", "seconds")  # type: ignore[assignment]
    _check(rows, columns)
    table, energy = _table(rows, columns)
    _check_rank(table, columns)
    best = solve(table, energy)
    groups = _groups(rows)
    drawn = _bootstrap(table, energy, groups, resamples, seed)
    low, high = np.quantile(drawn, (0.05, 0.95), axis=0) if len(drawn) else (best, best)
    found = {name: Interval(float(best[i]), float(low[i]), float(high[i])) for i, name in enumerate(columns)}
    return Fit(found, _condition(table), _mape(table @ best, energy), _held_out(table, energy, groups), len(rows),
               len(groups), len(drawn))  # fmt: skip


def solve(table: Matrix, energy: Matrix) -> Matrix:
    """argmin ‖table · x − energy‖ over x ≥ 0, columns scaled to a largest value of one."""
    scale = np.max(np.abs(table), axis=0)
    scaled = table / scale
    width = table.shape[1]
    best, least = np.zeros(width), float(energy @ energy)
    for chosen in chain.from_iterable(combinations(range(width), n) for n in range(1, width + 1)):
        part = scaled[:, list(chosen)]
        x = np.linalg.lstsq(part, energy, rcond=None)[0]
        wrong = part @ x - energy
        if (x >= 0).all() and float(wrong @ wrong) < least:
            best, least = np.zeros(width), float(wrong @ wrong)
            best[list(chosen)] = x
    solution: Matrix = best / scale
    return solution


def read_measurements(path: Path | str) -> tuple[Measurement, ...]:
    """Rows of a CSV file with the columns macs, bytes, seconds, energy_j, and if known workload and ops. SI units."""
    file = Path(path)
    try:
        if file.stat().st_size > _LARGEST:
            raise InputError(f"is larger than {_LARGEST:,} bytes", where=file.name, expected="a table of measurements")
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"cannot read the file: {error.strerror}", where=str(path), expected="a CSV file",
                         example=_EXAMPLE) from None  # fmt: skip
    except UnicodeDecodeError:
        raise InputError("is not text", where=file.name, expected="a CSV file", example=_EXAMPLE) from None
    return tuple(_rows(lines, file.name))


def _rows(lines: Sequence[str], where: str) -> list[Measurement]:
    found = []
    reader = csv.DictReader(line for line in lines if line.strip() and not line.startswith("#"))
    names = {name: _ALIASES.get(name.strip(), name.strip()) for name in reader.fieldnames or () if name}
    missing = {"macs", "bytes", "seconds", "energy_j"} - set(names.values())
    if missing:
        raise InputError(f"no column {', '.join(sorted(missing))}", where=where, expected="a CSV file with a first line",
                         example=_EXAMPLE)  # fmt: skip
    for number, raw in enumerate(reader, start=2):
        row = {
            names[name]: (text or "").strip() for name, text in raw.items() if name in names and isinstance(text, str)
        }
        try:
            ops = float(row["ops"]) if row.get("ops") else None
            found.append(Measurement(row.get("workload") or f"row {number}", float(row["macs"]), float(row["bytes"]),
                                     float(row["seconds"]), float(row["energy_j"]), ops))  # fmt: skip
        except (KeyError, ValueError) as error:
            raise InputError(f"line {number} has no number: {error}", where=where, expected="plain numbers in SI units",
                             example=_EXAMPLE) from None  # fmt: skip
    return found


def _check(rows: Sequence[Measurement], columns: Sequence[str]) -> None:
    if len(rows) < len(columns):
        raise InputError(f"{len(rows)} measurements for {len(columns)} prices", where="fit",
                         expected=f"at least {len(columns)}, of workloads that differ", example=_EXAMPLE)  # fmt: skip
    for row in rows:
        values = [float(getattr(row, name)) for name in columns]
        if not all(np.isfinite(values)) or min(values) < 0 or not (np.isfinite(row.energy_j) and row.energy_j > 0):
            raise InputError(f"{row.workload!r} has a negative number, no energy, or one that is not finite", where="fit",
                             expected="counts of 0 or more and an energy above 0", example=_EXAMPLE)  # fmt: skip


def _table(rows: Sequence[Measurement], columns: Sequence[str]) -> tuple[Matrix, Matrix]:
    table = np.array([[float(getattr(row, name)) for name in columns] for row in rows])
    return table, np.array([row.energy_j for row in rows])


def _check_rank(table: Matrix, columns: Sequence[str]) -> None:
    rank = _rank(table)
    if rank < table.shape[1]:
        raise InputError(f"the measurements have rank {rank}, the formula {table.shape[1]} prices "
                         f"({', '.join(columns)}): they cannot be told apart", where="fit",
                         expected="workloads whose MACs, bytes, operations and times are not proportional: large and small "
                         "batches, convolutions and copies, an idle machine", example=_EXAMPLE)  # fmt: skip


def _rank(table: Matrix) -> int:
    """Rank of the scaled columns; a column of zeros has none."""
    largest = np.max(np.abs(table), axis=0)
    return int(np.linalg.matrix_rank(table / np.where(largest > 0, largest, 1.0), tol=1e-9 * table.shape[0]))


def _condition(table: Matrix) -> float:
    return float(np.linalg.cond(table / np.max(np.abs(table), axis=0)))


def _mape(predicted: Matrix, energy: Matrix) -> float:
    return float(np.mean(np.abs(predicted - energy) / energy))


def _groups(rows: Sequence[Measurement]) -> list[Matrix]:
    """Row numbers of each workload."""
    names = list(dict.fromkeys(row.workload for row in rows))
    return [np.array([i for i, row in enumerate(rows) if row.workload == name]) for name in names]


def _bootstrap(table: Matrix, energy: Matrix, groups: Sequence[Matrix], resamples: int, seed: int) -> Matrix:
    """Coefficients of each resample that still tells the columns apart, (n, columns)."""
    generator = np.random.Generator(np.random.Philox(seed))
    found = []
    for _ in range(resamples):
        chosen = np.concatenate([groups[i] for i in generator.integers(len(groups), size=len(groups))])
        if _rank(table[chosen]) == table.shape[1]:
            found.append(solve(table[chosen], energy[chosen]))
    return np.array(found).reshape(len(found), table.shape[1])


def _held_out(table: Matrix, energy: Matrix, groups: Sequence[Matrix]) -> float | None:
    wrong = []
    for group in groups:
        others = np.setdiff1d(np.arange(len(energy)), group)
        if len(others) < table.shape[1] or _rank(table[others]) < table.shape[1]:
            return None
        predicted = table[group] @ solve(table[others], energy[others])
        wrong += list(np.abs(predicted - energy[group]) / energy[group])
    return float(np.mean(wrong))
