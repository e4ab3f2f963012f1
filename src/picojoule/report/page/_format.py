"""Numbers as people read them: two or three significant digits, a thin no-break space before the unit."""

import math

from picojoule.cost import Interval
from picojoule.quantity import format_quantity

SPACE = "\u202f"  # narrow no-break
_POWERS = {"f": -15, "p": -12, "n": -9, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12}
_BEYOND = (("E", 1e18), ("P", 1e15))


def si(value: float, unit: str, digits: int = 3) -> str:
    """si(0.0112, "J") is "11.2 mJ"."""
    for prefix, size in _BEYOND:
        if value >= size:
            return f"{_digits(value / size, digits)}{SPACE}{prefix}{unit}"
    if 0 < value < 1e-16:  # below a tenth of a femto: no prefix helps
        return f"{value:.{digits - 1}e}{SPACE}{unit}"
    return format_quantity(value, unit, digits).replace(" ", SPACE).rstrip(SPACE)


def whole(number: int) -> str:
    """A count: exact below a thousand, then with a prefix."""
    return str(number) if number < 1000 else si(number, "")


def span(low: float, high: float, unit: str) -> str:
    """span(8.5e-3, 15e-3, "J") is "8.5 – 15 mJ": the unit once, and one prefix for both ends if they are near."""
    top = si(high, unit, 2)
    if low <= 0 or high / low > 1000 or SPACE not in top or "e" in top:
        return f"{si(low, unit, 2)} – {top}"
    number, name = top.split(SPACE, 1)
    power = _POWERS.get(name.removesuffix(unit) if unit else name, 0)
    return f"{_digits(low / 10.0**power, 2)} – {number}{SPACE}{name}"


def interval_text(interval: Interval, unit: str) -> str:
    """The 90 % interval of `interval`, unit once; empty if it is a point."""
    return "" if interval.low == interval.high else span(interval.low, interval.high, unit)


def times(factor: float) -> str:
    """times(6512) is "6,500×"."""
    return f"{_digits(factor, 2)}×"


def times_span(low: float, high: float) -> str:
    """times_span(3.21, 7.1) is "3.2 – 7.1×"."""
    return f"{_digits(low, 2)} – {_digits(high, 2)}×"


def percent(share: float) -> str:
    """A share of one: "< 1 %" below a half, never "0 %" for something."""
    if 0 < share < 0.005:
        return f"<{SPACE}1{SPACE}%"
    return f"{share * 100:.0f}{SPACE}%"


def place(value: float, low: float, high: float) -> float:
    """Where `value` stands on a logarithmic axis from `low` (0) to `high` (1)."""
    return math.log(value / low) / math.log(high / low) if value > 0 else 0.0


def decades(low: float, high: float, most: int = 8) -> list[float]:
    """The powers of ten within an axis, thinned to at most `most`."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / most))
    return [10.0**power for power in range(first, last + 1, step)]


def round_marks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers on a logarithmic axis: decades, or 1 - 2 - 5 between them on a short axis."""
    marks = decades(low, high, most)
    if len(marks) >= 3:
        return marks
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in ((1, 3), (1, 2, 5)):
        marks = [n * 10.0**power for power in range(first, last + 1) for n in digits if low <= n * 10.0**power <= high]
        if len(marks) >= 3:
            break
    return marks[:most]


def steps(top: float, most: int = 5) -> list[float]:
    """Round numbers up to `top` for a linear axis, at most `most`."""
    size = 10.0 ** math.floor(math.log10(top)) / 10
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10, 20, 25, 50, 100) if top / (size * factor) < most + 1)
    return [step * n for n in range(1, int(top / step + 1e-9) + 1)]


def short(value: float, digits: int = 4) -> float:
    """`value` rounded to `digits` significant digits, for compact data."""
    return float(f"{value:.{digits}g}")


def _digits(value: float, digits: int) -> str:
    """`value` with `digits` significant digits, thousands by commas, never an exponent below a thousand million."""
    if value == 0:
        return "0"
    if value >= 1e9 or value < 1e-4:
        return f"{value:.{digits - 1}e}"
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.{max(0, digits - 1 - math.floor(math.log10(rounded)))}f}"
