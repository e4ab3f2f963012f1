"""Weights stored as a bitmap and what is not zero; pruning on request."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from picojoule.formats import load_machine
from picojoule.frontends.onnx import read_graph
from picojoule.machine import dump_program, find_races, make, parse_program, simulate
from picojoule.machine._meaning import expand, packed
from picojoule.machine.compiler import Options, Segment, compile_graph
from picojoule.machine.compiler._prune import pruned, pruning
from picojoule.quantity import InputError

from . import networks as nets

CORE, CLUSTER = load_machine("textbook-core"), load_machine("textbook-cluster")
SPARSE = Options(sparse=True)


@given(st.sampled_from(["float32", "float16", "int8", "int32"]), st.data())
def test_expand(dtype: str, data: st.DataObject) -> None:
    """Round trip: what is packed expands to the same bits, −0 and NaN too, and takes the bytes of the law."""
    shape = data.draw(st.integers(1, 70))
    one_size = np.dtype(dtype).itemsize
    numbers = np.frombuffer(data.draw(st.binary(min_size=shape * one_size, max_size=shape * one_size)), dtype).copy()
    numbers[data.draw(st.lists(st.integers(0, shape - 1)))] = 0
    content = packed(numbers)
    kept = int((numbers.view(f"u{numbers.itemsize}") != 0).sum())
    assert len(content) == -(-shape // 8) + kept * numbers.itemsize
    types = ("float32", "float16", "int8", "int16", "int32")
    one = make("expand", dst=3, src=0, far=5, near=8, bytes=len(content), length=shape, type=types.index(dtype))
    dram = np.frombuffer(bytes(5) + content + b"\1", np.uint8).copy()
    view: dict[str, NDArray[Any]] = {"dram": dram, "wram": np.full(400, 7, np.uint8)}
    expand(view, one.values)
    assert view["wram"][8 : 8 + numbers.nbytes].tobytes() == numbers.tobytes()
    assert set(view["wram"][:8]) == set(view["wram"][8 + numbers.nbytes :]) == {7}
    if kept:
        view["dram"][5] ^= 255
        with pytest.raises(InputError, match="behind a bit for each"):
            expand(view, {**one.values, "bytes": len(content) - numbers.itemsize})


def test_time_by_hand() -> None:
    """By hand: 4,096 float32, half of them zero: 512 + 8,192 B over 64 B/cycle are 136 cycles; 16 KiB at 1,024 B/cycle
    would be 16. From SharedRAM the 16 KiB count."""
    values = make("expand", dst=3, src=0, far=0, near=0, bytes=8704, length=4096).values
    spec = make("expand", dst=3, src=0, far=0, near=0, bytes=8704, length=4096).spec
    assert spec.duration(CORE, values) == 136 * CORE.ticks
    assert spec.duration(CLUSTER, {**values, "src": 1}) == 16 * CLUSTER.ticks
    assert spec.counts(values) == {
        ("dram", "read"): 8704,
        ("wram", "write"): 16384,
        ("decoder", "expand_float32"): 4096,
    }
    with pytest.raises(InputError, match="expand to the same or an outer memory"):
        make("expand", dst=0, src=2, far=0, near=0, bytes=8, length=8)


def test_bytes_by_hand(tmp_path: Path) -> None:
    """By hand: 16×64 by 64×64, of whose weights half are zero: 4·16·64 B of x, 512 B of bits and 4·2,048 B of numbers."""
    net = nets.Net(1)
    path = net.save(tmp_path / "net.onnx", net.add("MatMul", net.input("x", 16, 64), net.weight(64, 64)))
    graph = read_graph(path)
    dense, sparse = (compile_graph(graph, CORE, options=Options(prune="0.5", sparse=one)) for one in (False, True))
    assert dense.time().counts["dram", "read"] == 4 * 16 * 64 + 4 * 64 * 64
    counts = sparse.time().counts
    assert counts["dram", "read"] == 4 * 16 * 64 + 512 + 4 * 2048
    assert counts["decoder", "expand_float32"] == 64 * 64
    assert counts["wram", "write"] == dense.time().counts["wram", "write"]
    x = nets.feeds(path)
    assert next(iter(sparse(x).values())).tobytes() == next(iter(dense(x).values())).tobytes()
    assert any(line.startswith("pruned ") and "2,048 of 4,096 weights are zero" in line for line in sparse.explain())
    assert any(
        line.startswith("stored ") and "2,048 of 4,096 numbers are not zero" in line for line in sparse.explain()
    )
    small, large = (sum(map(len, one.program.constants.values())) for one in (sparse, dense))
    tiles = sum(one.name == "expand" for one in sparse.program.sections["core0"])  # each filled up to 64 bytes
    assert large == 4 * 64 * 64
    assert 512 + 4 * 2048 <= small < 512 + 4 * 2048 + 64 * tiles
    again = parse_program(dump_program(sparse.program))
    (segment,) = sparse.steps
    assert isinstance(segment, Segment)
    found = simulate(again, CORE, {buffer: x[name] for name, buffer in segment.inputs.items()})
    assert next(iter(found.outputs.values())).tobytes() == next(iter(sparse(x).values())).tobytes()


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(["resnet", "bert", "lenet"]), how=st.sampled_from(["", "0.6", "0.95", "1:4", "2:4"]),
       dtype=st.sampled_from(["float32", "int8"]), cores=st.sampled_from([1, 4]),
       way=st.sampled_from(["direct", "im2col", "winograd"]))  # fmt: skip
def test_networks(
    name: str, how: str, dtype: str, cores: int, way: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Equality: stored so or not, a network gives the same bits. Bound: and reads no more, and fewer once pruned."""
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    {"resnet": lambda: nets.resnet(path, 18, 32, 8, 10), "bert": lambda: nets.bert(path, 8, 32, 4),
     "lenet": lambda: nets.lenet(path)}[name]()  # fmt: skip
    graph, machine = read_graph(path), CLUSTER if cores == 4 else CORE
    data = [nets.feeds(path, 1)] if dtype == "int8" else []
    dense, sparse = (
        compile_graph(graph, machine, dtype, calibration=data, options=Options(convolution=way, prune=how, sparse=one))
        for one in (False, True)
    )
    x = nets.feeds(path)
    found, expected = sparse(x), dense(x)
    assert {n: a.tobytes() for n, a in found.items()} == {n: a.tobytes() for n, a in expected.items()}
    one, other = sparse.time().counts["dram", "read"], dense.time().counts["dram", "read"]
    assert one < other if how else one <= other
    (segment,) = sparse.steps
    assert isinstance(segment, Segment)
    find_races(sparse.program, machine, {buffer: x[n] for n, buffer in segment.inputs.items()}, range(1))


