"""One operator of a workload as a network of its own, for its time: what it computes with is zero."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from picojoule.quantity import InputError
from picojoule.workload import PARAMETER_ROLES, Access, Operator, Workload

from .._machine import Machine
from ._compiled import Timing
from ._graph import Array, Graph, Node, Shape
from ._kernel import Cpu
from ._pipeline import compile_graph

LARGEST: Final = 1 << 28  # elements of one operator's tensors
UNARY: Final = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "gelu": "Gelu", "exp": "Exp", "sqrt": "Sqrt",
                "abs": "Abs", "neg": "Neg", "erf": "Erf", "relu6": "Clip",
                "silu": "Swish", "softplus": "Softplus", "hard_swish": "HardSwish", "hard_sigmoid": "HardSigmoid",
                "elu": "Elu", "celu": "Celu", "selu": "Selu", "mish": "Mish", "log": "Log", "softsign": "Softsign"}  # fmt: skip
POWERS: Final = {"square": 2.0, "cube": 3.0, "rsqrt": -0.5}
PAIRS: Final = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "add_scalar": "Add", "mul_scalar": "Mul"}


@dataclass(frozen=True, slots=True)
class Lone:
    """An operator apart from its network: ONNX's name, shapes of its inputs and constants, attributes, result.

    Images stand channels last, as the processor keeps them between layers. `numbers` are constants of one element behind
    the others; `indices` says that the last input is numbers of rows.
    """

    op: str
    inputs: tuple[Shape, ...]
    constants: tuple[Shape, ...]
    output: Shape
    attributes: tuple[tuple[str, Any], ...] = ()
    image: bool = False
    numbers: tuple[float, ...] = ()
    indices: bool = False

    def graph(self) -> Graph:
        """The network of this operator alone."""
        given = tuple(f"x{i}" for i in range(len(self.inputs)))
        shapes: dict[str, Shape] = {"y": self.output, **dict(zip(given, self.inputs, strict=True))}
        constants: dict[str, Array] = {f"w{i}": np.zeros(shape, np.float32) for i, shape in enumerate(self.constants)}
        constants |= {f"n{i}": np.array([number], np.float32) for i, number in enumerate(self.numbers)}
        shapes |= {name: array.shape for name, array in constants.items()}
        nodes = [Node(self.op, "lone", (*given, *constants), ("y",), dict(self.attributes))]
        inputs, output = given, "y"
        if self.image:
            inputs, output = ("stored", *given[1:]), "kept"
            nodes = [
                _turn("stored", "x0", len(self.inputs[0]), back=True),
                *nodes,
                _turn("y", "kept", len(self.output)),
            ]
            shapes |= {"stored": _last(self.inputs[0]), "kept": _last(self.output)}
        dtypes = dict.fromkeys(shapes, "float32") | ({given[-1]: "int64"} if self.indices else {})
        return Graph("lone", tuple(nodes), inputs, (output,), constants, shapes, dtypes, _never)


def _never(node: Node, _: Sequence[Array | None]) -> list[Array]:
    raise InputError(f"{node.op} was asked for values", expected="its time alone")


def _last(shape: Shape) -> Shape:
    return (shape[0], *shape[2:], shape[1])


def _turn(source: str, target: str, rank: int, *, back: bool = False) -> Node:
    order = (0, rank - 1, *range(1, rank - 1)) if back else (0, *range(2, rank), 1)
    return Node("Transpose", f"turn {target}", (source,), (target,), {"perm": list(order)})


def lone(workload: Workload, operator: Operator) -> Lone | str:
    """The operator alone, or why it cannot be taken apart."""
    rule = _rule(operator)
    if rule is None:
        return f"the processor has no rule for {operator.op}"
    found = rule(workload, operator)
    if isinstance(found, str):
        return found
    if sum(map(prod, (*found.inputs, *found.constants, found.output))) > LARGEST:
        return f"its tensors have more than {LARGEST:,} elements"
    return found


def _rule(operator: Operator) -> "Callable[[Workload, Operator], Lone | str] | None":
    if operator.kind in ("conv", "depthwise"):
        return _conv
    if operator.kind == "conv_transpose":
        return _conv_transpose
    if operator.kind == "matmul":
        return _product
    return RULES.get(operator.op)


def _shape(workload: Workload, access: Access) -> Shape:
    return workload.tensors[access.tensor].shape


def _constant(workload: Workload, access: Access) -> bool:
    return workload.tensors[access.tensor].role in (*PARAMETER_ROLES, "buffer", "constant")


def _window(workload: Workload, operator: Operator) -> dict[str, list[int]] | str:
    """Strides, dilations, pads and sizes of the sliding axes of the first input."""
    access, extents = operator.inputs[0], operator.extents
    shape = _shape(workload, access)
    strides, dilations, before, after, sizes = [], [], [], [], []
    for at in range(2, len(shape)):
        steps = dict(access.axes[at])
        position, tap = f"p{at - 2}", f"r{at - 2}"
        if not {position, tap} <= {*steps, *extents}:
            return "its windows are not regular"
        stride, dilation = steps.get(position, 1), steps.get(tap, 1)
        pad = -(access.offsets[at] if access.offsets else 0)
        span = (extents[position] - 1) * stride + (extents[tap] - 1) * dilation + 1
        if pad < 0:
            return "it has negative pads"
        strides.append(stride)
        dilations.append(dilation)
        before.append(pad)
        after.append(max(0, span - shape[at] - pad))
        sizes.append(extents[tap])
    return {"strides": strides, "dilations": dilations, "pads": [*before, *after], "kernel_shape": sizes}


def _frozen(attributes: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in attributes.items())


def _conv(workload: Workload, operator: Operator) -> Lone | str:
    window = _window(workload, operator)
    if isinstance(window, str):
        return window
    x, w, *more = operator.inputs
    if not _constant(workload, w):
        return "its weights are no parameter"
    shape, out = _shape(workload, x), _shape(workload, operator.outputs[0])
    if len(shape) not in (3, 4, 5) or len(out) != len(shape):
        return f"it has {len(shape) - 2} spatial axes"
    constants = (_shape(workload, w), *(_shape(workload, a) for a in more))
    return Lone(
        "Conv", (shape,), constants, out, _frozen({**window, "group": operator.extents.get("g", 1)}), image=True
    )


def _conv_transpose(workload: Workload, operator: Operator) -> Lone | str:
    """Output o of an axis is p·stride + r·dilation - pad."""
    x, w, *more = operator.inputs
    if not _constant(workload, w):
        return "its weights are no parameter"
    shape, access = _shape(workload, x), operator.outputs[0]
    out = _shape(workload, access)
    strides, dilations, pads, left = [], [], [], []
    for at in range(2, len(shape)):
        steps, size = dict(access.axes[at]), _shape(workload, w)[at]
        position, tap = f"p{at - 2}", f"r{at - 2}"
        if not {position, tap} <= {*steps}:
            return "its windows are not regular"
        pad = -(access.offsets[at] if access.offsets else 0)
        end = (
            (shape[at] - 1) * steps[position] + (size - 1) * steps[tap] + 1 - pad - out[at]
        )  # cut off, or below 0: added
        strides.append(steps[position])
        dilations.append(steps[tap])
        pads.append((pad, max(0, end)))
        left.append(max(0, -end))
    if len(shape) not in (3, 4) or min(pad for pair in pads for pad in pair) < 0:
        return f"it has {len(shape) - 2} spatial axes, or negative pads"
    given = {"strides": strides, "dilations": dilations, "pads": [*(a for a, _ in pads), *(b for _, b in pads)],
             "output_padding": left, "group": operator.extents.get("g", 1)}  # fmt: skip
    constants = (_shape(workload, w), *(_shape(workload, a) for a in more))
    return Lone("ConvTranspose", (shape,), constants, out, _frozen(given), image=True)


def _power(workload: Workload, operator: Operator) -> Lone | str:
    shape = _shape(workload, operator.outputs[0])
    return Lone("Pow", (shape,), (), shape, numbers=(POWERS[operator.op],)) if shape else "it is a number"


def _transpose(workload: Workload, operator: Operator) -> Lone | str:
    own, out = operator.inputs[0], operator.outputs[0]
    before, after = ([axis[0][0] for axis in one.axes if len(axis) == 1] for one in (own, out))
    shape = _shape(workload, own)
    if sorted(before) != sorted(after) or len(set(before)) < len(shape) or own.offsets or out.offsets:
        return "it does more than move axes"
    order = tuple(before.index(name) for name in after)
    return Lone("Transpose", (shape,), (), tuple(shape[i] for i in order), (("perm", order),))


def _concat(workload: Workload, operator: Operator) -> Lone | str:
    out = _shape(workload, operator.outputs[0])
    shapes = [_shape(workload, access) for access in operator.inputs]
    axes = [i for i, size in enumerate(out) if any(len(s) != len(out) or s[i] != size for s in shapes)]
    if len(axes) != 1 or any(_constant(workload, access) for access in operator.inputs):
        return "its inputs do not lie side by side along one axis"
    if sum(shape[axes[0]] for shape in shapes) != out[axes[0]]:
        return "its inputs do not make its output"
    return Lone("Concat", tuple(shapes), (), out, (("axis", axes[0]),))


def _lookup(workload: Workload, operator: Operator) -> Lone | str:
    if len(operator.inputs) != 2:
        return "it has not a table and indices"
    table, wanted = (_shape(workload, access) for access in operator.inputs)
    out = _shape(workload, operator.outputs[0])
    if len(table) < 2 or out != (*wanted, *table[1:]):
        return "it does not choose rows"
    return Lone("Gather", (table, wanted), (), out, indices=True)


def _product(workload: Workload, operator: Operator) -> Lone | str:
    """Rows, columns and sums of a matrix product from its axes."""
    if len(operator.inputs) < 2 or operator.work.macs != operator.points:
        return "it is no product of two matrices"
    a, b, *more = operator.inputs
    y = operator.outputs[0]
    size = operator.extents
    batch = [d for d in size if d in a.dims and d in b.dims and d in y.dims]
    rows = [d for d in size if d in a.dims and d in y.dims and d not in b.dims]
    columns = [d for d in size if d in b.dims and d in y.dims and d not in a.dims]
    sums = [d for d in size if d in a.dims and d in b.dims and d not in y.dims]
    if len(batch) + len(rows) + len(columns) + len(sums) != len(size):
        return "an operand has a dimension of its own"
    g, m, n, k = (prod(size[d] for d in dims) for dims in (batch, rows, columns, sums))
    if g == 1 and _constant(workload, b):
        bias = tuple((n,) for access in more if _shape(workload, access) == (n,))
        if len(bias) != len(more) or len(more) > 1:
            return "it adds more than a bias"
        return Lone("Gemm", ((m, k),), ((k, n), *bias), (m, n))
    if more:
        return "it adds to a product of two activations"
    return Lone("MatMul", ((g, m, k), (g, k, n)), (), (g, m, n))


def _unary(workload: Workload, operator: Operator) -> Lone | str:
    shape = _shape(workload, operator.outputs[0])
    if len(operator.inputs) != 1 or _shape(workload, operator.inputs[0]) != shape:
        return "its input has another shape"
    bounds = (("min", 0.0), ("max", 6.0)) if operator.op == "relu6" else ()
    return Lone(UNARY[operator.op], (shape,), (), shape, bounds)


def _pair(workload: Workload, operator: Operator) -> Lone | str:
    shape = _shape(workload, operator.outputs[0])
    given = [_shape(workload, access) for access in operator.inputs]
    if operator.op.endswith("_scalar"):
        return Lone(PAIRS[operator.op], tuple(given), ((1,),), shape) if len(given) == 1 else "it has several inputs"
    if len(given) != 2 or len({a.tensor for a in operator.inputs}) != 2:
        return "it has not two inputs"
    try:
        if np.broadcast_shapes(*given) != shape:
            return "its inputs do not make its output"
    except ValueError:
        return "its inputs cannot be broadcast"
    fixed = [_constant(workload, access) for access in operator.inputs]
    if fixed == [True, False] and PAIRS[operator.op] in ("Add", "Mul"):
        given, fixed = given[::-1], fixed[::-1]
    if fixed == [False, True]:
        return Lone(PAIRS[operator.op], (given[0],), (given[1],), shape)
    return "its first input is a parameter" if any(fixed) else Lone(PAIRS[operator.op], tuple(given), (), shape)


def _batch_norm(workload: Workload, operator: Operator) -> Lone | str:
    shape = _shape(workload, operator.outputs[0])
    if len(operator.inputs) != 5 or len(shape) < 3:
        return "it has no stored statistics"
    return Lone("BatchNormalization", (shape,), tuple((shape[1],) for _ in range(4)), shape, image=len(shape) in (3, 4))


def _layer_norm(workload: Workload, operator: Operator) -> Lone | str:
    shape = _shape(workload, operator.outputs[0])
    sizes = [_shape(workload, access) for access in operator.inputs[1:]]
    if not sizes or any(size != shape[-1:] for size in sizes):
        return "it is not along the last axis"
    return Lone("LayerNormalization", (shape,), tuple(sizes), shape, (("axis", -1),))


def _softmax(workload: Workload, operator: Operator) -> Lone | str:
    shape = _shape(workload, operator.outputs[0])
    return Lone("Softmax", (shape,), (), shape, (("axis", -1),)) if shape else "it is a number"


def _pool(op: str) -> "Callable[[Workload, Operator], Lone | str]":
    def rule(workload: Workload, operator: Operator) -> Lone | str:
        window = _window(workload, operator)
        if isinstance(window, str):
            return window
        shape, out = _shape(workload, operator.inputs[0]), _shape(workload, operator.outputs[0])
        return Lone(op, (shape,), (), out, _frozen(window), image=True)

    return rule


def _mean(workload: Workload, operator: Operator) -> Lone | str:
    shape, kept = _shape(workload, operator.inputs[0]), operator.outputs[0].dims
    axes = tuple(i for i, axis in enumerate(operator.inputs[0].axes) if axis and axis[0][0] not in kept)
    out = tuple(size for i, size in enumerate(shape) if i not in axes)
    return Lone("ReduceMean", (shape,), (), out, (("axes", axes), ("keepdims", 0)))


RULES: Final[Mapping[str, Callable[[Workload, Operator], Lone | str]]] = {
    **dict.fromkeys(UNARY, _unary), **dict.fromkeys(PAIRS, _pair), "batch_norm": _batch_norm, "layer_norm": _layer_norm,
    "softmax": _softmax, **dict.fromkeys(POWERS, _power), "transpose": _transpose, "concat": _concat, "embedding": _lookup,
    "gather": _lookup, "max_pool1d": _pool("MaxPool"), "max_pool3d": _pool("MaxPool"), "avg_pool1d": _pool("AveragePool"),
    "avg_pool3d": _pool("AveragePool"), "max_pool2d": _pool("MaxPool"), "avg_pool2d": _pool("AveragePool"), "mean": _mean,
}  # fmt: skip


def time_alone(one: Lone, machine: Machine) -> Timing | str:
    """Cycles and actions of one operator by its program, or why it has none."""
    compiled = compile_graph(one.graph(), machine)
    reasons = [step.reason for step in compiled.steps if isinstance(step, Cpu)]
    return reasons[0] if reasons else compiled.time()
