"""Shapes and strides of the commonest operators on meta tensors, by their own rule.

PyTorch's kernels for meta tensors are Python and take 20 to 600 microseconds. A rule here answers only for what it is
sure of: operands whose elements lie in row-major order, no size zero, one floating format. For all else it says None,
and PyTorch is asked. What a rule says is what PyTorch says: `tests/frontends/pytorch/test_torch_shapes.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from ._torch import TorchTensor, aten, torch

Shape = tuple[int, ...]
Made = tuple[Shape, Shape, Any]  # shape, strides, dtype
Rule = Callable[[Sequence[Any], Mapping[str, Any]], Any]  # of positional and keyword arguments; None: ask PyTorch
SELF: Final = "self"  # the result is the first argument, written in place

_FLOATS: Final = frozenset([torch.float32, torch.float64, torch.float16, torch.bfloat16])
_NUMBERS: Final = frozenset([int, float])


@lru_cache(4096)
def row_major(shape: Shape) -> Shape:
    """The strides of a tensor whose last axis is contiguous."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def _made(shape: Shape, dtype: Any) -> Made:
    return shape, row_major(shape), dtype


def _plain(t: Any) -> bool:
    """Whether `t` is a floating tensor in row-major order with elements."""
    return isinstance(t, torch.Tensor) and t.dtype in _FLOATS and t.stride() == row_major(t.shape) and t.numel() > 0


