"""Numbers as the page writes them, folding, and paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.quantity import Value
from picojoule.report.page._fold import common_name, fold
from picojoule.report.page._format import decades, percent, round_marks, si, span, steps, times, times_span
from picojoule.report.page._html import clean
from picojoule.report.page._roofline import _box, _crossed
from picojoule.report.page._values import key_texts, number

NN = "\u202f"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.0112, "J", f"11.2{NN}mJ"), (0, "J", f"0{NN}J"), (989e12, "FLOP/s", f"989{NN}TFLOP/s"),
     (3.2e15, "FLOP/s", f"3.20{NN}PFLOP/s"), (4.089e9, "", f"4.09{NN}G"), (1e-20, "J", f"1.00e-20{NN}J")],
)  # fmt: skip
def test_units(value: float, unit: str, text: str) -> None:
    """By hand: three digits, the prefix that fits, a narrow space."""
    assert si(value, unit) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(8.5e-3, 15e-3, f"8.5 – 15{NN}mJ"), (0.34e-3, 1.0e-3, f"0.34 – 1.0{NN}mJ"), (800e-6, 1.2e-3, f"0.80 – 1.2{NN}mJ"),
     (1e-6, 1, f"1.0{NN}µJ – 1.0{NN}J"), (0, 1, f"0{NN}J – 1.0{NN}J")],
)  # fmt: skip
def test_intervals_name_the_unit_once(low: float, high: float, text: str) -> None:
    """By hand: one prefix for both ends while they are within a thousand."""
    assert span(low, high, "J") == text


def test_factors_and_shares() -> None:
    """By hand: two digits, commas, and never 0 % for something."""
    assert times(6512) == "6,500×"
    assert times(4.83) == "4.8×"
    assert times_span(3.21, 7.1) == "3.2 – 7.1×"
    assert percent(0.004) == f"<{NN}1{NN}%"
    assert percent(0) == f"0{NN}%"
    assert percent(0.336) == f"34{NN}%"


@given(st.floats(1e-9, 1e12), st.floats(1.3, 1e9))
def test_axes_have_round_marks_inside(low: float, factor: float) -> None:
    """Bound: marks lie on the axis, and there are a few of them."""
    high = low * factor
    for marks in (decades(low, high), round_marks(low, high)):
        assert all(low * 0.999 <= mark <= high * 1.001 for mark in marks)
    assert len(round_marks(low, high)) <= 5
    assert 1 <= len(steps(high)) <= 6
    assert all(step <= high * 1.001 for step in steps(high))


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(0, 12))
def test_folding_loses_no_operator(marks: list[int], most: int) -> None:
    """Equality: the groups hold every operator once, whatever the limit; few operators stay alone."""
    groups = fold(marks, [("m", str(n)) for n in range(len(marks))], most)
    assert sorted(index for group in groups for index in group) == list(range(len(marks)))
    if len(marks) <= most:
        assert groups == [(index,) for index in range(len(marks))]


def test_folding_finds_the_period() -> None:
    """By hand: x abab abab y of single letters."""
    groups = fold([0, 1, 2, 1, 2, 1, 2, 3], [("p",)] * 8, most=4)
    assert groups == [(0,), (1, 3, 5), (2, 4, 6), (7,)]


def test_common_names() -> None:
    """By hand: the numbers that differ become a star."""
    assert common_name([("layers", "0", "fc"), ("layers", "1", "fc")]) == ("layers", "*", "fc")
    assert common_name([("a", "b"), ("a", "b", "c")]) == ("a", "b", "*")


@given(st.text())
def test_cleaned_text_is_printable_and_short(text: str) -> None:
    """Bound: nothing invisible survives, nothing is endless."""
    assert clean(text).isprintable() or "\u00a0" in clean(text) or "\u3000" in clean(text) or not clean(text).strip()
    assert len(clean(text)) <= 160
    assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u2028\u2029\x1b\n") & set(
        clean(text)
    )


def test_keys_for_people() -> None:
    """By hand: the machine's own name is left out, rates of several classes become one."""
    keys = ["h.hbm.bandwidth·h.attained.conv.memory", "h.hbm.bandwidth·h.attained.pool.memory", "h.launch"]
    plain = [text.replace("<wbr>", "") for text in key_texts(keys, "h")]
    assert plain == ["hbm.bandwidth × attained(conv, pool)", "launch"]


def test_numbers_without_unit() -> None:
    """By hand: a share of one has no unit, a product of units drops the empty ones."""
    assert number(Value(0.62, "1", 1.1, "s")) == "0.62"
    assert number(Value(2.35e12, "B/s · 1", 1.5, "s")) == f"2.35{NN}TB/s"
    assert number(Value(0.5, "", 1.1, "s")) == "0.5"


def test_names_keep_off_the_roof() -> None:
    """By hand: a roof at half height strikes a name on it, none above or below; a steep one passes a corner only."""
    flat = [50.0] * 101
    assert _crossed((10, 30, 47, 53), flat) == 1.0
    assert _crossed((10, 30, 54, 60), flat) == 0.0
    steep = [4.0 * step for step in range(101)]
    assert _crossed((10, 30, 37, 43), steep) == pytest.approx(1 / 21)
    assert _crossed((10.2, 10.8, 0, 100), flat) == 0.0


@pytest.mark.parametrize("side", ["right", "left", "under", "over"])
def test_a_name_stands_beside_its_mark(side: str) -> None:
    """Bound: the box of a name never holds the middle of its mark, and is as wide as the name."""
    box = _box(side, 50, 50, 20, 40)
    assert not (box[0] < 50 < box[1] and box[2] < 50 < box[3])
    assert box[1] - box[0] == pytest.approx(20)
