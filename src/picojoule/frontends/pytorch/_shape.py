"""What the rules of shapes share: which tensors they are sure of, and what they say."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from ._torch import torch

Shape = tuple[int, ...]
Made = tuple[Shape, Shape, Any]  # shape, strides, dtype
Rule = Callable[[Sequence[Any], Mapping[str, Any]], Any]  # of positional and keyword arguments; None: ask PyTorch
FLOATS: Final = frozenset([torch.float32, torch.float64, torch.float16, torch.bfloat16])


@lru_cache(4096)
def row_major(shape: Shape) -> Shape:
    """The strides of a tensor whose last axis is contiguous."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def fresh(shape: Shape, dtype: Any) -> Made:
    """A new tensor in row-major order."""
    return shape, row_major(shape), dtype


def plain(t: Any) -> bool:
    """Whether `t` is a floating tensor in row-major order with elements."""
    return isinstance(t, torch.Tensor) and t.dtype in FLOATS and t.stride() == row_major(t.shape) and t.numel() > 0


def filled(args: Sequence[Any], needed: int, *defaults: Any) -> list[Any]:
    """All arguments; those after the first `needed` have defaults."""
    return [*args, *defaults[len(args) - needed :]]
