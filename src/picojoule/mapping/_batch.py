"""Many mappings of one unrolling at once, each in a canonical loop order: the traffic law as gathers from columns.

A mapping is a chain of tiles T_0 = Y_0, T_1, …, each dividing the one before, as indices on the lattice, and for every
level but the innermost the operand s that is to stay: loops relevant to s stand outside, the others inside, each in
the order of the space. Where nothing at a level is irrelevant to s, the next operand that has such loops takes its
place. q_o of the boundary into level c, from the outermost level inward:
    q_o(c) = q_o(c - 1)   where level c - 1 has no loop, or o stays there and no loop of it is relevant to o
             q_o at T_c-1 where o stays there and some loop is relevant to o
             q_o at T_c   where another operand stays
Left out: halo `consecutive-overlap`, bypass (pass a machine `without` it), other orders, ports.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._accelerator import Accelerator
from ._convention import Convention
from ._field import Field, Ints, field, fixed_cost, fixed_words
from ._lattice import Column, Lattice
from ._mapping import Mapping
from ._problem import Problem, Tile, UnmappableError
from ._solve import movable, priced
from ._trace import build
from ._weights import Weights, prices

CHUNK = 8192  # mappings at a time: their columns stay in the cache
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Batch:
    """One unrolling of one problem on one machine, ready for many chains.

    `moved[c][o]` is the cost per pass of the boundary into c; `codes` and `kept` are bits of the prime factors of a
    tile, all of them and those that the loops of a level may not change.
    """

    field: Field
    fixed: float
    moved: tuple[tuple[Column, ...], ...]
    relevant: tuple[Column, ...]
    codes: Ints
    kept: Ints

    def cost(self, chains: Ints, stationary: Ints) -> Column:
        """Cost of every row; chains [n, levels - 1] index T_1 …, stationary [n, levels - 1]; infinity where illegal."""
        levels = len(self.field.machine.levels)
        expected = (len(chains), levels - 1)
        if chains.shape != expected or stationary.shape != expected:
            raise ValueError(f"chains and stationary must both be [n, {levels - 1}]")
        size, operands = self.field.lattice.size, len(self.field.problem.operands)
        if chains.size and not (chains.min() >= 0 and chains.max() < size):
            raise ValueError(f"chains index the {size} tiles of the lattice")
        if stationary.size and not (stationary.min() >= 0 and stationary.max() < operands):
            raise ValueError(f"stationary is the position of one of {operands} operands")
        found = np.empty(len(chains))
        for start in range(0, len(chains), CHUNK):
            some = slice(start, start + CHUNK)
            found[some] = self._some(chains[some].T, stationary[some].T)
        return found

    def _some(self, chains: Ints, stationary: Ints) -> Column:
        field, count = self.field, chains.shape[1]
        operands, last = range(len(field.problem.operands)), field.lattice.size - 1
        total = np.full(count, self.fixed + float(field.refusal[0][last]))
        above = np.full(count, last)
        passes = [np.ones(count) for _ in operands]  # q_o at the start of the run that is open
        outer = [np.ones(count) for _ in operands]  # q_o at the tile above
        size = [np.broadcast_to(self.relevant[o][last], count) for o in operands]
        for c, (below, s) in enumerate(zip(np.ascontiguousarray(chains), stationary, strict=True), start=1):
            here = [field.repeats[o].take(below) for o in operands]
            length = [self.relevant[o].take(below) for o in operands]
            chosen = _stays(s, [here[o] != outer[o] for o in operands])
            empty = above == below
            total += field.refusal[c].take(below)
            total[~self._lawful(c - 1, above, below)] = np.inf
            for o in operands:
                stays = chosen == o
                through = empty | (stays & (length[o] == size[o]))
                passes[o] = np.where(through, passes[o], np.where(stays, outer[o], here[o]))
                moved = self.moved[c][o]
                total += (moved if len(moved) == 1 else moved.take(below)) * passes[o]
            above, outer, size = below, here, length
        return total

    def _lawful(self, level: int, above: Ints, below: Ints) -> Flags:
        """Does the tile below divide the one above, in dimensions whose loops may stand here?"""
        one, two = self.codes.take(above), self.codes.take(below)
        return np.asarray(((two & ~one) == 0) & (((one ^ two) & self.kept[level]) == 0))

    def mapping(self, chain: Ints, stationary: Ints) -> Mapping:
        """The mapping of one row."""
        grid, repeats = self.field.lattice, self.field.repeats
        above, steps = grid.size - 1, []
        for below, s in zip(chain.tolist(), stationary.tolist(), strict=True):
            able = [np.array([repeats[o][below] != repeats[o][above]]) for o in range(len(repeats))]
            steps.append((below, max(0, int(_stays(np.array([s]), able)[0]))))
            above = below
        return build(self.field, tuple(steps))

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        """Random chains and stationary operands: every prime factor at a random level that may hold its loop."""
        grid, levels, allowed = self.field.lattice, len(self.field.machine.levels), movable(self.field)
        chains = np.zeros((count, levels - 1), dtype=np.int64)
        for axis in grid.axes:
            able = [level for level in range(levels) if axis.dim in allowed[level]] or [0]
            homes = np.array(able)[rng.integers(0, len(able), (count, axis.length - 1))]
            for c in range(1, levels):
                chains[:, c - 1] += (homes >= c).sum(axis=1) * axis.after
        return chains, rng.integers(0, len(self.field.problem.operands), (count, levels - 1))


def _stays(s: Ints, able: list[Flags]) -> Ints:
    """s where a loop is irrelevant to it, else the next operand of which that is true, else -1."""
    number = len(able)
    found = np.full(len(s), -1)
    for o in range(number):
        nearer = able[o]
        for back in range(1, number):
            nearer = nearer & ~(able[(o - back) % number] & ((o - s) % number >= back))
        found[nearer] = o
    return found


def batch(
    problem: Problem, machine: Accelerator, weights: Weights, spatial: Tile, convention: Convention | None = None
) -> Batch:
    """Everything that the mappings of one unrolling share."""
    rule = convention or Convention()
    if rule.halo == "consecutive-overlap":
        raise UnmappableError(
            "a batch counts halo refetch or perfect; consecutive-overlap is a convention of `traffic` only"
        )
    table = prices(problem, machine, weights)
    grid = field(problem, machine, spatial, rule)
    fixed = fixed_cost(problem, fixed_words(problem, machine, np.array([spatial]), rule), table)
    moved = tuple(tuple(column[0] for column in level) for level in priced(grid, [table]).moved)
    sizes = grid.lattice.tiles.astype(np.float64)
    relevant = tuple(sizes[sorted(operand.relevant)].prod(axis=0) for operand in problem.operands)
    codes, masks = _codes(grid.lattice)
    kept = [sum(masks.get(d, 0) for d in range(len(problem.dims)) if d not in allowed) for allowed in movable(grid)]
    return Batch(grid, float(fixed[0]), moved, relevant, codes, np.array(kept, dtype=np.int64))


def _codes(grid: Lattice) -> tuple[Ints, dict[int, int]]:
    """Tiles as bits, one per prime factor of Y_0 (a divides b where a & ~b = 0), and the bits of every dimension."""
    codes, shift, masks = np.zeros(grid.size, dtype=np.int64), 0, dict[int, int]()
    for axis in grid.axes:
        exponents = np.arange(grid.size) // axis.after % axis.length
        codes |= ((1 << exponents) - 1) << shift
        masks[axis.dim] = masks.get(axis.dim, 0) | (((1 << (axis.length - 1)) - 1) << shift)
        shift += axis.length - 1
    if shift > 62:
        raise UnmappableError(f"Y_0 has {shift} prime factors; a batch tells up to 62 apart")
    return codes, masks
