"""Cycles, bytes and resources of single layers against pages worked by hand, loops that enumerate, and bounds."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.formats import load_fabric
from picojoule.fpga import (
    Board,
    Layer,
    Overlay,
    Resources,
    Tiled,
    halves,
    image_bytes,
    over,
    overlay_bytes,
    overlay_cycles,
    overlay_resources,
    overlay_run,
    tiled_bytes,
    tiled_cycles,
    tiled_ratio,
    tiled_resources,
    tiled_run,
)  # fmt: skip

FABRIC = load_fabric()
ROOM = Resources(10_000, 10_000, 10_000, 10_000_000)
BOARD = Board("test", ROOM, ROOM, 10e9, 0.7, 100e6, 16e-9)


def conv(outputs: int, inputs: int, rows: int, columns: int, kernel: tuple[int, int] = (1, 1),
         stride: tuple[int, int] = (1, 1), groups: int = 1) -> Layer:  # fmt: skip
    read = groups * inputs * (stride[0] * (rows - 1) + kernel[0]) * (stride[1] * (columns - 1) + kernel[1])
    return Layer("conv", "conv", outputs, inputs, rows, columns, kernel, stride, groups, 1, read,
                 groups * outputs * inputs * math.prod(kernel), groups * outputs * rows * columns)  # fmt: skip


PAGE = conv(20, 10, 5, 9, (3, 3))

layers = st.builds(
    conv, st.integers(1, 70), st.integers(1, 70), st.integers(1, 30), st.integers(1, 30),
    st.tuples(st.integers(1, 5), st.integers(1, 5)), st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(1, 4),
)  # fmt: skip
tiles = st.builds(Tiled, st.integers(1, 80), st.integers(1, 80), st.integers(1, 20), st.integers(1, 20),
                  st.just("int16"), st.just(16))  # fmt: skip
cores = st.sampled_from(list(FABRIC.cores.values()))


def test_page_overlay() -> None:
    """By hand: 20 × 10 channels, map 5 × 9, kernel 3 × 3 on 4 × 8 × 8.

    Rows of 9 columns take ⌈9/4⌉ = 3 strips, 5 rows 15; pairs of channels ⌈20/8⌉ · ⌈10/8⌉ = 6; 9 taps: 15 · 6 · 9 = 810.
    """
    assert overlay_cycles(PAGE, FABRIC.cores["b512"], FABRIC) == 810


def test_page_tiled() -> None:
    """By hand: the same layer on 8 × 4 with tiles of 3 × 5, words of two bytes.

    Sweeps ⌈20/8⌉ · ⌈10/4⌉ = 9, tiles 2 · 2 = 4: 9 · (5·9·9 + 4·20) = 4365 cycles. Tiles of 3 and 2 rows read 5 and 4
    input rows, of 5 and 4 columns 7 and 6: 3 · 10 · 9 · 13 = 3510; weights 4 · 1800 = 7200; outputs 900;
    2 B · 11610 = 23220 B; 2 · 81000 / 23220 operations a byte.
    """
    design = Tiled(8, 4, 3, 5, "int16", 16)
    assert tiled_cycles(PAGE, design, FABRIC) == 4365
    assert tiled_bytes(PAGE, design) == 23220
    assert tiled_ratio(PAGE, design) == pytest.approx(162000 / 23220)


def test_page_block_ram() -> None:
    """By hand: halves of 18 Kb, and the buffers of 2 × 2 MACs with tiles of 32 × 32.

    3481 words of 32 bits: 7 of 512 × 36; 1024 of 16: one of 1 K × 18; 8192 of 2: one of 8 K × 2. Outputs: 1024 words of
    16 bits, one half for each of 2 banks; inputs 34 × 34 = 1156 words: 2 K × 9 twice, or 1 K × 18 twice: 2 halves, 2
    banks; weights 9 words are tables. Two sets: 2 · (2 + 4) = 12 halves = 6.
    """
    assert [halves(3481, 32), halves(1024, 16), halves(8192, 2), halves(1, 1), halves(513, 36)] == [7, 1, 1, 1, 2]
    used = tiled_resources([conv(64, 64, 64, 64, (3, 3))], Tiled(2, 2, 32, 32, "int16", 16), FABRIC)
    assert used.block_ram == 6
    assert used.dsp == 4


def _tiles(side: int, tile: int) -> list[int]:
    return [min(tile, side - start) for start in range(0, side, tile)]


@given(layers, tiles)
@settings(max_examples=200, deadline=None)
def test_tiled_against_its_loops(layer: Layer, design: Tiled) -> None:
    """Equality: closed cycles and bytes are those of loops over every tile, with the rows that each one touches."""
    words, cycles, taps = 0, 0.0, math.prod(layer.kernel)
    for m in _tiles(layer.outputs, design.outputs):
        for r in _tiles(layer.rows, design.rows):
            for c in _tiles(layer.columns, design.columns):
                for n in _tiles(layer.inputs, design.inputs):
                    high = layer.stride[0] * (r - 1) + layer.kernel[0]
                    wide = layer.stride[1] * (c - 1) + layer.kernel[1]
                    words += n * high * wide + m * n * taps
                    cycles += r * c * taps + FABRIC.rates["pipeline"].nominal
                words += m * r * c
    assert tiled_bytes(layer, design) == 2 * layer.groups * words
    assert tiled_cycles(layer, design, FABRIC) == pytest.approx(layer.groups * cycles)


@given(layers, cores)
@settings(max_examples=200, deadline=None)
def test_overlay_against_its_loops(layer: Layer, core: object) -> None:
    """Equality: closed cycles are steps of loops over strips of pixels and blocks of channels."""
    assert isinstance(core, type(FABRIC.cores["b512"]))
    steps = 0
    for _ in range(0, layer.columns, core.pixels):
        for _ in range(0, layer.outputs, core.outputs):
            steps += len(range(0, layer.inputs, core.inputs))
    assert overlay_cycles(layer, core, FABRIC) == steps * layer.rows * layer.groups * math.prod(layer.kernel)


@given(layers, tiles, cores)
@settings(max_examples=200, deadline=None)
def test_no_faster_than_the_units(layer: Layer, design: Tiled, core: object) -> None:
    """Bound: cycles are at least MACs over MACs a cycle; bytes at least weights and outputs once."""
    assert isinstance(core, type(FABRIC.cores["b512"]))
    assert tiled_cycles(layer, design, FABRIC) >= layer.macs / (design.outputs * design.inputs)
    assert overlay_cycles(layer, core, FABRIC) >= layer.macs / core.macs
    assert tiled_bytes(layer, design) >= 2 * (layer.weight_elements + layer.output_elements)


@given(layers, cores, st.integers(1, 6))
@settings(max_examples=100, deadline=None)
def test_faster_parts_never_slow_down(layer: Layer, core: object, n: int) -> None:
    """Metamorphic: more cores never lower the rate; more clock or bandwidth never lengthen a frame."""
    from dataclasses import replace

    assert isinstance(core, type(FABRIC.cores["b512"]))
    one, more = Overlay(core, n, 2), Overlay(core, n + 1, 2)
    run = overlay_run([layer], one, BOARD, FABRIC)
    assert overlay_run([layer], more, BOARD, FABRIC).rate_per_s >= run.rate_per_s * (1 - 1e-12)
    for better in (replace(BOARD, clock_hz=2 * BOARD.clock_hz), replace(BOARD, bandwidth=2 * BOARD.bandwidth)):
        assert overlay_run([layer], one, better, FABRIC).latency_s <= run.latency_s
        tiled = Tiled(16, 8, 8, 8, "int16", 16)
        assert tiled_run([layer], tiled, better, FABRIC).latency_s <= tiled_run([layer], tiled, BOARD, FABRIC).latency_s


def test_maps_stay_where_they_fit() -> None:
    """By hand: B512 with two units a pixel keeps 2 · 4 · 8 · 2048 = 131072 bytes of maps.

    256 channels on 16 × 16 in and out are 131072: they stay, all but the input of the network; one more row does not.
    """
    overlay = Overlay(FABRIC.cores["b512"], 1, 2)
    assert image_bytes(overlay, FABRIC) == 131072
    fits, large = conv(256, 256, 16, 16), conv(256, 256, 17, 16)
    first, second, last = overlay_bytes([fits, fits, fits], overlay, FABRIC)
    assert (first, second, last) == (65536 + 65536, 65536, 65536 + 65536)
    assert overlay_bytes([fits, large, fits], overlay, FABRIC)[1] == 65536 + 2 * 256 * 17 * 16


# PG338 v1.2 table 9: slices with and without accumulation in them; v4.1 RAM usage: block RAM, low and high.
GUIDE = {"b512": (98, 72, 88), "b800": (142, 90, 108), "b1024": (194, 104, 136), "b1152": (194, 121, 143),
         "b1600": (282, 126, 162), "b2304": (386, 165, 209), "b3136": (506, 208, 260), "b4096": (642, 255, 315)}  # fmt: skip


@pytest.mark.parametrize("name", GUIDE)
def test_resources_of_the_guide(name: str) -> None:
    """Published: slices and block RAM of every size of the DPU, in both uses of RAM, to the unit."""
    from dataclasses import replace

    dry = replace(BOARD, usable=replace(ROOM, ultra_ram=0))
    core = FABRIC.cores[name]
    assert int(name[1:]) == 2 * core.macs
    low, high = (overlay_resources(Overlay(core, 1, groups), dry, FABRIC) for groups in (2, 3))
    assert (low.dsp, low.block_ram, high.block_ram) == GUIDE[name]


def test_units_in_ultra_ram() -> None:
    """Published: the b3136 of the KV260 demonstration has 67 block RAMs beside 44 UltraRAMs.

    With 44 to use, 22 units of two UltraRAMs go there and ten remain: 10 · 6.5 = 65, of the 67 two are not units.
    """
    from dataclasses import replace

    board = replace(BOARD, usable=replace(ROOM, ultra_ram=44))
    used = overlay_resources(Overlay(FABRIC.cores["b3136"], 1, 2), board, FABRIC)
    assert (used.ultra_ram, used.block_ram) == (44, 65)


def test_over_names_what_lacks() -> None:
    """By hand: only resources above what is usable are named, with both numbers."""
    from dataclasses import replace

    board = replace(BOARD, usable=Resources(100, 10, 0, 1000))
    assert over(Resources(100, 11, 0, 1000), board) == {"block_ram": (11, 10)}
    assert over(Resources(99, 10, 0, 1), board) == {}
