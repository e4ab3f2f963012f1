"""Forward and backward of 27 networks against traces of PyTorch's autograd: MACs, muls, adds, special, bytes."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from picojoule.frontends.zoo import read_zoo
from picojoule.training import training_step
from picojoule.workload import Graph, Workload, ops

DATA = Path(__file__).parents[1] / "data"
IMAGES = dict.fromkeys(
    ("alexnet_tv", "alexnet_orig", "vgg16", "vgg19", "resnet18", "resnet50", "resnet152", "mobilenet_v2", "unet")
)
CELLS = {
    "rnn1": "rnn:128x256:steps=50:head=10",
    "lstm1": "lstm:128x256:steps=50:head=10",
    "lstm2": "lstm:128x256:layers=2:steps=50:head=10",
    "bilstm2": "lstm:128x256:layers=2:bi:steps=50:head=10",
    "gru1": "gru:128x256:steps=50:head=10",
    "gru2": "gru:128x256:layers=2,steps=50,head=10",
}
FLOATING = {**{name: name for name in IMAGES}, **CELLS, "vit_b16_sdpa": "vit-b16", "vit_b16_mha": "vit-b16:mha",
            "vit_b16_matmul": "vit-b16:matmul"}  # fmt: skip
TOKENS = {
    "tied": ("tied", 16), "bert_sdpa": ("bert-base", 128), "bert_eager": ("bert-base:eager", 128),
    "gpt2_sdpa": ("gpt2", 128), "gpt2_eager": ("gpt2:eager", 128), "llama3_8b": ("llama3-8b", 2048),
    "llama3_8b_eager": ("llama3-8b:eager", 2048), "mixtral_8x7b": ("mixtral-8x7b", 2048),
    "mamba_130m": ("mamba-130m", 64),
}  # fmt: skip
ALL = {**FLOATING, **{name: spec for name, (spec, _) in TOKENS.items()}}
BERT = ("bert.embeddings.LayerNorm", "*.self:softmax", "*.output.dense")
GPT = ("transformer:add", "*.attn:softmax", "*.attn.c_proj", "*.mlp.c_proj")
# Autograd writes the gradient of an indexed slice into zeros and adds; of split and unbound parts it joins.
INDEXED = {"llama3_8b": "*self_attn", "llama3_8b_eager": "*self_attn", "mixtral_8x7b": "*self_attn",
           "vit_b16_mha": "*self_attention"}  # fmt: skip


@cache
def golden(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((DATA / "counts_train" / f"{name}.json").read_text())
    if data["eval"] == "train":  # the file says that both modes trace alike
        data["eval"] = data["train"]
    return data


@cache
def forward(name: str) -> Workload:
    batch = 4 if name in CELLS else 2 if name == "tied" else 1
    return read_zoo(ALL[name], batch=batch, seq=TOKENS[name][1] if name in TOKENS else None)


def dropout(name: str) -> tuple[str, ...]:
    """Where the traced model drops out; the zoo's networks, read for inference, do not say."""
    net = forward(name)
    last = [o.path for o in net.operators if o.op == "relu"][-2:]
    pooled = [o.path for o in net.operators if o.op.startswith("adaptive")]
    if name == "alexnet_tv":
        return (*pooled, last[0])
    if name in ("alexnet_orig", "vgg16", "vgg19"):
        return tuple(last)
    if name == "mobilenet_v2":
        return ("*:mean",)
    return BERT if name.startswith("bert") else GPT if name.startswith("gpt2") else ()


@cache
def step(name: str, mode: str) -> Workload:
    drops = dropout(name) if mode == "train" else ()
    filled = (INDEXED[name],) if name in INDEXED else ()
    return training_step(forward(name), optimiser=None, mode=mode, dropout=drops, filled_slices=filled)  # type: ignore[arg-type]


def channels(net: Workload) -> tuple[int, int, int]:
    """Normalisations of batches, their channels, their elements."""
    norms = [o for o in net.operators if o.op == "batch_norm"]
    return (len(norms), sum(net.tensors[o.inputs[1].tensor].elements for o in norms),
            sum(o.points for o in norms))  # fmt: skip


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", ALL)
def test_macs_and_muls_are_those_of_autograd(name: str, mode: str) -> None:
    """Equality: every MAC forward and backward; multiplications but for `eval norm`.

    eval norm: the trace prices a fixed normalisation's backward pass like one over the batch, 4n + 3C muls; without
    gradients of the statistics it is 2n + 2C.
    """
    work, expected = step(name, mode).work, golden(name)[mode]
    _, c, n = channels(step(name, mode)) if mode == "eval" else (0, 0, 0)
    assert work.macs == expected["macs"]
    assert work.muls == expected["muls"] - (2 * n + c)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", ALL)
