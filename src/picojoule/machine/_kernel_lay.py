"""Passes over words in Numba: of which kind each is, whether its addresses lie inside, to which stream it goes.

The compiled twins of what machine._code and machine._plan do in NumPy. Imported only when wanted.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ._jit import jit, numba

Words = NDArray[np.uint64]
Ints = NDArray[np.int64]
Ids = NDArray[np.int32]
FIELDS: Final = 3


def _hash(low: Any, high: Any) -> Any:
    mixed = low * np.uint64(0x9E3779B97F4A7C15) ^ (high * np.uint64(0xC2B2AE3D27D4EB4F) >> np.uint64(7))
    return mixed ^ (mixed >> np.uint64(32))


hashed: Final[Any] = numba.njit(inline="always")(_hash)


def _grown(kinds: Ids, keys: Words, first: Ints, spare: int) -> tuple[Ids, Words, Ints]:
    """A table four times as large; nothing if what is in it meets too often."""
    size = 4 * len(kinds)
    longer, larger, other = np.empty(size, np.int64), np.full(size, -1, np.int32), np.empty((size, 2), np.uint64)
    longer[: len(first)] = first
    for i in range(len(kinds)):
        if kinds[i] < 0:
            continue
        place = np.int64(hashed(keys[i, 0], keys[i, 1]) & np.uint64(size - 1))
        while larger[place] >= 0:
            place = (place + 1) & (size - 1)
            spare -= 1
            if spare < 0:
                return larger, other, longer[:0].copy()
        larger[place], other[place, 0], other[place, 1] = kinds[i], keys[i, 0], keys[i, 1]
    return larger, other, longer


grown: Final[Any] = jit(_grown)


def _group(words: Words, masks: Words) -> tuple[Ids, Ints]:
    """Kind of each word and first word of each kind, by a hash table that grows when a quarter of it is full.

    No kinds at all for words that were written to meet in one place of the table.
    """
    size, spare, count = 4096, 64 * len(words) + 1024, 0
    kinds, keys = np.full(size, -1, np.int32), np.empty((size, 2), np.uint64)
    first, of = np.empty(size, np.int64), np.empty(len(words), np.int32)
    for i in range(len(words)):
        opcode = words[i, 0] & np.uint64(15)
        low, high = words[i, 0] & masks[opcode, 0], words[i, 1] & masks[opcode, 1]
        place = np.int64(hashed(low, high) & np.uint64(size - 1))
        while kinds[place] >= 0 and (keys[place, 0] != low or keys[place, 1] != high):
            place = (place + 1) & (size - 1)
            spare -= 1
            if spare < 0:
                return of, first[:0].copy()
        if kinds[place] < 0:
            kinds[place], keys[place, 0], keys[place, 1] = count, low, high
            first[count] = i
            count += 1
            if 4 * count > size:
                kinds, keys, first = grown(kinds, keys, first, spare)
                of[i] = count - 1
                size *= 4
                if not len(first):
                    return of, first
                continue
        of[i] = kinds[place]
    return of, first[:count].copy()


group: Final[Any] = jit(_group)


def _cut(low: Any, high: Any, first: int, bits: int) -> int:
    """Some bits of a word."""
    if first >= 64:
        found = high >> np.uint64(first - 64)
    else:
        found = low >> np.uint64(first)
        if first + bits > 64:
            found |= high << np.uint64(64 - first)
    return np.int64(found & ((np.uint64(1) << np.uint64(bits)) - np.uint64(1)))  # type: ignore[return-value]


cut: Final[Any] = numba.njit(inline="always")(_cut)


def _addresses(words: Words, at: Ints, places: Ints, found: Ints) -> None:
    """The fields that steps move."""
    for i in range(len(at)):
        low, high = words[at[i], 0], words[at[i], 1]
        opcode = low & np.uint64(15)
        for j in range(FIELDS):
            bits = places[opcode, j, 1]
            found[i, j] = cut(low, high, places[opcode, j, 0], bits) if bits else 0


addresses: Final[Any] = jit(_addresses)


def _outside(words: Words, at: Ints, shape_of: Ids, bounds: Ints, before: int) -> int:
    """The first place in `at` whose addresses leave their memory, or −1. `bounds`: by shape and field: bit, bits, least
    and greatest value, of the shapes from number `before` on."""
    for i in range(len(at)):
        shape, low, high = shape_of[i] - before, words[at[i], 0], words[at[i], 1]
        for j in range(FIELDS):
            bits = bounds[shape, j, 1]
            if not bits:
                continue
            value = cut(low, high, bounds[shape, j, 0], bits)
            if value < bounds[shape, j, 2] or value > bounds[shape, j, 3]:
                return i
    return -1


outside: Final[Any] = jit(_outside)


def _split(order: Ids, shape_of: Ids, stream_of: Ids, streams: Ids, ends: Ints, times: Ints) -> tuple[int, int, int]:
    """Each number of the order to its stream; where each epoch ends; how often each shape is run."""
    io = move = compute = epoch = 0
    for i in range(len(order)):
        number = order[i]
        if number < 0:
            ends[epoch, 0], ends[epoch, 1], ends[epoch, 2] = io, move, compute
            epoch += 1
            continue
        shape = shape_of[number]
        times[shape] += 1
        stream = stream_of[shape]
        if stream == 0:
            streams[0, io] = number
            io += 1
        elif stream == 1:
            streams[1, move] = number
            move += 1
        else:
            streams[2, compute] = number
            compute += 1
    ends[epoch, 0], ends[epoch, 1], ends[epoch, 2] = io, move, compute
    return io, move, compute


split: Final[Any] = jit(_split)
