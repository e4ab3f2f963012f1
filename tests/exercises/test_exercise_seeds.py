"""Every golden row, by its id and with its own inputs."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from picojoule.exercises import answer, answer_json, list_exercises

ROWS = json.loads((Path(__file__).parent.parent / "data" / "seeds.json").read_text(encoding="utf-8"))


def agree(ours: Any, golden: Any, tolerance: float) -> bool:
    if isinstance(golden, dict):
        return ours.keys() == golden.keys() and all(agree(ours[key], golden[key], tolerance) for key in golden)
    if isinstance(golden, list):
        return len(ours) == len(golden) and all(agree(a, b, tolerance) for a, b in zip(ours, golden, strict=True))
    if isinstance(golden, str) or not tolerance:
        return bool(ours == golden)
    return math.isclose(ours, golden, rel_tol=tolerance)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
@pytest.mark.parametrize("given", [False, True], ids=["own inputs", "inputs of the row"])
def test_golden_row(row: dict[str, Any], given: bool) -> None:
    """By hand: the answers derived from the documents by programs that share no code with this one."""
    answers = answer_json(answer(row["id"], inputs=row["inputs"] if given else None))["answers"]
    for name, golden in row["expected"].items():
        assert agree(answers[name]["value"], golden, row["tolerance"]), (name, answers[name]["value"], golden)


def test_golden_ids_are_listed() -> None:
    """Equality: the list shows every golden id."""
    assert {row["id"] for row in ROWS} <= {row.id for row in list_exercises()}


def test_enough_rows() -> None:
    """By hand: the documents gave 92 rows."""
    assert len(ROWS) == 92


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_golden_row_as_text(row: dict[str, Any], lang: str) -> None:
    """Equality: every answer stands in the text of both languages."""
    text = str(answer(row["id"], lang=lang))
    assert all(name in text for name in row["expected"])
