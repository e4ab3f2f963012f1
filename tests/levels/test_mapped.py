"""Level `mapped`: a page by hand, dataflows, machines without an array, and what cannot be mapped."""

from dataclasses import replace

import pytest
from tests.strategies import value

from picojoule.formats import list_dataflows, load_dataflow, load_hardware
from picojoule.hardware import Architecture, Attained, Axis, Compute, Memory, ProcessingArray, Store, Technology
from picojoule.levels import Search, Setting, estimate, map_network
from picojoule.quantity import InputError
from picojoule.workload import Graph, Workload, ops

# Two elements that keep two weights each (int8), one 40-byte buffer for inputs and sums, 1 GMAC/s each.
MACHINE = Architecture(
    "hand", "By hand", "npu", "nobody",
    (Memory("dram", "DDR4", value(1e9, "B"), value(1e9, "B/s"), "off-chip"),
     Memory("buffer", "SRAM", value(40, "B"), None)),
    (Compute("mac", "matrix", {"int8": value(4e9, "op/s")}),),
    {"default": Attained(value(1.0, "1"), value(1.0, "1"))}, None, "hand",
    array=ProcessingArray("mac", "buffer", (Axis("x", 2, ("m",)),), (
        Store("dram", "dram"), Store("buffer", "buffer", ("input", "output")),
        Store("register", "", ("weight",), value(4, "B")),
    ), source="hand"),
)  # fmt: skip
PRICES = Technology("hand", {"dram.*": value(100e-12, "J", 1.5, "device"), "buffer.*": value(1e-12, "J", 2.0, "device"),
                             "mac.*": value(0.5e-12, "J", 1.3, "device")})  # fmt: skip


def product() -> Workload:
    """y[4, 6] = x[4, 4] · W[6, 4], all int8: 16 + 24 + 24 words, 96 MACs."""
    g = Graph("hand", dtype="int8")
    ops.linear(g, g.input("x", (4, 4)), g.parameter("weight", (6, 4)), name="fc")
    return g.workload()


def test_mapped_by_hand() -> None:
    """By hand: inputs (16 B) and sums (24 B) fill the 40-byte buffer, so each tensor crosses DRAM once, 64 B.

    n over both elements: 48 steps at 2e9 steps·elements/s = 48 ns; DRAM 64 B at 1 GB/s = 64 ns, so 64 ns.
    An element holds all 4 weights of one n (k in the element, n outside, m between): weights arrive once.
    Buffer: 16 written and 24 drained; inputs 4·4·3 passes of n = 48 reads; sums 24·4 = 96 updates, 72 read back,
    and 24 read to leave. Every run of the search agrees with 16 + 24 = 40 B from DRAM and 24 B to it.
    """
    found = estimate(product(), MACHINE, PRICES, level="mapped", search=Search("edp"))
    counts = found.cost.counts
    assert (counts["dram", "read"], counts["dram", "write"]) == (40, 24)
    assert counts["mac", "mac_int8"] == 96
    assert found.cost.total_time_s.nominal == pytest.approx(64e-9)
    nest = found.nests["fc"]
    assert nest.gap == 0
    assert nest.traffic.steps == 48
    assert counts["buffer", "write"] == nest.traffic.of("buffer", "input", "write") + nest.traffic.of(
        "buffer", "output", "update"
    )
    assert nest.traffic.of("buffer", "input", "read") == 48
    assert found.cost.total_energy_j.nominal == pytest.approx(nest.energy)


def test_energy_of_the_nest_is_the_energy_priced() -> None:
    """Equality: on Eyeriss, counts priced are the search's own joules plus static power and what the nest left out."""
    machine, technology = load_hardware("eyeriss")
    g = Graph("one", dtype="int16")
    ops.conv(g, g.input("x", (1, 8, 14, 14)), g.parameter("w", (16, 8, 3, 3)), padding=((1, 1), (1, 1)), name="conv")
    found = estimate(g.workload(), machine, technology, level="mapped", search=Search("energy"))
    static = technology.price(("static", "leak")).nominal * found.cost.total_time_s.nominal
    assert found.cost.total_energy_j.nominal == pytest.approx(found.nests["conv"].energy + static)


