"""Exercises 7.2 and 7.3: the stream that is simulated is that of the printed loops."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.exercises import answer
from picojoule.exercises._streams import Sizes, best_scratchpad, cached, footprint, loop_code, scratchpad, stream
from picojoule.mapping import Cache
from picojoule.quantity import InputError

SIDES = st.integers(1, 7)
SIZES = st.tuples(SIDES, SIDES, SIDES)


class Recorded:
    """A matrix that notes each word read or written: (address in words, is it a write)."""

    def __init__(self, values: Any, base: int, notes: list[tuple[int, bool]]) -> None:
        self.values, self.base, self.notes = values, base, notes

    def _note(self, place: tuple[int, int], write: bool) -> None:
        self.notes.append((self.base + place[0] * self.values.shape[1] + place[1], write))

    def __getitem__(self, place: tuple[int, int]) -> Any:
        self._note(place, False)
        return self.values[place]

    def __setitem__(self, place: tuple[int, int], value: Any) -> None:
        self._note(place, True)
        self.values[place] = value


def run(sizes: Sizes, tile: Sizes | None) -> tuple[list[tuple[int, bool]], bool]:
    """Accesses of the printed loops in their order, and whether the product is right."""
    m, k, n = sizes
    random, notes = np.random.default_rng(0), []
    x, w, y = random.integers(-9, 9, (m, k)), random.integers(-9, 9, (k, n)), np.full((m, n), 99)
    arrays = {"X": Recorded(x, 0, notes), "W": Recorded(w, m * k, notes), "Y": Recorded(y, m * k + k * n, notes)}
    exec("\n".join(loop_code(sizes, tile)), arrays)
    return notes, bool((y == x @ w).all())


@given(SIZES, SIZES)
def test_stream_is_that_of_the_code(sizes: Sizes, tile: Sizes) -> None:
    """Equality: the printed loops, run on recording matrices, make the product and the very stream that is simulated."""
    notes, right = run(sizes, tile)
    addresses, writes = stream(sizes, tile, 4)
    assert right
    assert notes == list(zip((addresses // 4).tolist(), writes.tolist(), strict=True))


@given(SIZES)
def test_plain_loops_are_one_tile(sizes: Sizes) -> None:
    """Equality: the plain loops make the stream of one tile as large as the matrices."""
    notes, right = run(sizes, None)
    addresses, writes = stream(sizes, sizes, 1)
    assert right
    assert notes == list(zip(addresses.tolist(), writes.tolist(), strict=True))


@given(SIZES, SIZES)
def test_scratchpad_by_enumeration(sizes: Sizes, tile: Sizes) -> None:
    """Equality: the law gives the words of a scratchpad that loads a tile whenever another one is needed."""
    held: dict[str, Any] = {}
    read = 0
    for m0 in range(0, sizes[0], tile[0]):
        for n0 in range(0, sizes[2], tile[2]):
            for k0 in range(0, sizes[1], tile[1]):
                for name, place, cut in (("X", (m0, k0), (0, 1)), ("W", (k0, n0), (1, 2))):
                    if held.get(name) != place:
                        held[name] = place
                        read += int(np.prod([min(tile[d], sizes[d] - p) for d, p in zip(cut, place, strict=True)]))
    assert scratchpad(sizes, tile, 1) == (read, sizes[0] * sizes[2])


@given(SIZES, st.integers(3, 150))
def test_best_tiles(sizes: Sizes, words: int) -> None:
    """Bound: the best found beats every square tile that fits, and moves each word at least once."""
    found = best_scratchpad(sizes, 1, words)
    assert found is not None
    m, k, n = sizes
    assert sum(found) >= m * k + k * n + m * n
    sides = [t for t in range(1, 8) if footprint((t, t, t), 1) <= words]
    squares = [tuple(min(t, size) for size in sizes) for t in sides]
    assert sum(found) <= min(sum(scratchpad(sizes, square, 1)) for square in squares)  # type: ignore[arg-type]
    assert best_scratchpad(sizes, 4, 11) is None


@given(SIZES, SIZES, st.integers(1, 40))
def test_words_first_used_must_be_read(sizes: Sizes, tile: Sizes, lines: int) -> None:
    """Bound: with lines of one word a cache reads each word at least once, and exactly once if all fit."""
    once = sizes[0] * sizes[1] + sizes[1] * sizes[2] + sizes[0] * sizes[2]
    found = cached(sizes, tile, 4, Cache(4 * lines, 4))
    assert found.read_bytes >= 4 * once
    assert found.write_bytes >= 4 * sizes[0] * sizes[2]
    assert cached(sizes, tile, 4, Cache(4 * once, 4)).read_bytes == 4 * once


def test_storage_compared() -> None:
    """Bound: more ways never read more by the tiled loops here; tags by hand: 128 lines, 40 - 6 - 4 bits and two marks."""
    found = answer("7.2").answers
    assert found["tag_bits"].value["ways8"] == 128 * (40 - 6 - 4 + 2)
    assert found["tag_comparisons"].value["ways2"] == 2 * found["tag_comparisons"].value["ways1"]
    assert found["read_naive"].value == sorted(found["read_naive"].value, reverse=True)
    assert all(a <= b for a, b in zip(found["read_scratchpad"].value, found["read_tiled"].value, strict=True))
    # rows of 256 B are whole multiples of 4 lines: a column lands in a fourth of the sets, and few ways cannot hold it
    assert found["read_set_associative"].value["ways8"]["naive"] > 10 * found["naive_ijk"].value["read"]


def test_access_compared() -> None:
    """By hand: 64³ products read two words each, 64² sums are written; X, four blocks of W and of Y are nine moves."""
    found = answer("7.3").answers
    assert found["cpu"].value["accesses"] == 2 * 64**3 + 64**2
    assert found["cpu"].value["misses"] * 64 == 1_081_344
    assert found["processor"].value == {"moves": 9, "bytes_a_move": 3 * 16_384 / 9, "bytes_of_memory": 3 * 16_384}


@pytest.mark.parametrize(
    ("id_", "inputs", "text"),
    [
        ("7.2", {"line": 48}, "whole lines"), ("7.2", {"ways": [3]}, "ways that divide"),
        ("7.2", {"matmul": 1000}, "each access is followed"), ("7.2", {"tile": 1}, "65536 tiles"),
        ("7.2", {"dtype": "int4"}, "whole bytes"), ("7.2", {"capacities": [100]}, "whole lines"),
        ("7.2-lru", {"tile": 64}, "a smaller tile"), ("7.3", {"matmul": 10**6}, "each access is followed"),
        ("7.2", {"policy": "random"}, "one of"),
    ],
)  # fmt: skip
def test_message(id_: str, inputs: dict[str, Any], text: str) -> None:
    """Message: what is wrong and what was expected."""
    with pytest.raises(InputError) as caught:
        answer(id_, inputs=inputs)
    assert text in str(caught.value)
