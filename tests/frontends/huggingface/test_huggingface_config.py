"""Networks from a config.json: the zoo's, the published, laws of decoding, caches, conventions."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from picojoule.frontends.huggingface import read_config, read_known
from picojoule.frontends.zoo import _llama, read_zoo
from picojoule.quantity import InputError
from picojoule.training import peak_memory, training_step
from picojoule.workload import Graph, Tensor, Workload

Write = Callable[..., Path]

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 128256, "torch_dtype": "bfloat16"}
LLAMA_8B = {**LLAMA, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8}  # fmt: skip
LLAMA_70B = {**LLAMA, "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80,
             "num_attention_heads": 64, "num_key_value_heads": 8}  # fmt: skip
LLAMA_405B = {**LLAMA, "hidden_size": 16384, "intermediate_size": 53248, "num_hidden_layers": 126,
              "num_attention_heads": 128, "num_key_value_heads": 8}  # fmt: skip
MISTRAL = {"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
           "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000, "sliding_window": 4096}  # fmt: skip
MIXTRAL = {**MISTRAL, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": None}
BERT = {"model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 768, "num_hidden_layers": 12,
        "num_attention_heads": 12, "intermediate_size": 3072, "vocab_size": 30522}  # fmt: skip
GPT2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 768, "n_layer": 12, "n_head": 12}
T5 = {
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "d_model": 512,
    "d_ff": 2048,
    "num_layers": 6,
}
WHISPER = {"model_type": "whisper", "d_model": 384, "encoder_layers": 4, "decoder_layers": 4}
MAMBA = {"model_type": "mamba", "hidden_size": 768, "num_hidden_layers": 24, "vocab_size": 50280}
VIT = {"model_type": "vit", "architectures": ["ViTForImageClassification"],
       "id2label": {str(i): str(i) for i in range(1000)}}  # fmt: skip
DEEPSEEK = {"model_type": "deepseek_v3", "first_k_dense_replace": 3, "hidden_size": 7168, "num_hidden_layers": 61}
GEMMA2 = {"model_type": "gemma2", "hidden_size": 2304, "num_hidden_layers": 26, "sliding_window": 4096}


def parameters(net: Workload) -> int:
    return sum(tensor.elements for tensor in net.parameters)


def macs(net: Workload, *, attention: bool) -> int:
    return sum(o.total.macs for o in net.operators if o.op.startswith("attention") == attention)


@pytest.mark.parametrize(
    ("zoo", "config", "seq"),
    [
        ("llama3-8b", LLAMA_8B, 2048), ("llama3-70b", LLAMA_70B, 2048), ("llama3-405b", LLAMA_405B, 8192),
        ("mistral-7b", MISTRAL, 512), ("mixtral-8x7b", MIXTRAL, 100), ("gpt2", GPT2, 128), ("bert-base", BERT, 128),
        ("t5-small", T5, 128), ("whisper-tiny", WHISPER, 32), ("mamba-130m", MAMBA, 64),
    ],
)  # fmt: skip
def test_config_is_the_zoo(zoo: str, config: dict[str, Any], seq: int, write: Write) -> None:
    """Equality: one formula, two doors: the same operators over the same tensors, but for the number format."""
    ours, theirs = read_config(write(config), seq=seq).with_dtype("float32"), read_zoo(zoo, seq=seq)
    assert ours.operators == theirs.operators
    assert list(ours.tensors.items()) == list(theirs.tensors.items())


def test_vision_transformer_is_the_zoo(write: Write) -> None:
    """Equality: ViT-B/16 by both doors: the zoo packs q, k and v in one product, transformers does not."""
    ours, theirs = read_config(write(VIT)), read_zoo("vit-b16")
    assert (ours.work, parameters(ours)) == (theirs.work, parameters(theirs))


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (LLAMA_8B, 8_030_261_248), (LLAMA_70B, 70_553_706_496), (LLAMA_405B, 405_853_388_800), (MISTRAL, 7_241_732_096),
        (MIXTRAL, 46_702_792_704), (GPT2, 124_439_808), (BERT, 109_514_298), (T5, 60_506_624), (WHISPER, 37_760_640),
        (MAMBA, 129_135_360), (VIT, 86_567_656), (GEMMA2 | {"vocab_size": 256000}, 2_614_341_888),
        (DEEPSEEK, 671_026_404_352),
        ({**BERT, "architectures": ["BertModel"]}, 109_482_240),
        ({"model_type": "roberta", "architectures": ["RobertaForMaskedLM"], "vocab_size": 50265,
          "max_position_embeddings": 514, "type_vocab_size": 1}, 124_697_433),
        ({"model_type": "distilbert", "architectures": ["DistilBertForMaskedLM"]}, 66_985_530),
        ({"model_type": "distilbert", "architectures": ["DistilBertForSequenceClassification"]}, 66_955_010),
        ({"model_type": "clip", "text_config": {}, "vision_config": {"patch_size": 32}}, 151_277_313),
        ({"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
          "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064}, 7_615_616_512),
        ({"model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
          "num_attention_heads": 14, "num_key_value_heads": 2, "tie_word_embeddings": True}, 494_032_768),
        ({"model_type": "qwen3", "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
          "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}, 8_190_735_360),
        ({"model_type": "qwen2_moe"}, 14_315_784_192),
        ({"model_type": "qwen3_moe", "num_hidden_layers": 48, "head_dim": 128}, 30_532_122_624),
        ({"model_type": "deepseek_v2", "hidden_size": 2048, "intermediate_size": 10944, "num_hidden_layers": 27,
          "num_attention_heads": 16, "q_lora_rank": None, "moe_intermediate_size": 1408, "num_experts_per_tok": 6,
          "first_k_dense_replace": 1}, 15_706_484_224),
        ({"model_type": "gemma", "hidden_size": 2048, "intermediate_size": 16384, "num_hidden_layers": 18,
          "num_attention_heads": 8, "num_key_value_heads": 1}, 2_506_172_416),
        ({"model_type": "gemma", "hidden_act": "gelu"}, 8_537_680_896),
        ({"model_type": "gemma3_text", "hidden_size": 1152, "intermediate_size": 6912, "num_attention_heads": 4,
          "num_key_value_heads": 1, "vocab_size": 262144, "sliding_window": 512}, 999_885_952),
        ({"model_type": "phi", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 32,
          "partial_rotary_factor": 0.4}, 2_779_683_840),
        ({"model_type": "phi3"}, 3_821_079_552),
        ({"model_type": "gpt_neox"}, 20_554_567_680),
        ({"model_type": "falcon", "alibi": False}, 6_921_720_704),
        ({"model_type": "mamba2", "hidden_size": 768, "num_hidden_layers": 24, "num_heads": 24, "n_groups": 1,
          "vocab_size": 50288, "tie_word_embeddings": True}, 128_989_632),
        ({"model_type": "t5", "d_ff": 1024, "num_layers": 8, "num_heads": 6, "feed_forward_proj": "gated-gelu",
          "tie_word_embeddings": False}, 76_961_152),
    ],
)  # fmt: skip
def test_published_parameters(config: dict[str, Any], count: int, write: Write) -> None:
    """Published: parameters of the checkpoints on the Hugging Face hub, tied weights once."""
    assert parameters(read_config(write(config))) == count


def test_heads_of_distilbert(write: Write) -> None:
    """By hand: classes of a sequence from its first vector, of tokens from each: W² + W·classes, S·W·classes."""
    size = {"model_type": "distilbert", "dim": 32, "hidden_dim": 64, "n_layers": 1, "n_heads": 2}
    base = read_config(write({**size, "architectures": ["DistilBertModel"]}), seq=8)
    for name, labels, more in (("SequenceClassification", 3, 32 * 32 + 32 * 3), ("TokenClassification", 5, 8 * 32 * 5),
                               ("QuestionAnswering", 2, 8 * 32 * 2)):  # fmt: skip
        net = read_config(write({**size, "architectures": [f"DistilBertFor{name}"], "num_labels": labels}), seq=8)
        assert net.work.macs == base.work.macs + more
        assert not any("not known" in note for note in net.notes)


@pytest.mark.parametrize("family", ["gemma2", "gemma3_text", "qwen3"])
def test_masks_of_layers_that_all_slide(family: str, write: Write) -> None:
    """By hand: where layers are named by their sort both masks of S² are made, though every layer slides."""
    config = {"model_type": family, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "head_dim": 8,
              "num_key_value_heads": 2, "num_hidden_layers": 1, "vocab_size": 50, "sliding_window": 3,
              "layer_types": ["sliding_attention"], "use_sliding_window": True}  # fmt: skip
    net = read_config(write(config), seq=6, style="eager")
    assert dict(net.work.special)["select"] == 2 * 6 * 6
    assert dict(net.work.special)["cos"] == 6 * 8


def test_published_macs(write: Write) -> None:
    """Published: Llama 3 70B over 2,048 tokens, from the study of counters on which this project builds."""
    assert read_config(write(LLAMA_70B), seq=2048).work.macs == 147_837_069_295_616


def test_large_models_read_fast(write: Write) -> None:
    """Bound: Llama 3 70B in 50 ms, Llama 3 405B over 8,192 tokens in a second; processor time, best of five readings."""
    for config, seq, limit in ((LLAMA_70B, 2048, 0.05), (LLAMA_405B, 8192, 1.0)):
        path, times = write(config), []
        for _ in range(5):
            start = time.process_time()
            read_config(path, seq=seq)
            times.append(time.process_time() - start)
        assert min(times) < limit


SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 100}  # fmt: skip
DECODERS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", **SMALL},
    "mistral": {"model_type": "mistral", **SMALL, "sliding_window": 4},
    "qwen2": {"model_type": "qwen2", **SMALL, "use_sliding_window": True, "sliding_window": 3, "max_window_layers": 2},
    "gemma2": {"model_type": "gemma2", **SMALL, "head_dim": 16, "sliding_window": 5},
    "gemma3": {"model_type": "gemma3_text", **SMALL, "head_dim": 16, "sliding_window": 2},
    "mixtral": {"model_type": "mixtral", **SMALL, "num_local_experts": 4},
    "phi": {"model_type": "phi", **SMALL},
    "phi3": {"model_type": "phi3", **SMALL},
    "falcon": {"model_type": "falcon", **SMALL, "new_decoder_architecture": True, "num_kv_heads": 2},
    "gpt2": {"model_type": "gpt2", "n_embd": 64, "n_layer": 4, "n_head": 4, "vocab_size": 100},
    "gpt_neox": {"model_type": "gpt_neox", **SMALL},
}


@pytest.mark.parametrize("style", ["sdpa", "kernel"])
@pytest.mark.parametrize("family", DECODERS)
def test_decoding_adds_up_to_prefill(family: str, style: str, write: Write) -> None:
    """Metamorphic: the MACs of decoding token 1, 2, … S are those of a prefill of S whose causal half is counted."""
    path, length = write(DECODERS[family]), 9
    steps = [read_config(path, phase="decode", context=n, style=style) for n in range(1, length + 1)]
    whole = read_config(path, seq=length, halved=True, style=style)
    for attention in (True, False):
        assert sum(macs(step, attention=attention) for step in steps) == macs(whole, attention=attention)


@pytest.mark.parametrize("family", DECODERS)
def test_styles_agree_on_products(family: str, write: Write) -> None:
    """Metamorphic: how attention is written changes no MAC and no parameter, and a batch multiplies the work."""
    path = write(DECODERS[family])
    for options in ({"seq": 9}, {"phase": "decode", "context": 9}):
        nets = [read_config(path, style=style, **options) for style in ("sdpa", "eager", "kernel")]  # type: ignore[arg-type]
        assert len({(net.work.macs, parameters(net)) for net in nets}) == 1
        double = read_config(path, batch=2, **options)  # type: ignore[arg-type]
        assert double.work.macs == 2 * nets[0].work.macs
        assert (double.neurons, parameters(double)) == (nets[0].neurons, parameters(nets[0]))


def test_latent_attention_by_hand(write: Write) -> None:
    """By hand: a decode step of DeepSeek's attention, its up-projection absorbed (H·r·(n + v) once, H·T·(2r + p)) or
    run over all tokens (T·r·H·(n + v), H·T·(n + p + v))."""
    heads, rank, still, turned, value, tokens = 4, 32, 16, 8, 24, 9
    config = {"model_type": "deepseek_v3", **SMALL, "num_hidden_layers": 1, "first_k_dense_replace": 1,
              "q_lora_rank": None, "kv_lora_rank": rank, "qk_nope_head_dim": still, "qk_rope_head_dim": turned,
              "v_head_dim": value}  # fmt: skip
    others = 64 * heads * (still + turned) + 64 * (rank + turned) + heads * value * 64 + 3 * 64 * 96 + 64 * 100
    absorbed = heads * rank * (still + value) + heads * tokens * (2 * rank + turned)
    expanded = tokens * rank * heads * (still + value) + heads * tokens * (still + turned + value)
    path = write(config)
    for style, expected in (("kernel", absorbed), ("sdpa", expanded), ("eager", expanded)):
        net = read_config(path, phase="decode", context=tokens, style=style)
        assert net.work.macs == others + expected
        assert parameters(net) == parameters(read_config(path, seq=3))
    assert any("(32 + 8) compressed" in note and "= 1,440 bytes" in note for note in net.notes)


@pytest.mark.parametrize(
    ("config", "context", "size"),
    [
        (LLAMA_70B, 8192, 2 * 80 * 8 * 128 * 8192 * 2),
        (LLAMA_8B, 1, 2 * 32 * 8 * 128 * 2),
        (GEMMA2, 8192, 2 * 4 * 256 * 4 * 13 * (4096 + 8192)),
        (MISTRAL, 32768, 2 * 32 * 8 * 128 * 4096 * 4),
        (DEEPSEEK, 4096, 61 * (512 + 64) * 4096 * 4),
        ({"model_type": "falcon"}, 2048, 2 * 32 * 64 * 2048 * 4),
        (T5, 100, 2 * 6 * 512 * (100 + 128) * 4),
        (WHISPER, 448, 2 * 4 * 384 * (448 + 1500) * 4),
    ],
)
def test_cache_by_hand(config: dict[str, Any], context: int, size: int, write: Write) -> None:
    """By hand: 2 · layers · key heads · width · tokens · bytes; windows cap their layers; latents replace both."""
    net = read_config(write(config), phase="decode", context=context)
    note = next(note for note in net.notes if note.startswith("KV cache"))
    assert note.endswith(f"= {size:,} bytes")
    if context > 1:
        assert peak_memory(net).cache == size
        named = {name for name in net.inputs if ".past_" in name}
        assert sum(net.tensors[name].bytes_of(net.tensors[name].elements) for name in named) == size


def test_cache_is_read_once(write: Write) -> None:
    """By hand: a decode step of Llama 3 8B reads its weights and its cache of 8,192 tokens once; the head's table too."""
    net = read_config(write(LLAMA_8B), phase="decode", context=8192)
    read = sum(net.traffic(o).bytes_weights for o in net.operators)
    assert read == 2 * (parameters(net) - 128256 * 4096 + 4096)
    cache = 2 * 32 * 8 * 128 * 8192 * 2
    of_attention = sum(net.traffic(o).bytes_in for o in net.operators if o.op.startswith("attention"))
    assert cache < of_attention < 1.2 * cache


