"""Power at the wall of servers with several boards, and training under power limits."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from picojoule.devices._power import slow_down

from ._sets import lines_of
from ._sheets import assumed, sheet_of

# boards by the name that the results use, longest name first
_BOARDS = (("H100-SXM", "h100-sxm"), ("H100-PCIe", "h100-pcie"), ("H200-SXM", "h200-sxm"), ("A100-SXM", "a100-sxm-80gb"),
           ("A100-PCIe", "a100-pcie-80gb"), ("NVIDIA A30", "a30"), ("NVIDIA L4", "l4"))  # fmt: skip


_NOTHING = 1.0  # rows without any difference that a workload starts with


@dataclass(frozen=True)
class Point:
    """One measured power or ratio beside a prediction."""

    group: str
    measured: float
    predicted: float
    plain: float


def walls(data: Path) -> list[Point]:
    """Servers of eight: (host + share · boards · maximum power) · workload, fitted on servers of any size with other boards.

    Networks keep boards busy to different degrees: `workload` is the geometric mean of what a network's rows on the other
    boards leave over, drawn to 1 as if one more row had left nothing. All runs are tuned for efficiency (MaxQ). `plain` is
    boards · maximum power.
    """
    rows = []
    for x in lines_of(data / "mlperf_power.csv"):
        name = next((device for word, device in _BOARDS if word.lower() in x["accelerator"].lower()), None)
        count = float(x["n_accel_per_node"] or 0)
        if name and count > 0 and x["power_unit"] == "Watts" and x["scenario"] in ("Offline", "Server"):
            limit = sheet_of(name).max_power_w if name != "h100-pcie" else assumed("h100_pcie_power")
            workload = x["model"].removesuffix("-99.9").removesuffix("-99")
            rows.append((name, count, workload, count * float(limit or np.nan), float(x["power"])))
    found = []
    for board in dict.fromkeys(r[0] for r in rows if r[1] == 8):
        watts = _wall_law([r[2:] for r in rows if r[0] != board])
        found += [Point(board, w, watts(work, b), b) for n, count, work, b, w in rows if n == board and count == 8]
    return found


def _wall_law(rows: list[tuple[str, float, float]]) -> Callable[[str, float], float]:
    """Watts of (workload, boards · maximum power) from rows of (workload, boards · maximum power, watts)."""
    boards, measured = np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
    table = np.stack([np.ones(len(rows)), boards], axis=1) / measured[:, None]
    host, share = np.linalg.lstsq(table, np.ones(len(rows)), rcond=None)[0]
    left = np.log(measured / (host + share * boards))
    names = np.array([r[0] for r in rows])
    over = {name: float(np.exp(left[names == name].sum() / (np.sum(names == name) + _NOTHING))) for name in set(names)}
    return lambda workload, limit_w: float((host + share * limit_w) * over.get(workload, 1.0))


def limits(data: Path) -> list[Point]:
    """Epoch times under a power limit, given the run without one: the law of `slow_down`, fitted elsewhere."""
    runs: dict[tuple[str, ...], list[tuple[float, float, float]]] = {}
    for x in lines_of(data / "zeus_training.csv"):
        key = (x["gpu"], x["dataset"], x["network"], x["batch_size"], x["optimizer"])
        runs.setdefault(key, []).append(
            (float(x["power_limit"]), float(x["time_per_epoch"]), float(x["average_power"]))
        )
    found = []
    for (gpu, *_), some in runs.items():
        sheet = sheet_of({"p100": "p100-pcie", "v100": "v100-pcie"}[gpu])
        free = max(some)
        for limit, time, power in some:
            if limit < free[0]:
                factor, drawn = slow_down(np.array([free[2]]), assumed("power_limit_held") * limit, sheet)
                found.append(Point(gpu, time * power, free[1] * float(factor[0] * drawn[0]), free[1] * free[2]))
    return found
