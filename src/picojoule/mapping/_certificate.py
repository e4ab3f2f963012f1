"""A certificate of optimality: for every unrolling either nothing (its floor suffices) or potentials on the lattice.

The running minima of the search are the duals of a shortest path whose edges are single prime steps. Written down for
every tile, they can be checked by inequalities alone, without minimising anything: see `_check`. Where ports may set
the pace a proof has several rows of potentials, of energy, of ports and of mixes of them, no more than are needed; and,
where their lower bounds at the root do not suffice, the partial mappings to be looked at in turn.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ._field import Field, field
from ._lattice import Column
from ._ports import Opening, has_ports, openings, port_names, races
from ._search import Optimum, Space, masks, unrolled
from ._solve import movable, priced
from ._weights import Prices

Bypass = tuple[tuple[str, str], ...]
Step = tuple[int, int, int]  # (stationary operand, last level of the stretch, level)
Row = tuple[tuple[str, str, float], ...]  # (level, port, share); the energy is ("", "energy", share)
ENERGY: Row = (("", "energy", 1.0),)
ENOUGH = 5e-10  # relative: bounds so close to the value need no more proof; the checker grants twice that
PATHS = 50_000  # partial mappings of one unrolling before the proof is given up


@dataclass(frozen=True, slots=True)
class Potentials:
    """Lower bounds of the cost below a level at every tile: `value` between stretches, `inner` and `outer` within.

    Columns are [rows, tiles]; tiles stand in lattice order (dimension by dimension, prime by prime, exponents rising).
    `root` bounds every row as a whole. `opened` are the partial mappings whose continuations are bounded one by one.
    """

    bypass: Bypass
    spatial: tuple[int, ...]
    rows: tuple[Row, ...]
    value: tuple[Column, ...]
    inner: dict[Step, Column]
    outer: dict[Step, Column]
    root: tuple[float, ...]
    opened: frozenset[Opening] = frozenset()


def certificate(found: Optimum, *, mixed: bool = True) -> Iterator[Potentials]:
    """Potentials of every unrolling whose floor does not reach the value found; made one by one, for they are large.

    Without `mixed` rows of several ports the columns are fewer and more partial mappings are looked into.
    """
    for mask in masks(found.accelerator):
        space = unrolled(
            found.problem, found.accelerator, mask, found.weights, found.objective, found.convention, found.factors
        )
        for index in np.flatnonzero(space.bound < found.value * (1 - ENOUGH)).tolist():
            spatial = tuple(int(s) for s in space.spatial[index])
            grid = field(found.problem, space.machine, spatial, found.convention)
            if found.objective != "energy" and has_ports(space.machine):
                yield _raced(found, space, grid, index, mixed)
            else:
                yield potentials(grid, [space.prices], (ENERGY,), mask)


def _raced(found: Optimum, space: Space, grid: Field, index: int, mixed: bool) -> Potentials:
    """The first of a few sets of rows, each sharper and longer than the one before, that reaches the value."""
    target, pace = found.value * (1 - ENOUGH), float(space.pace[index])
    names = port_names(found.problem, space.machine)
    for race in races(grid, space.prices, pace, found.objective, found.convention, target, mixed=mixed):
        rows, last = tuple(_row(one, names) for one in race.weighed), race
        if race.root >= target:
            return potentials(grid, list(race.rows), rows, space.bypass)
    return potentials(grid, list(last.rows), rows, space.bypass, frozenset(openings(last, target, PATHS)))


def _row(shares: tuple[float, ...], names: tuple[tuple[str, str], ...]) -> Row:
    listed = (("", "energy"), *names)
    return tuple((*name, share) for name, share in zip(listed, shares, strict=True) if share)


def potentials(
    grid: Field, prices: list[Prices], rows: tuple[Row, ...], bypass: Bypass, opened: frozenset[Opening] = frozenset()
) -> Potentials:
    """The search of one unrolling once more, every running minimum written down."""
    levels, operands, allowed = len(grid.machine.levels), grid.problem.operands, movable(grid)
    costs, everything = priced(grid, prices), frozenset(range(len(grid.problem.dims)))
    shape = len(prices), grid.lattice.size
    value = [np.full(shape, np.inf) for _ in range(levels)]
    value[levels - 1] = np.zeros(shape)
    inner: dict[Step, Column] = {}
    outer: dict[Step, Column] = {}
    root = np.full(len(prices), np.inf if levels > 1 else 0.0)
    stuck = grid.lattice.tiles != grid.lattice.tiles[:, -1:]
    blocked = stuck[sorted(everything - allowed[0])].any(axis=0)
    for k in range(levels - 2, -1, -1):
        for s, operand in enumerate(operands):
            stay, below = np.zeros((len(prices), 1)), value[k + 1]
            for j in range(k, -1, -1):
                apart, stay = costs.others[j + 1][s] + below, stay + costs.moved[j + 1][s]
                if j == 0:
                    root = np.minimum(root, np.where(blocked, np.inf, apart + stay).min(axis=1))
                    continue
                below = grid.lattice.running_minimum(apart, (everything - operand.relevant) & allowed[j])
                inner[s, k, j] = below
                outer[s, k, j] = grid.lattice.running_minimum(
                    below + stay * grid.repeats[s], operand.relevant & allowed[j]
                )
                value[j] = np.minimum(value[j], outer[s, k, j])
    return Potentials(bypass, grid.spatial, rows, tuple(value), inner, outer, tuple(root.tolist()), opened)
