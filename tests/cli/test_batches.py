"""`picojoule estimate` over several batches, and under a power limit."""

import json
from pathlib import Path

import pytest
from tests.cli.test_cli import validate

from picojoule.cli import main

WORDS = ["estimate", "llama3-8b", "--on", "h100", "--phase", "decode", "--batch", "8,64,256"]


def test_joules_a_token_fall_beside_the_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """Published: 0.455 J a token at 8, 0.119 at 64, 0.070 at 511 [mlenergy2025] stand in the chart; the estimate falls too."""
    assert main(WORDS) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    rows = [line.split() for line in out.partition("J a token by batch")[2].splitlines()[2:6]]
    assert [row[0] for row in rows] == ["8", "64", "256", "511"]
    assert [rows[n][5] for n in (0, 1)] == ["455", "119"]
    assert "70.0 mJ" in " ".join(rows[3])
    assert "sees 2,048 tokens" in " ".join(out.split())
    assert main([*WORDS, "--json"]) == 0
    document = capsys.readouterr().out
    validate(document, "compare")
    data = json.loads(document)
    for run in data["runs"]:
        validate(json.dumps(run), "estimate")
    (curve,) = data["by_batch"]
    nominal = [p["energy_j"]["nominal"] for p in curve["points"]]
    assert nominal == sorted(nominal, reverse=True)
    assert [m["energy_j"] for m in curve["measured"]] == [0.455, 0.119, 0.070]
    assert all(
        p["predicted_j"]["low"] < p["predicted_j"]["nominal"] < p["predicted_j"]["high"] for p in curve["points"]
    )


def test_a_machine_without_laws_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Message: an array has no device law: no prediction, and the reason."""
    assert main(["estimate", "lenet5", "--on", "eyeriss", "--batch", "1,4"]) == 0
    out = capsys.readouterr().out
    assert "J a sample by batch" in out
    assert "no prediction: the memory bandwidth is unknown" in " ".join(out.split())
    assert "measured" not in out


def test_the_page_has_the_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equality: the page of several batches shows every published point once in the plot, and every batch in the table."""
    target = tmp_path / "page.html"
    assert main([*WORDS, "--html", str(target)]) == 0
    text = target.read_text("utf-8").partition('id="batches"')[2].partition("</section>")[0]
    assert text.count('class="bm x" style') == 3
    assert text.count('class="bm e" style') == 3
    for batch in ("8", "64", "256", "511"):
        assert f'<th scope="row">{batch}</th>' in text
    assert main(["estimate", "lenet5", "--on", "h100", "--html", str(target)]) == 0
    assert 'id="batches"' not in target.read_text("utf-8")


def test_a_limit_in_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Bound: under 300 W a convolutional network takes longer and draws at most 300 W; the JSON keeps its schema."""
    words = ["estimate", "resnet50", "--on", "h100", "--batch", "64", "--power-cap", "300W"]
    assert main([*words, "--json"]) == 0
    document = capsys.readouterr().out
    validate(document, "estimate")
    (result,) = json.loads(document)["results"]
    held = result["power_cap"]
    assert held["time_s"]["nominal"] > result["time_s"]["nominal"]
    assert held["energy_j"]["nominal"] / held["time_s"]["nominal"] <= 300 * (1 + 1e-9)
    assert held["time_s"]["low"] < held["time_s"]["nominal"] < held["time_s"]["high"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "held to 300 W" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--power-cap", "90W"], "more than 210 W, which it draws without computing"),
        (["--power-cap", "1kW"], "a limit of 1000 W on a machine of 700 W"),
        (["--power-cap", "300W", "--html", "x.html"], "--power-cap is of whole runs"),
        (["--batch", "1,8", "--csv"], "--csv is of one run"),
    ],
)
def test_bad_options_are_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Message: exit code 2, what is wrong, and no file."""
    assert main(["estimate", "lenet5", "--on", "h100", *words]) == 2
    assert said in capsys.readouterr().err
    assert not Path("x.html").exists()


def test_a_machine_of_unknown_power_cannot_be_held(capsys: pytest.CaptureFixture[str]) -> None:
    """Message: a limit needs the maximum power."""
    assert main(["estimate", "lenet5", "--on", "eyeriss", "--power-cap", "100W"]) == 2
    assert "max_power in its file" in capsys.readouterr().err
