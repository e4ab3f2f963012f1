"""Rows of a table: the instruction by hand, indices out of range, embeddings in networks."""

from pathlib import Path

import numpy as np
import pytest

from picojoule.formats import load_machine
from picojoule.frontends.onnx import compile_onnx
from picojoule.machine import Program, assemble, decode, disassemble, encode, find_races, make, simulate
from picojoule.machine.compiler import Segment
from picojoule.quantity import InputError

from . import networks as nets
from .networks import Net

CORE, CLUSTER = load_machine("textbook-core"), load_machine("textbook-cluster")
TEXT = """
.data T dram 0 float32 5x2 constant
.data I dram 64 int32 3 input
.data Y dram 128 float32 3x2 output
.const T {table}
move src=dram dst=nram far=I near=24 bytes=12
gather far=T near=0 bytes=8 count=3 limit=5 !compute
vec fn=copy dst=64 a=0 length=6 ?io !io
move src=nram dst=dram far=Y near=64 bytes=24 ?compute
"""


def listing() -> Program:
    return assemble(TEXT.format(table=np.arange(10, dtype=np.float32).tobytes().hex()))


def test_by_hand() -> None:
    """By hand: rows 4, 0, 4; 24 bytes from DRAM at 64 bytes a cycle; the word has opcode 0, far from bit 8 on."""
    run = simulate(listing(), CORE, {"I": np.array([4, 0, 4], np.int32)})
    assert run.outputs["Y"].tolist() == [[8, 9], [0, 1], [8, 9]]
    assert run.counts[("dram", "read")] == 12 + 24
    assert run.counts[("nram", "read")] == 12 + 24 + 24
    assert float(run.cycles) == (12 + 24 + 24) / 64 + 6 / 256
    one = make("gather", far=3, near=5, bytes=8, count=3, limit=9)
    assert encode(one) == 3 << 8 | 5 << 44 | 8 << 68 | 3 << 88 | 9 << 100
    assert decode(encode(one)) == one
    assert assemble(disassemble(listing())) == listing()
    with pytest.raises(InputError):
        decode(0)


@pytest.mark.parametrize(("wrong", "words"), [([0, 5, 1], "row 5, entry 1 of its list, of a table of 5 rows"),
                                              ([-1, 0, 0], "row -1, entry 0")])  # fmt: skip
def test_rows_outside(wrong: list[int], words: str) -> None:
    """Message: the number, its place in the list and the line; nothing else is read."""
    with pytest.raises(InputError, match=words) as found:
        simulate(listing(), CORE, {"I": np.array(wrong, np.int32)})
    assert found.value.where == "program:7"


def test_table_outside_and_rows_of_dram() -> None:
    """Message: a table that leaves DRAM, and a machine whose DRAM has rows, before anything runs."""
    program = assemble("gather far=4294967288 near=0 bytes=8 count=1 limit=2")
    with pytest.raises(InputError, match="reaches byte 4294967303 of dram"):
        simulate(program, CORE)
    with pytest.raises(InputError, match="opens rows that only running tells"):
        simulate(assemble("gather far=0 near=0 bytes=8 count=1 limit=2"), load_machine("textbook-core-ddr4"))


def test_race_is_seen() -> None:
    """Message: a list that another stream still writes when the gather reads it."""
    text = """
.data T dram 0 float32 5x2 constant
.const T {table}
vec fn=fill type=int32 dst=24 imm=1 b=0 length=3
gather far=T near=0 bytes=8 count=3 limit=5
"""
    with pytest.raises(InputError, match=r"gather .*(nothing has written|being written|still)"):
        find_races(assemble(text.format(table="00" * 40)), CORE, {}, range(5))


@pytest.mark.parametrize("machine", [CORE, CLUSTER])
@pytest.mark.parametrize(
    ("rows", "width", "shape"), [(7, 3, (2, 5)), (50, 64, (1, 40)), (5, 1, (9,)), (300, 257, (3, 17))]
)
def test_embedding(machine: object, rows: int, width: int, shape: tuple[int, ...], tmp_path: Path) -> None:
    """By hand: table[ids], to the bit, with ids below 0 from the end; fused with what follows; counted by the byte."""
    net = Net(rows)
    table = net.draw.standard_normal((rows, width)).astype(np.float32)
    other = net.draw.standard_normal((*shape, width)).astype(np.float32)
    y = net.add("Add", net.add("Gather", net.constant(table), net.input("ids", *shape, kind=7)), net.constant(other))
    compiled = compile_onnx(net.save(tmp_path / "net.onnx", y), machine)  # type: ignore[arg-type]
    ids = net.draw.integers(-rows, rows, shape)
    (found,), (same,) = compiled({"ids": ids}).values(), compiled.reference({"ids": ids}).values()
    assert found.tobytes() == (table[ids] + other).tobytes() == same.tobytes()
    count = int(np.prod(shape))
    assert compiled.time().counts[("dram", "read")] == 4 * count * (2 * width + 1)
    assert compiled.time().cpu == ()
    (segment,) = compiled.steps
    assert isinstance(segment, Segment)
    find_races(compiled.program, machine, {"ids": (ids % rows).astype(np.int32)}, range(3))  # type: ignore[arg-type]


def test_indices_of_the_host(tmp_path: Path) -> None:
    """Message: an index outside the table, by name, before the program starts."""
    compiled = compile_onnx(nets.bert(tmp_path / "net.onnx", 8, 16, 2, embed=5), CORE)
    inputs = nets.feeds(tmp_path / "net.onnx", words=5)
    inputs["ids"][0, 3] = 5
    for run in (compiled, compiled.reference):
        with pytest.raises(InputError, match="'ids': row 5 of a table of 5 rows"):
            run(inputs)


def test_where_it_stays_on_the_cpu(tmp_path: Path) -> None:
    """Message: rows of DRAM that only running tells; an axis other than the first."""
    path = nets.bert(tmp_path / "net.onnx", 8, 16, 2, embed=5)
    lines = compile_onnx(path, load_machine("textbook-core-ddr4")).explain()
    assert any(
        "(Gather) on the CPU: the rows of DRAM that it opens are known only when it runs" in line for line in lines
    )
    net = Net(0)
    y = net.add("Gather", net.weight(4, 5), net.input("ids", 3, kind=7), axis=1)
    lines = compile_onnx(net.save(tmp_path / "axis.onnx", y), CORE).explain()
    assert any("(Gather) on the CPU: its rows are not along the first axis" in line for line in lines)


def test_constant_indices_in_any_order(tmp_path: Path) -> None:
    """By hand: rows and columns picked by constants, some twice, are moves."""
    net = Net(1)
    x = net.input("x", 4, 6)
    a = net.add("Gather", x, net.constant(np.array([3, 0, 3, -2])))
    b = net.add("Gather", x, net.constant(np.array([[5, 1], [1, 0]])), axis=1)
    compiled = compile_onnx(net.save(tmp_path / "net.onnx", a, b), CORE)
    given = nets.feeds(tmp_path / "net.onnx")["x"]
    found = compiled({"x": given})
    assert found[a].tobytes() == given[[3, 0, 3, -2]].tobytes()
    assert found[b].tobytes() == np.ascontiguousarray(given[:, [[5, 1], [1, 0]]]).tobytes()
    assert compiled.time().cpu == ()
