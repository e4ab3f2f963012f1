"""Time of a collective among the devices of one node that a switch or full mesh joins.

    t = ((a0 + a1·steps)^c + (V / (e·link))^c)^(1/c) + h·log2(1 + message / 16 KiB)

V is what one device sends: 2·(n − 1)/n·S for all-reduce, (n − 1)/n·S for all-gather, reduce-scatter and all-to-all, S
between two devices. S is the whole vector: the input of an all-reduce or reduce-scatter, the output of an all-gather.
steps = 2·(n − 1) for all-reduce, n − 1 otherwise, 1 between two. a0 is launch and agreement, a1 one step, e the share
of the link's one-way rate, h the change of protocol with size. R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19 (2005)
49 for the volumes.

Left out: nodes joined by a network, PCIe trees (rates fall off a cliff there), links shared with other traffic.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from picojoule.quantity import InputError

from ._law import Array, Law, Parameter, Rows, Time, blend, columns
from ._sheet import Sheet

COLUMNS = ("bytes", "devices")
PARAMETERS = (
    Parameter("start_s", "s", "launch and agreement", 1e-6, 1e-4),
    Parameter("step_s", "s", "one step of the ring", 1e-8, 1e-5),
    Parameter("link_share", "1", "share of the link's one-way rate", 0.05, 1.6),
    Parameter("blend", "1", "how far latency and transfer overlap", 0.4, 4),
    Parameter("protocol_s", "s", "cost of one more octave of message", 1e-9, 5e-6),
    Parameter("pair_share", "1", "rate of two devices over that of eight", 0.5, 2.0),
)
_MESSAGE: Final = (
    16 * 1024.0
)  # bytes; where the octaves of `protocol_s` begin: a choice of form, what it is worth is fitted
VOLUMES: Final[Mapping[str, tuple[float, float]]] = {  # times (n − 1)/n of the vector, steps times (n − 1)
    "all_reduce": (2.0, 2.0), "all_gather": (1.0, 1.0), "reduce_scatter": (1.0, 1.0), "all_to_all": (1.0, 1.0),
}  # fmt: skip


def collective(kind: str) -> Law:
    """The law of one collective: all_reduce, all_gather, reduce_scatter, all_to_all, send."""

    def prepare(rows: Rows, sheet: Sheet, _dtype: str) -> Time:
        size, devices = columns(rows, COLUMNS)
        if sheet.link_bytes_per_s is None:
            raise InputError(f"the rate of the link of {sheet.name} is unknown", where="devices",
                             expected="a link in its hardware file", example="bandwidth: 450 GB/s")  # fmt: skip
        volume, steps = _volume(kind, size, devices)
        moved_s = volume / sheet.link_bytes_per_s
        octaves = np.log2(1 + size / _MESSAGE)
        few = (8 - np.clip(devices, 2, 8)) / 6

        def time(theta: Array) -> Array:
            start, step, share, power, protocol, pair = np.exp(theta)
            rate = share * np.exp(np.log(pair) * few)
            return np.asarray(blend(start + step * steps, moved_s / rate, power) + protocol * octaves)

        return time

    def work(rows: Rows, _dtype: str) -> tuple[Array, Array]:
        size, devices = columns(rows, COLUMNS)
        volume, _ = _volume(kind, size, devices)
        return np.zeros(len(size)), volume

    return Law(kind, COLUMNS, PARAMETERS, prepare, _place, ("octave",), work, "collective", alike=True)


def _volume(kind: str, size: Array, devices: Array) -> tuple[Array, Array]:
    if kind == "send":
        return size, np.ones(len(size))
    share, steps = VOLUMES[kind]
    return share * (devices - 1) / devices * size, steps * (devices - 1)


def _place(rows: Rows, _sheet: Sheet) -> Array:
    """Axes of the residual surface: octaves of the message, and three per doubling of devices."""
    size, devices = columns(rows, COLUMNS)
    return np.stack([np.log2(size), 3 * np.log2(devices)], axis=1)
