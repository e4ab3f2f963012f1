"""What ONNX Runtime runs as one operator on a CPU, found in a Workload without running anything.

Fused are: a bias into the product before it, and a scale into a product of two activations; a batch norm, an addition
and an activation function, in that order, into a convolution; an activation function into a product with weights;
the pieces of a layer norm, of GELU and of x · sigmoid(x) where they were written out; an addition of two activations
into the layer norm that alone reads it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from picojoule.workload import Access, Operator, Workload

CONVOLUTIONS: Final = ("conv", "pointwise", "thin", "grouped", "narrow", "depthwise")
PRODUCTS: Final = ("gemm", "gemv")
ACTIVATIONS: Final = ("relu", "clip", "relu6", "leaky_relu", "sigmoid", "tanh", "hard_sigmoid")
_POINTWISE: Final = ("elementwise", "activation", "reduce")
_LONGEST: Final = 16  # operators of a pattern: a layer norm with scale and shift has ten
_THIN: Final = 8  # fewer input channels than this are read as they lie
_BLOCK: Final = 16  # channels of one block of the blocked layout with 512-bit registers


@dataclass(slots=True)
class Group:
    """Operators that run as one, by their class. The first does the work, the last one's result is written."""

    kind: str
    operators: list[Operator] = field(default_factory=list)

    @property
    def last(self) -> Operator:
        """Whose result is the group's."""
        return self.operators[-1]


def groups(net: Workload) -> list[Group]:
    """All operators of `net`, each in one group, in an order in which they may run."""
    return _Grouping(net).run()


def kind_of(net: Workload, operator: Operator) -> str:
    """The class whose pace holds for an operator by itself; "" where none does."""
    if operator.kind == "matmul":
        return _product(net, operator)
    if operator.kind == "conv":
        kernel = math.prod(extent for dim, extent in operator.space if dim.startswith("r"))
        if operator.extents.get("g", 1) > 1:
            return "grouped" if operator.extents.get("c", 0) >= _BLOCK else "narrow"
        return "thin" if operator.extents.get("c", 0) < _THIN else "pointwise" if kernel == 1 else "conv"
    if operator.kind == "norm":
        named = {"layer_norm": "norm", "local_response_norm": "lrn", "batch_norm": "elementwise"}
        return named.get(operator.op, "")
    if operator.kind == "move":
        return "transpose" if operator.op == "transpose" else "copy"
    if operator.kind == "activation":
        return "activation" if operator.op in ("relu", "clip", "relu6", "leaky_relu") else "sigmoid"
    return operator.kind if operator.kind in ("depthwise", "pool", "softmax", "elementwise") else ""


def _product(net: Workload, operator: Operator) -> str:
    if not net.bears_weights(operator):
        return "batched"
    weights = max(access.elements for access in operator.inputs if net.tensors[access.tensor].role != "bias")
    return "gemv" if operator.work.macs <= weights else "gemm"


