"""T5 (Raffel et al. 2020) with its language-model head, as T5ForConditionalGeneration runs it."""

from dataclasses import dataclass
from functools import partial

from picojoule.workload import Graph, Tensor, Workload, ops, repeat_layer

from ._entry import Entry, Options
from ._feed import activate
from ._layers import linear, residual
from ._run import Run, collect_inputs, remember
from ._sequence import STYLES, attend, causal_mask, fill, merge_heads, rms_norm, split_heads, start_many, tell_causal
from ._spec import one_of

VOCABULARY, BUCKETS = 32128, 32


@dataclass(frozen=True, slots=True)
class Size:
    """Width of the stream, of one head and of the feed-forward; layers of each stack; heads.

    `decoder` layers if they differ from the encoder's; `gated`: the feed-forward of T5 v1.1; `scaled`: the last state
    is scaled before a tied head.
    """

    width: int
    head: int
    inner: int
    layers: int
    heads: int
    decoder: int = 0
    vocabulary: int = VOCABULARY
    buckets: int = BUCKETS
    act: str = "relu"
    gated: bool = False
    scaled: bool = True
    tied: bool = True
    memory: int = 0


def t5(size: Size, name: str, options: Options) -> Workload:
    """T5 v1.0: ReLU, no biases, relative positions from the first layer of each stack; Raffel et al. 2020."""
    style = one_of(name, options.spec, STYLES, "t5-small:eager")
    seq = options.seq or 128
    names = ("input_ids", "decoder_input_ids")
    g, (source, target) = start_many(name, options, dict.fromkeys(names, ((seq,), "int64")))
    t5_both(g, source, target, size, Run(style))
    g.notes.append(f"{source.shape[1]} tokens in, {target.shape[1]} out; set --seq, or --input for each")
    return g.workload()


def t5_both(g: Graph, source: Tensor | None, target: Tensor, size: Size, run: Run) -> None:
    """Record encoder and decoder and their notes; without `source` the encoder ran before, over `size.memory` tokens."""
    with g.scope("shared"):
        table = g.parameter("weight", (size.vocabulary, size.width), "embedding")
    memory: Tensor | int = size.memory
    if source is not None:
        memory = _stack(g, source, table, size, Run(run.style), None)
    x = _stack(g, target, table, size, run, memory)
    if size.scaled:
        x = ops.unary(g, "mul_scalar", x)
    collect_inputs(g)
    g.output(linear(g, x, size.vocabulary, name="lm_head", bias=False, tied=table if size.tied else None))
    if size.tied:
        g.notes.append("the head and both embeddings are tied: their weight is counted once")
    if not run.past:
        tell_causal(g, target.shape[1], under="decoder", cross="EncDecAttention", halved=run.halved)


def _stack(g: Graph, ids: Tensor, table: Tensor, size: Size, run: Run, memory: Tensor | int | None) -> Tensor:
    """The encoder, or with `memory` (its states, or their number where keys and values are cached) the decoder."""
    rows = ids.shape[1]
    with g.scope("encoder" if memory is None else "decoder"):
        with g.scope("embed_tokens"):
            x = ops.gather(g, table, ids, op="embedding")
        mask = None
        if memory is not None and run.style == "eager":
            mask = causal_mask(g, ids.shape[0], rows, run.seen(rows))
        layer = _Layer(g, size, run, mask, memory)
        count = size.layers if memory is None else size.decoder or size.layers
        x = repeat_layer(g, "block", count, x, layer)
        return rms_norm(g, x, name="final_layer_norm")


