"""GPT-2 (Radford et al. 2019) and GPT-3 (Brown et al. 2020), as GPT2LMHeadModel runs them."""

from dataclasses import dataclass, replace
from functools import partial

from picojoule.workload import Graph, Tensor, Workload, ops, repeat_layer

from ._entry import Entry, Options
from ._layers import embedding, layer_norm, linear, residual
from ._sequence import (
    STYLES,
    arange,
    attend,
    merge_heads,
    parts,
    shared_mask,
    split_heads,
    tell_causal,
    token_input,
    transposed_linear,
)  # fmt: skip
from ._spec import one_of, tokens

VOCABULARY = 50257


@dataclass(frozen=True, slots=True)
class Size:
    """Width, layers, heads, learned positions, tokens by default; the feed-forward is four times as wide."""

    width: int
    layers: int
    heads: int
    positions: int = 1024
    seq: int = 128


def gpt(size: Size, name: str, options: Options) -> Workload:
    """A pre-norm decoder with learned positions and a tied head; Radford et al. 2019."""
    style = one_of(name, options.spec, STYLES, "gpt2:eager")
    g, ids = token_input(name, options, tokens(name, options, size.seq, size.positions), size.positions)
    batch, rows = ids.shape
    with g.scope("transformer"):
        x, table = embedding(g, ids, VOCABULARY, size.width, name="wte")
        places = g.view(arange(g, rows), (1, rows))
        of_places, _ = embedding(g, places, size.positions, size.width, name="wpe")
        x = residual(g, x, of_places)
        mask = shared_mask(g, batch, rows) if style == "eager" else None
        x = repeat_layer(g, "h", size.layers, x, lambda y: _block(g, y, size, style, mask))
        x = layer_norm(g, x, name="ln_f")
    g.output(linear(g, x, VOCABULARY, name="lm_head", bias=False, tied=table))
    g.notes.append("the head is tied to the token embeddings: its weight is counted once")
    tell_causal(g, rows)
    g.notes.append(f"{rows} tokens; set another length with --seq")
    return g.workload()


def gpt3(size: Size, name: str, options: Options) -> Workload:
    """GPT-3 by Table 2.1 of Brown et al. 2020, every layer dense: its banded attention is not published in detail."""
    workload = gpt(size, name, options)
    note = "every layer's attention is dense; the paper alternates dense and locally banded sparse layers"
    return replace(workload, notes=(*workload.notes, note))


def _block(g: Graph, x: Tensor, size: Size, style: str, mask: Tensor | None) -> Tensor:
    y = layer_norm(g, x, name="ln_1")
    with g.scope("attn"):
        packed = transposed_linear(g, y, 3 * size.width, name="c_attn")
        q, k, v = (split_heads(g, part, size.heads) for part in parts(g, packed, 3))
        y = merge_heads(g, attend(g, q, k, v, style, causal=True, mask=mask))
        y = transposed_linear(g, y, size.width, name="c_proj")
    x = residual(g, y, x)
    y = layer_norm(g, x, name="ln_2")
    with g.scope("mlp"):
        y = _gelu_new(g, transposed_linear(g, y, 4 * size.width, name="c_fc"))
        y = transposed_linear(g, y, size.width, name="c_proj")
    return residual(g, x, y)


def _gelu_new(g: Graph, x: Tensor) -> Tensor:
    """x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), part by part as the checkpoint's code has it."""
    with g.scope("act"):
        half = ops.unary(g, "mul_scalar", x, kind="activation")
        cubed = ops.unary(g, "mul_scalar", ops.unary(g, "cube", x, kind="activation"), kind="activation")
        inner = ops.unary(g, "mul_scalar", ops.binary(g, "add", x, cubed, kind="activation"), kind="activation")
        bent = ops.unary(g, "add_scalar", ops.unary(g, "tanh", inner), kind="activation")
        return ops.binary(g, "mul", half, bent, kind="activation")


MODELS: dict[str, Entry] = {
    "gpt2": Entry(partial(gpt, Size(768, 12, 12)), "GPT-2, 124 M (Radford et al. 2019)", ("gpt-2", "gpt2-small")),
    "gpt2-medium": Entry(partial(gpt, Size(1024, 24, 16)), "GPT-2 medium, 355 M (Radford et al. 2019)"),
    "gpt2-large": Entry(partial(gpt, Size(1280, 36, 20)), "GPT-2 large, 774 M (Radford et al. 2019)"),
    "gpt2-xl": Entry(partial(gpt, Size(1600, 48, 25)), "GPT-2 XL, 1.56 B (Radford et al. 2019)"),
    "gpt3-175b": Entry(partial(gpt3, Size(12288, 96, 96, 2048, 2048)), "GPT-3, 175 B (Brown et al. 2020)",
                       ("gpt3", "gpt-3")),
}  # fmt: skip