def _alike(*needed: int) -> Rule:
    """Results like the first argument, where those at `needed` are plain and of one shape and format."""

    def rule(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
        x = args[0]
        if not _plain(x):
            return None
        for index in needed:
            t = args[index]
            if not _plain(t) or t.shape != x.shape or t.dtype != x.dtype:
                return None
        return _made(tuple(x.shape), x.dtype)

    return rule


def _softmax(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Rows of one tensor, the format kept."""
    x, dim, *rest = args
    if kwargs or not _plain(x) or any(rest) or not -x.dim() <= dim < max(x.dim(), 1):
        return None
    return _made(tuple(x.shape), x.dtype)


def _softmax_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    grad, y, _dim, dtype = args
    if not _plain(grad) or not _plain(y) or grad.shape != y.shape or not grad.dtype == y.dtype == dtype:
        return None
    return _made(tuple(grad.shape), dtype)


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
    if kwargs or not _plain(a):
        return None
    if type(b) in _NUMBERS:
        return _made(tuple(a.shape), a.dtype)
    if not _plain(b) or b.dtype != a.dtype:
        return None
    shape = _broadcast(tuple(a.shape), tuple(b.shape))
    return None if shape is None else _made(shape, a.dtype)


def _in_place(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    """One tensor and numbers, written over the tensor."""
    return SELF if _plain(args[0]) and all(type(value) in _NUMBERS for value in args[1:]) else None


def _binary_in_place(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    a, b = args[0], args[1]
    if kwargs or not _plain(a):
        return None
    if type(b) in _NUMBERS:
        return SELF
    return SELF if _plain(b) and b.dtype == a.dtype and a.shape == b.shape else None


def _clone(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    (x,) = args
    if kwargs.get("memory_format", torch.contiguous_format) is not torch.contiguous_format or x.dtype not in _FLOATS:
        return None
    if not x.numel() or (not kwargs and x.stride() != row_major(x.shape)):
        return None
    return _made(tuple(x.shape), x.dtype)


def _each(sizes: Sequence[int], rank: int) -> Sequence[int]:
    return sizes if len(sizes) == rank else [sizes[0]] * rank


def _convolution(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    x, weight, bias, stride, padding, dilation, transposed, more, groups = args
    shape, taps = tuple(x.shape), tuple(weight.shape)
    rank = len(shape) - 2
    if rank < 1 or len(taps) != rank + 2 or x.dtype not in _FLOATS or weight.dtype != x.dtype:
        return None
    if not {len(stride), len(padding), len(dilation)} <= {1, rank} or (transposed and len(more) != rank):
        return None
    if (taps[0] if transposed else taps[1] * groups) != shape[1] or taps[0] % groups:
        return None
    stride, padding, dilation = (_each(sizes, rank) for sizes in (stride, padding, dilation))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, taps[2:], strict=True)]
    if transposed:
        filters = taps[1] * groups
        places = [(n - 1) * s - 2 * p + k + m
                  for n, s, p, k, m in zip(shape[2:], stride, padding, spans, more, strict=True)]  # fmt: skip
    else:
        filters = taps[0]
        places = [(n + 2 * p - k) // s + 1 for n, s, p, k in zip(shape[2:], stride, padding, spans, strict=True)]
    made = (shape[0], filters, *places)
    if min(*shape, *taps, *made, *stride) < 1 or (bias is not None and tuple(bias.shape) != (filters,)):
        return None
    return _made(made, x.dtype)


def _convolution_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    grad, x, weight, sizes, *_rest, mask = args
    if not _plain(x) or not _plain(weight) or not x.dtype == weight.dtype == grad.dtype or x.dim() < 3:
        return None
    shapes = (tuple(x.shape), tuple(weight.shape), tuple(sizes or ()))
    return tuple([_made(shape, grad.dtype) if asked else None for shape, asked in zip(shapes, mask, strict=True)])


def _batch_norm(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    """In float32, where statistics have the format of what they are taken of."""
    x, *given, training, _momentum, _eps = args
    if not _plain(x) or x.dtype != torch.float32 or x.dim() < 2:
        return None
    n = int(x.shape[1])
    if any(t is not None and (not _plain(t) or tuple(t.shape) != (n,) or t.dtype != x.dtype) for t in given):
        return None
    if x.numel() == n if training else given[2] is None or given[3] is None:
        return None
    return _made(tuple(x.shape), x.dtype), _made((n,), x.dtype), _made((n,), x.dtype)


def _batch_norm_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    grad, x, weight, *given, training, _eps, mask = args
    if not _plain(x) or not _plain(grad) or x.dtype != torch.float32 or grad.dtype != x.dtype or grad.shape != x.shape:
        return None
    n = int(x.shape[1])
    if x.dim() < 2 or any(t is not None and (not _plain(t) or tuple(t.shape) != (n,) or t.dtype != x.dtype)
                          for t in (weight, *given)):  # fmt: skip
        return None
    if not training or any(t is None for t in given[2:]):
        return None
    # PyTorch makes the gradient of the input whether asked for or not.
    return _made(tuple(x.shape), x.dtype), *[_made((n,), x.dtype) if asked else None for asked in mask[1:]]


def _layer_norm(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    x, rows, weight, bias, _eps = args
    shape, rows = tuple(x.shape), tuple(rows)
    if not _plain(x) or x.dtype != torch.float32 or not rows or shape[-len(rows) :] != rows:
        return None
    if any(t is not None and (not _plain(t) or tuple(t.shape) != rows or t.dtype != x.dtype) for t in (weight, bias)):
        return None
    mean = (*shape[: -len(rows)], *[1] * len(rows))
    return _made(shape, x.dtype), _made(mean, x.dtype), _made(mean, x.dtype)


def _window(x: TorchTensor, rank: int, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
            dilation: Sequence[int]) -> Shape | None:  # fmt: skip
    """Positions of a window that slides over a plain tensor with samples and channels, both ends padded alike."""
    if not _plain(x) or x.dim() != rank + 2 or any(len(s) not in (1, rank) for s in (kernel, padding, dilation)):
        return None
    if len(stride) not in (0, 1, rank):
        return None
    kernel, padding, dilation = (_each(sizes, rank) for sizes in (kernel, padding, dilation))
    stride = _each(stride, rank) if stride else kernel
    if min(*kernel, *stride, *dilation) < 1 or any(2 * p > k or p < 0 for p, k in zip(padding, kernel, strict=True)):
        return None
    places = [(n + 2 * p - d * (k - 1) - 1) // s + 1
              for n, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)]  # fmt: skip
    return (*x.shape[:2], *places) if min(places) > 0 else None


def _filled(args: Sequence[Any], needed: int, *defaults: Any) -> list[Any]:
    """All arguments; those after the first `needed` have defaults."""
    return [*args, *defaults[len(args) - needed :]]


def _max_pool(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    x, kernel, stride, padding, dilation, ceil = _filled(args, 2, (), (0,), (1,), False)
    shape = None if kwargs or ceil else _window(x, 2, kernel, stride, padding, dilation)
    return None if shape is None else (_made(shape, x.dtype), _made(shape, torch.int64))


def _avg_pool(rank: int) -> Rule:
    def rule(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        x, kernel, stride, padding, ceil, *_ = _filled(args, 2, (), (0,), False)
        shape = None if kwargs or ceil else _window(x, rank, kernel, stride, padding, (1,))
        return None if shape is None else _made(shape, x.dtype)

    return rule


def _pool_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    """The gradient of what a pool of two dimensions read."""
    grad, x = args[0], args[1]
    if not _plain(x) or not _plain(grad) or x.dtype != grad.dtype or x.dim() != 4 or grad.dim() != 4:
        return None
    return _made(tuple(x.shape), x.dtype)


def _matrix(a: Any, rank: int) -> bool:
    return a.dim() == rank and a.dtype in _FLOATS and a.numel() > 0


def _mm(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    a, b = args
    if kwargs or not _matrix(a, 2) or not _matrix(b, 2) or a.shape[1] != b.shape[0] or a.dtype != b.dtype:
        return None
    return _made((a.shape[0], b.shape[1]), a.dtype)


def _bmm(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    a, b = args
    if kwargs or not _matrix(a, 3) or not _matrix(b, 3) or a.dtype != b.dtype:
        return None
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        return None
    return _made((a.shape[0], a.shape[1], b.shape[2]), a.dtype)


def _addmm(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    made = _mm(args[1:], kwargs)
    if (
        made is None
        or not _plain(args[0])
        or args[0].dtype != made[2]
        or tuple(args[0].shape) not in (made[0], made[0][1:])
    ):
        return None
    return made


def _embedding(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    weight, index = args[:2]
    if kwargs or not _plain(weight) or weight.dim() != 2 or index.dtype not in (torch.int64, torch.int32):
        return None
    if index.dim() < 1 or not index.numel() or index.stride() != row_major(index.shape):
        return None
    return _made((*index.shape, weight.shape[1]), weight.dtype)


def _embedding_backward(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    grad, _, rows, *_ = args
    if kwargs or not _plain(grad) or grad.dtype != torch.float32 or rows < 1:
        return None
    return _made((rows, grad.shape[-1]), grad.dtype)


def _concatenate(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """At least one operand in row-major order of more than one element decides that the result is."""
    parts, dim = args[0], args[1] if len(args) > 1 else 0
    first = parts[0]
    rank = first.dim()
    if (
        kwargs
        or not rank
        or not -rank <= dim < rank
        or not any(_plain(t) and max(t.shape[1:], default=2) > 1 for t in parts)
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
    return _made((*first.shape[:dim], total, *first.shape[dim + 1 :]), first.dtype)


def _stack(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    parts, dim = args[0], args[1] if len(args) > 1 else 0
    first = parts[0]
    if kwargs or not all(_plain(t) and t.shape == first.shape and t.dtype == first.dtype for t in parts):
        return None
    if not -first.dim() - 1 <= dim <= first.dim():
        return None
    dim %= first.dim() + 1
    return _made((*first.shape[:dim], len(parts), *first.shape[dim:]), first.dtype)


def _reduction(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Sums and means along some axes."""
    x, dims, keep = _filled(args, 1, None, False)
    if kwargs or not dims or not _plain(x) or any(not -x.dim() <= d < x.dim() for d in dims):
        return None
    gone = {d % x.dim() for d in dims}
    if len(gone) != len(dims):
        return None
    return _made(tuple(1 if i in gone else n for i, n in enumerate(x.shape) if keep or i not in gone), x.dtype)


def _total(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return _made((), args[0].dtype) if not kwargs and _plain(args[0]) else None


def _padded(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    x, pads = args[:2]
    if kwargs or not _plain(x) or len(pads) % 2 or len(pads) > 2 * x.dim():
        return None
    shape = list(x.shape)
    for i in range(len(pads) // 2):
        shape[-1 - i] += pads[2 * i] + pads[2 * i + 1]
    return _made(tuple(shape), x.dtype) if min(shape) > 0 and max(pads, default=0) > 0 else None


def _spread_back(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The gradient of a slice or of one index: zeros of the size it was taken from."""
    grad, sizes = args[:2]
    if kwargs or grad.dtype not in _FLOATS or not sizes or min(sizes) < 1 or not grad.numel():
        return None
    return _made(tuple(sizes), grad.dtype)


def _ones(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A tensor of ones in the shape and format of another."""
    known = {"pin_memory", "memory_format"}
    return _made(tuple(args[0].shape), args[0].dtype) if kwargs.keys() <= known and not kwargs.get("pin_memory") \
        and kwargs.get("memory_format") in (None, torch.preserve_format) and _plain(args[0]) else None  # fmt: skip


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
    aten.pow.Tensor_Scalar: _binary,
    aten.clone.default: _clone,
    aten.convolution.default: _convolution,
    aten.convolution_backward.default: _convolution_backward,
    aten.native_batch_norm.default: _batch_norm,
    aten.native_batch_norm_backward.default: _batch_norm_backward,
    aten.native_layer_norm.default: _layer_norm,
    aten.max_pool2d_with_indices.default: _max_pool,
    aten.max_pool2d_with_indices_backward.default: _pool_backward,
    aten.avg_pool2d.default: _avg_pool(2),
    aten.avg_pool3d.default: _avg_pool(3),
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
