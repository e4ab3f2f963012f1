"""Every bypass and every unrolling of a claim, listed by the checker itself, and how many mappings they stand for."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from ._check_world import Bypass, Rows, World
from ._search import Optimum


def every(claim: Optimum) -> Iterator[tuple[Bypass, World, Rows]]:
    """Per set of bypassed roles the conditions under it and the spatial factors, one row per unrolling."""
    able = [
        (level.name, role) for level in claim.accelerator.levels[1:] for role in level.keeps if role in level.optional
    ]
    spread = None
    for choice in itertools.product((False, True), repeat=len(able)):
        bypass = tuple(pair for pair, out in zip(able, choice, strict=True) if out)
        world = World(claim, bypass)
        if spread is None:
            spread = _spreads(world, claim.factors == "ragged")
        yield bypass, world, spread[~_torn(world, spread)]


def _spreads(world: World, ragged: bool) -> Rows:
    """Axis after axis, dimension after dimension in all ways; a state is (passes that remain, room used on the axis)."""
    extents = np.array(world.extents, dtype=np.int64)
    passes = extents[None]
    for axis in world.array.axes:
        used = np.ones(len(passes), dtype=np.int64)
        for d in [world.dims.index(dim) for dim in axis.dims if dim in world.dims]:
            factor = np.arange(1, min(axis.size, int(passes[:, d].max())) + 1)
            left = -(-passes[:, d, None] // factor[None])
            least = -(-passes[:, d, None] // left) == factor[None]  # more would idle throughout
            state, which = np.nonzero(least & (used[:, None] * factor[None] <= axis.size))
            grown, used = passes[state], used[state] * factor[which]
            grown[:, d] = left[state, which]
            passes, used = _once(grown, used)
        passes, _ = _once(passes, np.zeros(len(passes), dtype=np.int64))
    found = -(-extents[None] // passes)
    keep = np.ones(len(found), dtype=bool) if ragged else (extents[None] % found == 0).all(axis=1)
    for d, dim in enumerate(world.dims):
        if not world.array.reduction and d not in world.relevant[world.output]:
            keep &= found[:, d] == 1
        if dim in world.array.whole:
            keep &= found[:, d] == extents[d]
    return np.asarray(found[keep])


def _once(rows: Rows, used: Rows) -> tuple[Rows, Rows]:
    """Every row once, with the least room that it needs."""
    key, size = np.zeros(len(rows), dtype=np.int64), 1
    for column in rows.T:
        values, rank = np.unique(column, return_inverse=True)
        if size * len(values) >= 2**62:
            ranks, key = np.unique(key, return_inverse=True)
            size = len(ranks)
        key, size = key * len(values) + rank, size * len(values)
    order = np.lexsort((used, key))
    first = order[np.append(True, np.diff(key[order]) != 0)]
    return rows[first], used[first]


def _torn(world: World, spatial: Rows) -> np.ndarray:
    """Does the unrolling share a window among PEs in a way that the law does not count?"""
    torn = np.zeros(len(spatial), dtype=bool)
    if world.rule.multicast != "union" or not world.array.multicast:
        return torn
    for operand, kept in zip(world.operands, world.kept, strict=True):
        if world.fan + 1 in kept:
            continue
        reach = np.array(world.extents)[None] if kept[-1] > world.fan else spatial
        for axis in operand.axes:
            if len(axis) == 2:
                (a, _), (b, _) = axis
                torn |= ((spatial[:, a] > 1) & (reach[:, b] > 1)) | ((spatial[:, b] > 1) & (reach[:, a] > 1))
    return torn


def chains(world: World, spatial: Rows) -> int:
    """Ways to hand the prime factors of the passes to the levels that may hold their loops, over all unrollings."""
    passes = world.passes(spatial)
    ways = np.ones(len(spatial), dtype=object)
    for d in range(len(world.dims)):
        homes = sum(world.may(level, d) for level in range(len(world.levels)))
        values, which = np.unique(passes[:, d], return_inverse=True)
        if values.tolist() != [1]:
            ways = ways * np.array([_ways(y, homes) for y in values.tolist()], dtype=object)[which]
    return int(ways.sum())


def _ways(number: int, homes: int) -> int:
    if number > 1 and not homes:
        return 0
    return math.prod(math.comb(power + homes - 1, power) for _, power in primes(number))


def primes(number: int) -> list[tuple[int, int]]:
    """[(prime, exponent)] by trial."""
    found, prime = [], 2
    while number > 1:
        power = 0
        while number % prime == 0:
            number, power = number // prime, power + 1
        if power:
            found.append((prime, power))
        prime = prime + 1 if prime * prime <= number else max(number, prime + 1)
    return found
