"""How many mappings a search has covered: chains of tiles, counted per dimension and prime."""

import math

import numpy as np

from ._accelerator import Accelerator
from ._field import Ints
from ._lattice import prime_powers
from ._problem import Problem


def chains(problem: Problem, machine: Accelerator, spatial: Ints) -> int:
    """Ways to place the prime factors of every Y_0 on the levels that may hold them, summed over the unrollings.

    A prime with exponent e on n levels has C(e + n - 1, n - 1) placements. Every chain stands for all its loop orders,
    which are not counted; tiles that do not fit are.
    """
    passes = -(-np.array(problem.extents)[None] // spatial)
    total = np.ones(len(spatial), dtype=object)
    for d, dim in enumerate(problem.dims):
        homes = sum(level.loops is None or dim in level.loops for level in machine.levels)
        ways = {y: _placements(y, homes) for y in np.unique(passes[:, d]).tolist()}
        total = total * np.array([ways[y] for y in passes[:, d].tolist()], dtype=object)
    return int(total.sum()) if len(spatial) else 0


def _placements(number: int, homes: int) -> int:
    if number == 1:
        return 1
    return math.prod(math.comb(e + homes - 1, homes - 1) for _, e in prime_powers(number)) if homes else 0
