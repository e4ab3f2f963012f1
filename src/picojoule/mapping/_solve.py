"""The least cost of one unrolling over all tile shapes and loop orders, by running minima on the lattice of tiles.

V_l(T) is the least cost of all boundaries below level l, given tile T there and no run that enters from above. Only
the operand s that is stationary at a level matters for the order: its irrelevant loops innermost lengthen its run
and shorten no other (a dimension is irrelevant to at most one operand). A stretch (s, j, k) is a level j that puts
s-irrelevant loops innermost, followed by levels j+1 … k with s-irrelevant loops only; it is charged
    sum over boundaries j+1 … k+1 of  [others: F_o(T_c) q_o(T_c)]  +  (sum of F_s at the last tile) · q_s(T_j)
and minimised first along the dimensions irrelevant to s (running minimum), then, q_s(T_j) added, along the relevant
ones. Every mapping is a chain of stretches, every chain of stretches a mapping: the minimum is exact.
Cost: levels² · operands · prime axes · tiles. Left out: halo `consecutive-overlap`; temporal trips that do not divide.
"""

from dataclasses import dataclass

import numpy as np

from ._field import Field
from ._lattice import Column
from ._problem import Problem, UnmappableError
from ._weights import Prices


@dataclass(frozen=True, slots=True)
class Stretch:
    """Cost-to-go at the child tile of one step of a stretch: `apart` without s, `stay` to be multiplied by q_s."""

    apart: Column
    stay: Column


@dataclass(frozen=True, slots=True)
class Solution:
    """Least cost per row of prices, without what the tiles do not change; the stretches are kept for `trace`."""

    least: Column
    stretches: dict[tuple[int, int, int], Stretch]  # (stationary operand, last level k, child)


def check_assumption(problem: Problem) -> None:
    """The order theorem needs every dimension to be irrelevant to at most one operand."""
    for d, (dim, extent) in enumerate(problem.space):
        without = [operand.role for operand in problem.operands if d not in operand.relevant]
        if len(without) > 1 and extent > 1:
            raise UnmappableError(
                f"{problem.name}: {dim} is irrelevant to {' and '.join(without)}; the search allows one"
            )


@dataclass(frozen=True, slots=True)
class Costs:
    """The field priced, one row per set of prices: F per (child, operand), and per (child, s) the sum of F·q without s."""

    moved: list[list[Column]]
    others: list[list[Column]]


def priced(field: Field, rows: list[Prices]) -> Costs:
    """F and its sum over operands; operands not kept at a level cost nothing there."""
    levels, operands, size = len(field.machine.levels), len(field.problem.operands), field.lattice.size
    moved = [[np.zeros((len(rows), 1)) for _ in range(operands)] for _ in range(levels)]
    for edge in field.boundaries:
        output = edge.operand == operands - 1
        columns = np.empty(
            (len(rows), size if isinstance(edge.above, np.ndarray) or isinstance(edge.below, np.ndarray) else 1)
        )
        for row, column in zip(rows, columns, strict=True):
            column[...] = edge.priced(row, output)
        moved[edge.child][edge.operand] = columns
    others = []
    for c in range(levels):
        each = [moved[c][o] * field.repeats[o] for o in range(operands)]
        others.append([
            np.asarray(sum((each[o] for o in range(operands) if o != s), field.refusal[c][None]), dtype=np.float64)
            for s in range(operands)
        ])  # fmt: skip
    return Costs(moved, others)


def movable(field: Field) -> list[frozenset[int]]:
    """Per level the positions of the dimensions whose loops may stand there."""
    dims = field.problem.dims
    return [
        frozenset(d for d, dim in enumerate(dims) if level.loops is None or dim in level.loops)
        for level in field.machine.levels
    ]


def solve(field: Field, rows: list[Prices], *, keep: bool = False) -> Solution:
    """Least cost below the outermost level for every row of prices."""
    levels, grid, operands = len(field.machine.levels), field.lattice, field.problem.operands
    costs, allowed, shape = priced(field, rows), movable(field), (len(rows), field.lattice.size)
    best = np.full(len(rows), np.inf if levels > 1 else 0.0)
    value = [np.full(shape, np.inf) for _ in range(levels)]
    value[levels - 1] = np.zeros(shape)
    everything = frozenset(range(len(field.problem.dims)))
    held = sorted(everything - allowed[0])
    blocked = (grid.tiles[held] != grid.tiles[held, -1:]).any(axis=0)
    kept: dict[tuple[int, int, int], Stretch] = {}
    for k in range(levels - 2, -1, -1):
        for s, operand in enumerate(operands):
            stay, inner = np.zeros((len(rows), 1)), value[k + 1]
            for j in range(k, -1, -1):
                apart = costs.others[j + 1][s] + inner
                stay = stay + costs.moved[j + 1][s]
                if j == 0:
                    apart[:, blocked] = np.inf
                    best = np.minimum(best, (apart + stay).min(axis=1))
                if keep:
                    kept[s, k, j + 1] = Stretch(apart, stay)
                if j:
                    inner = grid.running_minimum(
                        apart.copy() if keep else apart, (everything - operand.relevant) & allowed[j]
                    )
                    outer = inner + stay * field.repeats[s]
                    value[j] = np.minimum(value[j], grid.running_minimum(outer, operand.relevant & allowed[j]))
    return Solution(best, kept)
