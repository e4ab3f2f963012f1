"""From the running minima back to the mapping that attains them."""

import numpy as np
import numpy.typing as npt

from ._field import Field
from ._mapping import Mapping
from ._solve import Solution, movable

Chain = tuple[tuple[int, int], ...]  # per level below the outermost: (index of its tile, stationary operand above it)


def trace(field: Field, solution: Solution, row: int = 0) -> Mapping | None:
    """The mapping of least cost for one row of prices (from a `solve` that kept its stretches); None if none fits."""
    levels, operands, allowed = len(field.machine.levels), field.problem.operands, movable(field)
    everything = frozenset(range(len(field.problem.dims)))
    tile, level, chain = field.lattice.size - 1, 0, []
    while level < levels - 1:
        below = reachable(field, tile, allowed[level])
        options = [
            (_least(solution, row, (s, k, level + 1), below, float(field.repeats[s][tile])), s, k)
            for k in range(level, levels - 1)
            for s in range(len(operands))
        ]
        (value, tile_below), s, k = min(options, key=lambda option: option[0][0])
        if not np.isfinite(value):
            return None
        start = float(field.repeats[s][tile])
        chain.append((tile_below, s))
        for j in range(level + 1, k + 1):
            below = reachable(field, tile_below, (everything - operands[s].relevant) & allowed[j])
            _, tile_below = _least(solution, row, (s, k, j + 1), below, start)
            chain.append((tile_below, s))
        tile, level = tile_below, k + 1
    return build(field, tuple(chain))


def reachable(field: Field, tile: int, dims: frozenset[int]) -> npt.NDArray[np.intp]:
    """Indices of the tiles that divide this one in `dims` and equal it elsewhere."""
    sizes, fits = field.lattice.tiles, np.ones(field.lattice.size, dtype=bool)
    for d in range(len(sizes)):
        fits &= sizes[d][tile] % sizes[d] == 0 if d in dims else sizes[d] == sizes[d][tile]
    return np.flatnonzero(fits)


def _least(
    solution: Solution, row: int, key: tuple[int, int, int], below: npt.NDArray[np.intp], start: float
) -> tuple[float, int]:
    stretch = solution.stretches[key]
    stay = stretch.stay[row]
    values = stretch.apart[row][below] + (stay[below] if len(stay) > 1 else stay) * start
    at = int(values.argmin())
    return float(values[at]), int(below[at])


def build(field: Field, chain: Chain) -> Mapping:
    """Loops of every level: those relevant to the stationary operand outside, the others inside."""
    dims, sizes = field.problem.dims, field.lattice.tiles
    loops, outer = [], sizes[:, -1]
    for index, s in chain:
        trips = outer // sizes[:, index]
        relevant = field.problem.operands[s].relevant
        order = sorted(range(len(dims)), key=lambda d: d not in relevant)
        loops.append(tuple((dims[d], int(trips[d])) for d in order if trips[d] > 1))
        outer = sizes[:, index]
    loops.append(tuple((dims[d], int(outer[d])) for d in range(len(dims)) if outer[d] > 1))
    spatial = tuple((dim, s) for dim, s in zip(dims, field.spatial, strict=True) if s > 1)
    return Mapping(tuple(loops), spatial)
