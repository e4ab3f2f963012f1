"""Estimates as plain rows: what every chart of the page draws, worked out once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from picojoule.cost import Interval
from picojoule.levels import Estimate
from picojoule.quantity import InputError
from picojoule.workload import Operator, Workload

from ._fold import common_name, fold

PARTS: Final = ("arithmetic", "registers", "network", "on-chip", "off-chip", "static")
COMPUTE, MEMORY, LAUNCH, NOTHING = "c", "m", "l", "n"  # classes of marks
_SPLIT = re.compile(r"[./]+")


@dataclass(frozen=True, slots=True)
class Block:
    """One operator, or `times` equal ones. `macs` and `operations` are of all of them."""

    name: str
    path: tuple[str, ...]
    op: str
    shape: str
    macs: int
    operations: int
    times: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one block costs on one device: joules (in all and by part), seconds, bytes of the outermost memory."""

    energy: Interval
    time: Interval
    parts: tuple[float, ...]
    n_bytes: int
    bound_by: str
    mark: str


@dataclass(frozen=True, slots=True)
class Device:
    """One estimate and its readings, block by block. `outer` is the name of the outermost memory."""

    estimate: Estimate
    energy: Interval
    time: Interval
    parts: tuple[float, ...]
    readings: tuple[Reading, ...]
    outer: str

    @property
    def title(self) -> str:
        """The machine's name for people."""
        return self.estimate.architecture.title

    @property
    def scope(self) -> str:
        """What its joules include."""
        return self.estimate.cost.scope

    @property
    def batch(self) -> int:
        """Samples of one run."""
        return max(1, self.estimate.workload.batch)

    @property
    def power(self) -> float:
        """Mean power of the run [W]."""
        return self.energy.nominal / self.time.nominal if self.time.nominal else 0.0

    @property
    def off_chip_bytes(self) -> int:
        """Bytes at every memory outside the chip; at the outermost memory where none is outside."""
        memories = self.estimate.architecture.memories
        traffic = self.estimate.traffic_bytes
        outside = [memory.name for memory in memories if memory.group == "off-chip"] or [self.outer]
        return sum(traffic.get(name, 0) for name in outside)


def devices(estimates: Sequence[Estimate]) -> tuple[tuple[Block, ...], tuple[Device, ...]]:
    """The blocks of the model, the same for all devices, and each device's readings of them."""
    if not estimates:
        raise InputError("no estimate to show", expected="one or more estimates of one model",
                         example='page([pj.estimate("resnet50", "h100")])')  # fmt: skip
    first = estimates[0].workload
    names = [operator.name for operator in first.operators]
    for other in estimates[1:]:
        if [operator.name for operator in other.workload.operators] != names:
            raise InputError(f"{other.workload.name} and {first.name} have different operators",
                             expected="one model on all devices of a page")  # fmt: skip
    paths = _paths(first)
    groups = fold(_signatures(estimates), paths)
    blocks = tuple(_block(first, group, paths) for group in groups)
    return blocks, tuple(_device(estimate, groups) for estimate in estimates)


def _signatures(estimates: Sequence[Estimate]) -> list[tuple[object, ...]]:
    columns = []
    for estimate in estimates:
        times = estimate.cost.time_s[:, 0].tolist()
        columns.append(
            [(time, *sorted(a.counts.items())) for time, a in zip(times, estimate.cost.activities, strict=True)]
        )
    ops = [(o.op, o.total.macs) for o in estimates[0].workload.operators]
    return list(zip(ops, *columns, strict=True))


def _paths(workload: Workload) -> list[tuple[str, ...]]:
    """Module path of each operator; one that runs directly in a module (a residual add) ends with its own name."""
    raw = [tuple(part for part in _SPLIT.split(o.path or o.name) if part) or (o.op,) for o in workload.operators]
    inner = {path[:depth] for path in raw for depth in range(1, len(path))}
    return [
        (*path, operator.op) if path in inner else path for path, operator in zip(raw, workload.operators, strict=True)
    ]


def _block(workload: Workload, group: Sequence[int], paths: Sequence[tuple[str, ...]]) -> Block:
    operators = [workload.operators[index] for index in group]
    first = operators[0]
    path = paths[group[0]] if len(group) == 1 else common_name([paths[index] for index in group])
    name = first.name if len(group) == 1 else ".".join(path)
    ops = dict.fromkeys(o.op for o in operators)
    total = [o.total for o in operators]
    return Block(
        name, path, next(iter(ops)) if len(ops) == 1 else "…", _shape(workload, first), sum(w.macs for w in total),
        sum(w.muls + w.adds + sum(n for _, n in w.special) for w in total), len(group), tuple(group),
    )  # fmt: skip


def _shape(workload: Workload, operator: Operator) -> str:
    if not operator.outputs:
        return ""
    return "×".join(str(n) for n in workload.tensors[operator.outputs[0].tensor].shape)


def _device(estimate: Estimate, groups: Sequence[Sequence[int]]) -> Device:
    cost = estimate.cost
    energy, time = _gather(cost.energy_j, groups), _gather(cost.time_s, groups)
    parts = _by_part(estimate)
    outer = estimate.architecture.memories[0].name
    e_low, e_high, t_low, t_high = (*_ends(energy), *_ends(time))
    readings = []
    for row, group in enumerate(groups):
        counts = [cost.activities[index].counts for index in group]
        n_bytes = sum(c.get((outer, "read"), 0) + c.get((outer, "write"), 0) for c in counts)
        bound = _bound(estimate, group)
        readings.append(Reading(
            Interval(float(energy[row, 0]), float(e_low[row]), float(e_high[row])),
            Interval(float(time[row, 0]), float(t_low[row]), float(t_high[row])),
            tuple(float(parts[part][list(group)].sum()) for part in PARTS), n_bytes, bound, _MARKS.get(bound, MEMORY),
        ))  # fmt: skip
    totals = tuple(float(parts[part].sum()) for part in PARTS)
    return Device(estimate, cost.total_energy_j, cost.total_time_s, totals, tuple(readings), outer)


_MARKS: Final[Mapping[str, str]] = {"compute": COMPUTE, "launch": LAUNCH, "nothing": NOTHING}


def _gather(draws: NDArray[np.float64], groups: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    if len(groups) == len(draws):
        return draws
    return np.array([draws[list(group)].sum(axis=0) for group in groups])


def _ends(draws: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if draws.shape[1] == 1 or not len(draws):
        return draws[:, 0], draws[:, 0]
    low, high = np.quantile(draws[:, 1:], (0.05, 0.95), axis=1)
    return low, high


def _by_part(estimate: Estimate) -> dict[str, NDArray[np.float64]]:
    sums = {part: np.zeros(len(estimate.cost.activities)) for part in PARTS}
    for action, energy in estimate.cost.energy_by_action().items():
        sums[estimate.group(action[0])] += energy
    return sums


def _bound(estimate: Estimate, group: Sequence[int]) -> str:
    """What most of the block's time waits for."""
    if len(group) == 1:
        return estimate.cost.activities[group[0]].bound_by
    waits: dict[str, float] = {}
    for index in group:
        activity = estimate.cost.activities[index]
        waits[activity.bound_by] = waits.get(activity.bound_by, 0.0) + activity.time_s
    return max(waits, key=lambda name: waits[name])
