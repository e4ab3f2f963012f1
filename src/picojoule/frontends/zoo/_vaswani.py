"""The Transformer of Vaswani et al. 2017: whole, its encoder, its decoder, and one block of any size."""

from dataclasses import dataclass
from functools import partial

from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Workload, ops, repeat_layer

from ._entry import Entry, Options
from ._layers import act, embedding, layer_norm, linear, residual, start
from ._sequence import attend, causal_mask, merge_heads, split_heads, start_many, tell_causal
from ._spec import read_spec


@dataclass(frozen=True, slots=True)
class Size:
    """Layers, width, tokens, tokens of the memory, words; heads of 64 and a feed-forward of four widths if 0."""

    layers: int = 6
    d: int = 512
    n: int = 128
    memory: int = 0
    vocabulary: int = 37000
    heads: int = 0
    ffn: int = 0


def _read(default: Size, keys: tuple[str, ...], name: str, options: Options) -> Size:
    sizes = {key: getattr(default, key) for key in keys}
    found, _ = read_spec(name, options.spec, sizes, (), "transformer-encoder:layers=6,d=512,heads=8,ffn=2048,n=128")
    d = found["d"]
    heads = found["heads"] or max(1, d // 64)
    if d % heads:
        raise InputError(f"{name}: {heads} heads do not divide d = {d}", expected="heads that divide d",
                         example="transformer-block:d=768,heads=12")  # fmt: skip
    n = options.seq or found["n"]
    memory = found.get("memory", 0) or n
    return Size(found["layers"], d, n, memory, found.get("vocabulary", 0), heads, found["ffn"] or 4 * d)


def transformer(default: Size, name: str, options: Options) -> Workload:
    """Encoder, decoder and tied embeddings for translation; Vaswani et al. 2017."""
    size = _read(default, ("layers", "d", "n", "vocabulary", "heads", "ffn"), name, options)
    inputs = {"source": ((size.n,), "int64"), "target": ((size.n,), "int64")}
    g, (source, target) = start_many(name, options, inputs)
    words, table = embedding(g, source, size.vocabulary, size.d, name="shared")
    with g.scope("encoder"):
        memory = _encoder(g, _placed(g, words), size)
    with g.scope("decoder"):
        with g.scope("embed_tokens"):
            words = ops.gather(g, table, target, op="embedding")
        x = _decoder(g, _placed(g, words), memory, size)
    g.output(linear(g, x, size.vocabulary, name="head", bias=False, tied=table))
    g.notes.append("the head and both embeddings are tied: their weight is counted once")
    tell_causal(g, target.shape[1], under="decoder", cross="multihead_attn")
    g.notes.append(f"{source.shape[1]} tokens in, {target.shape[1]} out; set another length with --seq")
    return g.workload()


def encoder(default: Size, name: str, options: Options) -> Workload:
    """The encoder alone over x[batch, n, d]; Vaswani et al. 2017."""
    size = _read(default, ("layers", "d", "n", "heads", "ffn"), name, options)
    g, x = start(name, options, (size.n, size.d))
    g.output(_encoder(g, x, size))
    return g.workload()


def decoder(default: Size, name: str, options: Options) -> Workload:
    """The decoder alone over x[batch, n, d] and memory[batch, m, d]; Vaswani et al. 2017."""
    size = _read(default, ("layers", "d", "n", "memory", "heads", "ffn"), name, options)
    g, (x, memory) = start_many(name, options, {"x": ((size.n, size.d), None), "memory": ((size.memory, size.d), None)})
    g.output(_decoder(g, x, memory, size))
    tell_causal(g, x.shape[1], cross="multihead_attn")
    return g.workload()


def _placed(g: Graph, x: Tensor) -> Tensor:
    """Embeddings times √d plus the sinusoids, which are a constant."""
    x = ops.unary(g, "mul_scalar", x)
    return residual(g, x, g.parameter("positions", x.shape[1:], "buffer"))


def _encoder(g: Graph, x: Tensor, size: Size) -> Tensor:
    def layer(x: Tensor) -> Tensor:
        x = layer_norm(g, residual(g, x, _attention(g, x, x, size, "self_attn", None)), name="norm1")
        return layer_norm(g, residual(g, x, _feed_forward(g, x, size)), name="norm2")

    return repeat_layer(g, "layers", size.layers, x, layer)


def _decoder(g: Graph, x: Tensor, memory: Tensor, size: Size) -> Tensor:
    mask = causal_mask(g, x.shape[0], x.shape[1], x.shape[1])

    def layer(x: Tensor) -> Tensor:
        x = layer_norm(g, residual(g, x, _attention(g, x, x, size, "self_attn", mask)), name="norm1")
        x = layer_norm(g, residual(g, x, _attention(g, x, memory, size, "multihead_attn", None)), name="norm2")
        return layer_norm(g, residual(g, x, _feed_forward(g, x, size)), name="norm3")

    return repeat_layer(g, "layers", size.layers, x, layer)


def _attention(g: Graph, x: Tensor, memory: Tensor, size: Size, name: str, mask: Tensor | None) -> Tensor:
    """MultiHead(Q, K, V) of the paper: four matrices without biases."""
    with g.scope(name):
        sources = {"q_proj": x, "k_proj": memory, "v_proj": memory}
        q, k, v = (split_heads(g, linear(g, source, size.d, name=part, bias=False), size.heads)
                   for part, source in sources.items())  # fmt: skip
        return linear(g, merge_heads(g, attend(g, q, k, v, "eager", mask=mask)), size.d, name="out_proj", bias=False)


def _feed_forward(g: Graph, x: Tensor, size: Size) -> Tensor:
    return linear(g, act(g, linear(g, x, size.ffn, name="linear1"), "relu", name="activation"), size.d, name="linear2")


_KEYS = "layers=N,d=N,n=N,heads=N,ffn=N"
MODELS: dict[str, Entry] = {
    "transformer": Entry(partial(transformer, Size()), f"Transformer base, 65 M (Vaswani et al. 2017); {_KEYS}",
                         ("transformer-base",), "transformer:n=128"),
    "transformer-big": Entry(partial(transformer, Size(d=1024)), "Transformer big, 213 M (Vaswani et al. 2017)"),
    "transformer-encoder": Entry(partial(encoder, Size()), f"encoder of Vaswani et al. 2017; {_KEYS}", (),
                                 "transformer-encoder:layers=6,d=512,n=128"),
    "transformer-decoder": Entry(partial(decoder, Size()), f"decoder of Vaswani et al. 2017; {_KEYS},memory=N", (),
                                 "transformer-decoder:layers=6,n=128,memory=64"),
    "transformer-block": Entry(partial(encoder, Size(layers=1, d=768)), f"one encoder block; {_KEYS}", (),
                               "transformer-block:n=128,d=768"),
}  # fmt: skip
