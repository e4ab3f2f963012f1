"""The arrays of the shipped machines: their rate, their stores, and that every kind of contraction maps onto them."""

from itertools import pairwise

import pytest

from picojoule.formats import list_hardware, load_hardware
from picojoule.hardware import Architecture, ProcessingArray
from picojoule.levels import OBJECTIVES, Estimate, Search, estimate
from picojoule.workload import Graph, Workload, ops

# The format whose peak is one MAC in every element and cycle; other formats change the step.
BASE = {
    "a100-pcie-80gb": "float16", "a100-sxm-40gb": "float16", "a100-sxm-80gb": "float16", "aics-cluster": "float32",
    "aics-core": "float32", "dadiannao": "int16", "diannao": "int16", "eyeriss-v1": "int16", "eyeriss-v2": "int8",
    "gemmini": "int8", "h100-pcie": "float16", "h100-sxm": "float16", "nvdla-full": "int8", "simba": "int8",
    "tpu-v1": "int8", "tpu-v4i": "bfloat16", "zcu102-dataflow": "float32",
}  # fmt: skip


def machine_of(name: str) -> tuple[Architecture, ProcessingArray]:
    """A shipped machine and its array."""
    machine, _ = load_hardware(name)
    assert machine.array is not None
    return machine, machine.array


def test_machines_with_an_array() -> None:
    """Equality: the machines named here are all those that state an array, so that none escapes these tests."""
    assert {row.name for row in list_hardware() if load_hardware(row.name)[0].array is not None} == set(BASE)


@pytest.mark.parametrize("name", BASE)
def test_elements_times_clock_is_the_peak(name: str) -> None:
    """Equality: axes · MACs of an element · 2 · clock is the printed peak, to the three digits it is printed with."""
    machine, array = machine_of(name)
    unit = next(unit for unit in machine.compute if unit.name == array.unit)
    assert unit.clock is not None
    each = machine.facts["macs_per_element"].nominal if "macs_per_element" in machine.facts else 1
    assert array.elements * each * 2 * unit.clock.nominal == pytest.approx(unit.peak[BASE[name]].nominal, rel=0.005)


@pytest.mark.parametrize("name", BASE)
def test_levels_fit_their_memories(name: str) -> None:
    """Bound: a level above the array is no larger than its memory, nor are those of all elements together below it.

    Eyeriss v1 is off by a sixth: its paper prints 181.5 KiB in all, its scratch pads alone come to 85.
    """
    machine, array = machine_of(name)
    sizes = {memory.name: memory.size for memory in machine.memories}
    names = [store.name for store in array.stores]
    for store in array.stores:
        size = sizes.get(store.memory)
        parts = [store.size] if store.size else list(store.shares.values())
        if size is None or not parts:
            continue
        copies = array.elements if names.index(store.name) > names.index(array.below) else 1
        held = copies * sum(part.nominal for part in parts if part is not None)
        assert held <= size.nominal * (1.17 if name == "eyeriss-v1" else 1), store.name


@pytest.mark.parametrize("name", BASE)
def test_sources_of_an_array(name: str) -> None:
    """Bound: every capacity has a source and a place in it, and the array says where its axes were read."""
    _, array = machine_of(name)
    assert array.where
    for store in array.stores:
        for value in (store.size, *store.shares.values()):
            if value is not None:
                assert value.source
                assert value.where or value.provenance != "derived"


def contractions() -> Workload:
    """A convolution with a window, a depthwise one, a fully connected layer, and a product of two activations."""
    g = Graph("four", dtype="float32")
    ops.conv(g, g.input("image", (1, 6, 9, 9)), g.parameter("w", (8, 6, 3, 3)), stride=(2, 2), name="conv")
    ops.conv(g, g.input("maps", (1, 6, 8, 8)), g.parameter("d", (6, 1, 3, 3)), groups=6, name="depthwise")
    ops.linear(g, g.input("x", (4, 12)), g.parameter("full", (10, 12)), name="fc")
    ops.matmul(g, g.input("q", (1, 2, 6, 8)), g.input("k", (1, 2, 8, 6)), name="scores")
    return g.workload()


def steps(found: Estimate) -> list[tuple[float, int]]:
    """Time and bytes at the outermost memory of every operator."""
    outer = found.architecture.memories[0].name
    return [
        (one.time_s, sum(n for (part, _), n in one.counts.items() if part == outer)) for one in found.cost.activities
    ]


@pytest.mark.parametrize("name", BASE)
def test_every_contraction_maps(name: str) -> None:
    """Bound: four contractions map with proof under each objective, and count <= roofline <= mapped for each of them."""
    machine, technology = load_hardware(name)
    work = contractions()
    below = [steps(estimate(work, machine, technology, level=level, draws=2)) for level in ("count", "roofline")]
    for objective in OBJECTIVES:
        found = estimate(work, machine, technology, level="mapped", draws=2, search=Search(objective))
        assert set(found.nests) == {"conv", "depthwise", "fc", "scores"}
        assert all(nest.gap == 0 for nest in found.nests.values())
        ladder = [*below, steps(found)]
        for low, high in pairwise(ladder):
            for (time_low, bytes_low), (time_high, bytes_high) in zip(low, high, strict=True):
                assert time_low <= time_high * (1 + 1e-12)
                assert bytes_low <= bytes_high


@pytest.mark.parametrize(
    ("name", "rows", "sums", "columns", "time_ns"),
    [("aics-core", 1, 256, 1, 32.0625), ("aics-core", 32, 256, 128, 4096), ("aics-core", 1024, 256, 128, 131072),
     ("aics-cluster", 32, 256, 128, 1408)],
)  # fmt: skip
def test_exercises_of_the_textbook(name: str, rows: int, sums: int, columns: int, time_ns: float) -> None:
    """By hand: exercises 7.7 to 7.9 and 7.11 overlapped, max(MACs / 256 a core, 4 bytes · (X + W + Y) / bandwidth).

    7.7 takes (1024 + 1024 + 4) B / 64; 7.8 and 7.9 are bound by 4096 and 131072 cycles of MACs; 7.11 moves
    (32768 + 131072 + 16384) B / 128. Everything crosses the bus once, so the best nest meets the bound.
    """
    machine, technology = load_hardware(name)
    g = Graph("exercise", dtype="float32")
    ops.linear(g, g.input("x", (rows, sums)), g.parameter("w", (columns, sums)), name="product")
    found = estimate(g.workload(), machine, technology, level="mapped", draws=2, search=Search("latency"))
    assert found.cost.total_time_s.nominal == pytest.approx(time_ns * 1e-9)


def test_a_budget_holds_what_is_used() -> None:
    """Bound: the design on the ZU9EG uses no more DSP slices, look-up tables and block RAMs than the part has.

    By hand: its buffers are 1632 block RAMs of 512 words of 32 bits.
    """
    machine, _ = machine_of("zcu102-dataflow")
    for part in ("dsp_slices", "look_up_tables", "block_rams_18kb"):
        assert 0 < machine.facts[f"{part}_used"].nominal < machine.facts[part].nominal
    buffers = sum(memory.size.nominal for memory in machine.memories[1:] if memory.size)
    assert buffers == machine.facts["block_rams_18kb_used"].nominal * 512 * 4
