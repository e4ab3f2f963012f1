"""Vision transformers (Dosovitskiy et al. 2021; the small and tiny sizes of Touvron et al. 2021)."""

from dataclasses import dataclass
from functools import partial

from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Workload, ops, repeat_layer

from ._entry import Entry, Options
from ._layers import act, conv, layer_norm, linear, residual, start
from ._sequence import attend, merge_heads, parts, split_heads
from ._spec import one_of

STYLES = ("sdpa", "mha", "matmul", "einsum")


@dataclass(frozen=True, slots=True)
class Size:
    """Width, layers, heads and side of a patch; the feed-forward is four times as wide."""

    width: int
    layers: int
    heads: int
    patch: int


def vit(size: Size, name: str, options: Options) -> Workload:
    """ViT with a class token and learned positions; Dosovitskiy et al. 2021.

    The variants differ in how attention is written: "mha" is torch.nn.MultiheadAttention (torchvision's ViT), "sdpa"
    the fused call after one qkv projection, "matmul" scales q only, "einsum" scales the scores.
    """
    style = one_of(name, options.spec, STYLES, "vit-b16:matmul")
    g, x = start(name, options, (3, 224, 224))
    batch = x.shape[0]
    if x.shape[1] != 3 or min(x.shape[2:]) < size.patch:
        raise InputError(f"{name} takes 3 x H x W images of {size.patch} pixels a side or more, not {list(x.shape[1:])}",
                         expected="batch, 3, height, width", example="--input x=1,3,384,384")  # fmt: skip
    x = conv(g, x, size.width, size.patch, name="conv_proj", stride=size.patch)
    patches = x.shape[2] * x.shape[3]
    token = g.parameter("class_token", (1, 1, size.width))
    places = g.parameter("pos_embedding", (1, patches + 1, size.width))
    x = ops.concat(g, [ops.expand(g, token, (batch, 1, size.width)), g.view(x, (batch, patches, size.width))], 1)
    x = residual(g, x, places)
    x = repeat_layer(g, "layers", size.layers, x, lambda y: _block(g, y, size, style))
    x = layer_norm(g, x, name="ln")
    g.output(linear(g, ops.slice_view(g, x, (batch, size.width)), 1000, name="head"))
    return g.workload()


def _block(g: Graph, x: Tensor, size: Size, style: str) -> Tensor:
    y = layer_norm(g, x, name="ln_1")
    with g.scope("self_attention"):
        y = _mha(g, y, size) if style == "mha" else _attention(g, y, size, style)
    x = residual(g, x, y)
    y = layer_norm(g, x, name="ln_2")
    with g.scope("mlp"):
        y = act(g, linear(g, y, 4 * size.width, name="0"), "gelu", name="1")
        y = linear(g, y, size.width, name="3")
    return residual(g, x, y)


def _attention(g: Graph, x: Tensor, size: Size, style: str) -> Tensor:
    q, k, v = (split_heads(g, part, size.heads) for part in parts(g, linear(g, x, 3 * size.width, name="qkv"), 3))
    y = attend(g, q, k, v, "eager" if style == "einsum" else style)
    return linear(g, merge_heads(g, y), size.width, name="proj")


def _mha(g: Graph, x: Tensor, size: Size) -> Tensor:
    """torch.nn.MultiheadAttention: the packed projection is copied into q, k and v first."""
    batch, rows, width = x.shape
    weight, bias = g.parameter("in_proj_weight", (3 * width, width)), g.parameter("in_proj_bias", (3 * width,), "bias")
    packed = g.view(ops.linear(g, x, weight, bias), (batch, rows, 3, width))
    packed = g.view(ops.transpose(g, packed, (2, 1, 0, 3)), (batch, rows, 3 * width))
    q, k, v = (split_heads(g, part, size.heads) for part in parts(g, packed, 3))
    return linear(g, merge_heads(g, attend(g, q, k, v, "sdpa")), width, name="out_proj")


def _row(letter: str, size: Size, about: str) -> tuple[str, Entry]:
    name = f"vit-{letter}{size.patch}"
    return name, Entry(partial(vit, size), f"{about} (Dosovitskiy et al. 2021); variants {', '.join(STYLES)}",
                       (f"vit-{letter}-{size.patch}",), f"{name}:mha")  # fmt: skip


MODELS: dict[str, Entry] = dict([
    _row("ti", Size(192, 12, 3, 16), "ViT-Ti/16, 5.7 M"),
    _row("s", Size(384, 12, 6, 16), "ViT-S/16, 22 M"),
    _row("b", Size(768, 12, 12, 16), "ViT-B/16, 86 M"),
    _row("b", Size(768, 12, 12, 32), "ViT-B/32, 88 M"),
    _row("l", Size(1024, 24, 16, 16), "ViT-L/16, 304 M"),
    _row("l", Size(1024, 24, 16, 32), "ViT-L/32, 306 M"),
    _row("h", Size(1280, 32, 16, 14), "ViT-H/14, 632 M"),
])  # fmt: skip
