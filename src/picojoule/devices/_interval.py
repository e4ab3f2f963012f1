"""How wrong a law is on rows it was not fitted to: multipliers that hold 90 % of them, by law and state of knowledge.

Split-conformal on ln(measured / predicted): the (1 ± 0.9)/2 quantiles, corrected for the count, of rows held out by
shape group on a calibrated device, or by whole device where only a sheet is known. Inside a device the groups are
exchangeable and the promise holds; across devices it does not, so there the widest quantile of any device is taken, and
the coverage that was found is stored beside it. V. Vovk, A. Gammerman, G. Shafer, 2005; J. Lei et al., JASA 113 (2018).

Parameter spread is another thing: how far the parameters of this device may lie from those used. It is what the prior
and the rows leave open, and is part of the residuals above; it is never added twice.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
State = Literal["calibrated", "sheet"]
FORMAT: Final = "picojoule/device-intervals/1"
MASS: Final = 0.9
BINS_S: Final = (20e-6, 200e-6)  # short, middle and long kernels miss differently
_ENOUGH: Final = 60  # residuals in a bin before it gets a band of its own


@dataclass(frozen=True, slots=True)
class Band:
    """Multipliers on a prediction that hold MASS of the held-out rows. `coverage` is that found on others again.

    `law` is a law and, for products, the family of formats; `device` and `stack` are empty where all devices speak.
    """

    law: str
    state: State
    device: str
    stack: str
    low: tuple[float, ...]  # one for each bin of time, or one for all
    high: tuple[float, ...]
    rows: int
    coverage: float | None = None

    def at(self, time_s: Array) -> tuple[Array, Array]:
        """(low, high) multipliers for predictions of these lengths."""
        index = np.searchsorted(BINS_S, time_s) if len(self.low) > 1 else np.zeros(len(time_s), int)
        return np.array(self.low)[index], np.array(self.high)[index]


def band_of(law: str, state: State, device: str, stack: str, time_s: Array, rest: Array) -> Band:
    """The band of residuals `rest` = ln(measured / predicted) at predicted times; by bin where each bin has enough."""
    index = np.searchsorted(BINS_S, time_s)
    whole = conformal(rest)
    pairs = [conformal(rest[index == i]) if np.sum(index == i) >= _ENOUGH else whole for i in range(len(BINS_S) + 1)]
    if all(p == whole for p in pairs):
        pairs = [whole]
    low, high = zip(*np.exp(pairs), strict=True)
    return Band(
        law,
        state,
        device,
        stack,
        tuple(float(f"{x:.4g}") for x in low),
        tuple(float(f"{x:.4g}") for x in high),
        len(rest),
    )


def widest(parts: list[Band]) -> Band:
    """The band that holds those of all devices: what is promised of one never measured."""
    many = max(len(p.low) for p in parts)
    low = [min(p.low[i] if len(p.low) > 1 else p.low[0] for p in parts) for i in range(many)]
    high = [max(p.high[i] if len(p.high) > 1 else p.high[0] for p in parts) for i in range(many)]
    one = parts[0]
    return Band(one.law, one.state, "", "", tuple(low), tuple(high), sum(p.rows for p in parts))


def conformal(rest: Array) -> tuple[float, float]:
    """Quantiles of residuals that hold MASS of the next one: each a little wide for the count, as n + 1 asks."""
    n, tail = len(rest), (1 - MASS) / 2
    ordered = np.sort(rest)
    above = min(n - 1, int(np.ceil((n + 1) * (1 - tail))) - 1)
    below = max(0, int(np.floor((n + 1) * tail)) - 1)
    return float(ordered[below]), float(ordered[above])


def stretched(band: Band, devices: int) -> Band:
    """The band for a device never measured, from that which holds `devices` others.

    The widest of n holds the next with probability n/(n + 1): with fewer than three that is below three quarters, so
    there the logarithms grow by 4/(n + 1), to both sides alike: one or two devices do not tell which way a third errs.
    """
    if devices >= 3:
        return band
    by = 4 / (devices + 1)
    high = tuple(max(h, 1 / low) ** by for low, h in zip(band.low, band.high, strict=True))
    return replace(band, low=tuple(float(f"{1 / h:.4g}") for h in high), high=tuple(float(f"{h:.4g}") for h in high))


@cache
def bands() -> Mapping[tuple[str, str, str, str], Band]:
    """The library's table: (law, state, device, stack) → band; device and stack are empty in those of all devices."""
    place = files("picojoule.library") / "devices" / "intervals.json"
    if not place.is_file():
        return {}
    document: Any = json.loads(place.read_text("utf-8"))
    found = [Band(e["law"], e["state"], e["device"], e["stack"], tuple(e["low"]), tuple(e["high"]), e["rows"], e["coverage"])
             for e in document["bands"]]  # fmt: skip
    return {(b.law, b.state, b.device, b.stack): b for b in found}


def band_for(law: str, state: State, device: str, stack: str) -> Band | None:
    """The band of this device and library where one was held out there, else that of all devices; None if neither."""
    table = bands()
    return table.get((law, state, device, stack)) or table.get((law, state, "", ""))


def band_key(law: str, formats: str) -> str:
    """Products and streams differ by the units and libraries behind a format: their bands are kept by family of formats."""
    return f"{law} {formats}" if law in ("gemm", "power_gemm", "stream") else law


def combined(times: Array, halves: Array, common: float) -> float:
    """Half-width, in logarithms, of a sum of times each with its own half-width, and one that all share.

    h² = common² + Σ (w_i·h_i)², w_i = t_i / Σ t: what belongs to the device moves all operators together and does not
    average out; what belongs to a shape does.
    """
    share = times / times.sum()
    return float(np.sqrt(common**2 + np.sum((share * halves) ** 2)))
