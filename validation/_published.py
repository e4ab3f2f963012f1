"""Single published points of other silicon: networks on an FPGA overlay, and training runs on TPUs."""

import re
from pathlib import Path

import numpy as np

from picojoule.devices._solve import solve

from ._sets import fold_of, lines_of
from ._wall import Point

_CORES = re.compile(r"(\d+)\s*\*\s*B(\d+)\s*@\s*(\d+)\s*MHz")
_SIZE = re.compile(r"_(\d{2,4})_(\d{2,4})_")


def overlays(data: Path) -> tuple[list[Point], list[Point]]:
    """Milliseconds of one network on one DPU core: networks held out, and boards held out.

    t = operations / (η·peak) + t0 + ρ·pixels, with operations and pixels as the network's name gives them; peak is the
    core's operations a cycle times its clock. `plain` is operations / peak. Layers are not known, so depthwise and odd
    networks miss by far.
    """
    rows = []
    for x in lines_of(data / "vitis_ai_dpu.csv"):
        core, size = _CORES.search(x["dpu_config"]), _SIZE.search(x["std_name"])
        try:
            operations, rate = float(x["gops_in_name"]) * 1e9, float(x["fps_single_thread"])
        except ValueError:
            continue
        if core and rate > 0 and operations > 0:
            pixels = float(size[1]) * float(size[2]) if size else 224.0 * 224.0
            rows.append(
                (
                    x["board"],
                    x["model"].removesuffix("_pt"),
                    operations,
                    pixels,
                    float(core[2]) * float(core[3]) * 1e6,
                    1 / rate,
                )
            )
    fold = np.array([fold_of(r[1]) for r in rows])
    board = np.array([r[0].split()[0] for r in rows])
    table = np.array([r[2:] for r in rows])
    networks = [p for f in range(5) for p in _predicted(table, fold != f, fold == f, board)]
    boards = [p for b in dict.fromkeys(board) for p in _predicted(table, board != b, board == b, board)]
    return networks, boards


def _predicted(table: np.ndarray, seen: np.ndarray, asked: np.ndarray, board: np.ndarray) -> list[Point]:
    def seconds(theta: np.ndarray, part: np.ndarray) -> np.ndarray:
        share, start, each = np.exp(theta)
        return np.asarray(part[:, 0] / (share * part[:, 2]) + start + each * part[:, 1])

    low, high = np.log([0.02, 1e-5, 1e-12]), np.log([1.2, 1e-1, 1e-6])
    theta = solve(lambda t: seconds(t, table[seen]), table[seen][:, 3], np.log([0.5, 1e-3, 1e-9]), low, high)
    found = seconds(theta, table[asked])
    plain = table[asked][:, 0] / table[asked][:, 2]
    return [
        Point(str(b), float(m), float(p), float(q))
        for b, m, p, q in zip(board[asked], table[asked][:, 3], found, plain, strict=True)
    ]


def tpu_runs(data: Path) -> list[Point]:
    """Energy of TPU v3 training runs [J]: power a chip by a line through the other runs' achieved rates, times the run.

    `plain` takes the mean power of the other runs. D. Patterson et al., arXiv:2104.10350, Table 4.
    """
    runs: dict[str, dict[str, float]] = {}
    for x in lines_of(data / "validation_points.csv"):
        if x["dataset"] == "patterson21" and x["device"] == "TPUv3":
            runs.setdefault(x["network"], {})[x["metric"]] = float(x["value"])
    found = []
    for name, run in runs.items():
        others = [r for n, r in runs.items() if n != name]
        rate, watts = (np.array([r[k] for r in others]) for k in ("achieved", "system_power_per_chip"))
        slope, level = np.polyfit(rate, watts, 1)
        time = run["chips"] * run["days"] * 86_400 * run["pue"]
        found.append(
            Point("tpu-v3", run["energy"] * 3.6e9, (level + slope * run["achieved"]) * time, float(watts.mean()) * time)
        )
    return found
