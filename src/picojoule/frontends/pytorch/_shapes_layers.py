"""Shapes of convolutions, norms and pools, forward and backward."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ._shape import FLOATS, Rule, Shape, filled, fresh, plain
from ._torch import TorchTensor, aten, torch


def _each(sizes: Sequence[int], rank: int) -> Sequence[int]:
    return sizes if len(sizes) == rank else [sizes[0]] * rank


def _convolution(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    x, weight, bias, stride, padding, dilation, transposed, more, groups = args
    shape, taps = tuple(x.shape), tuple(weight.shape)
    rank = len(shape) - 2
    if rank < 1 or len(taps) != rank + 2 or x.dtype not in FLOATS or weight.dtype != x.dtype:
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
    return fresh(made, x.dtype)


def _convolution_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    grad, x, weight, sizes, *_rest, mask = args
    if not plain(x) or not plain(weight) or not x.dtype == weight.dtype == grad.dtype or x.dim() < 3:
        return None
    shapes = (tuple(x.shape), tuple(weight.shape), tuple(sizes or ()))
    return tuple([fresh(shape, grad.dtype) if asked else None for shape, asked in zip(shapes, mask, strict=True)])


def _batch_norm(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    """In float32, where statistics have the format of what they are taken of."""
    x, *given, training, _momentum, _eps = args
    if not plain(x) or x.dtype != torch.float32 or x.dim() < 2:
        return None
    n = int(x.shape[1])
    if any(t is not None and (not plain(t) or tuple(t.shape) != (n,) or t.dtype != x.dtype) for t in given):
        return None
    if x.numel() == n if training else given[2] is None or given[3] is None:
        return None
    return fresh(tuple(x.shape), x.dtype), fresh((n,), x.dtype), fresh((n,), x.dtype)


def _batch_norm_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    grad, x, weight, *given, training, _eps, mask = args
    if not plain(x) or not plain(grad) or x.dtype != torch.float32 or grad.dtype != x.dtype or grad.shape != x.shape:
        return None
    n = int(x.shape[1])
    if x.dim() < 2 or any(t is not None and (not plain(t) or tuple(t.shape) != (n,) or t.dtype != x.dtype)
                          for t in (weight, *given)):  # fmt: skip
        return None
    if not training or any(t is None for t in given[2:]):
        return None
    # PyTorch makes the gradient of the input whether asked for or not.
    return fresh(tuple(x.shape), x.dtype), *[fresh((n,), x.dtype) if asked else None for asked in mask[1:]]


def _layer_norm(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    x, rows, weight, bias, _eps = args
    shape, rows = tuple(x.shape), tuple(rows)
    if not plain(x) or x.dtype != torch.float32 or not rows or shape[-len(rows) :] != rows:
        return None
    if any(t is not None and (not plain(t) or tuple(t.shape) != rows or t.dtype != x.dtype) for t in (weight, bias)):
        return None
    mean = (*shape[: -len(rows)], *[1] * len(rows))
    return fresh(shape, x.dtype), fresh(mean, x.dtype), fresh(mean, x.dtype)


def _window(x: TorchTensor, rank: int, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
            dilation: Sequence[int]) -> Shape | None:  # fmt: skip
    """Positions of a window that slides over a plain tensor with samples and channels, both ends padded alike."""
    if not plain(x) or x.dim() != rank + 2 or any(len(s) not in (1, rank) for s in (kernel, padding, dilation)):
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


def _max_pool(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    x, kernel, stride, padding, dilation, ceil = filled(args, 2, (), (0,), (1,), False)
    shape = None if kwargs or ceil else _window(x, 2, kernel, stride, padding, dilation)
    return None if shape is None else (fresh(shape, x.dtype), fresh(shape, torch.int64))


def _avg_pool(rank: int) -> Rule:
    def rule(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        x, kernel, stride, padding, ceil, *_ = filled(args, 2, (), (0,), False)
        shape = None if kwargs or ceil else _window(x, rank, kernel, stride, padding, (1,))
        return None if shape is None else fresh(shape, x.dtype)

    return rule


def _pool_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Any:
    """The gradient of what a pool of two dimensions read."""
    grad, x = args[0], args[1]
    if not plain(x) or not plain(grad) or x.dtype != grad.dtype or x.dim() != 4 or grad.dim() != 4:
        return None
    return fresh(tuple(x.shape), x.dtype)


LAYERS: Final[dict[Any, Rule]] = {
    aten.convolution.default: _convolution,
    aten.convolution_backward.default: _convolution_backward,
    aten.native_batch_norm.default: _batch_norm,
    aten.native_batch_norm_backward.default: _batch_norm_backward,
    aten.native_layer_norm.default: _layer_norm,
    aten.max_pool2d_with_indices.default: _max_pool,
    aten.max_pool2d_with_indices_backward.default: _pool_backward,
    aten.avg_pool2d.default: _avg_pool(2),
    aten.avg_pool3d.default: _avg_pool(3),
}
