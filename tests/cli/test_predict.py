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


def test_a_server_beside_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """Published: J a token of Llama 3.1 8B on an H100, 0.455 at 8, 0.119 at 64, 0.070 at 511 [mlenergy2025], lie inside 90 %."""
    found = runs(
        capsys, "llama3-8b", "--on", "h100", "--phase", "decode", "--batch", "8,64,511", "--serving", "250+640"
    )
    for run, measured in zip(found, (0.455, 0.119, 0.070), strict=True):
        energy = run["energy_j"]
        assert energy["low"] < measured * run["batch"] < energy["high"]
        assert sum(run["parts_s"].values()) == pytest.approx(run["time_s"]["nominal"])
        assert [p["energy_j_per_token"] for p in run["measured"]] == [0.455, 0.119, 0.070]


def test_eight_devices(capsys: pytest.CaptureFixture[str]) -> None:
    """Bound: eight devices are faster than one, but not eight times; they draw more in all; nothing is published of them."""
    words = ("llama3-70b", "--on", "h100", "--phase", "decode", "--batch", "16", "--context", "500")
    (one,), (eight,) = runs(capsys, *words, "--parallel", "tensor=1"), runs(capsys, *words, "--parallel", "tensor=8")
    (alone,) = runs(capsys, *words, "--serving")
    (served,) = runs(capsys, *words, "--serving", "--parallel", "tensor=8")
    assert one["parts_s"] is None
    assert one["devices"] == 1
    assert eight["parts_s"]["collectives"] > 0
    assert 1 / 8 < served["time_s"]["nominal"] / alone["time_s"]["nominal"] < 1
    assert served["energy_j"]["nominal"] > alone["energy_j"]["nominal"]
    assert not eight["measured"]


def test_what_does_not_fit_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Message: 141 GB of weights and a cache are more than one H100 has, and less than four have."""
    words = ["predict", "llama3-70b", "--on", "h100", "--phase", "decode", "--batch", "8", "--context", "500"]
    assert main(words) == 0
    assert "does not fit 1 × 80 GB of h100-sxm" in capsys.readouterr().err.replace("80.0", "80")
    assert main([*words, "--parallel", "tensor=4"]) == 0
    assert "does not fit" not in capsys.readouterr().err


def test_served_text_fits_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: a title, a head, and two lines for each batch, of at most 80 columns."""
    words = ["llama3-70b", "--on", "h100", "--phase", "decode", "--batch", "8,64", "--serving", "250+410",
             "--parallel", "tensor=4", "--power-cap", "500W"]  # fmt: skip
    assert main(["predict", *words]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "llama3-70b on h100-sxm, 4 devices"
    assert "software" in out[3]
    assert max(map(len, out)) <= 80
    assert "held to 500 W" in " ".join(out)


def test_each_machine_has_its_block(capsys: pytest.CaptureFixture[str]) -> None:
    """Equality: with two machines the lines under a title are those of that machine's runs, in the JSON too."""
    words = ["bert-base", "--on", "h100,a100", "--batch", "1,64", "--parallel", "tensor=2"]
    assert main(["predict", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    for row in runs(capsys, *words):
        at = lines.index(f"bert-base on {row['hardware']}, 2 devices")
        line = lines[at + 2 if row["batch"] == 1 else at + 4].split()
        assert line[0] == str(row["batch"])
        assert float(line[1]) == pytest.approx(row["time_s"]["nominal"] * 1e3, rel=0.01)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--serving"], "--serving is of decode steps"),
        (["--phase", "decode", "--serving", "250"], "--serving '250'"),
        (["--phase", "decode", "--serving", "0+5"], "--serving '0+5'"),
        (["--parallel", "8"], "--parallel '8'"),
        (["--parallel", "data=8"], "--parallel 'data=8'"),
        (["--parallel", "tensor=0"], "--parallel 'tensor=0'"),
        (["--parallel", "tensor=64"], "64 devices in one group"),
        (["--phase", "train", "--parallel", "tensor=2"], "training step split over devices"),
        (["--power-cap", "300"], "expected a quantity in W"),
        (["--power-cap", "90W"], "a limit of 90 W"),
        (["--power-cap", "2kW"], "a limit of 2000 W on a board of 700 W"),
        (["--power-cap=-5W"], "no power to run under"),
    ],
)
def test_bad_options_are_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Message: one message and exit code 2 for each option that cannot be meant."""
    assert main(["predict", "llama3.2-1b", "--on", "h100", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
