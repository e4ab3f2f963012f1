"""One network on several devices in a row: cut where the slowest part is fastest, items one after another.

    T = Σ tᵢ + (m − 1) · max tᵢ;  E = m · Σ Eᵢ + N · P_static · T,  tᵢ the operators of part i and what it is sent

The cut is the best at nominal times; energy and time are of that cut in every draw.
"""

from dataclasses import dataclass, replace

import numpy as np

from picojoule.cost import Interval, interval, price
from picojoule.hardware import STATIC
from picojoule.levels import Estimate
from picojoule.workload import PARAMETER_ROLES, Workload

from ._activities import carried
from ._job import Wire
from ._pipeline import Partition, Pipeline, partition
from ._result import Draws
from ._run import drawn


@dataclass(frozen=True, slots=True)
class PipelinedRun:
    """`items` through the parts of a network; `part_s` (parts, 1 + draws), `energy_j` and `time_s` (1 + draws,)."""

    cut: Partition
    items: int
    part_s: Draws
    energy_j: Draws
    time_s: Draws

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline at nominal times: efficiency, bubble, throughput."""
        return Pipeline(tuple(float(t) for t in self.part_s[:, 0]), self.items)

    @property
    def total_energy_j(self) -> Interval:
        """Energy of all items [J]."""
        return interval(self.energy_j)

    @property
    def total_time_s(self) -> Interval:
        """Time of all items [s]."""
        return interval(self.time_s)


def pipelined(estimate: Estimate, devices: int, items: int, *, wire: Wire | None = None) -> PipelinedRun:
    """`items` runs of what was estimated, on `devices` machines like its own, with `wire` from each to the next."""
    cost = estimate.cost
    draws = cost.energy_j.shape[1] - 1
    crossing = cut_bytes(estimate.workload)
    arrive_s, arrive_j = np.zeros((len(crossing), 1 + draws)), np.zeros((len(crossing), 1 + draws))
    if wire is not None and devices > 1:
        technology = replace(estimate.technology, prices={"wire.byte": wire.energy})
        sent = price([carried("cut", n, 1, wire) for n in crossing], technology, draws=draws, seed=cost.seed)
        arrive_s, arrive_j = sent.time_s, sent.energy_j
    cut = partition(cost.time_s[:, 0].tolist(), devices, cut_s=arrive_s[:, 0].tolist())
    starts = [part.start for part in cut.parts if part.start]
    part_s = np.array([cost.time_s[part.start : part.stop].sum(axis=0) + (arrive_s[part.start] if part.start else 0.0)
                       for part in cut.parts])  # fmt: skip
    time_s = part_s.sum(axis=0) + (items - 1) * part_s.max(axis=0)
    static = _static(estimate, draws)
    dynamic = cost.energy_j.sum(axis=0) - static * cost.time_s.sum(axis=0) + arrive_j[starts].sum(axis=0)
    return PipelinedRun(cut, items, part_s, items * dynamic + len(cut.parts) * static * time_s, time_s)


def cut_bytes(workload: Workload) -> tuple[int, ...]:
    """Bytes that cross a cut before each operator: tensors made before it and read at or after it, each once."""
    last: dict[str, int] = {}
    for index, operator in enumerate(workload.operators):
        for access in operator.inputs:
            last[workload.tensors[access.tensor].root] = index
    alive: dict[str, int] = {workload.tensors[name].root: _size(workload, name) for name in workload.inputs}
    crossing = []
    for index, operator in enumerate(workload.operators):
        alive = {name: n for name, n in alive.items() if last.get(name, -1) >= index}
        crossing.append(sum(alive.values()))
        for access in operator.outputs:
            alive[workload.tensors[access.tensor].root] = _size(workload, access.tensor)
    return tuple(crossing)


def _size(workload: Workload, name: str) -> int:
    tensor = workload.tensors[workload.tensors[name].root]
    return 0 if tensor.role in PARAMETER_ROLES else tensor.bytes_of(tensor.stored_elements)


def _static(estimate: Estimate, draws: int) -> Draws:
    value = estimate.technology.prices.get(".".join(STATIC))
    return np.zeros(1 + draws) if value is None else drawn(value, draws, estimate.cost.seed)
