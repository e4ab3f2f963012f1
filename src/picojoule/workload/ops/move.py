"""Data movement: bytes and no arithmetic."""

import math
from collections.abc import Sequence

from picojoule.quantity import InputError

from .._graph import Graph
from .._operator import Access, Axis
from .._tensor import Tensor
from .._work import Work
from .pointwise import axes_of, space_of


def copy(g: Graph, x: Tensor, shape: Sequence[int] | None = None, *, op: str = "copy", name: str = "",
         dtype: str | None = None, kind: str = "move") -> Tensor:  # fmt: skip
    """Read what `x` stores and write `shape` elements (its own by default): copies, casts, layout changes, tiling."""
    shape = x.shape if shape is None else tuple(shape)
    same = len(shape) == len(x.shape)
    axes = axes_of(len(x.shape)) if same else [()] * len(x.shape)
    return g.emit(op, kind, space_of(shape), [(x, axes)], [(shape, axes_of(len(shape)))], Work(), name=name,
                  dtype=dtype or x.dtype)[0]  # fmt: skip


def transpose(g: Graph, x: Tensor, order: Sequence[int], *, name: str = "") -> Tensor:
    """A real transposition in memory (a view that only permutes strides is `Graph.view`)."""
    shape = [x.shape[i] for i in order]
    axes: list[Axis] = [()] * len(order)
    for position, source in enumerate(order):
        axes[source] = ((f"d{position}", 1),)
    return g.emit("transpose", "move", space_of(shape), [(x, axes)], [(shape, axes_of(len(shape)))], Work(),
                  name=name, dtype=x.dtype)[0]  # fmt: skip


def concat(g: Graph, tensors: Sequence[Tensor], axis: int, *, name: str = "", op: str = "concat",
           kind: str = "move") -> Tensor:  # fmt: skip
    """Tensors one after another along `axis`: each read once, the result written once."""
    axis %= len(tensors[0].shape)
    first = tensors[0].shape
    for t in tensors[1:]:
        if len(t.shape) != len(first) or any(a != b for i, (a, b) in enumerate(zip(t.shape, first, strict=True))
                                             if i != axis):  # fmt: skip
            raise InputError(f"cannot concatenate {[list(t.shape) for t in tensors]} along axis {axis}",
                             where=name or g.path, expected="equal sizes on every other axis")  # fmt: skip
    shape = [sum(t.shape[axis] for t in tensors) if i == axis else size for i, size in enumerate(first)]
    inputs = [(t, axes_of(len(shape))) for t in tensors]
    return g.emit(op, kind, space_of(shape), inputs, [(shape, axes_of(len(shape)))], Work(), name=name,
                  dtype=tensors[0].dtype)[0]  # fmt: skip


def pad(g: Graph, x: Tensor, padding: Sequence[tuple[int, int]], *, name: str = "") -> Tensor:
    """Grow (or, with negative numbers, crop) each axis by (before, after)."""
    shape = [size + before + after for size, (before, after) in zip(x.shape, padding, strict=True)]
    if any(size < 0 for size in shape):
        raise InputError(f"padding {list(padding)} of {list(x.shape)} leaves a negative size", where=name or g.path)
    return copy(g, x, shape, op="pad", name=name)


def gather(g: Graph, table: Tensor, indices: Tensor, axis: int = 0, *, name: str = "", op: str = "gather") -> Tensor:
    """Rows of `table` along `axis` by `indices`: the rows gathered are read, once for each index, no more."""
    axis %= len(table.shape)
    row = table.elements // table.shape[axis] if table.shape[axis] else 0
    shape = [*table.shape[:axis], *indices.shape, *table.shape[axis + 1 :]]
    out_axes = axes_of(len(shape))
    index_axes = out_axes[axis : axis + len(indices.shape)]
    table_axes: list[Axis] = [*out_axes[:axis], (), *out_axes[axis + len(indices.shape) :]]
    reads: list[Access | tuple[Tensor, Sequence[Axis]]] = [
        Access(table.name, tuple(table_axes), row * indices.elements), (indices, index_axes),
    ]  # fmt: skip
    return g.emit(op, "gather", space_of(shape), reads, [(shape, out_axes)], Work(), name=name, dtype=table.dtype)[0]


def select(g: Graph, x: Tensor, elements: int, shape: Sequence[int], *, op: str = "slice", name: str = "") -> Tensor:
    """Copy `elements` of `x` into a new tensor of `shape`: slices and gathers that a view cannot express."""
    read = Access(x.name, tuple(() for _ in x.shape), elements)
    return g.emit(op, "move", space_of(shape), [read], [(tuple(shape), axes_of(len(shape)))], Work(), name=name,
                  dtype=x.dtype)[0]  # fmt: skip


def slice_view(g: Graph, x: Tensor, shape: Sequence[int]) -> Tensor:
    """A slice as a view: nothing moves; later reads touch only the slice."""
    return g.view(x, shape, stored=min(math.prod(shape), x.stored_elements))


def expand(g: Graph, x: Tensor, shape: Sequence[int]) -> Tensor:
    """`x` broadcast to `shape` as a view: later reads touch only what is stored."""
    return g.view(x, shape, stored=x.stored_elements)
