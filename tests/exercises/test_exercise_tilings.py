"""Exercises 6.11 and 6.12: the printed code is run and counts what the law says."""

from itertools import pairwise, permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.exercises import answer
from picojoule.exercises._tilings import (
    DIMS,
    Layer,
    Tiling,
    footprint,
    least_words,
    plain_code,
    read_tiling,
    tiled_code,
    tiles_held,
    words_moved,
)
from picojoule.quantity import InputError

LAYERS = st.builds(Layer, *(st.integers(1, 5),) * 4, st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))
TILES = st.fixed_dictionaries({dim: st.integers(1, 6) for dim in DIMS})
ORDERS = st.sampled_from(["".join(letters) for letters in permutations(DIMS)])


def arrays(layer: Layer) -> dict[str, Any]:
    rows, columns = (layer.stride * (a - 1) + k for a, k in ((layer.y, layer.r), (layer.x, layer.s)))
    random = np.random.default_rng(0)
    return {"X": random.integers(-9, 9, (layer.c, rows, columns)),
            "W": random.integers(-9, 9, (layer.m, layer.c, layer.r, layer.s)),
            "Y": np.zeros((layer.m, layer.y, layer.x), dtype=np.int64)}  # fmt: skip


def run(layer: Layer, code: list[str]) -> tuple[Any, dict[str, int]]:
    """The result, and words loaded from X, W and Y and stored to Y."""
    data = arrays(layer)
    moved = {"input": 0, "weight": 0, "out_read": 0, "out_write": 0}
    names = {"X": "input", "W": "weight", "Y": "out_read"}

    def load(part: Any) -> Any:
        owner = next(name for name, array in data.items() if np.shares_memory(part, array))
        moved[names[owner]] += part.size
        return part.copy()

    def store(tile: Any) -> Any:
        moved["out_write"] += tile.size
        return tile

    exec("\n".join(code), {**data, "load": load, "store": store, "clear": np.zeros_like, "ndindex": np.ndindex})
    return data["Y"], moved


@given(LAYERS, TILES, ORDERS)
def test_code_moves_what_the_law_says(layer: Layer, tile: dict[str, int], order: str) -> None:
    """Equality: printed code of any tiling, run, gives the plain loops' result and loads and stores the law's words."""
    tiling = read_tiling(layer, tile, order, "here")
    result, moved = run(layer, tiled_code(layer, tiling))
    plain, _ = run(layer, plain_code(layer))
    assert (result == plain).all()
    assert {**moved, "total": sum(moved.values())} == words_moved(layer, tiling)


@given(LAYERS, TILES, ORDERS)
def test_drawn_tiles_change_where_words_move(layer: Layer, tile: dict[str, int], order: str) -> None:
    """Equality: tiles of even size: changes of the tile drawn, times its words, are the words of the law."""
    even = {dim: max(d for d in range(1, size + 1) if getattr(layer, dim) % d == 0) for dim, size in tile.items()}
    tiling = read_tiling(layer, even, order, "here")
    steps, held = tiles_held(layer, tiling, 10_000)
    changes = {role: 1 + sum(a != b for a, b in pairwise(tiles)) for role, tiles in held.items()}
    assert all(len(tiles) == steps for tiles in held.values())
    moved = words_moved(layer, tiling)
    assert changes["weight"] * even["m"] * even["c"] * layer.r * layer.s == moved["weight"]
    assert changes["output"] * even["m"] * even["y"] * even["x"] == moved["out_write"]


@given(LAYERS, st.integers(3, 200))
def test_fewest_words(layer: Layer, words: int) -> None:
    """Bound: no tiling of whole tiles that fits the buffer moves fewer words than the optimum, which is proven."""
    best = least_words(layer, words)
    assert best.gap == 0
    sizes = [[d for d in range(1, getattr(layer, dim) + 1) if getattr(layer, dim) % d == 0] for dim in DIMS]
    for tile in product(*sizes):
        named = dict(zip(DIMS, tile, strict=True))
        if footprint(layer, named) <= words:
            for order in ("myxc", "mcyx", "cyxm", "ycmx"):
                assert words_moved(layer, Tiling(named, order))["total"] >= best.value


def test_three_tilings_and_the_best() -> None:
    """By hand: 16 of 256 channels, 64 of 384 filters, 7 of 13 rows: 17 rows of input in all."""
    found = answer("6.11")
    assert found.answers["output_stationary"].value["input"] == 6 * 256 * 17 * 15
    assert found.answers["weight_stationary"].value["weight"] == 384 * 256 * 9
    assert found.answers["input_stationary"].value["input"] == 256 * 17 * 15
    assert found.answers["buffer"].value == 16 * 9 * 15 + 64 * 16 * 9 + 64 * 7 * 13
    assert found.answers["fewest_words"].value == 6 * 57_600 + 884_736 + 64_896
    assert found.answers["proven"].value is True
    assert len(found.listings) == 5
    assert len(found.figures) == 3


def test_orders_of_the_better_form() -> None:
    """Equality: the best order of one tile is the least of all 24, and reuse is MACs over words."""
    found = answer("6.12").answers
    totals = found["words_by_order"].value
    assert len(totals) == 24
    assert totals[found["best_order"].value] == min(totals.values())
    assert found["reuse_weight"].value == 13 * 13
    assert found["reuse_output"].value == 256 * 9
    assert found["whole_layer_fits"].value is False
    assert answer("6.12", inputs={"buffer_words": 10**7}).answers["whole_layer_fits"].value is True


@pytest.mark.parametrize(
    ("id_", "inputs", "text"),
    [
        ("6.11", {"layer": "conv 3"}, "conv C->M"), ("6.11", {"layer": "conv 0->3, 1x1 out, 1x1 s1"}, "not read"),
        ("6.11", {"buffer_words": 2}, "one word of each"),
        ("6.11", {"layer": "conv 720720->720720, 720720x720720 out, 3x3 s1"}, "tile shapes"),
        ("6.11", {"tilings": [{"name": "a\x1b[31m"}]}, "a word for each"), ("6.11", {"tilings": [{}, {}]}, "none twice"),
        ("6.11-input_stationary-y7", {"order_outer_to_inner": "myx"}, "each of m, y, x, c"),
        ("6.11-row_stationary-y7", {}, "output_stationary"), ("6.11-input_stationary", {}, "rows of a tile"),
        ("6.12", {"tile": {"m": 0}}, "1 or more"),
    ],
)  # fmt: skip
def test_message(id_: str, inputs: dict[str, Any], text: str) -> None:
    """Message: what is wrong and what was expected."""
    with pytest.raises(InputError) as caught:
        answer(id_, inputs=inputs)
    assert text in str(caught.value)
