"""Mean board power of a kernel, and what a power limit does to it.

    P = soft-min(c·limit, (b + w_c·u_c + w_m·u_m)·P_max),   u_c = operations/s / peak,  u_m = bytes/s / bandwidth

b·P_max is what the board draws while any kernel runs: idle, clocks, and the activity that no count explains. w_c and
w_m are full-rate shares of the sheet's maximum, so that an operation costs w_c·P_max/peak joules and a byte
w_m·P_max/bandwidth. The limit clips: soft-min(x, y) = (x^−8 + y^−8)^(−1/8). Near the limit the shares cannot be told
apart by measurements: they predict power, they are not physics of an operation.

A limit below what the kernel would draw slows the clock: time grows as ((P − s·P_max) / (P_limit − s·P_max))^x,
the law of training runs under limits (J. You, J.-W. Chung, M. Chowdhury, Zeus, NSDI 2023, measured there).
"""

import numpy as np

from picojoule.quantity import InputError

from ._constants import constant
from ._law import Array, Law, Parameter, Rows, Time, columns, number_format
from ._sheet import Sheet

COLUMNS = ("operations_per_s", "bytes_per_s", "time_s")
PARAMETERS = (
    Parameter("base_share", "1", "drawn while any kernel runs, over maximum power", 0.05, 0.8),
    Parameter("compute_share", "1", "drawn by arithmetic at the sheet's peak, over maximum power", 0.02, 3),
    Parameter("memory_share", "1", "drawn by memory at the sheet's bandwidth, over maximum power", 0.02, 3),
    Parameter("limit_share", "1", "power at which the board holds itself, over maximum power", 0.85, 1.02),
)
_SOFT = 8.0  # sharpness of the bend into the limit: a choice of form, not fitted


def maximum_w(sheet: Sheet) -> float:
    """The sheet's maximum power. Raises InputError where it is unknown."""
    if sheet.max_power_w is None:
        raise InputError(f"the maximum power of {sheet.name} is unknown", where="devices",
                         expected="max_power in its hardware file", example="max_power: 700 W")  # fmt: skip
    return sheet.max_power_w


def prepare(rows: Rows, sheet: Sheet, dtype: str) -> Time:
    """Watts of each row."""
    operations, size, _ = columns(rows, COLUMNS)
    most = maximum_w(sheet)
    u_c = operations / sheet.peak(number_format(dtype).peak)
    u_m = size / sheet.bandwidth_bytes_per_s

    def power(theta: Array) -> Array:
        base, compute, memory, limit = np.exp(theta)
        raw = base + compute * u_c + memory * u_m
        return np.asarray(most * (raw**-_SOFT + limit**-_SOFT) ** (-1 / _SOFT))

    return power


def place(rows: Rows, sheet: Sheet) -> Array:
    """Axes of the residual surface: octaves of both rates over the sheet's, and of the duration."""
    operations, size, time = columns(rows, COLUMNS)
    rates = {**sheet.vector, **sheet.matrix}
    peak = max(rates.values(), default=1.0)
    return np.stack([np.log2(np.maximum(operations / peak, 1e-6)), np.log2(np.maximum(size / sheet.bandwidth_bytes_per_s, 1e-6)),
                     np.log2(time * 1e3)], axis=1)  # fmt: skip


def work(rows: Rows, _dtype: str) -> tuple[Array, Array]:
    """The rates themselves."""
    operations, size, _ = columns(rows, COLUMNS)
    return operations, size


def slow_down(power_w: Array, limit_w: float, sheet: Sheet) -> tuple[Array, Array]:
    """(factor on time, power [W]) of kernels that would draw `power_w` on a board held to `limit_w`."""
    still = still_w(maximum_w(sheet))
    if limit_w <= still:
        raise InputError(f"a limit of {limit_w:.0f} W is below what {sheet.name} draws without computing", where="devices",
                         expected=f"more than {still:.0f} W", example=f"{0.6 * maximum_w(sheet):.0f}")  # fmt: skip
    return limit_time(power_w, limit_w, maximum_w(sheet)), np.minimum(power_w, limit_w)


def limit_time(power_w: Array, limit_w: float, max_power_w: float) -> Array:
    """The factor on time of what would draw `power_w` under a limit; 1 where it draws less."""
    still = still_w(max_power_w)
    return np.asarray(((np.maximum(power_w, limit_w) - still) / (limit_w - still)) ** constant("limit_exponent"))


def still_w(max_power_w: float) -> float:
    """What a board draws without computing [W]: no limit can go below."""
    return constant("limit_still") * max_power_w


def power_law(kind: str) -> Law:
    """The power law of one operator class: power_gemm, power_attention_decode, …"""
    return Law(f"power_{kind}", COLUMNS, PARAMETERS, prepare, place, (), work, "power")
