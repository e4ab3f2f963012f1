"""The traffic law in columns: for one set of spatial factors, words of every boundary at every tile of the lattice.

The law separates: words(o into c) = A_o(T_c) · q_o, where A depends on the child's tile T_c and q_o = product of the
irrelevant Y_0 / T on the tile T where the operand's run begins (T_c itself, or the tile of a level further out while
o is stationary). Both are columns over one lattice.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._accelerator import Accelerator
from ._convention import Convention
from ._lattice import Column, Lattice, lattice
from ._mapping import passes_of
from ._problem import Axis, Operand, Problem, Tile
from ._traffic import Action
from ._weights import Prices
from ._window import words

Ints = npt.NDArray[np.int64]
Columns = Ints | Mapping[int, Ints]  # extents of a dimension in every tile


@dataclass(frozen=True, slots=True)
class Boundary:
    """Words between parent and child per pass, at every tile: `above` at the parent, `below` at the child."""

    operand: int
    parent: int
    child: int
    above: Column | float
    below: Column | float

    def priced(self, prices: Prices, output: bool) -> Column | float:
        """F = above · price at the parent + below · price at the child."""
        per_word = prices.read[self.parent, self.operand]
        if output:
            per_word = per_word + prices.update[self.parent, self.operand]
        per_fill = float(prices.write[self.child, self.operand])
        return self.above * float(per_word) + self.below * per_fill


@dataclass(frozen=True, slots=True)
class Field:
    """One unrolling: the lattice, q of every operand, what fits at every level, and the boundaries."""

    problem: Problem
    machine: Accelerator
    spatial: Tile
    lattice: Lattice
    repeats: tuple[Column, ...]
    refusal: tuple[Column, ...]  # per level: 0 where the tile fits, infinity where not
    boundaries: tuple[Boundary, ...]


def field(problem: Problem, machine: Accelerator, spatial: Tile, convention: Convention) -> Field:
    """Everything the search needs to know about one unrolling; no prices."""
    grid = lattice(passes_of(problem.extents, spatial))
    whole, levels = grid.tiles[:, -1].tolist(), range(len(machine.levels))
    repeats = tuple(
        grid.product([
            ((d,), whole[d] // grid.values[d])
            for d in range(len(whole))
            if d not in operand.relevant and whole[d] > 1
        ])
        for operand in problem.operands
    )  # fmt: skip
    around, inside = _Sizes(problem, convention, grid, spatial), _Sizes(problem, convention, grid, (1,) * len(spatial))
    found = []
    for o, operand in enumerate(problem.operands):
        children = machine.holders(operand.role)[1:]
        together, apart = around.spread(operand) if children else 1.0, inside.spread(operand) if children else 1.0
        found += [_boundary(problem, machine, spatial, (together, apart), o, child, convention) for child in children]
    refusal = tuple(_refusal(problem, machine, around if c <= machine.fanout else inside, c) for c in levels)
    return Field(problem, machine, spatial, grid, repeats, refusal, tuple(found))


def _boundary(
    problem: Problem, machine: Accelerator, spatial: Tile, words: tuple[Column | float, Column | float], o: int, child: int,
    convention: Convention,
) -> Boundary:  # fmt: skip
    """`words`: A_o of the array tiles and of the PE tiles."""
    operand, fanout = problem.operands[o], machine.fanout
    parent, (whole, apart) = machine.parent(operand.role, child), words
    if child <= fanout:
        return Boundary(o, parent, child, whole, whole)
    copies = apart * math.prod(s for d, s in enumerate(spatial) if d not in operand.relevant)
    if parent > fanout:
        return Boundary(o, parent, child, copies, copies)
    if operand is problem.operands[-1] or (machine.array.multicast and convention.multicast == "union"):
        return Boundary(o, parent, child, whole if child == fanout + 1 else apart, copies)
    return Boundary(o, parent, child, apart if machine.array.multicast else copies, copies)


class _Sizes:
    """Words of tiles `times` as long as those of the lattice: tables over one or two dimensions, multiplied out."""

    def __init__(self, problem: Problem, convention: Convention, grid: Lattice, times: Tile) -> None:
        self.problem, self.convention, self.grid = problem, convention, grid
        self.long = tuple(values * s for values, s in zip(grid.values, times, strict=True))
        self.clipped = tuple(np.minimum(one, x) for one, x in zip(self.long, problem.extents, strict=True))

    def spread(self, operand: Operand) -> Column | float:
        """A_o(T) at every tile; a plain number where it does not depend on the tile."""
        extents = self.problem.extents
        base = 1.0
        for axis in operand.axes:
            if len(axis) == 1:
                base *= extents[axis[0][0]]
        if not operand.windows:
            return base
        if self.convention.halo == "perfect":
            return float(words(operand, extents, self.convention))
        tables: list[tuple[tuple[int, ...], npt.NDArray[Any]]] = [((), np.array(base))]
        for axis in operand.windows:
            (a, _), (b, _) = axis
            sizes = {a: self.long[a][:, None], b: self.long[b][None]}
            tables.append(((a, b), _window_spread(axis, extents, sizes, self.convention)))
        return self.grid.product(tables)

    def words(self, operand: Operand) -> Column:
        """Words of one tile, never beyond the extents."""
        tables: list[tuple[tuple[int, ...], npt.NDArray[Any]]] = []
        for axis in operand.axes:
            if len(axis) == 1:
                tables.append(((axis[0][0],), self.clipped[axis[0][0]]))
            else:
                (a, stride), (b, dilation) = axis
                size = _measure(self.clipped[a][:, None], self.clipped[b][None], stride, dilation, self.convention)
                tables.append(((a, b), size))
        return self.grid.product(tables)


def _measure(p: Ints, r: Ints, stride: int, dilation: int, convention: Convention) -> Ints:
    """Words of a window, as columns; see _window."""
    if convention.window == "hull":
        return np.asarray(stride * (p - 1) + dilation * (r - 1) + 1)
    common = math.gcd(stride, dilation)
    return np.asarray(p * r - np.maximum(0, p - dilation // common) * np.maximum(0, r - stride // common))


def spread_columns(operand: Operand, extents: Tile, tile: Columns, convention: Convention) -> Column | float:
    """A_o(T) in columns; a plain number where it does not depend on the tile."""
    if convention.halo == "perfect":
        return float(words(operand, extents, convention))
    total: Column | float = 1.0
    for axis in operand.axes:
        if len(axis) == 1:
            total = total * extents[axis[0][0]]
            continue
        total = total * _window_spread(axis, extents, tile, convention)
    return total


def _window_spread(axis: Axis, extents: Tile, tile: Columns, convention: Convention) -> Column:
    """Words of one window under all tiles of the grid, clipped."""
    (a, stride), (b, dilation) = axis
    full_a, full_b = -(-extents[a] // tile[a]) - 1, -(-extents[b] // tile[b]) - 1
    last_a, last_b = extents[a] - full_a * tile[a], extents[b] - full_b * tile[b]
    found = full_a * full_b * _measure(tile[a], tile[b], stride, dilation, convention)
    found = found + full_a * _measure(tile[a], last_b, stride, dilation, convention)
    found = found + full_b * _measure(last_a, tile[b], stride, dilation, convention)
    return np.asarray(found + _measure(last_a, last_b, stride, dilation, convention), dtype=np.float64)


def _refusal(problem: Problem, machine: Accelerator, sizes: _Sizes, index: int) -> Column:
    """Infinity where the tile overflows the level, or where the innermost level would need a loop it may not hold."""
    level, grid = machine.levels[index], sizes.grid
    if level.capacity_bits is None and not level.shares and (level.loops is None or index < len(machine.levels) - 1):
        return np.zeros(grid.size)
    shares, total = dict(level.shares), np.zeros(grid.size)
    bad = np.zeros(grid.size, dtype=bool)
    if level.capacity_bits is not None or shares:
        for operand in problem.operands:
            if operand.role in level.keeps:
                need = sizes.words(operand) * (machine.bits[operand.role] * level.copies)
                total += need
                if operand.role in shares:
                    bad |= need > shares[operand.role]
        if level.capacity_bits is not None:
            bad |= total > level.capacity_bits
    if index == len(machine.levels) - 1 and level.loops is not None:
        for d, dim in enumerate(problem.dims):
            if dim not in level.loops:
                bad |= grid.tiles[d] > 1
    return np.where(bad, np.inf, 0.0)


def tile_words(operand: Operand, tile: Ints, convention: Convention) -> Column:
    """Words of one tile, as a column."""
    total = np.ones(tile.shape[1])
    for axis in operand.axes:
        if len(axis) == 1:
            total = total * tile[axis[0][0]]
        else:
            (a, stride), (b, dilation) = axis
            total = total * _measure(tile[a], tile[b], stride, dilation, convention)
    return total


@dataclass(frozen=True, slots=True)
class Fixed:
    """Words of an unrolling that no tile changes, one value per unrolling; `count` may be negative (first visits)."""

    level: int
    operand: int
    action: Action
    count: Column


def fixed_words(problem: Problem, machine: Accelerator, spatial: Ints, convention: Convention) -> list[Fixed]:
    """Words of the MACs, and first visits of the output, which are free; `spatial` has one unrolling per row."""
    extents, fanout, last = np.array(problem.extents), machine.fanout, len(machine.levels)
    passes = -(-extents[None] // spatial)
    found = []
    for o, operand in enumerate(problem.operands):
        output = operand is problem.operands[-1]
        parent = machine.parent(operand.role, last)
        count = np.full(len(spatial), float(problem.macs))
        if parent <= fanout and (machine.array.multicast or output):
            mixed = np.where([d in operand.relevant for d in range(len(extents))], extents[None], passes)
            count = mixed.prod(axis=1, dtype=np.float64)
        found.append(Fixed(parent, o, "read", count))
        if output:
            found.append(Fixed(parent, o, "update", count))
    if convention.partial_sums == "always":
        return found
    last_operand, o = problem.operands[-1], len(problem.operands) - 1
    whole = float(words(last_operand, problem.extents, Convention()))
    shared = whole * copies(last_operand, spatial)
    alone = np.full(len(spatial), whole)
    for child in (*machine.holders(last_operand.role)[1:], last):
        parent = machine.parent(last_operand.role, child)
        found.append(Fixed(parent, o, "read", -(shared if parent > fanout else alone)))
        if child < last:
            found.append(Fixed(child, o, "write", -(shared if child > fanout else alone)))
    return found


def copies(operand: Operand, spatial: Ints) -> Column:
    """m_o for every unrolling."""
    irrelevant = [d for d in range(spatial.shape[1]) if d not in operand.relevant]
    return np.asarray(spatial[:, irrelevant].prod(axis=1, dtype=np.float64))


def fixed_cost(problem: Problem, fixed: list[Fixed], prices: Prices) -> Column:
    """Price of the MACs and of all fixed words."""
    total = np.full(len(fixed[0].count), problem.macs * prices.mac)
    for part in fixed:
        total = total + part.count * prices.of(part.action)[part.level, part.operand]
    return total
