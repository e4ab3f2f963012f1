"""One table of backward rules, {op: rule}, and which of an operator's inputs a gradient can flow to."""

from typing import Final

from picojoule.workload import Operator, Tensor, is_float

from . import _contract, _move, _norm, _pointwise
from ._draft import Rule

RULES: Final[dict[str, Rule]] = {**_contract.RULES, **_pointwise.RULES, **_norm.RULES, **_move.RULES}

# Inputs beyond these places are statistics, indices or masks: no gradient flows to them.
_REACH: Final[dict[str, tuple[int, ...]]] = {
    **dict.fromkeys(["batch_norm", "batch_norm_train"], (0, 1, 2)),
    **dict.fromkeys(["embedding", "gather", "gather_elements", "gather_nd", "topk", "sort", "roi_pool"], (0,)),
    **dict.fromkeys(["resize", "warp", "dropout"], (0,)), "where": (1, 2), "grouped_matmul": (0, 1),
}  # fmt: skip


def stops(operator: Operator, out: Tensor) -> bool:
    """Whether no gradient flows back through `operator`: its result is an integer, or does not depend smoothly."""
    return operator.op in _move.STOPS or not is_float(out.dtype)


def reaches(op: str, place: int) -> bool:
    """Whether a gradient can flow from the result of `op` to its input `place`."""
    return place in _REACH.get(op, (place,))
