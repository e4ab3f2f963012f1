"""A user's own timings: a CSV file with a class, a number format, shapes and what was measured.

    kind,dtype,m,n,k,time_s
    gemm,bfloat16,4096,4096,4096,0.000231

Columns are those of the class's law; `batch`, `groups`, `window`, `padding`, `skew` and the two kinds of parallelism may
be left out. `time_s` is in seconds; `power_w`, where it stands, is the board's mean during the kernel. `host` is 1 where the
host launched every call.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from picojoule.quantity import InputError

from ._evidence import Evidence
from ._law import Array, Law, number_format
from ._laws import POWERS, family, law_of
from ._learn import Measured, calibrate, predict_by
from ._sheet import Sheet
from ._store import knowledge

EXAMPLE: Final = "kind,dtype,m,n,k,time_s\ngemm,bfloat16,4096,4096,4096,0.000231"
_DEFAULTS: Final = {"batch": 1.0, "groups": 1.0, "window": 0.0, "padding": 0.0, "skew": 0.0, "tensor_parallel": 1.0,
                    "expert_parallel": 1.0, "kv_bytes": 2.0}  # fmt: skip
_LARGEST: Final = 50_000_000
_FOLDS: Final = 5
LEAST: Final = 3


@dataclass(frozen=True, slots=True)
class Fitted:
    """One class in one format: what was learnt, and mean errors in per cent of the measured value.

    `before` is by the sheet and other devices alone, `after` on the rows fitted, `held_out` on shape groups left out of the
    fit in turn; None where there are too few groups.
    """

    evidence: Evidence
    before: float
    after: float
    held_out: float | None


def fit_device(path: Path | str, sheet: Sheet, *, stack: str = "own") -> tuple[Fitted, ...]:
    """Fit every class and format in the file to the device of `sheet`. Raises InputError that names the line."""
    file = Path(path)
    found = []
    for (kind, dtype, host), lines in _groups(_read(file), file.name).items():
        law = law_of(kind, dtype)
        rows = {c: np.array([_number(line, c, file.name, number) for number, line in lines]) for c in law.columns}
        time = np.array([_number(line, "time_s", file.name, number) for number, line in lines])
        where = f"{file.name}, {len(time)} rows"
        found.append(_fitted(law, Measured(rows, _positive(time, file.name), sheet, dtype, host), stack, where))
        watts = np.array([_number(line, "power_w", file.name, number, 0.0) for number, line in lines])
        if (watts > 0).sum() >= LEAST and sheet.max_power_w is not None:
            operations, size = law.work(rows, dtype)
            rates = {"operations_per_s": operations / time, "bytes_per_s": size / time, "time_s": time}
            data = Measured(rates, watts, sheet, dtype, host).take(watts > 0)
            found.append(_fitted(POWERS[f"power_{law.name}"], data, stack, where))
    return tuple(found)


def _fitted(law: Law, data: Measured, stack: str, where: str) -> Fitted:
    known = knowledge(law, data.dtype, without=frozenset({data.sheet.name}))
    prior = known.prior(data.sheet, data.dtype, host=data.host).mean
    before = predict_by(law, prior, None, data.rows, data.sheet, data.dtype) * np.exp(
        known.left_over(data.rows, data.sheet)
    )
    seen = calibrate(known, data, stack=stack, source="own", where=where)
    after = predict_by(law, seen.theta, seen.surface, data.rows, data.sheet, data.dtype)
    fold = _folds(law, data)
    held: list[Array] = []
    if len(set(fold)) == _FOLDS and len(data.value) >= 2 * _FOLDS:
        for out in range(_FOLDS):
            part, rest = data.take(fold == out), data.take(fold != out)
            one = calibrate(known, rest, stack=stack)
            held.append(_error(predict_by(law, one.theta, one.surface, part.rows, part.sheet, part.dtype), part.value))
    return Fitted(seen, float(_error(before, data.value).mean()), float(_error(after, data.value).mean()),
                  float(np.concatenate(held).mean()) if held else None)  # fmt: skip


def _folds(law: Law, data: Measured) -> Array:
    """A fold for each row: whole shape groups, dealt out in turn."""
    names = [name for name in law.group if name in data.rows] or list(data.rows)[:1]
    keys = list(zip(*(data.rows[name] for name in names), strict=True))
    order = {key: i % _FOLDS for i, key in enumerate(sorted(set(keys)))}
    return np.array([order[key] for key in keys])


def _error(predicted: Array, measured: Array) -> Array:
    return np.asarray(100 * np.abs(predicted / measured - 1))


def _read(file: Path) -> list[tuple[int, Mapping[str, str]]]:
    try:
        if file.stat().st_size > _LARGEST:
            raise InputError(f"is larger than {_LARGEST:,} bytes", where=file.name, expected="a table of timings")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(
            f"cannot read the file: {error.strerror}", where=str(file), expected="a CSV file", example=EXAMPLE
        ) from None
    except UnicodeDecodeError:
        raise InputError("is not text", where=file.name, expected="a CSV file", example=EXAMPLE) from None
    reader = csv.DictReader(text.splitlines())
    names = {(name or "").strip() for name in reader.fieldnames or ()}
    missing = {"kind", "dtype", "time_s"} - names
    if missing:
        raise InputError(f"no column {', '.join(sorted(missing))}", where=file.name, expected="kind, dtype, the shapes, time_s",
                         example=EXAMPLE)  # fmt: skip
    return [(n, {(k or "").strip(): (v or "").strip() for k, v in line.items() if isinstance(v, str)})
            for n, line in enumerate(reader, start=2)]  # fmt: skip


def _groups(
    lines: Sequence[tuple[int, Mapping[str, str]]], where: str
) -> dict[tuple[str, str, bool], list[tuple[int, Mapping[str, str]]]]:
    found: dict[tuple[str, str, bool], list[tuple[int, Mapping[str, str]]]] = {}
    for number, line in lines:
        kind, dtype = line["kind"], line["dtype"]
        try:
            law_of(kind, dtype)
            number_format(dtype)
        except InputError as error:
            raise InputError(error.what, where=f"{where}:{number}", expected=error.expected, example=EXAMPLE) from None
        found.setdefault((kind, dtype, line.get("host", "") in ("1", "true", "yes")), []).append((number, line))
    for (kind, dtype, _), some in found.items():
        if len(some) < LEAST:
            raise InputError(
                f"{len(some)} rows of {kind} in {family(dtype)}",
                where=where,
                expected=f"at least {LEAST} of different sizes; 12 to 25 recover most of what hundreds do",
                example=EXAMPLE,
            )
    if not found:
        raise InputError("holds no rows", where=where, expected="a line for each timing", example=EXAMPLE)
    return found


def _number(line: Mapping[str, str], column: str, where: str, number: int, missing: float | None = None) -> float:
    text = line.get(column, "")
    default = _DEFAULTS.get(column) if missing is None else missing
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise InputError(f"{column} is {text!r}" if text else f"no {column}", where=f"{where}:{number}",
                         expected="a number of 0 or more, SI units", example=EXAMPLE)  # fmt: skip
    return value


def _positive(time: Array, where: str) -> Array:
    if (time <= 0).any():
        raise InputError("a time is zero", where=where, expected="seconds above 0", example=EXAMPLE)
    return time
