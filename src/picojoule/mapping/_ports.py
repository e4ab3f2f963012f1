"""Bandwidth: latency and energy · latency of one unrolling when ports, not MACs, may set the pace.

Energy E and the cycles t_i of every port are sums over the same boundaries, only the prices differ; so the running
minima of `solve`, one row per price, give the least cost-to-go of E, of every t_i and of mixes of them. Branch and
bound walks partial mappings from the outside inward; with c the least completion of a row,
    D >= max(steps, c of every port, c of every average of two ports)
    E >= c_energy   and   E >= c_λ - λ·D   for the rows E + λ·(average of ports), which no average exceeds D
E·D over these half-planes is least at a corner. Best first; every row's own optimum is a first candidate.
"""

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ._accelerator import Accelerator
from ._bound import floor
from ._convention import Convention
from ._field import Field, Ints, fixed_cost, fixed_words
from ._latency import latency
from ._lattice import Column
from ._mapping import Mapping
from ._problem import Problem
from ._solve import Costs, Solution, movable, priced, solve
from ._trace import Chain, build, reachable, trace
from ._traffic import traffic
from ._weights import Prices

TIE = 1e-12
NODES = 20_000  # partial mappings of one unrolling before the search stops and reports a gap
Opening = tuple[tuple[int, int, int], ...]  # per level: (tile, stationary operand, last level of its stretch)
Shares = tuple[float, ...]  # of the energy, then of the cycles of every port
SHARES = (0.25, 0.7, 1.5, 4.0)  # λ relative to energy per cycle


@dataclass(frozen=True, slots=True)
class PortBound:
    """The best mapping of one unrolling that beats the incumbent (if any), its (value, energy), and a lower bound."""

    mapping: Mapping | None
    key: tuple[float, float]
    lower_bound: float


@dataclass(frozen=True, slots=True)
class Race:
    """One unrolling with rows of prices: energy, `ports` ports, then mixes; `shares` is λ of every mix.

    `weighed`: what every row weighs of the energy and of each port of the machine.
    """

    field: Field
    objective: str
    steps: float
    ports: int
    shares: tuple[float, ...]
    weighed: tuple[Shares, ...]
    rows: tuple[Prices, ...]
    base: Column
    costs: Costs
    solution: Solution
    movable: list[frozenset[int]]  # per level the dimensions whose loops may stand there

    @property
    def root(self) -> float:
        """Lower bound of the objective over all mappings."""
        return float(self.bound(self.solution.least + self.base))

    def bound(self, least: Column) -> Column:
        """Lower bound of the objective from lower bounds of all rows, [rows, …]."""
        dead = ~np.isfinite(least[0])
        least = np.where(np.isfinite(least), least, 0.0)
        pace = np.maximum(self.steps, least[1 : 1 + self.ports].max(axis=0, initial=0.0))
        if self.objective == "latency":
            return np.where(dead, np.inf, np.maximum(pace, least[1 + self.ports :].max(axis=0, initial=0.0)))
        energy = least[0]
        found = energy * pace
        for share, mixed in zip(self.shares, least[1 + self.ports :], strict=True):
            corner = (mixed - energy) / share  # where E = energy meets E = mixed - share · D
            along = np.minimum((mixed - share * pace) * pace, energy * corner)
            found = np.where(corner > pace, np.maximum(found, along), found)
        return np.where(dead, np.inf, found)


def has_ports(machine: Accelerator) -> bool:
    """Does any level state a bandwidth?"""
    return any(level.read_bandwidth or level.write_bandwidth or level.bus_bits for level in machine.levels)


def port_prices(field: Field) -> list[Prices]:
    """For every port the prices that count its cycles: 1 / (instances · words per cycle) a word, a bus by bits."""
    pes = math.prod(field.spatial)
    return [prices for _, _, prices in _ports(field.problem, field.machine, pes)]


