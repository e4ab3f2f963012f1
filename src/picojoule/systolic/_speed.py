"""How fast the closed forms are on this machine."""

import time

import numpy as np

from ._array import DATAFLOWS, systolic


def points_per_second(points: int = 1_000_000, seed: int = 0) -> float:
    """Points (one layer on one array in one dataflow) a second, every count of each, `points` at a time."""
    rng = np.random.default_rng(seed)
    arrays = rng.integers(4, 257, (2, 100, 1))
    sizes = rng.integers(1, 4097, (3, 1, max(1, points // 300)))
    start = time.perf_counter()
    done = sum(systolic(flow, *arrays, *sizes).cycles.size for flow in DATAFLOWS)
    return done / (time.perf_counter() - start)
