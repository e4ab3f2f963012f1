"""Whisper (Radford et al. 2023), as WhisperForConditionalGeneration runs it."""

from dataclasses import dataclass
from functools import partial

from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Workload, ops, repeat_layer

from ._entry import Entry, Options
from ._feed import activate
from ._layers import layer_norm, linear, residual
from ._masks import Causal, causal
from ._run import Run, collect_inputs, remember
from ._sequence import STYLES, arange, attend, fill, merge_heads, repeat, start_many, tell_causal
from ._spec import one_of

FRAMES, TOKENS = 3000, 448


@dataclass(frozen=True, slots=True)
class Size:
    """Width, layers of each stack, heads; a feed-forward of four widths if `inner` is 0.

    Layers, heads and feed-forward of the decoder are those of the encoder unless they are given. `frames` are twice
    the positions of the encoder; `positions` those of the decoder.
    """

    width: int
    layers: int
    heads: int
    mels: int = 80
    vocabulary: int = 51865
    inner: int = 0
    decoder: int = 0
    decoder_heads: int = 0
    decoder_inner: int = 0
    frames: int = FRAMES
    positions: int = TOKENS
    act: str = "gelu"


def whisper(size: Size, name: str, options: Options) -> Workload:
    """Whisper over 30 s of log-mel frames and `--seq` decoder tokens; Radford et al. 2023."""
    style = one_of(name, options.spec, STYLES, "whisper-tiny:eager")
    inputs = {"input_features": ((size.mels, FRAMES), None), "decoder_input_ids": ((options.seq or 32,), "int64")}
    g, (features, ids) = start_many(name, options, inputs)
    if features.shape[1:] != (size.mels, FRAMES) or ids.shape[1] > TOKENS:
        raise InputError(f"{name} got features {list(features.shape)} and {ids.shape[1]} tokens",
                         expected=f"{size.mels} mels of {FRAMES} frames and at most {TOKENS} tokens",
                         example=f"--input input_features=1,{size.mels},{FRAMES}")  # fmt: skip
    whisper_both(g, features, ids, size, Run(style))
    g.notes.append(f"{ids.shape[1]} decoder tokens; set another number with --seq")
    return g.workload()


def whisper_both(g: Graph, features: Tensor | None, ids: Tensor, size: Size, run: Run) -> None:
    """Record encoder and decoder and their notes; without `features` the encoder ran before."""
    with g.scope("model"):
        memory: Tensor | int = size.frames // 2
        if features is not None:
            with g.scope("encoder"):
                memory = _encoder(g, features, size, run.style)
        with g.scope("decoder"):
            x, table = _decoder(g, ids, memory, size, run)
    collect_inputs(g)
    g.output(linear(g, x, size.vocabulary, name="proj_out", bias=False, tied=table))
    g.notes.append("the head is tied to the token embeddings: its weight is counted once")
    if features is not None:
        g.notes.append("the encoder's frozen sinusoid positions count as parameters")
    if not run.past:
        tell_causal(g, ids.shape[1], under="model.decoder", cross="encoder_attn", halved=run.halved)


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
        table = g.parameter("weight", (size.frames // 2, size.width), "embedding")
        of_places = ops.gather(g, table, places, op="embedding")
    x = residual(g, g.view(x, (batch, rows, size.width)), of_places)

    heads, inner = size.heads, size.inner or 4 * size.width

    def layer(x: Tensor) -> Tensor:
        y = layer_norm(g, x, name="self_attn_layer_norm")
        x = residual(g, x, _attention(g, y, y, heads, None, style, "self_attn"))
        return _feed_forward(g, x, inner, size.act)

    return layer_norm(g, repeat_layer(g, "layers", size.layers, x, layer), name="layer_norm")


def _decoder(g: Graph, ids: Tensor, memory: Tensor | int, size: Size, run: Run) -> tuple[Tensor, Tensor]:
    """The decoder's last state and its token table."""
    batch, rows = ids.shape
    heads, inner = size.decoder_heads or size.heads, size.decoder_inner or size.inner or 4 * size.width
    with g.scope("embed_tokens"):
        table = g.parameter("weight", (size.vocabulary, size.width), "embedding")
        x = ops.gather(g, table, ids, op="embedding")
    places = repeat(g, arange(g, rows), (batch, rows), kind="position")
    with g.scope("embed_positions"):
        learned = g.parameter("weight", (size.positions, size.width), "embedding")
        of_places = ops.gather(g, learned, places)
    x = residual(g, x, of_places)
    masks = causal(g, batch, rows, run)

    def layer(x: Tensor) -> Tensor:
        y = layer_norm(g, x, name="self_attn_layer_norm")
        x = residual(g, x, _attention(g, y, y, heads, masks, run.style, "self_attn"))
        y = layer_norm(g, x, name="encoder_attn_layer_norm")
        x = residual(g, x, _attention(g, y, memory, heads, None, run.style, "encoder_attn"))
        return _feed_forward(g, x, inner, size.act)

    count = size.decoder or size.layers
    return layer_norm(g, repeat_layer(g, "layers", count, x, layer), name="layer_norm"), table


def _attention(g: Graph, x: Tensor, memory: Tensor | int, heads: int, masks: Causal | None, style: str,
               name: str) -> Tensor:  # fmt: skip
    """q is scaled before it is split, all three are copied to heads; attention scales by one once more.

    Causal with `masks`; a `memory` that is a number stands for that many keys and values of an encoder, cached.
    """
    width, batch = x.shape[-1], x.shape[0]
    with g.scope(name):
        q = _copy_heads(g, ops.unary(g, "mul_scalar", linear(g, x, width, name="q_proj")), heads)
        if isinstance(memory, Tensor):
            k = _copy_heads(g, linear(g, memory, width, name="k_proj", bias=False), heads)
            v = _copy_heads(g, linear(g, memory, width, name="v_proj"), heads)
        else:
            _unused(g, width)
            shape = (batch, heads, memory, width // heads)
            k, v = (g.parameter(f"past_{part}", shape, "input") for part in ("key", "value"))
        if masks is None:
            y = attend(g, q, k, v, style)
        else:
            y = masks.attend(g, q, remember(g, k, "key", masks.run), remember(g, v, "value", masks.run))
        return linear(g, merge_heads(g, y), width, name="out_proj")


def _unused(g: Graph, width: int) -> None:
    """The projections of the encoder's states, which ran with the prompt."""
    for part, bias in (("k_proj", False), ("v_proj", True)):
        with g.scope(part):
            g.parameter("weight", (width, width))
            if bias:
                g.parameter("bias", (width,), "bias")


def _copy_heads(g: Graph, x: Tensor, heads: int) -> Tensor:
    batch, rows, width = x.shape
    if rows == 1:
        return g.view(x, (batch, heads, 1, width // heads))
    return ops.transpose(g, g.view(x, (batch, rows, heads, width // heads)), (0, 2, 1, 3))


def _feed_forward(g: Graph, x: Tensor, inner: int, act: str) -> Tensor:
    y = layer_norm(g, x, name="final_layer_norm")
    y = activate(g, linear(g, y, inner, name="fc1"), act, name="activation_fn")
    return residual(g, x, linear(g, y, x.shape[-1], name="fc2"))


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
