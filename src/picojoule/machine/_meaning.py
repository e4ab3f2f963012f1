"""What instructions do to bytes, in NumPy. Products and sums are rounded one by one, so tiling over k changes no bit."""

from collections.abc import Callable, Mapping
from math import erf as _erf
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
    "dequantise",
    "sqrt",
    "erf",
    "log",
)
BINARY: Final = ("add", "sub", "mul", "max", "min", "div")
FOLDS: Final = ("add", "max", "min")
SPECIAL: Final = ("div", "exp", "tanh", "sigmoid", "sqrt", "erf", "log")


def rows_of(memory: Bytes, start: int, rows: int, size: int, stride: int) -> Bytes:
    """A writable view of `rows` of `size` bytes, `stride` apart."""
    if rows == 1:
        return memory[start : start + size].reshape(1, size)
    whole = memory[start : start + rows * stride]
    if stride >= size and whole.size == rows * stride:
        return whole.reshape(rows, stride)[:, :size]
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


def gather(view: View, v: Values) -> None:
    """Rows of a table by the numbers that stand behind the place of the rows. Raises InputError for one outside it."""
    size, count = v["bytes"], v["count"]
    nram = view["nram"]
    wanted = typed(nram, v["near"] + count * size, count, NUMPY["int32"])
    wrong = np.flatnonzero((wanted < 0) | (wanted >= v["limit"]))
    if wrong.size:
        raise InputError(f"row {wanted[wrong[0]]}, entry {wrong[0]} of its list, of a table of {v['limit']} rows",
                         where="gather", expected=f"0 to {v['limit'] - 1}")  # fmt: skip
    table = rows_of(view["dram"], v["far"], v["limit"], size, size)
    rows_of(nram, v["near"], count, size, size)[:] = table[wanted]


def packed(numbers: NDArray[Any]) -> bytes:
    """A bit for each number, low bits first, then those that are not zero: what `expand` reads. −0 counts as a number."""
    flat = np.ascontiguousarray(numbers).reshape(-1)
    set_ = flat.view(f"u{flat.itemsize}") != 0
    bits: bytes = np.packbits(set_, bitorder="little").tobytes()
    return bits + bytes(flat[set_].tobytes())


