"""Words under a tile: of one axis, of a whole tensor, and summed over the grid of tiles that cover the space."""

import math

from ._convention import Convention
from ._problem import Axis, Operand, Tile


def distinct(p: int, r: int, stride: int, dilation: int) -> int:
    """Different values of stride·i + dilation·j for i < p, j < r.

    Two points agree along the step (dilation/g, -stride/g), g the greatest common divisor, so each value is counted
    once at the point without a predecessor: p·r - max(0, p - dilation/g)·max(0, r - stride/g).
    """
    common = math.gcd(stride, dilation)
    return p * r - max(0, p - dilation // common) * max(0, r - stride // common)


def hull(p: int, r: int, stride: int, dilation: int) -> int:
    """Length of the interval from the first to the last value of stride·i + dilation·j."""
    return stride * (p - 1) + dilation * (r - 1) + 1


def axis_words(axis: Axis, tile: Tile, convention: Convention) -> int:
    """Words of one axis under one tile."""
    if len(axis) == 1:
        return tile[axis[0][0]]
    (a, stride), (b, dilation) = axis
    return (distinct if convention.window == "touched" else hull)(tile[a], tile[b], stride, dilation)


def words(operand: Operand, tile: Tile, convention: Convention) -> int:
    """Words of a tensor under one tile: the product over its axes."""
    return math.prod(axis_words(axis, tile, convention) for axis in operand.axes)


Sweep = tuple[int, int]  # (dimension, trip): tiles along it keep their overlap


def spread(operand: Operand, extents: Tile, tile: Tile, convention: Convention, sweep: Sweep | None = None) -> int:
    """Words of all tiles of the grid that covers `extents`, each clipped at the border; halos count in every tile.

    An axis of one dimension gives its extent whatever the tile. A window has at most four kinds of tiles: full or
    last in either dimension. Under perfect halo every word counts once; along a sweep the new words of t steps add
    up to one tile t times as long.
    """
    whole = extents if convention.halo == "perfect" else tile
    return math.prod(_axis_spread(axis, extents, whole, convention, sweep) for axis in operand.axes)


def _axis_spread(axis: Axis, extents: Tile, tile: Tile, convention: Convention, sweep: Sweep | None) -> int:
    if len(axis) == 1:
        return extents[axis[0][0]]
    (a, stride), (b, dilation) = axis
    if sweep is not None and sweep[0] == b:
        (a, stride), (b, dilation) = axis[::-1]
    measure = distinct if convention.window == "touched" else hull
    total = 0
    for times_b, size_b in _blocks(extents[b], tile[b]):
        length = tile[a]
        if (
            sweep is not None
            and sweep[0] == a
            and (convention.window == "touched" or dilation * (size_b - 1) + 1 >= stride)
        ):
            length *= sweep[1]  # hulls further apart than they are long share nothing
        for times_a, size_a in _blocks(extents[a], length):
            total += times_a * times_b * measure(size_a, size_b, stride, dilation)
    return total


def _blocks(extent: int, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(how many, how long) of the full blocks and of the last one."""
    full = -(-extent // size) - 1
    return (full, min(size, extent)), (1, extent - full * size)
