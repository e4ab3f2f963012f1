"""Values: matrix products and vector operations bit for bit, and races."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from picojoule.formats import load_machine
from picojoule.machine import assemble, cluster_matmul, find_races, matmul, simulate
from picojoule.quantity import InputError

CORE, CLUSTER = load_machine("textbook-core"), load_machine("textbook-cluster")


def operands(m: int, k: int, n: int, dtype: str, seed: int) -> dict[str, NDArray[Any]]:
    draw = np.random.default_rng(seed)
    if dtype == "int8":
        return {"X": draw.integers(-128, 128, (m, k), np.int8), "W": draw.integers(-128, 128, (k, n), np.int8)}
    return {"X": draw.standard_normal((m, k)).astype(dtype), "W": draw.standard_normal((k, n)).astype(dtype)}


def in_order(x: NDArray[Any], w: NDArray[Any]) -> NDArray[Any]:
    """Each product and each sum rounded to float32, k after k."""
    x, w = x.astype(np.float32), w.astype(np.float32)
    y = np.zeros((x.shape[0], w.shape[1]), np.float32)
    for k in range(x.shape[1]):
        y = (y + (x[:, k : k + 1] * w[k : k + 1]).astype(np.float32)).astype(np.float32)
    return y


sizes = st.integers(1, 24)


@given(sizes, sizes, sizes, st.tuples(sizes, sizes, sizes), st.sampled_from(["mkn", "mnk", "nmk", "nkm", "kmn", "knm"]),
       st.sampled_from(["float32", "float16", "int8"]), st.integers(0, 99))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_product_bit_for_bit(
    m: int, k: int, n: int, tile: tuple[int, int, int], order: str, dtype: str, seed: int
) -> None:
    """Equality: any tiling in any order gives NumPy's int32 product, or the float32 one summed in order of k."""
    given_ = operands(m, k, n, dtype, seed)
    run = find_races(matmul(CORE, m, k, n, tile, order, dtype=dtype), CORE, given_, [seed])
    if dtype == "int8":
        expected = given_["X"].astype(np.int32) @ given_["W"].astype(np.int32)
    else:
        expected = in_order(given_["X"], given_["W"])
    assert run.outputs["Y"].tobytes() == expected.tobytes()
    macs = {action: count for action, count in run.counts.items() if action[0] == "matrix"}
    assert macs == {("matrix", f"mac_{dtype}"): m * k * n}
    width = given_["X"].itemsize
    assert run.counts[("dram", "read")] == width * (m * k + k * n)
    assert run.counts[("dram", "write")] == 4 * m * n


@pytest.mark.parametrize(("rounds", "rows"), [(1, 32), (4, 8), (16, 32), (8, 4)])
def test_cluster_bit_for_bit(rounds: int, rows: int) -> None:
    """Equality: four cores give the same bits as one, in any legal order; W is read from DRAM once, X too."""
    given_ = operands(32, 256, 128, "float32", 3)
    run = find_races(cluster_matmul(CLUSTER, 32, 256, 128, rounds, rows), CLUSTER, given_, range(3))
    assert run.outputs["Y"].tobytes() == in_order(given_["X"], given_["W"]).tobytes()
    assert run.counts[("dram", "read")] == 4 * (32 * 256 + 256 * 128)


def test_vectors_by_hand() -> None:
    """By hand: relu, add, an immediate product, quantising, filling."""
    program = assemble("""
        .data A dram 0 float32 4 input
        .data B dram 64 float32 4 output
        .data C dram 128 int8 4 output
        move src=dram dst=nram far=A near=0 bytes=16 !compute
        vec fn=fill dst=16 length=4 imm=1 b=0x40000000
        vec fn=add dst=32 a=0 b=16 length=4 ?io
        vec fn=relu dst=32 a=32 length=4
        vec fn=mul dst=32 a=32 b=0x40400000 imm=1 length=4 !io
        vec fn=quantise dst=64 a=32 b=0x3f000000 imm=1 length=4 !io
        move src=nram dst=dram far=B near=32 bytes=16 ?compute
        move src=nram dst=dram far=C near=64 bytes=4 ?compute
    """)
    run = find_races(program, CORE, {"A": np.array([-5, -1, 0.5, 100], np.float32)}, range(10))
    assert run.outputs["B"].tolist() == [0, 3, 7.5, 306]
    assert run.outputs["C"].tolist() == [0, 2, 4, 127]  # 1.5 and 3.75 round to even, 153 is cut


def test_integers_wrap_and_divide() -> None:
    """By hand: int8 wraps; whole quotients are cut towards zero, by zero they give zero."""
    text = """
        .data A dram 0 {0} 3 input
        .data B dram 64 {0} 3 input
        .data Y dram 128 {0} 3 output
        move src=dram dst=nram far=A near=0 bytes={1}
        move src=dram dst=nram far=B near=64 bytes={1} !compute
        vec fn={2} type={0} dst=128 a=0 b=64 length=3 ?io !io
        move src=nram dst=dram far=Y near=128 bytes={1} ?compute
    """
    a, b = np.array([100, -7, 9], np.int8), np.array([100, 2, 0], np.int8)
    run = simulate(assemble(text.format("int8", 3, "add")), CORE, {"A": a, "B": b})
    assert run.outputs["Y"].tolist() == [-56, -5, 9]
    core = replace(CORE, special={"int8": 4})
    run = simulate(assemble(text.format("int8", 3, "div")), core, {"A": a, "B": b})
    assert run.outputs["Y"].tolist() == [1, -3, 0]


