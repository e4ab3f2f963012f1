"""A sharper bound of many unrollings at once: what the array's boundary must cost, given the least above it.

For an array right below the second level and spatial factors that divide. Above: every array tile T that fits, with
U(T) = least cost of the outermost boundary; kept per operand s as the lower convex hull of (q_s(T), U(T)), for a run
of s that begins there brings its words q_s(T) times; a run from further out counts as (1, least U). Below: every PE
tile that fits, as one matrix [unrollings, tiles] of the cost of the array's boundary,
    bound = fixed + deeper boundaries once + min over s and tile of  sum of others F_o q_o + min over hull (U + F_s q_s)
Every mapping crosses the array with one s, one tile and one point that the hull bounds, so the bound is admissible.
"""

from dataclasses import dataclass

import numpy as np

from ._accelerator import Accelerator
from ._bound import floor
from ._convention import Convention
from ._field import Ints, copies, field, spread_columns, tile_words
from ._lattice import Column, prime_powers
from ._problem import Operand, Problem
from ._weights import Prices


@dataclass(frozen=True, slots=True)
class Hull:
    """Lower convex hull of (repeats, cost above); `slopes` fall, one per edge."""

    repeats: Column
    cost: Column
    slopes: Column

    def least(self, stay: Column) -> Column:
        """min over the points of cost + stay · repeats."""
        at = len(self.slopes) - np.searchsorted(self.slopes[::-1], stay.ravel(), side="left")
        return np.asarray((self.cost[at] + stay.ravel() * self.repeats[at]).reshape(stay.shape))


@dataclass(frozen=True, slots=True)
class Refinement:
    """What all unrollings share: hulls of the level above the array, and the PE tiles that fit."""

    problem: Problem
    machine: Accelerator
    convention: Convention
    prices: Prices
    hulls: tuple[Hull, ...]
    tiles: Ints
    least_above: float


def refinement(problem: Problem, machine: Accelerator, prices: Prices, convention: Convention) -> Refinement | None:
    """None where the array does not stand between the second and the third level."""
    if machine.fanout != 1 or len(machine.levels) < 3:
        return None
    grid = field(problem, machine, (1,) * len(problem.dims), convention)
    last, fits = len(problem.operands) - 1, np.isfinite(grid.refusal[1])
    moved: dict[int, Column] = {
        edge.operand: edge.priced(prices, edge.operand == last) * np.ones(grid.lattice.size)
        for edge in grid.boundaries
        if edge.child == 1
    }
    total = sum((moved[o] * grid.repeats[o] for o in moved), np.zeros(grid.lattice.size))
    cost = np.minimum.reduce([total, *(total - moved[s] * grid.repeats[s] + moved[s] for s in moved)])[fits]
    cost = cost * (1 - 1e-12)  # the subtraction may round up; a bound must not
    least = float(cost.min()) if cost.size else np.inf
    hulls = tuple(_hull(np.append(repeats[fits], 1.0), np.append(cost, least)) for repeats in grid.repeats)
    return Refinement(problem, machine, convention, prices, hulls, _inner_tiles(problem, machine, convention), least)


def _hull(repeats: Column, cost: Column) -> Hull:
    """The points below every chord, least repeats first."""
    xs: list[float] = []
    ys: list[float] = []
    for i in np.lexsort((cost, repeats)).tolist():
        x, y = float(repeats[i]), float(cost[i])
        if ys and y >= ys[-1]:
            continue
        if xs and xs[-1] == x:
            xs.pop()
            ys.pop()
        while len(xs) > 1 and (ys[-1] - ys[-2]) * (x - xs[-2]) >= (y - ys[-2]) * (xs[-1] - xs[-2]):
            xs.pop()
            ys.pop()
        xs.append(x)
        ys.append(y)
    points, costs = np.array(xs), np.array(ys)
    return Hull(points, costs, (costs[:-1] - costs[1:]) / (points[1:] - points[:-1]))


