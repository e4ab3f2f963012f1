"""Transformers that are no decoder-only language models, and the smallest network with a tied embedding."""

from picojoule.workload import Workload, ops

from . import _bert, _t5, _vaswani, _vit, _whisper
from ._entry import Entry, Options
from ._layers import embedding, linear, residual
from ._sequence import token_input
from ._spec import one_of, tokens


def tied(name: str, options: Options) -> Workload:
    """A toy: embedding, one linear layer used twice, a buffer added, ReLU, a head tied to the embedding."""
    one_of(name, options.spec, ("toy",), name)
    g, ids = token_input(name, options, tokens(name, options, 16))
    x, table = embedding(g, ids, 1000, 64, name="emb")
    with g.scope("l"):
        weight, bias = g.parameter("weight", (64, 64)), g.parameter("bias", (64,), "bias")
        x = ops.linear(g, ops.linear(g, x, weight, bias), weight, bias)
    x = ops.unary(g, "relu", residual(g, x, g.parameter("b", (64,), "buffer")))
    g.output(linear(g, x, 1000, name="out", bias=False, tied=table))
    g.notes.append("the head is tied to the embedding: its weight is counted once")
    return g.workload()


MODELS: dict[str, Entry] = {
    **_vaswani.MODELS, **_bert.MODELS, **_vit.MODELS, **_t5.MODELS, **_whisper.MODELS,
    "tied": Entry(tied, "a toy network with a tied embedding and a layer used twice"),
}  # fmt: skip