class _Grouping:
    """One pass over a network; `made` is the group that writes a tensor, `readers` the positions that read it."""

    def __init__(self, net: Workload) -> None:
        self.net, self.operators = net, net.operators
        self.kept = {net.tensors[name].root for name in net.outputs}
        self.readers: dict[str, list[int]] = {}
        for index, operator in enumerate(self.operators):
            for tensor in self._data(operator):
                self.readers.setdefault(tensor, []).append(index)
        self.made: dict[str, Group] = {}
        self.found: list[Group] = []

    def run(self) -> list[Group]:
        taken: set[int] = set()
        for index, operator in enumerate(self.operators):
            if index in taken:
                continue
            kind, members = self._pattern(index) or ("", [index])
            taken.update(members)
            self._place(kind, [self.operators[i] for i in members] if kind else [operator])
        return self.found

    def _place(self, kind: str, operators: list[Operator]) -> None:
        into = self._norm_of_a_sum(operators) if kind or operators[0].op == "layer_norm" else self._host(operators[0])
        if into is None:
            into = Group(kind or kind_of(self.net, operators[0]))
            self.found.append(into)
        into.operators.extend(operators)
        for access in operators[-1].outputs:
            self.made[self._root(access)] = into

    def _host(self, operator: Operator) -> Group | None:
        """The group before that takes `operator` in."""
        data = self._data(operator)
        for tensor in data:
            group = self.made.get(tensor)
            if group is not None and self._only_reader(tensor) and self._takes(group, operator, len(data)):
                return group
        return None

    @staticmethod
    def _takes(group: Group, operator: Operator, inputs: int) -> bool:
        done = [member.op for member in group.operators[1:]]
        acted = any(op in ACTIVATIONS for op in done)
        if group.kind in CONVOLUTIONS:
            if operator.op == "add" and operator.kind == "elementwise":
                return inputs == 2 and not acted and "add" not in done
            return inputs == 1 and (operator.op in ACTIVATIONS or operator.op == "batch_norm") and not acted
        if group.kind in PRODUCTS:
            return inputs == 1 and not acted and (operator.op in ACTIVATIONS or (operator.op == "add" and not done))
        return group.kind == "batched" and inputs == 1 and operator.op in ("mul", "div") and not done

    def _norm_of_a_sum(self, operators: list[Operator]) -> Group | None:
        """The addition of two activations that is read by this layer norm alone."""
        tensor = self._data(operators[0])[0] if self._data(operators[0]) else ""
        group = self.made.get(tensor)
        if group is None or group.kind != "elementwise" or len(group.operators) != 1 or tensor in self.kept:
            return None
        members = {id(operator) for operator in operators}
        if group.last.op != "add" or len(self._data(group.last)) != 2:
            return None
        if any(id(self.operators[i]) not in members for i in self.readers.get(tensor, [])):
            return None
        group.kind = "add_norm"
        return group

    def _pattern(self, start: int) -> tuple[str, list[int]] | None:
        """A layer norm or an activation function that was written out, beginning at position `start`."""
        data = self._data(self.operators[start])
        if self.operators[start].kind not in _POINTWISE or len(set(data)) != 1:
            return None
        for members in self._closed(start, data[0]):
            kind = self._recognised(members)
            if kind:
                return kind, self._with_scale(members)
        return None

    def _closed(self, start: int, source: str) -> Iterator[list[int]]:
        """Growing sets of pointwise operators that read `source` twice or more and leave through one result only."""
        members: list[int] = []
        inside: set[str] = set()
        for index in range(start, min(len(self.operators), start + _LONGEST)):
            operator = self.operators[index]
            data = set(self._data(operator))
            if not data & ({source} | inside):
                continue
            if operator.kind not in _POINTWISE or not data <= {source} | inside:
                if data & inside:
                    return
                continue
            members.append(index)
            result = self._root(operator.outputs[0])
            leaks = any(t in self.kept or not set(self.readers.get(t, [])) <= set(members) for t in inside)
            inside.add(result)
            if not leaks and sum(source in self._data(self.operators[i]) for i in members) >= 2:
                yield list(members)

    def _recognised(self, members: list[int]) -> str:
        operations = [self.operators[i].op for i in members]
        reductions = sum(self.operators[i].kind == "reduce" for i in members)
        if reductions >= 2 and "sqrt" in operations:
            return "norm"
        gates = [i for i, op in enumerate(operations) if op in ("erf", "tanh", "sigmoid")]
        if reductions or not gates:
            return ""
        gated = any(
            self.operators[i].op == "mul" and len(self._data(self.operators[i])) == 2 for i in members[gates[0] :]
        )
        return "gelu" if gated else ""

    def _with_scale(self, members: list[int]) -> list[int]:
        """The pattern with the multiplications and additions by parameters that follow it."""
        while True:
            result = self._root(self.operators[members[-1]].outputs[0])
            after = self.readers.get(result, [])
            if len(after) != 1 or result in self.kept:
                return members
            operator = self.operators[after[0]]
            if operator.kind != "elementwise" or operator.op not in ("mul", "add") or self._data(operator) != [result]:
                return members
            members = [*members, after[0]]

    def _only_reader(self, tensor: str) -> bool:
        return len(self.readers.get(tensor, [])) == 1 and tensor not in self.kept

    def _data(self, operator: Operator) -> list[str]:
        """The activations that it reads."""
        return [self._root(a) for a in operator.inputs if self.net.tensors[a.tensor].role in ("input", "activation")]

    def _root(self, access: Access) -> str:
        return self.net.tensors[access.tensor].root