def test_pruning_by_hand() -> None:
    """By hand: half of [3, -1, 2, -4] is [3, 0, 0, -4]; 1 of every 2 inputs, by column; ties go to the first."""
    assert pruned(np.array([[3.0], [-1], [2], [-4]], np.float32), 0.5, 1).ravel().tolist() == [3, 0, 0, -4]
    weights = np.array([[1, 5], [-2, 5], [3, 1], [0, 2], [7, 8]], np.float32)
    assert pruned(weights, (1, 2), 2).tolist() == [[0, 5], [-2, 0], [3, 0], [0, 2], [7, 8]]


@pytest.mark.parametrize("text", ["half", "1.5", "-0.1", "4:2", "0:4", "2:", "nan", "2:9999"])
def test_refused(text: str) -> None:
    """Message: a pruning that is none."""
    with pytest.raises(InputError, match="cannot prune by"):
        pruning(text)


@pytest.mark.parametrize("name", ["textbook-core", "textbook-core-ddr4", "textbook-cluster"])
def test_engines(name: str, tmp_path: Path) -> None:
    """Equality: packed weights take the same cycles in the compiled engine as in plain Python."""
    pytest.importorskip("numba", reason="numba is not installed")
    path = nets.resnet(tmp_path / "net.onnx", 18, 32, 8, 10)
    machine = load_machine(name)
    program = compile_graph(read_graph(path), machine, options=Options(sparse=True, prune="0.7")).program
    plain, fast = (simulate(program, machine, check=False, engine=engine) for engine in ("plain", "compiled"))
    assert (plain.cycles, plain.counts, plain.busy) == (fast.cycles, fast.counts, fast.busy)
