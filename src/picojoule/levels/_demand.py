"""What one operator asks of any machine: work by sort, bytes by role. Equal demands are evaluated once."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from picojoule.workload import BITS, PARAMETER_ROLES, Operator, Workload

from ._hierarchy import Bits

if TYPE_CHECKING:
    from picojoule.machine.compiler import Lone
    from picojoule.mapping import Problem


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
    problem: "Problem | None" = None  # the contraction, where a level asks for it; `unmappable` says why there is none
    bits: Bits | None = None
    left_bytes: int = 0  # read once beside the contraction's own operands: a bias
    unmappable: str = ""
    lone: "Lone | None" = None  # the operator as a program's whole, where level `simulated` asks for it

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


def contraction(workload: Workload, operator: Operator) -> Demand:
    """As `demand`, with the contraction inside an operator that does MACs."""
    asked = demand(workload, operator)
    if not operator.work.macs:
        return asked
    from picojoule.mapping import UnmappableError, problem_of

    try:
        problem = problem_of(operator)
    except UnmappableError as refusal:
        return replace(asked, unmappable=str(refusal).removeprefix(f"{operator.name}: "))
    tensors = [workload.tensors[access.tensor] for access in (*operator.inputs[:2], operator.outputs[0])]
    left = [workload.tensors[a.tensor].bytes_of(a.elements) for a in operator.inputs[2:]]
    bits = Bits(*(BITS[tensor.dtype] for tensor in tensors))
    return replace(asked, problem=problem.shape, bits=bits, left_bytes=sum(left))


def program(workload: Workload, operator: Operator) -> Demand:
    """As `contraction`, with what a compiler needs of the operator."""
    from picojoule.machine.compiler import lone

    asked = contraction(workload, operator)
    if asked.dtype != "float32":
        return replace(asked, unmappable=f"programs of single operators are in float32, this is in {asked.dtype}")
    found = lone(workload, operator)
    return replace(asked, unmappable=found) if isinstance(found, str) else replace(asked, lone=found)


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
