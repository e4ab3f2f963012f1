"""Shapes and strides of the commonest operators on meta tensors, by their own rule.

PyTorch's kernels for meta tensors are Python and take 20 to 600 microseconds. A rule here answers only for what it is
sure of: operands whose elements lie in row-major order, no size zero, one floating format. For all else it says None,
and PyTorch is asked. What a rule says is what PyTorch says: `tests/frontends/pytorch/test_torch_shapes.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ._shape import FLOATS, Rule, Shape, filled, fresh, plain, row_major
from ._shapes_layers import LAYERS
from ._torch import aten, torch

SELF: Final = "self"  # the result is the first argument, written in place

_NUMBERS: Final = frozenset([int, float])


def _alike(*needed: int) -> Rule:
    """Results like the first argument, where those at `needed` are plain and of one shape and format."""

    def rule(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
        x = args[0]
        if not plain(x):
            return None
        for index in needed:
            t = args[index]
            if not plain(t) or t.shape != x.shape or t.dtype != x.dtype:
                return None
        return fresh(tuple(x.shape), x.dtype)

    return rule


def _softmax(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Rows of one tensor, the format kept."""
    x, dim, *rest = args
    if kwargs or not plain(x) or any(rest) or not -x.dim() <= dim < max(x.dim(), 1):
        return None
    return fresh(tuple(x.shape), x.dtype)


def _softmax_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    grad, y, _dim, dtype = args
    if not plain(grad) or not plain(y) or grad.shape != y.shape or not grad.dtype == y.dtype == dtype:
        return None
    return fresh(tuple(grad.shape), dtype)


def _broadcast(a: Shape, b: Shape) -> Shape | None:
    if a == b or not b:
        return a
    if not a:
        return b
    if len(a) < len(b):
        a, b = b, a
    made = list(a)
    for i in range(1, len(b) + 1):
        if made[-i] == 1:
            made[-i] = b[-i]
        elif b[-i] not in (1, made[-i]):
            return None
    return tuple(made)


