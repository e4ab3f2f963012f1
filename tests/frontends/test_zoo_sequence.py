"""Sequence models of the zoo, against traces of PyTorch, published sizes and laws of scaling."""

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from picojoule.frontends.zoo import _llama, _t5, llm, recurrent, transformers
from picojoule.frontends.zoo._entry import Options
from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Workload, ops, repeat_layer

COUNTS = Path(__file__).parents[1] / "data" / "counts"
MODELS = {**recurrent.MODELS, **transformers.MODELS, **llm.MODELS}
TRACES = {
    "rnn1": "rnn:128x256:steps=50:head=10",
    "lstm1": "lstm:128x256:steps=50:head=10",
    "lstm2": "lstm:128x256:layers=2:steps=50:head=10",
    "bilstm2": "lstm:128x256:layers=2:bi:steps=50:head=10",
    "gru1": "gru:128x256:steps=50:head=10",
    "gru2": "gru:128x256:layers=2,steps=50,head=10",
    "tied": "tied",
    "bert_sdpa": "bert-base",
    "bert_eager": "bert-base:eager",
    "distilbert": "distilbert",
    "vit_b16_sdpa": "vit-b16",
    "vit_b16_mha": "vit-b16:mha",
    "vit_b16_matmul": "vit-b16:matmul",
    "t5_base": "t5-base",
    "whisper_base": "whisper-base",
    "gpt2_sdpa": "gpt2",
    "gpt2_eager": "gpt2:eager",
    "gpt2_medium": "gpt2-medium",
    "llama3_8b": "llama3-8b",
    "llama3_8b_eager": "llama3-8b:eager",
    "llama3_70b": "llama3-70b",
    "mistral_7b": "mistral-7b",
    "mixtral_8x7b": "mixtral-8x7b",
    "mamba_130m": "mamba-130m",
}
# Paths on which the trace also books operators of submodules whose weight or function it calls directly.
CALLERS = {"vit_b16_mha": ".self_attention", "mamba_130m": (".mixer", "?")}


def build(text: str, batch: int | None = None, seq: int | None = None, **inputs: tuple[int, ...]) -> Workload:
    name, _, spec = text.partition(":")
    return MODELS[name].build(text, Options(batch, seq, inputs, spec))