class _Layer:
    """A block that keeps the position bias which the first one made."""

    def __init__(self, g: Graph, size: Size, run: Run, mask: Tensor | None, memory: Tensor | int | None) -> None:
        self.g, self.size, self.run, self.mask, self.memory = g, size, run, mask, memory
        self.bias: Tensor | None = None
        self.zeros: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        g = self.g
        with g.scope("layer", 0):
            y = rms_norm(g, x, name="layer_norm")
            with g.scope("SelfAttention"):
                y = self._self_attention(y)
            x = residual(g, x, y)
        if self.memory is not None:
            with g.scope("layer", 1):
                y = rms_norm(g, x, name="layer_norm")
                with g.scope("EncDecAttention"):
                    y = self._cross_attention(y, self.memory)
                x = residual(g, x, y)
        with g.scope("layer", 1 if self.memory is None else 2):
            y = rms_norm(g, x, name="layer_norm")
            with g.scope("DenseReluDense"):
                y = self._feed_forward(y)
            return residual(g, x, y)

    def _heads(self, x: Tensor, name: str) -> Tensor:
        inner = self.size.heads * self.size.head
        return split_heads(self.g, linear(self.g, x, inner, name=name, bias=False), self.size.heads)

    def _feed_forward(self, x: Tensor) -> Tensor:
        g, size = self.g, self.size
        y = linear(g, x, size.inner, name="wi_0" if size.gated else "wi", bias=False)
        y = activate(g, y, size.act, name="act")
        if size.gated:
            y = ops.binary(g, "mul", y, linear(g, x, size.inner, name="wi_1", bias=False))
        return linear(g, y, size.width, name="wo", bias=False)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, causal: bool = False,
                mask: Tensor | None = None) -> Tensor:  # fmt: skip
        visible = self.run.visible(q.shape[2]) if causal and self.run.halved else 0
        y = attend(self.g, q, k, v, self.run.style, bias=bias, mask=mask, visible=visible)
        return linear(self.g, merge_heads(self.g, y), self.size.width, name="o", bias=False)

    def _self_attention(self, x: Tensor) -> Tensor:
        """sdpa masks and copies the position bias in every layer; eager adds bias and mask to the scores."""
        g, rows, causal = self.g, x.shape[1], self.memory is not None
        q, k, v = (self._heads(x, part) for part in "qkv")
        k, v = remember(g, k, "key", self.run), remember(g, v, "value", self.run)
        columns = k.shape[2]
        if self.bias is None:
            self.bias = _position_bias(g, rows, columns, self.size, not causal)
        if self.run.style != "sdpa":
            return self._attend(q, k, v, self.bias, causal=causal, mask=self.mask)
        bias = self.bias
        if causal and rows > 1:
            queries, keys = (fill(g, "arange", (n,), dtype="int64", kind="mask") for n in (rows, columns))
            seen = ops.binary(g, "less", g.view(keys, (1, columns)), g.view(queries, (rows, 1)), kind="mask",
                              dtype="bool")  # fmt: skip
            shown = g.view(seen, (1, 1, rows, columns))
            bias = ops.where(g, shown, bias, fill(g, "scalar", (), kind="mask"), kind="mask")
        return self._attend(q, k, v, ops.copy(g, bias, kind="mask"), causal=causal)

    def _cross_attention(self, x: Tensor, memory: Tensor | int) -> Tensor:
        """No positions: a bias of zeros, made once, is added all the same (not by a kernel)."""
        g, size = self.g, self.size
        q = self._heads(x, "q")
        if isinstance(memory, Tensor):
            k, v = self._heads(memory, "k"), self._heads(memory, "v")
        else:
            for part in "kv":
                with g.scope(part):
                    g.parameter("weight", (size.heads * size.head, size.width))
            shape = (x.shape[0], size.heads, memory, size.head)
            k, v = (g.parameter(f"past_{part}", shape, "input") for part in ("key", "value"))
        if self.zeros is None and self.run.style != "kernel":
            self.zeros = fill(g, "zeros", (1, size.heads, x.shape[1], k.shape[2]), kind="mask")
        return self._attend(q, k, v, self.zeros)


def _position_bias(g: Graph, rows: int, columns: int, size: Size, both_ways: bool) -> Tensor:
    """A learned bias [1, H, S, T] by the bucket of key minus query: exact when near, logarithmic when far."""
    queries = ops.unary(g, "add_scalar", g.view(fill(g, "arange", (rows,), dtype="int64", kind="position"), (rows, 1)),
                        kind="position")  # fmt: skip
    keys = g.view(fill(g, "arange", (columns,), dtype="int64", kind="position"), (1, columns))
    gap = ops.binary(g, "sub", keys, queries, kind="position")
    after = None
    if both_ways:
        later = ops.unary(g, "greater", gap, kind="position", dtype="bool", work=ops.BINARY["greater"])
        later = ops.copy(g, later, op="cast", dtype="int64", kind="position")
        later = ops.unary(g, "mul_scalar", later, kind="position")
        after = ops.unary(g, "add_scalar", later, kind="position")
        gap = ops.unary(g, "abs", gap, kind="position")
    else:
        zeros = ops.copy(g, gap, op="zeros_like", kind="position")
        gap = ops.unary(g, "neg", ops.binary(g, "min", gap, zeros, kind="position"), kind="position")
    buckets = _buckets(g, gap)
    if after is None:
        buckets = ops.unary(g, "add_scalar", buckets, kind="position")
    else:
        buckets = ops.binary(g, "add", after, buckets, kind="position")
    with g.scope("relative_attention_bias"):
        table = g.parameter("weight", (size.buckets, size.heads), "embedding")
        values = ops.gather(g, table, buckets, op="embedding")
    return g.view(values, (1, size.heads, rows, columns))


def _buckets(g: Graph, gap: Tensor) -> Tensor:
    """The bucket of each distance: itself if small, else logarithmic up to the last."""
    near = ops.unary(g, "less", gap, kind="position", dtype="bool", work=ops.BINARY["less"])
    far = ops.copy(g, gap, op="cast", dtype=g.dtype, kind="position")
    for step in ("div_scalar", "log", "div_scalar", "mul_scalar"):
        far = ops.unary(g, step, far, kind="position")
    far = ops.copy(g, far, op="cast", dtype="int64", kind="position")
    far = ops.unary(g, "add_scalar", far, kind="position")
    last = ops.copy(g, far, op="full_like", kind="position")
    far = ops.binary(g, "min", far, last, kind="position")
    return ops.where(g, near, gap, far, kind="position")


def _row(letters: str, size: Size, about: str, *aliases: str) -> tuple[str, Entry]:
    return f"t5-{letters}", Entry(partial(t5, size), f"T5 {letters}, {about} (Raffel et al. 2020)", aliases)


MODELS: dict[str, Entry] = dict([
    _row("small", Size(512, 64, 2048, 6, 8), "60 M", "t5"),
    _row("base", Size(768, 64, 3072, 12, 12), "220 M"),
    _row("large", Size(1024, 64, 4096, 24, 16), "770 M"),
    _row("3b", Size(1024, 128, 16384, 24, 32), "2.8 B"),
    _row("11b", Size(1024, 128, 65536, 24, 128), "11 B"),
])  # fmt: skip
