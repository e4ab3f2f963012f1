"""The cache: hand traces, a simulator that keeps lists, and the inclusion property on random streams."""

from collections import OrderedDict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.mapping import Cache, CacheTraffic, cache_curve, cache_traffic
from picojoule.quantity import InputError


def stepped(addresses: list[int], writes: list[bool], cache: Cache) -> CacheTraffic:
    """One access after the other, each set a list in order of use."""
    sets: list[OrderedDict[int, bool]] = [OrderedDict() for _ in range(cache.sets)]
    misses = back = 0
    for address, write in zip(addresses, writes, strict=True):
        line = address // cache.line_bytes
        held = sets[line % cache.sets]
        if line in held:
            dirty = held.pop(line)
        else:
            misses, dirty = misses + 1, False
            if len(held) == cache.associativity:
                back += held.popitem(last=False)[1]
        held[line] = dirty or write
    back += sum(sum(held.values()) for held in sets)
    return CacheTraffic(len(addresses), misses, misses * cache.line_bytes, back * cache.line_bytes)


def run(addresses: list[int], writes: list[bool], cache: Cache) -> CacheTraffic:
    return cache_traffic(np.array(addresses, dtype=np.int64), np.array(writes, dtype=bool), cache)


ACCESSES = st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=120)


@given(ACCESSES, st.sampled_from([1, 2, 3, 4, 8]), st.sampled_from([1, 2, 3, 8]), st.sampled_from([1, 4, 16]))
def test_equals_the_stepped_cache(accesses: list[tuple[int, bool]], ways: int, sets: int, line: int) -> None:
    """Equality: one pass over stack distances gives what a cache does that is stepped access by access."""
    addresses, writes = [a for a, _ in accesses], [w for _, w in accesses]
    cache = Cache(line * ways * sets, line, ways)
    assert run(addresses, writes, cache) == stepped(addresses, writes, cache)


@given(ACCESSES, st.sampled_from([1, 2, 5]))
def test_inclusion(accesses: list[tuple[int, bool]], sets: int) -> None:
    """Bound: with the sets given, more ways never miss more and never write back more; all ways miss first uses only."""
    addresses = np.array([a for a, _ in accesses], dtype=np.int64)
    writes = np.array([w for _, w in accesses], dtype=bool)
    curve = cache_curve(addresses, writes, 4, range(1, 130), sets)
    for smaller, larger in pairwise(curve):
        assert larger.misses <= smaller.misses
        assert larger.write_bytes <= smaller.write_bytes
    assert curve[-1].misses == len(set((addresses // 4).tolist()))
    assert curve[-1].write_bytes == 4 * len(set((addresses[writes] // 4).tolist()))


@given(ACCESSES)
def test_whole_runs_hit(accesses: list[tuple[int, bool]]) -> None:
    """Metamorphic: an access repeated at once always hits, so that misses and bytes stay."""
    addresses, writes = [a for a, _ in accesses], [w for _, w in accesses]
    cache = Cache(64, 4, 2)
    once = run(addresses, writes, cache)
    twice = run([a for a in addresses for _ in range(2)], [w for w in writes for _ in range(2)], cache)
    assert (twice.misses, twice.read_bytes, twice.write_bytes) == (once.misses, once.read_bytes, once.write_bytes)


def test_least_recent_goes() -> None:
    """By hand: two lines held; A B A C B: B went when C came, since A was used later; then C stays and A goes."""
    found = run([0, 1, 0, 2, 1], [False] * 5, Cache(2, 1))
    assert found == CacheTraffic(5, 4, 4, 0)
    assert found.hit_rate == pytest.approx(0.2)
    assert run([0, 1, 0, 2, 0], [False] * 5, Cache(2, 1)).misses == 3


def test_cyclic_sweep() -> None:
    """By hand: five lines in turn through four never hit, through five only first uses miss."""
    sweep = list(range(5)) * 3
    assert run(sweep, [False] * 15, Cache(4, 1)).misses == 15
    assert run(sweep, [False] * 15, Cache(5, 1)).misses == 5


def test_conflicts() -> None:
    """By hand: lines 0 and 4 share a set of four direct-mapped lines and throw each other out; two ways hold both."""
    assert run([0, 4] * 5, [False] * 10, Cache(4, 1, 1)).misses == 10
    assert run([0, 4] * 5, [False] * 10, Cache(4, 1, 2)).misses == 2
    assert run([0, 1] * 5, [False] * 10, Cache(4, 1, 1)).misses == 2


def test_write_back() -> None:
    """By hand: a line written twice in one stay goes back once, in two stays twice; a write that misses is fetched."""
    assert run([0, 0], [True, True], Cache(64, 64)) == CacheTraffic(2, 1, 64, 64)
    assert run([0, 64, 0], [True, False, True], Cache(64, 64)) == CacheTraffic(3, 3, 192, 128)
    assert run([0, 64, 0], [False, False, True], Cache(64, 64)).write_bytes == 64


def test_nothing() -> None:
    """By hand: no access moves nothing."""
    assert run([], [], Cache(64, 64)) == CacheTraffic(0, 0, 0, 0)
    assert run([], [], Cache(64, 64)).hit_rate == 0


@pytest.mark.parametrize("sizes", [(0, 64), (64, 0), (100, 64), (32, 64), (256, 64, 3), (256, 64, 0), (256, 64, 8)])
def test_message(sizes: tuple[Any, ...]) -> None:
    """Message: a cache that cannot be built."""
    with pytest.raises(InputError, match="ways that divide"):
        Cache(*sizes)


def test_bounded() -> None:
    """Message: a stream that would not fit memory is refused before it is worked on."""
    with pytest.raises(InputError, match="at most 8388608"):
        cache_curve(np.zeros((1 << 23) + 1, dtype=np.int64), np.zeros(1, dtype=bool), 64, [1])