@cache
def golden(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((COUNTS / f"{name}.json").read_text())
    return data


@cache
def traced(name: str) -> Workload:
    """The zoo's model over the inputs of the trace."""
    first = golden(name)["inputs"][0]
    floating = TRACES[name].partition(":")[0] in (*recurrent.MODELS, "vit-b16", "whisper-base")
    return build(TRACES[name], first[0], None if floating else first[1])


def roles(net: Workload) -> dict[str, int]:
    named = {"weight": "weights", "bias": "biases", "norm": "norm", "embedding": "embedding", "buffer": "buffers"}
    found = dict.fromkeys(named.values(), 0)
    for tensor in net.tensors.values():
        if tensor.role in named and not tensor.base:
            found[named[tensor.role]] += tensor.elements
    return found


def parameters(net: Workload) -> int:
    return sum(tensor.elements for tensor in net.parameters)


@pytest.mark.parametrize("name", TRACES)
def test_work_is_that_of_the_trace(name: str) -> None:
    """Equality: every MAC, multiplication, addition and special operation of PyTorch's forward pass."""
    forward = golden(name)["forward"]
    work = traced(name).work
    assert (work.macs, work.muls, work.adds) == (forward["macs"], forward["muls"], forward["adds"])
    assert dict(work.special) == forward["special"]


@pytest.mark.parametrize("name", TRACES)
def test_parameters_are_those_of_the_trace(name: str) -> None:
    """Equality: parameters by class, tied weights once, buffers apart; neurons of one sample."""
    params = golden(name)["params"]
    assert parameters(traced(name)) == params["total"]
    assert roles(traced(name)) == {key: count for key, count in params.items() if key != "total"}
    assert traced(name).neurons == golden(name)["neurons_per_sample"]


@pytest.mark.parametrize("name", TRACES)
def test_paths_are_those_of_the_trace(name: str) -> None:
    """Equality: the work of each module path, layers 0 and 1; the others are copies of layer 1."""
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for operator in traced(name).operators:
        work = operator.total
        counts = (work.macs, work.muls, work.adds, sum(count for _, count in work.special))
        found[operator.path] = [a + b for a, b in zip(found[operator.path], counts, strict=True)]
    for path, counts in golden(name)["per_path"].items():
        if not path.endswith(CALLERS.get(name, "-")):
            assert found[path] == counts, path


@pytest.mark.parametrize("name", TRACES)
def test_bytes_are_those_of_the_trace(name: str) -> None:
    """Equality: bytes in, out and of weights, but for three differences that are known to the byte.

    layer_norm: PyTorch also writes the mean and the scale of each row (8 bytes), for a backward pass. Whisper: the
    trace reads the whole table of positions, the zoo the rows it gathers. Mixtral was traced in bfloat16 with casts.
    """
    net, forward = traced(name), golden(name)["forward"]
    traffic = [net.traffic(operator) for operator in net.operators]
    rows = sum(o.points // o.space[-1][1] for o in net.operators if o.op == "layer_norm")
    unread = 4 * 512 * (448 - 32) if name == "whisper_base" else 0
    assert sum(t.bytes_weights for t in traffic) + unread == forward["bytes_weights"]
    if name != "mixtral_8x7b":
        assert sum(t.bytes_in for t in traffic) == forward["bytes_in"]
        assert sum(t.bytes_out for t in traffic) + 8 * rows == forward["bytes_out"]


@pytest.mark.parametrize(
    ("cell", "one_bias", "two_biases", "macs"),
    [("rnn", 98_560, 98_816, 98_304), ("gru", 295_680, 296_448, 294_912), ("lstm", 394_240, 395_264, 393_216)],
)
def test_one_step_of_a_cell(cell: str, one_bias: int, two_biases: int, macs: int) -> None:
    """By hand: gates · H · (I + H) products a step, one or two biases of gates · H."""
    assert parameters(build(f"{cell}:128x256:onebias")) == one_bias
    net = build(f"{cell}:128x256")
    assert (parameters(net), net.work.macs) == (two_biases, macs)
    assert build(f"{cell}:128x256", seq=7).work.macs == 7 * macs
    assert build(f"{cell}:128X256:steps=7", x=(2, 5, 128)).work.macs == 2 * 5 * macs


@pytest.mark.parametrize(
    ("n", "projections", "attention", "feed_forward"),
    [
        (128, 301_989_888, 25_165_824, 603_979_776),
        (512, 1_207_959_552, 402_653_184, 2_415_919_104),
        (3072, 7_247_757_312, 14_495_514_624, 14_495_514_624),
    ],
)
def test_shares_of_a_block(n: int, projections: int, attention: int, feed_forward: int) -> None:
    """By hand: 4nd², 2n²d and 8nd² MACs; attention equals the projections at n = 2d, the feed-forward at n = 4d."""
    shares: dict[str, int] = defaultdict(int)
    for operator in build(f"transformer-block:n={n},d=768").operators:
        if operator.work.macs:
            module = "attention" if operator.op.startswith("attention") else operator.path.split(".")[2]
            shares["ffn" if module.startswith("linear") else module] += operator.work.macs
    assert (shares["self_attn"], shares["attention"], shares["ffn"]) == (projections, attention, feed_forward)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("bert-large", 335_174_458), ("distilbert", 66_985_530), ("gpt2", 124_439_808), ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080), ("gpt2-xl", 1_557_611_200), ("t5-small", 60_506_624), ("t5-base", 222_903_552),
        ("t5-large", 737_668_096), ("t5-3b", 2_851_598_336), ("t5-11b", 11_307_321_344),
        ("whisper-tiny", 37_760_640), ("whisper-base", 72_593_920), ("whisper-small", 241_734_912),
        ("whisper-medium", 763_857_920), ("whisper-large", 1_543_304_960), ("whisper-large-v3", 1_543_490_560),
        ("vit-b16", 86_567_656), ("vit-b32", 88_224_232), ("vit-l16", 304_326_632), ("vit-l32", 306_535_400),
        ("vit-h14", 632_045_800), ("vit-s16", 22_050_664), ("vit-ti16", 5_717_416),
        ("llama2-7b", 6_738_415_616), ("llama2-13b", 13_015_864_320), ("llama2-70b", 68_976_648_192),
        ("llama3-8b", 8_030_261_248), ("llama3-70b", 70_553_706_496), ("llama3-405b", 405_853_388_800),
        ("llama3.2-1b", 1_235_814_400), ("llama3.2-3b", 3_212_749_824), ("mistral-7b", 7_241_732_096),
        ("mixtral-8x7b", 46_702_792_704), ("mamba-130m", 129_135_360), ("mamba-370m", 371_516_416),
        ("mamba-790m", 793_204_224), ("mamba-1.4b", 1_372_178_432), ("mamba-2.8b", 2_768_345_600),
    ],
)  # fmt: skip
def test_published_checkpoints(text: str, count: int) -> None:
    """Published: parameters of the checkpoints on the Hugging Face hub and in torchvision, tied weights once."""
    assert parameters(build(text)) == count