def port_names(problem: Problem, machine: Accelerator) -> tuple[tuple[str, str], ...]:
    """(level, port) in the order of `port_prices`."""
    return tuple((machine.levels[index].name, port) for index, port, _ in _ports(problem, machine, 1))


def port_floor(problem: Problem, machine: Accelerator, spatial: Ints, convention: Convention) -> Column:
    """Cycles that no mapping of an unrolling spares its busiest port: every tensor crosses every boundary once."""
    least, pes = np.zeros(len(spatial)), spatial.prod(axis=1, dtype=np.float64)
    for index, _, prices in _ports(problem, machine, 1):
        cycles = floor(problem, machine, spatial, prices, convention).least
        np.maximum(least, cycles / pes if index > machine.fanout else cycles, out=least)
    return least


def _ports(problem: Problem, machine: Accelerator, pes: int) -> list[tuple[int, str, Prices]]:
    """(level, port, prices) of every port where `pes` elements are in use."""
    shape = (len(machine.levels), len(problem.operands))
    found: list[tuple[int, str, Prices]] = []
    for index, level in enumerate(machine.levels):
        instances = pes if index > machine.fanout else 1
        for port, bandwidth in (("read", level.read_bandwidth), ("write", level.write_bandwidth)):
            if bandwidth is not None:
                hit, none = np.zeros(shape), np.zeros(shape)
                hit[index] = 1 / (bandwidth * instances)
                read = port == "read"
                found.append((index, port, Prices(0.0, hit, none, none) if read else Prices(0.0, none, hit, hit)))
        if level.bus_bits is not None:
            hit = np.zeros(shape)
            hit[index] = [machine.bits[operand.role] / (level.bus_bits * instances) for operand in problem.operands]
            found.append((index, "bus", Prices(0.0, hit, hit, hit)))
    return found


def blend(parts: list[tuple[float, Prices]]) -> Prices:
    """A weighted sum of prices."""
    return Prices(
        sum(share * one.mac for share, one in parts),
        np.asarray(sum(share * one.read for share, one in parts)),
        np.asarray(sum(share * one.write for share, one in parts)),
        np.asarray(sum(share * one.update for share, one in parts)),
    )


def within_ports(
    field: Field, energy: Prices, steps: float, objective: str, convention: Convention, beaten: float
) -> PortBound:  # fmt: skip
    """The exact least objective of one unrolling, or proof that it does not beat `beaten`."""
    parts = [energy, *port_prices(field)]
    race = _race(field, parts, _alone(len(parts)), len(parts) - 1, steps, objective, convention)
    root = race.root
    best = PortBound(None, (beaten, math.inf), root)
    if root >= beaten * (1 - TIE):
        return replace(best, lower_bound=min(root, beaten))
    best = _dive(race, range(len(race.rows)), energy, convention, best)
    if root >= best.key[0] * (1 - TIE):
        return replace(best, lower_bound=best.key[0])
    race = _race(field, parts, (*race.weighed, *_mixes(race)), len(parts) - 1, steps, objective, convention)
    best = _dive(race, range(len(parts), len(race.rows)), energy, convention, best)
    return _branch(race, energy, convention, best)


def races(
    field: Field, energy: Prices, steps: float, objective: str, convention: Convention, target: float, *, mixed: bool = True
) -> Iterator[Race]:  # fmt: skip
    """Sets of rows that bound one unrolling ever more sharply, each cut down to what it needs to reach the target.

    Energy alone; with the busiest port; with the best mix too; at last all rows (or all but mixes), for `openings`.
    """
    parts = [energy, *port_prices(field)]
    ports = len(parts) - 1
    yield _race(field, parts, _alone(len(parts))[:1], 0, steps, objective, convention)
    whole = _race(field, parts, _alone(len(parts)), ports, steps, objective, convention)
    least = whole.solution.least + whole.base
    pair = (whole.weighed[0], whole.weighed[1 + int(least[1:].argmax())])
    if whole.root >= target:
        yield _race(field, parts, pair, 1, steps, objective, convention)
    if not mixed:
        yield whole
        return
    full = _race(field, parts, (*whole.weighed, *_mixes(whole)), ports, steps, objective, convention)
    if full.root >= target and len(full.weighed) > len(whole.weighed):
        least = full.solution.least + full.base
        alone = [replace(full, weighed=(*pair, mix), ports=1, shares=tuple(map(_share, (mix,))) if full.shares else ())
                 for mix in full.weighed[1 + ports :]]  # fmt: skip
        front = [0, int(least[1 : 1 + ports].argmax()) + 1]
        bounds = [float(one.bound(least[[*front, 1 + ports + i]])) for i, one in enumerate(alone)]
        best = alone[int(np.argmax(bounds))]
        yield _race(field, parts, best.weighed, 1, steps, objective, convention)
    yield full


