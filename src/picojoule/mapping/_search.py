"""The best mapping and the proof: every unrolling is either solved exactly or its lower bound is no better."""

import math
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np

from ._accelerator import Accelerator
from ._bound import Floor, floor
from ._convention import Convention
from ._covered import chains
from ._engine import Engine, Least, Solver, solver
from ._field import Ints, field
from ._latency import latency
from ._lattice import Column
from ._legality import exposed_windows, faults, require
from ._mapping import Mapping
from ._ports import PortBound, has_ports, port_floor, within_ports
from ._problem import Problem, UnmappableError
from ._queue import Queue
from ._refine import Loose, Refinement, refine, refine_loosely, refinement
from ._seat import Factors, unrollings
from ._solve import check_assumption, solve
from ._trace import trace
from ._traffic import Traffic, traffic
from ._weights import Prices, Weights, cost, prices

Objective = Literal["energy", "latency", "edp"]
TIE = 1e-12  # relative: values within it count as equal
CLOSE = 1e-11  # relative: a bound this close to the best value found is that value, its sums rounded
FEW = 3  # unrollings solved before loose bounds are worth their time
BATCH = 400_000  # entries of one matrix of bounds


class NoMappingError(ValueError):
    """No mapping fits; the text gives the unrollings tried and the smallest tile that was refused."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best mapping under named conventions. `gap` = value / lower_bound - 1 is 0 where optimality is proven.

    `root_bound` is what was known before the search. `mappings_covered` counts tile shapes times unrollings times
    bypass masks, each in every loop order; `solved` of `unrollings` needed the full search.
    """

    problem: Problem
    accelerator: Accelerator
    weights: Weights
    objective: Objective
    convention: Convention
    factors: Factors
    mapping: Mapping
    traffic: Traffic
    value: float
    energy: float
    cycles: float
    lower_bound: float
    root_bound: float
    mappings_covered: int
    unrollings: int
    solved: int
    search_s: float

    @property
    def gap(self) -> float:
        """value / lower_bound - 1."""
        return 0.0 if self.value <= self.lower_bound * (1 + TIE) else self.value / self.lower_bound - 1

    @property
    def clock_cycles(self) -> float:
        """`cycles` are steps of the array; these are cycles of the machine's clock."""
        return self.cycles * self.accelerator.cycles_per_step

    @property
    def utilisation(self) -> float:
        """MACs / (cycles · PEs of the whole array)."""
        return self.problem.macs / (self.cycles * self.accelerator.array.size)


@dataclass(frozen=True, slots=True)
class Space:
    """All unrollings under one bypass mask, with their bounds."""

    bypass: tuple[tuple[str, str], ...]
    machine: Accelerator
    spatial: Ints
    prices: Prices
    floor: Floor
    pace: Column  # least cycles: of the MACs, and of the ports where they may set the pace
    bound: Column


@dataclass(slots=True)
class _Best:
    """The incumbent, with its space and unrolling where its mapping is not yet built, and what is proven so far."""

    key: tuple[float, float] = (math.inf, math.inf)
    mapping: Mapping | None = None
    place: tuple[int, int] | None = None
    proven: float = math.inf
    solved: int = 0


def optimum(
    problem: Problem, accelerator: Accelerator, weights: Weights, objective: Objective = "energy", *,
    convention: Convention | None = None, factors: Factors | None = None, solves: int | None = None,
    engine: Engine = "numpy",
) -> Optimum:  # fmt: skip
    """The mapping of least energy, latency or energy · latency over tile shapes, loop orders, unrollings and bypass.

    `factors`: "perfect" spatial factors divide the extents (default for energy), "ragged" ones need not (default for
    latency and edp). Equal layers are searched once. Among mappings of least compute-bound latency the one of least
    energy is taken. After `solves` unrollings the search stops with the mapping found and its gap. Not searched:
    temporal factors that do not divide, halo `consecutive-overlap`. `engine`: "numpy", or "numba", its compiled twin
    with the same result (see `_engine`).
    """
    chosen = convention or Convention()
    kind: Factors = factors or ("perfect" if objective == "energy" else "ragged")
    found = _optimum(problem.shape, accelerator, weights, objective, chosen, kind, solves, engine)
    return replace(found, problem=problem)