@pytest.mark.parametrize(
    ("text", "millions", "digits"),
    [("gpt3-175b", 174_600, -2), ("transformer-big", 214, 0)],
)
def test_published_tables(text: str, millions: int, digits: int) -> None:
    """Published: 174,600 M in table D.1 of Brown et al. 2020; Vaswani et al. 2017 print 213 M for big, 0.5 % less."""
    assert round(parameters(build(text)) / 1e6, digits) == millions


def test_published_transformer_base() -> None:
    """Bound: Vaswani et al. 2017 print 65 M for base; their table of 37,000 words is itself rounded."""
    assert 62e6 < parameters(build("transformer")) < 66e6


@pytest.mark.parametrize(
    ("text", "seq", "macs"),
    [
        ("t5-small", None, 8_044_675_072),
        ("whisper-tiny", None, 21_290_496_000),
        ("bert-base", None, 14_249_558_016),
        ("gpt2", None, 16_114_089_984),
        ("llama3-405b", 8192, 3_584_579_705_241_600),
    ],
)
def test_macs_by_closed_forms(text: str, seq: int | None, macs: int) -> None:
    """By hand: sums of rows times the two sizes of every matrix, and twice S · T · width for each attention."""
    assert build(text, seq=seq).work.macs == macs


@pytest.mark.parametrize("text", [*(n for n in MODELS if n not in recurrent.MODELS), "lstm:7x5:layers=3:bi:steps=4"])
def test_batch_doubles_work(text: str) -> None:
    """Metamorphic: a batch of two has twice the MACs, the same parameters and the same neurons a sample."""
    one, two = build(text, batch=1), build(text, batch=2)
    assert two.work.macs == 2 * one.work.macs
    assert parameters(two) == parameters(one)
    assert two.neurons == one.neurons


@pytest.mark.parametrize("text", ["bert-base", "gpt2:eager", "llama3-8b", "mixtral-8x7b", "transformer-encoder"])
def test_length_doubles_projections_and_quadruples_attention(text: str) -> None:
    """Metamorphic: linear layers follow the length, attention its square."""
    small, large = build(text, seq=64), build(text, seq=128)
    for part, factor in (("attention", 4), ("", 2)):
        macs = [
            sum(o.work.macs for o in net.operators if o.op.startswith("attention") == bool(part))
            for net in (small, large)
        ]
        assert macs[1] == factor * macs[0]


def test_variants_agree_on_macs() -> None:
    """Metamorphic: how attention is written changes no MAC and no parameter."""
    for name, variants in {"vit-b16": ("mha", "matmul", "einsum"), "t5-small": ("eager",), "gpt2": ("eager",)}.items():
        nets = [build(f"{name}:{variant}") for variant in variants]
        assert {net.work.macs for net in nets} == {build(name).work.macs}
        assert {parameters(net) for net in nets} == {parameters(build(name))}


