"""A mapping: loops at each level, factors on the array, what is bypassed."""

import math
from dataclasses import dataclass

from ._problem import Problem, Tile

Loop = tuple[str, int]  # (dimension, trip)


@dataclass(frozen=True, slots=True)
class Mapping:
    """`loops[l]` are the temporal loops of level l, outermost first; `spatial` the PEs over which a dimension is spread.

    With extents X and spatial factors S the trips of a dimension multiply to ceil(X / S). `bypass` are (level, role).
    """

    loops: tuple[tuple[Loop, ...], ...]
    spatial: tuple[Loop, ...] = ()
    bypass: tuple[tuple[str, str], ...] = ()


def factors(problem: Problem, mapping: Mapping) -> Tile:
    """Spatial factor S of every dimension."""
    chosen = dict(mapping.spatial)
    return tuple(chosen.get(dim, 1) for dim in problem.dims)


def passes_of(extents: Tile, spatial: Tile) -> Tile:
    """ceil(X / S): trips that remain in time."""
    return tuple(-(-extent // factor) for extent, factor in zip(extents, spatial, strict=True))


def canonical(extents: Tile, spatial: Tile) -> Tile:
    """The fewest PEs that need as many passes: ceil(X / ceil(X / S)); more would be idle throughout."""
    return passes_of(extents, passes_of(extents, spatial))


def tiles(problem: Problem, mapping: Mapping) -> tuple[Tile, ...]:
    """Temporal tile Y_l of every level: the product of the trips at l and below; one more, of ones, for the MACs."""
    sizes = dict.fromkeys(problem.dims, 1)
    found = [tuple(sizes.values())]
    for level in reversed(mapping.loops):
        for dim, trip in level:
            sizes[dim] *= trip
        found.append(tuple(sizes.values()))
    return tuple(reversed(found))


def held(problem: Problem, mapping: Mapping, level: int, fanout: int) -> Tile:
    """Tile that one instance of `level` holds: S·Y above the array, Y inside a PE, never beyond the extents."""
    tile = tiles(problem, mapping)[level]
    spread = factors(problem, mapping) if level <= fanout else (1,) * len(tile)
    return tuple(min(x, s * y) for x, s, y in zip(problem.extents, spread, tile, strict=True))


def steps(problem: Problem, mapping: Mapping) -> int:
    """Cycles of the MACs: one MAC per PE and cycle, ragged passes in full."""
    return math.prod(passes_of(problem.extents, factors(problem, mapping)))
