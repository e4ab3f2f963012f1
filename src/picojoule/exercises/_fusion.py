"""Fusion of normalisation, activation and residual addition into the layer before: bytes and time of both forms.

Unfused, every operator reads its inputs and its parameters once and writes its outputs once. Fused, a normalisation
folds into the weights of its layer and leaves one shift a channel, an activation moves nothing, an addition reads its
other operand only. A value may stay on chip if one operator alone reads it.

    t = sum over layers of max(MACs / ridge, bytes), in bytes of memory time; what moves no MACs takes its bytes. The
    other operand of a fused addition is read after the layer's products, so that its time is not hidden behind them.

Left out, as in the documents: indices of max pools, statistics that training saves, pools that pool nothing.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from picojoule.workload import Operator, Workload

ACTIVATIONS: Final = frozenset((
    "relu", "relu6", "clip", "leaky_relu", "prelu", "elu", "selu", "celu", "sigmoid", "tanh", "gelu", "gelu_tanh",
    "quick_gelu", "silu", "mish", "softplus", "softsign", "hard_sigmoid", "hard_swish",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moved:
    """What one layer, or one operator left alone, moves: `beside` its products and `after` them."""

    name: str
    macs: int
    beside: int
    after: int = 0

    @property
    def total(self) -> int:
        """All bytes."""
        return self.beside + self.after

    def time(self, ridge: float) -> float:
        """Time in bytes of a memory that feeds `ridge` MACs a byte."""
        return max(self.macs / ridge, self.beside) + self.after


def unfused(net: Workload) -> tuple[Moved, ...]:
    """Each operator by itself."""
    return tuple(Moved(o.name, o.total.macs, net.traffic(o).total) for o in _counted(net))


def fused(net: Workload) -> tuple[Moved, ...]:
    """Layers with what fuses into them, and the operators that do not fuse."""
    return tuple(_group(net, group) for group in groups(net))


def groups(net: Workload) -> list[list[Operator]]:
    """Operators that run as one, in order; the first of each is the layer."""
    readers = Counter(net.tensors[a.tensor].root for o in net.operators for a in o.inputs)
    found: list[list[Operator]] = []
    open_: dict[str, int] = {}  # results of layers that the next operator may still finish, by their layer's place
    for operator in _counted(net):
        roots = [net.tensors[a.tensor].root for a in operator.inputs] if _fuses(net, operator) else []
        places = [open_[r] for r in roots if r in open_ and found[open_[r]][0].repeats == operator.repeats]
        place = max(places, default=len(found))  # of two branches the later layer
        if place == len(found):
            found.append([])
        found[place].append(operator)
        for root in (net.tensors[a.tensor].root for a in operator.outputs):
            open_.pop(root, None)
            if net.bears_weights(found[place][0]) and readers[root] == 1 and root not in net.outputs:
                open_[root] = place
    return found


def _counted(net: Workload) -> Iterator[Operator]:
    return (o for o in net.operators if not (o.kind == "pool" and o.inputs[0].elements == o.outputs[0].elements))


def _fuses(net: Workload, operator: Operator) -> bool:
    return operator.op in ACTIVATIONS or operator.op == "batch_norm" or _residual(net, operator)


def _residual(net: Workload, operator: Operator) -> bool:
    """An addition of two results of one shape."""
    operands = [net.tensors[access.tensor] for access in operator.inputs]
    same = {operand.shape for operand in operands} | {net.tensors[a.tensor].shape for a in operator.outputs}
    return operator.op == "add" and len(operands) == 2 and len(same) == 1


def _group(net: Workload, group: list[Operator]) -> Moved:
    layer, last = group[0], group[-1]
    if len(group) == 1:
        return Moved(layer.name, layer.total.macs, net.traffic(layer).total)
    made = {net.tensors[a.tensor].root for o in group for a in o.outputs}
    first, end = net.traffic(layer), net.traffic(last)
    beside = first.bytes_in + first.bytes_weights + end.bytes_out + _shifts(net, group)
    after = 0
    for operator in group[1:]:
        others = [a for a in operator.inputs if net.tensors[a.tensor].root not in made and operator.op != "batch_norm"]
        after += sum(net.tensors[a.tensor].bytes_of(a.elements) for a in others) * operator.repeats
    return Moved(layer.name, sum(o.total.macs for o in group), beside, after)


def _shifts(net: Workload, group: list[Operator]) -> int:
    """Bytes of the shift that folded normalisations leave; a layer that has a bias already takes it in there."""
    layer = group[0]
    if any(net.tensors[a.tensor].role == "bias" for a in layer.inputs):
        return 0
    for operator in group[1:]:
        if operator.op == "batch_norm":
            channels = operator.inputs[-1].elements  # its variances
            return net.tensors[layer.outputs[0].tensor].bytes_of(channels) * operator.repeats
    return 0
