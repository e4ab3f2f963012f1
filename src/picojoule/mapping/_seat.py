"""Which PEs: all ways to spread dimensions over the axes of the array, and a seat on the axes for one of them."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from ._accelerator import Array, SpatialAxis
from ._problem import Problem, Tile

Factors = Literal["perfect", "ragged"]
Rows = npt.NDArray[np.int64]
Seat = tuple[tuple[tuple[str, int], ...], ...]  # per axis: (dimension, factor)


def seat(problem: Problem, array: Array, spatial: Tile) -> Seat | None:
    """Factors per axis with room for `spatial`, or None. A dimension on several axes needs u·v·… >= its factor."""
    wanted = {dim: s for dim, s in zip(problem.dims, spatial, strict=True) if s > 1}
    return _seat_axis(array.axes, wanted)


def _seat_axis(axes: tuple[SpatialAxis, ...], wanted: dict[str, int]) -> Seat | None:
    """Fill the first axis in every way that no later axis could take over, then the rest."""
    if not axes:
        return () if all(s == 1 for s in wanted.values()) else None
    axis, later = axes[0], {dim for rest in axes[1:] for dim in rest.dims}
    here = [dim for dim in wanted if dim in axis.dims and wanted[dim] > 1]
    must = [dim for dim in here if dim not in later]
    room = axis.size // math.prod(wanted[dim] for dim in must)
    if room == 0:
        return None
    fixed = tuple((dim, wanted[dim]) for dim in must)
    for shared in _choices([dim for dim in here if dim in later], wanted, room):
        taken = dict(fixed + shared)
        left = {dim: -(-s // taken.get(dim, 1)) for dim, s in wanted.items()}
        rest = _seat_axis(axes[1:], left)
        if rest is not None:
            return (tuple(pair for pair in fixed + shared if pair[1] > 1), *rest)
    return None


def _choices(dims: list[str], wanted: dict[str, int], room: int) -> list[tuple[tuple[str, int], ...]]:
    """Every way to give the shared dimensions 1 … factor PEs of this axis, widest first."""
    found: list[tuple[tuple[str, int], ...]] = [()]
    for dim in dims:
        found = [
            (*one, (dim, u))
            for one in found
            for u in range(min(wanted[dim], room // math.prod(x for _, x in one)), 0, -1)
        ]
    return found


def unrollings(problem: Problem, array: Array, kind: Factors) -> Rows:
    """Every distinct vector of spatial factors, one row each.

    `perfect`: divisors of the extents. `ragged`: any factor, in canonical form S = ceil(X / ceil(X / S)). Only the
    passes matter: an axis turns passes y into ceil(y / u), and ceil(ceil(X / u) / v) = ceil(X / uv), so canonical
    factors of what an axis finds lose nothing.
    """
    extents = np.array(problem.extents, dtype=np.int64)
    passes = extents[None]
    listed = [dim for axis in array.axes for dim in axis.dims]
    for axis in array.axes:
        used = np.ones(len(passes), dtype=np.int64)
        for dim in axis.dims:
            if dim in problem.dims:
                each: Factors = kind if listed.count(dim) == 1 else "ragged"  # 6 on axes of 4 and 2 has room
                passes, used = _divide(passes, used, problem.dims.index(dim), axis.size, each)
        passes = _distinct(passes)
    if kind == "perfect":
        passes = passes[(extents[None] % passes == 0).all(axis=1)]
    return np.asarray(-(-extents // passes), dtype=np.int64)


def _divide(passes: Rows, used: Rows, column: int, size: int, kind: Factors) -> tuple[Rows, Rows]:
    """Spread one dimension over what is left of the axis, in every way."""
    grown, taken = [], []
    for extent in np.unique(passes[:, column]).tolist():
        rows = np.flatnonzero(passes[:, column] == extent)
        for factor in axis_factors(extent, size, kind):
            fit = rows[used[rows] * factor <= size]
            if fit.size:
                copy = passes[fit]
                copy[:, column] = -(-extent // factor)
                grown.append(copy)
                taken.append(used[fit] * factor)
    return np.concatenate(grown), np.concatenate(taken)


def axis_factors(extent: int, size: int, kind: Factors) -> list[int]:
    """Useful factors up to the size of the axis: divisors, or one per number of passes."""
    if kind == "perfect":
        return [u for u in range(1, min(extent, size) + 1) if extent % u == 0]
    return sorted({-(-extent // -(-extent // u)) for u in range(1, min(extent, size) + 1)})


def _distinct(rows: Rows) -> Rows:
    """Rows without repeats, in a fixed order."""
    weights = np.cumprod(np.concatenate([[1], rows.max(axis=0)[:-1] + 1]).astype(object))
    if int(weights[-1]) * (int(rows[:, -1].max()) + 1) < 2**62:
        keys = rows @ weights.astype(np.int64)
        return rows[np.unique(keys, return_index=True)[1]]
    return np.unique(rows, axis=0)
