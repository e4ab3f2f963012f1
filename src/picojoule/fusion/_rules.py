"""What each operator lets fusion do: element by element, by tiles, or not at all; and the order in which to look."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from picojoule.workload import Access, Operator, Workload
from picojoule.workload.ops import BINARY, UNARY

ACTIVATIONS: Final = frozenset((
    "relu", "relu6", "clip", "leaky_relu", "prelu", "elu", "selu", "celu", "sigmoid", "tanh", "gelu", "gelu_tanh",
    "quick_gelu", "silu", "mish", "softplus", "softsign", "hard_sigmoid", "hard_swish",
))  # fmt: skip
POINTWISE: Final = frozenset(UNARY) | frozenset(BINARY) | {"batch_norm", "where", "clip1"}
ROWS: Final = frozenset(("softmax", "log_softmax", "layer_norm", "rms_norm"))
PLANES: Final = frozenset(("group_norm", "instance_norm", "local_response_norm"))
TILED: Final = frozenset(("conv", "depthwise", "matmul", "pool", "reduce"))
MOVES: Final = frozenset(("transpose", "copy"))


def pointwise(operator: Operator) -> bool:
    """One element of the result needs one element of each operand."""
    return operator.op in POINTWISE and len(operator.outputs) == 1


def tiled(operator: Operator) -> bool:
    """A tile of the result needs a tile of each operand that the accesses tell."""
    known = operator.kind in TILED or operator.op in ROWS | PLANES | MOVES
    if len(operator.outputs) != 1 or any(not axis for axis in operator.outputs[0].axes):
        return False
    return (known and (operator.kind != "softmax" or _over_rows(operator))) or pointwise(operator)


def _over_rows(operator: Operator) -> bool:
    """Whether a softmax runs along the last axis: a row of D takes D - 1 compares."""
    elements = operator.outputs[0].elements
    rows = elements - dict(operator.work.special).get("compare", 0)
    (dim, _), *_ = operator.outputs[0].axes[-1]
    return rows * operator.extents[dim] == elements


def simple(workload: Workload, operator: Operator) -> bool:
    """An activation, a normalisation by stored statistics, or an addition of two results of one shape."""
    if operator.op in ACTIVATIONS or operator.op == "batch_norm":
        return True
    shapes = {workload.tensors[a.tensor].shape for a in (*operator.inputs, *operator.outputs)}
    return operator.op == "add" and len(operator.inputs) == 2 and len(shapes) == 1


@dataclass(frozen=True, slots=True)
class Sequence:
    """A workload in the order in which fusion looks at it, who writes each tensor and who reads it."""

    workload: Workload
    writer: Mapping[str, int]
    readers: Mapping[str, tuple[int, ...]]

    def root(self, access: Access) -> str:
        """The tensor that owns the storage."""
        return self.workload.tensors[access.tensor].root

    def bytes(self, access: Access) -> int:
        """Of one touch."""
        return self.workload.tensors[access.tensor].bytes_of(access.elements)


def sequence(workload: Workload) -> Sequence:
    """`workload` without pools that pool nothing, each operator as late as its reader lets it be."""
    bare = _without_idle_pools(workload)
    writers: dict[str, int] = {}
    for index, operator in enumerate(bare.operators):
        for access in operator.outputs:
            root = bare.tensors[access.tensor].root
            if root in writers:  # storage written in parts, as a cache: leave the order alone
                return _indexed(bare)
            writers[root] = index
    return _indexed(replace(bare, operators=tuple(bare.operators[i] for i in _late(bare, writers))))


def _indexed(workload: Workload) -> Sequence:
    writer: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    twice: set[str] = set()
    for index, operator in enumerate(workload.operators):
        for access in operator.inputs:
            readers.setdefault(workload.tensors[access.tensor].root, []).append(index)
        for access in operator.outputs:
            root = workload.tensors[access.tensor].root
            if root in writer:
                twice.add(root)
            writer[root] = index
    kept = {root: index for root, index in writer.items() if root not in twice}
    return Sequence(workload, kept, {root: tuple(found) for root, found in readers.items()})


def _late(workload: Workload, writers: Mapping[str, int]) -> list[int]:
    """Depth first from what nobody reads; of an operator's operands the one written last comes right before it."""
    needs = [
        sorted({writers[r] for a in o.inputs if (r := workload.tensors[a.tensor].root) in writers} - {index})
        for index, o in enumerate(workload.operators)
    ]
    read = {one for found in needs for one in found}
    order: list[int] = []
    seen: set[int] = set()
    for end in (i for i in range(len(needs)) if i not in read):
        stack = [(end, 0)]
        while stack:
            index, at = stack.pop()
            if index in seen:
                continue
            if at == len(needs[index]):
                seen.add(index)
                order.append(index)
            else:
                stack += [(index, at + 1), (needs[index][at], 0)]
    return order if len(order) == len(needs) else list(range(len(needs)))


def _without_idle_pools(workload: Workload) -> Workload:
    """Pools whose result is as large as what they read become views of it."""
    gone: dict[str, str] = {}  # what an idle pool writes, and what it reads
    kept: list[Operator] = []
    for operator in workload.operators:
        inputs = tuple(replace(a, tensor=gone.get(a.tensor, a.tensor)) for a in operator.inputs)
        written = operator.outputs[0].tensor if operator.outputs else ""
        idle = operator.kind == "pool" and inputs[0].elements == operator.outputs[0].elements
        if idle and written not in workload.outputs:
            gone[written] = inputs[0].tensor
        else:
            kept.append(replace(operator, inputs=inputs) if inputs != operator.inputs else operator)
    if not gone:
        return workload
    roots = {written: workload.tensors[read].root for written, read in gone.items()}
    tensors = {
        name: replace(tensor, base=roots[tensor.base]) if tensor.base in roots else tensor
        for name, tensor in workload.tensors.items()
        if name not in gone
    }
    return replace(workload, operators=tuple(kept), tensors=tensors)
