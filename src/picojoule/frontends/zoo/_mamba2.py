"""Mamba 2 (Dao and Gu 2024), as Mamba2ForCausalLM runs it without its fused kernels: chunk by chunk."""

from dataclasses import dataclass

from picojoule.workload import Graph, Tensor, Work, ops, repeat_layer

from ._feed import activate
from ._layers import embedding, linear, residual
from ._mamba import convolve
from ._run import Run, collect_inputs
from ._sequence import fill, rms_norm


@dataclass(frozen=True, slots=True)
class Size:
    """Width, layers, heads and their width, states, groups that share them, tokens of a chunk, taps, words."""

    width: int
    layers: int
    heads: int
    head: int
    states: int
    groups: int
    chunk: int
    taps: int
    vocabulary: int
    bias: bool = False
    conv_bias: bool = True
    act: str = "silu"
    tied: bool = False
    outputs: int | None = None

    @property
    def inner(self) -> int:
        """Channels of the mixer."""
        return self.heads * self.head

    @property
    def convolved(self) -> int:
        """Channels of the convolution: the signal, and what enters and leaves the state."""
        return self.inner + 2 * self.groups * self.states


def mamba2_decoder(g: Graph, ids: Tensor, size: Size, run: Run) -> None:
    """Record the whole network over ids[B, S] and its notes."""
    with g.scope(*("backbone",) * (size.outputs is None)):
        x, table = embedding(g, ids, size.vocabulary, size.width, name="embeddings")
        x = repeat_layer(g, "layers", size.layers, x, lambda y: _layer(g, y, size, run))
        x = rms_norm(g, x, name="norm_f")
    collect_inputs(g)
    if size.outputs is None:
        x = linear(g, x, size.vocabulary, name="lm_head", bias=False, tied=table if size.tied else None)
        if size.tied:
            g.notes.append("the head is tied to the token embeddings: its weight is counted once")
    g.output(x)
    if not run.past:
        g.notes.append(f"the scan runs in chunks of {size.chunk} tokens; the last one is padded, its work is counted")


def _layer(g: Graph, x: Tensor, size: Size, run: Run) -> Tensor:
    y = rms_norm(g, x, name="norm")
    with g.scope("mixer"):
        y = _mixer(g, y, size, run)
    return residual(g, x, y)


