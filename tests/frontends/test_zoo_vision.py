"""The image networks of the zoo against traces of PyTorch, torchvision's documentation, papers and hand counts."""

import json
import math
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from picojoule.frontends.zoo import detection, generative, small, vision
from picojoule.frontends.zoo._entry import Entry, Options
from picojoule.quantity import InputError
from picojoule.workload import Operator, Workload

GOLDEN = Path(__file__).parents[1] / "data" / "counts"
SHELVES: dict[str, Entry] = {**vision.MODELS, **detection.MODELS, **generative.MODELS, **small.MODELS}
BY_NAME = {alias: entry for name, entry in SHELVES.items() for alias in (name, *entry.aliases)}
TRACED = ("alexnet_tv", "alexnet_orig", "vgg16", "vgg19", "resnet18", "resnet50", "resnet152", "mobilenet_v2", "unet")


def build(text: str, batch: int | None = None, **inputs: tuple[int, ...]) -> Workload:
    name, _, spec = text.partition(":")
    return BY_NAME[name.replace("_", "-")].build(text, Options(batch=batch, inputs=inputs, spec=spec))


def golden(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def parameters(net: Workload, role: str = "") -> int:
    return sum(tensor.elements for tensor in net.parameters if role in ("", tensor.role))


def at(net: Workload, path: str) -> Operator:
    (operator,) = [o for o in net.operators if o.path == path]
    return operator


def shape(net: Workload, path: str) -> tuple[int, ...]:
    return net.tensors[at(net, path).outputs[0].tensor].shape


@pytest.mark.parametrize("name", TRACED)
def test_totals_equal_the_trace_of_pytorch(name: str) -> None:
    """Equality: parameters by class, neurons, MACs, muls, adds and every special function by name."""
    trace, net = golden(name), build(name)
    assert parameters(net) == trace["params"]["total"]
    for role, key in (("weight", "weights"), ("bias", "biases"), ("norm", "norm")):
        assert parameters(net, role) == trace["params"][key]
    buffers = sum(tensor.elements for tensor in net.tensors.values() if tensor.role == "buffer")
    # PyTorch keeps one counter of batches in each normalisation, which nothing reads at inference.
    assert buffers == trace["params"]["buffers"] - sum(o.op == "batch_norm" for o in net.operators)
    assert net.neurons == trace["neurons_per_sample"]
    work = net.work
    forward = trace["forward"]
    assert (work.macs, work.muls, work.adds) == (forward["macs"], forward["muls"], forward["adds"])
    assert dict(work.special) == forward["special"]


@pytest.mark.parametrize("name", TRACED)
def test_each_layer_equals_the_trace_of_pytorch(name: str) -> None:
    """Equality: the same module paths, and for each its parameters, work and bytes.

    Three modules move other bytes, and only these. PyTorch's max pool writes an int64 index beside each fp32 maximum
    (8 bytes more for 4). Its normalisation writes two saved statistics a channel. Its local response normalisation is
    seven operators that hand tensors to each other, here one.
    """
    trace, net = golden(name), build(name)
    found: dict[str, list[int]] = defaultdict(lambda: [0] * 8)
    for operator in net.operators:
        row, traffic, work = found[operator.path], net.traffic(operator), operator.total
        counts = (work.macs, work.muls, work.adds, sum(dict(work.special).values()))
        moved = (traffic.bytes_in, traffic.bytes_out, traffic.bytes_weights)
        found[operator.path] = [a + b for a, b in zip(row, (0, *counts, *moved), strict=True)]
    for tensor in net.parameters:
        found[tensor.name.rpartition(".")[0]][0] += tensor.elements
    assert set(found) == set(trace["per_layer"])
    for path, (module, *expected) in trace["per_layer"].items():
        row = found[path]
        if module == "MaxPool2d":
            expected[6] -= 2 * row[6]
        elif module == "BatchNorm2d":
            expected[6] -= 4 * row[0]
        elif module == "LocalResponseNorm":
            expected[5:7] = row[5:7]
        assert row == expected, path


# torchvision 0.2x documentation, "Table of all available classification weights": Params and GFLOPS (there one MAC is
# one FLOP). inception_v3 is listed with its auxiliary head, 3,326,696 parameters that inference does not run.
PUBLISHED = [
    ("alexnet", 61_100_840, 0.71), ("densenet121", 7_978_856, 2.83), ("densenet161", 28_681_000, 7.73),
    ("densenet169", 14_149_480, 3.36), ("densenet201", 20_013_928, 4.29), ("efficientnet_b0", 5_288_548, 0.39),
    ("efficientnet_b1", 7_794_184, 0.69), ("efficientnet_b2", 9_109_994, 1.09), ("efficientnet_b3", 12_233_232, 1.83),
    ("efficientnet_b4", 19_341_616, 4.39), ("efficientnet_b5", 30_389_784, 10.27),
    ("efficientnet_b6", 43_040_704, 19.07), ("efficientnet_b7", 66_347_960, 37.75), ("googlenet", 6_624_904, 1.5),
    ("inception_v3", 27_161_264 - 3_326_696, 5.71), ("mobilenet_v2", 3_504_872, 0.3),
    ("mobilenet_v3_large", 5_483_032, 0.22), ("mobilenet_v3_small", 2_542_856, 0.06), ("resnet101", 44_549_160, 7.8),
    ("resnet152", 60_192_808, 11.51), ("resnet18", 11_689_512, 1.81), ("resnet34", 21_797_672, 3.66),
    ("resnet50", 25_557_032, 4.09), ("resnext101_32x8d", 88_791_336, 16.41), ("resnext50_32x4d", 25_028_904, 4.23),
    ("shufflenet_v2_x0_5", 1_366_792, 0.04), ("shufflenet_v2_x1_0", 2_278_604, 0.14),
    ("shufflenet_v2_x1_5", 3_503_624, 0.3), ("shufflenet_v2_x2_0", 7_393_996, 0.58), ("squeezenet1_0", 1_248_424, 0.82),
    ("squeezenet1_1", 1_235_496, 0.35), ("vgg11", 132_863_336, 7.61), ("vgg11_bn", 132_868_840, 7.61),
    ("vgg13", 133_047_848, 11.31), ("vgg13_bn", 133_053_736, 11.31), ("vgg16", 138_357_544, 15.47),
    ("vgg16_bn", 138_365_992, 15.47), ("vgg19", 143_667_240, 19.63), ("vgg19_bn", 143_678_248, 19.63),
    ("wide_resnet101_2", 126_886_696, 22.75), ("wide_resnet50_2", 68_883_240, 11.4),
]  # fmt: skip


@pytest.mark.parametrize(("name", "params", "giga"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_parameters_and_macs_as_torchvision_documents_them(name: str, params: int, giga: float) -> None:
    """Published: torchvision's documentation, parameters exactly and MACs to the printed hundredth of 10⁹."""
    net = build(name)
    assert parameters(net) == params
    assert round(net.work.macs / 1e9, 2) == giga


@pytest.mark.parametrize(
    ("name", "macs"), [("efficientnet_b0", 385_814_752), ("densenet121", 2_834_161_664), ("googlenet", 1_498_376_192)]
)
def test_macs_to_the_last_digit(name: str, macs: int) -> None:
    """Equality: with closed forms from the papers' tables that share no code with the zoo."""
    assert build(name).work.macs == macs


def test_mobilenet_v1() -> None:
    """Published: Howard et al. 2017, table 4: 569 million mult-adds, 4.2 million parameters."""
    net = build("mobilenet")
    assert round(net.work.macs / 1e6) == 569
    assert round(parameters(net) / 1e6, 1) == 4.2


@pytest.mark.parametrize(("depth", "paper"), [("50", 3.8e9), ("101", 7.6e9), ("152", 11.3e9)])
def test_resnet_v1_puts_the_stride_first(depth: str, paper: float) -> None:
    """By hand: the first 1 x 1 of stages 2 to 4 makes a quarter of its pixels; He et al. 2015, table 1, agree to 2 %."""
    saved = sum(cin * cout * (side**2 - (side // 2) ** 2) for cin, cout, side in
                ((256, 128, 56), (512, 256, 28), (1024, 512, 14)))  # fmt: skip
    old, new = build(f"resnet{depth}-v1"), build(f"resnet{depth}")
    assert new.work.macs - old.work.macs == saved == 231_211_008
    assert parameters(new) == parameters(old)
    assert old.work.macs == pytest.approx(paper, rel=0.02)


def test_alexnet_of_2012_by_layer() -> None:
    """By hand: neurons, parameters and MACs of each layer, and the compares of all."""
    rows = {
        "features.0": (290_400, 34_944, 105_415_200), "features.4": (186_624, 307_456, 223_948_800),
        "features.8": (64_896, 885_120, 149_520_384), "features.10": (64_896, 663_936, 112_140_288),
        "features.12": (43_264, 442_624, 74_760_192), "classifier.0": (4_096, 37_752_832, 37_748_736),
        "classifier.3": (4_096, 16_781_312, 16_777_216), "classifier.6": (1_000, 4_097_000, 4_096_000),
    }  # fmt: skip
    net = build("alexnet-2012")
    for path, (neurons, params, macs) in rows.items():
        assert math.prod(shape(net, path)) == neurons
        assert sum(t.elements for t in net.parameters if t.name.rpartition(".")[0] == path) == params
        assert at(net, path).work.macs == at(net, path).work.adds == macs
    assert dict(net.work.special)["compare"] == 1_637_984


def test_alexnet_of_one_tower() -> None:
    """By hand: widths 64, 192, 384, 384, 256 and three products, biases included."""
    convs = [(3, 64, 11), (64, 192, 5), (192, 384, 3), (384, 384, 3), (384, 256, 3)]
    expected = sum(cin * cout * k * k + cout for cin, cout, k in convs)
    expected += sum(a * b + b for a, b in pairwise((9216, 4096, 4096, 1000)))
    net = build("alexnet-one-tower")
    assert parameters(net) == expected == 61_838_248
    assert any("alexnet-2012" in note for note in build("alexnet").notes)


def test_vgg19_shapes_after_each_pool() -> None:
    """By hand: each pool halves, the second block is 128 wide."""
    net = build("vgg19")
    pools = [net.tensors[o.outputs[0].tensor].shape[1:] for o in net.operators if o.op == "max_pool2d"]
    assert pools == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]


def test_resnet152_multiplications_and_additions() -> None:
    """By hand: without a bias a product of n has n - 1 additions; normalisation 1 and 1 an element."""
    net = build("resnet152")
    dots = [o.work for o in net.operators if o.work.macs]
    assert sum(work.adds for work in dots) == 11_491_072_512 == net.work.macs - net.neurons + 1000
    channels = sum(t.elements for t in net.parameters if t.role == "norm") // 2
    assert net.work.muls - 2 * channels == 11_536_182_784
    assert net.work.adds - 2 * channels == 11_526_871_040


def test_lenet5() -> None:
    """By hand: 156 + 2,416 + 48,120 + 10,164 + 850 parameters; the spec changes pools and activations only."""
    for name in ("lenet5", "lenet5:relu"):
        net = build(name)
        assert parameters(net) == 156 + 2_416 + 48_120 + 10_164 + 850 == 61_706
        assert net.work.macs == 117_600 + 240_000 + 48_000 + 10_080 + 840 == 416_520
    assert dict(build("lenet5").work.special) == {"tanh": 4_704 + 1_600 + 120 + 84}
    assert "tanh" not in dict(build("lenet5:relu").work.special)


PATHS = {
    "resnet18": "layer2.0.downsample.0.weight layer1.0.conv1.weight layer4.1.bn2.running_var fc.bias",
    "vgg16_bn": "features.0.weight features.41.running_mean classifier.6.bias",
    "mobilenet_v3_large": "features.0.0.weight features.4.block.2.fc1.weight features.1.block.1.0.weight classifier.3.bias",
    "efficientnet_b0": "features.1.0.block.1.fc2.bias features.7.0.block.3.1.weight features.8.0.weight classifier.1.weight",
    "densenet121": "features.denseblock1.denselayer6.conv2.weight features.transition3.norm.bias features.norm5.weight",
    "googlenet": "inception3a.branch2.1.conv.weight inception5b.branch4.1.bn.bias conv1.bn.weight fc.weight",
    "inception_v3": "Conv2d_1a_3x3.conv.weight Mixed_6b.branch7x7dbl_5.bn.weight Mixed_7c.branch3x3dbl_3b.conv.weight",
    "squeezenet1_1": "features.0.weight features.12.expand3x3.bias classifier.1.weight",
    "shufflenet_v2_x1_0": "stage2.0.branch1.2.weight stage4.3.branch2.6.bias conv5.0.weight conv1.1.running_var",
}  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
def test_module_paths_are_those_of_torchvision(name: str) -> None:
    """Published: names of torchvision's state dictionaries."""
    net = build(name)
    assert [path for path in PATHS[name].split() if path not in net.tensors] == []


def test_names_are_those_users_write() -> None:
    """Equality: an alias is the same network, no name is taken twice, every example can be built."""
    owners = defaultdict(set)
    for first, entry in SHELVES.items():
        for name in (first, *entry.aliases):
            owners[name.replace("-", "")].add(first)
    assert [name for name, firsts in owners.items() if len(firsts) > 1] == []
    for one, other in (("alexnet", "alexnet_tv"), ("alexnet-2012", "alexnet_orig"), ("mobilenet-v1", "mobilenet"),
                       ("resnet50", "resnet50-v1.5"), ("squeezenet1_0", "squeezenet1.0")):  # fmt: skip
        assert build(one).work == build(other).work
    for entry in SHELVES.values():
        assert entry.about
        assert not entry.example or build(entry.example).operators


DEFAULTS = {"mlp": small.MLP, "linear": small.LINEAR, "matmul": small.MATMUL, "conv": small.CONV,
            "depthwise": small.DEPTHWISE, "softmax": "softmax:10", "layer-norm": "layer-norm:768", "relu": "relu:5x7",
            "add": "add:5x7", "mul": "mul:5x7"}  # fmt: skip


@pytest.mark.parametrize("name", SHELVES)
def test_a_batch_of_two_is_two_samples(name: str) -> None:
    """Metamorphic: twice the MACs and activation bytes; the same parameters and neurons of a sample."""
    text = DEFAULTS.get(name, name)
    one, two = build(text, 1), build(text, 2)
    assert two.work.macs == 2 * one.work.macs
    assert parameters(two) == parameters(one)
    assert two.neurons == one.neurons
    for side in ("bytes_in", "bytes_out"):
        buffers = 4 * sum(t.elements for t in one.tensors.values() if t.role == "buffer") * (side == "bytes_in")
        first, second = (sum(getattr(net.traffic(o), side) for o in net.operators) for net in (one, two))
        assert second - buffers == 2 * (first - buffers)


@pytest.mark.parametrize("name", SHELVES)
def test_every_tensor_is_written_before_it_is_read(name: str) -> None:
    """Bound: an operator reads inputs, parameters or what an earlier one wrote; outputs exist; accesses fit."""
    net = build(DEFAULTS.get(name, name))
    written = {t.name for t in net.tensors.values() if t.role != "activation"}
    for operator in net.operators:
        assert all(net.tensors[access.tensor].root in written for access in operator.inputs)
        assert all(access.dims <= set(operator.extents) for access in (*operator.inputs, *operator.outputs))
        assert operator.work.macs in (0, operator.points)
        written |= {access.tensor for access in operator.outputs}
    assert net.outputs
    assert set(net.outputs) <= written


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "resnet18", "densenet121", "googlenet", "squeezenet1_0",
                                  "mobilenet_v2", "efficientnet_b0", "shufflenet_v2_x1_0"])  # fmt: skip
def test_image_size_is_an_argument(name: str) -> None:
    """Metamorphic: more pixels, more MACs, the same parameters; height and width apart."""
    small_, tall, wide = build(name), build(name, x=(1, 3, 448, 224)), build(name, x=(1, 3, 224, 448))
    assert parameters(small_) == parameters(tall) == parameters(wide)
    assert small_.work.macs < tall.work.macs == wide.work.macs


def test_style_transfer() -> None:
    """By hand: all VGG-19 convolutions; less conv5_2 to conv5_4, plus Gram products C²·H·W; Johnson's 1,679,235."""
    assert build("style-transfer").work.macs == 19_508_428_800
    grams = sum(c * c * side * side for c, side in ((64, 224), (128, 112), (256, 56), (512, 28), (512, 14)))
    assert build("style-transfer:gatys").work.macs == 19_508_428_800 - 3 * 512 * 512 * 9 * 14 * 14 + grams
    fast = build("style-transfer:fast")
    convs = [(3, 32, 9), (32, 64, 3), (64, 128, 3), *[(128, 128, 3)] * 10, (128, 64, 3), (64, 32, 3), (32, 3, 9)]
    norms = 2 * (32 + 64 + 128 + 10 * 128 + 64 + 32)
    assert parameters(fast) == sum(a * b * k * k + b for a, b, k in convs) + norms == 1_679_235
    assert fast.tensors[fast.outputs[0]].shape == (1, 3, 256, 256)


def test_dcgan() -> None:
    """By hand: taps of 4 x 4 without bias, two numbers a normalised channel; 64 x 64 images; one probability."""
    taps = 100 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3
    g, d = build("dcgan"), build("dcgan-discriminator")
    assert parameters(g) == 16 * taps + 2 * (512 + 256 + 128 + 64) == 3_576_704
    assert g.tensors[g.outputs[0]].shape == (1, 3, 64, 64)
    pixels = (100 * 512, 1), (512 * 256, 16), (256 * 128, 64), (128 * 64, 256), (64 * 3, 1024)
    assert g.work.macs == 16 * sum(channels * places for channels, places in pixels)
    taps = 3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512
    assert parameters(d) == 16 * taps + 2 * (128 + 256 + 512) == 2_765_568
    assert d.tensors[d.outputs[0]].elements == 1


def test_detectors() -> None:
    """By hand: convolutions 665,784,864; two products 54,525,952; class and box products 4096 · 105 for a proposal."""
    convs, head, last = 665_784_864, 9216 * 4096 + 4096 * 4096, 4096 * (21 + 84)
    assert build("rcnn").work.macs == 2000 * (convs + head) == 1_440_621_632_000
    assert build("rcnn:svm").work.macs - build("rcnn").work.macs == 2000 * 4096 * 21 == 172_032_000
    assert build("fast-rcnn").work.macs == convs + 2000 * (head + last) == 110_577_848_864
    without = build("faster-rcnn:no-rpn").work.macs
    assert without == convs + 300 * (head + last) == 17_152_594_464
    net = build("faster-rcnn")
    proposing = sum(o.total.macs for o in net.operators if o.path.startswith("rpn."))
    assert net.work.macs - without == proposing == 169 * 256 * (9 * 256 + 18 + 36)
    assert any("rpn" in note for note in net.notes)


def test_unet_cat_reads_the_cropped_map() -> None:
    """By hand: the last concatenation joins two maps of 64 x 392 x 392, the kept one cropped from 568."""
    net = build("unet")
    last = [o for o in net.operators if o.op == "concat"][-1]
    assert [access.elements for access in last.inputs] == [64 * 392 * 392] * 2
    assert net.tensors[net.outputs[0]].shape == (1, 2, 388, 388)


@pytest.mark.parametrize(
    ("text", "inputs", "word"),
    [
        ("vgg16", (1, 3, 10, 10), "--input x=1,3,224,224"), ("resnet50", (1, 224, 224, 3), "3 channels, not 224"),
        ("unet", (1, 1, 50, 50), "--input x=1,1,572,572"), ("inception-v3", (1, 3, 32, 32), "larger input"),
        ("lenet5", (1, 1, 0, 28), "below 1"), ("resnet50:fast", (), "no variant 'fast'"),
        ("style-transfer:slow", (), "gatys, fast"), ("faster-rcnn:rpn", (), "faster-rcnn:no-rpn"),
        ("rcnn:x", (), "rcnn:svm"),
    ],
)  # fmt: skip
def test_messages(text: str, inputs: tuple[int, ...], word: str) -> None:
    """Message: what is wrong, and an example that would pass."""
    with pytest.raises(InputError) as error:
        build(text, **({"x": inputs} if inputs else {}))
    assert word in str(error.value)
    assert error.value.example


def test_batch_and_input_must_agree() -> None:
    """Message: a batch of 3 and an input of 2 samples; a sequence length is noted, not obeyed."""
    with pytest.raises(InputError, match="batch is 3"):
        build("resnet18", 3, x=(2, 3, 64, 64))
    noted = BY_NAME["resnet18"].build("resnet18", Options(seq=5))
    assert any("no sequence" in note for note in noted.notes)
