"""Vision transformers as ViTModel runs them, and CLIP (Radford et al. 2021): an image and a text in one space."""

from dataclasses import dataclass

from picojoule.workload import Graph, Tensor, Work, ops, repeat_layer

from ._feed import activate
from ._layers import conv, layer_norm, linear, residual
from ._masks import Causal, causal
from ._run import Run
from ._sequence import attend, fill, merge_heads, split_heads, tell_causal


@dataclass(frozen=True, slots=True)
class Tower:
    """Width, feed-forward, layers, heads of one encoder, and what it reads: patches of an image, or words.

    `oldest`: a text ends at its largest token, as in the first checkpoints, not at the end token.
    """

    width: int
    inner: int
    layers: int
    heads: int
    act: str
    image: tuple[int, int] = (0, 0)
    patch: tuple[int, int] = (1, 1)
    channels: int = 3
    vocabulary: int = 0
    positions: int = 0
    bias: bool = True
    oldest: bool = False

    @property
    def patches(self) -> int:
        """Patches of an image."""
        return (self.image[0] // self.patch[0]) * (self.image[1] // self.patch[1])


def vit_classifier(g: Graph, pixels: Tensor, tower: Tower, outputs: int | None, style: str, pooled: int = 0) -> None:
    """ViTForImageClassification, or without `outputs` ViTModel with its pooler of `pooled` columns (0: none)."""
    batch = pixels.shape[0]
    with g.scope(*("vit",) * (outputs is not None)):
        with g.scope("embeddings"):
            token = g.parameter("cls_token", (1, 1, tower.width))
            places = g.parameter("position_embeddings", (1, tower.patches + 1, tower.width))
            with g.scope("patch_embeddings"):
                x = conv(g, pixels, tower.width, tower.patch, name="projection", stride=tower.patch)
            x = residual(g, _with_token(g, x, token, tower), places)
        names = ("layernorm_before", "layernorm_after", "attention", "o_proj")
        x = repeat_layer(g, "layers", tower.layers, x, lambda y: _block(g, y, tower, style, names, None))
        x = layer_norm(g, x, name="layernorm")
        if outputs is None and pooled:
            with g.scope("pooler"):
                x = linear(g, ops.slice_view(g, x, (batch, tower.width)), pooled, name="dense")
                x = activate(g, x, "tanh", name="activation")
    if outputs:
        x = linear(g, ops.slice_view(g, x, (batch, tower.width)), outputs, name="classifier")
    g.output(x)


def clip(g: Graph, ids: Tensor, pixels: Tensor, text: Tower, image: Tower, width: int, run: Run) -> None:
    """CLIPModel: both towers, both projections, and the similarity of every text with every image."""
    with g.scope("vision_model"):
        seen = clip_image(g, pixels, image, run.style)
    seen = linear(g, seen, width, name="visual_projection", bias=False)
    with g.scope("text_model"):
        _, read = clip_text(g, ids, text, run)
    read = linear(g, read, width, name="text_projection", bias=False)
    seen, read = _unit(g, seen), _unit(g, read)
    scores = ops.matmul(g, read, g.view(seen, (width, seen.shape[0])))
    scale = ops.unary(g, "exp", g.parameter("logit_scale", ()))
    g.output(ops.binary(g, "mul", scores, scale))
    tell_causal(g, ids.shape[1], under="text_model", halved=run.halved)


def clip_text(g: Graph, ids: Tensor, tower: Tower, run: Run) -> tuple[Tensor, Tensor]:
    """The states of all tokens and the vector of the last one."""
    batch, rows = ids.shape
    with g.scope("embeddings"):
        positions = g.parameter("position_ids", (1, tower.positions), "buffer", "int64")
        with g.scope("token_embedding"):
            x = ops.gather(g, g.parameter("weight", (tower.vocabulary, tower.width), "embedding"), ids, op="embedding")
        with g.scope("position_embedding"):
            table = g.parameter("weight", (tower.positions, tower.width), "embedding")
            of_places = ops.gather(g, table, ops.slice_view(g, positions, (1, rows)), op="embedding")
        x = residual(g, x, of_places)
    masks = causal(g, batch, rows, run)
    with g.scope("encoder"):
        x = repeat_layer(g, "layers", tower.layers, x, lambda y: _block(g, y, tower, run.style, _CLIP, masks))
    x = layer_norm(g, x, name="final_layer_norm")
    place = fill(g, "arange", (batch,), dtype="int64", kind="gather")
    found = ids if tower.oldest else ops.unary(g, "equal", ids, kind="gather", dtype="int32", work=Work.of(compare=1))
    last = ops.argmax(g, found, -1)
    y = ops.whole_op(g, "gather", [ops.slice_view(g, x, (batch, tower.width)), place, last], [(batch, tower.width)],
                     Work(), kind="gather")[0]  # fmt: skip
    return x, y


def clip_image(g: Graph, pixels: Tensor, tower: Tower, style: str) -> Tensor:
    """The vector of an image: the normalised state of its class token."""
    batch, rows = pixels.shape[0], tower.patches + 1
    with g.scope("embeddings"):
        token = g.parameter("class_embedding", (tower.width,))
        positions = g.parameter("position_ids", (1, rows), "buffer", "int64")
        x = conv(g, pixels, tower.width, tower.patch, name="patch_embedding", stride=tower.patch, bias=False)
        x = _with_token(g, x, g.view(token, (1, 1, tower.width)), tower)
        with g.scope("position_embedding"):
            table = g.parameter("weight", (rows, tower.width), "embedding")
            of_places = ops.gather(g, table, positions, op="embedding")
        x = residual(g, x, of_places)
    x = layer_norm(g, x, name="pre_layrnorm")
    with g.scope("encoder"):
        x = repeat_layer(g, "layers", tower.layers, x, lambda y: _block(g, y, tower, style, _CLIP, None))
    return layer_norm(g, ops.slice_view(g, x, (batch, tower.width)), name="post_layernorm")


_CLIP = ("layer_norm1", "layer_norm2", "self_attn", "out_proj")


def _with_token(g: Graph, x: Tensor, token: Tensor, tower: Tower) -> Tensor:
    """Feature maps [B, D, H, W] as rows behind the class token: [B, 1 + H·W, D]."""
    batch = x.shape[0]
    rows = g.view(x, (batch, tower.patches, tower.width))
    return ops.concat(g, [ops.expand(g, token, (batch, 1, tower.width)), rows], 1)


def _block(
    g: Graph, x: Tensor, tower: Tower, style: str, names: tuple[str, str, str, str], masks: Causal | None
) -> Tensor:
    y = layer_norm(g, x, name=names[0])
    with g.scope(names[2]):
        q, k, v = (split_heads(g, linear(g, y, tower.width, name=f"{part}_proj", bias=tower.bias), tower.heads)
                   for part in "qkv")  # fmt: skip
        y = attend(g, q, k, v, style) if masks is None else masks.attend(g, q, k, v)
        y = linear(g, merge_heads(g, y), tower.width, name=names[3])
    x = residual(g, x, y)
    y = layer_norm(g, x, name=names[1])
    with g.scope("mlp"):
        y = activate(g, linear(g, y, tower.inner, name="fc1"), tower.act, name="activation_fn")
        y = linear(g, y, tower.width, name="fc2")
    return residual(g, x, y)


def _unit(g: Graph, x: Tensor) -> Tensor:
    """Rows of length one."""
    length = ops.reduce(g, "sum", ops.unary(g, "square", x), (-1,), keep=True)
    return ops.binary(g, "div", x, ops.unary(g, "sqrt", length))
