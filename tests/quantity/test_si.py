"""Text with units."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.quantity import format_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("1.25 pJ", "J", 1.25e-12), ("32 KiB", "B", 32768), ("3352 GB/s", "B/s", 3.352e12), ("1 kWh", "J", 3.6e6),
        ("2.7us", "s", 2.7e-6), ("5 nm", "m", 5e-9), ("8 pJ/bit", "J/B", 64e-12), ("1_000 MHz", "Hz", 1e9),
        ("989.4 TFLOP/s", "FLOP/s", 9.894e14), ("1e-12 J", "J", 1e-12), (".5 µs", "s", 5e-7), ("2 Wh", "J", 7200),
        ("1 h", "s", 3600), ("0.53 pJ/FLOP", "J/FLOP", 5.3e-13),
    ],
)  # fmt: skip
def test_parses(text: str, unit: str, expected: float) -> None:
    """By hand: prefixes, binary prefixes, quotients, bits and kilowatt hours."""
    assert parse_quantity(text, unit) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "unit"),
    [("32 KW", "B"), ("5", "J"), ("", "J"), ("five J", "J"), ("3 mJ/kWh", "J"), ("1 J/s", "J"), ("2 kg", "J"),
     ("1 GB", "B/s"), ("1e5e5 J", "J"), ("--3 J", "J")],
)  # fmt: skip
def test_refuses(text: str, unit: str) -> None:
    """Message: another unit, none, or no number; the message names the unit and shows one that passes."""
    with pytest.raises(ValueError, match=re.escape(f"expected a quantity in {unit}, such as")):
        parse_quantity(text, unit)


@given(st.floats(1e-16, 1e16), st.sampled_from(["J", "s", "B", "W", "B/s"]))
def test_round_trip(number: float, unit: str) -> None:
    """Round trip: what is printed with 15 digits is read back."""
    assert parse_quantity(format_quantity(number, unit, 15), unit) == pytest.approx(number, rel=1e-13)


@given(st.floats(1e-12, 1e14))
def test_printed_number_is_short(number: float) -> None:
    """Bound: three digits are at most five characters, and at least 1 before the prefix changes."""
    text = format_quantity(number, "J")
    head = text.split(" ")[0]
    assert len(head) <= 5
    assert 1 <= float(head) < 1000 or math.log10(number) >= 14.9


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0123, "12.3 mJ"), (999.96, "1.00 kJ"), (0, "0 J"), (1000, "1.00 kJ"), (5.5e-12, "5.50 pJ"), (99.95, "100 J"),
     (-0.002, "-2.00 mJ")],
)  # fmt: skip
def test_formats(number: float, text: str) -> None:
    """By hand: three significant digits, the prefix that leaves 1 to 999."""
    assert format_quantity(number, "J") == text


def test_parser_agrees_with_pint() -> None:
    """Peer: pint reads the same numbers."""
    pint = pytest.importorskip("pint")
    registry = pint.UnitRegistry()
    cases = [("1.25 pJ", "J", "joule"), ("3 GHz", "Hz", "hertz"), ("7 ms", "s", "second"), ("2.5 kWh", "J", "joule")]
    for text, unit, full in cases:
        assert parse_quantity(text, unit) == pytest.approx(registry.Quantity(text).to(full).magnitude, rel=1e-12)