def _inner_tiles(problem: Problem, machine: Accelerator, convention: Convention) -> Ints:
    """Tiles of one PE: divisors of the extents whose loops may stand there and that fit the level below the array."""
    level, tiles = machine.levels[2], np.ones((len(problem.dims), 1), dtype=np.int64)
    for d, (dim, extent) in enumerate(problem.space):
        if all(inner.loops is not None and dim not in inner.loops for inner in machine.levels[2:]):
            continue
        choices = np.array(_divisors(extent))
        tiles = np.repeat(tiles, len(choices), axis=1)
        tiles[d] = np.tile(choices, tiles.shape[1] // len(choices))
        tiles = tiles[:, _fits(problem, machine, level.name, tiles, convention)]
    return tiles


def _fits(problem: Problem, machine: Accelerator, name: str, tiles: Ints, convention: Convention) -> np.ndarray:
    """Tiles within the capacities of a level; sizes only grow with the tile, so what fails may be dropped early."""
    level = next(level for level in machine.levels if level.name == name)
    shares, total, good = dict(level.shares), np.zeros(tiles.shape[1]), np.ones(tiles.shape[1], dtype=bool)
    for operand in problem.operands:
        if operand.role in level.keeps:
            need = tile_words(operand, tiles, convention) * (machine.bits[operand.role] * level.copies)
            total += need
            good &= need <= shares.get(operand.role, np.inf)
    return np.asarray(good & (total <= (np.inf if level.capacity_bits is None else level.capacity_bits)))


def _divisors(number: int) -> list[int]:
    found = [1]
    for prime, top in prime_powers(number):
        found = [d * prime**e for d in found for e in range(top + 1)]
    return sorted(found)


def refine(shared: Refinement, spatial: Ints) -> Column:
    """Lower bound of the cost of every unrolling (rows of divisors of the extents)."""
    problem, machine = shared.problem, shared.machine
    passes = -(-np.array(problem.extents)[None] // spatial)
    rest = floor(problem, machine, spatial, shared.prices, shared.convention, without=frozenset({1, 2})).least
    outside = _not_dividing(passes, shared.tiles)
    moved, again = {}, {}
    for o, operand in enumerate(problem.operands):
        irrelevant = [d for d in range(len(problem.dims)) if d not in operand.relevant]
        again[o] = passes[:, irrelevant].prod(axis=1, dtype=float)[:, None] / shared.tiles[irrelevant].prod(
            axis=0, dtype=float
        )
        if 2 in machine.holders(operand.role):
            moved[o] = _crossing(shared, operand, o, spatial)
    best = np.full(len(spatial), np.inf)
    for s in range(len(problem.operands)):
        others = outside + sum((moved[o] * again[o] for o in moved if o != s), np.zeros((1, 1)))
        stay = moved.get(s, np.zeros((1, 1))) * np.ones(others.shape)
        best = np.minimum(best, (others + shared.hulls[s].least(stay)).min(axis=1, initial=np.inf))
    return np.asarray(rest + best)


def _not_dividing(passes: Ints, tiles: Ints) -> Column:
    """Infinity where a tile does not divide the passes of an unrolling."""
    bad = np.zeros((len(passes), tiles.shape[1]), dtype=bool)
    for d in range(len(tiles)):
        values, index = np.unique(passes[:, d], return_inverse=True)
        if tiles[d].max(initial=1) > 1:
            bad |= (values[:, None] % tiles[d][None] != 0)[index.ravel()]
    return np.where(bad, np.inf, 0.0)


def _crossing(shared: Refinement, operand: Operand, o: int, spatial: Ints) -> Column:
    """F of the array's boundary [unrollings, tiles]; the same law as `_field._boundary` for child = 2."""
    machine, prices, output = shared.machine, shared.prices, o == len(shared.problem.operands) - 1
    extents, rule = shared.problem.extents, shared.convention
    parent, shared_by = machine.parent(operand.role, 2), copies(operand, spatial)[:, None]
    apart = spread_columns(operand, extents, dict(enumerate(shared.tiles)), rule)
    above: Column | float = apart * shared_by
    if output or (machine.array.multicast and rule.multicast == "union"):
        together = {d: spatial[:, d][:, None] * shared.tiles[d][None] for axis in operand.windows for d, _ in axis}
        above = spread_columns(operand, extents, together, rule)
    elif machine.array.multicast:
        above = apart
    per_word = prices.read[parent, o] + (prices.update[parent, o] if output else 0.0)
    return np.asarray(above * per_word + apart * shared_by * prices.write[2, o])
