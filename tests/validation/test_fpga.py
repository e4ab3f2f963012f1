"""FPGA designs against published boards."""

import pytest
from validation.fpga import _designs, _overlay
from validation.fpga.__main__ import drifted, missing, optimum
from validation.fpga._fit import cases, fit, seconds, shipped
from validation.fpga._page import page, plot
from validation.fpga._row import Row

HELD = ("held out: family of networks", "held out: release", "held out: board")


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return [*_overlay.rows(), *_designs.rows()]


def test_limits_hold(rows: list[Row]) -> None:
    """Published: mean errors in-sample and held out, Zhang's total, and intervals that hold 85 to 97 %."""
    assert {row.group for row in rows} >= {"in-sample", *HELD}
    assert missing(rows) == []


def test_shipped_rates_are_the_fit() -> None:
    """Equality: the library ships what the fit finds, within 2 %."""
    assert drifted() == []


def test_optimum_of_the_paper() -> None:
    """Published: the search finds 64 × 7."""
    assert optimum() == []


def test_beats_peak_and_roofline(rows: list[Row]) -> None:
    """Bound: held out, the mean error is below a quarter of that of peak and of plain roofline."""
    own = [row for row in rows if row.held == "held out"]
    error = sum(abs(row.error_pct) for row in own)
    for value in ("peak", "roofline"):
        assert error < 0.25 * sum(abs(100 * (getattr(row, value) / row.published - 1)) for row in own)


def test_fit_and_package_agree() -> None:
    """Equality: two roads to the time of a frame, arrays of the fit and the laws of the package."""
    from validation.fpga._networks import network

    from picojoule.formats import load_fabric
    from picojoule.fpga import layers_of, overlay_run

    for case in cases()[::7]:
        found = seconds(case, shipped())
        run = overlay_run(layers_of(network(case.line["network"]))[0], case.overlay, case.board, load_fabric())
        assert run.latency_s == pytest.approx(found["one"])
        assert 1 / run.rate_per_s == pytest.approx(found["all"])


def test_fit_recovers_rates() -> None:
    """Round trip: rates fitted on times that the law made from known rates are those rates."""
    from dataclasses import replace

    true = (0.7, 0.5, 2.0, 1e-5, 3e-4)
    made = []
    for case in _overlay.sample():
        times = seconds(case, true)
        line = {**case.line, "fps_one_thread": repr(1 / times["one"]), "fps_threads": repr(1 / times["all"])}
        made.append(replace(case, line=line))
    assert fit(made) == pytest.approx(true, rel=0.02)


def test_a_missed_line_is_said() -> None:
    """Message: a set above its limit, a total beyond 10 % and intervals too narrow are named."""
    slow = Row("held out: board", "b", "net", "one thread", "1/s", 100.0, 50.0, 1.1, "held out")
    zhang = Row("tiled", "vc707", "zhang2015 all five", "latency", "ms", 20.0, 30.0, 1.2, "no fit")
    assert len(missing([slow, zhang])) == 3


def test_page_and_plot_show_every_row(rows: list[Row]) -> None:
    """Round trip: a line of a table and a dot of the plot for each row."""
    text = page(rows)
    assert sum(text.count(f"| {row.what} |") >= 1 or f"| {row.what} (" in text for row in rows) == len(rows)
    assert plot(rows).count("<circle") == len(rows)
