"""Drawings and code of the exercises: in the terminal, as SVG, as JSON."""

import json
import xml.etree.ElementTree as Tree
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.exercises import answer, answer_json, answer_svg, answer_text
from picojoule.exercises._figure import Axis, Curve, Figure, Lanes
from picojoule.exercises._figure_svg import svg
from picojoule.exercises._figure_text import SIGNS, figure_lines
from picojoule.quantity import InputError
from picojoule.report import columns

DRAWN = ["5.11", "6.8", "6.9", "6.10", "6.11", "6.11-output_stationary-y7", "7.2"]
SPACE = "{http://www.w3.org/2000/svg}"
NUMBERS = st.floats(1e-9, 1e12)
POINTS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=8).map(tuple)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("id_", DRAWN)
def test_drawn(id_: str, lang: str) -> None:
    """Equality: every point and every tile of an answer is in its SVG, its curves' names in text, SVG and JSON."""
    found = answer(id_, lang=lang)
    tree, text, data = Tree.fromstring(answer_svg(found)), answer_text(found), answer_json(found)["figures"]
    words = [element.text for element in tree.iter(f"{SPACE}text")]
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    for figure in data:
        assert figure["title"] in words
        for series in figure.get("series", []):
            assert series["title"] in words
            assert series["title"] in text
    circles = sum(len(series["points"]) for figure in data for series in figure.get("series", []))
    assert len(list(tree.iter(f"{SPACE}circle"))) == circles
    stays = sum(1 + sum(a != b for a, b in pairwise(lane))
                for figure in data for lane in figure.get("lanes", {}).values())  # fmt: skip
    keys = sum(len(figure.get("series", [])) for figure in data)
    assert len(list(tree.iter(f"{SPACE}rect"))) == 1 + stays + keys
    assert all(columns(line) <= 80 for figure in found.figures for line in figure_lines(figure, lang))


@given(st.lists(POINTS, min_size=1, max_size=9), st.booleans(), st.booleans())
def test_any_points(many: list[tuple[tuple[float, float], ...]], log_x: bool, log_y: bool) -> None:
    """Bound: whatever the points, text stays within 80 columns and every mark of the SVG inside its frame."""
    curves = tuple(Curve((f"c{i}", f"c{i}"), points) for i, points in enumerate(many))
    figure = Figure(("t", "t"), Axis(("x", "x"), log=log_x), Axis(("y", "y"), log=log_y), curves)
    lines = figure_lines(figure, "en")
    assert all(columns(line) <= 80 for line in lines)
    assert sum(line.count(sign) for line in lines for sign in SIGNS) >= len(curves)
    tree = Tree.fromstring(svg([figure], "en"))
    width, height = (float(part) for part in tree.attrib["viewBox"].split()[2:])
    for circle in tree.iter(f"{SPACE}circle"):
        assert 0 <= float(circle.attrib["cx"]) <= width
        assert 0 <= float(circle.attrib["cy"]) <= height


def test_places() -> None:
    """By hand: a line from corner to corner, linear from 0; the highest point stands in the first row, at the right."""
    figure = Figure(("t", "t"), Axis(("x", "x")), Axis(("y", "y"), "B"), (Curve(("c", "c"), ((0, 0), (10, 5))),))
    rows = [line for line in figure_lines(figure, "en") if "┤" in line]
    assert rows[0].startswith("         5 ┤")
    assert rows[0].endswith("●")
    assert len(rows[0]) == 12 + 62
    assert rows[-1].startswith("         0 ┤●")
    tree = Tree.fromstring(svg([figure], "en"))
    (low, high) = tree.iter(f"{SPACE}circle")
    assert float(high.attrib["cx"]) - float(low.attrib["cx"]) == pytest.approx(720)
    assert float(low.attrib["cy"]) - float(high.attrib["cy"]) == pytest.approx(300)


def test_lanes() -> None:
    """By hand: a tile kept for two steps, then others; its mark stands where it is fetched."""
    lines = figure_lines(Lanes(("t", "t"), 9, {"a": (0, 0, 1, 2)}), "en")
    assert lines[1].split() == ["a", "█─██"]
    assert "first 9 of 9" in lines[2]


def test_text_cannot_break_out() -> None:
    """Equality: what stands in a title is text in the SVG, never markup."""
    hostile = '</text><script>alert("1")</script>&'
    figure = Figure((hostile, hostile), Axis(("x", "x")), Axis(("y", "y")), (Curve((hostile, hostile), ((1, 1),)),))
    tree = Tree.fromstring(svg([figure, Lanes((hostile, hostile), 1, {"<a>": (0,)})], "en"))
    assert not list(tree.iter(f"{SPACE}script"))
    assert [element.text for element in tree.iter(f"{SPACE}text")].count(hostile) == 3


def test_no_drawing() -> None:
    """Message: an exercise that draws nothing has no SVG."""
    with pytest.raises(InputError, match="no drawing"):
        answer_svg(answer("2.2"))


def test_command_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Round trip: --svg writes the file that the answer gives; a folder that is missing is said, and nothing printed."""
    from picojoule.cli import main

    path = tmp_path / "figure.svg"
    assert main(["exercise", "6.9", "--svg", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == answer_svg(answer("6.9"))
    assert "wrote" in capsys.readouterr().err
    assert main(["exercise", "6.9", "--svg", str(tmp_path / "none" / "figure.svg")]) == 2
    shown = capsys.readouterr()
    assert "no folder" in shown.err
    assert not shown.out
    assert main(["exercise", "2.2", "--svg", str(tmp_path / "other.svg")]) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["figure.svg"]


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("id_", [*DRAWN, "6.6", "6.12", "7.3", "7.12"])
def test_text_is_80_columns(id_: str, lang: str) -> None:
    """Bound: no line of an answer with code or drawings is wider than 80 columns, and no code is lost."""
    found = answer(id_, lang=lang)
    text = answer_text(found)
    assert all(columns(line) <= 80 for line in text.splitlines())
    whole = "".join(text.split())
    assert all("".join(line.split()) in whole for listing in found.listings for line in listing.lines)


@pytest.mark.parametrize("id_", [*DRAWN, "7.8", "6.6"])
def test_schema(id_: str) -> None:
    """Equality: JSON with drawings and code is of the published schema."""
    jsonschema = pytest.importorskip("jsonschema")
    path = Path(__file__).parents[2] / "docs" / "schema" / "exercise.schema.json"
    jsonschema.validate(answer_json(answer(id_)), json.loads(path.read_text(encoding="utf-8")))
