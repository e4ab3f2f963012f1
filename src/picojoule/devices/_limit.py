"""A board held to less power: which limits are allowed, and what the law of the slow-down misses.

The law itself is `slow_down` in _power. Its misses belong to the board and the network, not to a kernel: they do not
average out over operators, so a whole network gets them once, by the share of its time that is slowed.
"""

import numpy as np

from picojoule.quantity import InputError

from ._evidence import Z_90
from ._law import Array
from ._power import slow_down
from ._sheet import Sheet
from ._steps import around


def hold(power_w: Array | None, limit_w: float, sheet: Sheet) -> tuple[Array, Array]:
    """(factor on time, power [W]) of kernels that would draw `power_w`.

    Raises InputError where the maximum power is unknown, and for a limit above it or too low to compute under.
    """
    if power_w is None or sheet.max_power_w is None:
        raise InputError("a power limit needs a maximum power", where=sheet.name, expected="max_power in its file",
                         example="max_power: 700 W")  # fmt: skip
    if not 0 < limit_w <= sheet.max_power_w:
        raise InputError(f"a limit of {limit_w:g} W on a board of {sheet.max_power_w:g} W", where=sheet.name,
                         expected="a limit up to the maximum power", example=f"{0.6 * sheet.max_power_w:.0f}W")  # fmt: skip
    return slow_down(power_w, limit_w, sheet)


def widened(
    of: str, middle: Array, low: Array | None, high: Array | None, slowed: Array
) -> tuple[Array | None, Array | None]:
    """Bounds of "time" or "energy" under a limit: `slowed` is the share of the time that it slows.

    Each side, in logarithms, is the quadrature of its own width and of the law's misses times that share.
    """
    if low is None or high is None:
        return None, None
    band = around("limit", of)
    down = np.hypot(np.log(middle / low), slowed * np.log(band.low))
    up = np.hypot(np.log(high / middle), slowed * np.log(band.high))
    return np.asarray(middle * np.exp(-down)), np.asarray(middle * np.exp(up))


def limit_band(of: str) -> float:
    """Standard deviation, in logarithms, of what the law of limits misses on "time" or "energy"."""
    band = around("limit", of)
    return float(np.log(band.high / band.low) / 2 / Z_90)
