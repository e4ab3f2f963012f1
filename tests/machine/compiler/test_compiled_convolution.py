"""Direct, im2col and Winograd: bits of the reference, values of ONNX Runtime, counts by hand."""

from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from picojoule.formats import load_machine
from picojoule.frontends.onnx import compile_onnx, read_graph
from picojoule.machine import find_races
from picojoule.machine.compiler import Options, Segment, compile_graph
from picojoule.machine.compiler._winograd import MATRICES, terms
from picojoule.quantity import InputError

from . import networks as nets

CORE, CLUSTER = load_machine("textbook-core"), load_machine("textbook-cluster")
WAYS = ("direct", "im2col", "winograd", "winograd4", "auto")
MAC = ("matrix", "mac_float32")
# Of the largest value of the result, up to 100 channels; three times what was measured against ONNX Runtime (docs/compiler.md).
ERRORS = {"direct": 4e-6, "im2col": 4e-6, "winograd": 2e-6, "winograd4": 3e-5}


def layer(path: Path, channels: int, outputs: int, size: tuple[int, int], images: int = 1, group: int = 1, pad: int = 1,
          act: bool = True, keep: bool = False) -> Path:  # fmt: skip
    net = nets.Net(channels * outputs + size[0])
    x = net.input("x", images, channels, *size)
    y = net.add(
        "Conv", x, net.weight(outputs, channels // group, 3, 3), net.weight(outputs), pads=[pad] * 4, group=group
    )
    y = net.add("Add", y, net.add("Mul", x, x)) if keep else y
    return net.save(path, net.add("Relu", y) if act else y)


@pytest.mark.parametrize("m", sorted(MATRICES))
def test_transforms(m: int) -> None:
    """Equality: Aᵀ[(G g) ⊙ (Bᵀ d)] is the correlation of d and g, in exact fractions, for every unit d and g."""
    first, weights, last = MATRICES[m]
    for at, tap in product(range(m + 2), range(3)):
        middle = [first[i][at] * weights[i][tap] for i in range(m + 2)]
        found = [sum(row[i] * middle[i] for i in range(m + 2)) for row in last]
        assert found == [Fraction(int(at == out + tap)) for out in range(m)]
    assert all(terms(row)[0][0] == 1 for row in (*first, *last) if 1 in row)


@settings(max_examples=30, deadline=None)
@given(channels=st.integers(1, 40), outputs=st.integers(1, 40), height=st.integers(1, 15), width=st.integers(1, 15),
       images=st.integers(1, 2), pad=st.integers(0, 2), way=st.sampled_from(WAYS), cores=st.sampled_from([1, 4]))  # fmt: skip
def test_bits_and_values(channels: int, outputs: int, height: int, width: int, images: int, pad: int, way: str, cores: int,
                         tmp_path_factory: pytest.TempPathFactory) -> None:  # fmt: skip
    """Equality: bits of the reference. Peer: the onnx package within the stated error. By hand: the products."""
    size = (max(height, 3 - 2 * pad), max(width, 3 - 2 * pad))
    path = layer(tmp_path_factory.mktemp("net") / "net.onnx", channels, outputs, size, images, pad=pad)
    compiled = compile_graph(read_graph(path), CLUSTER if cores == 4 else CORE, options=Options(convolution=way))
    x = nets.feeds(path)
    (found,), (expected,) = compiled(x).values(), compiled.reference(x).values()
    assert found.tobytes() == expected.tobytes()
    (value,) = ReferenceEvaluator(onnx.load(path)).run(None, x)
    error = max(ERRORS.values()) if way == "auto" else ERRORS[way]
    assert np.abs(found - value).max() <= error * max(1.0, float(np.abs(value).max()))
    out = [side + 2 * pad - 2 for side in size]
    m = {"winograd": 2, "winograd4": 4}.get(way)
    tiles = (-(-out[0] // m) * -(-out[1] // m) * (m + 2) ** 2) if m else out[0] * out[1] * 9
    if way != "auto":
        assert compiled.time().counts[MAC] == images * tiles * channels * outputs


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cores", [1, 4])
def test_blocks(way: str, cores: int, tmp_path: Path) -> None:
    """Equality: groups, odd sizes and a residual added in the same kernel; any legal order gives these bits."""
    machine = CLUSTER if cores == 4 else CORE
    for number, path in enumerate((layer(tmp_path / "a.onnx", 12, 18, (9, 7), 2, group=3),
                                   layer(tmp_path / "b.onnx", 20, 20, (11, 13), keep=True))):  # fmt: skip
        compiled, x = compile_graph(read_graph(path), machine, options=Options(convolution=way)), nets.feeds(path)
        (found,), (expected,) = compiled(x).values(), compiled.reference(x).values()
        assert found.tobytes() == expected.tobytes()
        (value,) = ReferenceEvaluator(onnx.load(path)).run(None, x)
        assert np.abs(found - value).max() <= 2e-5 * np.abs(value).max()
        (segment,) = compiled.steps
        assert isinstance(segment, Segment)
        assert any(line.startswith(f"convolution /conv{0}/Conv: ") for line in compiled.explain()), number
        find_races(compiled.program, machine, {buffer: x[n] for n, buffer in segment.inputs.items()}, range(2))


@settings(max_examples=25, deadline=None)
@given(size=st.sampled_from([(1, 1), (3, 3), (5, 2), (7, 7)]), stride=st.integers(1, 3), dilation=st.integers(1, 2),
       pad=st.integers(0, 3), group=st.sampled_from([1, 2, 4]), images=st.integers(1, 2), cores=st.sampled_from([1, 4]),
       line=st.booleans())  # fmt: skip
def test_im2col(size: tuple[int, int], stride: int, dilation: int, pad: int, group: int, images: int, cores: int, line: bool,
                tmp_path_factory: pytest.TempPathFactory) -> None:  # fmt: skip
    """Equality: bits of the reference for any window. Peer: the onnx package. By hand: as many products as direct."""
    net, axes = nets.Net(3), 1 if line else 2
    x = net.input("x", images, 8, *(19, 17)[:axes])
    y = net.add("Conv", x, net.weight(12, 8 // group, *size[:axes]), net.weight(12), strides=[stride] * axes,
                dilations=[dilation] * axes, pads=[pad] * 2 * axes, group=group)  # fmt: skip
    y = net.add("Conv", y, net.weight(5, 12, *(1,) * axes), strides=[2] * axes)
    path = net.save(tmp_path_factory.mktemp("net") / "net.onnx", y)
    graph, feeds, machine = read_graph(path), nets.feeds(path), CLUSTER if cores == 4 else CORE
    compiled, direct = (compile_graph(graph, machine, options=Options(convolution=way)) for way in ("im2col", "direct"))
    (found,), (expected,) = compiled(feeds).values(), compiled.reference(feeds).values()
    assert found.tobytes() == expected.tobytes()
    (value,) = ReferenceEvaluator(onnx.load(path)).run(None, feeds)
    assert np.abs(found - value).max() <= 1e-5 * np.abs(value).max()
    assert compiled.time().counts[MAC] == direct.time().counts[MAC]


def told(path: Path, way: str = "direct") -> dict[str, tuple[int, int]]:
    """Multiplications and bytes that --explain prints, by algorithm."""
    (line,) = [one for one in compile_graph(read_graph(path), CORE, options=Options(convolution=way)).explain()
               if one.startswith("convolution ")]  # fmt: skip
    found = {}
    for part in line.split("; ")[1:]:
        name, products, _, size, *_ = part.replace(",", "").split()
        found[name] = int(products), int(size)
    return found


def test_counts_by_hand(tmp_path: Path) -> None:
    """By hand, 64 to 64 channels, 56×56: direct 56²·9·64² products, F(2) 28²·16·64², F(4) 14²·36·64². Bytes: inputs,
    results 4·64·56² each, weights 4·64²·9 (16, 36). im2col has 54²·4 + 54·2·2·... taps inside the image, a zeroed matrix
    of 56²·576 written twice over, and read once; the executed products are the same, the bytes no fewer."""
    path = layer(tmp_path / "net.onnx", 64, 64, (56, 56), act=False)
    found, tensor, one = told(path), 4 * 64 * 56 * 56, 4 * 64 * 64
    inside = (3 * 56 - 2) ** 2 * 64  # a tap of the three in a row misses one pixel at each edge
    assert found["direct"] == (56 * 56 * 9 * 64 * 64, 2 * tensor + 9 * one)
    assert found["winograd"] == (28 * 28 * 16 * 64 * 64, 2 * tensor + 16 * one)
    assert found["winograd4"] == (14 * 14 * 36 * 64 * 64, 2 * tensor + 36 * one)
    assert found["im2col"] == (56 * 56 * 9 * 64 * 64, 4 * (inside + 3 * 56 * 56 * 576) + tensor + 9 * one)
    for way in ("direct", "im2col", "winograd", "winograd4"):
        counts = compile_graph(read_graph(path), CORE, options=Options(convolution=way)).time().counts
        assert counts[MAC] == found[way][0]
        assert counts["dram", "read"] + counts["dram", "write"] >= found[way][1]
    assert found["direct"][0] / found["winograd"][0] == 9 / 4


def test_auto(tmp_path: Path) -> None:
    """Bound: "auto" takes no algorithm whose price is above another's, and wins over direct where products dominate."""
    path = layer(tmp_path / "net.onnx", 64, 64, (28, 28))
    graph = read_graph(path)
    auto = compile_graph(graph, CORE, options=Options(convolution="auto"))
    direct = compile_graph(graph, CORE)
    assert auto.time().cycles < 0.75 * direct.time().cycles
    (line,) = [one for one in auto.explain() if one.startswith("convolution ")]
    priced = [part for part in line.split("; ")[1:] if "about " in part]
    about = {part.split()[0]: int(part.split("about ")[1].split()[0].replace(",", "")) for part in priced}
    assert set(about) == {"direct", "im2col", "winograd"}
    assert about[line.split(": ")[1].split(";")[0]] == min(about.values())


def test_refused(tmp_path: Path) -> None:
    """Message: an algorithm that is none; why a convolution is not Winograd's."""
    with pytest.raises(InputError, match="no convolution algorithm 'fft'"):
        Options(convolution="fft")
    net = nets.Net()
    path = net.save(tmp_path / "net.onnx", net.conv(net.conv(net.input("x", 1, 3, 12, 12), 3, 4, 5), 4, 4, 3, 2))
    lines = compile_graph(read_graph(path), CORE, options=Options(convolution="winograd")).explain()
    assert any("direct (no Winograd: its kernel is not 3×3)" in line for line in lines)
    assert any("direct (no Winograd: it has strides or dilations)" in line for line in lines)


def test_int8(tmp_path: Path) -> None:
    """Equality: im2col in int8 gives the bits of direct int8; Winograd is refused by name."""
    path = layer(tmp_path / "net.onnx", 10, 20, (9, 9))
    data: list[dict[str, NDArray[np.float32]]] = [nets.feeds(path, seed) for seed in range(2)]
    ways = {way: compile_onnx(path, CORE, "int8", calibration=data, options=Options(convolution=way))
            for way in ("direct", "im2col", "winograd")}  # fmt: skip
    x = nets.feeds(path)
    values = {way: next(iter(one(x).values())).tobytes() for way, one in ways.items()}
    assert len(set(values.values())) == 1
    assert any("no Winograd: its products are int8" in line for line in ways["winograd"].explain())
