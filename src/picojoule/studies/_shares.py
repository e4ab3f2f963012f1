"""Where the energy of a network goes, in four disjoint parts that sum to one.

    E = Σ MACs · e_mac + Σ bytes · e_byte + Σ other operations · e_op + P_static · t
    α = compute / E   β = traffic / E   γ = element-wise / E   σ = static / E        α + β + γ + σ = 1

Compute is the multiply-adds of dot products, traffic every byte at every memory and link, element-wise all other
arithmetic. CNN, RNN and Transformer take the same formula; an RNN of T steps repeats its operators, a Transformer is a
sum over blocks. Shares are results, never inputs. Divided by the batch, each part is joules per sample.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from picojoule.cost import Activity, Interval, interval, price
from picojoule.hardware import STATIC, Action, Technology
from picojoule.levels import Estimate
from picojoule.quantity import InputError

Draws = NDArray[np.float64]
PARTS: Final = ("compute", "traffic", "elementwise", "static")
_STATIC: Final = ".".join(STATIC)


@dataclass(frozen=True, slots=True)
class Shares:
    """Energy of one run by part, (1 + draws,) each [J]; column 0 is nominal. alpha + beta + gamma + sigma = 1."""

    name: str
    device: str
    scope: str
    batch: int
    compute_j: Draws
    traffic_j: Draws
    elementwise_j: Draws
    static_j: Draws

    @property
    def total_j(self) -> Draws:
        """The sum of the parts."""
        return self.compute_j + self.traffic_j + self.elementwise_j + self.static_j

    @property
    def alpha(self) -> float:
        """Share of the multiply-adds."""
        return self._share(self.compute_j)

    @property
    def beta(self) -> float:
        """Share of the traffic."""
        return self._share(self.traffic_j)

    @property
    def gamma(self) -> float:
        """Share of all other arithmetic."""
        return self._share(self.elementwise_j)

    @property
    def sigma(self) -> float:
        """Share of static power."""
        return self._share(self.static_j)

    def interval(self, part: str) -> Interval:
        """The share of `part` ("compute", …) with its 90 % interval: the ratio is taken world by world."""
        energy: Draws = {"compute": self.compute_j, "traffic": self.traffic_j, "elementwise": self.elementwise_j,
                         "static": self.static_j}[part]  # fmt: skip
        return interval(energy / self.total_j)

    def per_sample_j(self, part: str = "total") -> Interval:
        """Joules of one sample: of a part, or of all."""
        energy: Draws = getattr(self, f"{part}_j")
        return interval(energy / self.batch)

    def _share(self, energy: Draws) -> float:
        return float(energy[0] / self.total_j[0])


@dataclass(frozen=True, slots=True)
class BlockShare:
    """One block of a network: `share` of the energy of the whole, and `compute` = α inside the block."""

    path: str
    energy_j: float
    share: float
    compute: float


def shares(estimate: Estimate) -> Shares:
    """The four parts of `estimate`, in the same worlds."""
    if not estimate.workload.operators or float(estimate.cost.energy_j[:, 0].sum()) <= 0:
        raise InputError(f"{estimate.workload.name} costs nothing: it has no shares", expected="a network with operators",
                         example="picojoule estimate resnet50 --on h100")  # fmt: skip
    part = _part_of(estimate)
    compute, traffic, others, static = (_energy(estimate, part, name) for name in PARTS)
    return Shares(estimate.workload.name, estimate.architecture.name, estimate.cost.scope, estimate.workload.batch,
                  compute, traffic, others, static)  # fmt: skip


def block_shares(estimate: Estimate, depth: int = 1) -> tuple[BlockShare, ...]:
    """Nominal energy by module path cut at `depth`, in the order in which they first run."""
    if depth < 1:
        raise InputError(f"depth {depth}", expected="a whole number of 1 or more", example="--depth 2")
    part = _part_of(estimate)
    total: dict[str, float] = {}
    macs: dict[str, float] = {}
    paths = [".".join((a.path or a.operator).split(".")[:depth]) for a in estimate.cost.activities]
    for action, row in estimate.cost.energy_by_action().items():
        for path, energy in zip(paths, row.tolist(), strict=True):
            total[path] = total.get(path, 0.0) + energy
            if part(action) == "compute":
                macs[path] = macs.get(path, 0.0) + energy
    order = dict.fromkeys(paths)
    whole = sum(total.values())
    return tuple(
        BlockShare(path, total[path], total[path] / whole, macs.get(path, 0.0) / total[path] if total[path] else 0.0)
        for path in order if path in total
    )  # fmt: skip


def _part_of(estimate: Estimate) -> Callable[[Action], str]:
    """Which of the four parts an action belongs to: by its part of the machine, arithmetic by what it does."""

    def part(action: Action) -> str:
        if action == STATIC:
            return "static"
        if estimate.group(action[0]) != "arithmetic" or action[0] not in units:
            return "traffic"
        return "compute" if action[1].startswith("mac_") else "elementwise"

    units = {unit.name for unit in estimate.architecture.compute}
    return part


def _energy(estimate: Estimate, part: Callable[[Action], str], wanted: str) -> Draws:
    """Energy of the part `wanted`, in every draw of the estimate."""
    cost = estimate.cost
    if wanted == "static":
        watts = Technology("static", {k: v for k, v in estimate.technology.prices.items() if k == _STATIC})
        kept = [replace(activity, counts={}) for activity in cost.activities]
    else:
        dynamic = {key: value for key, value in estimate.technology.prices.items() if key != _STATIC}
        watts = Technology(estimate.technology.name, dynamic, estimate.technology.mixed_scope)
        counts = {action: n for action, n in cost.counts.items() if part(action) == wanted}
        kept = [Activity(wanted, "", "", counts, ())]
    draws = cost.energy_j.shape[1] - 1
    energy: Draws = price(kept, watts, draws=draws, seed=cost.seed).energy_j.sum(axis=0)
    return energy
