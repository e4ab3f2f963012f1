"""Backward of contractions: the same multiply-adds, summed into another operand."""

import math
from typing import Final

from picojoule.workload import Work

from ._draft import Call, Draft, Rule, into

_BIASED: Final = ("input", "weight", "bias")
_PAIR: Final = ("left", "right")


def _products(call: Call, names: tuple[str, ...]) -> list[Draft]:
    """dA[a] = Σ dY[y] · B[b] over the forward index space: its MACs, and MACs - elements of dA additions.

    A bias is the sum of dY over all other axes: elements of dY - elements of the bias additions.
    """
    o = call.operator
    made: list[Draft] = []
    for place in call.wanted:
        x, access = call.inputs[place], o.inputs[place]
        name = f"{o.op}_backward_{names[min(place, len(names) - 1)]}"
        if place == 2:
            work = Work.of(adds=max(0, call.out.elements - x.elements))
            space = tuple(dim for dim in o.space if dim[0] in call.grad_dims)
            made.append(Draft(name, "reduce", space, (call.grad,), (into(call, place),), work))
            continue
        macs = o.work.macs
        work = Work.of(macs=macs, muls=macs, adds=max(0, macs - x.elements)) if macs else _outer(call)
        others = tuple(call.input(other) for other in range(len(o.inputs)) if other not in (place, 2))
        write = into(call, place, offsets=access.offsets)
        made.append(Draft(name, o.kind, o.space, (call.grad, *others), (write,), work))
    return made


def _outer(call: Call) -> Work:
    """An einsum that sums nothing forward: one multiplication a point, the sums of its gradient."""
    points = math.prod(extent for _, extent in call.operator.space)
    return Work.of(muls=points)


def _layer(call: Call) -> list[Draft]:
    return _products(call, _BIASED)


def _pair(call: Call) -> list[Draft]:
    return _products(call, _PAIR)


def _einsum(call: Call) -> list[Draft]:
    """Two operands as any product; one operand only spreads its gradient over what was summed."""
    if len(call.inputs) == 1:
        return [Draft("einsum_backward", "move", call.operator.space, (call.grad,), (into(call, 0),), Work())]
    return _pair(call)


_CONVOLUTIONS: Final = [f"conv{kind}{rank}d" for kind in ("", "_transpose") for rank in (1, 2, 3)]
RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys([*_CONVOLUTIONS, "linear", "gemm", "grouped_matmul"], _layer),
    **dict.fromkeys(["matmul", "attention_scores", "attention_values", "state_output", "chunk_product"], _pair),
    "einsum": _einsum,
}
