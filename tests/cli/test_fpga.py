"""`picojoule fpga` as a person and as a pipe meet it."""

import json

import pytest
from tests.cli.test_cli import ANSI, validate

from picojoule.cli import main


@pytest.mark.parametrize(
    "arguments", [["resnet18", "--on", "zcu102"], ["resnet18", "--on", "zc706", "--design", "tiled", "--dtype", "fp32"],
                  ["bert-base", "--on", "kv260", "--design", "dpu-b1152", "--seq", "16"]],
    ids=" ".join,
)  # fmt: skip
def test_fpga_json_keeps_its_schema(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Round trip: `fpga --json` is valid by the published schema, and layers sum to the totals."""
    assert main(["fpga", *arguments, "--json"]) == 0
    out = capsys.readouterr().out
    validate(out, "fpga")
    for design in json.loads(out)["designs"]:
        for key in ("macs", "cycles", "offchip_bytes"):
            assert sum(layer[key] for layer in design["layers"]) == pytest.approx(design[key])
        assert sum(design["energy_parts_j"].values()) == pytest.approx(design["energy_j"]["value"])
        assert sum(layer["time_s"] for layer in design["layers"]) <= design["latency_s"]["value"] * (1 + 1e-12)


@pytest.mark.parametrize("design", ["best", "tiled", "dpu-b4096"])
def test_fpga_text_is_80_columns(
    design: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bound: no line is wider than 80 columns, colour changes no character, every design and every layer has a line."""
    from picojoule.report._plain import columns

    arguments = ["fpga", "resnet50", "--on", "zcu102", "--design", design, "--all"]
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(arguments) == 0
    bare = capsys.readouterr().out
    assert not [line for line in bare.splitlines() if columns(line) > 80]
    assert bare.count("× dpu-b") >= (8 if design == "best" else 0)
    assert bare.count("layer4.2.conv3") == 1
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(arguments) == 0
    assert ANSI.sub("", capsys.readouterr().out) == bare


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--on", "h100"], "states no DSP slices"), (["--on", "ultra96"], "--bandwidth 4.3GB/s"),
        (["--on", "vck190"], "--clock 300MHz"), (["--on", "zcu102", "--design", "dpu-b9"], "dpu-b4096"),
        (["--on", "zcu102", "--clock", "300"], "--clock 300MHz"),
        (["--on", "zcu102", "--clock", "0Hz"], "above 0"), (["--on", "zcu102", "--bandwidth", "2 m"], "--bandwidth"),
        (["--on", "zcu102", "--design", "dpu-b512", "--dtype", "fp32"], "--design tiled"),
        (["--on", "zcu102", "--design", "tiled", "--cores", "2"], "--cores"),
        (["--on", "zcu102", "--dtype", "int4"], "no DSP count"),
        (["--on", "zcu104", "--design", "dpu-b4096", "--cores", "3"], "2 of it or 3 × dpu-b2304"),
    ],
)  # fmt: skip
def test_fpga_refuses_with_one_message(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Message: exit 2, nothing on stdout, what would pass."""
    assert main(["fpga", "resnet18", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert says in said.err


def test_fpga_says_what_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Message: operators of a processor are named, and a gate with --strict."""
    assert main(["fpga", "mobilenet-v3-large", "--on", "zcu102", "--design", "dpu-b1024"]) == 0
    assert main(["fpga", "efficientnet-b0", "--on", "zcu102", "--design", "dpu-b1024", "--strict"]) == 1
    assert "left to a processor" in capsys.readouterr().err
    assert main(["fpga", "resnet18", "--on", "vck190", "--design", "tiled", "--clock", "300MHz"]) == 0
    assert "AI engines" in capsys.readouterr().err
    assert main(["fpga", "resnet18", "--on", "zcu102", "--design", "dpu-b512"]) == 0
    assert "at most 3 cores" in capsys.readouterr().err


def test_given_clock_and_bandwidth_count(capsys: pytest.CaptureFixture[str]) -> None:
    """Metamorphic: twice the clock and twice the bandwidth halve what is not the start of layers and frames."""
    found = []
    for clock, bandwidth in (("100MHz", "4GB/s"), ("200MHz", "8GB/s")):
        assert main(["fpga", "vgg16", "--on", "ultra96", "--design", "tiled", "--clock", clock, "--bandwidth", bandwidth,
                     "--json"]) == 0  # fmt: skip
        found.append(json.loads(capsys.readouterr().out)["designs"][0]["latency_s"]["value"])
    assert found[0] == pytest.approx(2 * found[1])
