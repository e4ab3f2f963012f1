"""Layers of real networks, what fits real boards, the search, and power."""

from dataclasses import replace

import pytest

import picojoule as pj
from picojoule.formats import load_fabric
from picojoule.fpga import (
    Board,
    Layer,
    Resources,
    Tiled,
    best_tiled,
    board_of,
    fitted,
    layers_of,
    over,
    power,
    runs,
    sides,
    tiled_resources,
    tiled_run,
    unrollings,
)  # fmt: skip
from picojoule.quantity import InputError
from picojoule.workload import Graph, ops

FABRIC = load_fabric()
# Zhang et al., FPGA 2015: outputs, inputs, side, kernel of the layers of AlexNet, one of its two towers.
TOWERS = ((48, 3, 55, 11), (128, 48, 27, 5), (192, 256, 13, 3), (192, 192, 13, 3), (128, 192, 13, 3))


def board(name: str, clock_hz: float | None = None) -> Board:
    return board_of(pj.read_hardware(name).architecture, FABRIC, clock_hz=clock_hz)


def towers() -> list[Layer]:
    return [Layer(f"conv{i}", "conv", m, n, s, s, (k, k), (1, 1), 1, 1, n * (s + k - 1) ** 2, m * n * k * k, m * s * s)
            for i, (m, n, s, k) in enumerate(TOWERS, start=1)]  # fmt: skip


@pytest.mark.parametrize("name", ["resnet50", "mobilenet-v2", "vgg16", "googlenet", "bert-base", "unet", "densenet121"])
def test_every_mac_is_in_a_layer(name: str) -> None:
    """Equality: MACs of the layers are those of the network; what does other work is a map or is named."""
    net = pj.read_model(name)
    layers, left = layers_of(net)
    contracted = sum(op.total.macs for op in net.operators if op.name not in left)
    assert sum(layer.count * layer.macs for layer in layers) == contracted
    assert net.work.macs - contracted < 0.02 * net.work.macs


def test_what_is_left_out() -> None:
    """By hand: batch norm and ReLU are folded, pool and sum are maps, softmax and sigmoid are left to a processor."""
    g = Graph("net", dtype="int8")
    x = g.input("x", (2, 8, 8, 8))
    y = ops.conv(g, x, g.parameter("w", (8, 8, 3, 3)), padding=[(1, 1), (1, 1)], name="conv")
    y = ops.unary(g, "relu", y, name="relu")
    y = ops.binary(g, "add", x, y, name="sum")
    y = ops.pool(g, y, "max", (2, 2), stride=(2, 2), name="pool")
    y = ops.unary(g, "sigmoid", y, name="gate")
    g.output(ops.softmax(g, y, 1, name="soft"))
    layers, left = layers_of(g.workload())
    assert [(layer.name, layer.kind) for layer in layers] == [("conv", "conv"), ("sum", "map"), ("pool", "map")]
    assert left == ("gate", "soft")
    assert (layers[0].count, layers[0].kernel, layers[0].rows) == (2, (3, 3), 8)
    assert (layers[0].input_elements, layers[0].weight_elements, layers[0].output_elements) == (512, 576, 512)
    assert layers[2].kernel == (4, 1)


def test_depthwise_and_stride() -> None:
    """By hand: a depthwise layer of 32 channels with stride 2 has 32 groups of one."""
    (layer,), _ = layers_of(pj.read_model("depthwise:32x112x112-3x3:stride=2:pad=1"))
    assert (layer.kind, layer.groups, layer.outputs, layer.inputs) == ("depthwise", 32, 1, 1)
    assert (layer.rows, layer.columns, layer.stride) == (56, 56, (2, 2))


def test_batch_repeats_layers() -> None:
    """Metamorphic: a batch of three is three times the MACs, and three times the time of a tiled design."""
    one, three = (layers_of(pj.read_model("resnet18", batch=n))[0] for n in (1, 3))
    design = Tiled(16, 16, 14, 14, "int16", 16)
    short, long = (tiled_run(layers, design, board("zcu102"), FABRIC) for layers in (one, three))
    assert long.macs == 3 * short.macs
    assert sum(x.time_s for x in long.layers if x.kind == "conv") == pytest.approx(
        3 * sum(x.time_s for x in short.layers if x.kind == "conv"))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "core", "most"), [("zcu102", "b4096", 3), ("zcu104", "b4096", 2), ("kv260", "b4096", 1)]
)
def test_published_configurations(name: str, core: str, most: int) -> None:
    """Published: the DPUs of the Vitis AI images, three, two and one b4096, are the most that fit."""
    assert fitted(FABRIC, core, board(name), None).cores == most
    assert fitted(FABRIC, core, board(name), 1).groups == 3  # room for more feature maps is taken where it is
    with pytest.raises(InputError) as caught:
        fitted(FABRIC, core, board(name), most + 1)
    assert f"{most} of it" in str(caught.value)


