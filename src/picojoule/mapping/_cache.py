"""A cache instead of a scratchpad: what a stream of accesses moves when the hardware chooses what to keep.

Least recently used, write allocate, write back; a write that misses fetches its line, and at the end all dirty lines go
back. An access hits iff fewer than `ways` other lines of its set were used since its own line was last used (its stack
distance; Mattson et al., 1970), so one pass over the stream answers every capacity of that many sets.

With prev[i] the last use of the same line (-1: none), in the order of the sets, the distance of access i is the number of
first uses in between,  d = #{prev[i] < j < i : prev[j] < prev[i]} = i - 1 - prev[i] - #{j < i : prev[j] > prev[i]},
and the last count takes one stable partition by each bit of prev: n accesses, n·log2(n) steps, all in arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from picojoule.quantity import InputError

from ._field import Ints

Flags = npt.NDArray[np.bool_]
LONGEST = 1 << 23  # accesses: about half a gigabyte of arrays


@dataclass(frozen=True, slots=True)
class Cache:
    """`ways` lines a set; None is fully associative. Sizes in bytes; sets take lines in turn."""

    size_bytes: int
    line_bytes: int
    ways: int | None = None

    def __post_init__(self) -> None:
        lines = self.size_bytes // max(1, self.line_bytes)
        whole = self.line_bytes > 0 and lines > 0 and self.size_bytes % self.line_bytes == 0
        if not whole or (self.ways is not None and (self.ways < 1 or lines % self.ways)):
            ways = "all" if self.ways is None else self.ways
            raise InputError(f"a cache of {self.size_bytes} B, lines of {self.line_bytes} B, {ways} ways",
                             expected="whole lines, and ways that divide their number",
                             example="8192 B, lines of 64 B, 4 ways")  # fmt: skip

    @property
    def lines(self) -> int:
        """Lines that it holds."""
        return self.size_bytes // self.line_bytes

    @property
    def associativity(self) -> int:
        """Lines a set."""
        return self.lines if self.ways is None else self.ways

    @property
    def sets(self) -> int:
        """Sets."""
        return self.lines // self.associativity


@dataclass(frozen=True, slots=True)
class CacheTraffic:
    """What one stream did: accesses, those that missed, and bytes between the cache and the memory behind it."""

    accesses: int
    misses: int
    read_bytes: int
    write_bytes: int

    @property
    def hit_rate(self) -> float:
        """Share of accesses that found their line."""
        return 1 - self.misses / self.accesses if self.accesses else 0.0


def cache_traffic(addresses: Ints, writes: Flags, cache: Cache) -> CacheTraffic:
    """A stream through one cache. `addresses` [B] in order of time, `writes` marks those that write; one line each."""
    ways = cache.associativity
    return cache_curve(addresses, writes, cache.line_bytes, [ways], cache.sets)[0]


def cache_curve(
    addresses: Ints, writes: Flags, line_bytes: int, ways: Sequence[int], sets: int = 1
) -> list[CacheTraffic]:
    """The same stream through caches of `sets` sets and each of `ways` lines a set; the stream is walked once."""
    if len(addresses) > LONGEST:
        raise InputError(f"{len(addresses)} accesses", expected=f"at most {LONGEST}", example="a smaller problem")
    lines, written, far = _by_set(
        np.asarray(addresses, dtype=np.int64) // line_bytes, np.asarray(writes, dtype=bool), sets
    )
    # Accesses of one line stand together, in order of time: each miss begins a stay, a stay that wrote goes back once.
    grouped = np.argsort(lines, kind="stable")
    far_of_line, written_of_line = far[grouped], written[grouped]
    found = []
    for number in ways:
        missed = (far_of_line < 0) | (far_of_line >= number)
        stays = np.cumsum(missed) - 1
        misses = int(missed.sum())
        dirty = int((np.bincount(stays, weights=written_of_line, minlength=1) > 0).sum()) if misses else 0
        found.append(CacheTraffic(len(addresses), misses, misses * line_bytes, dirty * line_bytes))
    return found


def _by_set(lines: Ints, written: Flags, sets: int) -> tuple[Ints, Flags, Ints]:
    """The stream set after set, a run of one line counted once (its repeats hit in any cache), with distances."""
    order = np.argsort(lines % sets, kind="stable")
    lines, written = lines[order], written[order]
    starts = np.flatnonzero(np.diff(lines, prepend=lines[:1] - 1))
    wrote = np.logical_or.reduceat(written, starts) if len(starts) else written
    return lines[starts], wrote, _distances(lines[starts])


def _distances(lines: Ints) -> Ints:
    n = len(lines)
    grouped = np.argsort(lines, kind="stable")
    again = np.flatnonzero(lines[grouped][1:] == lines[grouped][:-1])
    previous = np.full(n, -1, dtype=np.int64)
    previous[grouped[again + 1]] = grouped[again]
    # A permutation in the order of prev: first uses in order of time, so that they are no inversions of each other.
    rank = np.empty(n, dtype=np.int64)
    rank[np.argsort(previous, kind="stable")] = np.arange(n)
    return np.where(previous < 0, -1, np.arange(n) - 1 - previous - _larger_before(rank))


def _larger_before(rank: Ints) -> Ints:
    """For each place of a permutation of 0 ... n-1: earlier places of larger value."""
    n = len(rank)
    found, values, place = np.zeros(n, dtype=np.int64), rank, np.arange(n)
    for bit in range(max(0, n - 1).bit_length() - 1, -1, -1):
        # All values that agree above `bit` stand together from the least of them on, in order of time.
        high = ((values >> bit) & 1).astype(bool)
        start = values >> (bit + 1) << (bit + 1)
        ones = np.concatenate(([0], np.cumsum(high)))
        before = ones[:-1] - ones[start]
        found[place[~high]] += before[~high]
        target = np.where(high, start + (1 << bit) + before, np.arange(n) - before)
        values, place = _moved(values, target), _moved(place, target)
    return found


def _moved(array: Ints, target: Ints) -> Ints:
    moved = np.empty_like(array)
    moved[target] = array
    return moved
