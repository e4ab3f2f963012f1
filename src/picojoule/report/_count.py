"""What the mathematics demands, as one table."""

from collections.abc import Mapping
from dataclasses import dataclass

from picojoule.workload import PARAMETER_ROLES, Operator, Tensor, Traffic, Work, Workload


@dataclass(frozen=True, slots=True)
class OperatorCount:
    """One operator with all its repeats. `params` are given once, on the first operator that uses them."""

    operator: Operator
    params: int
    work: Work
    traffic: Traffic


@dataclass(frozen=True, slots=True)
class Count:
    """Parameters by role, neurons of one sample, work and bytes of one run, operator by operator."""

    workload: Workload
    params: Mapping[str, int]
    neurons: int
    work: Work
    traffic: Traffic
    operators: tuple[OperatorCount, ...]

    @property
    def macs(self) -> int:
        """Multiply-adds of dot products."""
        return self.work.macs

    def __str__(self) -> str:
        missing = len(self.workload.uncounted)
        return (
            f"{self.workload.name}: {self.params['total']:,} parameters, {self.work.macs:,} MACs, "
            f"{self.work.muls:,} multiplications, {self.work.adds:,} additions; {missing} uncounted"
        )


def count(workload: Workload) -> Count:
    """Count `workload`. Conventions: docs/conventions.md."""
    params = dict.fromkeys(PARAMETER_ROLES, 0)
    for tensor in workload.parameters:
        params[tensor.role] += tensor.stored_elements
    rows = []
    seen: set[str] = set()
    for operator in workload.operators:
        own = 0
        for access in operator.inputs:
            tensor = _owner(workload, access.tensor)
            if tensor.role in PARAMETER_ROLES and tensor.name not in seen:
                seen.add(tensor.name)
                own += tensor.stored_elements
        rows.append(OperatorCount(operator, own, operator.total, workload.traffic(operator)))
    traffic = Traffic(
        sum(r.traffic.bytes_in for r in rows), sum(r.traffic.bytes_out for r in rows),
        sum(r.traffic.bytes_weights for r in rows),
    )  # fmt: skip
    by_role = {"weights": params["weight"], "biases": params["bias"], "norm": params["norm"],
               "embedding": params["embedding"]}  # fmt: skip
    totals = {"total": sum(by_role.values()), **by_role}
    return Count(workload, totals, workload.neurons, workload.work, traffic, tuple(rows))


def _owner(workload: Workload, name: str) -> Tensor:
    tensor = workload.tensors[name]
    return workload.tensors[tensor.base] if tensor.base else tensor
