"""What numpy shows of this machine: GEMM by dtype and size, copying by working set, the price of a call."""

import ctypes
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from ._timing import Bench

GEMM_SIZES: Final = (64, 128, 256, 512, 1024)
GEMM_DTYPES: Final = ("float32", "float64")
LARGEST_SET: Final = 1 << 30
_SETTERS: Final = ("scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads",
                   "openblas_set_num_threads64_", "openblas_set_num_threads")  # fmt: skip


def gemm_benches(sizes: Sequence[int] = GEMM_SIZES) -> list[Bench]:
    """n x n times n x n, 2 n³ FLOP; threads as numpy's BLAS is set up."""
    random = np.random.default_rng(0)
    return [_gemm(dtype, n, random) for dtype in GEMM_DTYPES for n in sizes]


def _gemm(dtype: str, n: int, random: np.random.Generator) -> Bench:
    a, b = (random.standard_normal((n, n)).astype(dtype) for _ in range(2))
    out = np.empty((n, n), dtype)
    return Bench(f"gemm {dtype} {n}", lambda: np.matmul(a, b, out=out), 2.0 * n**3)


def limit_blas(threads: int) -> bool:
    """Set the threads of the OpenBLAS that numpy has loaded; False where none is found."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    for name in dict.fromkeys(re.findall(r"/\S*openblas\S*", maps)):
        library = ctypes.CDLL(name)
        for symbol in _SETTERS:
            if hasattr(library, symbol):
                getattr(library, symbol)(ctypes.c_int(threads))
                return True
    return False


def working_sets(last_cache: int, inner_cache: int) -> list[int]:
    """Bytes touched by a copy: inside the inner cache, inside the last one, and four times beyond it."""
    outside = min(LARGEST_SET, max(4 * last_cache, 128 << 20))
    inside = last_cache // 2 if last_cache > 2 * inner_cache else 0
    return sorted({n for n in (inner_cache // 2, inside, outside) if n >= 4096})


def copy_benches(sets: Sequence[int], threads: int) -> list[Bench]:
    """Copies by `threads` threads, each its own slice; a byte read and a byte written count as two."""
    pool = ThreadPoolExecutor(threads)
    return [_copy(n, threads, pool) for n in sets]


def _copy(set_bytes: int, threads: int, pool: ThreadPoolExecutor) -> Bench:
    each = max(64, set_bytes // (2 * threads) // 8)
    pairs = [(np.zeros(each), np.ones(each)) for _ in range(threads)]
    rounds = max(1, (8 << 20) // (16 * each))  # enough in one call that handing it to threads costs little

    def one(pair: tuple[np.ndarray, np.ndarray]) -> None:
        for _ in range(rounds):
            np.copyto(*pair)

    def call() -> None:
        if threads == 1:
            one(pairs[0])
        else:
            list(pool.map(one, pairs))

    return Bench(f"copy {set_bytes}", call, 16.0 * each * threads * rounds)


def call_bench() -> Bench:
    """One small numpy operation: the price of a call, where there is no runtime whose operators could be launched."""
    x, out = np.ones(16, np.float32), np.empty(16, np.float32)
    return Bench("numpy call", lambda: np.negative(x, out=out))
