"""Attention as one kernel: its order of sums, its bytes, its choice, and every way in which networks write it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from picojoule.formats import load_machine
from picojoule.frontends.onnx import compile_onnx
from picojoule.machine import Machine, find_races
from picojoule.machine.compiler import Compiled, Options, Segment
from picojoule.machine.compiler._attention import Attend, Head, Mask, Score
from picojoule.machine.compiler._kernel import Body, Place
from picojoule.quantity import InputError

from . import networks as nets
from .networks import Net, feeds

CORE, CLUSTER = load_machine("textbook-core"), load_machine("textbook-cluster")
SMALL = replace(CORE, sizes={**CORE.sizes, "nram": 4096, "wram": 2048})  # many blocks
Arrays = dict[str, NDArray[Any]]


def kernels(compiled: Compiled) -> list[Attend]:
    return [
        one for step in compiled.steps if isinstance(step, Segment) for one in step.kernels if isinstance(one, Attend)
    ]


def exact(q: NDArray[Any], k: NDArray[Any], v: NDArray[Any], added: Any) -> NDArray[Any]:
    """softmax(q·kᵀ/√d + added)·v in float64; rows without any key give 0."""
    s = q.astype(np.float64) @ k.astype(np.float64).swapaxes(-1, -2) / np.sqrt(q.shape[-1]) + added
    top = s.max(-1, keepdims=True)
    p = np.exp(s - np.where(np.isfinite(top), top, 0))
    return np.asarray(p / np.maximum(p.sum(-1, keepdims=True), 1e-300) @ v)


def written(
    path: Path, shape: tuple[int, int, int, int, int], mask: str, shared: int, turned: bool
) -> tuple[Path, Any]:
    """Attention as exporters write it; what is added to its scores, None where it is an input."""
    batch, heads, queries, keys, size = shape
    net = Net(0)
    q = net.input("q", batch, queries, heads, size)
    k, v = (net.input(name, batch, keys, heads // shared, size) for name in "kv")
    q, k, v = (net.add("Transpose", one, perm=(0, 2, 1, 3)) for one in (q, k, v))
    if shared > 1:
        wide = net.constant(np.array([batch, heads // shared, shared, keys, size]))
        out = net.constant(np.array([batch, heads, keys, size]))
        axes = net.constant(np.array([2]))
        k, v = (net.add("Reshape", net.add("Expand", net.add("Unsqueeze", one, axes), wide), out) for one in (k, v))
    s = net.add("MatMul", q, net.add("Transpose", k, perm=(0, 1, 3, 2)))
    s = net.add("Mul", s, net.constant(np.float32(size**-0.5)))
    added: Any = 0
    if mask == "causal":
        added = np.where(np.tri(queries, keys, keys - queries, dtype=bool), 0, -np.inf).astype(np.float32)
        s = net.add("Add", s, net.constant(added))
    elif mask == "chosen":
        seen = np.tri(queries, keys, keys - queries, dtype=bool)
        added = np.where(seen, 0, -np.inf)
        s = net.add("Where", net.constant(seen), s, net.constant(np.float32(np.finfo(np.float32).min)))
    elif mask == "row":
        s = net.add("Add", s, net.input("mask", batch, 1, 1, keys))
    elif mask == "whole":
        s = net.add("Add", net.input("mask", batch, heads, queries, keys), s)
    y = net.add("MatMul", net.add("Softmax", s, axis=-1), v)
    return net.save(path, net.add("Transpose", y, perm=(0, 2, 1, 3)) if turned else y), added


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(1, 2), st.sampled_from([1, 2, 4]), st.integers(1, 24), st.integers(0, 20), st.integers(1, 9)),
       st.sampled_from(["none", "causal", "chosen", "row", "whole"]), st.sampled_from([1, 2]), st.booleans(),
       st.sampled_from([CORE, CLUSTER, SMALL]))  # fmt: skip
def test_any_attention(
    sizes: tuple[int, int, int, int, int], mask: str, shared: int, turned: bool, machine: Machine
) -> None:
    """Equality: bits of the reference. Peer: float64 within rounding, fused and not. Bound: scores stay on the chip."""
    import tempfile

    batch, heads, queries, more, size = sizes
    shared = min(shared, heads)
    shape = (batch, heads, queries, queries + more, size)
    with tempfile.TemporaryDirectory() as folder:
        path, added = written(Path(folder) / "net.onnx", shape, mask, shared, turned)
        compiled, apart = (compile_onnx(path, machine, options=Options(attention=how)) for how in ("fused", "unfused"))
        inputs = feeds(path)
    assert len(kernels(compiled)) == 1
    assert not kernels(apart)
    q, k, v = (inputs[name].swapaxes(1, 2) for name in "qkv")
    k, v = (one.repeat(shared, 1) for one in (k, v))
    want = exact(q, k, v, inputs.get("mask", added))
    want = want.swapaxes(1, 2) if turned else want
    for one in (compiled, apart) if mask != "chosen" else (compiled,):
        (found,), (same,) = one(inputs).values(), one.reference(inputs).values()
        assert found.tobytes() == same.tobytes()
        assert np.abs(found - want).max() <= 2e-5 * max(1, np.abs(want).max())
    if machine is CORE:
        (segment,) = compiled.steps
        assert isinstance(segment, Segment)
        assert compiled.time().cycles == segment.planned
        assert compiled.time().counts[("dram", "read")] < apart.time().counts.get(("dram", "read"), 1 << 60)


def test_bytes_by_hand(tmp_path: Path) -> None:
    """By hand: 12 heads of 128 × 64: queries, keys, values and results cross the bus once, 4 · 12 · 128 · 64 · 4 bytes."""
    path, _ = written(tmp_path / "net.onnx", (1, 12, 128, 128, 64), "none", 1, turned=True)
    counts = compile_onnx(path, CORE).time().counts
    assert counts[("dram", "read")] == 3 * 12 * 128 * 64 * 4
    assert counts[("dram", "write")] == 12 * 128 * 64 * 4
    assert counts[("matrix", "mac_float32")] == 2 * 12 * 128 * 128 * 64


def test_closed_blocks_by_hand() -> None:
    """By hand: of 4 × 4 blocks under a causal mask 10 are open, 4 of them on the diagonal; a row closed whole closes none."""
    causal = np.where(np.tri(16, dtype=bool), 0, -np.inf).astype(np.float32)

    def opened(content: NDArray[Any]) -> list[list[tuple[int, bool]]]:
        mask = Mask(Place("mask", 0, 16), content)
        one = Attend("a", Body(16, 8), queries=16, keys=16, depth=8, width=8, heads=(Head(0, 0, 0, 0, (0,)),),
                     scores=(Score("add", mask=0),), masks=(mask,), rows=4, columns=4)  # fmt: skip
        return [[(b.first, b.masks[0] is not None) for b in one.blocks(*spot)] for spot in one.spots()]

    assert opened(causal) == [[(4 * j, i == j) for j in range(i + 1)] for i in range(4)]
    causal[5] = -np.inf
    assert [len(row) for row in opened(causal)] == [1, 4, 3, 4]


def test_shared_heads_are_loaded_once(tmp_path: Path) -> None:
    """By hand: eight heads on two of keys: k and v are a quarter of q, and nothing is written out to full width."""
    path, _ = written(tmp_path / "net.onnx", (1, 8, 16, 16, 8), "none", 4, turned=True)
    counts = compile_onnx(path, CORE, options=Options(attention="fused")).time().counts
    assert counts[("dram", "read")] == 4 * 16 * 8 * (8 + 2 + 2)
    assert counts[("dram", "write")] == 4 * 16 * 8 * 8


@pytest.mark.parametrize("machine", [CORE, CLUSTER, SMALL])
def test_closed_rows(machine: Machine, tmp_path: Path) -> None:
    """Equality: with the guard that exporters write, queries that see no key give 0; other rows are as without it."""
    net = Net(1)
    q, k, v = net.input("q", 1, 2, 6, 8), net.input("k", 1, 2, 8, 40), net.input("v", 1, 2, 40, 8)
    s = net.add("Add", net.add("MatMul", q, k), net.input("mask", 1, 1, 6, 40))
    p = net.add("Softmax", s, axis=-1)
    p = net.add("Where", net.add("IsNaN", p), net.constant(np.float32(0)), p)
    compiled = compile_onnx(net.save(tmp_path / "net.onnx", net.add("MatMul", p, v)), machine)
    inputs = feeds(tmp_path / "net.onnx")
    inputs["mask"] = np.zeros((1, 1, 6, 40), np.float32)
    inputs["mask"][..., 2, :], inputs["mask"][..., 4, :30] = -np.inf, -np.inf
    (found,), (same,) = compiled(inputs).values(), compiled.reference(inputs).values()
    want = exact(inputs["q"] * np.float32(8**0.5), inputs["k"].swapaxes(2, 3), inputs["v"], inputs["mask"])
    assert compiled.time().cpu == ()
    assert found.tobytes() == same.tobytes()
    assert not found[:, :, 2].any()
    assert np.abs(found - want).max() <= 2e-5 * np.abs(want).max()


@pytest.mark.parametrize("make", [lambda p: nets.bert(p, 32, 64, 4), lambda p: nets.gpt2(p, 32, 64, 4)])
def test_one_kernel_is_faster(make: Any, tmp_path: Path) -> None:
    """Bound: a layer takes fewer cycles and bytes with its attention fused, on one core and on four; no order races."""
    path = make(tmp_path / "net.onnx")
    for machine in (CORE, CLUSTER):
        times = {
            how: compile_onnx(path, machine, options=Options(attention=how)).time()
            for how in ("fused", "unfused", "auto")
        }
        assert times["fused"].cycles < times["unfused"].cycles
        assert times["auto"].cycles == times["fused"].cycles
        for action in (("dram", "read"), ("dram", "write")):
            assert times["fused"].counts[action] < times["unfused"].counts[action]
    compiled, inputs = compile_onnx(path, CLUSTER), feeds(path)
    (segment,) = compiled.steps
    assert isinstance(segment, Segment)
    find_races(compiled.program, CLUSTER, {buffer: inputs[name] for name, buffer in segment.inputs.items()}, range(2))


def test_told(tmp_path: Path) -> None:
    """Message: which nodes became one kernel, what stays on the chip, and why not where they did not."""
    path = nets.gpt2(tmp_path / "net.onnx", 16, 32, 4)
    (fused,) = [line for line in compile_onnx(path, CORE).explain() if "into attention" in line]
    assert "(MatMul), " in fused
    assert "(Softmax) into attention" in fused
    assert f"{16 * 4 * 16 * 16:,} bytes of scores stay on the chip" in fused
    lines = compile_onnx(path, CORE, options=Options(attention="unfused")).explain()
    assert any(line.startswith("kept attention /") and line.endswith("unfused: as asked") for line in lines)
    with pytest.raises(InputError, match="attention 'flash'"):
        compile_onnx(path, CORE, options=Options(attention="flash"))


def test_scores_that_are_read_stay(tmp_path: Path) -> None:
    """Bound: weights that are an output of the network, or read twice, are not fused away."""
    net = Net(2)
    q, k, v = net.input("q", 1, 4, 8), net.input("k", 1, 8, 4), net.input("v", 1, 4, 8)
    p = net.add("Softmax", net.add("MatMul", q, k), axis=-1)
    path = net.save(tmp_path / "net.onnx", net.add("MatMul", p, v), p)
    assert not kernels(compile_onnx(path, CORE, options=Options(attention="fused")))


def test_decoding_reads_the_cache_once(tmp_path: Path) -> None:
    """By hand: one query on 100 cached keys: keys are multiplied as they lie, each byte of them loaded once."""
    path, _ = written(tmp_path / "net.onnx", (1, 4, 1, 100, 16), "none", 1, turned=True)
    compiled = compile_onnx(path, CORE)
    (one,) = kernels(compiled)
    assert one.swapped
    assert compiled.time().counts[("dram", "read")] == 4 * 4 * 16 * (1 + 100 + 100)
