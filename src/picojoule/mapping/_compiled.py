"""Problem, machine and prices as the flat arrays that the kernels read."""

import math

import numpy as np

from ._accelerator import Accelerator
from ._convention import Convention
from ._kernels import least
from ._lattice import Column, prime_powers
from ._problem import Problem, Tile
from ._weights import Prices

_work: list[Column] = [np.zeros((0, 0))]  # rows of work, kept and grown: fresh memory costs more than a solve


def least_numba(problem: Problem, machine: Accelerator, prices: Prices, convention: Convention) -> "Compiled":
    """The compiled solver of one problem on one machine."""
    return Compiled(problem, machine, prices, convention)


class Compiled:
    """Least cost of an unrolling; everything but the spatial factors is fixed once."""

    def __init__(self, problem: Problem, machine: Accelerator, prices: Prices, convention: Convention) -> None:
        dims, operands, levels = len(problem.dims), problem.operands, machine.levels
        self.extents = np.array(problem.extents, dtype=np.int64)
        shape = (len(levels), len(operands))
        relevant = np.zeros((len(operands), dims), dtype=np.bool_)
        singles, windows = relevant.copy(), []
        keeps, parents = np.zeros(shape, dtype=np.bool_), np.full(shape, -1, dtype=np.int64)
        bits, shares = np.zeros(shape), np.full(shape, np.inf)
        per_word, per_fill = np.zeros(shape), np.zeros(shape)
        for o, operand in enumerate(operands):
            relevant[o, sorted(operand.relevant)] = True
            for axis in operand.axes:
                if len(axis) == 1:
                    singles[o, axis[0][0]] = True
                else:
                    (a, stride), (b, dilation) = axis
                    windows.append((o, a, stride, b, dilation, math.gcd(stride, dilation)))
            for level in machine.holders(operand.role):
                keeps[level, o] = True
            for child in machine.holders(operand.role)[1:]:
                parent = parents[child, o] = machine.parent(operand.role, child)
                per_word[child, o] = prices.read[parent, o]
                if o == len(operands) - 1:
                    per_word[child, o] += prices.update[parent, o]
                per_fill[child, o] = prices.write[child, o]
            for at, one in enumerate(levels):
                bits[at, o] = machine.bits[operand.role] * one.copies
                shares[at, o] = dict(one.shares).get(operand.role, np.inf)
        capacity = np.array([np.inf if one.capacity_bits is None else one.capacity_bits for one in levels], dtype=float)
        allowed = np.array([[one.loops is None or dim in one.loops for dim in problem.dims] for one in levels])
        self.flat = (
            relevant, singles, np.array(windows, dtype=np.int64).reshape(-1, 6), keeps, parents, bits, shares, capacity,
            allowed, machine.fanout, machine.array.multicast, convention.multicast == "union",
            convention.window == "hull", convention.halo == "perfect", per_word, per_fill,
        )  # fmt: skip
        self.rows = 4 * len(operands) + 2 * len(levels) + 6 + 2 * len(levels) * len(operands)

    def __call__(self, spatial: Tile) -> float:
        """Least cost of one unrolling without what the tiles do not change."""
        chosen = np.array(spatial, dtype=np.int64)
        choices = [math.prod(e + 1 for _, e in prime_powers(int(y))) for y in -(-self.extents // chosen)]
        size, width = math.prod(choices), max(choices)
        if _work[0].shape[0] < self.rows or _work[0].shape[1] < size:
            _work[0] = np.empty((max(self.rows, _work[0].shape[0]), max(size, _work[0].shape[1])))
        values = np.empty((len(chosen), width), dtype=np.int64)
        axes = np.empty((max(1, 16 * len(chosen)), 3), dtype=np.int64)
        return float(least(self.extents, chosen, *self.flat, _work[0], values, axes))
