"""`picojoule map` and level `mapped` as a person and as a pipe meet them."""

import json
from pathlib import Path

import pytest
from tests.cli.test_cli import validate

from picojoule.cli import main

LAYER = "conv:8x14x14-16x3x3:pad=1"


def test_map_json_keeps_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """Round trip: `map --json` is valid by the published schema, and the loops of every nest cover the layer."""
    assert main(["map", LAYER, "--on", "eyeriss", "--json"]) == 0
    out = capsys.readouterr().out
    validate(out, "map")
    (layer,) = json.loads(out)["layers"]
    assert layer["gap"] == 0
    covered = 1
    for level in layer["nest"]:
        for loop in level["loops"]:
            covered *= loop["trip"]
        for seat in level["spatial"]:
            covered *= seat["factor"]
    assert covered >= 8 * 14 * 14 * 16 * 9
    assert layer["utilisation"] == pytest.approx(8 * 14 * 14 * 16 * 9 / (layer["cycles"] * 168))


def test_map_draws_nest_and_proof(capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: one layer has one row, one nest down to the MAC, a proof, and no line beyond 80 columns."""
    assert main(["map", LAYER, "--on", "eyeriss", "--objective", "energy"]) == 0
    out = capsys.readouterr().out
    assert out.count("| ") > 3
    assert out.count(" MAC\n") == 1
    assert "proven optimal" in out
    assert max(map(len, out.splitlines())) <= 80


def test_equal_layers_are_counted_together(capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: three products of one shape are one row that counts three."""
    assert main(["map", "mlp:32-32-32-32:nobias", "--on", "eyeriss", "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert [(layer["name"], layer["count"]) for layer in layers] == [("fc1", 3)]


def test_energy_objective_needs_no_more_than_edp(capsys: pytest.CaptureFixture[str]) -> None:
    """Bound: the mapping of least energy needs no more energy, that of least latency no more cycles, than that of least edp."""
    found = {}
    for objective in ("energy", "latency", "edp"):
        assert main(["map", LAYER, "--on", "eyeriss", "--json", "--objective", objective]) == 0
        found[objective] = json.loads(capsys.readouterr().out)["layers"][0]
    assert found["latency"]["cycles"] <= found["edp"]["cycles"]
    # Energy is searched over perfect factors by default, edp over ragged ones too.
    assert found["energy"]["energy_j"] <= found["edp"]["energy_j"] * 1.02


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["map", LAYER, "--on", "xeon"], "states no array"),
        (["map", LAYER, "--on", "eyeriss", "--objective", "speed"], "no objective is named 'speed'"),
        (["map", LAYER, "--on", "eyeriss", "--dataflow", "xs"], "ws (weight stationary)"),
        (["map", "resnet18", "--on", "eyeriss", "--layer", "nowhere"], "has 'nowhere' in its name"),
    ],
)
def test_map_refuses_with_one_message(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Message: what is wrong, what was expected, and an example, with exit code 2."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert "for example" in captured.err


def test_page_of_level_mapped_draws_the_nests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Round trip: the page of an estimate at level mapped has the nested cards; one at roofline has none."""
    for level, there in (("mapped", True), ("roofline", False)):
        file = tmp_path / f"{level}.html"
        assert main(["estimate", LAYER, "--on", "eyeriss", "--level", level, "--html", str(file)]) == 0
        assert ('id="nests"' in file.read_text(encoding="utf-8")) is there
    capsys.readouterr()


def test_front_json_keeps_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """Round trip: `map --front --json` is valid; cycles rise, energy falls, the ends are the optima of `map`."""
    layer = "matmul:12x30x20"
    assert main(["map", layer, "--on", "dadiannao", "--front", "--json"]) == 0
    out = capsys.readouterr().out
    validate(out, "front")
    points = json.loads(out)["layers"][0]["points"]
    assert [p["cycles"] for p in points] == sorted(p["cycles"] for p in points)
    assert [p["energy_j"] for p in points] == sorted((p["energy_j"] for p in points), reverse=True)
    assert main(["map", layer, "--on", "dadiannao", "--objective", "latency", "--json"]) == 0
    assert points[0]["cycles"] == json.loads(capsys.readouterr().out)["layers"][0]["cycles"]


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_certificates_are_checked(objective: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Round trip: every layer is said to be checked, as text and as JSON, where bandwidths may set the pace too."""
    asked = ["map", "mlp:16-24-8", "--on", "gemmini", "--objective", objective, "--check"]
    assert main(asked) == 0
    captured = capsys.readouterr()
    assert "checked: 2 of 2 certificates accepted" in captured.err
    assert [line.endswith(" checked") for line in captured.out.splitlines()].count(True) == 2
    assert max(map(len, captured.out.splitlines())) <= 80
    assert main([*asked, "--json"]) == 0
    out = capsys.readouterr().out
    validate(out, "map")
    assert [layer["checked"] for layer in json.loads(out)["layers"]] == [True, True]


def test_a_certificate_that_is_rejected_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Round trip: proofs left out are named, layer by layer, and the verb fails."""
    monkeypatch.setattr("picojoule.mapping.certificate", lambda _: ())
    assert main(["map", "matmul:64x64x64", "--on", "eyeriss", "--objective", "energy", "--check"]) == 1
    captured = capsys.readouterr()
    assert "rejected: " in captured.err
    assert "is proven" in captured.err
    assert "REFUSED" in captured.out


def test_a_mapping_of_timeloop_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    """Round trip: files of another tool in, its counters beside ours out, as text and as picojoule/replay/1."""
    folder = Path(__file__).parents[1] / "data" / "exchange" / "timeloop"
    files = [str(folder / name) for name in ("machine.yaml", "problem.yaml", "mapping.yaml", "energies.yaml")]
    assert main(["map", "--replay", *files]) == 0
    assert "ours" in capsys.readouterr().out
    assert main(["map", "--replay", *files, "--json"]) == 0
    validate(capsys.readouterr().out, "replay")
    peer = folder.parent / "zigzag"
    others = [str(peer / name) for name in ("machine.yaml", "layer.yaml", "mapping.yaml", "result.json")]
    assert main(["map", "--replay", *others, "--json"]) == 0
    validate(capsys.readouterr().out, "replay")
    assert main(["map", "--replay", files[0]]) == 2
    assert main(["map"]) == 2
    assert "MODEL --on DEVICE, or --replay" in capsys.readouterr().err