def _alone(number: int) -> tuple[Shares, ...]:
    """Every quantity by itself."""
    return tuple(tuple(float(i == j) for j in range(number)) for i in range(number))


def _share(mix: Shares) -> float:
    """λ: what a mix weighs of ports per energy."""
    return sum(mix[1:])


def _race(
    field: Field, parts: list[Prices], weighed: tuple[Shares, ...], ports: int, steps: float, objective: str,
    convention: Convention,
) -> Race:  # fmt: skip
    """Rows of prices: sums of the `parts`, energy and ports, by their shares."""
    rows = [blend([(share, part) for share, part in zip(one, parts, strict=True) if share]) for one in weighed]
    shares = tuple(_share(one) for one in weighed[1 + ports :]) if objective == "edp" else ()
    fixed = fixed_words(field.problem, field.machine, np.array([field.spatial]), convention)
    base = np.array([float(fixed_cost(field.problem, fixed, row)[0]) for row in rows])
    return Race(
        field, objective, steps, ports, shares, weighed, tuple(rows), base, priced(field, rows),
        solve(field, rows, keep=True), movable(field),
    )  # fmt: skip


def _mixes(race: Race) -> tuple[Shares, ...]:
    """Averages of the busiest ports: alone for latency, on top of the energy for energy · latency."""
    least = race.solution.least + race.base
    busy = sorted(range(race.ports), key=lambda i: -float(least[1 + i]))[:3]

    def of(energy: float, ports: dict[int, float]) -> Shares:
        return (energy, *(ports.get(i, 0.0) for i in range(race.ports)))

    if race.objective == "latency":
        pairs = itertools.product(itertools.combinations(busy, 2), (0.25, 0.5, 0.75))
        return tuple(of(0.0, {a: t, b: 1 - t}) for (a, b), t in pairs)
    scale = float(least[0]) / max(race.steps, float(least[1:].max(initial=0.0)))
    groups = [*((i,) for i in busy), *itertools.combinations(busy, 2)]
    chosen = [(group, share * scale) for group in groups for share in SHARES if scale > 0]
    return tuple(of(1.0, dict.fromkeys(group, share / len(group))) for group, share in chosen)


def _offer(race: Race, mapping: Mapping, energy: Prices, convention: Convention, best: PortBound) -> PortBound:
    """The better of the incumbent and one mapping, judged by the law."""
    field = race.field
    names = [level.name for level in field.machine.levels]
    roles = [operand.role for operand in field.problem.operands]
    moved = traffic(field.problem, field.machine, mapping, convention)
    words = sum(
        n * energy.of(act)[names.index(level), roles.index(role)] for (level, role, act), n in moved.counts.items()
    )
    spent, pace = float(field.problem.macs * energy.mac + words), latency(field.machine, moved)
    value = pace if race.objective == "latency" else pace * spent
    return PortBound(mapping, (value, spent), best.lower_bound) if (value, spent) < best.key else best


def _dive(race: Race, rows: range, energy: Prices, convention: Convention, best: PortBound) -> PortBound:
    """Try the optimum of every row."""
    for row in rows:
        mapping = trace(race.field, race.solution, row)
        if mapping is not None:
            best = _offer(race, mapping, energy, convention, best)
    return best


