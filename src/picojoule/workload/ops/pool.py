"""Pooling: windows that are compared or averaged."""

import math
from collections.abc import Sequence

from picojoule.quantity import InputError

from .._graph import Graph
from .._operator import Access, Axis
from .._tensor import Tensor
from .._work import Work


def pooled_length(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int, ceil_mode: bool) -> int:
    """Windows along one axis. With `ceil_mode` a last, partial window counts if it starts inside input or left pad."""
    room = size + sum(padding) - dilation * (kernel - 1) - 1
    length = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (length - 1) * stride >= size + padding[0]:
        length -= 1
    return length


def pool(g: Graph, x: Tensor, op: str, kernel: Sequence[int], *, stride: Sequence[int] = (),
         padding: Sequence[tuple[int, int]] = (), dilation: Sequence[int] = (), ceil_mode: bool = False,
         name: str = "") -> Tensor:  # fmt: skip
    """Max, average or Lp pooling (`op` "max", "avg", "lp") over the axes after [B, C].

    A window of k elements: k - 1 compares, or k - 1 adds and 1 mul. Windows that hang over the edge count as whole.
    """
    rank = len(kernel)
    stride, dilation = tuple(stride) or (1,) * rank, tuple(dilation) or (1,) * rank
    padding = tuple(padding) or ((0, 0),) * rank
    out = [pooled_length(x.shape[2 + i], kernel[i], stride[i], padding[i], dilation[i], ceil_mode) for i in range(rank)]
    if any(length < 1 for length in out) and x.elements:
        raise InputError(f"window {list(kernel)} is larger than the padded input {list(x.shape[2:])}",
                         where=name or g.path, expected="a window that fits")  # fmt: skip
    shape = (*x.shape[:2], *(max(0, length) for length in out))
    window = math.prod(kernel)
    n = math.prod(shape)
    work = {
        "max": Work.of(compare=n * (window - 1)),
        "avg": Work.of(adds=n * (window - 1), muls=n),
        "lp": Work.of(adds=n * (window - 1), muls=n * window, sqrt=n),
    }[op]
    space = [("b", shape[0]), ("c", shape[1]), *[(f"p{i}", size) for i, size in enumerate(out)]]
    space += [(f"r{i}", size) for i, size in enumerate(kernel)]
    lead: list[Axis] = [(("b", 1),), (("c", 1),)]
    axes: list[Axis] = [((f"p{i}", stride[i]), (f"r{i}", dilation[i])) for i in range(rank)]
    offsets = (0, 0, *(-before for before, _ in padding)) if any(b for b, _ in padding) else ()
    read = Access(x.name, (*lead, *axes), x.stored_elements, offsets)
    written: list[Axis] = [*lead, *[((f"p{i}", 1),) for i in range(rank)]]
    return g.emit(f"{op}_pool{rank}d", "pool", space, [read], [(shape, written)], work, name=name, dtype=x.dtype)[0]


def adaptive_avg_pool(g: Graph, x: Tensor, size: Sequence[int], *, name: str = "") -> Tensor:
    """Average over windows start = ⌊i·n/m⌋ … end = ⌈(i+1)·n/m⌉ of each axis, m outputs over n inputs.

    Each output: its window minus one adds, and one mul.
    """
    sums = [[-(-(i + 1) * n // m) - i * n // m for i in range(m)] for n, m in zip(x.shape[2:], size, strict=True)]
    taps = math.prod(sum(windows) for windows in sums)
    shape = (*x.shape[:2], *size)
    lead = math.prod(x.shape[:2])
    outputs = math.prod(size)
    work = Work.of(adds=lead * (taps - outputs), muls=lead * outputs)
    rank = len(size)
    space = [("b", shape[0]), ("c", shape[1]), *[(f"p{i}", m) for i, m in enumerate(size)]]
    space += [(f"r{i}", max(windows, default=1)) for i, windows in enumerate(sums)]
    lead_axes: list[Axis] = [(("b", 1),), (("c", 1),)]
    strides = [max(1, n // m) for n, m in zip(x.shape[2:], size, strict=True)]
    axes: list[Axis] = [((f"p{i}", strides[i]), (f"r{i}", 1)) for i in range(rank)]
    read = Access(x.name, (*lead_axes, *axes), x.stored_elements)
    written: list[Axis] = [*lead_axes, *[((f"p{i}", 1),) for i in range(rank)]]
    return g.emit(f"adaptive_avg_pool{rank}d", "pool", space, [read], [(shape, written)], work, name=name,
                  dtype=x.dtype)[0]  # fmt: skip
