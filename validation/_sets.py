"""Published measurements as rows of laws: read from the full sets under --data DIR, or from the samples kept here.

Rows are split by shape group, never one by one: a group of five is held out whole, by a hash of what makes the group.
The samples kept in the folders are of held-out groups alone, so nothing here was fitted.
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picojoule.devices import LAWS, POWERS, Measured, law_of

from ._sheets import sheet_of

HOME = Path(__file__).resolve().parent
FOLDS = 5
Array = NDArray[np.float64]
Line = Mapping[str, str]


@dataclass(frozen=True)
class Set:
    """Rows of one class, device, library and format. `fold` 0 is held out; `folder` is where the sample lives."""

    folder: str
    kind: str  # operator class, or power_…
    stack: str
    data: Measured
    fold: NDArray[np.int64]
    source: str
    where: str
    learn: bool = True  # False: no row of it is ever fitted, the device is held out for good
    shapes: Mapping[str, Array] = field(default_factory=dict)  # of power rows: the shapes whose power it is
    group: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # of each row; none in samples

    @property
    def device(self) -> str:
        """Name of the device."""
        return self.data.sheet.name

    @property
    def name(self) -> str:
        """A line of the table."""
        return f"{self.kind} {self.data.dtype} {self.device} {self.stack}"

    def held_out(self) -> Measured:
        """Rows of held-out groups."""
        return self.data.take(self.fold == 0)

    def seen(self) -> Measured:
        """Rows that may be fitted."""
        return self.data.take(self.fold > 0)


def group_of(*key: object) -> int:
    """The number of a shape group, the same everywhere."""
    text = "_".join(f"{k:g}" if isinstance(k, float) else str(k) for k in key)
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big")


def fold_of(*key: object) -> int:
    """The fold of a shape group."""
    return group_of(*key) % FOLDS


def lines_of(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file; a first line that starts with # is a remark."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def number(lines: Sequence[Line], column: str, missing: float = 0.0) -> Array:
    """A column as floats; an empty cell is `missing`."""
    return np.array([float(x[column]) if x.get(column) not in (None, "") else missing for x in lines])


def by(lines: Iterable[Line], *names: str) -> dict[tuple[str, ...], list[Line]]:
    """Rows gathered by the values of some columns, in order of first use."""
    found: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        found.setdefault(tuple(line[n] for n in names), []).append(line)
    return found


def make(folder: str, kind: str, device: str, stack: str, dtype: str, rows: Mapping[str, Array], value: Array, *,
         source: str, where: str, host: bool = False, learn: bool = True, group: Sequence[Array] | None = None,
         shapes: Mapping[str, Array] | None = None) -> Set:  # fmt: skip
    """One set, with folds by the groups of its law."""
    law = POWERS[kind] if kind in POWERS else law_of(kind, dtype)
    keys = (
        group
        if group is not None
        else [np.log2(np.maximum(rows["bytes"], 1)).round() if g == "octave" else rows[g] for g in law.group]
    )
    number = np.array([group_of(*key) for key in zip(*keys, strict=True)], dtype=np.int64)
    data = Measured({k: np.asarray(rows[k], float) for k in law.columns}, value, sheet_of(device), dtype, host)
    keep = np.isfinite(value) & (value > 0)
    data = data.take(keep)
    kept = {k: np.asarray(v, float)[keep] for k, v in (shapes or {}).items()}
    return Set(folder, law.name, stack, data, number[keep] % FOLDS, source, where, learn, kept, number[keep])


def samples() -> list[Set]:
    """The samples kept in the folders of this package."""
    found = []
    for path in sorted(HOME.glob("*/rows.csv")):
        lines = lines_of(path)
        for (kind, device, stack, dtype, host, source, where, learn), some in by(
            lines, "kind", "device", "stack", "dtype", "host", "source", "where", "learn"
        ).items():
            law = POWERS[kind] if kind in POWERS else LAWS[kind]
            rows = {c: number(some, c) for c in law.columns}
            data = Measured(rows, number(some, "value"), sheet_of(device), dtype, host == "1")
            zero = np.zeros(len(some), dtype=np.int64)
            shapes = {c: number(some, c) for c in ("m", "n", "k", "batch") if kind in POWERS and some[0].get(c)}
            found.append(Set(path.parent.name, kind, stack, data, zero, source, where, learn == "1", shapes))
    return found


def write_samples(sets: Sequence[Set], most: int = 300) -> dict[str, int]:
    """Keep a few hundred held-out rows of each folder, spread evenly over its sets; the count of each folder."""
    kept: dict[str, int] = {}
    for folder in sorted({s.folder for s in sets}):
        here = [s for s in sets if s.folder == folder]
        share = max(10, most // len(here))
        columns = list(dict.fromkeys(c for s in here for c in (*s.data.rows, *s.shapes)))
        out = [",".join(["kind", "device", "stack", "dtype", "host", "learn", "source", "where", *columns, "value"])]
        for s in here:
            held = s.held_out()
            held = replace(held, rows={**{k: v[s.fold == 0] for k, v in s.shapes.items()}, **held.rows})
            some = held.some(share)
            for i in range(len(some.value)):
                cells = [f"{some.rows[c][i]:.9g}" if c in some.rows else "" for c in columns]
                out.append(",".join([s.kind, s.device, s.stack, some.dtype, str(int(some.host)), str(int(s.learn)), s.source,
                                     f'"{s.where}"', *cells, f"{some.value[i]:.6g}"]))  # fmt: skip
        (HOME / folder).mkdir(exist_ok=True)
        (HOME / folder / "rows.csv").write_text("\n".join(out) + "\n", encoding="utf-8")
        kept[folder] = len(out) - 1
    return kept


Reader = Callable[[Path], list[Set]]
