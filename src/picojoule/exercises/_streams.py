"""Y[m, n] = X[m, k]·W[k, n] as a stream of accesses, as loop code, and on a scratchpad filled by the program."""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from picojoule.mapping import (
    Accelerator,
    Array,
    Cache,
    CacheTraffic,
    Level,
    Mapping,
    Problem,
    cache_curve,
    cache_traffic,
    contraction,
    optimum,
    per_level,
    traffic,
)
from picojoule.quantity import InputError

ROLES = ("X", "W", "Y")
Sizes = tuple[int, int, int]  # m, k, n
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_MACS, _TILES = 1 << 20, 1 << 16  # followed one by one: about a second


def product_of(sizes: Sizes) -> Problem:
    """The product as a problem of the traffic law."""
    space = dict(zip("mkn", sizes, strict=True))
    return contraction("product", space, {"X": [[("m", 1)], [("k", 1)]], "W": [[("k", 1)], [("n", 1)]],
                                          "Y": [[("m", 1)], [("n", 1)]]})  # fmt: skip


def scratchpad(sizes: Sizes, tile: Sizes, width: int) -> tuple[int, int]:
    """Bytes read and written with tiles held by the program, loops m, n, k outermost first: sums stay until finished."""
    trips = {dim: -(-x // t) for dim, x, t in zip("mkn", sizes, tile, strict=True)}
    inner = tuple(zip("mkn", tile, strict=True))
    return _bytes(sizes, Mapping((tuple((dim, trips[dim]) for dim in "mnk"), inner)), width)


def footprint(tile: Sizes, width: int) -> int:
    """Bytes of one tile of each matrix."""
    m, k, n = tile
    return width * (m * k + k * n + m * n)


def best_scratchpad(sizes: Sizes, width: int, size_bytes: int) -> tuple[int, int] | None:
    """Bytes read and written by the better of two: the largest square tile, and the optimum over tiles that divide."""
    words = size_bytes // width
    if words < 3:
        return None
    machine, counted = _machine(words), {"memory": 1.0, "scratchpad": 0.0}
    found = optimum(product_of(sizes), machine, per_level(machine, 0.0, counted, counted))
    side = max(t for t in range(1, max(sizes) + 1) if footprint((t, t, t), 1) <= words)
    square = (min(side, sizes[0]), min(side, sizes[1]), min(side, sizes[2]))
    return min(scratchpad(sizes, square, width), _bytes(sizes, found.mapping, width), key=sum)


def _machine(words: int | None) -> Accelerator:
    """A memory and a scratchpad of `words` words (None: without limit), one bit a word."""
    levels = (Level("memory", ROLES), Level("scratchpad", ROLES, capacity_bits=words))
    return Accelerator("scratchpad", levels, Array("scratchpad", ()), tuple((role, 1) for role in ROLES))


def _bytes(sizes: Sizes, mapping: Mapping, width: int) -> tuple[int, int]:
    moved = traffic(product_of(sizes), _machine(None), mapping)
    read = sum(moved.of("memory", role, "read") for role in ROLES)
    return width * read, width * moved.of("memory", "Y", "update")


@lru_cache(maxsize=16)
def cached(sizes: Sizes, tile: Sizes, width: int, cache: Cache) -> CacheTraffic:
    """The same loops through a cache."""
    return cache_traffic(*stream(sizes, tile, width), cache)


@lru_cache(maxsize=16)
def cached_curve(sizes: Sizes, tile: Sizes, width: int, line: int, lines: tuple[int, ...]) -> tuple[CacheTraffic, ...]:
    """The same loops through fully associative caches of so many lines."""
    return tuple(cache_curve(*stream(sizes, tile, width), line, lines))


def stream(sizes: Sizes, tile: Sizes, width: int) -> tuple[Ints, Flags]:
    """Addresses [B] and which of them write. One matrix after the other in memory, rows together, each word one access.

    Loops as in `loop_code`; a sum is in a register along k, so that Y is read only to go on with it.
    """
    m, k, n = sizes
    tiles = math.prod(-(-size // one) for size, one in zip(sizes, tile, strict=True))
    if m * k * n > _MACS or tiles > _TILES:
        raise InputError(f"a product {m} x {k} by {k} x {n} in {tiles} tiles",
                         expected=f"at most {_MACS} multiplications and {_TILES} tiles, since each access is followed",
                         example="64 x 64 by 64 x 64 in tiles of 16")  # fmt: skip
    blocks = list(_blocks(sizes, tile, width))
    addresses = np.concatenate([block.ravel() for block, _ in blocks])
    return addresses, np.concatenate([writes.ravel() for _, writes in blocks])


def _blocks(sizes: Sizes, tile: Sizes, width: int) -> Iterator[tuple[Ints, Flags]]:
    m, k, n = sizes
    base_w, base_y = m * k, m * k + k * n
    for m0 in range(0, m, tile[0]):
        for n0 in range(0, n, tile[2]):
            for k0 in range(0, k, tile[1]):
                i, j, q = np.ix_(*(np.arange(start, min(start + size, whole)) for start, size, whole in
                                   ((m0, tile[0], m), (n0, tile[2], n), (k0, tile[1], k))))  # fmt: skip
                x, w = np.broadcast_arrays(i * k + q, base_w + q * n + j)
                pairs = np.stack([x, w], axis=-1).reshape(i.size, j.size, 2 * q.size)
                sums = (base_y + i * n + j) + np.zeros((1, 1, 2 if k0 else 1), dtype=np.int64)
                head = [sums[..., :1]] if k0 else []
                block = np.concatenate([*head, pairs, sums[..., -1:]], axis=-1)
                writes = np.zeros(block.shape, dtype=bool)
                writes[..., -1] = True
                yield block * width, writes


def loop_code(sizes: Sizes, tile: Sizes | None) -> tuple[str, ...]:
    """The loops as Python; without `tile` the three plain ones."""
    m, k, n = sizes
    if tile is None:
        return (
            f"for i in range({m}):", f"    for j in range({n}):", "        total = 0", f"        for q in range({k}):",
            "            total += X[i, q] * W[q, j]", "        Y[i, j] = total",
        )  # fmt: skip
    return (
        f"for m0 in range(0, {m}, {tile[0]}):", f"    for n0 in range(0, {n}, {tile[2]}):",
        f"        for k0 in range(0, {k}, {tile[1]}):", f"            for i in range(m0, min(m0 + {tile[0]}, {m})):",
        f"                for j in range(n0, min(n0 + {tile[2]}, {n})):",
        "                    total = Y[i, j] if k0 else 0",
        f"                    for q in range(k0, min(k0 + {tile[1]}, {k})):",
        "                        total += X[i, q] * W[q, j]", "                    Y[i, j] = total",
    )  # fmt: skip
