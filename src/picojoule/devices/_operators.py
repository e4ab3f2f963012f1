"""A workload as calls of operator classes: what `total` needs to time a whole network.

A product's sizes follow from which operands a dimension indexes: both and the result, batch; the first and the result, m;
the second and the result, n; both but not the result, k. A convolution of square images and kernels is a convolution,
any other the product that it implicitly is. Everything else moves its bytes. Operators run one by one, unfused; a fused
attention is a call of its own, which the caller writes instead of the two products and the softmax.
"""

import math
from typing import Final

from picojoule.workload import Operator, Workload

from ._predict import Call

_SORTS: Final = {
    "norm": "norm",
    "softmax": "softmax",
    "activation": "activation",
    "elementwise": "addition",
    "reduce": "norm",
}
_FORMATS: Final = {"float64": "float32", "tfloat32": "tfloat32"}
_KNOWN: Final = frozenset({"float32", "tfloat32", "float16", "bfloat16", "float8", "float4", "int8"})


def calls(workload: Workload) -> tuple[tuple[Operator, Call], ...]:
    """Every operator that does work, with its call. Views and what moves nothing are left out."""
    found = []
    for operator in workload.operators:
        call = _call(workload, operator)
        if call is not None:
            found.append((operator, call))
    return tuple(found)


def _call(workload: Workload, operator: Operator) -> Call | None:
    dtype = dtype_of(workload, operator)
    if operator.total.macs and len(operator.inputs) >= 2:
        if operator.kind in ("conv", "depthwise"):
            square = _square(workload, operator)
            if square is not None:
                return Call("convolution", square, dtype, operator.repeats)
        return Call("gemm", product(operator), dtype, operator.repeats)
    traffic = workload.traffic(operator)
    if not traffic.total:
        return None
    lines = operator.points // (operator.space[-1][1] if operator.space else 1)
    rows = {"bytes": traffic.total / operator.repeats, "rows": float(max(1, lines))}
    return Call("stream", rows, dtype, operator.repeats, sort=_SORTS.get(operator.kind))


def product(operator: Operator) -> dict[str, float]:
    """m, n, k and batch of a contraction; a dimension that only one operand knows is summed alone, into k."""
    first, second = (access.dims for access in operator.inputs[:2])
    out = frozenset().union(*(access.dims for access in operator.outputs))
    sizes = {"m": 1, "n": 1, "k": 1, "batch": 1}
    for dimension, extent in operator.space:
        in_first, in_second, in_out = dimension in first, dimension in second, dimension in out
        if in_out and in_first == in_second:
            sizes["batch"] *= extent
        elif in_out:
            sizes["m" if in_first else "n"] *= extent
        else:
            sizes["k"] *= extent
    return {name: float(size) for name, size in sizes.items()}


def _square(workload: Workload, operator: Operator) -> dict[str, float] | None:
    """Columns of a convolution of square images, kernels, strides and padding; None for any other."""
    extents = operator.extents
    images = [
        a
        for a in (*operator.inputs, *operator.outputs)
        if len(a.axes) == 4 and {"p0", "r0"} <= {d for d, _ in a.axes[2]}
    ]
    if set(extents) != {"b", "g", "m", "c", "p0", "p1", "r0", "r1"} or not images:
        return None
    image = images[0]  # of a backward pass it is the result, or the first operand
    shape = workload.tensors[image.tensor].shape
    strides = [dict(axis) for axis in image.axes[2:]]
    if any(set(s) != {f"p{i}", f"r{i}"} or s[f"r{i}"] != 1 for i, s in enumerate(strides)):
        return None
    offsets = [-o for o in image.offsets[2:]] if image.offsets else [0, 0]
    pairs = (
        shape[2:],
        (extents["p0"], extents["p1"]),
        (extents["r0"], extents["r1"]),
        offsets,
        (strides[0]["p0"], strides[1]["p1"]),
    )
    if any(a != b for a, b in pairs) or offsets[0] < 0:
        return None
    size, kernel, stride, padding = int(shape[2]), extents["r0"], strides[0]["p0"], offsets[0]
    if math.floor((size + 2 * padding - kernel) / stride) + 1 != extents["p0"]:
        return None
    return {"batch": float(extents["b"]), "cin": float(extents["c"] * extents["g"]), "cout": float(extents["m"] * extents["g"]),
            "kernel": float(kernel), "size": float(size), "stride": float(stride), "padding": float(padding),
            "groups": float(extents["g"])}  # fmt: skip


def dtype_of(workload: Workload, operator: Operator) -> str:
    """The number format that laws know: of the widest floating-point operand, else of the first operand."""
    reads = [workload.tensors[access.tensor].dtype for access in (*operator.inputs, *operator.outputs)]
    floats = [d for d in reads if "float" in d]
    named = max(floats or reads[:1] or ["float32"], key=lambda d: int("".join(c for c in d if c.isdigit()) or 0))
    named = _FORMATS.get(named, named)
    return named if named in _KNOWN else ("int8" if named.startswith(("int", "uint", "bool")) else "float32")
