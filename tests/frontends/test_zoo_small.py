"""Single operators and little networks of the zoo, against counts by hand."""

import pytest

from picojoule.frontends.zoo._entry import Options
from picojoule.frontends.zoo.small import MODELS
from picojoule.quantity import InputError
from picojoule.workload import Work, Workload


def build(text: str, batch: int | None = None, **inputs: tuple[int, ...]) -> Workload:
    name, _, spec = text.partition(":")
    return MODELS[name].build(text, Options(batch=batch, inputs=inputs, spec=spec))


def parameters(net: Workload, role: str = "") -> int:
    return sum(tensor.elements for tensor in net.parameters if role in ("", tensor.role))


def test_mlp() -> None:
    """By hand: 33 · 512 + 512 · 10 weights, 512 + 10 biases; without biases each output has one addition less."""
    net = build("mlp:33-512-10")
    assert (parameters(net, "weight"), parameters(net, "bias"), parameters(net)) == (22_016, 522, 22_538)
    assert net.work == Work.of(macs=22_016, muls=22_016, adds=22_016, compare=512)
    bare = build("mlp:33-512-10:nobias")
    assert parameters(bare) == 22_016
    assert bare.work.adds == 22_016 - 522
    assert dict(build("mlp:3-4-5:tanh").work.special) == {"tanh": 4}
    assert dict(build("mlp:3-4-5:identity").work.special) == {}


def test_adder() -> None:
    """By hand: 9 · 20 + 20 · 20 + 20 · 5 weights and 45 biases; one input less without a carry."""
    assert parameters(build("adder")) == 725
    assert build("adder").work.macs == 680
    assert parameters(build("adder:no-carry")) == 705
    assert build("adder:no_carry").work.macs == 660


def test_matmul() -> None:
    """By hand: M·N·K products, M·N·(K - 1) sums; 4000 cubed moves 3 · 16e6 fp32."""
    net = build("matmul:4000")
    assert (net.work.muls, net.work.adds) == (64_000_000_000, 63_984_000_000)
    assert sum(net.traffic(o).total for o in net.operators) == 192_000_000
    net = build("matmul:2x3x5")
    assert net.tensors["a"].shape == (2, 5)
    assert net.tensors["b"].shape == (5, 3)
    assert net.work == Work.of(macs=30, muls=30, adds=24)
    assert build("matmul:2X3×5", 7).work.macs == 210


def test_elementwise_operators() -> None:
    """By hand: softmax of 1000, layer normalisation of 768, a sum of two matrices."""
    assert build("softmax:1000").work == Work.of(adds=1999, compare=999, exp=1000, div=1000)
    assert build("softmax:4x1000").work == Work.of(adds=7996, compare=3996, exp=4000, div=4000)
    assert build("layer-norm:768").work == Work.of(muls=2306, adds=3071, rsqrt=1)
    assert build("relu:5x7").work == Work.of(compare=35)
    net = build("add:4000x4000")
    assert net.work == Work.of(adds=16_000_000)
    assert sum(net.traffic(o).total for o in net.operators) == 192_000_000
    assert build("mul:3").work == Work.of(muls=3)


@pytest.mark.parametrize(
    ("text", "out", "params", "macs"),
    [
        ("conv:1x96x96-256x5x5", (256, 92, 92), 6_656, 54_169_600),
        ("conv:3x224x224-64x7x7:stride=2:pad=3:nobias", (64, 112, 112), 9_408, 118_013_952),
        ("conv:3x32x32-32x3x3:pad=same", (32, 32, 32), 896, 884_736),
        ("conv:4x10x10-4x3x3:stride=2x1,pad=1x0", (4, 5, 8), 148, 5_760),
        ("conv:4x10-6x3:groups=2,dilation=2", (6, 6), 42, 216),
        ("conv:2x5x5x5-3x3x3x3", (3, 3, 3, 3), 165, 4_374),
        ("depthwise:32x112x112-3x3:stride=2:pad=1:nobias", (32, 56, 56), 288, 903_168),
    ],
)
def test_conv(text: str, out: tuple[int, ...], params: int, macs: int) -> None:
    """By hand: ⌊(n + 2p - d(k - 1) - 1) / s⌋ + 1 places, each C/g · k · k products a filter."""
    net = build(text)
    assert net.tensors[net.outputs[0]].shape == (1, *out)
    assert parameters(net) == params
    assert net.work.macs == macs


@pytest.mark.parametrize(
    ("text", "conv2", "fc", "total"),
    [
        ("little-cnn", 135_680, 405_544, 672_168),
        ("little-cnn:second-pool", 135_680, 101_416, 368_040),
        ("little-cnn:nopool", 389_632, 2_207_784, 2_728_360),
    ],
)
def test_little_cnn_traffic(text: str, conv2: int, fc: int, total: int) -> None:
    """By hand: bytes of in, out and weights of the three layers, pools and the 424 bytes of biases left out."""
    net = build(text)
    layers = {o.path: net.traffic(o).total for o in net.operators if o.work.macs}
    biases = {"conv1": 4 * 32, "conv2": 4 * 64, "fc": 4 * 10}
    bare = {path: layers[path] - biases[path] for path in layers}
    assert bare == {"conv1": 130_944, "conv2": conv2, "fc": fc}
    assert sum(bare.values()) == total


def test_little_cnn_counts() -> None:
    """By hand: 111,562 parameters; 777,600 + 2,654,208 + 92,160 MACs."""
    net = build("little-cnn")
    assert parameters(net) == 111_562
    assert [o.work.macs for o in net.operators if o.work.macs] == [777_600, 2_654_208, 92_160]


def test_linear() -> None:
    """By hand: 4096 · 1000 weights and 1000 biases; seven rows."""
    assert parameters(build("linear:4096-1000")) == 4_097_000
    assert build("linear:4096-1000:nobias", x=(7, 4096)).work == Work.of(
        macs=28_672_000, muls=28_672_000, adds=28_672_000 - 7_000
    )


@pytest.mark.parametrize(
    "text",
    [
        "mlp", "mlp:33", "mlp:33-0", "mlp:a-b", "mlp:3-4:loud", "matmul", "matmul:2x3", "matmul:1x2x3x4", "matmul:0",
        "linear:3", "linear:3-4:x", "conv", "conv:3x224x224", "conv:3x8x8-4x3", "conv:3x8x8-4x9x9",
        "conv:3x8x8-4x3x3:stride=0", "conv:3x8x8-4x3x3:stride=1x1x1", "conv:3x8x8-4x3x3:pad=-1",
        "conv:3x8x8-4x3x3:colour=2", "conv:4x8x8-4x3x3:groups=3", "conv:3x8x8-4x3x3:pad=same:stride=2",
        "depthwise:3x8x8-3x3:groups=3", "depthwise:3x8x8", "softmax:", "softmax:1e3", "add", "add:0", "adder:loud",
        "little-cnn:loud",
    ],
)  # fmt: skip
def test_bad_specs(text: str) -> None:
    """Message: every bad spec says what was expected and shows an example that passes."""
    with pytest.raises(InputError) as error:
        build(text)
    assert error.value.expected
    example = error.value.example.removeprefix("picojoule count ")
    assert build(example).operators


def test_operators_of_two_tensors_take_no_inputs() -> None:
    """Message: their sizes stand after the colon."""
    with pytest.raises(InputError, match="after the colon"):
        build("matmul:4", a=(4, 4))
    with pytest.raises(InputError, match="after the colon"):
        build("add:4", a=(4, 4))
