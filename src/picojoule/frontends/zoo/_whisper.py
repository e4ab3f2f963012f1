"""Whisper (Radford et al. 2023), as WhisperForConditionalGeneration runs it."""

from dataclasses import dataclass
from functools import partial

from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Workload, ops, repeat_layer

from ._entry import Entry, Options
from ._layers import act, layer_norm, linear, residual
from ._sequence import STYLES, arange, attend, fill, merge_heads, repeat, shared_mask, start_many, tell_causal
from ._spec import one_of

FRAMES, TOKENS = 3000, 448


@dataclass(frozen=True, slots=True)
class Size:
    """Width, layers of each stack, heads; the feed-forward is four times as wide."""

    width: int
    layers: int
    heads: int
    mels: int = 80
    vocabulary: int = 51865


def whisper(size: Size, name: str, options: Options) -> Workload:
    """Whisper over 30 s of log-mel frames and `--seq` decoder tokens; Radford et al. 2023."""
    style = one_of(name, options.spec, STYLES, "whisper-tiny:eager")
    inputs = {"input_features": ((size.mels, FRAMES), None), "decoder_input_ids": ((options.seq or 32,), "int64")}
    g, (features, ids) = start_many(name, options, inputs)
    if features.shape[1:] != (size.mels, FRAMES) or ids.shape[1] > TOKENS:
        raise InputError(f"{name} got features {list(features.shape)} and {ids.shape[1]} tokens",
                         expected=f"{size.mels} mels of {FRAMES} frames and at most {TOKENS} tokens",
                         example=f"--input input_features=1,{size.mels},{FRAMES}")  # fmt: skip
    with g.scope("model"):
        with g.scope("encoder"):
            memory = _encoder(g, features, size, style)
        with g.scope("decoder"):
            x, table = _decoder(g, ids, memory, size, style)
    g.output(linear(g, x, size.vocabulary, name="proj_out", bias=False, tied=table))
    g.notes.append("the head is tied to the token embeddings: its weight is counted once")
    g.notes.append("the encoder's frozen sinusoid positions count as parameters")
    tell_causal(g, ids.shape[1], under="model.decoder", cross="encoder_attn")
    g.notes.append(f"{ids.shape[1]} decoder tokens; set another number with --seq")
    return g.workload()


def _conv1d(g: Graph, x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    with g.scope(name):
        weight = g.parameter("weight", (filters, x.shape[1], 3))
        x = ops.conv(g, x, weight, g.parameter("bias", (filters,), "bias"), stride=(stride,), padding=((1, 1),))
    return ops.unary(g, "gelu", x)


def _encoder(g: Graph, features: Tensor, size: Size, style: str) -> Tensor:
    x = _conv1d(g, features, size.width, 1, "conv1")
    x = _conv1d(g, x, size.width, 2, "conv2")
    batch, rows = x.shape[0], x.shape[2]
    places = fill(g, "arange", (rows,), dtype="int64", kind="position")
    with g.scope("embed_positions"):
        table = g.parameter("weight", (FRAMES // 2, size.width), "embedding")
        of_places = ops.gather(g, table, places, op="embedding")
    x = residual(g, g.view(x, (batch, rows, size.width)), of_places)

    def layer(x: Tensor) -> Tensor:
        y = layer_norm(g, x, name="self_attn_layer_norm")
        x = residual(g, x, _attention(g, y, y, size, style, "self_attn"))
        return _feed_forward(g, x, size)

    return layer_norm(g, repeat_layer(g, "layers", size.layers, x, layer), name="layer_norm")


def _decoder(g: Graph, ids: Tensor, memory: Tensor, size: Size, style: str) -> tuple[Tensor, Tensor]:
    """The decoder's last state and its token table."""
    batch, rows = ids.shape
    with g.scope("embed_tokens"):
        table = g.parameter("weight", (size.vocabulary, size.width), "embedding")
        x = ops.gather(g, table, ids, op="embedding")
    places = repeat(g, arange(g, rows), (batch, rows), kind="position")
    with g.scope("embed_positions"):
        learned = g.parameter("weight", (TOKENS, size.width), "embedding")
        of_places = ops.gather(g, learned, places)
    x = residual(g, x, of_places)
    mask = shared_mask(g, batch, rows) if style == "eager" else None

    def layer(x: Tensor) -> Tensor:
        y = layer_norm(g, x, name="self_attn_layer_norm")
        x = residual(g, x, _attention(g, y, y, size, style, "self_attn", causal=True, mask=mask))
        y = layer_norm(g, x, name="encoder_attn_layer_norm")
        x = residual(g, x, _attention(g, y, memory, size, style, "encoder_attn"))
        return _feed_forward(g, x, size)

    return layer_norm(g, repeat_layer(g, "layers", size.layers, x, layer), name="layer_norm"), table


def _attention(g: Graph, x: Tensor, memory: Tensor, size: Size, style: str, name: str, *, causal: bool = False,
               mask: Tensor | None = None) -> Tensor:  # fmt: skip
    """q is scaled before it is split, all three are copied to heads; attention scales by one once more."""
    with g.scope(name):
        q = ops.unary(g, "mul_scalar", linear(g, x, size.width, name="q_proj"))
        k = linear(g, memory, size.width, name="k_proj", bias=False)
        v = linear(g, memory, size.width, name="v_proj")
        q, k, v = (_copy_heads(g, part, size.heads) for part in (q, k, v))
        y = attend(g, q, k, v, style, causal=causal, mask=mask)
        return linear(g, merge_heads(g, y), size.width, name="out_proj")


def _copy_heads(g: Graph, x: Tensor, heads: int) -> Tensor:
    batch, rows, width = x.shape
    return ops.transpose(g, g.view(x, (batch, rows, heads, width // heads)), (0, 2, 1, 3))


def _feed_forward(g: Graph, x: Tensor, size: Size) -> Tensor:
    y = layer_norm(g, x, name="final_layer_norm")
    y = act(g, linear(g, y, 4 * size.width, name="fc1"), "gelu", name="activation_fn")
    return residual(g, x, linear(g, y, size.width, name="fc2"))


def _row(letters: str, size: Size, about: str, *aliases: str) -> tuple[str, Entry]:
    return f"whisper-{letters}", Entry(partial(whisper, size), f"Whisper {letters}, {about} (Radford et al. 2023)",
                                       aliases)  # fmt: skip


MODELS: dict[str, Entry] = dict([
    _row("tiny", Size(384, 4, 6), "39 M", "whisper"),
    _row("base", Size(512, 6, 8), "74 M"),
    _row("small", Size(768, 12, 12), "244 M"),
    _row("medium", Size(1024, 24, 16), "769 M"),
    _row("large", Size(1280, 32, 20), "1550 M", "whisper-large-v2", "whisper-large-v1"),
    _row("large-v3", Size(1280, 32, 20, 128, 51866), "1550 M, 128 mels"),
])  # fmt: skip
