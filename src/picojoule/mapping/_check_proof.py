"""The proof of one unrolling: inequalities between columns.

A row of the proof weighs the quantities: Σ shares · (energy, cycles of ports). With F the weighted words of a boundary,
at every tile T and in every row
    value[last] <= 0
    inner[s,k,j](T) <= F_others(T) q(T) + refusal(T) + (value[k+1] or inner[s,k,j+1])(T)
    inner(T) <= inner(T / p) for every prime p of a dimension irrelevant to s and allowed at j; outer the same, relevant
    outer[s,k,j](T) <= inner[s,k,j](T) + (sum of F_s) q_s(T),   value[j](T) <= outer[s,k,j](T)
    root <= the same at level 0 for every tile reachable from the whole
Then fixed costs + root bound the row from below over every mapping of the unrolling, and so does, after a partial
mapping (`_check_tree`), what it has paid + the right-hand side at its tile. Nothing is minimised.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ._certificate import Potentials
from ._check_bound import Weighing
from ._check_space import primes
from ._check_world import NEAR, Numbers, Rows, World

LARGE = 2.0**53  # beyond it capacities are compared with that slack


@lru_cache(maxsize=4096)
def _divisors(number: int) -> tuple[Rows, tuple[int, ...]]:
    """Divisors, prime by prime, exponents rising, and how many powers each prime has."""
    found, lengths = np.ones(1, dtype=np.int64), []
    for prime, top in primes(number):
        powers = np.array([prime**e for e in range(top + 1)], dtype=np.int64)
        found = np.multiply.outer(found, powers).ravel()
        lengths.append(top + 1)
    return found, tuple(lengths)


class Proof:
    """The columns of one unrolling against its costs, written out tile by tile."""

    def __init__(self, world: World, spatial: Rows, given: Potentials, weighing: Weighing) -> None:
        self.world, self.spatial, self.given, self.weighing = world, spatial, given, weighing
        self.passes = [int(y) for y in world.passes(spatial[None])[0]]
        self.sizes = [_divisors(y)[0] for y in self.passes]
        self.shape = [len(one) for one in self.sizes]
        self.tiles = math.prod(self.shape)
        number, levels = len(world.operands), len(world.levels)
        self.again = [
            self.column([((d,), self.passes[d] // self.sizes[d])
                         for d in range(len(self.sizes)) if d not in world.relevant[o]])
            for o in range(number)
        ]  # fmt: skip
        scale = world.scale(spatial[None])[:, 0]
        self.moved = [[np.zeros((len(given.rows), 1)) for _ in range(number)] for _ in range(levels)]
        for o in range(number):
            for parent, child in world.edges(o):
                above, below = self.crossing(o, parent, child)
                top, fill = world.top(parent, o) * scale, world.unit[child, o, "write"] * scale
                self.moved[child][o] = np.outer(weighing.shares @ top, above) + np.outer(weighing.shares @ fill, below)
        self.others = [self._without(level) if level else [] for level in range(levels)]

    def _without(self, level: int) -> list[Numbers]:
        """What all operands but one pay into a level, infinite where the tile is refused."""
        number, refused = range(len(self.world.operands)), self.refused(level)
        each = [self.moved[level][o] * self.again[o] for o in number]
        bar = np.where(refused, np.inf, 0.0)[None]
        return [sum((each[o] for o in number if o != s), bar) for s in number]

    def column(self, tables: Sequence[tuple[tuple[int, ...], Numbers | Rows]]) -> Numbers:
        """The product at every tile of tables over one or two dimensions."""
        total = np.ones(self.shape)
        for dims, table in tables:
            order, shape = sorted(dims), [self.shape[d] if d in dims else 1 for d in range(len(self.shape))]
            total *= (table if list(dims) == order else table.T).reshape(shape)
        return total.reshape(-1)

    def crossing(self, o: int, parent: int, child: int) -> tuple[Numbers, Numbers]:
        """Words of one pass at the parent and at the child, at every tile or one number for all."""
        world = self.world
        together = self.grid(o, self.spatial)
        if child <= world.fan:
            return together, together
        alone, sharers = self.grid(o, np.ones_like(self.spatial)), world.sharers(o, self.spatial[None])[0]
        if parent > world.fan or not (world.array.multicast or o == world.output):
            return alone * sharers, alone * sharers
        union = child == world.fan + 1 and (world.rule.multicast == "union" or o == world.output)
        return (together if union else alone), alone * sharers

    def grid(self, o: int, spatial: Rows) -> Numbers:
        """Words of all tiles that cover the tensor."""
        tables: list[tuple[tuple[int, ...], Numbers]] = []
        number = 1.0
        for axis in self.world.operands[o].axes:
            if len(axis) == 1 or self.world.rule.halo == "perfect":
                number *= float(self.world.covered(axis, self.world.extents))
                continue
            (a, _), (b, _) = axis
            tile = {a: (self.sizes[a] * spatial[a])[:, None], b: (self.sizes[b] * spatial[b])[None]}
            tables.append(((a, b), self.world.covered(axis, tile)))
        return number * self.column(tables) if tables else np.full(1, number)

    def refused(self, level: int) -> np.ndarray:
        """Where the tile overflows the level, or needs a loop in the innermost level that may not stand there."""
        world, memory = self.world, self.world.levels[level]
        bad, total, parts = np.zeros(self.tiles, dtype=bool), np.zeros(self.tiles), dict(memory.shares)
        if level == len(world.levels) - 1:
            for d in range(len(self.sizes)):
                if not world.may(level, d):
                    bad |= self.column([((d,), self.sizes[d])]) > 1
        if memory.capacity_bits is None and not parts:
            return bad
        times = self.spatial if level <= world.fan else np.ones_like(self.spatial)
        held = [np.minimum(one * s, x) for one, s, x in zip(self.sizes, times, world.extents, strict=True)]
        for operand, kept in zip(world.operands, world.kept, strict=True):
            if level in kept:
                tables: list[tuple[tuple[int, ...], Rows]] = []
                for axis in operand.axes:
                    dims = tuple(d for d, _ in axis)
                    sized = {
                        d: held[d] if len(dims) == 1 else held[d][:, None] if d == dims[0] else held[d][None]
                        for d in dims
                    }
                    tables.append((dims, world.length(axis, sized)))
                need = self.column(tables) * (world.bits[operand.role] * (2 if memory.double_buffered else 1))
                total += need
                bad |= need > _limit(parts.get(operand.role))
        return bad | (total > _limit(memory.capacity_bits))

    def reached(self) -> np.ndarray:
        """May the loops between the whole and the tile stand at the outermost level?"""
        free = np.ones(self.tiles, dtype=bool)
        for d in range(len(self.sizes)):
            if not self.world.may(0, d):
                free &= self.column([((d,), self.sizes[d])]) == self.passes[d]
        return free

    def broken(self) -> str:
        """The first inequality that fails, or nothing."""
        given, levels, number = self.given, len(self.world.levels), len(self.world.operands)
        steps = {(s, k, j) for k in range(1, levels - 1) for s in range(number) for j in range(1, k + 1)}
        if len(given.value) != levels or set(given.inner) != steps or set(given.outer) != steps:
            return "columns are missing"
        shape, columns = (len(given.rows), self.tiles), (*given.value, *given.inner.values(), *given.outer.values())
        if any(column.shape != shape or column.dtype != np.float64 for column in columns):
            return "columns of another shape"
        root = np.array(given.root, dtype=np.float64)
        if root.shape != shape[:1] or not (given.value[levels - 1] <= 0).all():
            return "value of the innermost level is positive, or roots are missing"
        free = self.reached()
        for k in range(levels - 1):
            for s in range(number):
                stay = np.zeros((len(given.rows), 1))
                for j in range(k, -1, -1):
                    apart, stay = self.apart(s, k, j), stay + self.moved[j + 1][s]
                    if j == 0 and not (root[:, None] <= _above(apart + stay))[:, free].all():
                        return f"root exceeds the cost of a tile: operand {s}, levels 0..{k}"
                    if j and not self.local((s, k, j), apart, stay):
                        return f"an inequality fails: operand {s}, levels {j}..{k}"
        return ""

    def apart(self, s: int, k: int, j: int, at: Rows | slice = slice(None)) -> Numbers:
        """What lies below level j of a stretch, without s, at some tiles of level j + 1."""
        below = self.given.value[k + 1] if j == k else self.given.inner[s, k, j + 1]
        return np.asarray(self.others[j + 1][s][:, at] + below[:, at])

    def local(self, key: tuple[int, int, int], apart: Numbers, stay: Numbers) -> bool:
        """The inequalities of one stretch between levels."""
        s, _, j = key
        inner, outer = self.given.inner[key], self.given.outer[key]
        return bool(
            (inner <= _above(apart)).all()
            and (outer <= _above(inner + stay * self.again[s])).all()
            and (self.given.value[j] <= outer).all()
            and all(
                self.falls(outer if d in self.world.relevant[s] else inner, d)
                for d in range(len(self.sizes))
                if self.world.may(j, d)
            )
        )

    def falls(self, column: Numbers, d: int) -> bool:
        """Is no tile's entry above that of the same tile divided by a prime of dimension d?"""
        after = math.prod(self.shape[d:])
        for length in _divisors(self.passes[d])[1]:
            after //= length
            block = column.reshape(-1, length, after)
            if not (block[:, 1:] <= block[:, :-1]).all():
                return False
        return True

    def start(self) -> Numbers:
        """What every row costs whatever the tiles, rounding taken off."""
        cost, saved = (self.weighing.shares @ part[:, 0] for part in self.world.fixed(self.spatial[None]))
        return np.asarray(cost - saved - NEAR * (cost + saved))

    def least(self) -> Numbers:
        """Lower bound of every row over all mappings of the unrolling."""
        return np.asarray(self.start() + np.array(self.given.root))


def _above(column: Numbers) -> Numbers:
    """A little more, for sums that were rounded elsewhere."""
    return np.asarray(column + NEAR * np.abs(column))


def _limit(bits: int | None) -> float:
    """Needs up to 2^53 are exact; beyond, only a clear excess counts."""
    return np.inf if bits is None else float(bits) if bits < LARGE else bits * (1 + NEAR)
