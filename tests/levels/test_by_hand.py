"""A page worked by hand for each level."""

import pytest
from tests.strategies import value

from picojoule.cost import price
from picojoule.hardware import Architecture, Attained, Compute, Memory, Technology
from picojoule.levels import Setting, demand, estimate
from picojoule.levels._count import count
from picojoule.levels._roofline import roofline
from picojoule.workload import Graph, Workload, ops

# 1 TOP/s matrix (float16), 0.1 TOP/s vector, 100 GB/s DRAM, 1 TB/s SRAM of 64 KiB, 1 us launch.
MACHINE = Architecture(
    "hand", "By hand", "npu", "nobody",
    (Memory("dram", "DDR4", value(1e9, "B"), value(100e9, "B/s"), "off-chip"),
     Memory("sram", "SRAM", value(65536, "B"), value(1e12, "B/s"))),
    (Compute("matrix", "matrix", {"float16": value(1e12, "op/s")}),
     Compute("vector", "vector", {"float16": value(1e11, "op/s")})),
    {"default": Attained(value(0.5, "1"), value(0.8, "1")), "gemm": Attained(value(0.25, "1"), value(0.5, "1"))},
    value(1e-6, "s"), "hand",
)  # fmt: skip
PRICES = Technology(
    "hand",
    {"dram.*": value(100e-12, "J", 1.5, "device"), "sram.*": value(1e-12, "J", 2.0, "device"),
     "matrix.mac_float16": value(0.5e-12, "J", 1.3, "device"), "vector.*": value(0.2e-12, "J", 1.3, "device"),
     "static.leak": value(0.1, "W", 1.4, "device")},
)  # fmt: skip
SETTING = Setting(MACHINE, PRICES)


def net(repeats: int = 1) -> Workload:
    """y = relu(x·W), x 64×256, W 128×256, all float16."""
    g = Graph("hand", dtype="float16")
    x = g.input("x", (64, 256))
    weight = g.parameter("weight", (128, 256))
    with g.repeated(repeats):
        y = ops.linear(g, x, weight, name="fc")
    ops.unary(g, "relu", y, name="relu")
    return g.workload()


def test_count() -> None:
    """By hand: 64·128·256 = 2,097,152 MACs; 32,768 B in, 65,536 B weights, 16,384 B out.

    Compute 2·2,097,152 / 1e12 = 4.194 us; memory 114,688 / 100e9 = 1.14688 us: compute bound, 4.194304 us.
    """
    workload = net()
    counts, terms, overhead, *_ = count(demand(workload, workload.operators[0]), SETTING)
    assert counts == {("matrix", "mac_float16"): 2097152, ("dram", "read"): 98304, ("dram", "write"): 16384}
    assert {t.resource: t.seconds for t in terms} == pytest.approx({"compute": 4.194304e-6, "dram": 1.14688e-6})
    assert overhead is None


def test_roofline() -> None:
    """By hand: at 25 % of peak 16.777216 us; DRAM at half rate 2.29376 us; SRAM 0.229376 us; 1 us launch before.

    relu: 8,192 compares at half of 0.1 TOP/s, 0.5 attained: 0.32768 us; 32,768 B at 80 GB/s: 0.4096 us, memory bound.
    """
    workload = net()
    counts, terms, overhead, *_ = roofline(demand(workload, workload.operators[0]), SETTING)
    assert {t.resource: t.seconds for t in terms} == pytest.approx(
        {"compute": 16.777216e-6, "dram": 2.29376e-6, "sram": 0.229376e-6}
    )
    assert counts["sram", "read"] == 98304
    assert overhead is not None
    assert overhead.seconds == 1e-6
    _, terms, *_ = roofline(demand(workload, workload.operators[1]), SETTING)
    assert {t.resource: t.seconds for t in terms} == pytest.approx(
        {"compute": 0.32768e-6, "dram": 0.4096e-6, "sram": 0.04096e-6}
    )


def test_price() -> None:
    """By hand: count level. fc: 2,097,152·0.5 pJ + 114,688·100 pJ + 0.1 W·4.194304 us = 12.93680 uJ.

    relu: 8,192·0.2 pJ + 32,768·100 pJ + 0.1 W·0.32768 us = 3.3112064 uJ.
    """
    result = estimate(net(), MACHINE, PRICES, level="count")
    fc = 2097152 * 0.5e-12 + 114688 * 100e-12 + 0.1 * 4.194304e-6
    relu = 8192 * 0.2e-12 + 32768 * 100e-12 + 0.1 * 0.32768e-6
    assert result.cost.energy_j[:, 0] == pytest.approx([fc, relu])
    assert fc == pytest.approx(12.9368064e-6)
    assert relu == pytest.approx(3.3112064e-6)
    assert result.traffic_bytes == {"dram": 114688 + 32768, "sram": 0}


def test_repeated_weights() -> None:
    """By hand: 10 steps. 65,536 B of weights fit the 64 KiB SRAM and cross DRAM once; from SRAM they are read 10 times.

    In a machine whose SRAM is one byte smaller they cross DRAM 10 times; the count level lets them cross once anyway.
    """
    workload = net(10)
    asked = demand(workload, workload.operators[0])
    small = Architecture(
        "small", "Small", "npu", "nobody",
        (MACHINE.memories[0], Memory("sram", "SRAM", value(65535, "B"), value(1e12, "B/s"))), MACHINE.compute,
        MACHINE.attained, MACHINE.launch, "hand",
    )  # fmt: skip
    assert roofline(asked, SETTING)[0]["dram", "read"] == 10 * 32768 + 65536
    assert roofline(asked, SETTING)[0]["sram", "read"] == 10 * (32768 + 65536)
    assert roofline(asked, Setting(small, PRICES))[0]["dram", "read"] == 10 * (32768 + 65536)
    assert count(asked, Setting(small, PRICES))[0]["dram", "read"] == 10 * 32768 + 65536


def test_dtype_the_machine_lacks() -> None:
    """Message: float32 on a float16 machine is computed in float16, bytes too, and a note says so."""
    g = Graph("wide")
    ops.unary(g, "relu", g.input("x", (1000,)))
    result = estimate(g.workload(), MACHINE, PRICES)
    assert result.dtype == "float16"
    assert result.notes[0] == "By hand has no float32 arithmetic on its sheet: computed in float16"
    assert result.traffic_bytes["dram"] == 4000


def test_price_of_nothing() -> None:
    """Bound: no operators cost nothing and still have an interval."""
    empty = price([], PRICES)
    assert empty.total_energy_j.nominal == 0
    assert empty.total_time_s.high == 0
