"""Lower bounds of an unrolling, all at once, before any tile is looked at."""

from dataclasses import dataclass

import numpy as np

from ._accelerator import Accelerator
from ._convention import Convention
from ._field import Ints, copies, fixed_cost, fixed_words
from ._lattice import Column
from ._problem import Problem
from ._weights import Prices
from ._window import words


@dataclass(frozen=True, slots=True)
class Floor:
    """Per unrolling: what no tile changes, and the least cost of a whole mapping."""

    fixed: Column
    least: Column
    steps: Column


def floor(
    problem: Problem, machine: Accelerator, spatial: Ints, prices: Prices, convention: Convention, *,
    without: frozenset[int] = frozenset(),
) -> Floor:  # fmt: skip
    """Every tensor crosses every boundary at least once: q >= 1 and A_o(T) >= the words of the whole tensor.

    Both hold for every tile, loop order and halo (`touched` words of the whole are no more than the hulls of any
    grid of tiles), so `least` never exceeds the cost of a mapping. Boundaries into the levels `without` count nothing.
    """
    fixed = fixed_cost(problem, fixed_words(problem, machine, spatial, convention), prices)
    least = fixed.copy()
    for o, operand in enumerate(problem.operands):
        output = o == len(problem.operands) - 1
        whole, shared = float(words(operand, problem.extents, Convention())), copies(operand, spatial)
        for child in machine.holders(operand.role)[1:]:
            if child in without:
                continue
            parent = machine.parent(operand.role, child)
            spread = parent > machine.fanout or (child > machine.fanout and not machine.array.multicast and not output)
            above = prices.read[parent, o] + (prices.update[parent, o] if output else 0.0)
            least += above * whole * (shared if spread else 1.0)
            least += prices.write[child, o] * whole * (shared if child > machine.fanout else 1.0)
    steps = np.prod(-(-np.array(problem.extents)[None] // spatial), axis=1, dtype=np.float64)
    return Floor(fixed, least, steps)
