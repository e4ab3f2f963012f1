"""The lattice of tiles: every divisor of every extent, as columns; and the running minimum over divisors."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[np.float64]


@lru_cache(maxsize=65536)
def prime_powers(number: int) -> tuple[tuple[int, int], ...]:
    """((prime, exponent), …) of a positive integer."""
    found, prime = [], 2
    while prime * prime <= number:
        exponent = 0
        while number % prime == 0:
            number //= prime
            exponent += 1
        if exponent:
            found.append((prime, exponent))
        prime += 1
    return tuple([*found, (number, 1)] if number > 1 else found)


@dataclass(frozen=True, slots=True)
class PrimeAxis:
    """One prime of one dimension: the flat lattice seen as (before, length, after)."""

    dim: int
    before: int
    length: int
    after: int


@dataclass(frozen=True, slots=True)
class Lattice:
    """All tiles T | Y_0; `tiles[d]` is the extent of dimension d in every tile; the last tile is Y_0 itself.

    `values[d]` are the divisors of dimension d, `shape` their numbers; a tile is one of each, the last one fastest.
    """

    axes: tuple[PrimeAxis, ...]
    tiles: npt.NDArray[np.int64]
    values: tuple[npt.NDArray[np.int64], ...]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of tiles."""
        return int(self.tiles.shape[1])

    def product(self, factors: Collection[tuple[tuple[int, ...], npt.NDArray[Any]]]) -> Column:
        """The product at every tile of factors that depend on up to two dimensions: (dimensions, values or table)."""
        total: npt.NDArray[Any] | float = 1.0
        for dims, table in factors:
            turned, shape = table if dims == tuple(sorted(dims)) else table.T, [1] * len(self.shape)
            for d in dims:
                shape[d] = self.shape[d]
            total = total * turned.reshape(shape)
        column = np.empty(self.shape)
        column[...] = total
        return column.reshape(-1)

    def running_minimum(self, values: Column, dims: Collection[int]) -> Column:
        """In place: at every tile T the least value over the T' | T that differ from T in `dims` only."""
        for axis in self.axes:
            if axis.dim in dims:
                block = values.reshape(-1, axis.length, axis.after)  # leading rows are further blocks
                for e in range(1, axis.length):  # whole slices: ten times as fast as np.minimum.accumulate
                    np.minimum(block[:, e], block[:, e - 1], out=block[:, e])
        return values


@lru_cache(maxsize=256)
def lattice(passes: tuple[int, ...]) -> Lattice:
    """The lattice of the divisors of every extent."""
    values = []
    lengths: list[tuple[int, int]] = []
    for dim, y in enumerate(passes):
        found = np.ones(1, dtype=np.int64)
        for prime, exponent in prime_powers(y):
            found = (found[:, None] * np.array([prime**e for e in range(exponent + 1)], dtype=np.int64)).reshape(-1)
            lengths.append((dim, exponent + 1))
        values.append(found)
    shape = [len(one) for one in values]
    tiles = np.empty((len(passes), math.prod(shape)), dtype=np.int64)
    for dim, found in enumerate(values):
        tiles[dim].reshape(shape)[...] = found.reshape([-1 if d == dim else 1 for d in range(len(shape))])
    axes, after = [], math.prod(shape)
    for dim, length in lengths:
        before = math.prod(shape) // after
        after //= length
        axes.append(PrimeAxis(dim, before, length, after))
    return Lattice(tuple(axes), tiles, tuple(values), tuple(shape))
