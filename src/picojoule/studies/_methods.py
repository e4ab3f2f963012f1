"""The counting methods of the literature, each defined once, side by side for one network.

| method | definition |
|---|---|
| MAC | multiply-adds of dot products |
| FLOP, two a MAC | 2 · MAC: what most papers print under FLOPs, element-wise work left out |
| FLOP, true | multiplications + additions of every operator; compares, exponentials, … stay apart |
| operator count | how often an operator of each kind runs |
| memory accesses | elements, and bytes, if every operand is touched once a run of its operator |

None of them is an energy: a fully connected layer and a convolution of equal MACs differ by how often they use a weight.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from picojoule.workload import PARAMETER_ROLES, Operator, Traffic, Workload


@dataclass(frozen=True, slots=True)
class Accesses:
    """Elements touched, each operand once a run of its operator: read from activations or parameters, written."""

    activations_in: int
    activations_out: int
    parameters: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.activations_in + self.activations_out + self.parameters


@dataclass(frozen=True, slots=True)
class Methods:
    """What each method says of one run of `batch` samples. `special` are operations that are neither × nor +."""

    name: str
    batch: int
    params: int
    macs: int
    flops_2mac: int
    muls: int
    adds: int
    special: Mapping[str, int]
    operators: Mapping[str, int]
    accesses: Accesses
    traffic: Traffic

    @property
    def flops_true(self) -> int:
        """Multiplications and additions of every operator."""
        return self.muls + self.adds

    @property
    def operator_count(self) -> int:
        """Runs of operators, repeats included."""
        return sum(self.operators.values())

    @property
    def macs_per_param(self) -> float:
        """How often a parameter is used: 1 for a fully connected layer, the pixels of the output for a convolution."""
        return self.macs / self.params if self.params else 0.0

    @property
    def macs_per_byte(self) -> float:
        """MACs for each byte moved without any fusion."""
        return self.macs / self.traffic.total if self.traffic.total else 0.0

    def per_sample(self, count: float) -> float:
        """`count` of the run as that of one sample."""
        return count / self.batch


def methods(workload: Workload) -> Methods:
    """All counting methods on `workload`."""
    work = workload.work
    kinds = Counter[str]()
    for operator in workload.operators:
        kinds[operator.kind] += operator.repeats
    accesses = [_accesses(workload, operator) for operator in workload.operators]
    traffic = [workload.traffic(operator) for operator in workload.operators]
    return Methods(
        workload.name, workload.batch, sum(t.stored_elements for t in workload.parameters), work.macs, 2 * work.macs,
        work.muls, work.adds, dict(work.special), dict(kinds.most_common()),
        Accesses(sum(a.activations_in for a in accesses), sum(a.activations_out for a in accesses),
                 sum(a.parameters for a in accesses)),
        Traffic(sum(t.bytes_in for t in traffic), sum(t.bytes_out for t in traffic),
                sum(t.bytes_weights for t in traffic)),
    )  # fmt: skip


def _accesses(workload: Workload, operator: Operator) -> Accesses:
    into = parameters = 0
    for access in operator.inputs:
        if workload.tensors[access.tensor].role in PARAMETER_ROLES:
            parameters += access.elements * operator.repeats
        else:
            into += access.elements * operator.repeats
    out = sum(access.elements for access in operator.outputs) * operator.repeats
    return Accesses(into, out, parameters)
