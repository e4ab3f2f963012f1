"""`picojoule predict`: whole networks on GPUs by device models."""

import json

import pytest
from tests.cli.test_cli import validate

from picojoule.cli import main


def runs(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict]:
    assert main(["predict", *arguments, "--json"]) == 0
    out = capsys.readouterr().out
    validate(out, "predict")
    found: list[dict] = json.loads(out)["runs"]
    return found


def test_joules_a_token_fall_with_the_batch(capsys: pytest.CaptureFixture[str]) -> None:
    """Published: Llama 3.1 8B on an H100 decodes at 0.455 J a token at batch 8 and 0.119 at 64 (ML.ENERGY): within a third."""
    found = runs(capsys, "llama3-8b", "--on", "h100", "--phase", "decode", "--batch", "8,64,256", "--context", "1024")
    each = [run["energy_j"]["nominal"] / run["batch"] for run in found]
    assert each[0] > each[1] > each[2]
    assert each[0] == pytest.approx(0.455, rel=0.33)
    assert each[1] == pytest.approx(0.119, rel=0.33)


def test_intervals_hold_their_nominal(capsys: pytest.CaptureFixture[str]) -> None:
    """Bound: where there is an interval it holds the nominal; what operators are known by adds up to all of them."""
    (run,) = runs(capsys, "resnet50", "--on", "a100", "--batch", "64", "--dtype", "fp16")
    assert run["time_s"]["low"] < run["time_s"]["nominal"] < run["time_s"]["high"]
    assert sum(known["operators"] for known in run["known_by"]) == run["operators"]


def test_text_fits_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: two machines and two batches are four rows of at most 80 columns."""
    assert main(["predict", "resnet18", "--on", "a100,h100", "--batch", "1,8"]) == 0
    out = capsys.readouterr().out
    assert len([line for line in out.splitlines() if line.startswith("resnet18 ")]) == 4
    assert max(map(len, out.splitlines())) <= 80


def test_a_machine_without_multiprocessors_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Message: the models are of GPUs; an FPGA's sheet lacks what they need, and the message names it."""
    assert main(["predict", "resnet18", "--on", "zcu102"]) == 2
    assert "multiprocessors is unknown" in capsys.readouterr().err