def test_mamba_state_has_one_size(write: Write) -> None:
    """Metamorphic: a decode step of a state-space model costs the same after ten tokens and after ten thousand."""
    for config in (MAMBA, {"model_type": "mamba2", **{"hidden_size": 256, "num_heads": 8, "num_hidden_layers": 2}}):
        few, many = (read_config(write(config), phase="decode", context=n) for n in (10, 10_000))
        assert few.operators == many.operators
        assert any("at any length" in note for note in few.notes)


def test_sliding_windows_keep_their_tokens(write: Write) -> None:
    """By hand: Mistral behind 32,768 tokens scores 4,096 keys; halved prefill sees w(w + 1)/2 + (S - w)·w pairs."""
    path = write(MISTRAL)
    decoded = read_config(path, phase="decode", context=32768)
    assert macs(decoded, attention=True) == 32 * 32 * 2 * 128 * 4096
    s, w = 5000, 4096
    half = read_config(path, seq=s, halved=True)
    assert macs(half, attention=True) == 32 * 32 * 2 * 128 * (w * (w + 1) // 2 + (s - w) * w)
    dense = read_config(path, seq=s)
    assert macs(dense, attention=True) == 32 * 32 * 2 * 128 * s * s
    assert any(f"halved: {half.work.macs:,} MACs" in note for note in dense.notes)
    assert any(f"dense: {dense.work.macs:,} MACs" in note for note in half.notes)


def test_patterns_of_layers_equal_recorded_ones(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equality: a stack of several kinds, copied from the first of each, is what recording each layer gives."""

    def record(
        g: Graph, scope: str, kinds: Sequence[object], x: Tensor, layer: Callable[[Tensor, int], Tensor]
    ) -> Tensor:
        for index in range(len(kinds)):
            with g.scope(scope, index):
                x = layer(x, index)
        return x

    configs = [{**DECODERS["gemma3"], "num_hidden_layers": 13},
               {"model_type": "deepseek_v3", **SMALL, "num_hidden_layers": 12, "n_routed_experts": 16},
               {"model_type": "qwen2_moe", **SMALL, "num_hidden_layers": 12, "decoder_sparse_step": 3}]  # fmt: skip
    for config in configs:
        copied = read_config(write(config), seq=7)
        with monkeypatch.context() as patch:
            patch.setattr(_llama, "stack", record)
            recorded = read_config(write(config), seq=7)
        assert copied.operators == recorded.operators
        assert list(copied.tensors.items()) == list(recorded.tensors.items())


def test_number_format_is_that_of_the_config(write: Write) -> None:
    """Metamorphic: the format changes bytes and no count; it is said in the notes."""
    path = write(LLAMA_8B)
    half, full = read_config(path, seq=16), read_config(write({**LLAMA_8B, "torch_dtype": "float32"}), seq=16)
    assert half.work == full.work
    assert 2 * peak_memory(half).weights == peak_memory(full).weights
    assert any("bfloat16" in note for note in half.notes)


def test_what_stays_in_memory(write: Write) -> None:
    """By hand: 8,030,261,248 parameters and 128 frequencies in two bytes; 2 · 32 layers · 1,024 wide · 4 tokens of cache."""
    need = peak_memory(read_config(write(LLAMA_8B), phase="decode", context=5))
    assert need.weights == 2 * (8_030_261_248 + 128)
    assert need.cache in (2 * 2 * 32 * 1024 * 4, 2 * 2 * 32 * 1024 * 5)
    assert need.total == need.weights + need.cache + need.activations + need.workspace


def test_left_out_sizes_are_told(write: Write) -> None:
    """Message: sizes that the file leaves out are the family's own, and the notes list them."""
    net = read_config(write({"model_type": "gpt2"}))
    assert parameters(net) == 124_439_808
    assert any("leaves out n_embd = 768" in note for note in net.notes)
    assert not any("leaves out" in note for note in read_config(write({**LLAMA_8B, "num_key_value_heads": 8})).notes)


def test_gemma3_with_a_vision_tower_warns(write: Write) -> None:
    """Message: of a multimodal Gemma 3 the text decoder is counted and the rest is said to be missing."""
    text = {"hidden_size": 1152, "intermediate_size": 6912, "num_attention_heads": 4, "num_key_value_heads": 1}
    net = read_config(write({"model_type": "gemma3", "text_config": text}))
    assert any("vision tower" in warning for warning in net.warnings)


def test_unknown_heads_are_told(write: Write) -> None:
    """Message: a head that is not written natively is counted as the usual one, and said so."""
    net = read_config(write({**LLAMA_8B, "architectures": ["LlamaForTalking"]}))
    assert any("LlamaForTalking" in note for note in net.notes)
    assert parameters(net) == 8_030_261_248


def test_workloads_are_plain_records(write: Write) -> None:
    """Round trip: reading twice gives equal workloads; the name is the folder's."""
    path = write(DECODERS["llama"])
    assert read_config(path) == read_config(str(path))
    assert read_config(path.parent).name == path.parent.name
    assert replace(read_config(path), name="x").work == read_config(path).work


@pytest.mark.parametrize(
    ("zoo", "config"), [("llama3-70b", LLAMA_70B), ("gpt2", GPT2), ("t5-small", T5), ("Whisper_tiny", WHISPER),
                        ("mamba-130m", MAMBA), ("mixtral", MIXTRAL)]
)  # fmt: skip
def test_zoo_models_decode_as_their_configs(zoo: str, config: dict[str, Any], write: Write) -> None:
    """Equality: a decode step, and a halved prefill, by name and by config.json."""
    for options in ({"phase": "decode", "context": 100, "batch": 2}, {"seq": 64, "halved": True}):
        ours = read_config(write(config), **options).with_dtype("float32")  # type: ignore[arg-type]
        theirs = read_known(zoo, **options).with_dtype("float32")  # type: ignore[arg-type]
        assert ours.operators == theirs.operators
        assert list(ours.tensors.items()) == list(theirs.tensors.items())


def test_zoo_models_are_served_as_published() -> None:
    """By hand: 8,030,261,248 parameters of Llama 3 8B are 16 bits each; GPT-2 was published in 32."""
    for name, n_bytes in (("llama3-8b", 2), ("gpt2", 4)):
        net = read_known(name, phase="decode", context=8)
        assert {t.bytes_of(1) for t in net.parameters} == {n_bytes}


def test_zoo_models_that_generate_nothing() -> None:
    """Message: a classifier has no decode step; an unknown name is refused as anywhere; a style is a spec."""
    for name, message in (
        ("resnet50", "does not generate"),
        ("lama3-8b", "did you mean"),
        ("gpt2:flash", "one of sdpa"),
    ):
        with pytest.raises(InputError, match=message):
            read_known(name, phase="decode", context=8)
    assert read_known("gpt2:eager", seq=8).operators == read_zoo("gpt2:eager", seq=8).operators


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "mamba2", "hidden_size": 16, "num_hidden_layers": 3, "vocab_size": 50, "state_size": 8, "expand": 2,
         "num_heads": 4, "head_dim": 8, "n_groups": 1, "chunk_size": 4},
        {"model_type": "deepseek_v2", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 50,
         "num_attention_heads": 2, "q_lora_rank": 12, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4,
         "v_head_dim": 12, "n_routed_experts": 8, "moe_intermediate_size": 16, "num_experts_per_tok": 2, "n_group": 2,
         "topk_group": 1, "topk_method": "group_limited_greedy", "first_k_dense_replace": 1},
        {"model_type": "gemma2", "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "head_dim": 8,
         "num_key_value_heads": 2, "num_hidden_layers": 2, "vocab_size": 50, "sliding_window": 3},
    ],
)  # fmt: skip
def test_decoders_train_at_three_times_their_cost(config: dict[str, Any], write: Write) -> None:
    """By hand: tables of words are trained, so both operands of every product ask for a gradient: 1 + 2, all counted."""
    net = read_config(write(config), seq=9)
    step = training_step(net)
    assert (step.work.macs, step.uncounted) == (3 * net.work.macs, ())
