"""Training steps of ResNet-50 at the highest power limit: the library's own network, its own training step, its operators.

Time of a step is the epoch's over 1,281,167 images. FP32 is assumed: the set does not state precision or library.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import picojoule as pj
from picojoule.devices import Call, calls, total
from picojoule.training import training_step

from ._sets import Line, lines_of
from ._sheets import assumed, sheet_of

_IMAGES = 1_281_167
_DEVICES = {"p100": "p100-pcie", "v100": "v100-pcie"}


@dataclass(frozen=True)
class Step:
    """Seconds and joules of one step: measured, calibrated on operators, by the sheet alone; seconds at peak."""

    device: str
    batch: int
    measured_s: float
    measured_j: float
    calibrated_s: float
    calibrated_j: float
    sheet_s: float
    sheet_j: float
    roofline_s: float


def resnet_steps(data: Path) -> list[Step]:
    """One for each GPU and batch."""
    runs: dict[tuple[str, int], Line] = {}
    for x in lines_of(data / "zeus_training.csv"):
        key = (x["gpu"], int(x["batch_size"]))
        if x["network"] == "resnet50" and (
            key not in runs or float(x["power_limit"]) > float(runs[key]["power_limit"])
        ):
            runs[key] = x
    return [_step(gpu, batch, x) for (gpu, batch), x in runs.items()]


@cache
def _calls(batch: int) -> tuple[Call, ...]:
    net = training_step(pj.read_model("resnet50", batch=batch), optimiser="momentum")
    return tuple(call for _, call in calls(net))


def _step(gpu: str, batch: int, x: Line) -> Step:
    sheet, some = sheet_of(_DEVICES[gpu]), _calls(batch)
    host = sum(c.times for c in some) * assumed("host_launch")
    measured = float(x["time_per_epoch"]) / _IMAGES * batch
    own, other = total(some, sheet), total(some, sheet, without=frozenset({sheet.name}))
    operations = 3 * 2 * pj.read_model("resnet50", batch=batch).work.macs
    return Step(sheet.name, batch, measured, measured * float(x["average_power"]), max(host, own.time_s), own.energy_j or 0.0,
                max(host, other.time_s), other.energy_j or 0.0, operations / sheet.peak("float32"))  # fmt: skip
