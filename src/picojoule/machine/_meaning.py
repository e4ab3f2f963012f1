"""What instructions do to bytes, in NumPy. Products and sums are rounded one by one, so tiling over k changes no bit."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

Bytes = NDArray[np.uint8]
View = Mapping[str, Bytes]  # the memories that one agent sees, by scope
Values = Mapping[str, int]
SCOPES: Final = ("dram", "sram", "nram", "wram")
NUMPY: Final = {name: np.dtype(name) for name in ("float32", "float16", "int8", "int16", "int32")}
SUMS: Final = {name: np.dtype("int32" if name.startswith("int") else "float32") for name in NUMPY}
_TYPES: Final = tuple(NUMPY)
FUNCTIONS: Final = (
    "add",
    "sub",
    "mul",
    "max",
    "min",
    "div",
    "relu",
    "exp",
    "tanh",
    "sigmoid",
    "copy",
    "fill",
    "quantise",
)
BINARY: Final = ("add", "sub", "mul", "max", "min", "div")
SPECIAL: Final = ("div", "exp", "tanh", "sigmoid")


def rows_of(memory: Bytes, start: int, rows: int, size: int, stride: int) -> Bytes:
    """A writable view of `rows` of `size` bytes, `stride` apart."""
    return np.lib.stride_tricks.as_strided(memory[start:], (rows, size), (stride, 1))


def move(view: View, v: Values) -> None:
    """Copy rows; `far` belongs to the outer of the two memories (of one memory: to the source)."""
    if v["decode"]:
        raise InputError("values of a compressed move are not modelled", where="move", expected="decode=0",
                         example="run it for its time alone: no inputs")  # fmt: skip
    outer, inner = sorted((v["src"], v["dst"]))
    far = rows_of(view[SCOPES[outer]], v["far"], v["rows"], v["bytes"], v["stride"] or v["bytes"])
    near = rows_of(view[SCOPES[inner]], v["near"], v["rows"], v["bytes"], v["bytes"])
    if v["src"] <= v["dst"]:
        near[:] = far
    else:
        far[:] = near


def typed(memory: Bytes, start: int, count: int, dtype: "np.dtype[Any]") -> NDArray[Any]:
    """`count` numbers from byte `start` on, aligned or not."""
    return memory[start : start + count * dtype.itemsize].view(dtype)


def mm(view: View, v: Values) -> None:
    """y = x·w or y += x·w, in order of k."""
    one, total = NUMPY[_TYPES[v["type"]]], SUMS[_TYPES[v["type"]]]
    m, k, n = v["m"], v["k"], v["n"]
    x = typed(view["nram"], v["x"], m * k, one).reshape(m, k).astype(total)
    w = typed(view["wram"], v["w"], k * n, one).reshape(k, n).astype(total)
    y = typed(view["nram"], v["y"], m * n, total).reshape(m, n)
    y[:] = product(x, w, y if v["acc"] else np.zeros((m, n), total))


def product(x: NDArray[Any], w: NDArray[Any], start: NDArray[Any]) -> NDArray[Any]:
    """start + x·w as the matrix unit rounds it: one product and one sum after the other, in order of k."""
    with np.errstate(all="ignore"):
        if x.dtype.kind == "i":
            return np.asarray(start + x @ w)  # whole numbers wrap alike in any order
        sums = start.copy()
        for k in range(x.shape[1]):
            sums += x[:, k : k + 1] * w[k : k + 1]
    return sums


_UNARY: Final[dict[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "relu": lambda a: np.maximum(a, a.dtype.type(0)),
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "copy": lambda a: a,
}
_PAIRS: Final[dict[str, Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum, "min": np.minimum,
}  # fmt: skip


def vec(view: View, v: Values) -> None:
    """dst = fn(a, b), element by element."""
    dtype, name, length = NUMPY[_TYPES[v["type"]]], FUNCTIONS[v["fn"]], v["length"]
    nram = view["nram"]
    imm = np.array([v["b"] & 0xFFFFFFFF], np.uint32).view(np.float32)[0]
    target = np.dtype("int8") if name == "quantise" else dtype
    dst = typed(nram, v["dst"], length, target)
    with np.errstate(all="ignore"):
        if name == "fill":
            dst[:] = imm.astype(dtype)
            return
        a = typed(nram, v["a"], length, dtype)
        if name == "quantise":
            dst[:] = np.clip(np.rint(a.astype(np.float32) * imm), -128, 127).astype(np.int8)
        elif name in _UNARY:
            dst[:] = _UNARY[name](a)
        else:
            b = imm.astype(dtype) if v["imm"] else typed(nram, v["b"], length, dtype)
            dst[:] = divide(a, b) if name == "div" else _PAIRS[name](a, b)


def divide(a: NDArray[Any], b: Any) -> NDArray[Any]:
    """Quotients; whole numbers are cut towards 0, and by 0 they give 0."""
    if a.dtype.kind != "i":
        return np.asarray(a / b)
    return np.nan_to_num(np.trunc(a / np.where(b == 0, np.inf, b)), posinf=0, neginf=0)
