"""Operators whose accesses no loop nest describes: everything is read, everything is written."""

import math
from collections.abc import Sequence

from .._graph import Graph
from .._tensor import Tensor
from .._work import Work
from .pointwise import axes_of, space_of, whole


def whole_op(g: Graph, op: str, inputs: Sequence[Tensor], shapes: Sequence[Sequence[int]], work: Work, *,
             kind: str = "other", name: str = "", dtype: str | None = None) -> tuple[Tensor, ...]:  # fmt: skip
    """`op` reads all of `inputs` and writes tensors of `shapes` at the cost of `work`; its space is the first result's.

    For scatters, sampling, transforms, sorting and the like, whose order of access is their own.
    """
    dtype = dtype or (inputs[0].dtype if inputs else None)
    space = space_of(shapes[0]) if shapes else []
    outputs = [(tuple(shape), axes_of(len(shape)) if i == 0 else [()] * len(shape)) for i, shape in enumerate(shapes)]
    return g.emit(op, kind, space, [whole(t) for t in inputs], outputs, work, name=name, dtype=dtype)


def interpolate(g: Graph, x: Tensor, shape: Sequence[int], taps: int, others: Sequence[Tensor] = (), *,
                op: str = "resize", name: str = "") -> Tensor:  # fmt: skip
    """Each element of `shape` is the weighted sum of `taps` elements of `x`; one tap is a copy.

    `taps` muls and `taps` - 1 adds an element; coordinates and weights, shared by all channels, are not counted.
    """
    n = math.prod(shape)
    work = Work.of(muls=n * taps, adds=n * (taps - 1)) if taps > 1 else Work()
    kind = "interpolate" if taps > 1 else "move"
    return whole_op(g, op, [x, *others], [shape], work, kind=kind, name=name)[0]


def fourier(g: Graph, x: Tensor, shape: Sequence[int], length: int, transforms: int, *, op: str = "fft",
            name: str = "") -> Tensor:  # fmt: skip
    """`transforms` complex Fourier transforms of `length` points, by the radix-2 count also where it is no power of 2.

    n/2 · log2 n butterflies, each a complex product (4 muls, 2 adds) and two complex sums (4 adds).
    """
    butterflies = transforms * length * max(0, (length - 1).bit_length()) // 2
    work = Work.of(muls=4 * butterflies, adds=6 * butterflies)
    return whole_op(g, op, [x], [shape], work, kind="fft", name=name)[0]
