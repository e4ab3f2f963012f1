"""SharedRAM in compiled programs: what several cores read crosses the off-chip bus once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.formats import load_machine
from picojoule.frontends.onnx import compile_onnx, read_graph
from picojoule.machine import find_races
from picojoule.machine.compiler import Compiled, Options, Segment, compile_graph

from . import networks as nets

CLUSTER = load_machine("textbook-cluster")
APART = Options(shared=False)
READ = ("dram", "read")


def product(path: Path, m: int, k: int, n: int) -> Path:
    net = nets.Net(m + k + n)
    return net.save(path, net.add("MatMul", net.input("x", m, k), net.weight(k, n)))


def races(compiled: Compiled, path: Path) -> None:
    """Run in random orders, watching every byte that is read while it is written."""
    inputs = nets.feeds(path)
    (segment,) = compiled.steps
    assert isinstance(segment, Segment)
    find_races(compiled.program, CLUSTER, {buffer: inputs[n] for n, buffer in segment.inputs.items()}, range(3))


def test_once_by_hand(tmp_path: Path) -> None:
    """By hand: 64×256 by 256×512 reads 4·(64·256 + 256·512) B, each operand once; apart, four cores read one of them
    four times: at least 3·4·64·256 B more. To cores: 256 KiB·2 of w four times, or x four times."""
    path = product(tmp_path / "net.onnx", 64, 256, 512)
    together, apart = compile_onnx(path, CLUSTER), compile_graph(read_graph(path), CLUSTER, options=APART)
    one, other = together.time().counts, apart.time().counts
    assert one[READ] == 4 * (64 * 256 + 256 * 512)
    assert other[READ] >= one[READ] + 3 * 4 * 64 * 256
    assert one["sram", "read"] in (4 * one["sram", "write"], 4 * 4 * 64 * 256, 4 * 4 * 256 * 512)
    assert ("sram", "read") not in other
    assert "dma" in together.program.sections
    assert "dma" not in apart.program.sections
    assert any("through SharedRAM" in line for line in together.explain())
    assert not any("through SharedRAM" in line for line in apart.explain())
    x = nets.feeds(path)
    assert next(iter(together(x).values())).tobytes() == next(iter(apart(x).values())).tobytes()
    races(together, path)


@settings(max_examples=25, deadline=None)
@given(
    m=st.integers(1, 70), k=st.integers(1, 300), n=st.integers(1, 300), room=st.sampled_from([0, 4096, 65536, 2 << 20])
)
def test_products(m: int, k: int, n: int, room: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Equality: the reference's bits in any legal order, whatever the room. Bound: no more bytes than without."""
    path = product(tmp_path_factory.mktemp("net") / "net.onnx", m, k, n)
    machine = replace(CLUSTER, sizes={**CLUSTER.sizes, "sram": room}) if room else replace(
        CLUSTER, sizes={**CLUSTER.sizes, "sram": 0})  # fmt: skip
    graph, x = read_graph(path), nets.feeds(path)
    together, apart = compile_graph(graph, machine), compile_graph(graph, machine, options=APART)
    (found,), (expected,) = together(x).values(), together.reference(x).values()
    assert found.tobytes() == expected.tobytes()
    assert 4 * (m * k + k * n) <= together.time().counts[READ] <= apart.time().counts[READ]
    if room == CLUSTER.sizes["sram"]:
        races(together, path)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("name", ["convolutions", "strides", "attention"])
def test_networks(name: str, dtype: str, tmp_path: Path) -> None:
    """Equality: networks whose cores share weights or inputs give the reference's bits in any legal order.
    Bound: with fewer bytes read and as many products."""
    path = tmp_path / "net.onnx"
    if name == "attention":
        nets.bert(path, 32, 96, 4, 2)
    else:
        net, stride = nets.Net(3), 2 if name == "strides" else 1
        x = net.conv(net.input("x", 1, 24, 20, 20), 24, 40, 3, stride)
        x = net.conv(net.conv(x, 40, 64, 3, stride), 64, 96, 1, act="")
        net.save(path, net.conv(x, 96, 256, 3))
    graph = read_graph(path)
    calibration = [nets.feeds(path, 1)] if dtype == "int8" else []
    together = compile_graph(graph, CLUSTER, dtype, calibration=calibration)
    apart = compile_graph(graph, CLUSTER, dtype, calibration=calibration, options=APART)
    x = nets.feeds(path)
    for output, value in together(x).items():
        assert value.tobytes() == together.reference(x)[output].tobytes()
        assert np.abs(value - apart(x)[output]).max() <= 1e-5 * np.abs(value).max()
    assert together.time().counts[READ] < apart.time().counts[READ]
    mac = ("matrix", f"mac_{dtype}")
    assert together.time().counts[mac] == apart.time().counts[mac]
    races(together, path)