@lru_cache(maxsize=4096)
def _optimum(
    problem: Problem, accelerator: Accelerator, weights: Weights, objective: Objective, convention: Convention, kind: Factors,
    solves: int | None, engine: Engine,
) -> Optimum:  # fmt: skip
    start = time.process_time()
    if convention.halo == "consecutive-overlap":
        raise UnmappableError(
            "the search counts halo refetch or perfect; consecutive-overlap is a convention of `traffic` only"
        )
    check_assumption(problem)
    spaces = [unrolled(problem, accelerator, mask, weights, objective, convention, kind) for mask in masks(accelerator)]
    best, root = _walk(problem, spaces, objective, convention, kind, solves, solver(engine))
    best.mapping = _mapping(problem, spaces, convention, best)
    if best.mapping is None:
        raise NoMappingError(_refusal(problem, accelerator, spaces, convention))
    spent = time.process_time() - start
    count = sum(len(space.bound) for space in spaces)
    covered = sum(chains(problem, space.machine, space.spatial) for space in spaces)
    return _result(problem, accelerator, weights, objective, convention, kind, best, root, covered, count, spent)


def _walk(
    problem: Problem, spaces: list[Space], objective: Objective, convention: Convention, kind: Factors,
    solves: int | None, prepare: Solver,
) -> tuple[_Best, float]:  # fmt: skip
    """Best first: take the unrolling of least bound, sharpen its bound twice, then solve it; stop when none can win."""
    best, root = _Best(), math.inf
    shared = [_shared(problem, space, objective, convention, kind) for space in spaces]
    least = [prepare(problem, space.machine, space.prices, convention) for space in spaces]
    queue = Queue([space.bound for space in spaces])
    while queue:
        bound, stage, m, i = queue.pop()
        if bound > best.key[0] * (1 - CLOSE) and not (objective == "latency" and bound <= best.key[0]):
            best.proven = min(best.proven, max(bound, best.key[0]))
            break
        if solves is not None and best.solved >= solves and best.key[0] < math.inf:
            best.proven = min(best.proven, bound)
            break
        common = shared[m]
        loose = isinstance(common, Loose)
        if (
            common is None
            or stage == 2
            or (stage == 1 and (loose or best.key[0] == math.inf))
            or (loose and best.solved < FEW)
        ):
            root = min(root, bound)
            _explore(problem, spaces[m], (m, i), objective, convention, best, least[m])
            continue
        size = (16, 64, 256)[min(2, queue.batches[stage, m])]
        if isinstance(common, Refinement):
            size = min(size, 1 + BATCH // max(1, common.inner.tiles.shape[1]))
        batch = [(bound, i), *queue.more(stage, m, best.key[0] * (1 - CLOSE), size - 1)]
        space, rows = spaces[m], [index for _, index in batch]
        scale = space.pace[rows] if objective == "edp" else np.ones(len(rows))
        root = min(root, bound) if stage else root
        if isinstance(common, Loose):
            sharper = scale * refine_loosely(common, space.spatial[rows])
        else:
            sharper = scale * refine(common, space.spatial[rows], best.key[0] / scale if stage else None)
        for (before, index), after in zip(batch, sharper.tolist(), strict=True):
            queue.push(max(before, after * (1 - TIE)), stage + 1, m, index)
    return best, root


def _shared(
    problem: Problem, space: Space, objective: Objective, convention: Convention, kind: Factors
) -> Refinement | Loose | None:  # fmt: skip
    """What sharpens the bounds of a space; latency is settled by the steps alone."""
    if objective == "latency":
        return None
    exact = refinement(problem, space.machine, space.prices, convention) if kind == "perfect" else None
    below = space.machine.fanout < len(space.machine.levels) - 1
    return exact or (Loose(problem, space.machine, convention, space.prices) if below else None)


def masks(accelerator: Accelerator) -> list[tuple[tuple[str, str], ...]]:
    """Every set of optional (level, role) pairs, none first."""
    able = [(level.name, role) for level in accelerator.levels[1:] for role in level.keeps if role in level.optional]
    return [mask for size in range(len(able) + 1) for mask in combinations(able, size)]


def unrolled(
    problem: Problem, accelerator: Accelerator, mask: tuple[tuple[str, str], ...], weights: Weights,
    objective: Objective, convention: Convention, kind: Factors,
) -> Space:  # fmt: skip
    """Every unrolling under one bypass mask with its bounds."""
    machine = accelerator.without(mask)
    spatial = lawful(problem, machine, unrollings(problem, machine.array, kind), convention)
    table = prices(problem, machine, weights)
    below = floor(problem, machine, spatial, table, convention)
    pace = below.steps
    if objective != "energy" and has_ports(machine):
        pace = np.maximum(pace, port_floor(problem, machine, spatial, convention))
    bound = {"energy": below.least, "latency": pace, "edp": below.least * pace}[objective]
    return Space(mask, machine, spatial, table, below, pace, bound)


def lawful(problem: Problem, machine: Accelerator, spatial: Ints, convention: Convention) -> Ints:
    """The unrollings that need no missing reduction, cut no dimension that must be whole, and tear no window."""
    keep = np.ones(len(spatial), dtype=bool)
    output = problem.operands[-1]
    if not machine.array.reduction:
        for d in range(len(problem.dims)):
            keep &= (spatial[:, d] == 1) | (d in output.relevant)
    for d, (dim, extent) in enumerate(problem.space):
        if dim in machine.array.whole:
            keep &= spatial[:, d] == extent
    for _, a, b, deeper in exposed_windows(problem, machine, convention):
        reach = np.array(problem.extents)[None].repeat(len(spatial), axis=0) if deeper else spatial
        keep &= ((spatial[:, a] == 1) | (reach[:, b] == 1)) & ((spatial[:, b] == 1) | (reach[:, a] == 1))
    return spatial[keep]


def _explore(
    problem: Problem, space: Space, place: tuple[int, int], objective: Objective, convention: Convention, best: _Best,
    least: Least,
) -> None:  # fmt: skip
    """Solve one unrolling and update the incumbent and the proven bound."""
    index = place[1]
    spatial = tuple(int(s) for s in space.spatial[index])
    steps, fixed = float(space.floor.steps[index]), float(space.floor.fixed[index])
    pace = float(space.pace[index])
    if objective == "latency" and (pace, float(space.floor.least[index])) >= best.key:
        best.proven = min(best.proven, best.key[0])
        return
    best.solved += 1
    if objective != "energy" and has_ports(space.machine):
        grid = field(problem, space.machine, spatial, convention)
        found: PortBound = within_ports(grid, space.prices, steps, objective, convention, best.key[0])
        best.proven = min(best.proven, found.lower_bound)
        if found.mapping is not None and found.key < best.key:
            best.key, best.place, best.mapping = found.key, None, replace(found.mapping, bypass=space.bypass)
        return
    energy = fixed + least(spatial)
    if not math.isfinite(energy):
        return
    value = {"energy": energy, "latency": steps, "edp": energy * steps}[objective]
    best.proven = min(best.proven, value)
    key = (value, energy)
    if key[0] < best.key[0] * (1 - TIE) or (key[0] <= best.key[0] and key < best.key):
        best.key, best.place, best.mapping = key, place, None


def _mapping(problem: Problem, spaces: list[Space], convention: Convention, best: _Best) -> Mapping | None:
    """The winner's mapping: built once, at the end."""
    if best.place is None:
        return best.mapping
    space, index = spaces[best.place[0]], best.place[1]
    grid = field(problem, space.machine, tuple(int(s) for s in space.spatial[index]), convention)
    found = trace(grid, solve(grid, [space.prices], keep=True))
    assert found is not None, "a finite cost has a mapping"
    return replace(found, bypass=space.bypass)


def _refusal(problem: Problem, accelerator: Accelerator, spaces: list[Space], convention: Convention) -> str:
    """Why nothing fits: the faults of the mapping that keeps the smallest tiles everywhere."""
    outermost = tuple((dim, extent) for dim, extent in problem.space if extent > 1)
    smallest = Mapping((outermost, *[()] * (len(accelerator.levels) - 1)))
    reasons = "; ".join(str(fault) for fault in faults(problem, accelerator, smallest, convention))
    tried = sum(len(space.bound) for space in spaces)
    return f"no mapping on {accelerator.name} in {tried} unrollings: {reasons or 'no level may hold the loops that are needed'}"


def _result(
    problem: Problem, accelerator: Accelerator, weights: Weights, objective: Objective, convention: Convention,
    kind: Factors, best: _Best, root: float, covered: int, count: int, spent: float,
) -> Optimum:  # fmt: skip
    """Evaluate the winner by the law, which shares nothing with the columns, and insist on equality."""
    assert best.mapping is not None
    require(problem, accelerator, best.mapping, convention)
    moved = traffic(problem, accelerator, best.mapping, convention)
    energy, cycles = cost(problem, moved, weights), latency(accelerator, moved)
    value = {"energy": energy, "latency": cycles, "edp": energy * cycles}[objective]
    if not math.isclose(value, best.key[0], rel_tol=1e-9, abs_tol=1e-300):
        raise AssertionError(f"the search says {best.key[0]!r}, the traffic law {value!r}: {best.mapping}")
    proven = min(best.proven, value)
    return Optimum(
        problem, accelerator, weights, objective, convention, kind, best.mapping, moved, value, energy, cycles,
        proven, min(root, value), covered, count, best.solved, spent,
    )  # fmt: skip