def test_adds_are_those_of_autograd(name: str, mode: str) -> None:
    """Equality: additions but for three conventions.

    eval norm: 3n - C adds, not 5n - 2C. batch counter: PyTorch adds 1 to a counter of batches in each normalisation.
    scan slices: Mamba's 24 layers take 64 tokens by index from two [1536, 64, 16] and one [64, 16]; autograd adds 63
    tensors full of zeros to the first for each.
    """
    work, expected = step(name, mode).work, golden(name)[mode]
    norms, c, n = channels(step(name, mode))
    adds = expected["adds"] - (norms if mode == "train" else 2 * n - c)
    if name == "mamba_130m":
        adds -= 24 * 63 * (2 * 1536 * 64 * 16 + 64 * 16)
    assert work.adds == adds


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", ALL)
def test_special_functions_are_those_of_autograd(name: str, mode: str) -> None:
    """Equality: each special function by name; a fixed normalisation makes its C roots again in the backward pass."""
    special, expected = dict(step(name, mode).work.special), dict(golden(name)[mode]["special"])
    _, c, _ = channels(step(name, mode))
    if mode == "eval" and c:
        expected["rsqrt"] += c
    assert special == expected


BYTES = ("alexnet_tv", "vgg16", "vgg19", "resnet18", "resnet50", "resnet152", "mobilenet_v2", "tied", *CELLS)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", BYTES)
def test_bytes_are_those_of_autograd(name: str, mode: str) -> None:
    """Equality: bytes in, out and of weights, but for differences that are known to the byte.

    loss: PyTorch's ones_like is charged for the 4 B of the loss. three products: PyTorch's one operator reads the
    gradient once, three operators three times; it reads a first layer's weight, which nobody needs. statistics: running
    ones are written in training, counters left out; a fixed normalisation saves none; backward PyTorch is handed the
    running and the saved ones, of which one pair is used. fused dropout: 12n B in, 4n out
    less. clones: before ReLU6 and the GRU's products in place. one join: of both directions of a layer.
    """
    net, expected = step(name, mode), golden(name)[mode]
    into = out = weights = 0
    for operator in net.operators:
        traffic = net.traffic(operator)
        into, out, weights = into + traffic.bytes_in, out + traffic.bytes_out, weights + traffic.bytes_weights
    unread, known_in, known_out = _differences(name, mode, net)
    assert weights - expected["bytes_weights"] == -unread
    assert into - expected["bytes_in"] == known_in - 4
    assert out - expected["bytes_out"] == known_out


def _differences(name: str, mode: str, net: Workload) -> tuple[int, int, int]:
    convolutions = [o for o in net.operators if o.op == "conv2d"]
    products = [o for o in net.operators if o.op.startswith("conv2d_backward")]
    unread = 4 * net.tensors[convolutions[0].inputs[1].tensor].elements if convolutions else 0
    into = sum(4 * o.inputs[0].elements for o in products) - sum(4 * o.outputs[0].elements for o in convolutions)
    norms, c, _ = channels(net)
    into -= 8 * norms * (mode == "train") + 8 * c
    out = 8 * c - 8 * norms if mode == "train" else -8 * c
    dropped = sum(o.points for o in net.operators if o.op == "dropout")
    cloned = sum(4 * o.points for o in net.operators if o.op == "relu6")
    cloned += sum(2 * 4 * o.points * o.repeats for o in net.operators if o.op == "sub")
    joined = 4 * 50 * 4 * 512 if name == "bilstm2" else 0
    return unread, into - 12 * dropped - cloned + joined, out - 4 * dropped - cloned + joined


def test_nothing_is_left_uncounted() -> None:
    """Equality: every operator of the 27 networks has a rule."""
    for name in ALL:
        assert step(name, "train").uncounted == ()


SEEDS = {"alexnet_orig": 2_067_805_248, "alexnet_tv": 2_072_288_640, "vgg19": 58_809_483_264,
         "resnet152": 34_422_865_920, "resnet50": 12_149_538_816}  # fmt: skip


