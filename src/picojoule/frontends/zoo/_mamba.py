"""Mamba (Gu and Dao 2023), as MambaForCausalLM runs it without its fused kernels: one step of the scan a token."""

from dataclasses import dataclass
from functools import partial

from picojoule.workload import Graph, Tensor, Workload, ops, repeat_layer

from ._entry import Entry, Options
from ._feed import activate
from ._layers import embedding, linear, residual
from ._run import Run, collect_inputs
from ._sequence import fill, rms_norm, token_input
from ._spec import one_of, tokens

VOCABULARY, STATE, TAPS = 50280, 16, 4


@dataclass(frozen=True, slots=True)
class Size:
    """Width, layers, words, states a channel, taps of the convolution, inner widths a width, inputs of the step size.

    The rank of the step size is width/16 rounded up if 0.
    """

    width: int
    layers: int
    vocabulary: int = VOCABULARY
    states: int = STATE
    taps: int = TAPS
    expand: int = 2
    steps: int = 0
    bias: bool = False
    conv_bias: bool = True
    act: str = "silu"
    tied: bool = True
    outputs: int | None = None

    @property
    def inner(self) -> int:
        """Channels of the scan."""
        return self.expand * self.width

    @property
    def rank(self) -> int:
        """Inputs of the step-size projection."""
        return self.steps or -(-self.width // 16)


def mamba(size: Size, name: str, options: Options) -> Workload:
    """A stack of selective state-space mixers with a tied head; Gu and Dao 2023."""
    one_of(name, options.spec, ("scan",), name)
    g, ids = token_input(name, options, tokens(name, options, 64))
    mamba_decoder(g, ids, size, Run())
    g.notes.append(f"{ids.shape[1]} tokens; set another length with --seq")
    return g.workload()


def mamba_decoder(g: Graph, ids: Tensor, size: Size, run: Run) -> None:
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
        g.notes.append("sequential scan, one step a token")
    if run.style != "kernel":
        g.notes.append(
            "the convolution is computed over S + 3 padded outputs" if size.taps == 4 and not run.past
            else f"the convolution is computed over {size.taps - 1 if not run.past else 1} outputs more than are used"
        )  # fmt: skip


def _layer(g: Graph, x: Tensor, size: Size, run: Run) -> Tensor:
    y = rms_norm(g, x, name="norm")
    with g.scope("mixer"):
        y = _mixer(g, y, size, run)
    return residual(g, x, y)


def _mixer(g: Graph, x: Tensor, size: Size, run: Run) -> Tensor:
    batch, seq, _ = x.shape
    inner, states, channels = size.inner, size.states, (batch, size.inner, seq)
    packed = linear(g, x, 2 * inner, name="in_proj", bias=size.bias)
    signal, gate = (ops.slice_view(g, packed, channels) for _ in range(2))
    decay = ops.unary(g, "neg", ops.unary(g, "exp", g.parameter("A_log", (inner, states))))
    skip = g.parameter("D", (inner,))
    signal = convolve(g, signal, size.taps, run, bias=size.conv_bias)
    signal = activate(g, signal, size.act, name="act")
    rows = linear(g, g.view(signal, (batch, seq, inner)), size.rank + 2 * states, name="x_proj", bias=False)
    step = _step_size(g, ops.slice_view(g, rows, (batch, seq, size.rank)), inner)
    into, out = (ops.slice_view(g, rows, (batch, seq, states)) for _ in range(2))
    fine = g.view(step, (batch, inner, seq, 1))
    kept = ops.unary(g, "exp", ops.binary(g, "mul", g.view(decay, (1, inner, 1, states)), fine))
    wide = ops.binary(g, "mul", fine, g.view(into, (batch, 1, seq, states)))
    added = ops.binary(g, "mul", wide, g.view(signal, (batch, inner, seq, 1)))
    y = _scan(g, kept, added, out, run)
    y = ops.binary(g, "add", y, ops.binary(g, "mul", signal, g.view(skip, (1, inner, 1))))
    y = ops.binary(g, "mul", y, activate(g, gate, "silu", name="act"))
    return linear(g, g.view(y, (batch, seq, inner)), size.width, name="out_proj", bias=size.bias)


def convolve(g: Graph, x: Tensor, taps: int, run: Run, *, bias: bool) -> Tensor:
    """A causal depthwise convolution of x[B, C, S]: padded on both sides, the last outputs dropped.

    A cache holds the last `taps` inputs, one more than are needed: two outputs are computed. A kernel computes no more
    than it keeps.
    """
    batch, inner, seq = x.shape
    after = 0 if run.style == "kernel" else taps - 1
    padding = (taps - 1, after)
    if run.past:
        past = g.parameter("past_conv", (batch, inner, taps if after else taps - 1), "input")
        x, padding = ops.concat(g, [past, x], 2), (0, 0)
        ops.copy(g, ops.slice_view(g, x, past.shape), op="cache_update")
    with g.scope("conv1d"):
        weight = g.parameter("weight", (inner, 1, taps))
        shift = g.parameter("bias", (inner,), "bias") if bias else None
        y = ops.conv(g, x, weight, shift, padding=(padding,), groups=inner)
    return ops.slice_view(g, y, (batch, inner, seq))


def _step_size(g: Graph, x: Tensor, inner: int) -> Tensor:
    """softplus(W · x + b) as [B, I, S]; the bias is added after a copy to channels first."""
    batch, seq, rank = x.shape
    with g.scope("dt_proj"):
        weight, bias = g.parameter("weight", (inner, rank)), g.parameter("bias", (inner,), "bias")
        y = ops.linear(g, x, weight)
        y = g.view(y, (batch, inner, 1)) if seq == 1 else ops.transpose(g, y, (0, 2, 1))
        y = ops.binary(g, "add", y, g.view(bias, (inner, 1)))
    return ops.unary(g, "softplus", g.view(y, (batch, inner, seq)))


def _scan(g: Graph, kept: Tensor, added: Tensor, out: Tensor, run: Run) -> Tensor:
    """h = kept · h + added and y = h · C, token by token: kept and added [B, I, S, N], C[B, S, N] → y[B, I, S]."""
    batch, inner, seq, states = kept.shape
    shape = (batch, inner, states)
    state = g.parameter("past_state", shape, "input") if run.past else fill(g, "zeros", shape, kind="move")
    with g.repeated(seq):
        state = ops.binary(g, "mul", ops.slice_view(g, kept, shape), state)
        state = ops.binary(g, "add", state, ops.slice_view(g, added, shape))
        y = ops.matmul(g, state, ops.slice_view(g, out, (batch, states, 1)), op="state_output")
    if run.past:
        ops.copy(g, state, op="cache_update")
    return ops.copy(g, g.view(y, (batch, inner, seq), stored=batch * inner * seq), op="stack")


def _row(letters: str, size: Size, about: str, *aliases: str) -> tuple[str, Entry]:
    return f"mamba-{letters}", Entry(partial(mamba, size), f"Mamba, {about} (Gu and Dao 2023)", aliases)


MODELS: dict[str, Entry] = dict([
    _row("130m", Size(768, 24), "129 M", "mamba"),
    _row("370m", Size(1024, 48), "372 M"),
    _row("790m", Size(1536, 48), "793 M"),
    _row("1.4b", Size(2048, 48), "1.4 B"),
    _row("2.8b", Size(2560, 64), "2.8 B"),
])  # fmt: skip
