"""The five rates of the overlay from measured frame rates: port and memory share, depthwise, start of a layer, frame.

The laws are those of picojoule.fpga; only their rates move. Loss: mean over rows of √(0.05² + ln²(predicted/measured)),
which counts an error below 5 % as nothing much and a large one in proportion. Search: the simplex of Nelder and Mead
(1965) from a fixed start, so that every run finds the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from picojoule import read_hardware
from picojoule.formats import load_fabric
from picojoule.fpga import Board, Overlay, board_of, fitted, layers_of, overlay_bytes, overlay_cycles

from ._networks import network
from ._row import lines

NAMES: Final = ("port_share", "memory_share", "depthwise", "layer", "frame")
_START: Final = (0.8, 0.5, 1.5, 1e-5, 2e-4)
_LOWEST: Final = (0.3, 0.2, 1.0, 1e-7, 1e-6)
_HIGHEST: Final = (1.0, 1.0, 8.0, 1e-4, 2e-3)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One published row with its design, board and the loops of its network, one array entry a layer."""

    line: Mapping[str, str]
    board: Board
    overlay: Overlay
    plain: Array  # cycles without depthwise layers
    deep: Array  # cycles of depthwise layers before their factor
    sizes: Array  # bytes
    macs: int

    @property
    def measured(self) -> dict[str, float]:
        """Seconds of a frame alone, and a frame's share of the time with every thread."""
        said = {"one": self.line["fps_one_thread"], "all": self.line["fps_threads"]}
        return {key: 1 / float(fps) for key, fps in said.items() if fps}


@cache
def cases() -> tuple[Case, ...]:
    """Every row of dpu.csv."""
    return tuple(_case(line) for line in lines("dpu.csv"))


def _case(line: Mapping[str, str]) -> Case:
    fabric = load_fabric()
    given = float(line["bandwidth_gb_per_s"]) * 1e9 if line["bandwidth_gb_per_s"] else None
    board = board_of(read_hardware(line["board"]).architecture, fabric, clock_hz=1e6 * float(line["clock_mhz"]),
                     bandwidth=given)  # fmt: skip
    overlay = fitted(fabric, line["core"], board, int(line["cores"]))
    layers, left = layers_of(network(line["network"]))
    macs = sum(layer.count * layer.macs for layer in layers)
    if left or abs(2e-9 * macs / float(line["gop"]) - 1) > 0.06:
        raise ValueError(f"{line['name']}: {2e-9 * macs:.3g} GOP here, left out {left}")
    unit = replace(fabric, rates={**fabric.rates, "depthwise": replace(fabric.rates["depthwise"], nominal=1.0)})
    cycles = np.array([layer.count * overlay_cycles(layer, overlay.core, unit) for layer in layers])
    deep = np.array([layer.kind == "depthwise" for layer in layers])
    sizes = np.array(
        [layer.count * size for layer, size in zip(layers, overlay_bytes(layers, overlay, fabric), strict=True)]
    )
    return Case(line, board, overlay, cycles * ~deep, cycles * deep, sizes.astype(float), macs)


def seconds(case: Case, rates: Sequence[float]) -> dict[str, float]:
    """Time of a frame alone and with every core, at `rates` in the order of NAMES."""
    port, memory, depthwise, layer, frame = rates
    compute = (case.plain + depthwise * case.deep) / case.board.clock_hz
    most = port * load_fabric().overlay["port"].nominal * case.board.clock_hz

    def one(running: int) -> float:
        rate = min(most, memory * case.board.bandwidth / running)
        return float(np.maximum(compute, case.sizes / rate).sum() + layer * len(compute))

    return {"one": one(1) + frame, "all": one(case.overlay.cores) / case.overlay.cores}


def fit(chosen: Sequence[Case]) -> tuple[float, ...]:
    """Rates that fit `chosen` best, in the order of NAMES."""
    low, high = np.log(_LOWEST), np.log(_HIGHEST)

    def loss(point: Array) -> float:
        inside = np.clip(point, low, high)
        errors = [np.log(seconds(case, np.exp(inside))[key] / true) for case in chosen
                  for key, true in case.measured.items()]  # fmt: skip
        return float(np.mean(np.sqrt(0.05**2 + np.square(errors))) + np.abs(point - inside).sum())

    point = simplex(loss, simplex(loss, np.log(_START), 0.3), 0.1)
    found = dict(zip(NAMES, np.exp(np.clip(point, low, high)).tolist(), strict=True))
    if not any(case.deep.any() for case in chosen):
        found["depthwise"] = 1.0  # nothing here to fit it on: the law without its factor
    return tuple(found.values())


def simplex(loss: Callable[[Array], float], start: Array, step: float, turns: int = 400) -> Array:
    """The least of `loss` near `start` by reflection, expansion, contraction and shrinking."""
    points = [start, *(start + step * axis for axis in np.eye(len(start)))]
    values = [loss(point) for point in points]
    for _ in range(turns):
        order = np.argsort(values)
        points, values = [points[i] for i in order], [values[i] for i in order]
        if values[-1] - values[0] < 1e-7:
            break
        centre, worst = np.mean(points[:-1], axis=0), points[-1]
        tried = 2 * centre - worst
        value = loss(tried)
        if value < values[0]:
            further = 3 * centre - 2 * worst
            beyond = loss(further)
            tried, value = (further, beyond) if beyond < value else (tried, value)
        elif value >= values[-2]:
            tried = (centre + worst) / 2
            value = loss(tried)
        if value < values[-1]:
            points[-1], values[-1] = tried, value
        else:
            points = [points[0], *((points[0] + point) / 2 for point in points[1:])]
            values = [values[0], *(loss(point) for point in points[1:])]
    return points[int(np.argmin(values))]


def shipped() -> tuple[float, ...]:
    """The rates of the library, in the order of NAMES."""
    return tuple(load_fabric().rates[name].nominal for name in NAMES)