def _mixer(g: Graph, x: Tensor, size: Size, run: Run) -> Tensor:
    batch, seq, _ = x.shape
    packed = linear(g, x, size.inner + size.convolved + size.heads, name="in_proj", bias=size.bias)
    decay = ops.unary(g, "neg", ops.unary(g, "exp", g.parameter("A_log", (size.heads,))))
    gate = ops.slice_view(g, packed, (batch, seq, size.inner))
    step = ops.slice_view(g, packed, (batch, seq, size.heads))
    signal = ops.slice_view(g, packed, (batch, size.convolved, seq))
    signal = activate(g, convolve(g, signal, size.taps, run, bias=size.conv_bias), size.act, name="act")
    x = ops.slice_view(g, signal, (batch, seq, size.heads, size.head))
    shared = (batch, seq, size.groups, size.heads // size.groups, size.states)
    into, out = (
        g.view(ops.copy(g, _shared(g, signal, size, shared)), (batch, seq, size.heads, size.states)) for _ in range(2)
    )
    shift, skip = g.parameter("dt_bias", (size.heads,), "bias"), g.parameter("D", (size.heads,))
    if run.past:
        y = _step(g, x, step, decay, into, out, shift, skip)
    else:
        y = _chunks(g, x, step, decay, into, out, shift, skip, size)
    y = _gated_norm(g, g.view(y, (batch, seq, size.inner)), gate, size)
    return linear(g, y, size.width, name="out_proj", bias=size.bias)


def _shared(g: Graph, signal: Tensor, size: Size, shape: tuple[int, ...]) -> Tensor:
    """What all heads of a group share, seen once for each head."""
    batch, seq = shape[:2]
    part = ops.slice_view(g, signal, (batch, seq, size.groups, 1, size.states))
    return ops.expand(g, part, shape)


def _step(g: Graph, x: Tensor, step: Tensor, decay: Tensor, into: Tensor, out: Tensor, shift: Tensor,
          skip: Tensor) -> Tensor:  # fmt: skip
    """One token: h = exp(dt · A) · h + dt · B · x and y = h · C + D · x, the step size spread over the head."""
    batch, _, heads, head = x.shape
    states = into.shape[-1]
    fine = ops.expand(g, g.view(step, (batch, heads, 1)), (batch, heads, head))
    fine = ops.binary(g, "add", fine, ops.expand(g, g.view(shift, (heads, 1)), (heads, head)))
    fine = g.view(ops.unary(g, "softplus", fine), (batch, heads, head, 1))
    kept = ops.expand(g, g.view(decay, (heads, 1, 1)), (heads, head, states))
    kept = ops.unary(g, "exp", ops.binary(g, "mul", fine, kept))
    added = ops.binary(g, "mul", fine, g.view(into, (batch, heads, 1, states)))
    added = ops.binary(g, "mul", added, g.view(x, (batch, heads, head, 1)))
    past = g.parameter("past_state", (batch, heads, head, states), "input")
    state = ops.binary(g, "add", ops.binary(g, "mul", past, kept), added)
    ops.copy(g, state, op="cache_update")
    y = ops.matmul(g, state, g.view(out, (batch, heads, states, 1)), op="state_output")
    skipped = ops.binary(g, "mul", g.view(x, (batch, heads, head)), g.view(skip, (heads, 1)))
    return ops.binary(g, "add", g.view(y, (batch, heads, head)), skipped)


def _chunks(g: Graph, x: Tensor, step: Tensor, decay: Tensor, into: Tensor, out: Tensor, shift: Tensor, skip: Tensor,
            size: Size) -> Tensor:  # fmt: skip
    """Attention inside each chunk of L tokens, states between them: x[B, S, H, P] → y[B, S, H, P]."""
    batch, seq, heads, head = x.shape
    length = size.chunk
    chunks, states = -(-seq // length), size.states
    rows = chunks * length
    step = ops.unary(g, "softplus", ops.binary(g, "add", step, shift))
    step = ops.unary(g, "clip", step, kind="elementwise")
    skipped = ops.binary(g, "mul", g.view(skip, (heads, 1)), _padded(g, x, rows))
    signal = _padded(g, ops.binary(g, "mul", x, g.view(step, (batch, seq, heads, 1))), rows)
    decay = _padded(g, ops.binary(g, "mul", decay, step), rows)
    into, out = _padded(g, into, rows), _padded(g, out, rows)
    each = (batch, chunks, heads)
    sums = _sums(g, g.view(decay, (batch, heads, chunks, length)))
    inside = ops.unary(g, "exp", _segments(g, sums, length))
    near = _product(g, out, into, each, (length, states, length))
    near = ops.binary(g, "mul", near, g.view(inside, (*each, length, length)))
    diagonal = _product(g, near, signal, each, (length, length, head))
    last = ops.slice_view(g, sums, (batch, heads, chunks, 1))
    left = ops.unary(g, "exp", ops.binary(g, "sub", last, sums))
    weighted = ops.binary(g, "mul", g.view(into, (*each, length, states)), g.view(left, (*each, length, 1)))
    made = _product(g, signal, weighted, each, (head, length, states))
    carried = _carry(g, made, last, batch, chunks, heads)
    entered = ops.slice_view(g, carried, (batch, chunks, heads, head, states))
    far = _product(g, out, entered, each, (length, states, head))
    far = ops.binary(g, "mul", far, g.view(ops.unary(g, "exp", sums), (*each, length, 1)))
    y = ops.copy(g, ops.binary(g, "add", diagonal, far))
    y = ops.binary(g, "add", g.view(y, (batch, rows, heads, head)), skipped)
    return ops.slice_view(g, y, (batch, seq, heads, head))


def _padded(g: Graph, x: Tensor, rows: int) -> Tensor:
    """x[B, S, …] with zeros behind it: [B, rows, …]."""
    return ops.copy(g, x, (x.shape[0], rows, *x.shape[2:]), op="pad")


def _sums(g: Graph, x: Tensor) -> Tensor:
    """Running sums along the last axis."""
    return ops.unary(g, "cumulative_sum", x, kind="reduce", work=Work.of(adds=1))


def _segments(g: Graph, x: Tensor, length: int) -> Tensor:
    """Sums over every segment i … j of the last axis, -inf above the diagonal: [B, H, C, L] → [B, H, C, L, L]."""
    shape = (*x.shape, length)
    y = ops.expand(g, g.view(x, (*x.shape, 1)), shape)
    for turn in range(2):
        ones = ops.copy(g, fill(g, "ones", (length, length), dtype="bool", kind="mask"), op="tril", kind="mask")
        hidden = ops.unary(g, "not", ones, kind="mask", dtype="bool")
        y = ops.binary(g, "masked_fill", y, hidden, kind="mask", work=Work())
        y = _sums(g, y) if turn == 0 else y
    return y


def _product(g: Graph, a: Tensor, b: Tensor, each: tuple[int, ...], sizes: tuple[int, int, int]) -> Tensor:
    """A matrix product [M, K] · [K, N] for each chunk and head, its operands copied into that order."""
    m, k, n = sizes
    a, b = g.view(ops.copy(g, a), (*each, m, k)), g.view(ops.copy(g, b), (*each, k, n))
    return ops.matmul(g, a, b, op="chunk_product")


def _carry(g: Graph, made: Tensor, last: Tensor, batch: int, chunks: int, heads: int) -> Tensor:
    """The state before each chunk and the last one, from what each chunk made: one product over chunks + 1."""
    head, states = made.shape[-2:]
    first = fill(g, "zeros", (batch, 1, heads, head, states), kind="move")
    made = ops.concat(g, [first, g.view(made, (batch, chunks, heads, head, states))], 1)
    ends = ops.copy(g, g.view(last, (batch, heads, chunks)), (batch, heads, chunks + 1), op="pad")
    between = ops.unary(g, "exp", _segments(g, ends, chunks + 1))
    moved = g.view(ops.copy(g, made), (batch, heads, chunks + 1, head * states))
    y = ops.matmul(g, g.view(between, (batch, heads, chunks + 1, chunks + 1)), moved, op="chunk_product")
    return g.view(y, (batch, chunks + 1, heads, head, states))


def _gated_norm(g: Graph, x: Tensor, gate: Tensor, size: Size) -> Tensor:
    """RMSNorm of x · silu(gate) over each group of channels, with a scale."""
    with g.scope("norm"):
        x = ops.binary(g, "mul", x, ops.unary(g, "silu", gate))
        grouped = g.view(x, (*x.shape[:-1], size.groups, size.inner // size.groups))
        y = g.view(ops.rms_norm(g, grouped), x.shape)
        return ops.binary(g, "mul", g.parameter("weight", (size.inner,), "norm"), y, kind="norm")
