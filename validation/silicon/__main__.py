"""python -m validation.silicon: predict, print, and write docs/validation-silicon.md with its plot.

Exit code 1 where an acceptance is missed: total latency of Eyeriss within 5 %, each layer within 15 %, all powers inside.
"""

import sys
from pathlib import Path

from ._eyeriss import rows as eyeriss
from ._page import page, plot
from ._row import Row
from ._tpu import rows as tpu

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> int:
    """Write page and plot; say what is missed."""
    rows = [*eyeriss(), *tpu()]
    text = page(rows)
    (DOCS / "validation-silicon.md").write_text(text, encoding="utf-8")
    (DOCS / "validation-silicon.svg").write_text(plot(rows), encoding="utf-8")
    sys.stdout.write(text)
    missed = missing(rows)
    for line in missed:
        sys.stderr.write(f"missed: {line}\n")
    return 1 if missed else 0


def missing(rows: list[Row]) -> list[str]:
    """What falls short of the published silicon."""
    found = []
    for row in rows:
        limit = 5 if row.what == "all five" else 15
        if row.quantity == "total latency" and abs(row.error_pct) > limit:
            found.append(f"{row.chip} {row.what}: latency {row.error_pct:+.1f} %, limit {limit} %")
        if row.quantity == "power" and not row.inside:
            found.append(f"{row.chip} {row.what}: {row.published:g} mW is outside {row.low:.0f} to {row.high:.0f}")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
