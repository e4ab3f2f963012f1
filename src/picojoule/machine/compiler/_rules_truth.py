"""Comparisons, truth values and choices. A truth value is a float32 of 0 or 1 on the processor; the host sees a bool.

The vector unit compares nothing, but min(max(d·2²⁰⁰, 0), 1) is 1 for every d above 0, the smallest included, and 0 for
others. A choice between a and b by c: with u = (2c - 1)·∞, max(min(a, u), min(b, -u)) is the chosen one to the bit.
NaN compares, and is chosen against, as NaN; infinite numbers compare as the largest finite ones.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from ._graph import Array, Node, scalar
from ._kernel import Body
from ._select import Selector, UnsupportedError, apply

Value = int | float
_HUGE: Final = 2.0**100
_MOST: Final = float(np.finfo(np.float32).max)


def _above(body: Body, d: int) -> int:
    """1 where d is above 0."""
    for _ in range(2):
        d = body.step("mul", d, imm=_HUGE)
    return body.step("min", body.step("max", d, imm=0.0), imm=1.0)


def _not(body: Body, x: int) -> int:
    return body.step("add", body.step("mul", x, imm=-1.0), imm=1.0)


def _finite(body: Body, x: Value) -> Value:
    if isinstance(x, float):
        return min(_MOST, max(-_MOST, x))
    return body.step("max", body.step("min", x, imm=_MOST), imm=-_MOST)


def _less(body: Body, a: Value, b: Value) -> int:
    """b - a of finite numbers."""
    return apply(body, "sub", _finite(body, b), _finite(body, a))


def _magnitude(body: Body, x: int) -> int:
    return body.step("max", body.step("mul", x, imm=-1.0), x)


Pair = Callable[[Body, Value, Value], int]
PAIRS: Final[dict[str, Pair]] = {
    "Less": lambda body, a, b: _above(body, _less(body, a, b)),
    "Greater": lambda body, a, b: _above(body, _less(body, b, a)),
    "LessOrEqual": lambda body, a, b: _not(body, _above(body, _less(body, b, a))),
    "GreaterOrEqual": lambda body, a, b: _not(body, _above(body, _less(body, a, b))),
    "Equal": lambda body, a, b: _not(body, _above(body, _magnitude(body, _less(body, a, b)))),
    "And": lambda body, a, b: apply(body, "mul", a, b),
    "Or": lambda body, a, b: apply(body, "max", a, b),
    "Xor": lambda body, a, b: _magnitude(body, apply(body, "sub", a, b)),
}  # fmt: skip


def pairs(selector: Selector, node: Node) -> None:
    """Two operands, broadcast."""
    fn = PAIRS[node.op]
    if all(name in selector.graph.constants for name in node.inputs) or "broadcast" in node.attributes:
        raise UnsupportedError("all its inputs are constants, or it broadcasts as before operator set 7")
    selector.elementwise(node, node.inputs, lambda body, r: fn(body, r[0], r[1]))


def negation(selector: Selector, node: Node) -> None:
    """1 - x."""
    selector.elementwise(node, node.inputs, lambda body, r: _not(body, _register(r[0])))


def _register(value: Value) -> int:
    assert isinstance(value, int)
    return value


def where(selector: Selector, node: Node) -> None:
    """The second input where the first is true, else the third."""
    graph = selector.graph
    if graph.dtypes.get(node.outputs[0]) not in ("float32", "bool"):
        raise UnsupportedError(f"it chooses among {graph.dtypes.get(node.outputs[0])}")
    known = graph.constants.get(node.inputs[0])
    if known is not None:
        _chosen(selector, node, np.asarray(known, np.bool_))
        return

    def emit(body: Body, r: Sequence[Value]) -> int:
        c, a, b = r
        up = body.step("mul", body.step("add", body.step("mul", _register(c), imm=2.0), imm=-1.0), imm=float("inf"))
        down = body.step("mul", up, imm=-1.0)
        return apply(body, "max", apply(body, "min", a, up), apply(body, "min", b, down))

    selector.elementwise(node, node.inputs, emit)


def _chosen(selector: Selector, node: Node, known: Array) -> None:
    """A constant condition: bounds that leave a number as it is, or replace it."""
    graph = selector.graph
    for at, keep in ((1, known), (2, np.logical_not(known))):
        other = scalar(graph, node.inputs[3 - at])
        if other is not None and node.inputs[at] not in graph.constants:
            _bounded(selector, node, node.inputs[at], keep, other)
            return
    raise UnsupportedError("its condition is a constant, and none of the others one number")


def _bounded(selector: Selector, node: Node, name: str, keep: Array, other: float) -> None:
    """x where `keep`, else a number: max(min(x, high), low)."""
    made = []
    for end, sign in (("high", 1.0), ("low", -1.0)):
        bound = f"{node.name}!{end}"
        array = np.where(keep, sign * np.inf, other).astype(np.float32)
        selector.graph.constants[bound] = array  # type: ignore[index]
        selector.graph.shapes[bound] = array.shape  # type: ignore[index]
        made.append(bound)
    selector.elementwise(node, (name, *made), lambda body, r: apply(body, "max", apply(body, "min", r[0], r[1]), r[2]))


def trilu(selector: Selector, node: Node) -> None:
    """The upper or lower triangle of matrices, zeros elsewhere."""
    shape = selector.graph.shape(node.inputs[0])
    k = scalar(selector.graph, node.input(1)) if node.input(1) else 0.0
    if k is None:
        raise UnsupportedError("its diagonal is no constant")
    ones = np.ones(shape[-2:], np.bool_)
    keep = np.triu(ones, int(k)) if node.attributes.get("upper", 1) else np.tril(ones, int(k))
    _bounded(selector, node, node.inputs[0], keep, 0.0)


def cast(selector: Selector, node: Node) -> None:
    """Between float32 and truth values; whole numbers that the host hands over become float32."""
    graph, name = selector.graph, node.inputs[0]
    own, wanted = graph.dtypes.get(name), graph.dtypes.get(node.outputs[0])
    if wanted not in ("float32", "bool") or name in graph.constants:
        raise UnsupportedError(f"it makes {wanted}, or works on a constant")
    if own not in ("float32", "bool"):
        if own not in ("int64", "int32") or name not in graph.inputs:
            raise UnsupportedError(f"{name} is {own}, and no input of the network")
        name = selector.number(name)
    if wanted == "float32" or own == "bool":
        selector.bind(node.outputs[0], "plain", selector.value(name))
        return
    selector.elementwise(node, (name,), lambda body, r: _above(body, _magnitude(body, _register(r[0]))))
