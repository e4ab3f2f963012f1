"""A certificate of optimality: for every unrolling either nothing (its floor suffices) or potentials on the lattice.

The running minima of the search are the duals of a shortest path whose edges are single prime steps. Written down for
every tile, they can be checked by inequalities alone, without minimising anything: see `_check`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ._field import Field, field
from ._lattice import Column
from ._search import TIE, Optimum, lawful, masks
from ._seat import unrollings
from ._solve import movable, priced
from ._weights import Prices, prices

Bypass = tuple[tuple[str, str], ...]
Step = tuple[int, int, int]  # (stationary operand, last level of the stretch, level)


@dataclass(frozen=True, slots=True)
class Potentials:
    """Lower bounds of the cost below a level at every tile: `value` between stretches, `inner` and `outer` within.

    Tiles stand in lattice order (dimension by dimension, prime by prime, exponents rising). `root` bounds the whole.
    """

    bypass: Bypass
    spatial: tuple[int, ...]
    value: tuple[Column, ...]
    inner: dict[Step, Column]
    outer: dict[Step, Column]
    root: float


def certificate(found: Optimum) -> Iterator[Potentials]:
    """Potentials of every unrolling whose floor does not reach the value found; made one by one, for they are large."""
    from ._bound import floor

    for mask in masks(found.accelerator):
        machine = found.accelerator.without(mask)
        rows = unrollings(found.problem, machine.array, found.factors)
        rows = lawful(found.problem, machine, rows, found.convention)
        table = prices(found.problem, machine, found.weights)
        below = floor(found.problem, machine, rows, table, found.convention)
        bound = {"energy": below.least, "latency": below.steps, "edp": below.least * below.steps}[found.objective]
        for index in np.flatnonzero(bound < found.value * (1 - TIE)).tolist():
            spatial = tuple(int(s) for s in rows[index])
            yield potentials(field(found.problem, machine, spatial, found.convention), table, mask)


def potentials(grid: Field, table: Prices, bypass: Bypass) -> Potentials:
    """The search of one unrolling once more, every running minimum written down."""
    levels, operands, allowed = len(grid.machine.levels), grid.problem.operands, movable(grid)
    costs, everything, size = priced(grid, [table]), frozenset(range(len(grid.problem.dims))), grid.lattice.size
    value = [np.full(size, np.inf) for _ in range(levels)]
    value[levels - 1] = np.zeros(size)
    inner: dict[Step, Column] = {}
    outer: dict[Step, Column] = {}
    root = np.inf if levels > 1 else 0.0
    stuck = grid.lattice.tiles != grid.lattice.tiles[:, -1:]
    blocked = stuck[sorted(everything - allowed[0])].any(axis=0)
    for k in range(levels - 2, -1, -1):
        for s, operand in enumerate(operands):
            stay, below = np.zeros(1), value[k + 1]
            for j in range(k, -1, -1):
                apart, stay = costs.others[j + 1][s][0] + below, stay + costs.moved[j + 1][s][0]
                if j == 0:
                    root = min(root, float(np.where(blocked, np.inf, apart + stay).min()))
                    continue
                below = grid.lattice.running_minimum(apart.copy(), (everything - operand.relevant) & allowed[j])
                above = below + stay * grid.repeats[s]
                inner[s, k, j] = below
                outer[s, k, j] = grid.lattice.running_minimum(above, operand.relevant & allowed[j])
                value[j] = np.minimum(value[j], outer[s, k, j])
    return Potentials(bypass, grid.spatial, tuple(value), inner, outer, root)
