"""What one operator asks of any machine: work by sort, bytes by role. Equal demands are evaluated once."""

from dataclasses import dataclass

from picojoule.workload import PARAMETER_ROLES, Operator, Workload


@dataclass(frozen=True, slots=True)
class Demand:
    """`macs` and `others` are of all repeats, so are the bytes; `weight_bytes` is one pass over the parameters.

    `others` is the arithmetic outside dot products: multiplications and additions beyond those of the MACs, compares,
    exponentials, … `dtype` is the format of the arithmetic.
    """

    kind: str
    dtype: str
    macs: int
    others: tuple[tuple[str, int], ...]
    in_bytes: int
    out_bytes: int
    weight_bytes: int
    repeats: int
    operand_bits: int

    @property
    def idle(self) -> bool:
        """Nothing to compute and nothing to move: a view."""
        return not (self.macs or self.others or self.in_bytes or self.out_bytes or self.weight_bytes)


def demand(workload: Workload, operator: Operator) -> Demand:
    """The demand of `operator`."""
    traffic = workload.traffic(operator, weights_once=True)
    work = operator.total
    others = {"mul": work.muls - work.macs, "add": max(0, work.adds - work.macs), **dict(work.special)}
    dtype, bits = _arithmetic(workload, operator)
    return Demand(
        operator.kind, dtype, work.macs, tuple(sorted((k, n) for k, n in others.items() if n > 0)), traffic.bytes_in,
        traffic.bytes_out, traffic.bytes_weights, operator.repeats, bits,
    )  # fmt: skip


def _arithmetic(workload: Workload, operator: Operator) -> tuple[str, int]:
    """The dtype of the arithmetic and the bits of both operands of a MAC together.

    Floating point if any operand is, the widest of them; weights may be narrower (weight-only quantisation).
    """
    reads = [workload.tensors[access.tensor] for access in operator.inputs]
    if not reads:
        reads = [workload.tensors[access.tensor] for access in operator.outputs]
    floats = [t for t in reads if "float" in t.dtype]
    chosen = max(floats or reads[:2], key=lambda t: t.bytes_of(8), default=None)
    if chosen is None:
        return "float32", 64
    operands = [t.bytes_of(8) for t in reads if t.role in PARAMETER_ROLES or t.role in ("input", "activation")][:2]
    return chosen.dtype, sum(operands) if len(operands) == 2 else 2 * chosen.bytes_of(8)
