"""The one call: operator class, shapes, number format, device → seconds, joules, interval, and where they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from picojoule.quantity import InputError

from ._constants import constant
from ._evidence import Evidence, launch_of
from ._interval import State, band_for, band_key, combined
from ._law import Array, Law, Rows
from ._laws import POWERS, family, law_of
from ._limit import hold, widened
from ._sheet import Sheet
from ._store import knowledge, measured_on


@dataclass(frozen=True, slots=True)
class Prediction:
    """One number for each row. Bounds hold 90 % of held-out measurements; None where none was ever held out.

    `energy_j` is of the board, None where the sheet states no maximum power. `by` names what was measured.
    """

    time_s: Array
    time_low_s: Array | None
    time_high_s: Array | None
    power_w: Array | None
    energy_j: Array | None
    energy_low_j: Array | None
    energy_high_j: Array | None
    state: State
    by: str


@dataclass(frozen=True, slots=True)
class Call:
    """One operator of a network: its class, the shapes of one row, and how many times it runs."""

    kind: str
    rows: Mapping[str, float]
    dtype: str
    times: float = 1.0
    stack: str | None = None
    sort: str | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """A sequence of operators: sums, with intervals in which operators of one device are wrong together.

    `times_s` and `energies_j` (NaN where unknown) hold one number for each call, all its runs together; `by` says what
    each hangs on. Bounds are None where any operator has none. `host_s` is time beside the operators, in `time_s` too;
    `slowed` the share of the time that a power limit slows.
    """

    time_s: float
    time_low_s: float | None
    time_high_s: float | None
    energy_j: float | None
    energy_low_j: float | None
    energy_high_j: float | None
    times_s: Array
    energies_j: Array
    by: tuple[str, ...]
    host_s: float = 0.0
    slowed: float = 0.0


def predict(
    kind: str,
    rows: Rows,
    dtype: str,
    sheet: Sheet,
    *,
    stack: str | None = None,
    sort: str | None = None,
    host: bool = False,
    queued: bool = False,
    limit_w: float | None = None,
    own: Sequence[Evidence] = (),
    without: frozenset[str] = frozenset(),
) -> Prediction:
    """Time and energy of operators of one class on the device of `sheet`.

    `kind` is a key of LAWS; `rows` its columns. Where this device was measured in such a format (in `stack`, or in the
    library with most rows), that speaks; else the sheet and what other devices have in common. `sort` is the sort of
    kernel within a class (norm, softmax, addition, activation, linear, bmm). `host` says that the host launches every
    call; `queued` that launches hide behind the kernels before, as in a network. `limit_w` holds the board to less
    power. `own` is the user's evidence, from `calibrate`; `without` leaves devices out, for validation.

    Raises InputError for an unknown class, format or column, and for a fact that the sheet lacks.
    """
    law = law_of(kind, dtype)
    time, state, by, used, gap = _values(law, rows, dtype, sheet, stack, sort, host, queued, own, without)
    power = None
    if sheet.max_power_w is not None:
        operations, size = law.work(rows, dtype)
        rates = {"operations_per_s": operations / time, "bytes_per_s": size / time, "time_s": time}
        power = _values(POWERS[f"power_{law.name}"], rates, dtype, sheet, None, None, host, False, own, without)[0]
    low, high = _bounds(band_key(law.name, family(dtype)), state, sheet.name, used, time, gap)
    energy = None if power is None else time * power
    energy_low, energy_high = _energy_bounds(law.name, family(dtype), state, sheet.name, used, time, gap, energy)
    free = Prediction(time, low, high, power, energy, energy_low, energy_high, state, by)
    return free if limit_w is None else _limited(free, limit_w, sheet)


def _limited(free: Prediction, limit_w: float, sheet: Sheet) -> Prediction:
    """The same kernels on a board held to `limit_w`: slower where they would draw more."""
    factor, power = hold(free.power_w, limit_w, sheet)
    slowed, ratio = (factor > 1).astype(float), power / np.asarray(free.power_w) * factor
    time, energy = free.time_s * factor, np.asarray(free.energy_j) * ratio
    low, high = widened("time", time, _times(free.time_low_s, factor), _times(free.time_high_s, factor), slowed)
    energy_low, energy_high = widened("energy", energy, _times(free.energy_low_j, ratio),
                                      _times(free.energy_high_j, ratio), slowed)  # fmt: skip
    return Prediction(time, low, high, power, energy, energy_low, energy_high, free.state, free.by)


def _times(bound: Array | None, factor: Array) -> Array | None:
    return None if bound is None else bound * factor


def total(
    calls: Sequence[Call],
    sheet: Sheet,
    *,
    host: bool = False,
    overhead_s: float = 0.0,
    limit_w: float | None = None,
    own: Sequence[Evidence] = (),
    without: frozenset[str] = frozenset(),
) -> Total:
    """Operators one after another, launches hidden behind the kernels before; `overhead_s` is the host's own time.

    `limit_w` holds the board to less power. Calls of one class and format are predicted at once. The interval: a share
    of each band is the device's own and moves all operators together, the rest averages out (see `combined`); a limit
    adds what its law misses, to the share of the time that it slows.
    """
    if not calls:
        raise InputError("no operators to add up", where="devices", expected="at least one call",
                         example='Call("gemm", {"m": 1, "n": 512, "k": 512, "batch": 1}, "bfloat16")')  # fmt: skip
    groups: dict[tuple[str, str, str | None, str | None], list[int]] = {}
    for i, call in enumerate(calls):
        groups.setdefault((call.kind, call.dtype, call.stack, call.sort), []).append(i)
    time, energy = np.full(len(calls), np.nan), np.full(len(calls), np.nan)
    half_time, half_energy, slower = time.copy(), time.copy(), np.ones(len(calls))
    by = [""] * len(calls)
    for (kind, dtype, stack, sort), index in groups.items():
        names = calls[index[0]].rows
        rows = {name: np.array([float(calls[i].rows[name]) for i in index]) for name in names}
        one = predict(
            kind, rows, dtype, sheet, stack=stack, sort=sort, host=host, queued=True, own=own, without=without
        )
        times = np.array([calls[i].times for i in index])
        half_time[index] = _half(one.time_low_s, one.time_high_s)
        half_energy[index] = _half(one.energy_low_j, one.energy_high_j)
        factor, power = (1.0, one.power_w) if limit_w is None else hold(one.power_w, limit_w, sheet)
        time[index], slower[index] = one.time_s * factor * times, factor
        if power is not None:
            energy[index] = time[index] * power
        for i in index:
            by[i] = one.by
    whole, joules = float(time.sum()) + overhead_s, float(energy.sum())
    slowed = float(time @ (slower > 1)) / whole
    low, high = _around("time", whole, time, half_time, slowed)
    energy_low, energy_high = _around("energy", joules, energy, half_energy, slowed)
    return Total(whole, low, high, joules if np.isfinite(joules) else None, energy_low, energy_high, time, energy, tuple(by),
                 overhead_s, slowed)  # fmt: skip


def _half(low: Array | None, high: Array | None) -> Array | float:
    """Half the width of bounds, in logarithms."""
    return np.nan if low is None or high is None else np.asarray(np.log(high / low) / 2)


def _around(of: str, whole: float, parts: Array, halves: Array, slowed: float) -> tuple[float | None, float | None]:
    width = combined(parts, halves, constant("shared_width") * float(parts @ halves / parts.sum()))
    if not np.isfinite(width):
        return None, None
    sides = np.array([whole * np.exp(-width)]), np.array([whole * np.exp(width)])
    low, high = widened(of, np.array([whole]), *sides, np.array([slowed])) if slowed else sides
    return (None if low is None else float(low[0])), (None if high is None else float(high[0]))


def _values(
    law: Law,
    rows: Rows,
    dtype: str,
    sheet: Sheet,
    stack: str | None,
    sort: str | None,
    host: bool,
    queued: bool,
    own: Sequence[Evidence],
    without: frozenset[str],
) -> tuple[Array, State, str, str, Array]:
    seen = None if sheet.name in without else measured_on(law, sheet.name, dtype, stack, own, sort)
    if seen is not None and np.isfinite(seen.theta).all():
        places = law.place(rows, sheet)
        theta, left, state = seen.theta.copy(), seen.surface.at(places), "calibrated"
        used, gap = seen.stack, seen.surface.gap(places)
        by = f"{law.name}: {seen.rows} rows of {seen.stack} on {seen.device}"
    else:
        known = knowledge(law, dtype, without=without, own=own, sort=sort)
        theta = known.prior(sheet, dtype, host=host and not queued).mean
        left, state, used = known.left_over(rows, sheet), "sheet", ""
        gap = np.zeros(len(left))
        by = f"{law.name}: the sheet of {sheet.name}, and {len({e.device for e in known.evidence})} other devices"
    found = law.prepare(rows, sheet, dtype)(theta) * np.exp(left)
    at = launch_of(law)
    if queued and at is not None and law.family in _SHORT:
        launch_s = float(np.exp(theta[at])) / sheet.clock_hz
        kept_s = min(launch_s, constant("queued_launch") / sheet.clock_hz)
        found = np.maximum(found - (launch_s - kept_s), kept_s)
    return np.asarray(found), state, by, used, gap  # type: ignore[return-value]


_SHORT = frozenset({"gemm", "stream", "convolution"})  # laws whose launch is one kernel's


def _bounds(
    key: str, state: State, device: str, stack: str, time: Array, gap: Array
) -> tuple[Array | None, Array | None]:
    band = band_for(key, state, device, stack)
    if band is None:
        return None, None
    low, high = band.at(time, gap)
    return time * low, time * high


def _energy_bounds(
    law: str, formats: str, state: State, device: str, stack: str, time: Array, gap: Array, energy: Array | None
) -> tuple[Array | None, Array | None]:
    """The bounds of time and power together, in quadrature of logarithms: they miss for reasons of their own."""
    clock = band_for(band_key(law, formats), state, device, stack)
    watts = band_for(band_key(f"power_{law}", formats), state, device, stack)
    if energy is None or clock is None or watts is None:
        return None, None
    (low, high), (watts_low, watts_high) = clock.at(time, gap), watts.at(time)
    return (
        energy * np.exp(-np.hypot(np.log(low), np.log(watts_low))),
        energy * np.exp(np.hypot(np.log(high), np.log(watts_high))),
    )
