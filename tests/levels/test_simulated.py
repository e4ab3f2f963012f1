"""Level `simulated`: programs of operators, their time beside the bound of level `mapped`, their bytes, what has none."""

import pytest

from picojoule.formats import load_hardware, load_machine
from picojoule.levels import Estimate, Search, estimate
from picojoule.machine.compiler import Lone, lone, time_alone
from picojoule.quantity import InputError
from picojoule.workload import Graph, Workload, ops


def one_conv() -> Workload:
    g = Graph("one", dtype="float32")
    ops.conv(g, g.input("x", (1, 16, 14, 14)), g.parameter("w", (32, 16, 3, 3)), padding=((1, 1), (1, 1)), name="conv")
    return g.workload()


def simulate(net: Workload, level: str = "simulated") -> Estimate:
    architecture, technology = load_hardware("aics-core")
    machine = load_machine(architecture.machine) if level == "simulated" else None
    return estimate(net, architecture, technology, level=level, search=Search("latency"), machine=machine)


def test_a_product_by_hand() -> None:
    """By hand: 64 x 64 by 64 x 64 in float32 does 262,144 MACs in 1,024 cycles; 49,152 B cross a bus of 64 B a cycle in 768.

    Inputs must arrive before the arithmetic and results leave after it: more than 1,024 cycles, fewer than both in a row.
    """
    g = Graph("hand", dtype="float32")
    ops.linear(g, g.input("x", (64, 64)), g.parameter("w", (64, 64)), name="fc")
    found = simulate(g.workload())
    assert found.cost.counts["matrix", "mac_float32"] == 64**3
    assert (found.cost.counts["dram", "read"], found.cost.counts["dram", "write"]) == (2 * 4 * 64**2, 4 * 64**2)
    assert 1024e-9 < found.cost.total_time_s.nominal < 1792e-9


def test_a_convolution_is_near_its_bound() -> None:
    """Bound: the program is no faster than the best nest, and within 15 % of it; its MACs are the operator's own."""
    net = one_conv()
    low, high = simulate(net, "mapped"), simulate(net)
    assert low.cost.total_time_s.nominal <= high.cost.total_time_s.nominal <= 1.15 * low.cost.total_time_s.nominal
    assert high.cost.counts["matrix", "mac_float32"] == net.work.macs


def test_images_stay_channels_last() -> None:
    """By hand: taken alone, a convolution that fits moves no copy of its image: each word crosses DRAM once."""
    net = one_conv()
    found = lone(net, net.operators[0])
    assert isinstance(found, Lone)
    timing = time_alone(found, load_machine("textbook-core"))
    assert not isinstance(timing, str)
    assert timing.counts["dram", "write"] == 4 * 32 * 14 * 14
    # Rows are gathered tile by tile: halos come again, never the padding.
    least = 4 * (16 * 14 * 14 + 32 * 16 * 9)
    assert least <= timing.counts["dram", "read"] < 2 * least


def net_of(op: str) -> Workload:
    g = Graph(op, dtype="float32")
    x = g.input("x", (1, 8, 6, 6))
    if op in ("relu", "sigmoid", "silu", "square", "rsqrt", "softplus"):
        ops.unary(g, op, x, name=op)
    elif op == "add":
        ops.binary(g, "add", x, g.input("z", (1, 8, 6, 6)), name=op)
    elif op == "batch_norm":
        stats = [g.parameter(n, (8,), "norm") for n in "ab"] + [g.parameter(n, (8,), "buffer") for n in "cd"]
        ops.batch_norm(g, x, *stats)
    elif op == "softmax":
        ops.softmax(g, g.input("s", (4, 16)))
    elif op == "layer_norm":
        ops.layer_norm(g, g.input("s", (4, 16)))
    elif op == "transpose":
        ops.transpose(g, x, (0, 2, 3, 1))
    elif op == "concat":
        ops.concat(g, [x, g.input("z", (1, 8, 6, 6))], 1)
    elif op == "gather":
        ops.gather(g, g.parameter("table", (10, 4), "embedding"), g.input("i", (1, 3), "int64"))
    elif op == "max_pool":
        ops.pool(g, x, "max", (2, 2), stride=(2, 2))
    else:
        ops.reduce(g, "mean", x, (2, 3), kind="pool")
    return g.workload()


@pytest.mark.parametrize("op", ["relu", "sigmoid", "add", "batch_norm", "softmax", "max_pool", "mean", "silu", "square", "rsqrt",
                                "softplus", "transpose", "concat", "gather"])  # fmt: skip
def test_every_sort_of_operator_has_a_program(op: str) -> None:
    """Bound: an operator that does no MACs runs as a program, no faster than the level below says."""
    net = net_of(op)
    found = simulate(net)
    assert not [note for note in found.notes if "not simulated" in note]
    assert any(term.key == "program" and term.seconds > 0 for term in found.cost.activities[0].terms)
    assert found.cost.total_time_s.nominal >= simulate(net, "mapped").cost.total_time_s.nominal


def test_what_has_no_program_is_named() -> None:
    """Message: a sort has no rule; it is taken at the level below and named. A GPU has no machine for programs."""
    g = Graph("tokens", dtype="float32")
    ops.sort(g, g.input("x", (3, 10)))
    found = simulate(g.workload())
    assert any("not simulated but taken at the level below" in note and "sort" in note for note in found.notes)
    architecture, technology = load_hardware("h100")
    with pytest.raises(InputError, match="no machine for programs"):
        estimate(one_conv(), architecture, technology, level="simulated")


def test_another_format_is_not_timed_as_float32() -> None:
    """Message: programs of single operators are in float32; a network in int8 is taken at the level below, and it says so."""
    net = one_conv().with_dtype("int8")
    found, below = simulate(net), simulate(net, "mapped")
    assert any("not simulated" in note and "this is in int8" in note for note in found.notes)
    assert found.cost.counts == below.cost.counts
    assert found.cost.total_time_s.nominal == below.cost.total_time_s.nominal
