"""The conditions of a claim under one bypass as the checker reads them: plain data in, word counts and floors out.

Written anew from the law's page; nothing here or in the other `_check…` files calls the search or the law. Several
quantities are counted side by side: the energy, then the cycles of every port; a word of a level adds its `unit` to each.
Counts are floats: exact below 2^53, beyond that off by 2^-53 of themselves per product, which the slack of a proof holds.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ._problem import Axis, Tile
from ._search import Optimum

Bypass = tuple[tuple[str, str], ...]
Numbers = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
NEAR: Final = 1e-12  # relative: what rounding may add to a sum
Sizes = Sequence[Any] | Mapping[int, Any]  # an integer or an array of them per dimension


class World:
    """Machine, problem, convention and prices of a claim, without what one bypass leaves out."""

    def __init__(self, claim: Optimum, bypass: Bypass) -> None:
        machine, problem = claim.accelerator, claim.problem
        self.rule, self.array, self.levels = claim.convention, machine.array, machine.levels
        self.dims = [dim for dim, _ in problem.space]
        self.extents: Tile = tuple(extent for _, extent in problem.space)
        self.operands, self.output = problem.operands, len(problem.operands) - 1
        self.relevant = [frozenset(d for axis in one.axes for d, _ in axis) for one in problem.operands]
        self.fan = [level.name for level in machine.levels].index(machine.array.below)
        self.kept = [
            [i for i, level in enumerate(machine.levels)
             if one.role in level.keeps and (level.name, one.role) not in bypass]
            for one in problem.operands
        ]  # fmt: skip
        self.bits = dict(machine.word_bits)
        self.ports = [(i, port) for i, level in enumerate(machine.levels) for port in _ports(level)]
        self.names = [("", "energy"), *((machine.levels[i].name, port) for i, port in self.ports)]
        self.mac, table = claim.weights.mac, dict(claim.weights.words)
        self.unit = {
            (i, o, action): np.array([float(table.get((level.name, one.role, action), 0.0)), *self._cycles(i, o, action)])
            for i, level in enumerate(machine.levels)
            for o, one in enumerate(problem.operands)
            for action in ("read", "write", "update")
        }  # fmt: skip

    def _cycles(self, level: int, operand: int, action: str) -> list[float]:
        """Cycles of every port per word, were there one instance."""
        found = []
        for at, port in self.ports:
            memory, hit = self.levels[at], at == level and (port == "bus" or (action == "read") == (port == "read"))
            wide = {"read": memory.read_bandwidth, "write": memory.write_bandwidth, "bus": memory.bus_bits}[port]
            bits = self.bits[self.operands[operand].role] if port == "bus" else 1
            found.append(bits / float(wide) if hit and wide is not None else 0.0)
        return found

    def edges(self, operand: int) -> list[tuple[int, int]]:
        """(parent, child) of every boundary between two memories."""
        return list(itertools.pairwise(self.kept[operand]))

    def top(self, level: int, operand: int) -> Numbers:
        """What a word at the parent costs: a read, and for the output an update too."""
        read = self.unit[level, operand, "read"]
        return read + self.unit[level, operand, "update"] if operand == self.output else read

    def may(self, level: int, d: int) -> bool:
        """May a loop of the dimension stand at the level?"""
        allowed = self.levels[level].loops
        return allowed is None or self.dims[d] in allowed

    def passes(self, spatial: Rows) -> Rows:
        """ceil(X / S), one row per unrolling."""
        return -(-np.array(self.extents, dtype=np.int64)[None] // spatial)

    def sharers(self, operand: int, spatial: Rows) -> Numbers:
        """PEs that hold the same word, per unrolling."""
        apart = [d for d in range(len(self.dims)) if d not in self.relevant[operand]]
        return np.asarray(spatial[:, apart].prod(axis=1, dtype=np.float64))

    def scale(self, spatial: Rows) -> Numbers:
        """[quantities, unrollings]: cycles inside a PE are shared by the PEs in use."""
        pes = spatial.prod(axis=1, dtype=np.float64)
        return np.array(
            [np.ones(len(spatial)), *(1 / pes if at > self.fan else np.ones_like(pes) for at, _ in self.ports)]
        )

    def fixed(self, spatial: Rows) -> tuple[Numbers, Numbers]:
        """[quantities, unrollings]: what MACs cost, and what first visits of the output, which are free, save."""
        passes, last = self.passes(spatial), len(self.levels)
        cost, saved = np.zeros((len(self.names), len(spatial))), np.zeros((len(self.names), len(spatial)))
        cost[0] = math.prod(self.extents) * self.mac
        for o, kept in enumerate(self.kept):
            near = kept[-1] <= self.fan and (self.array.multicast or o == self.output)
            count = np.full(len(spatial), float(math.prod(self.extents)))
            if near:
                each = [self.extents[d] if d in self.relevant[o] else passes[:, d] for d in range(len(self.dims))]
                count = np.ones(len(spatial))
                for number in each:
                    count = count * number
            cost += self.top(kept[-1], o)[:, None] * count
        if self.rule.partial_sums == "first-free":
            whole = float(math.prod(self.extents[d] for d in self.relevant[self.output]))
            many = whole * self.sharers(self.output, spatial)
            for parent, child in [*self.edges(self.output), (self.kept[self.output][-1], last)]:
                saved += self.unit[parent, self.output, "read"][:, None] * (many if parent > self.fan else whole)
                if child < last:
                    saved += self.unit[child, self.output, "write"][:, None] * (many if child > self.fan else whole)
        return cost * self.scale(spatial), saved * self.scale(spatial)

    def floor(self, spatial: Rows) -> Numbers:
        """[quantities, unrollings]: fixed costs and one whole pass of every tensor over every boundary."""
        cost, saved = self.fixed(spatial)
        least = np.zeros_like(cost)
        for o, operand in enumerate(self.operands):
            whole = float(math.prod(int(self.length(axis, self.extents, touched=True)) for axis in operand.axes))
            many = whole * self.sharers(o, spatial)
            for parent, child in self.edges(o):
                alone = parent > self.fan or (child > self.fan and not self.array.multicast and o != self.output)
                least += self.top(parent, o)[:, None] * (many if alone else whole)
                least += self.unit[child, o, "write"][:, None] * (many if child > self.fan else whole)
        return np.asarray(least * self.scale(spatial) + cost - saved - NEAR * (cost + saved))

    def length(self, axis: Axis, sizes: Sizes, *, touched: bool = False) -> Any:
        """Words of one axis under a tile.

        stride·i + dilation·j: the j that agree modulo stride/g share values; of n such j the first adds p values, each
        other one min(p, dilation/g).
        """
        if len(axis) == 1:
            return sizes[axis[0][0]]
        (a, stride), (b, dilation) = axis
        if self.rule.window == "hull" and not touched:
            return 1 + stride * (sizes[a] - 1) + dilation * (sizes[b] - 1)
        common = math.gcd(stride, dilation)
        firsts = np.minimum(sizes[b], stride // common)
        return firsts * sizes[a] + (sizes[b] - firsts) * np.minimum(sizes[a], dilation // common)

    def covered(self, axis: Axis, tile: Sizes) -> Any:
        """Words of one axis under all tiles of the grid that covers it, the last ones clipped."""
        if len(axis) == 1:
            return self.extents[axis[0][0]]
        if self.rule.halo == "perfect":
            return self.length(axis, self.extents)
        (a, _), (b, _) = axis
        total = 0
        for many_a, size_a in _blocks(self.extents[a], tile[a]):
            for many_b, size_b in _blocks(self.extents[b], tile[b]):
                total = total + many_a * many_b * self.length(axis, {a: size_a, b: size_b})
        return total


def _ports(level: Any) -> list[str]:
    """The ports of a level that state a bandwidth."""
    wide = {"read": level.read_bandwidth, "write": level.write_bandwidth, "bus": level.bus_bits}
    return [port for port, words in wide.items() if words is not None]


def _blocks(extent: int, size: Any) -> list[tuple[Any, Any]]:
    """(how many, how long): whole blocks and what is left for the last."""
    whole = (extent - 1) // size
    return [(whole, np.minimum(size, extent)), (1, extent - whole * size)]
