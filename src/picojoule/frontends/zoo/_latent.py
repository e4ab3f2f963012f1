"""Multi-head latent attention (DeepSeek-AI 2024): keys and values from one short vector a token."""

from dataclasses import dataclass

from picojoule.workload import Graph, Tensor, ops

from ._layers import linear
from ._masks import Causal
from ._rotary import Turns, rotate, rotate_complex, rotate_pairs
from ._run import remember
from ._sequence import merge_heads, rms_norm, split_heads

ROTATE = {"halves": rotate, "pairs": rotate_pairs, "complex": rotate_complex}


@dataclass(frozen=True, slots=True)
class Latent:
    """Ranks of queries (0: no bottleneck) and keys; widths of a head's still, turned and value parts; how it turns."""

    query: int
    key: int
    still: int
    turned: int
    value: int
    turn: str = "pairs"
    bias: bool = False

    @property
    def cached(self) -> int:
        """Elements a token leaves in the cache of a layer."""
        return self.key + self.turned


def latent_attention(g: Graph, x: Tensor, heads: int, size: Latent, masks: Causal, turns: Turns) -> Tensor:
    """Attention of the new tokens x[B, S, D]. With a cache, "kernel" absorbs kv_b_proj into queries and results."""
    batch, rows, width = x.shape
    rotation = ROTATE[size.turn]
    q = split_heads(g, _queries(g, x, heads, size), heads)
    still = ops.slice_view(g, q, (batch, heads, rows, size.still))
    turned = ops.slice_view(g, q, (batch, heads, rows, size.turned))
    short = linear(g, x, size.cached, name="kv_a_proj_with_mqa", bias=size.bias)
    latent = rms_norm(g, ops.slice_view(g, short, (batch, rows, size.key)), name="kv_a_layernorm")
    latent = g.view(latent, (batch, 1, rows, size.key))
    key = g.view(ops.slice_view(g, short, (batch, rows, size.turned)), (batch, 1, rows, size.turned))
    turned, key = rotation(g, turned, turns), rotation(g, key, turns)
    if masks.run.style == "kernel" and masks.run.past:
        y = _absorbed(g, still, turned, latent, key, size, masks)
    else:
        latent, key = remember(g, latent, "latent", masks.run), remember(g, key, "key", masks.run)
        q = ops.concat(g, [still, turned], 3)
        k, v = _expand(g, latent, key, heads, size)
        y = masks.attend(g, q, k, v)
    return linear(g, merge_heads(g, y), width, name="o_proj", bias=size.bias)


def _queries(g: Graph, x: Tensor, heads: int, size: Latent) -> Tensor:
    inner = heads * (size.still + size.turned)
    if not size.query:
        return linear(g, x, inner, name="q_proj", bias=False)
    short = rms_norm(g, linear(g, x, size.query, name="q_a_proj", bias=size.bias), name="q_a_layernorm")
    return linear(g, short, inner, name="q_b_proj", bias=False)


def _expand(g: Graph, latent: Tensor, key: Tensor, heads: int, size: Latent) -> tuple[Tensor, Tensor]:
    """Keys and values of all heads from the latents [B, 1, T, R] of all tokens; the turned part is shared."""
    batch, _, columns, _ = latent.shape
    wide = linear(g, latent, heads * (size.still + size.value), name="kv_b_proj", bias=False)
    wide = g.view(wide, (batch, heads, columns, size.still + size.value))
    still = ops.slice_view(g, wide, (batch, heads, columns, size.still))
    shared = ops.expand(g, key, (batch, heads, columns, size.turned))
    value = ops.slice_view(g, wide, (batch, heads, columns, size.value))
    return ops.concat(g, [still, shared], 3), value


def _absorbed(g: Graph, still: Tensor, turned: Tensor, latent: Tensor, key: Tensor, size: Latent,
              masks: Causal) -> Tensor:  # fmt: skip
    """Queries taken to the latent space, attention over the cached latents, results taken back: the cache stays short."""
    batch, heads, rows, _ = still.shape
    with g.scope("kv_b_proj"):
        weight = g.parameter("weight", (heads * (size.still + size.value), size.key))
        down = ops.slice_view(g, weight, (heads, size.still, size.key))
        up = ops.slice_view(g, weight, (heads, size.key, size.value))
        q = ops.matmul(g, still, down, op="absorbed_query")
    whole = remember(g, ops.concat(g, [latent, key], 3), "latent", masks.run)
    values = ops.slice_view(g, whole, (batch, 1, whole.shape[2], size.key))
    y = masks.attend(g, ops.concat(g, [q, turned], 3), whole, values)
    with g.scope("kv_b_proj"):
        return ops.matmul(g, g.view(y, (batch, heads, rows, size.key)), up, op="absorbed_value")