@pytest.mark.parametrize("text", ["llama3.2-1b", "t5-small", "t5-small:eager", "mixtral-8x7b", "gpt2:eager"])
def test_copied_layers_equal_recorded_ones(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equality: the stack that copies layer 1 gives the same tensors and operators as one that records each layer."""

    def record(g: Graph, scope: str, count: int, x: Tensor, layer: Callable[[Tensor], Tensor]) -> Tensor:
        for index in range(count):
            with g.scope(scope, index):
                x = layer(x)
        return x

    copied = build(text)
    for module in ("_llama", "_t5", "_gpt"):
        monkeypatch.setattr(f"picojoule.frontends.zoo.{module}.repeat_layer", record)
    recorded = build(text)
    assert list(copied.tensors.items()) == list(recorded.tensors.items())
    assert copied == recorded


def test_repeat_layer_refuses_foreign_names() -> None:
    """Message: a layer that makes a tensor outside its own scope cannot be copied."""
    g = Graph("net")
    x = g.input("x", (1, 4))
    shared = ops.unary(g, "relu", x, name="shared")
    with pytest.raises(ValueError, match="not named under it"):
        repeat_layer(g, "layers", 3, x, lambda y: ops.binary(g, "add", y, g.view(shared, (1, 4))))


def test_large_models_build_fast() -> None:
    """Bound: 126 layers of Llama 3 405B are recorded in well under a second."""
    start = time.perf_counter()
    build("llama3-405b", seq=8192)
    assert time.perf_counter() - start < 1.0


def test_masks_and_positions_have_their_own_kinds() -> None:
    """By hand: without masks and positions, GPT-2's additions are those of a formula on paper."""
    net = build("gpt2", seq=16)
    s, d, words = 16, 768, 50257
    linear = 12 * 12 * s * d * d  # each with a bias: as many additions as products
    attention = 12 * (2 * s * s * d - 12 * s * s - s * d) + 12 * 12 * s * (2 * s - 1)
    rest = 12 * (2 * s * d + 2 * s * 4 * d) + 25 * s * (4 * d - 1) + s * d + s * words * (d - 1)
    plain = [o for o in net.operators if o.kind not in ("mask", "position")]
    assert sum(o.work.adds for o in plain) == linear + attention + rest
    assert {o.op for o in net.operators if o.kind == "mask"} == {"ones", "tril", "scalar", "where", "add"}


def test_experts_read_only_what_tokens_can_reach() -> None:
    """By hand: one token reaches two of eight experts of 3 · 4096 · 14336 weights, a hundred tokens all of them."""
    for seq, reached in ((1, 2), (100, 8)):
        net = build("mixtral-8x7b", seq=seq)
        read = sum(net.traffic(o).bytes_weights for o in net.operators if o.op == "grouped_matmul")
        assert read == 32 * reached * 3 * 4096 * 14336 * 4


def test_causal_halves_are_told() -> None:
    """By hand: GPT-2 over 128 tokens has 12 · 2 · 128² · 768 causal MACs, 129/256 of them visible; T5's decoder half."""
    dense = 12 * 2 * 128 * 128 * 768
    expected = 16_114_089_984 - dense + dense * 129 // 256
    assert any(f"halved: {expected:,} MACs" in note for note in build("gpt2").notes)
    dense = 6 * 2 * 128 * 128 * 512
    expected = 8_044_675_072 - dense + dense * 129 // 256
    assert any(f"halved: {expected:,} MACs" in note for note in build("t5-small").notes)


def test_tied_heads_and_windows_are_told() -> None:
    """Message: what is tied, counted dense or not applied is said in the notes."""
    assert any("tied" in note for note in build("llama3.2-1b").notes)
    assert any("dense" in note for note in build("llama3-8b").notes)
    assert any("4096" in note for note in build("mistral-7b", seq=5000).notes)
    assert not any("4096" in note for note in build("mistral-7b").notes)
    assert any("banded" in note for note in build("gpt3-175b").notes)


@pytest.mark.parametrize(
    ("text", "seq", "inputs", "message"),
    [
        ("lstm", None, {}, "INPUTxHIDDEN"),
        ("lstm:0x4", None, {}, "INPUTxHIDDEN"),
        ("gru:8x8:layer=2", None, {}, "layer=2"),
        ("gru:8x8:layers=0", None, {}, "layers=0"),
        ("bert-base:flash", None, {}, "flash"),
        ("bert-base", 513, {}, "512"),
        ("gpt2", None, {"input_ids": (1, 2000)}, "1024"),
        ("gpt2", None, {"ids": (1, 20)}, "ids"),
        ("t5-small", None, {"input_ids": (1, 20), "decoder_input_ids": (2, 20)}, "batch"),
        ("t5-small", None, {"input_ids": (20,)}, "input_ids"),
        ("whisper-tiny", None, {"input_features": (1, 128, 3000)}, "80 mels"),
        ("whisper-tiny", 449, {}, "448"),
        ("vit-b16", None, {"x": (1, 3, 8, 8)}, "16 pixels"),
        ("transformer-block:d=100,heads=3", None, {}, "divide"),
    ],
)
def test_errors_say_what_to_write(text: str, seq: int | None, inputs: dict[str, Any], message: str) -> None:
    """Message: a wrong spec, length or input names itself, or what is expected instead."""
    with pytest.raises(InputError) as caught:
        build(text, seq=seq, **inputs)
    assert message in str(caught.value)


def test_sizes_are_plain_records() -> None:
    """Round trip: a size with one field changed builds another network through the same builder."""
    small = replace(_t5.Size(512, 64, 2048, 6, 8), layers=1)
    assert _t5.t5(small, "t5", Options()).work.macs < build("t5-small").work.macs
    tiny = _llama.Size(64, 128, 3, 4, 2, 16, 100, experts=4)
    assert parameters(_llama.llama(tiny, "tiny", Options(seq=8))) == 2 * 6_400 + 3 * (12_288 + 256 + 98_304 + 128) + 64
