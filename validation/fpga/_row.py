"""One number predicted beside one published."""

import csv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Row:
    """`held` says how the prediction stands to the row: in-sample, held out, no fit, circular or recalled.

    `peak` is what operations over the peak give, `roofline` the sum over layers of max(operations/peak, bytes/bandwidth);
    None where the quantity is no time or rate.
    """

    group: str
    board: str
    what: str
    quantity: str
    unit: str
    published: float
    predicted: float
    spread: float
    held: str
    peak: float | None = None
    roofline: float | None = None

    @property
    def error_pct(self) -> float:
        """Signed, of the published value."""
        return 100 * (self.predicted / self.published - 1)

    @property
    def inside(self) -> bool:
        """Whether predicted ÷ spread … predicted × spread holds the published value."""
        return self.predicted / self.spread <= self.published <= self.predicted * self.spread


def lines(name: str) -> list[dict[str, str]]:
    """Rows of a CSV file of this folder; a first line that starts with # is a remark."""
    with (HERE / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))
