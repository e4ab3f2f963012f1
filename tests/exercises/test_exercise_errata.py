"""The slips of the documents: all 96, in two languages, with numbers that are recomputed."""

import json
import re
import tomllib

import pytest

from picojoule.exercises import Erratum, errata_text, list_errata, list_exercises, row_json
from picojoule.exercises._entries import entries
from picojoule.exercises._errata_checks import CHECKS
from picojoule.exercises._task import DATA
from picojoule.quantity import InputError

CHINESE = re.compile("[\u4e00-\u9fff]")
IDS = [f"E{n}" for n in range(1, 97)]
GOLDEN = {
    "E4": {"low_nj": 7.04, "high_nj": 7.8208}, "E5": {"small_pj": 7.5, "large_pj": 100, "add_pj": 0.03},
    "E8": {"out1": 115_200, "elements1": 28_800}, "E9": {"w1": 3_456}, "E10": {"in2": 25_088},
    "E11": {"out2": 36_864, "factor_out2": 3.2}, "E12": {"w2": 73_728, "factor_w2": 3},
    "E13": {"fc": 405_544, "fc_in": 36_864, "fc_w": 368_640, "pooled_fc": 101_416},
    "E14": {"conv1": 130_944, "conv2": 135_680, "fc": 405_544, "all": 672_168},
    "E15": {"right": 130_944, "wrong": 523_776}, "E16": {"right": 15, "wrong": 15.5},
    "E19": {"biases": 522, "params": 22_538},
    "E20": {"prelu": 0.00039215686, "elu": 0.00038456705, "prelu_positive": -0.1},
    "E25": {"right": 12.04169495, "wrong": -12.04169495}, "E28": {"fc8": 4_097_000}, "E29": {"params": 60_965_224},
    "E30": {"neurons": 659_272, "with_input": 813_859, "pixels": 154_587},
    "E31": {"vgg19": 14_861_288, "resnet152": 22_555_112, "params_tv": 61_100_840},
    "E32": {"tv_m": 775.278976, "vgg19_g": 19.775715008, "resnet152_g": 11.63259232, "true_tv_m": 714.18848,
            "true_vgg19_g": 19.632062464, "true_resnet152_g": 11.513626624},
    "E33": {"mib": 233.0812, "mb": 244.40336}, "E35": {"right": 394_240, "wrong": 295_680}, "E36": {"speedup": 7.1635},
    "E38": {"height": 56, "width": 56, "channels": 128}, "E40": {"speedup": 7.5546},
    "E41": {"two": 6.4, "four": 3.2, "bits_two": 0.8, "bits_four": 0.4},
    "E44": {"earth": 196.94, "land": 57.5, "claim_over_earth": 3.5544}, "E45": {"joule": 3.6e6},
    "E49": {"data_mb": 184.32}, "E50": {"nvme_nj": 1, "hdd_nj": 30, "over_nvme": 1800, "over_hdd": 60},
    "E51": {"uint8": 3_072, "float32": 12_288, "places": 1_024}, "E52": {"left": 1.024e-3},
    "E53": {"implied_tbps": 3.3333, "right_us": 31.74, "ratio": 105.8, "mj": 0.5},
    "E55": {"forward": 724_406_816, "backward": 1_343_398_432},
    "E56": {"moved": 20, "low_nj": 4.4, "high_nj": 4.888, "low_ratio": 1636.66, "high_ratio": 1818.18},
    "E57": {"right": 1e8, "wrong": 1e9}, "E58": {"value": 7.68e-8}, "E59": {"ratio": 16 / 3, "n": 4},
    "E60": {"mj": 3.6e9, "number": 2.77778e-10}, "E62": {"factor": 1e9}, "E63": {"sum": 301.8, "factor": 1},
    "E67": {"ratio": 285.245}, "E68": {"fc_m": 58.631, "all_m": 60.965, "share": 0.96171},
    "E71": {"right": 3.741657, "wrong": 1.934336}, "E76": {"right": 30, "wrong": 35},
    "E77": {"right": 73_856, "wrong": 576}, "E81": {"sum": 7, "product": 8}, "E82": {"shares": 1},
    "E85": {"intensity": 0.25},
    "E92": {"projections": 0.324324, "attention": 0.027027, "ffn": 0.648649, "wrong": 2.1},
    "E95": {"muls": 2_306, "adds": 3_071, "rsqrts": 1},
}  # fmt: skip


def english() -> dict[str, Erratum]:
    return {row.id: row for row in list_errata("en")}


@pytest.mark.parametrize("id_", GOLDEN)
def test_numbers(id_: str) -> None:
    """By hand: the numbers of each correction, recomputed by the library."""
    for name, golden in GOLDEN[id_].items():
        assert english()[id_].numbers[name] == pytest.approx(golden, rel=1e-4), name


def test_numbers_and_formulas_are_checked() -> None:
    """Equality: every slip of a number or a formula has a check and a golden."""
    due = {row.id: row for row in list_errata("en") if row.kind in "NF"}
    assert set(due) <= set(GOLDEN)
    assert all(row.numbers for row in due.values())


def test_all_are_listed() -> None:
    """Equality: E1 to E96, and the same in both languages."""
    assert list(english()) == IDS
    assert [row.id for row in list_errata("zh")] == IDS


@pytest.mark.parametrize("id_", IDS)
def test_both_languages(id_: str) -> None:
    """Equality: a Chinese and an English correction, a short quote, no unfilled place."""
    chinese = next(row for row in list_errata("zh") if row.id == id_)
    assert english()[id_].right
    assert not CHINESE.search(english()[id_].right)
    assert chinese.right
    assert len(chinese.says) < 70
    assert "{" not in english()[id_].right + chinese.right
    assert chinese.kind_name != english()[id_].kind_name
    assert english()[id_].document in ("000", "001", "002", "004")


def test_every_check_is_used() -> None:
    """Equality: no check without a slip, no slip of an exercise that does not exist."""
    table = tomllib.loads((DATA / "errata.toml").read_text(encoding="utf-8"))
    assert {row["check"] for row in table.values() if "check" in row} == set(CHECKS)
    assert {slip for entry in entries().values() for slip in entry.slips} <= set(table)
    assert len(list_exercises()) > 90


def test_text_and_json() -> None:
    """Round trip: every row comes out in both forms."""
    rows = list_errata("zh")
    data = json.loads(json.dumps([row_json(row) for row in rows], allow_nan=False))
    assert [row["id"] for row in data] == IDS
    text = _unfolded(errata_text(rows))
    assert all(_unfolded(row.right) in text and _unfolded(row.says) in text for row in rows)


def _unfolded(text: str) -> str:
    """Text without blanks, since lines are folded at 80 columns."""
    return "".join(text.split())


def test_language() -> None:
    """Message: a language that the list is not written in."""
    with pytest.raises(InputError, match="en or zh"):
        list_errata("fr")
