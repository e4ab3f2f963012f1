"""Accelerators against their published silicon."""

import pytest
from validation.silicon.__main__ import missing
from validation.silicon._eyeriss import rows as eyeriss
from validation.silicon._page import page, plot
from validation.silicon._row import Row
from validation.silicon._tpu import rows as tpu


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return [*eyeriss(), *tpu()]


def test_eyeriss_by_layer(rows: list[Row]) -> None:
    """Published: AlexNet on Eyeriss v1, total within 5 %, every layer within 15 %, every power inside its interval."""
    assert len([row for row in rows if row.chip == "Eyeriss v1"]) == 30
    assert missing(rows) == []


def test_eyeriss_traffic(rows: list[Row]) -> None:
    """Published: buffer and DRAM traffic of all five layers, never fitted, within 5 %."""
    for quantity in ("buffer", "DRAM"):
        whole = next(row for row in rows if row.what == "all five" and row.quantity == quantity)
        assert abs(whole.error_pct) < 5


def test_tpu_applications(rows: list[Row]) -> None:
    """Published: rates of three applications of the TPU v1 lie in their intervals."""
    assert [row.inside for row in rows if row.chip == "TPU v1"] == [True, True, True]


def test_a_missed_line_is_said() -> None:
    """Message: a latency beyond its limit and a power outside its interval are named."""
    slow = Row("chip", "all five", "total latency", "ms", 100.0, 106.0, 90.0, 120.0)
    hot = Row("chip", "CONV1", "power", "mW", 300.0, 200.0, 190.0, 210.0)
    assert len(missing([slow, hot])) == 2
    assert "+6.0 %" in missing([slow])[0]


def test_page_and_plot_show_every_row(rows: list[Row]) -> None:
    """Round trip: a line of the table and a dot of the plot for each row."""
    text, drawn = page(rows), plot(rows)
    assert text.count("\n| ") == len(rows) + 2
    assert drawn.count("<circle") == len(rows)
