"""Rows of the DPU: in-sample on the ZCU102 with release 2.5; held out by family of networks, by release, by board."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from picojoule import estimate
from picojoule.formats import load_fabric

from ._fit import Case, cases, fit, seconds
from ._networks import network
from ._row import Row

FITTED_ON = ("zcu102", "2.5")


def sample() -> list[Case]:
    """The rows that the shipped rates were fitted on."""
    return [case for case in cases() if (case.line["board"], case.line["release"]) == FITTED_ON]


def rows() -> list[Row]:
    """Every published frame rate, predicted; rows of the sample twice, by the rates of all and without their family."""
    inside = sample()
    rates = fit(inside)
    made = [row for case in inside for row in _rows(case, rates, "in-sample", "in-sample")]
    for family in sorted({case.line["family"] for case in inside}):
        without = fit([case for case in inside if case.line["family"] != family])
        own = [case for case in inside if case.line["family"] == family]
        made += [row for case in own for row in _rows(case, without, "held out: family of networks", "held out")]
    for case in cases():
        if case not in inside:
            other = "release" if case.line["board"] == FITTED_ON[0] else "board"
            made += _rows(case, rates, f"held out: {other}", "held out")
    return made


def error_at(name: str, factor: float) -> float:
    """Mean absolute error of the rates of a board with one thread [%], its bandwidth taken `factor` times."""
    rates = fit(sample())
    own = [replace(case, board=replace(case.board, bandwidth=factor * case.board.bandwidth)) for case in cases()
           if case.line["board"] == name and "one" in case.measured]  # fmt: skip
    return float(np.mean([abs(100 * (case.measured["one"] / seconds(case, rates)["one"] - 1)) for case in own]))


def error_of_estimate() -> float:
    """Mean absolute error of the rates of the sample by level roofline, the whole board at once [%]."""
    errors = []
    for case in sample():
        found = estimate(network(case.line["network"]), case.line["board"], dtype="int8", draws=2)
        errors.append(abs(100 * (case.measured["all"] / float(found.cost.time_s[:, 0].sum()) - 1)))
    return float(np.mean(errors))


def _rows(case: Case, rates: Sequence[float], group: str, held: str) -> list[Row]:
    spread = load_fabric().rates["overlay_error"].spread
    found, peak, roofline = seconds(case, rates), _peak(case), _roofline(case)
    words = {"one": "one thread", "all": "all threads"}
    made = []
    for key, true in case.measured.items():
        share = case.overlay.cores if key == "all" else 1
        made.append(Row(
            group, case.line["board"], case.line["name"], words[key], "1/s", 1 / true, 1 / found[key], spread, held,
            share / peak, share / roofline if share == 1 else 1 / _roofline(case, share),
        ))  # fmt: skip
    return made


def _peak(case: Case) -> float:
    """MACs over the peak of one core [s]."""
    return case.macs / (case.overlay.core.macs * case.board.clock_hz)


def _roofline(case: Case, cores: int = 1) -> float:
    """Plain: all MACs at the peak of `cores`, or all bytes of every layer at the sheet's bandwidth, whichever is longer."""
    return float(max(_peak(case) / cores, np.sum(case.sizes) / case.board.bandwidth))
