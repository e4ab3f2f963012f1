"""The lattice of tiles: every divisor of every extent, as columns; and the running minimum over divisors."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

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
    """All tiles T | Y_0; `tiles[d]` is the extent of dimension d in every tile; the last tile is Y_0 itself."""

    axes: tuple[PrimeAxis, ...]
    tiles: npt.NDArray[np.int64]

    @property
    def size(self) -> int:
        """Number of tiles."""
        return int(self.tiles.shape[1])

    def running_minimum(self, values: Column, dims: Collection[int]) -> Column:
        """In place: at every tile T the least value over the T' | T that differ from T in `dims` only."""
        for axis in self.axes:
            if axis.dim in dims:
                block = values.reshape(-1, axis.length, axis.after)  # leading rows are further blocks
                np.minimum.accumulate(block, axis=1, out=block)
        return values


@lru_cache(maxsize=256)
def lattice(passes: tuple[int, ...]) -> Lattice:
    """The lattice of the divisors of every extent."""
    primes = [(dim, prime, exponent + 1) for dim, y in enumerate(passes) for prime, exponent in prime_powers(y)]
    total = 1
    for _, _, length in primes:
        total *= length
    tiles = np.ones((len(passes), total), dtype=np.int64)
    axes, after = [], total
    for dim, prime, length in primes:
        before = total // after
        after //= length
        axes.append(PrimeAxis(dim, before, length, after))
        powers = np.array([prime**e for e in range(length)], dtype=np.int64)
        tiles[dim].reshape(before, length, after)[...] *= powers[None, :, None]
    return Lattice(tuple(axes), tiles)