@pytest.mark.parametrize("name", SEEDS)
def test_training_macs_of_a_sample(name: str) -> None:
    """By hand: 3 times forward but for the first layer, which sends no gradient to the image."""
    net = forward(name)
    first = next(o for o in net.operators if o.work.macs)
    assert training_step(net).work.macs == SEEDS[name] == 3 * net.work.macs - first.work.macs


def test_language_models_take_three_times_forward() -> None:
    """By hand: the first layer is a table look-up, so every product has both gradients."""
    for name in ("llama3_8b", "gpt2_sdpa", "bert_sdpa", "mixtral_8x7b"):
        assert step(name, "train").work.macs == 3 * forward(name).work.macs


# Kept back: traced the same way after the rules were written. HuggingFace freezes Whisper's sinusoidal positions.
LATER: dict[str, tuple[int, tuple[str, ...], tuple[int, int, int], dict[str, int]]] = {
    "distilbert": (128, (), (25_988_235_264, 26_031_296_000, 25_979_120_837),
                   {"rsqrt": 1792, "compare": 1_170_432, "exp": 3_637_248, "div": 1_179_648, "erf": 4_915_200}),
    "t5-small": (128, (), (24_134_025_216, 24_162_537_472, 24_107_802_879),
                 {"rsqrt": 4096, "compare": 8_828_928, "abs": 16_384, "div": 4_521_984, "log": 32_768,
                  "select": 1_605_632, "exp": 2_359_296, "neg": 16_384}),
    "whisper-tiny": (32, ("*encoder.embed_positions*",), (63_595_008_000, 63_889_156_024, 63_776_368_075),
                     {"erf": 22_281_216, "rsqrt": 13_916, "compare": 55_139_040, "exp": 66_317_184,
                      "div": 55_176_576, "select": 4096}),
}  # fmt: skip


@pytest.mark.parametrize("name", LATER)
def test_networks_kept_back(name: str) -> None:
    """Equality: MACs, muls, adds and special functions of PyTorch's autograd on three networks not looked at before."""
    seq, frozen, counts, special = LATER[name]
    work = training_step(read_zoo(name, seq=seq), mode="eval", optimiser=None, frozen=frozen).work
    assert (work.macs, work.muls, work.adds) == counts
    assert dict(work.special) == special


def test_a_mixed_net_kept_back() -> None:
    """Equality: dilated and grouped convolutions with shared weights, a grouped transposed one, tanh, gate, average.

    PyTorch 2.13 over a batch of 2 in training; 1 addition less for the counter of batches.
    """
    g = Graph("mixed", batch=2)
    x, p = g.input("x", (2, 3, 17, 19)), g.parameter
    y = ops.conv(g, x, p("c", (12, 3, 3, 3)), p("cb", (12,), "bias"), stride=(2, 2), padding=((1, 1), (1, 1)))
    scale, shift = p("s", (12,), "norm"), p("h", (12,), "norm")
    y = ops.unary(g, "tanh", ops.batch_norm(g, y, scale, shift, p("m", (12,), "buffer"), p("v", (12,), "buffer")))
    weight = p("d", (24, 3, 3, 3))
    a, b = (ops.conv(g, y, weight, padding=((2, 2), (2, 2)), dilation=(2, 2), groups=4) for _ in range(2))
    z = ops.pool(g, ops.binary(g, "mul", a, ops.unary(g, "sigmoid", b)), "avg", (2, 2), stride=(2, 2))
    z = ops.conv_transpose(g, z, p("t", (24, 2, 3, 3)), p("tb", (6,), "bias"), stride=(2, 2),
                           padding=((1, 1), (1, 1)), groups=3)  # fmt: skip
    z = ops.reduce(g, "mean", ops.unary(g, "relu", z), (2, 3))
    g.output(ops.softmax(g, ops.linear(g, z, p("l", (5, 6)), p("lb", (5,), "bias"))))
    work = training_step(g.workload(), optimiser=None).work
    assert (work.macs, work.muls, work.adds) == (868_500, 909_464, 891_627 - 1)
    assert dict(work.special) == {"rsqrt": 12, "tanh": 2160, "sigmoid": 4320, "compare": 1520, "exp": 10, "div": 766}
