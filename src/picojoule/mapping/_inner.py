"""The levels below the array for many unrollings at once: one matrix [unrollings, PE tiles] per boundary.

PE tiles are the divisors of the extents that fit the first level below the array; with a tile all its divisors are
there, so running minima over divisors stay inside.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ._accelerator import Accelerator, Level
from ._convention import Convention
from ._field import Ints, copies, spread_columns, tile_words
from ._lattice import Column, prime_powers
from ._problem import Operand, Problem
from ._weights import Prices

Step = tuple[int, Ints, Ints]  # (dimension, tiles, the same tiles divided by one prime)


@dataclass(frozen=True, slots=True)
class Inner:
    """PE tiles [dims, n], infinity per level where a tile does not fit, and single prime steps, small tiles first."""

    problem: Problem
    machine: Accelerator
    convention: Convention
    prices: Prices
    tiles: Ints
    refusal: dict[int, Column]
    steps: tuple[Step, ...]

    def running_minimum(self, values: Column, dims: frozenset[int]) -> Column:
        """In place: at every tile the least value over the tiles that divide it in `dims` and equal it elsewhere."""
        for d, larger, smaller in self.steps:
            if d in dims:
                values[:, larger] = np.minimum(values[:, larger], values[:, smaller])
        return values


def inner_tiles(
    problem: Problem, machine: Accelerator, prices: Prices, convention: Convention, passes: Ints
) -> Inner:  # fmt: skip
    """Tiles of one PE whose loops may stand there: of divisors of any row of passes."""
    found = few_inner_tiles(problem, machine, prices, convention, passes, None)
    assert found is not None
    return found


def few_inner_tiles(
    problem: Problem, machine: Accelerator, prices: Prices, convention: Convention, passes: Ints, most: int | None
) -> Inner | None:  # fmt: skip
    """As inner_tiles; None as soon as there are more than `most`, for then they cost more to look at than they save."""
    first, tiles = machine.fanout + 1, np.ones((len(problem.dims), 1), dtype=np.int64)
    for d, dim in enumerate(problem.dims):
        if any(level.loops is None or dim in level.loops for level in machine.levels[first:]):
            choices = np.array(sorted({part for y in np.unique(passes[:, d]).tolist() for part in divisors(y)}))
            if most is not None and tiles.shape[1] * len(choices) > 4 * most:
                return None
            tiles = np.repeat(tiles, len(choices), axis=1)
            tiles[d] = np.tile(choices, tiles.shape[1] // len(choices))
            tiles = tiles[:, _fits(problem, machine, machine.levels[first], tiles, convention)]
            if most is not None and tiles.shape[1] > most:
                return None
    refusal = {}
    for c in range(first, len(machine.levels)):
        level = machine.levels[c]
        good = _fits(problem, machine, level, tiles, convention)
        if c == len(machine.levels) - 1 and level.loops is not None:
            for d, dim in enumerate(problem.dims):
                good &= (tiles[d] == 1) | (dim in level.loops)
        refusal[c] = np.where(good, 0.0, np.inf)
    steps = _steps(tiles) if len(machine.levels) > first + 1 else ()
    return Inner(problem, machine, convention, prices, tiles, refusal, steps)


def _fits(problem: Problem, machine: Accelerator, level: Level, tiles: Ints, convention: Convention) -> np.ndarray:
    """Tiles within the capacities of a level; sizes only grow with the tile, so what fails may be dropped early."""
    shares, total, good = dict(level.shares), np.zeros(tiles.shape[1]), np.ones(tiles.shape[1], dtype=bool)
    for operand in problem.operands:
        if operand.role in level.keeps:
            need = tile_words(operand, tiles, convention) * (machine.bits[operand.role] * level.copies)
            total += need
            good &= need <= shares.get(operand.role, np.inf)
    return np.asarray(good & (total <= (np.inf if level.capacity_bits is None else level.capacity_bits)))


@lru_cache(maxsize=65536)
def divisors(number: int) -> tuple[int, ...]:
    """All of them, in any order."""
    found = [1]
    for prime, top in prime_powers(number):
        found = [d * prime**e for d in found for e in range(top + 1)]
    return tuple(found)


def _steps(tiles: Ints) -> tuple[Step, ...]:
    """Every tile and its quotient by one prime, by dimension, prime and rising exponent."""
    place = {tile: i for i, tile in enumerate(map(tuple, tiles.T.tolist()))}
    found = []
    for d in range(len(tiles)):
        for prime in sorted({prime for size in np.unique(tiles[d]).tolist() for prime, _ in prime_powers(size)}):
            power = prime
            while (larger := np.flatnonzero((tiles[d] % power == 0) & (tiles[d] % (power * prime) != 0))).size:
                shrunk = tiles[:, larger].copy()
                shrunk[d] //= prime
                found.append((d, larger, np.array([place[tile] for tile in map(tuple, shrunk.T.tolist())])))
                power *= prime
    return tuple(found)


def crossings(inner: Inner, spatial: Ints) -> Iterator[tuple[int, Column, Column]]:
    """(s, apart, stay) [unrollings, tiles] of every stretch that crosses the array; infinity where a tile cannot be."""
    problem, machine, tiles = inner.problem, inner.machine, inner.tiles
    first, last = machine.fanout, len(machine.levels) - 1
    everything = frozenset(range(len(problem.dims)))
    allowed = [
        frozenset(d for d, dim in enumerate(problem.dims) if level.loops is None or dim in level.loops)
        for level in machine.levels
    ]
    passes = -(-np.array(problem.extents)[None] // spatial)
    outside, again = _not_dividing(passes, tiles), []
    for operand in problem.operands:
        rest = sorted(everything - operand.relevant)
        again.append(passes[:, rest].prod(axis=1, dtype=float)[:, None] / tiles[rest].prod(axis=0, dtype=float))
    moved = {
        (child, o): _crossing(inner, operand, o, child, spatial)
        for o, operand in enumerate(problem.operands)
        for child in machine.holders(operand.role)
        if child > first
    }
    refused = {
        c: outside + inner.refusal[c] for c in range(first + 1, last + 1)
    }  # a tile may divide one that cannot be
    value = {j: np.full(outside.shape, np.inf) for j in range(first + 1, last)} | {last: np.zeros(outside.shape)}
    for k in range(last - 1, first - 1, -1):
        for s, operand in enumerate(problem.operands):
            stay, below = np.zeros((1, 1)), value[k + 1]
            for j in range(k, first - 1, -1):
                others = (
                    moved[j + 1, o] * again[o] for o in range(len(problem.operands)) if o != s and (j + 1, o) in moved
                )
                apart = sum(others, below + refused[j + 1])
                stay = stay + moved.get((j + 1, s), 0.0)
                if j == first:
                    yield s, apart, np.broadcast_to(stay, apart.shape)
                    continue
                below = inner.running_minimum(apart, (everything - operand.relevant) & allowed[j])
                above = inner.running_minimum(below + stay * again[s], operand.relevant & allowed[j])
                value[j] = np.minimum(value[j], above)


def _not_dividing(passes: Ints, tiles: Ints) -> Column:
    """Infinity where a tile does not divide the passes of an unrolling."""
    bad = np.zeros((len(passes), tiles.shape[1]), dtype=bool)
    for d in range(len(tiles)):
        if tiles[d].max(initial=1) > 1:
            values, index = np.unique(passes[:, d], return_inverse=True)
            bad |= (values[:, None] % tiles[d][None] != 0)[index.ravel()]
    return np.where(bad, np.inf, 0.0)


def _crossing(inner: Inner, operand: Operand, o: int, child: int, spatial: Ints) -> Column:
    """F of one boundary below the array [unrollings, tiles]; the same law as `_field._boundary`."""
    machine, prices, output = inner.machine, inner.prices, o == len(inner.problem.operands) - 1
    extents, rule = inner.problem.extents, inner.convention
    parent, shared_by = machine.parent(operand.role, child), copies(operand, spatial)[:, None]
    apart = spread_columns(operand, extents, dict(enumerate(inner.tiles)), rule)
    above: Column | float = apart * shared_by
    if parent <= machine.fanout:
        if (output or (machine.array.multicast and rule.multicast == "union")) and child == machine.fanout + 1:
            above = _together(inner, operand, spatial)
        elif machine.array.multicast or output:
            above = apart
    per_word = prices.read[parent, o] + (prices.update[parent, o] if output else 0.0)
    return np.asarray(above * per_word + apart * shared_by * prices.write[child, o])


def _together(inner: Inner, operand: Operand, spatial: Ints) -> Column | float:
    """A_o(S·t) [unrollings, tiles]: window by window on the few different factors and tiles of its two dimensions."""
    extents, rule = inner.problem.extents, inner.convention
    total = spread_columns(
        replace(operand, axes=tuple(axis for axis in operand.axes if len(axis) == 1)), extents, {}, rule
    )
    for axis in operand.windows:
        (a, _), (b, _) = axis
        factor, row = np.unique(spatial[:, a] * (extents[b] + 1) + spatial[:, b], return_inverse=True)
        tile, column = np.unique(inner.tiles[a] * (extents[b] + 1) + inner.tiles[b], return_inverse=True)
        high, low = divmod(factor, extents[b] + 1), divmod(tile, extents[b] + 1)
        sizes = {d: high[i][:, None] * low[i][None] for i, d in enumerate((a, b))}
        table = np.asarray(spread_columns(replace(operand, axes=(axis,)), extents, sizes, rule))
        total = total * (table if table.ndim == 0 else table[row][:, column])
    return total
