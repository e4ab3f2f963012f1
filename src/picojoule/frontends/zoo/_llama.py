"""Llama (Touvron et al. 2023, Dubey et al. 2024), Mistral and Mixtral (Jiang et al. 2023, 2024)."""

from dataclasses import dataclass
from functools import partial

from picojoule.workload import Graph, Tensor, Workload, ops, repeat_layer

from ._entry import Entry, Options
from ._experts import experts
from ._layers import act, embedding, linear, residual
from ._sequence import (
    STYLES,
    arange,
    attend,
    merge_heads,
    repeat,
    rms_norm,
    shared_mask,
    split_heads,
    tell_causal,
    token_input,
)  # fmt: skip
from ._spec import one_of, tokens

SEQ = 2048


@dataclass(frozen=True, slots=True)
class Size:
    """Width, feed-forward, layers, heads, key heads, width of a head, words; with `experts` two of them run a token."""

    width: int
    inner: int
    layers: int
    heads: int
    shared: int
    head: int
    vocabulary: int
    experts: int = 0
    tied: bool = False
    window: int = 0


def llama(size: Size, name: str, options: Options) -> Workload:
    """A pre-norm decoder with RMSNorm, rotary positions, grouped-query attention and SwiGLU; Touvron et al. 2023."""
    style = one_of(name, options.spec, STYLES, "llama3-8b:eager")
    g, ids = token_input(name, options, tokens(name, options, SEQ))
    batch, rows = ids.shape
    with g.scope("model"):
        x, table = embedding(g, ids, size.vocabulary, size.width, name="embed_tokens")
        places = arange(g, rows)
        mask = shared_mask(g, batch, rows) if style == "eager" else None
        turns = _rotations(g, places, size.head)
        x = repeat_layer(g, "layers", size.layers, x, lambda y: _layer(g, y, size, style, mask, turns))
        x = rms_norm(g, x, name="norm")
    g.output(linear(g, x, size.vocabulary, name="lm_head", bias=False, tied=table if size.tied else None))
    _explain(g, size, rows)
    return g.workload()


def _explain(g: Graph, size: Size, rows: int) -> None:
    tell_causal(g, rows)
    if size.tied:
        g.notes.append("the head is tied to the token embeddings: its weight is counted once")
    if size.experts:
        g.notes.append(f"2 of {size.experts} experts run for each token; every expert that can be reached is read once")
    if 0 < size.window < rows:
        g.notes.append(f"the window of {size.window} tokens is not applied: all scores are counted")
    g.notes.append(f"{rows} tokens; set another length with --seq")


def _rotations(g: Graph, places: Tensor, head: int) -> tuple[Tensor, Tensor]:
    """cos and sin of position times frequency [1, 1, S, D], made once for all layers."""
    rows = places.elements
    with g.scope("rotary_emb"):
        frequencies = g.parameter("inv_freq", (head // 2,), "buffer")
        g.parameter("original_inv_freq", (head // 2,), "buffer")
        column = ops.copy(g, g.view(places, (1, rows, 1)), op="cast", dtype=g.dtype, kind="position")
        angles = ops.binary(g, "mul", column, frequencies, kind="position")
        both = repeat(g, g.view(angles, (rows, 1, head // 2)), (rows, 2, head // 2), kind="position")
        angles = g.view(both, (1, rows, head))
        cos, sin = (
            ops.unary(g, "mul_scalar", ops.unary(g, op, angles, kind="position"), kind="position")
            for op in ("cos", "sin")
        )
        return g.view(cos, (1, 1, rows, head)), g.view(sin, (1, 1, rows, head))


def _rotate(g: Graph, x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """x · cos + (-x₂, x₁) · sin."""
    cos, sin = turns
    half = (*x.shape[:-1], x.shape[-1] // 2)
    straight = ops.binary(g, "mul", x, cos, kind="position")
    turned = ops.unary(g, "neg", ops.slice_view(g, x, half), kind="position")
    turned = ops.concat(g, [turned, ops.slice_view(g, x, half)], 3, kind="position")
    return ops.binary(g, "add", straight, ops.binary(g, "mul", turned, sin, kind="position"), kind="position")


def _layer(g: Graph, x: Tensor, size: Size, style: str, mask: Tensor | None, turns: tuple[Tensor, Tensor]) -> Tensor:
    y = rms_norm(g, x, name="input_layernorm")
    with g.scope("self_attn"):
        heads = {"q_proj": size.heads, "k_proj": size.shared, "v_proj": size.shared}
        q, k, v = (split_heads(g, linear(g, y, count * size.head, name=part, bias=False), count)
                   for part, count in heads.items())  # fmt: skip
        q, k = _rotate(g, q, turns), _rotate(g, k, turns)
        y = merge_heads(g, attend(g, q, k, v, style, causal=True, mask=mask))
        y = linear(g, y, size.width, name="o_proj", bias=False)
    x = residual(g, x, y)
    y = rms_norm(g, x, name="post_attention_layernorm")
    with g.scope("mlp"):
        y = experts(g, y, size.experts, size.inner) if size.experts else _swiglu(g, y, size)
    return residual(g, x, y)


def _swiglu(g: Graph, x: Tensor, size: Size) -> Tensor:
    gate = act(g, linear(g, x, size.inner, name="gate_proj", bias=False), "silu", name="act_fn")
    up = linear(g, x, size.inner, name="up_proj", bias=False)
    return linear(g, ops.binary(g, "mul", gate, up), size.width, name="down_proj", bias=False)


def _entry(size: Size, about: str, *aliases: str) -> Entry:
    return Entry(partial(llama, size), about, aliases)


_TWO, _THREE = "Llama 2 (Touvron et al. 2023)", "Llama 3 (Dubey et al. 2024)"
MODELS: dict[str, Entry] = {
    "llama2-7b": _entry(Size(4096, 11008, 32, 32, 32, 128, 32000), f"{_TWO}, 6.7 B", "llama-7b"),
    "llama2-13b": _entry(Size(5120, 13824, 40, 40, 40, 128, 32000), f"{_TWO}, 13 B", "llama-13b"),
    "llama2-70b": _entry(Size(8192, 28672, 80, 64, 8, 128, 32000), f"{_TWO}, 69 B"),
    "llama3-8b": _entry(Size(4096, 14336, 32, 32, 8, 128, 128256), f"{_THREE}, 8.0 B", "llama3.1-8b"),
    "llama3-70b": _entry(Size(8192, 28672, 80, 64, 8, 128, 128256), f"{_THREE}, 71 B", "llama3.1-70b", "llama3.3-70b"),
    "llama3-405b": _entry(Size(16384, 53248, 126, 128, 8, 128, 128256), f"{_THREE}, 406 B", "llama3.1-405b"),
    "llama3.2-1b": _entry(Size(2048, 8192, 16, 32, 8, 64, 128256, tied=True), f"{_THREE}, 1.2 B", "llama3-1b"),
    "llama3.2-3b": _entry(Size(3072, 8192, 28, 24, 8, 128, 128256, tied=True), f"{_THREE}, 3.2 B", "llama3-3b"),
    "mistral-7b": _entry(Size(4096, 14336, 32, 32, 8, 128, 32000, window=4096),
                         "Mistral, 7.2 B (Jiang et al. 2023)"),
    "mixtral-8x7b": _entry(Size(4096, 14336, 32, 32, 8, 128, 32000, experts=8),
                           "Mixtral, 8 experts of which 2 run, 46.7 B (Jiang et al. 2024)", "mixtral"),
}  # fmt: skip