@pytest.mark.parametrize("dataflow", [d.name for d in list_dataflows()])
def test_a_dataflow_only_takes_away(dataflow: str) -> None:
    """Metamorphic: a fixed dataflow may spread and keep less, so it never beats the same elements left free."""
    machine, technology = load_hardware("eyeriss")
    assert machine.array is not None
    everything = tuple(replace(axis, spread=tuple("bgmcpr")) for axis in machine.array.axes)
    machine = replace(machine, array=replace(machine.array, axes=everything))
    g = Graph("one", dtype="int16")
    ops.conv(g, g.input("x", (1, 4, 9, 9)), g.parameter("w", (6, 4, 3, 3)), name="conv")
    free = estimate(g.workload(), machine, technology, level="mapped", search=Search("energy"))
    fixed = estimate(g.workload(), machine, technology, level="mapped",
                     search=Search("energy", load_dataflow(dataflow)))  # fmt: skip
    kept = set(load_dataflow(dataflow).keeps)
    if kept == {"input", "weight", "output"}:
        assert fixed.nests["conv"].energy >= free.nests["conv"].energy * (1 - 1e-12)
    assert all(role in kept for level, role, _ in fixed.nests["conv"].traffic.counts if level == "rf")


def test_no_array_is_said() -> None:
    """Message: a machine whose file states no array names itself and shows the lines to add."""
    machine = replace(MACHINE, array=None)
    with pytest.raises(InputError, match="By hand states no array") as caught:
        estimate(product(), machine, PRICES, level="mapped")
    assert "array: {unit:" in caught.value.example


def test_what_cannot_be_mapped_is_named() -> None:
    """Message: a transposed convolution overlaps itself in its output; it is taken at the roofline and named."""
    g = Graph("up", dtype="int8")
    ops.conv_transpose(g, g.input("x", (1, 2, 4, 4)), g.parameter("w", (2, 3, 2, 2)), stride=(1, 1), name="up")
    found = estimate(g.workload(), MACHINE, PRICES, level="mapped")
    assert found.nests == {}
    assert any("not mapped but taken at the level below: up (" in note for note in found.notes)


def test_a_bias_crosses_every_memory_once() -> None:
    """By hand: 6 words of bias beside the product of `product`: 6 B more from DRAM and from the buffer."""
    g = Graph("biased", dtype="int8")
    ops.linear(g, g.input("x", (4, 4)), g.parameter("w", (6, 4)), g.parameter("b", (6,), "bias"), name="fc")
    plain = estimate(product(), MACHINE, PRICES, level="mapped").cost.counts
    biased = estimate(g.workload(), MACHINE, PRICES, level="mapped").cost.counts
    assert biased["dram", "read"] == plain["dram", "read"] + 6
    assert biased["buffer", "read"] == plain["buffer", "read"] + 6


@pytest.mark.parametrize(("hardware", "per_step"), [("aics-core", 1 / 256), ("eyeriss-v1", 1.0), ("simba", 1 / 64)])
def test_cycles_are_those_of_the_clock(hardware: str, per_step: float) -> None:
    """By hand: an element that stands for 256 multipliers takes 256 steps a cycle; 64 in a PE of Simba, one in Eyeriss."""
    dtype = {"eyeriss-v1": "int16", "simba": "int8"}.get(hardware, "float32")
    g = Graph("net", dtype=dtype)
    ops.linear(g, g.input("x", (64, 512)), g.parameter("w", (512, 512)), name="fc")
    architecture, technology = load_hardware(hardware)
    ((found, _),) = map_network(g.workload(), Setting(architecture, technology, Search("edp"))).layers
    assert found.clock_cycles == pytest.approx(found.cycles * per_step, rel=1e-3)
    clock = architecture.compute[0].clock
    assert clock is not None
    time = estimate(
        g.workload(), architecture, technology, level="mapped", search=Search("edp")
    ).cost.total_time_s.nominal
    assert found.clock_cycles / clock.nominal <= time * (1 + 1e-3)
