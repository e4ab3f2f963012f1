"""The checker of a certificate. It minimises nothing and shares no cost code with the search: plain loops, plain
numbers, every word count written out again from the law.

The claim's own mapping must be legal and cost what it says, by the traffic law. The checker lists the unrollings
itself. Each must either have a floor (every tensor crosses every boundary once, whole) that
reaches the value, or potentials such that, at every tile T, with F the words of a boundary times their weights,
    value[last] <= 0
    inner[s,k,j](T) <= F_others(T) q(T) + refusal(T) + (value[k+1] or inner[s,k,j+1])(T)
    inner(T) <= inner(T / p) for every prime p of a dimension irrelevant to s and allowed at j; outer the same, relevant
    outer[s,k,j](T) <= inner[s,k,j](T) + (sum of F_s) q_s(T),   value[j](T) <= outer[s,k,j](T)
    root <= the same at level 0 for every tile reachable from the whole
Then fixed costs + root bound every mapping of the unrolling from below, in all loop orders and factorisations.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from functools import lru_cache

from ._accelerator import Accelerator
from ._certificate import Bypass, Potentials
from ._latency import latency
from ._legality import faults as legality
from ._problem import Operand, Problem, Tile
from ._search import Optimum
from ._traffic import traffic
from ._weights import cost

SLACK = 1e-9  # relative, for sums of floating-point numbers in another order


def check(claim: Optimum, given: Iterable[Potentials]) -> tuple[str, ...]:
    """Reasons to reject the claim `value is the least`; empty if it is proven. Only energy and compute-bound cycles."""
    proofs: dict[tuple[Bypass, Tile], float] = {}
    faults, every = _own(claim), list(_every(claim))
    known = set(every)
    for proof in given:
        if (proof.bypass, proof.spatial) not in known:
            faults.append(f"unrolling {proof.spatial} bypass {proof.bypass}: there is no such unrolling")
            continue
        machine = claim.accelerator.without(proof.bypass)
        inside = _Unrolling(claim, machine, proof.spatial)
        broken = inside.broken(proof)
        if broken:
            faults.append(f"unrolling {proof.spatial} bypass {proof.bypass}: {broken}")
        proofs[proof.bypass, proof.spatial] = inside.fixed() + proof.root
    for bypass, spatial in every:
        inside = _Unrolling(claim, claim.accelerator.without(bypass), spatial)
        energy = max(inside.floor(), proofs.get((bypass, spatial), 0.0))
        steps = math.prod(-(-x // s) for x, s in zip(claim.problem.extents, spatial, strict=True))
        least = {"energy": energy, "latency": math.inf if energy == math.inf else steps, "edp": energy * steps}
        if least[claim.objective] < claim.value * (1 - SLACK):
            faults.append(f"unrolling {spatial} bypass {bypass}: only {least[claim.objective]:g} is proven")
    return tuple(faults)


def _own(claim: Optimum) -> list[str]:
    """What is wrong with the mapping that the claim shows: illegal, or of another cost."""
    illegal = legality(claim.problem, claim.accelerator, claim.mapping, claim.convention)
    if illegal:
        return [f"the mapping is illegal: {illegal[0]}"]
    moved = traffic(claim.problem, claim.accelerator, claim.mapping, claim.convention)
    energy, cycles = cost(claim.problem, moved, claim.weights), latency(claim.accelerator, moved)
    value = {"energy": energy, "latency": cycles, "edp": energy * cycles}[claim.objective]
    said = {"energy": (claim.energy, energy), "cycles": (claim.cycles, cycles), "value": (claim.value, value)}
    faults = [
        f"the mapping has {name} {true:g}, not {told:g}"
        for name, (told, true) in said.items()
        if not math.isclose(told, true, rel_tol=SLACK, abs_tol=1e-300)
    ]
    if claim.traffic != moved:
        faults.append("the traffic is not that of the mapping")
    return faults


def _every(claim: Optimum) -> Iterator[tuple[Bypass, Tile]]:
    """Every bypass and every unrolling with a place on the array, by trying all factors."""
    able = [(level.name, role) for level in claim.accelerator.levels for role in level.optional if role in level.keeps]
    for choice in itertools.product((False, True), repeat=len(able)):
        bypass = tuple(pair for pair, out in zip(able, choice, strict=True) if out)
        machine = claim.accelerator.without(bypass)
        for spatial in _spreads(claim.problem, machine, claim.factors == "ragged"):
            if not _torn(claim, machine, spatial):
                yield bypass, spatial


def _spreads(problem: Problem, machine: Accelerator, ragged: bool) -> set[Tile]:
    """Spread dimension after dimension over axis after axis in all ways; keep the distinct factors."""
    states: set[Tile] = {problem.extents}
    for axis in machine.array.axes:
        grown: set[Tile] = set()
        for passes in states:
            grown |= _along(passes, [problem.dims.index(d) for d in axis.dims if d in problem.dims], axis.size)
        states = grown
    found = {tuple(-(-x // y) for x, y in zip(problem.extents, passes, strict=True)) for passes in states}
    whole = {s for s in found if all(x % n == 0 for x, n in zip(problem.extents, s, strict=True))}
    output = problem.operands[-1].relevant
    return {
        s for s in (found if ragged else whole)
        if (machine.array.reduction or all(n == 1 for d, n in enumerate(s) if d not in output))
        and all(n == x for n, (dim, x) in zip(s, problem.space, strict=True) if dim in machine.array.whole)
    }  # fmt: skip


def _along(passes: Tile, dims: list[int], room: int) -> set[Tile]:
    if not dims:
        return {passes}
    found: set[Tile] = set()
    for factor in range(1, min(room, passes[dims[0]]) + 1):
        left = (*passes[: dims[0]], -(-passes[dims[0]] // factor), *passes[dims[0] + 1 :])
        found |= _along(left, dims[1:], room // factor)
    return found


def _torn(claim: Optimum, machine: Accelerator, spatial: Tile) -> bool:
    """Is a window shared by PEs in a way the law does not count?"""
    if claim.convention.multicast != "union" or not machine.array.multicast:
        return False
    for operand in claim.problem.operands:
        kept = [i for i, level in enumerate(machine.levels) if operand.role in level.keeps]
        if machine.fanout + 1 in kept:
            continue
        size = claim.problem.extents if kept[-1] > machine.fanout else spatial
        for (a, _), (b, _) in operand.windows:
            if (spatial[a] > 1 and size[b] > 1) or (spatial[b] > 1 and size[a] > 1):
                return True
    return False


class _Unrolling:
    """Costs of one unrolling, tile by tile."""

    def __init__(self, claim: Optimum, machine: Accelerator, spatial: Tile) -> None:
        self.problem, self.machine, self.spatial = claim.problem, machine, spatial
        self.rule, self.weights = claim.convention, claim.weights
        self.table: dict[tuple[str, str, str], float] = dict(claim.weights.words)
        self.passes = tuple(-(-x // s) for x, s in zip(self.problem.extents, spatial, strict=True))
        self.output = self.problem.operands[-1]

    def price(self, level: int, role: str, action: str) -> float:
        return self.table.get((self.machine.levels[level].name, role, action), 0.0)

    def top(self, level: int, operand: Operand) -> float:
        """Weight of one word at the parent: read, and for the output an update too."""
        read = self.price(level, operand.role, "read")
        return read + self.price(level, operand.role, "update") if operand is self.output else read

    def edges(self, operand: Operand) -> list[tuple[int, int]]:
        kept = [i for i, level in enumerate(self.machine.levels) if operand.role in level.keeps]
        return list(itertools.pairwise(kept))

    def last(self, operand: Operand) -> int:
        return max(i for i, level in enumerate(self.machine.levels) if operand.role in level.keeps)

    def sharers(self, operand: Operand) -> int:
        return math.prod(s for d, s in enumerate(self.spatial) if d not in operand.relevant)

    def fixed(self) -> float:
        """MACs, and first visits of the output, which are free."""
        fan, total = self.machine.fanout, self.problem.macs * self.weights.mac
        for operand in self.problem.operands:
            level, count = self.last(operand), self.problem.macs
            if level <= fan and (self.machine.array.multicast or operand is self.output):
                near = [x if d in operand.relevant else self.passes[d] for d, x in enumerate(self.problem.extents)]
                count = math.prod(near)
            total += count * self.top(level, operand)
        if self.rule.partial_sums == "always":
            return total
        whole, role = math.prod(self.problem.extents[d] for d in self.output.relevant), self.output.role
        for parent, child in [*self.edges(self.output), (self.last(self.output), len(self.machine.levels))]:
            total -= whole * (self.sharers(self.output) if parent > fan else 1) * self.price(parent, role, "read")
            if child < len(self.machine.levels):
                total -= whole * (self.sharers(self.output) if child > fan else 1) * self.price(child, role, "write")
        return total

    def floor(self) -> float:
        """Fixed costs and one whole pass of every tensor over every boundary."""
        total = self.fixed()
        for operand in self.problem.operands:
            whole = math.prod(_touched(axis, tuple(self.problem.extents[d] for d, _ in axis)) for axis in operand.axes)
            for parent, child in self.edges(operand):
                many, fan = self.sharers(operand), self.machine.fanout
                alone = operand is not self.output and not self.machine.array.multicast and child > fan
                total += whole * (many if parent > fan or alone else 1) * self.top(parent, operand)
                total += whole * (many if child > fan else 1) * self.price(child, operand.role, "write")
        return total

    def tiles(self) -> list[Tile]:
        """Every tile, in lattice order."""
        choices = []
        for d, y in enumerate(self.passes):
            choices += [[(d, prime**e) for e in range(top + 1)] for prime, top in _primes(y)]
        found = []
        for picks in itertools.product(*choices):
            tile = [1] * len(self.passes)
            for d, factor in picks:
                tile[d] *= factor
            found.append(tuple(tile))
        return found

    def spread(self, operand: Operand, tile: Tile) -> int:
        """Words of all tiles of a grid over the extents."""
        total = 1
        for axis in operand.axes:
            if len(axis) == 1:
                total *= self.problem.extents[axis[0][0]]
            elif self.rule.halo == "perfect":
                total *= self.length(axis, self.problem.extents)
            else:
                (a, _), (b, _) = axis
                sizes = {d: _cuts(self.problem.extents[d], tile[d]) for d in (a, b)}
                total *= sum(
                    n * m * self.length(axis, {a: p, b: r}) for p, n in sizes[a].items() for r, m in sizes[b].items()
                )
        return total

    def length(self, axis: tuple[tuple[int, int], ...], size: Tile | dict[int, int]) -> int:
        """Words of one axis: the values that occur, or the range they span."""
        if self.rule.window == "hull":
            return 1 + sum(stride * (size[d] - 1) for d, stride in axis)
        return _touched(axis, tuple(size[d] for d, _ in axis))

    def crossing(self, operand: Operand, parent: int, child: int, tile: Tile) -> float:
        """Weighted words of one boundary for one pass."""
        fan, array = self.machine.fanout, self.machine.array
        together = self.spread(operand, tuple(s * y for s, y in zip(self.spatial, tile, strict=True)))
        if child <= fan:
            above = below = together
        else:
            alone = self.spread(operand, tile)
            above = below = alone * self.sharers(operand)
            if parent <= fan and (array.multicast or operand is self.output):
                union = child == fan + 1 and (self.rule.multicast == "union" or operand is self.output)
                above = together if union else alone
        return above * self.top(parent, operand) + below * self.price(child, operand.role, "write")

    def refused(self, level: int, tile: Tile) -> bool:
        """Does the tile overflow the level, or need a loop in the innermost level that may not stand there?"""
        memory = self.machine.levels[level]
        held = tile
        if level <= self.machine.fanout:
            held = tuple(min(s * y, x) for s, y, x in zip(self.spatial, tile, self.problem.extents, strict=True))
        need = {}
        for operand in self.problem.operands:
            if operand.role in memory.keeps:
                words = math.prod(
                    self.length(axis, held) if len(axis) == 2 else held[axis[0][0]] for axis in operand.axes
                )
                need[operand.role] = words * dict(self.machine.word_bits)[operand.role] * memory.copies
        full = memory.capacity_bits is not None and sum(need.values()) > memory.capacity_bits
        part = any(need.get(role, 0) > share for role, share in memory.shares)
        stuck = level == len(self.machine.levels) - 1 and any(
            y > 1 and not self.may(level, d) for d, y in enumerate(tile)
        )
        return full or part or stuck

    def may(self, level: int, d: int) -> bool:
        allowed = self.machine.levels[level].loops
        return allowed is None or self.problem.dims[d] in allowed

    def broken(self, proof: Potentials) -> str:
        """The first inequality that fails, or nothing."""
        tiles = self.tiles()
        steps = {(s, k, j) for k in range(1, len(self.machine.levels) - 1) for s in range(len(self.problem.operands))
                 for j in range(1, k + 1)}  # fmt: skip
        if len(proof.value) != len(self.machine.levels) or set(proof.inner) != steps or set(proof.outer) != steps:
            return "columns are missing"
        place = {tile: i for i, tile in enumerate(tiles)}
        levels, number = len(self.machine.levels), len(self.problem.operands)
        if any(len(column) != len(tiles) for column in (*proof.value, *proof.inner.values(), *proof.outer.values())):
            return "columns of another length"
        if max(proof.value[levels - 1], default=0.0) > 0:
            return "value of the innermost level is positive"
        moved = [[[0.0] * len(tiles) for _ in range(number)] for _ in range(levels)]
        for o, operand in enumerate(self.problem.operands):
            for parent, child in self.edges(operand):
                moved[child][o] = [self.crossing(operand, parent, child, tile) for tile in tiles]
        refused = [[self.refused(level, tile) for tile in tiles] for level in range(levels)]
        again = [[self.again(operand, tile) for tile in tiles] for operand in self.problem.operands]
        for k, s, i in itertools.product(range(levels - 1), range(number), range(len(tiles))):
            stay = 0.0
            for j in range(k, -1, -1):
                below = proof.value[k + 1] if j == k else proof.inner[s, k, j + 1]
                others = sum(moved[j + 1][o][i] * again[o][i] for o in range(number) if o != s)
                apart = math.inf if refused[j + 1][i] else others + float(below[i])
                stay += moved[j + 1][s][i]
                if j == 0:
                    blocked = any(
                        y < z and not self.may(0, d) for d, (y, z) in enumerate(zip(tiles[i], self.passes, strict=True))
                    )
                    if not blocked and not _at_most(proof.root, apart + stay):
                        return f"root exceeds the cost by way of tile {tiles[i]}"
                elif not self.local(proof, place, (s, k, j), tiles[i], apart, stay * again[s][i]):
                    return f"operand {s}, levels {j}..{k}, tile {tiles[i]}"
        return ""

    def reached(self, tile: Tile) -> bool:
        """May the loops between the whole and this tile stand at the outermost level?"""
        return all(y == z or self.may(0, d) for d, (y, z) in enumerate(zip(tile, self.passes, strict=True)))

    def local(
        self, proof: Potentials, place: dict[Tile, int], key: tuple[int, int, int], tile: Tile, apart: float, stay: float
    ) -> bool:  # fmt: skip
        """The inequalities of one stretch at one tile."""
        s, _, j = key
        i, inner, outer = place[tile], proof.inner[key], proof.outer[key]
        fine = (
            _at_most(inner[i], apart) and _at_most(outer[i], inner[i] + stay) and _at_most(proof.value[j][i], outer[i])
        )
        for d, y in enumerate(tile):
            if fine and self.may(j, d):
                column = outer if d in self.problem.operands[s].relevant else inner
                smaller = [place[(*tile[:d], y // prime, *tile[d + 1 :])] for prime, _ in _primes(y)]
                fine = all(_at_most(column[i], column[n]) for n in smaller)
        return bool(fine)

    def again(self, operand: Operand, tile: Tile) -> int:
        """q: passes over the operand when nothing of it stays."""
        return math.prod(self.passes[d] // tile[d] for d in range(len(tile)) if d not in operand.relevant)


def _at_most(left: float, right: float) -> bool:
    return bool(left <= right + SLACK * 1e-3 * abs(right)) if right != math.inf else True


@lru_cache(maxsize=65536)
def _touched(axis: tuple[tuple[int, int], ...], sizes: tuple[int, ...]) -> int:
    """How many values an axis takes, by listing them."""
    return len({
        sum(stride * i for (_, stride), i in zip(axis, point, strict=True))
        for point in itertools.product(*map(range, sizes))
    })  # fmt: skip


def _cuts(extent: int, size: int) -> dict[int, int]:
    """Length to number of the blocks of an extent."""
    found: dict[int, int] = {}
    for start in range(0, extent, size):
        length = min(size, extent - start)
        found[length] = found.get(length, 0) + 1
    return found


def _primes(number: int) -> list[tuple[int, int]]:
    """[(prime, exponent)] by trial."""
    found, prime = [], 2
    while number > 1:
        top = 0
        while number % prime == 0:
            number, top = number // prime, top + 1
        if top:
            found.append((prime, top))
        prime += 1
    return found