def test_published_optimum() -> None:
    """Published: 64 × 7 is the best unrolling of AlexNet on the VC707, in 2240 slices, and takes 1,008,266 cycles.

    The paper prints 1008246 (recalled): its first layer, one tile, goes without the 20 cycles of a tile.
    """
    vc707 = board("vc707", 100e6)
    found = best_tiled(towers(), vc707, FABRIC, "float32", 32)
    assert (found.outputs, found.inputs) == (64, 7)
    assert tiled_resources(towers(), found, FABRIC).dsp == 2240
    whole = tiled_run(towers(), replace(found, rows=55, columns=55), vc707, FABRIC)
    assert whole.cycles == 1_008_266


def test_search_is_exhaustive() -> None:
    """Equality: on a small network the search finds what trying every pair and every tile finds."""
    layers = [replace(layer, outputs=layer.outputs // 8, inputs=-(-layer.inputs // 8)) for layer in towers()]
    small = replace(board("zc706", 150e6), usable=Resources(30, 20, 0, 1e6))
    found = tiled_run(layers, best_tiled(layers, small, FABRIC, "int16", 16), small, FABRIC)
    least = min(
        tiled_run(layers, design, small, FABRIC).latency_s
        for side in sides(layers) for m in range(1, 31) for n in range(1, 31 // m + 1)
        if not over(tiled_resources(layers, design := Tiled(m, n, side, side, "int16", 16), FABRIC), small)
    )  # fmt: skip
    assert found.latency_s == pytest.approx(least)


@pytest.mark.parametrize("bandwidth", [1e8, 1e9, 1e10])
def test_arrays_of_the_search(bandwidth: float) -> None:
    """Equality: the time of every pair in arrays is that of the design run alone, bound by memory or not."""
    from collections import Counter

    from picojoule.fpga._search import _seconds

    layers = [
        layer for layer in layers_of(pj.read_model("resnet18"))[0] if layer.name.startswith(("conv", "layer1", "max"))
    ]
    slow = replace(board("zc706", 150e6), bandwidth=bandwidth)
    pairs = unrollings(layers, 300)[::5]
    design = Tiled(1, 1, 14, 14, "int16", 16)
    seconds = _seconds(Counter(layers), pairs, design, slow, FABRIC)
    for (m, n), found in zip(pairs, seconds, strict=True):
        run = tiled_run(layers, replace(design, outputs=int(m), inputs=int(n)), slow, FABRIC)
        assert run.latency_s == pytest.approx(found)


def test_memory_bound_by_hand() -> None:
    """By hand: 5150 words of two bytes at 0.7 of 1 MB/s take 10300 / 700000 s, however few the cycles."""
    layer = Layer("fc", "product", 100, 50, 1, 1, (1, 1), (1, 1), 1, 1, 50, 5000, 100)
    slow = replace(board("zc706"), bandwidth=1e6, memory_share=0.7)
    (one,) = tiled_run([layer], Tiled(100, 50, 1, 1, "int16", 16), slow, FABRIC).layers
    assert one.size_bytes == 2 * (5000 + 50 + 100)
    assert (one.time_s, one.bound_by) == (pytest.approx(10300 / 700000), "memory")


def test_more_slices_never_slow_down() -> None:
    """Metamorphic: the best design of a board with more slices or more block RAM is no slower."""
    layers, before = towers(), float("inf")
    for slices in (60, 200, 500, 1000, 2240, 4000):
        wide = replace(board("vc707", 100e6), usable=Resources(slices, 900, 0, 1e7))
        found = tiled_run(layers, best_tiled(layers, wide, FABRIC, "float32", 32), wide, FABRIC)
        assert found.latency_s <= before
        before = found.latency_s


def test_kept_unrollings_lose_nothing() -> None:
    """Bound: every pair within the budget is matched by a kept pair, no larger, with as many sweeps of every layer."""
    layers = towers()
    kept = unrollings(layers, 60)
    assert (kept[:, 0] * kept[:, 1] <= 60).all()
    for m in range(1, 61):
        for n in range(1, 60 // m + 1):
            assert any(a <= m and b <= n and all(-(-x.outputs // a) == -(-x.outputs // m) and
                       -(-x.inputs // b) == -(-x.inputs // n) for x in layers) for a, b in kept)  # fmt: skip


def test_best_is_the_fastest_that_fits() -> None:
    """Bound: `best` gives every size of the overlay that fits and a tiled design, none over its board, fastest first."""
    layers, left = layers_of(pj.read_model("resnet18"))
    zcu = board("zcu102")
    found = runs("best", layers, left, zcu, FABRIC, dtype="int8", bits=8)
    assert len(found) == 1 + len(FABRIC.cores)
    assert [run.rate_per_s for run in found] == sorted((run.rate_per_s for run in found), reverse=True)
    assert not any(over(run.used, zcu) for run in found)
    assert len(runs("best", layers, left, zcu, FABRIC, dtype="float32", bits=32)) == 1


def test_power_sums() -> None:
    """Equality: parts sum to the energy, energy over the time of a frame is the power; the interval holds both."""
    ((run, watts),) = pj.fpga_designs("resnet18", "zcu104", design="dpu-b4096")
    assert sum(watts.parts_j.values()) == pytest.approx(watts.energy_j)
    assert watts.power_w == pytest.approx(watts.energy_j * run.rate_per_s)
    assert watts.energy_low_j < watts.energy_j < watts.energy_high_j
    assert watts.power_low_w < watts.power_w < watts.power_high_w


def test_power_by_hand() -> None:
    """By hand: tiled, one layer of 1000 cycles, node 28 nm: slices, RAM, tables and bytes each times their price."""
    machine = pj.read_hardware("zc706")
    layer = Layer("c", "conv", 8, 8, 10, 98, (1, 1), (1, 1), 1, 1, 7840, 64, 7840)
    zc706 = replace(board("zc706", 100e6), bandwidth=1e15)
    run = tiled_run([layer], Tiled(8, 8, 10, 98, "int16", 16), zc706, FABRIC)
    assert run.cycles == 980 + 20
    watts = power(run, machine.architecture, machine.technology, FABRIC)
    seconds = 1000 / 100e6
    assert watts.parts_j["static"] == pytest.approx(4.0 * seconds)
    assert watts.parts_j["dsp"] == pytest.approx(64 * 1000 * 18e-12)
    assert watts.parts_j["block_ram"] == pytest.approx(run.used.block_ram * 1000 * 25e-12)
    assert watts.parts_j["look_up_table"] == pytest.approx(64 * 68 * 1000 * 0.1e-12)
    memory = machine.technology.price((machine.architecture.memories[0].name, "read")).nominal
    assert watts.parts_j["memory"] == pytest.approx(run.size_bytes * memory)


def test_power_of_an_overlay() -> None:
    """By hand: slices of one core work at twice the clock for the cycles of a frame, at 16 nm of 28; cores share frames."""
    found = {}
    for cores in (1, 3):
        ((run, watts),) = pj.fpga_designs("resnet18", "zcu102", design="dpu-b2304", cores=cores)
        found[cores] = watts.parts_j["dsp"]
        assert watts.parts_j["dsp"] == pytest.approx(386 * run.cycles * 2 * 18e-12 * 16 / 28)
        assert watts.parts_j["look_up_table"] == pytest.approx(
            cores * 34379 / run.rate_per_s * 300e6 * 0.1e-12 * 16 / 28)  # fmt: skip
        assert watts.parts_j["static"] == pytest.approx(watts.prices["static"].nominal / run.rate_per_s)
    assert found[1] == pytest.approx(found[3])


def test_a_seed_is_a_result() -> None:
    """Equality: the same seed gives the same interval, another seed another."""
    machine = pj.read_hardware("zcu102")
    ((run, first),) = pj.fpga_designs("resnet18", machine, design="dpu-b1024")
    again, other = (power(run, machine.architecture, machine.technology, FABRIC, seed=seed) for seed in (0, 1))
    assert again == first
    assert other.energy_high_j != first.energy_high_j
    assert other.energy_j == first.energy_j


def test_nothing_fits() -> None:
    """Message: a design that overdraws says of what and how much, and names the smallest changes."""
    with pytest.raises(InputError) as caught:
        fitted(FABRIC, "b4096", board("zcu104"), 3)
    said = str(caught.value)
    for part in ("1,926 DSP slices of 1,555 usable", "2 of it or 3 × dpu-b2304", "--design dpu-b4096 --cores 2"):
        assert part in said
    empty = replace(board("zcu104"), usable=Resources(10, 1, 0, 100))
    with pytest.raises(InputError, match="no overlay fits"):
        fitted(FABRIC, "b512", empty, None)
    with pytest.raises(InputError, match="no tiled design fits"):
        best_tiled(towers(), replace(board("zc706"), usable=Resources(10, 0, 0, 1e6)), FABRIC, "int16", 16)
