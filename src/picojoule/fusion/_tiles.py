"""One tile of the last result, and the boxes of every tensor that it needs.

A box tells how many consecutive elements of each axis. Going backwards, an operator's dimensions sweep what its result's
box asks for, dimensions that the result does not have sweep all, and Access.footprint turns them into the operands'
boxes. A tensor that several operators of the group read takes the largest box.
"""

import math
from collections.abc import Mapping, Sequence

from picojoule.workload import Access, Operator, Tensor

from ._rules import PLANES, ROWS

Box = tuple[int, ...]


def boxes(
    operators: Sequence[Operator], tensors: Mapping[str, Tensor], made: Mapping[str, int], tile: Box
) -> tuple[dict[str, Box], dict[tuple[int, int], Box]]:
    """Boxes of what the group makes, by root, and of every operand that it does not make, by operator and place."""
    last = len(operators) - 1
    wanted: dict[str, Box] = {tensors[operators[last].outputs[0].tensor].root: tile}
    outer: dict[tuple[int, int], Box] = {}
    for index in range(last, -1, -1):
        operator = operators[index]
        written = tensors[operator.outputs[0].tensor]
        sweep = _sweep(operator, _reshaped(wanted[written.root], tensors[written.root], written))
        for place, access in enumerate(operator.inputs):
            tensor = tensors[access.tensor]
            box = _footprint(access, tensor, sweep)
            if tensor.root not in made:
                outer[index, place] = box
                continue
            need = _reshaped(box, tensor, tensors[tensor.root])
            before = wanted.get(tensor.root)
            wanted[tensor.root] = need if before is None else tuple(map(max, need, before))
    return wanted, outer


def _footprint(access: Access, tensor: Tensor, sweep: Mapping[str, int]) -> Box:
    """The box of one operand; each axis no more than the tensor has."""
    box = []
    for axis, size in zip(access.axes, tensor.shape, strict=True):
        span = 1
        for dim, stride in axis:
            span += stride * (sweep[dim] - 1)
        box.append(min(size, span))
    return tuple(box)


def _sweep(operator: Operator, box: Box) -> dict[str, int]:
    """How far each dimension runs to make `box` of the result."""
    extents = operator.extents
    sweep = dict(extents)
    for axis, size in zip(operator.outputs[0].axes, box, strict=True):
        left = size
        for dim, _ in axis if len(axis) == 1 else sorted(axis, key=lambda pair: pair[1]):
            sweep[dim] = min(extents[dim], max(1, left))
            left = -(-left // extents[dim])
    axes = operator.outputs[0].axes
    if operator.op in ROWS:
        whole = {dim for access in operator.inputs[1:] for dim in access.dims} | {dim for dim, _ in axes[-1]}
    elif operator.op in PLANES:
        whole = {dim for axis in axes[1:] for dim, _ in axis}
    else:
        whole = set()
    return sweep | {dim: extents[dim] for dim in whole}


def _reshaped(box: Box, given: Tensor, wanted: Tensor) -> Box:
    """`box` of one view of a tensor as a box of another: exact for runs of rows, else all of it."""
    if given.shape == wanted.shape:
        return box
    if box == given.shape or given.elements != wanted.elements or not _run(box, given.shape):
        return wanted.shape
    left, out = math.prod(box), []
    for size in reversed(wanted.shape):
        if left % size == 0:
            out.append(size)
            left //= size
        elif size % left == 0:
            out.append(left)
            left = 1
        else:  # the run may begin in the middle of a row
            out.append(size)
            left = -(-left // size) + 1
    return tuple(reversed(out))


def _run(box: Box, shape: Sequence[int]) -> bool:
    """Whether the box is consecutive in memory: single, then some of one axis, then whole axes."""
    at = next((i for i, size in enumerate(box) if size != 1), len(box))
    return all(size == full for size, full in zip(box[at + 1 :], shape[at + 1 :], strict=True))
