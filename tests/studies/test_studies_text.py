"""Studies as text: nothing wider than a terminal, the numbers that count, no control characters from names."""

import numpy as np
import pytest

import picojoule as pj
from picojoule import studies
from picojoule.report.terminal import Paint
from picojoule.report.terminal import _studies as text

PLAIN = Paint(False)


def fits(shown: str) -> str:
    assert max(map(len, shown.splitlines())) <= 80, max(shown.splitlines(), key=len)
    assert shown.endswith("\n")
    return shown


def test_methods_and_shares() -> None:
    """By hand: counts of the MLP; the shares of every network sum to 100 %."""
    names = ["mlp:33-512-10", "lstm:128x256", "bert-base", "resnet50"]
    shown = fits(text.methods_text([studies.methods(pj.read_model(n)) for n in names], PLAIN))
    for part in ("22,016", "44,032", "FLOP, true", "14,249,558,016", "None of the counts is an energy"):
        assert part in shown
    shown = fits(text.shares_text([studies.shares(pj.estimate(n, "h100")) for n in names], PLAIN))
    assert shown.count("  100%") == 4
    assert "α" in shown
    assert "board" in shown
    blocks = studies.block_shares(pj.estimate("bert-base", "h100"), depth=4)
    assert "others" in fits(text.blocks_text(blocks, PLAIN, rows=3))


def test_fit_diff_people() -> None:
    """By hand: 2 pJ, 100 pJ, 60 W; L1 3 and L2 2.23607; both scopes."""
    rows = [(1e9, 1e7, 1e-3, 0.063), (1e8, 1e8, 2e-3, 0.1302), (5e8, 5e7, 1.2e-3, 0.078), (2e9, 2e8, 4e-3, 0.264)]
    shown = fits(text.fit_text(studies.fit([studies.Measurement(f"n{i}", *r) for i, r in enumerate(rows)]), PLAIN))
    for part in ("2.00 pJ/MAC", "100 pJ/B", "60.0 W"):
        assert part in shown
    evil = "w\x1b[31m\u202e"
    found = studies.diff(None, None, {evil: np.array([1.0, -2.0, 3.0])}, {evil: np.array([0.0, -2.0, 5.0])})
    shown = fits(text.diff_text(found, PLAIN))
    assert "2.23607" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    shown = fits(text.diff_text(studies.diff(pj.read_model("vgg16"), pj.read_model("vgg19")), PLAIN))
    assert "+5,309,696" in shown  # three convolutions: 256 · 256 · 9 + 256, two of 512 · 512 · 9 + 512
    shown = fits(text.human_text([studies.inference(pj.estimate("resnet50", "h100"), 0.5, what="one image")], PLAIN))
    assert "brain alone" in shown
    assert "includes board" in shown


@pytest.mark.parametrize("region", ["FR", "GB", "DE"])
def test_shift_and_fleet(region: str) -> None:
    """Bound: 24 hours, the best start below the worst, the source named."""
    shown = fits(text.shift_text(studies.shift(1e6, 4, studies.profile(region)), PLAIN))
    assert "Wiesner" in shown
    fleet = studies.fleet_of({"name": "city", "limit": "20 kW", "machines": [
        {"name": "camera", "count": 4000, "idle": "6 W", "request": {"value": "0.8 J", "spread": 2}, "rate": [0] * 12 + [9] * 12,
         "embodied": "50 kg"}]})  # fmt: skip
    shown = fits(text.fleet_text(studies.load_curve(fleet), PLAIN, studies.profile(region)))
    assert sum(line[2:6] == ":00 " for line in shown.splitlines()) == 24
    assert "over the limit" in shown
    assert "embodied, apart" in shown
