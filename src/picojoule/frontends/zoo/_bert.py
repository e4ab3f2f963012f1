"""BERT (Devlin et al. 2019) and DistilBERT (Sanh et al. 2019) with their masked-language-model heads."""

from dataclasses import dataclass
from functools import partial

from picojoule.workload import Access, Graph, Tensor, Work, Workload, ops, repeat_layer
from picojoule.workload.ops.pointwise import axes_of, space_of, whole

from ._entry import Entry, Options
from ._layers import act, layer_norm, linear, residual
from ._sequence import STYLES, attend, merge_heads, split_heads, token_input
from ._spec import one_of, tokens

VOCABULARY, POSITIONS = 30522, 512


@dataclass(frozen=True, slots=True)
class Size:
    """Width, layers and heads; the feed-forward is four times as wide."""

    width: int
    layers: int
    heads: int


def bert(size: Size, name: str, options: Options) -> Workload:
    """BertForMaskedLM, the decoder tied to the word embeddings; Devlin et al. 2019."""
    style = one_of(name, options.spec, STYLES, "bert-base:eager")
    g, ids = token_input(name, options, tokens(name, options, 128, POSITIONS), POSITIONS)
    with g.scope("bert", "embeddings"):
        x, table = _bert_embeddings(g, ids, size.width)
    with g.scope("bert", "encoder"):
        x = repeat_layer(g, "layer", size.layers, x, lambda y: _bert_layer(g, y, size, style))
    with g.scope("cls", "predictions"):
        bias = g.parameter("bias", (VOCABULARY,), "bias")
        with g.scope("transform"):
            x = linear(g, x, size.width, name="dense")
            x = layer_norm(g, act(g, x, "gelu", name="transform_act_fn"), name="LayerNorm")
        with g.scope("decoder"):
            g.output(ops.linear(g, x, table, bias))
    g.notes.append("the decoder is tied to the word embeddings: its weight is counted once")
    g.notes.append(f"{ids.shape[1]} tokens; set another length with --seq")
    return g.workload()


def _bert_embeddings(g: Graph, ids: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Words + token types + positions, normalised; and the table of words."""
    batch, seq = ids.shape
    positions = g.parameter("position_ids", (1, POSITIONS), "buffer", "int64")
    types = g.parameter("token_type_ids", (1, POSITIONS), "buffer", "int64")
    reads = [whole(types), Access(positions.name, tuple(axes_of(2)), seq)]
    type_ids = g.emit("gather", "position", space_of((1, seq)), reads, [((1, seq), axes_of(2))], Work(),
                      dtype="int64")[0]  # fmt: skip
    with g.scope("word_embeddings"):
        table = g.parameter("weight", (VOCABULARY, width), "embedding")
        words = ops.gather(g, table, ids, op="embedding")
    with g.scope("token_type_embeddings"):
        kinds = g.parameter("weight", (2, width), "embedding")
        of_types = ops.gather(g, kinds, ops.expand(g, type_ids, (batch, seq)), op="embedding")
    x = residual(g, words, of_types)
    with g.scope("position_embeddings"):
        places = g.parameter("weight", (POSITIONS, width), "embedding")
        of_places = ops.gather(g, places, ops.slice_view(g, positions, (1, seq)), op="embedding")
    return layer_norm(g, residual(g, x, of_places), name="LayerNorm"), table


def _bert_layer(g: Graph, x: Tensor, size: Size, style: str) -> Tensor:
    with g.scope("attention"):
        with g.scope("self"):
            q, k, v = (split_heads(g, linear(g, x, size.width, name=part), size.heads)
                       for part in ("query", "key", "value"))  # fmt: skip
            y = merge_heads(g, attend(g, q, k, v, style))
        with g.scope("output"):
            x = layer_norm(g, residual(g, linear(g, y, size.width, name="dense"), x), name="LayerNorm")
    with g.scope("intermediate"):
        y = act(g, linear(g, x, 4 * size.width, name="dense"), "gelu", name="intermediate_act_fn")
    with g.scope("output"):
        return layer_norm(g, residual(g, linear(g, y, size.width, name="dense"), x), name="LayerNorm")


def distilbert(size: Size, name: str, options: Options) -> Workload:
    """DistilBertForMaskedLM, the projector tied to the word embeddings; Sanh et al. 2019."""
    style = one_of(name, options.spec, STYLES, "distilbert:eager")
    g, ids = token_input(name, options, tokens(name, options, 128, POSITIONS), POSITIONS)
    with g.scope("distilbert", "embeddings"):
        positions = g.parameter("position_ids", (1, POSITIONS), "buffer", "int64")
        with g.scope("word_embeddings"):
            table = g.parameter("weight", (VOCABULARY, size.width), "embedding")
            x = ops.gather(g, table, ids, op="embedding")
        with g.scope("position_embeddings"):
            places = g.parameter("weight", (POSITIONS, size.width), "embedding")
            of_places = ops.gather(g, places, ops.slice_view(g, positions, (1, ids.shape[1])), op="embedding")
        x = layer_norm(g, residual(g, x, of_places), name="LayerNorm")
    with g.scope("distilbert", "transformer"):
        x = repeat_layer(g, "layer", size.layers, x, lambda y: _distilbert_layer(g, y, size, style))
    x = act(g, linear(g, x, size.width, name="vocab_transform"), "gelu", name="activation")
    x = layer_norm(g, x, name="vocab_layer_norm")
    with g.scope("vocab_projector"):
        g.output(ops.linear(g, x, table, g.parameter("bias", (VOCABULARY,), "bias")))
    g.notes.append("the projector is tied to the word embeddings: its weight is counted once")
    g.notes.append(f"{ids.shape[1]} tokens; set another length with --seq")
    return g.workload()


def _distilbert_layer(g: Graph, x: Tensor, size: Size, style: str) -> Tensor:
    with g.scope("attention"):
        q, k, v = (split_heads(g, linear(g, x, size.width, name=part), size.heads)
                   for part in ("q_lin", "k_lin", "v_lin"))  # fmt: skip
        y = linear(g, merge_heads(g, attend(g, q, k, v, style)), size.width, name="out_lin")
    x = layer_norm(g, residual(g, y, x), name="sa_layer_norm")
    with g.scope("ffn"):
        y = act(g, linear(g, x, 4 * size.width, name="lin1"), "gelu", name="activation")
        y = linear(g, y, size.width, name="lin2")
    return layer_norm(g, residual(g, y, x), name="output_layer_norm")


MODELS: dict[str, Entry] = {
    "bert-base": Entry(partial(bert, Size(768, 12, 12)), "BERT-base, masked LM, 110 M (Devlin et al. 2019)",
                       ("bert", "bert-base-uncased")),
    "bert-large": Entry(partial(bert, Size(1024, 24, 16)), "BERT-large, masked LM, 335 M (Devlin et al. 2019)",
                        ("bert-large-uncased",)),
    "distilbert": Entry(partial(distilbert, Size(768, 6, 12)), "DistilBERT, masked LM, 67 M (Sanh et al. 2019)",
                        ("distilbert-base", "distilbert-base-uncased")),
}  # fmt: skip