def test_missing_token_is_a_race() -> None:
    """Message: without its token a product may read what was never written, in time or in a random order."""
    text = """
        .data A dram 0 float32 4 input
        .data B dram 64 float32 4 output
        move src=dram dst=nram far=A near=0 bytes=16 {0}
        nop on=compute cycles=9
        vec fn=relu dst=32 a=0 length=4 {1} !io
        move src=nram dst=dram far=B near=32 bytes=16 ?compute
    """
    given_ = {"A": np.ones(4, np.float32)}
    simulate(assemble(text.format("", "")), CORE, given_)  # in time it happens to work
    with pytest.raises(InputError, match=r"nothing has written|still being written"):
        find_races(assemble(text.format("", "")), CORE, given_, range(50))
    find_races(assemble(text.format("!compute", "?io")), CORE, given_, range(50))


def test_a_place_freed_too_early_is_a_race() -> None:
    """Message: a second load over the first before it was used changes values in another order, and is found."""
    text = """
        .data A dram 0 float32 4 input
        .data B dram 64 float32 4 output
        move src=dram dst=nram far=A near=0 bytes=16 !compute
        nop on=io cycles=50
        move src=dram dst=nram far=A+0 near=4 bytes=8 {0}
        vec fn=relu dst=32 a=0 length=4 ?io !io
        move src=nram dst=dram far=B near=32 bytes=16 {1}
    """
    given_ = {"A": np.arange(4, dtype=np.float32)}
    with pytest.raises(InputError, match=r"race|still being"):
        find_races(assemble(text.format("", "?compute")), CORE, given_, range(80))
    find_races(assemble(text.format("?compute", "")), CORE, given_, range(80))


@pytest.mark.parametrize(
    ("text", "given_", "words"),
    [
        (".data Y dram 0 int8 4 output\nnop on=io", {}, "never wrote all of 'Y'"),
        (".data A dram 0 int8 4 input\nnop on=io", {}, "arrays for A"),
        (".data A dram 0 int8 4 input\nnop on=io", {"A": np.zeros(3, np.int8)}, "int8 of \\(4,\\)"),
        ("xfer src=dram dst=nram bytes=4", {}, "has no values"),
        ("vec fn=relu dst=0 a=0 length=1", {}, "nothing has written"),
    ],
)
def test_values_refused(text: str, given_: dict[str, NDArray[Any]], words: str) -> None:
    """Message: what the values lack."""
    with pytest.raises(InputError, match=words):
        simulate(assemble(text), CORE, given_)


def test_compressed_moves_have_no_values() -> None:
    """Message: a compressed move is timed, not decoded; with values it is refused, not skipped."""
    program = matmul(CORE, 4, 8, 4, (4, 8, 4), decode=(1, 0))
    assert simulate(program, CORE).counts[("dram", "read")] == 4 * 8 * 4 // 2 + 8 * 4 * 4
    with pytest.raises(InputError, match="compressed"):
        simulate(program, CORE, operands(4, 8, 4, "float32", 0))


def test_steps_may_wrap_an_immediate() -> None:
    """By hand: a step of 2^32 brings the bits of an immediate back to themselves: 2.0 in both rounds."""
    program = assemble("""
        .data Y dram 0 float32 2 output
        loop count=2
          step level=0 a=4 c=0x100000000
          vec fn=fill dst=0 length=1 imm=1 b=0x40000000 !io
        endloop
        nop on=io cycles=1 ?compute
        move src=nram dst=dram far=Y near=0 bytes=8 ?compute
    """)
    assert find_races(program, CORE, {}, range(3)).outputs["Y"].tolist() == [2, 2]


@given(sizes, sizes, sizes, st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8)),
       st.sampled_from(["mkn", "mnk", "nmk", "nkm"]), st.integers(96, 1500), st.integers(64, 1000),
       st.integers(0, 99))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_places_are_reused(m: int, k: int, n: int, tile: tuple[int, int, int], order: str, nram: int, wram: int,
                           seed: int) -> None:  # fmt: skip
    """Equality: memories so small that tiles follow each other in one place give the same bits in any legal order."""
    small = replace(CORE, sizes={**CORE.sizes, "nram": nram // 4 * 4, "wram": wram // 4 * 4})
    try:
        program = matmul(small, m, k, n, tile, order)
    except InputError:
        return  # does not fit
    given_ = operands(m, k, n, "float32", seed)
    run = find_races(program, small, given_, range(seed, seed + 3))
    assert run.outputs["Y"].tobytes() == in_order(given_["X"], given_["W"]).tobytes()


@pytest.mark.parametrize(("dtype", "rows"), [("float32", 4), ("float32", 8), ("int8", 2)])
def test_rings_in_shared_memory(dtype: str, rows: int) -> None:
    """Equality: W and Y pass through two places each of a small SharedRAM; the bits stay, in any legal order."""
    x, w, y = 8 * 16, 16 * 8, rows * 8 * 4
    one = 4 if dtype == "float32" else 1
    small = replace(CLUSTER, sizes={**CLUSTER.sizes, "sram": (x + 2 * w) * one + 2 * y, "wram": 2 * w // 4 * one,
                                    "nram": (2 * rows * 16 * one) + 2 * rows * 2 * 4})  # fmt: skip
    given_ = operands(8, 16, 64, dtype, 1)
    run = find_races(cluster_matmul(small, 8, 16, 64, 8, rows, dtype=dtype), small, given_, range(40))
    if dtype == "int8":
        assert run.outputs["Y"].tolist() == (given_["X"].astype(int) @ given_["W"].astype(int)).tolist()
    else:
        assert run.outputs["Y"].tobytes() == in_order(given_["X"], given_["W"]).tobytes()