def _binary(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Two plain tensors of one format, or one and a number."""
    a, b = args[0], args[1]
    if kwargs or not plain(a):
        return None
    if type(b) in _NUMBERS:
        return fresh(tuple(a.shape), a.dtype)
    if not plain(b) or b.dtype != a.dtype:
        return None
    shape = _broadcast(tuple(a.shape), tuple(b.shape))
    return None if shape is None else fresh(shape, a.dtype)


def _in_place(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    """One tensor and numbers, written over the tensor."""
    return SELF if plain(args[0]) and all(type(value) in _NUMBERS for value in args[1:]) else None


def _binary_in_place(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    a, b = args[0], args[1]
    if kwargs or not plain(a):
        return None
    if type(b) in _NUMBERS:
        return SELF
    return SELF if plain(b) and b.dtype == a.dtype and a.shape == b.shape else None


def _clone(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    (x,) = args
    if kwargs.get("memory_format", torch.contiguous_format) is not torch.contiguous_format or x.dtype not in FLOATS:
        return None
    if not x.numel() or (not kwargs and x.stride() != row_major(x.shape)):
        return None
    return fresh(tuple(x.shape), x.dtype)


def _matrix(a: Any, rank: int) -> bool:
    return a.dim() == rank and a.dtype in FLOATS and a.numel() > 0


def _mm(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    a, b = args
    if kwargs or not _matrix(a, 2) or not _matrix(b, 2) or a.shape[1] != b.shape[0] or a.dtype != b.dtype:
        return None
    return fresh((a.shape[0], b.shape[1]), a.dtype)


def _bmm(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    a, b = args
    if kwargs or not _matrix(a, 3) or not _matrix(b, 3) or a.dtype != b.dtype:
        return None
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        return None
    return fresh((a.shape[0], a.shape[1], b.shape[2]), a.dtype)


def _addmm(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    made = _mm(args[1:], kwargs)
    if (
        made is None
        or not plain(args[0])
        or args[0].dtype != made[2]
        or tuple(args[0].shape) not in (made[0], made[0][1:])
    ):
        return None
    return made


def _embedding(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    weight, index = args[:2]
    if kwargs or not plain(weight) or weight.dim() != 2 or index.dtype not in (torch.int64, torch.int32):
        return None
    if index.dim() < 1 or not index.numel() or index.stride() != row_major(index.shape):
        return None
    return fresh((*index.shape, weight.shape[1]), weight.dtype)


def _embedding_backward(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    grad, _, rows, *_ = args
    if kwargs or not plain(grad) or grad.dtype != torch.float32 or rows < 1:
        return None
    return fresh((rows, grad.shape[-1]), grad.dtype)


def _concatenate(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """At least one operand in row-major order of more than one element decides that the result is."""
    parts, dim = args[0], args[1] if len(args) > 1 else 0
    first = parts[0]
    rank = first.dim()
    if (
        kwargs
        or not rank
        or not -rank <= dim < rank
        or not any(plain(t) and max(t.shape[1:], default=2) > 1 for t in parts)
    ):
        return None
    dim %= rank
    total = 0
    for t in parts:
        if t.dtype != first.dtype or t.dim() != rank or not t.numel():
            return None
        if any(a != b for i, (a, b) in enumerate(zip(t.shape, first.shape, strict=True)) if i != dim):
            return None
        total += t.shape[dim]
    return fresh((*first.shape[:dim], total, *first.shape[dim + 1 :]), first.dtype)


def _stack(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    parts, dim = args[0], args[1] if len(args) > 1 else 0
    first = parts[0]
    if kwargs or not all(plain(t) and t.shape == first.shape and t.dtype == first.dtype for t in parts):
        return None
    if not -first.dim() - 1 <= dim <= first.dim():
        return None
    dim %= first.dim() + 1
    return fresh((*first.shape[:dim], len(parts), *first.shape[dim:]), first.dtype)


def _reduction(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Sums and means along some axes."""
    x, dims, keep = filled(args, 1, None, False)
    if kwargs or not dims or not plain(x) or any(not -x.dim() <= d < x.dim() for d in dims):
        return None
    gone = {d % x.dim() for d in dims}
    if len(gone) != len(dims):
        return None
    return fresh(tuple(1 if i in gone else n for i, n in enumerate(x.shape) if keep or i not in gone), x.dtype)


def _total(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return fresh((), args[0].dtype) if not kwargs and plain(args[0]) else None


def _padded(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    x, pads = args[:2]
    if kwargs or not plain(x) or len(pads) % 2 or len(pads) > 2 * x.dim():
        return None
    shape = list(x.shape)
    for i in range(len(pads) // 2):
        shape[-1 - i] += pads[2 * i] + pads[2 * i + 1]
    return fresh(tuple(shape), x.dtype) if min(shape) > 0 and max(pads, default=0) > 0 else None


def _spread_back(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The gradient of a slice or of one index: zeros of the size it was taken from."""
    grad, sizes = args[:2]
    if kwargs or grad.dtype not in FLOATS or not sizes or min(sizes) < 1 or not grad.numel():
        return None
    return fresh(tuple(sizes), grad.dtype)


def _ones(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A tensor of ones in the shape and format of another."""
    known = {"pin_memory", "memory_format"}
    return fresh(tuple(args[0].shape), args[0].dtype) if kwargs.keys() <= known and not kwargs.get("pin_memory") \
        and kwargs.get("memory_format") in (None, torch.preserve_format) and plain(args[0]) else None  # fmt: skip


_UNARY: Final = (
    "relu",
    "sigmoid",
    "tanh",
    "gelu",
    "silu",
    "hardtanh",
    "neg",
    "exp",
    "sqrt",
    "rsqrt",
    "abs",
    "erf",
    "cos",
    "sin",
)
_IN_PLACE: Final = ("relu_", "sigmoid_", "tanh_", "silu_", "hardtanh_", "neg_")
_BACKWARD: Final = ("threshold_backward", "hardtanh_backward", "gelu_backward", "tanh_backward", "sigmoid_backward",
                    "silu_backward")  # fmt: skip
RULES: Final[dict[Any, Rule]] = {
    **{getattr(aten, name).default: _alike() for name in _UNARY},
    **{getattr(aten, name).default: _in_place for name in _IN_PLACE},
    **{getattr(aten, name).default: _alike(1) for name in _BACKWARD},
    **{getattr(aten, name).Tensor: _binary for name in ("add", "sub", "mul", "div")},
    **{getattr(aten, name).Scalar: _binary for name in ("add", "sub", "mul", "div")},
    **{getattr(aten, name).Tensor: _binary_in_place for name in ("add_", "sub_", "mul_", "div_")},
    **{getattr(aten, name).Scalar: _binary_in_place for name in ("add_", "sub_", "mul_", "div_")},
    **LAYERS,
    aten.pow.Tensor_Scalar: _binary,
    aten.clone.default: _clone,
    aten._softmax.default: _softmax,
    aten._log_softmax.default: _softmax,
    aten._safe_softmax.default: _softmax,
    aten._softmax_backward_data.default: _softmax_backward,
    aten._log_softmax_backward_data.default: _softmax_backward,
    aten.mm.default: _mm,
    aten.bmm.default: _bmm,
    aten.addmm.default: _addmm,
    aten.embedding.default: _embedding,
    aten.embedding_dense_backward.default: _embedding_backward,
    aten.cat.default: _concatenate,
    aten.stack.default: _stack,
    aten.sum.default: _total,
    aten.sum.dim_IntList: _reduction,
    aten.mean.dim: _reduction,
    aten.constant_pad_nd.default: _padded,
    aten.slice_backward.default: _spread_back,
    aten.select_backward.default: _spread_back,
    aten.ones_like.default: _ones,
}


def made(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Shape, strides and dtype of what `func` returns (a tuple of them for several, SELF in place), or None."""
    rule = RULES.get(func)
    return None if rule is None else rule(args, kwargs)
