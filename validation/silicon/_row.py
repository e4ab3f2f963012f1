"""One number predicted beside one published."""

import csv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Row:
    """`low` and `high` bound the prediction in 90 %; equal where it is a count."""

    chip: str
    what: str
    quantity: str
    unit: str
    published: float
    predicted: float
    low: float
    high: float

    @property
    def error_pct(self) -> float:
        """Signed, of the published value."""
        return 100 * (self.predicted / self.published - 1)

    @property
    def inside(self) -> bool | None:
        """Whether the interval holds the published value; None for a count."""
        return None if self.low == self.high else self.low <= self.published <= self.high


def lines(name: str) -> list[dict[str, str]]:
    """Rows of a CSV file of this folder; a first line that starts with # is a remark."""
    with (HERE / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))
