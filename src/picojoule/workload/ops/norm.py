"""Normalisations and softmax, each with its whole arithmetic at inference."""

import math
from collections.abc import Sequence

from .._graph import Graph
from .._operator import Access, Axis
from .._tensor import Tensor
from .._work import Work
from .pointwise import axes_of, space_of


def batch_norm(g: Graph, x: Tensor, scale: Tensor | None, shift: Tensor | None, mean: Tensor, variance: Tensor, *,
               name: str = "") -> Tensor:  # fmt: skip
    """y = a·x + b with a, b folded from the running statistics once a channel: x[B, C, …].

    1 mul and 1 add an element; 2 muls, 2 adds and 1 rsqrt a channel.
    """
    n, channels = x.elements, x.shape[1] if len(x.shape) > 1 else x.shape[0]
    work = Work.of(muls=n + 2 * channels, adds=n + 2 * channels, rsqrt=channels)
    per_channel: list[Axis] = [(("d1", 1),)]
    reads: list[tuple[Tensor, Sequence[Axis]] | Access] = [(x, axes_of(len(x.shape)))]
    reads += [(t, per_channel) for t in (scale, shift, mean, variance) if t is not None]
    return g.emit("batch_norm", "norm", space_of(x.shape), reads, [(x.shape, axes_of(len(x.shape)))], work, name=name,
                  dtype=x.dtype)[0]  # fmt: skip


def layer_norm(g: Graph, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None, *, axes: int = 1,
               name: str = "", op: str = "layer_norm") -> Tensor:  # fmt: skip
    """Normalise over the last `axes` axes. A row of D: 2D + 2 muls, 3D - 1 adds, 1 rsqrt; affine: D more of each.

    mean: D - 1 adds, 1 mul; deviations: D adds; variance: D muls, D - 1 adds, 1 mul; epsilon: 1 add; scaling: D muls.
    """
    return _rows(g, x, math.prod(x.shape[-axes:]), scale, shift, axes, name, op)


def group_norm(g: Graph, x: Tensor, groups: int, scale: Tensor | None = None, shift: Tensor | None = None, *,
               name: str = "", op: str = "group_norm") -> Tensor:  # fmt: skip
    """Normalise each of `groups` groups of channels of x[B, C, …] over channels and positions; affine per channel."""
    rows = x.shape[0] * groups
    work = _normalise_work(x.elements, rows, scale is not None, shift is not None)
    per_channel: list[Axis] = [(("d1", 1),)]
    reads: list[tuple[Tensor, Sequence[Axis]] | Access] = [(x, axes_of(len(x.shape)))]
    reads += [(t, per_channel) for t in (scale, shift) if t is not None]
    return g.emit(op, "norm", space_of(x.shape), reads, [(x.shape, axes_of(len(x.shape)))], work, name=name,
                  dtype=x.dtype)[0]  # fmt: skip


def _rows(g: Graph, x: Tensor, row: int, scale: Tensor | None, shift: Tensor | None, axes: int, name: str,
          op: str) -> Tensor:  # fmt: skip
    rank = len(x.shape)
    work = _normalise_work(x.elements, x.elements // row if row else 0, scale is not None, shift is not None)
    last: list[Axis] = [((f"d{i}", 1),) for i in range(rank - axes, rank)]
    reads: list[tuple[Tensor, Sequence[Axis]] | Access] = [(x, axes_of(rank))]
    reads += [(t, last[-len(t.shape) :] if t.shape else []) for t in (scale, shift) if t is not None]
    return g.emit(op, "norm", space_of(x.shape), reads, [(x.shape, axes_of(rank))], work, name=name, dtype=x.dtype)[0]


def _normalise_work(n: int, rows: int, scaled: bool, shifted: bool) -> Work:
    rows = rows if n else 0  # empty rows have no statistics
    return Work.of(muls=2 * n + 2 * rows + n * scaled, adds=3 * n - rows + n * shifted, rsqrt=rows)


def rms_norm(g: Graph, x: Tensor, scale: Tensor | None = None, *, name: str = "", kernel: bool = False) -> Tensor:
    """y = x / sqrt(mean(x²) + ε) · scale over the last axis.

    A row of D: D muls (squares), D - 1 adds and 1 mul (mean), 1 add (ε), 1 rsqrt, D muls, and D more with `scale`.
    Recorded as its five parts, as eager frameworks run it; as one operator with `kernel`.
    """
    row = x.shape[-1]
    rows = x.elements // row if row else 0
    if kernel:
        affine = x.elements if scale is not None else 0
        work = Work.of(muls=2 * x.elements + rows + affine, adds=x.elements, rsqrt=rows)
        reads: list[tuple[Tensor, Sequence[Axis]] | Access] = [(x, axes_of(len(x.shape)))]
        reads += [(scale, [axes_of(len(x.shape))[-1]])] if scale is not None else []
        return g.emit("rms_norm", "norm", space_of(x.shape), reads, [(x.shape, axes_of(len(x.shape)))], work,
                      name=name, dtype=x.dtype)[0]  # fmt: skip
    from .pointwise import binary, unary
    from .reduce import reduce

    mean = reduce(g, "mean", unary(g, "square", x, kind="norm"), (-1,), keep=True, kind="norm")
    inverse = unary(g, "rsqrt", unary(g, "add_scalar", mean, kind="norm"), kind="norm")
    y = binary(g, "mul", x, inverse, kind="norm")
    return binary(g, "mul", scale, y, kind="norm") if scale is not None else y


def local_response_norm(g: Graph, x: Tensor, size: int, *, name: str = "") -> Tensor:
    """AlexNet's normalisation across `size` neighbouring channels: x / (k + α/n · Σ x²)^β.

    As frameworks run it: 1 square, `size` - 1 adds and 1 mul (mean over the window), 1 mul, 1 add, 1 pow and 1 div an
    element.
    """
    n = x.elements
    work = Work.of(muls=3 * n, adds=n * size, pow=n, div=n)
    axes = axes_of(len(x.shape))
    return g.emit("local_response_norm", "norm", space_of(x.shape), [(x, axes)], [(x.shape, axes)], work, name=name,
                  dtype=x.dtype)[0]  # fmt: skip


def softmax(g: Graph, x: Tensor, axis: int = -1, *, name: str = "") -> Tensor:
    """A row of D: D - 1 compares, D adds (minus the maximum), D exps, D - 1 adds, D divs."""
    n, row = x.elements, x.shape[axis]
    rows = n // row if row else 0
    work = Work.of(adds=2 * n - rows, compare=n - rows, exp=n, div=n)
    axes = axes_of(len(x.shape))
    return g.emit("softmax", "softmax", space_of(x.shape), [(x, axes)], [(x.shape, axes)], work, name=name,
                  dtype=x.dtype)[0]  # fmt: skip


def log_softmax(g: Graph, x: Tensor, axis: int = -1, *, name: str = "") -> Tensor:
    """A row of D: D - 1 compares, D adds, D exps, D - 1 adds, 1 log, D adds."""
    n, row = x.elements, x.shape[axis]
    rows = n // row if row else 0
    work = Work.of(adds=3 * n - rows, compare=n - rows, exp=n, log=rows)
    axes = axes_of(len(x.shape))
    return g.emit("log_softmax", "softmax", space_of(x.shape), [(x, axes)], [(x.shape, axes)], work, name=name,
                  dtype=x.dtype)[0]  # fmt: skip
