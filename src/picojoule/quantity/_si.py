"""Text with a unit ("3.35 TB/s", "1.25 pJ", "50 MiB") to an SI float and back."""

import re
from decimal import Decimal, InvalidOperation
from typing import Final

_DECIMAL: Final = {
    "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "": 0,
    "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50}
# A unit that may not take a prefix, or that is a multiple of the SI one.
_WHOLE: Final = {"kWh": ("J", Decimal(3_600_000)), "Wh": ("J", Decimal(3600)), "h": ("s", Decimal(3600)),
                 "min": ("s", Decimal(60)), "bit": ("B", Decimal("0.125"))}  # fmt: skip
_NUMBER: Final = re.compile(r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s].*)?$")
_PREFIXES: Final = (("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3), ("", 0), ("m", -3), ("µ", -6),
                    ("n", -9), ("p", -12), ("f", -15))  # fmt: skip


def parse_quantity(text: str, unit: str) -> float:
    """The number of SI `unit` in `text`: parse_quantity("1.25 pJ", "J") is 1.25e-12.

    `unit` may be a quotient ("B/s", "J/B", "FLOP/s"). Prefixes are case sensitive: m is milli, M is mega;
    Ki, Mi, Gi are binary. Raises ValueError with an example when the text has another unit or none.
    """
    match = _NUMBER.match(text)
    if match is None:
        raise _wrong(text, unit)
    try:
        number = Decimal(match[1].replace("_", ""))
    except InvalidOperation:  # pragma: no cover - the expression admits only numbers
        raise _wrong(text, unit) from None
    written = (match[2] or "").strip().replace(" ", "")
    factor = _factor(written, unit)
    if factor is None:
        raise _wrong(text, unit)
    return float(number * factor)


def format_quantity(value: float, unit: str, digits: int = 3) -> str:
    """`value` with the prefix that leaves 1 to 999 before the point: format_quantity(0.0123, "J") is "12.3 mJ".

    Beyond exa it is written with an exponent.
    """
    if value == 0:
        return f"0 {unit}".rstrip()
    for index, (prefix, power) in enumerate(_PREFIXES):
        scaled = value / 10.0**power
        text = _significant(scaled, digits)
        if abs(float(text)) >= 1 or index == len(_PREFIXES) - 1:
            if abs(float(text)) >= 1000 and index == 0:  # beyond the prefixes
                return f"{value:.{digits - 1}e} {unit}"
            if abs(float(text)) >= 1000:  # 999.96 rounds up into the next prefix
                above, larger = _PREFIXES[index - 1]
                return f"{_significant(value / 10.0**larger, digits)} {above}{unit}"
            return f"{text} {prefix}{unit}".rstrip()
    raise AssertionError("unreachable: the last prefix always answers")


def _significant(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    if "e" in text:
        text = f"{float(text):.0f}"
    whole = len(text.lstrip("-").split(".")[0].lstrip("0"))
    return f"{float(text):.{max(0, digits - whole)}f}" if 0 < whole < digits else text


def _factor(written: str, unit: str) -> Decimal | None:
    """How many `unit` one `written` is, or None if they are of different kinds."""
    if "/" in unit:
        above, below = unit.split("/", 1)
        if "/" not in written:
            return None
        over, under = written.split("/", 1)
        top, bottom = _factor(over, above), _factor(under, below)
        return None if top is None or bottom is None else top / bottom
    for whole, (base, multiple) in _WHOLE.items():
        if base == unit and written.endswith(whole):
            scale = _prefix(written[: -len(whole)])
            if scale is not None:
                return scale * multiple
    if not written.endswith(unit):
        return None
    return _prefix(written[: len(written) - len(unit)])


def _prefix(text: str) -> Decimal | None:
    if text in _BINARY:
        return Decimal(2) ** _BINARY[text]
    return Decimal(10) ** _DECIMAL[text] if text in _DECIMAL else None


def _wrong(text: str, unit: str) -> ValueError:
    example = {"B": "32 KiB", "J": "1.25 pJ", "s": "2.7 us", "Hz": "1.2 GHz", "W": "700 W", "m": "5 nm"}
    return ValueError(f"expected a quantity in {unit}, such as {example.get(unit, f'1.5 {unit}')!r}; got {text!r}")