@dataclass(frozen=True, slots=True)
class Node:
    """A partial mapping: the tiles so far, the run that is open (operand, last level, repeats), costs of all rows."""

    chain: Chain
    tile: int
    run: tuple[int, int, float] | None
    spent: Column


def _branch(race: Race, energy: Prices, convention: Convention, best: PortBound) -> PortBound:
    """Best-first over partial mappings until none can beat the incumbent."""
    field, levels = race.field, len(race.field.machine.levels)
    start = Node((), field.lattice.size - 1, None, race.base)
    queue: list[tuple[float, int, int, Node]] = [(best.lower_bound, 0, 0, start)]
    serial = itertools.count(1)
    for _ in range(NODES):
        if not queue or queue[0][0] >= best.key[0] * (1 - TIE):
            return replace(best, lower_bound=best.key[0])
        bound, _, _, node = heapq.heappop(queue)
        level = len(node.chain)
        if level == levels - 1:
            best = _offer(race, build(field, node.chain), energy, convention, best)
            continue
        for s, k, repeats, tile, hope in _hopes(race, node, best.key[0] * (1 - TIE)):
            child = _step(race, node, tile, s, k, repeats)
            heapq.heappush(queue, (max(bound, hope), -level, next(serial), child))
    return replace(best, lower_bound=min(best.key[0], queue[0][0] if queue else best.key[0]))


def openings(race: Race, target: float, most: int) -> Iterator[Opening]:
    """Partial mappings with no bound at the target: all that a proof must look into, and no more than `most`.

    It ends early where a whole mapping lies below the target, for then there is nothing to prove.
    """
    start = Node((), race.field.lattice.size - 1, None, race.base)
    todo: list[tuple[Opening, Node]] = [((), start)]
    while todo and most and len(todo[-1][0]) < len(race.field.machine.levels) - 1:
        most -= 1
        path, node = todo.pop()
        yield path
        todo += [
            ((*path, (tile, s, k)), _step(race, node, tile, s, k, repeats))
            for s, k, repeats, tile, _ in _hopes(race, node, target)
        ]


def _hopes(race: Race, node: Node, below: float) -> Iterator[tuple[int, int, float, int, float]]:
    """(operand, last level, repeats, tile, bound) of the ways to go on whose bounds lie below a value."""
    field, level = race.field, len(node.chain)
    allowed = race.movable[level]
    for s, k, repeats in _runs(race, node, level):
        dims = allowed if node.run is None else allowed - field.problem.operands[s].relevant
        under = reachable(field, node.tile, dims)
        stretch = race.solution.stretches[s, k, level + 1]
        stay = stretch.stay if stretch.stay.shape[1] == 1 else stretch.stay[:, under]
        hope = race.bound(node.spent[:, None] + stretch.apart[:, under] + stay * repeats)
        for at in np.flatnonzero(hope < below).tolist():
            yield s, k, repeats, int(under[at]), float(hope[at])


def _runs(race: Race, node: Node, level: int) -> list[tuple[int, int, float]]:
    """The run that is open, or every one that may begin here."""
    if node.run is not None:
        return [node.run]
    last, operands = len(race.field.machine.levels) - 1, range(len(race.field.problem.operands))
    return [(s, k, float(race.field.repeats[s][node.tile])) for s in operands for k in range(level, last)]


def _step(race: Race, node: Node, tile: int, s: int, k: int, repeats: float) -> Node:
    """Append one tile; its boundary is paid in every row."""
    child = len(node.chain) + 1
    moved = race.costs.moved[child][s]
    paid = race.costs.others[child][s][:, tile] + moved[:, tile if moved.shape[1] > 1 else 0] * repeats
    run = (s, k, repeats) if k >= child else None
    return Node((*node.chain, (tile, s)), tile, run, node.spent + paid)
