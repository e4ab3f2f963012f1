"""Two sharper bounds of many unrollings at once, for an array right below the second level and factors that divide.

Above the array: U(T) = least cost of the outermost boundary at every array tile T that fits. Below: every PE tile t
that fits, and by the running minima of `_inner` the least cost of everything under it, kept per stretch that crosses
the array (s stays through levels 1 … k) as `apart`, without s, and `stay`, to be multiplied by the repeats q_s of s.

    coarse: fixed + min over t, s, k of  apart + min over T of (U(T) + stay · q_s(T))
    tight:  the same with T a multiple of S·t
    both:   or stay once, where s stays from the outermost level on: the least U_s(T), s paid once, over the T that
            equal S·t in the dimensions of s and are multiples of it in the others (a running minimum, a table)

`coarse` minimises a line over points (q_s, U), so their lower convex hull is enough. Every mapping crosses the array
with one s, one k, one t and one T that S·t divides, so both bounds are admissible. Of two tiles T | T' the larger
costs no more, hence only maximal tiles count (hulls of windows with stride excepted).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ._accelerator import Accelerator
from ._bound import floor
from ._convention import Convention
from ._field import Ints, field, fixed_cost, fixed_words
from ._inner import Inner, crossings, few_inner_tiles, inner_tiles
from ._lattice import Column, Lattice, prime_powers
from ._problem import Problem
from ._weights import Prices

DOWN = 1 - 1e-12  # sums may round up; a bound must not
PAIRS = 4_000_000  # entries of one matrix of pairs of tiles


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
class Tops:
    """Maximal array tiles: their divisors as bits, and the least cost above; `through` for s at every tile."""

    codes: Ints
    cost: Column
    repeats: tuple[Column, ...]
    lattice: Lattice
    through: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Refinement:
    """What all unrollings share."""

    problem: Problem
    machine: Accelerator
    convention: Convention
    prices: Prices
    hulls: tuple[Hull, ...]
    tops: Tops
    inner: Inner


def refinement(problem: Problem, machine: Accelerator, prices: Prices, convention: Convention) -> Refinement | None:
    """None where the array does not stand between the second and the third level, or tiles do not fit 62 bits."""
    factors = sum(top for extent in problem.extents for _, top in prime_powers(extent))
    if machine.fanout != 1 or len(machine.levels) < 3 or factors > 62:
        return None
    grid = field(problem, machine, (1,) * len(problem.dims), convention)
    last, fits = len(problem.operands) - 1, np.isfinite(grid.refusal[1])
    moved: dict[int, Column] = {
        edge.operand: edge.priced(prices, edge.operand == last) * np.ones(grid.lattice.size)
        for edge in grid.boundaries
        if edge.child == 1
    }
    total = sum((moved[o] * grid.repeats[o] for o in moved), np.zeros(grid.lattice.size))
    once = [(total - moved[s] * grid.repeats[s] + moved[s] if s in moved else total) * DOWN for s in range(last + 1)]
    cost, best = np.minimum.reduce([total * DOWN, *once]), _maximal(problem, grid.lattice, fits, convention)
    everything = frozenset(range(len(problem.dims)))
    through = tuple(
        _over_multiples(grid.lattice, np.where(fits, once[s], np.inf), everything - operand.relevant)
        for s, operand in enumerate(problem.operands)
    )
    codes = _codes(problem, grid.lattice.tiles[:, best].T)
    tops = Tops(codes, cost[best], tuple(q[best] for q in grid.repeats), grid.lattice, through)
    hulls = tuple(_hull(q, tops.cost) for q in tops.repeats)
    return Refinement(
        problem,
        machine,
        convention,
        prices,
        hulls,
        tops,
        inner_tiles(problem, machine, prices, convention, np.array([problem.extents])),
    )


def _over_multiples(grid: Lattice, values: Column, dims: frozenset[int]) -> Column:
    """At every tile the least value over its multiples in `dims`: a running minimum from the far end."""
    return grid.running_minimum(values[::-1].copy(), dims)[::-1]


def _places(shared: Refinement, spatial: Ints) -> Ints:
    """Index of S·t on the lattice [unrollings, tiles]; anything where it divides nothing."""
    grid, tiles = shared.tops.lattice, shared.inner.tiles
    total = np.zeros((len(spatial), tiles.shape[1]), dtype=np.int64)
    for d in range(len(tiles)):
        offsets = np.zeros(shared.problem.extents[d] + 1, dtype=np.int64)
        alone = np.flatnonzero((np.delete(grid.tiles, d, axis=0) == 1).all(axis=0))
        offsets[grid.tiles[d, alone]] = alone
        values, index = np.unique(spatial[:, d], return_inverse=True)
        total += offsets[np.minimum(values[:, None] * tiles[d][None], len(offsets) - 1)][index.ravel()]
    return np.minimum(total, grid.size - 1)


@dataclass(frozen=True, slots=True)
class Loose:
    """For any factors and an array anywhere: above the array every tensor once, below it the running minima."""

    problem: Problem
    machine: Accelerator
    convention: Convention
    prices: Prices


MANY: Final = 400_000  # entries of one matrix [unrollings, tiles]


def refine_loosely(shared: Loose, spatial: Ints) -> Column:
    """Lower bound of the cost of every unrolling: q_s = 1 for whatever stays across the array.

    No sharper than nothing where the tiles of a PE are too many to look at.
    """
    if not len(spatial):
        return np.zeros(0)
    problem, machine, rule = shared.problem, shared.machine, shared.convention
    inside = frozenset(range(machine.fanout + 1, len(machine.levels)))
    above = floor(problem, machine, spatial, shared.prices, rule, without=inside).least
    passes = -(-np.array(problem.extents)[None] // spatial)
    best = np.full(len(spatial), np.inf)
    inner = few_inner_tiles(problem, machine, shared.prices, rule, passes, MANY // len(spatial))
    if inner is None:
        return np.zeros(len(spatial))
    for _, apart, stay in crossings(inner, spatial):
        best = np.minimum(best, (apart + stay).min(axis=1, initial=np.inf))
    return np.asarray((above + best) * DOWN)


def _maximal(problem: Problem, grid: Lattice, fits: np.ndarray, convention: Convention) -> np.ndarray:
    """Indices of the tiles that fit and divide no other that fits."""
    strided = any(axis[0][1] > 1 or axis[1][1] > 1 for operand in problem.operands for axis in operand.windows)
    if convention.window == "hull" and strided:
        return np.flatnonzero(fits)
    dominated = np.zeros(grid.size, dtype=bool)
    for axis in grid.axes:
        block, larger = dominated.reshape(-1, axis.length, axis.after), fits.reshape(-1, axis.length, axis.after)
        block[:, :-1] |= larger[:, 1:]
    return np.flatnonzero(fits & ~dominated)


def _codes(problem: Problem, tiles: Ints) -> Ints:
    """Tiles [n, dims] as bits, one per prime factor of the extents: a divides b where a & ~b = 0."""
    codes, shift = np.zeros(len(tiles), dtype=np.int64), 0
    for d, extent in enumerate(problem.extents):
        for prime, top in prime_powers(extent):
            power = 1
            for _ in range(top):
                power *= prime
                codes |= (tiles[:, d] % power == 0).astype(np.int64) << shift
                shift += 1
    return codes


def _hull(repeats: Column, cost: Column) -> Hull:
    """The points below every chord, least repeats first."""
    order = np.lexsort((cost, repeats))
    before = np.minimum.accumulate(np.append(np.inf, cost[order][:-1]))
    order = order[cost[order] < before]  # what costs more at more repeats is never least
    xs: list[float] = []
    ys: list[float] = []
    for x, y in zip(repeats[order].tolist(), cost[order].tolist(), strict=True):
        while len(xs) > 1 and (ys[-1] - ys[-2]) * (x - xs[-2]) >= (y - ys[-2]) * (xs[-1] - xs[-2]):
            xs.pop()
            ys.pop()
        xs.append(x)
        ys.append(y)
    if not xs:
        xs, ys = [1.0], [np.inf]
    points, costs = np.array(xs), np.array(ys)
    return Hull(points, costs, (costs[:-1] - costs[1:]) / (points[1:] - points[:-1]))


def refine(shared: Refinement, spatial: Ints, beaten: Column | None = None) -> Column:
    """Lower bound of the cost of every unrolling (rows of divisors of the extents): coarse, or, where a cost to beat is
    given per row, tight for every pair of tiles that coarsely beats it.
    """  # fmt: skip
    fixed = fixed_cost(
        shared.problem, fixed_words(shared.problem, shared.machine, spatial, shared.convention), shared.prices
    )
    best, places = np.full(len(spatial), np.inf), _places(shared, spatial)
    for s, apart, stay in crossings(shared.inner, spatial):
        once = apart + stay + shared.tops.through[s][places]
        coarse = np.minimum(apart + shared.hulls[s].least(stay), once)
        if beaten is None:
            best = np.minimum(best, coarse.min(axis=1, initial=np.inf))
            continue
        promising = coarse < (beaten - fixed)[:, None]
        best = np.minimum(best, np.where(promising, np.inf, coarse).min(axis=1, initial=np.inf))
        rows, tiles = np.nonzero(promising)
        if rows.size:
            sharp = _pairs(shared, s, spatial[rows] * shared.inner.tiles.T[tiles], stay[rows, tiles])
            np.minimum.at(best, rows, np.minimum(apart[rows, tiles] + sharp, once[rows, tiles]))
    return np.asarray(fixed + best)


def _pairs(shared: Refinement, s: int, array_tiles: Ints, stay: Column) -> Column:
    """min over the array tiles T that every given tile divides of the cost above and of s."""
    tops, found = shared.tops, np.full(len(stay), np.inf)
    codes, step = _codes(shared.problem, array_tiles), max(1, PAIRS // max(1, len(tops.codes)))
    for start in range(0, len(stay), step):
        some = slice(start, start + step)
        apart = (codes[some, None] & ~tops.codes[None]) != 0
        x = stay[some, None]
        value = tops.cost + x * tops.repeats[s]
        value[apart] = np.inf
        found[some] = value.min(axis=1, initial=np.inf)
    return found