def expand(view: View, v: Values) -> None:
    """Numbers of which only those that are not zero are stored, behind a bit for each."""
    dtype, length = NUMPY[_TYPES[v["type"]]], v["length"]
    stored = view[SCOPES[v["src"]]][v["far"] : v["far"] + v["bytes"]]
    head = -(-length // 8)
    set_ = np.unpackbits(stored[:head], bitorder="little")
    if stored.size < head or set_[length:].any() or stored.size - head != int(set_.sum()) * dtype.itemsize:
        raise InputError(f"{v['bytes']} bytes are not {length} numbers behind a bit for each", where="expand",
                         expected="as many numbers as bits that are set, and no bit beyond the last",
                         example="what the compiler stores with sparse=True")  # fmt: skip
    target = typed(view[SCOPES[v["dst"]]], v["near"], length, dtype)
    target[:] = 0
    target[set_[:length].view(np.bool_)] = stored[head:].copy().view(dtype)


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
    if one.kind == "i" and one.itemsize < 4:  # whole numbers below 2^53 are exact in float64, whose product is fast
        sums = (x.astype(np.float64) @ w.astype(np.float64)).astype(np.int64).astype(np.int32)
        y[:] = y + sums if v["acc"] else sums
        return
    y[:] = product(x, w, y if v["acc"] else np.zeros((m, n), total))


def product(x: NDArray[Any], w: NDArray[Any], start: NDArray[Any]) -> NDArray[Any]:
    """start + x·w as the matrix unit rounds it: one product and one sum after the other, in order of k."""
    with np.errstate(all="ignore"):
        if x.dtype.kind == "i":
            return np.asarray(start + x @ w)  # whole numbers wrap alike in any order
        m, n = start.shape
        sums, columns = start.reshape(-1), np.ascontiguousarray(x.T)
        step = max(1, _CACHED // max(1, m * n))
        for first in range(0, x.shape[1], step):
            part = columns[first : first + step]
            terms = np.empty((len(part) + 1, m * n), start.dtype)
            terms[0] = sums
            np.multiply(part[:, :, None], w[first : first + step, None, :], out=terms[1:].reshape(len(part), m, n))
            sums = ordered_sum(terms)
    return np.array(sums.reshape(m, n))


_CACHED: Final = 1 << 18  # terms that are laid out at once


def ordered_sum(terms: NDArray[Any]) -> NDArray[Any]:
    """Sums over the first axis, one term after the other.

    NumPy sums in pairs along the axis that is contiguous, and in order along any other.
    """
    terms = np.ascontiguousarray(terms)
    if terms[0].size == 1:
        return np.asarray(np.add.accumulate(terms, axis=0)[-1])
    return np.asarray(np.add.reduce(terms, axis=0))


def erf(a: NDArray[Any]) -> NDArray[Any]:
    """The error function, worked out in float64 and rounded once."""
    flat = [_erf(one) for one in a.reshape(-1).tolist()]
    return np.array(flat, np.float64).astype(a.dtype).reshape(a.shape)


_UNARY: Final[dict[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "relu": lambda a: np.maximum(a, a.dtype.type(0)),
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "copy": lambda a: a,
    "sqrt": np.sqrt,
    "erf": erf,
    "log": np.log,
}
_PAIRS: Final[dict[str, Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum, "min": np.minimum,
}  # fmt: skip


def vec(view: View, v: Values) -> None:
    """dst = fn(a, b), element by element."""
    dtype, name, length = NUMPY[_TYPES[v["type"]]], FUNCTIONS[v["fn"]], v["length"]
    nram = view["nram"]
    imm = np.array([v["b"] & 0xFFFFFFFF], np.uint32).view(np.float32)[0]
    target = CASTS.get(name, dtype)
    dst = typed(nram, v["dst"], length, target)
    with np.errstate(all="ignore"):
        if name == "fill":
            dst[:] = imm.astype(dtype)
            return
        a = typed(nram, v["a"], length, dtype)
        if name == "quantise":
            dst[:] = np.clip(np.rint(a.astype(np.float32) * imm), -128, 127).astype(np.int8)
        elif name == "dequantise":
            dst[:] = a.astype(np.float32) * imm
        elif name in _UNARY:
            dst[:] = unary(name, a)
        else:
            b = imm.astype(dtype) if v["imm"] else typed(nram, v["b"], length, dtype)
            dst[:] = binary(name, a, b)


def rows(view: View, v: Values) -> None:
    """dst[m, n] = fn(a[m, n], b[n]), or b[m] with `across`."""
    dtype, m, n = NUMPY[_TYPES[v["type"]]], v["m"], v["n"]
    nram = view["nram"]
    a = typed(nram, v["a"], m * n, dtype).reshape(m, n)
    b = typed(nram, v["b"], m, dtype)[:, None] if v["across"] else typed(nram, v["b"], n, dtype)
    with np.errstate(all="ignore"):
        typed(nram, v["dst"], m * n, dtype).reshape(m, n)[:] = binary(BINARY[v["fn"]], a, b)


def fold(view: View, v: Values) -> None:
    """dst[m] = the fold of a[m, n] over n, one element after the other; dst[n] over m with `down`."""
    dtype, m, n = NUMPY[_TYPES[v["type"]]], v["m"], v["n"]
    a = typed(view["nram"], v["a"], m * n, dtype).reshape(m, n)
    found = folded(FOLDS[v["fn"]], a if v["down"] else a.T)
    typed(view["nram"], v["dst"], n if v["down"] else m, dtype)[:] = found


def folded(name: str, a: NDArray[Any]) -> NDArray[Any]:
    """The fold of `a` over its first axis, in order: float sums are rounded one by one."""
    with np.errstate(all="ignore"):
        if name != "add" or a.dtype.kind == "i":
            return np.asarray(_FOLDS[name](a, axis=0, **({"dtype": a.dtype} if name == "add" else {})))
        return ordered_sum(a)


_FOLDS: Final[dict[str, Any]] = {"add": np.sum, "max": np.max, "min": np.min}
CASTS: Final["dict[str, np.dtype[Any]]"] = {"quantise": np.dtype("int8"), "dequantise": np.dtype("float32")}


def unary(name: str, a: NDArray[Any]) -> NDArray[Any]:
    """One of the functions of one operand, as the vector unit rounds it."""
    with np.errstate(all="ignore"):
        return np.asarray(_UNARY[name](a))


def binary(name: str, a: NDArray[Any], b: Any) -> NDArray[Any]:
    """One of BINARY, as the vector unit rounds it."""
    with np.errstate(all="ignore"):
        return divide(a, b) if name == "div" else np.asarray(_PAIRS[name](a, b))


def divide(a: NDArray[Any], b: Any) -> NDArray[Any]:
    """Quotients; whole numbers are cut towards 0, and by 0 they give 0."""
    if a.dtype.kind != "i":
        return np.asarray(a / b)
    return np.nan_to_num(np.trunc(a / np.where(b == 0, np.inf, b)), posinf=0, neginf=0)
