"""How many mappings a search has covered: chains of tiles, counted per dimension and prime."""

import math
from functools import lru_cache

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
    if not len(spatial):
        return 0
    ways, most = [], len(spatial)
    for d, (dim, extent) in enumerate(problem.space):
        homes = sum(level.loops is None or dim in level.loops for level in machine.levels)
        table = [0] * (int(spatial[:, d].max()) + 1)
        for factor in np.flatnonzero(np.bincount(spatial[:, d])).tolist():
            table[factor] = _placements(-(-extent // factor), homes)
        ways.append(table)
        most *= max(table)
    kind = np.int64 if most < 2**62 else object  # Python's own integers where a sum may pass 64 bits
    total = np.ones(len(spatial), dtype=kind)
    for d, table in enumerate(ways):
        if max(table) > 1 or min(table) < 1:
            total = total * np.array(table, dtype=kind)[spatial[:, d]]
    return int(total.sum())


@lru_cache(maxsize=65536)
def _placements(number: int, homes: int) -> int:
    if number == 1:
        return 1
    return math.prod(math.comb(e + homes - 1, homes - 1) for _, e in prime_powers(number)) if homes else 0
