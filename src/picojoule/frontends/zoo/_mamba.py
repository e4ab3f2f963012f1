"""Mamba (Gu and Dao 2023), as MambaForCausalLM runs it without its fused kernels: one step of the scan a token."""

from dataclasses import dataclass
from functools import partial

from picojoule.workload import Graph, Tensor, Workload, ops, repeat_layer

from ._entry import Entry, Options
from ._layers import act, embedding, linear, residual
from ._sequence import fill, rms_norm, token_input
from ._spec import one_of, tokens

VOCABULARY, STATE, TAPS = 50280, 16, 4


@dataclass(frozen=True, slots=True)
class Size:
    """Width and layers; the inner width is twice the width, the rank of the step width/16 rounded up."""

    width: int
    layers: int

    @property
    def inner(self) -> int:
        """Channels of the scan."""
        return 2 * self.width

    @property
    def rank(self) -> int:
        """Inputs of the step-size projection."""
        return -(-self.width // 16)


def mamba(size: Size, name: str, options: Options) -> Workload:
    """A stack of selective state-space mixers with a tied head; Gu and Dao 2023."""
    one_of(name, options.spec, ("scan",), name)
    g, ids = token_input(name, options, tokens(name, options, 64))
    with g.scope("backbone"):
        x, table = embedding(g, ids, VOCABULARY, size.width, name="embeddings")
        x = repeat_layer(g, "layers", size.layers, x, lambda y: _layer(g, y, size))
        x = rms_norm(g, x, name="norm_f")
    g.output(linear(g, x, VOCABULARY, name="lm_head", bias=False, tied=table))
    g.notes.append("the head is tied to the token embeddings: its weight is counted once")
    g.notes.append("sequential scan, one step a token; the convolution is computed over S + 3 padded outputs")
    g.notes.append(f"{ids.shape[1]} tokens; set another length with --seq")
    return g.workload()


def _layer(g: Graph, x: Tensor, size: Size) -> Tensor:
    y = rms_norm(g, x, name="norm")
    with g.scope("mixer"):
        y = _mixer(g, y, size)
    return residual(g, x, y)


def _mixer(g: Graph, x: Tensor, size: Size) -> Tensor:
    batch, seq, _ = x.shape
    inner, channels = size.inner, (batch, size.inner, seq)
    packed = linear(g, x, 2 * inner, name="in_proj", bias=False)
    signal, gate = (ops.slice_view(g, packed, channels) for _ in range(2))
    decay = ops.unary(g, "neg", ops.unary(g, "exp", g.parameter("A_log", (inner, STATE))))
    skip = g.parameter("D", (inner,))
    signal = act(g, _convolve(g, signal, inner, seq), "silu", name="act")
    rows = linear(g, g.view(signal, (batch, seq, inner)), size.rank + 2 * STATE, name="x_proj", bias=False)
    step = _step_size(g, ops.slice_view(g, rows, (batch, seq, size.rank)), inner)
    into, out = (ops.slice_view(g, rows, (batch, seq, STATE)) for _ in range(2))
    fine = g.view(step, (batch, inner, seq, 1))
    kept = ops.unary(g, "exp", ops.binary(g, "mul", g.view(decay, (1, inner, 1, STATE)), fine))
    wide = ops.binary(g, "mul", fine, g.view(into, (batch, 1, seq, STATE)))
    added = ops.binary(g, "mul", wide, g.view(signal, (batch, inner, seq, 1)))
    y = _scan(g, kept, added, out)
    y = ops.binary(g, "add", y, ops.binary(g, "mul", signal, g.view(skip, (1, inner, 1))))
    y = ops.binary(g, "mul", y, act(g, gate, "silu", name="act"))
    return linear(g, g.view(y, (batch, seq, inner)), size.width, name="out_proj", bias=False)


def _convolve(g: Graph, x: Tensor, inner: int, seq: int) -> Tensor:
    """A causal depthwise convolution: padded on both sides, the last outputs dropped."""
    with g.scope("conv1d"):
        weight, bias = g.parameter("weight", (inner, 1, TAPS)), g.parameter("bias", (inner,), "bias")
        y = ops.conv(g, x, weight, bias, padding=((TAPS - 1, TAPS - 1),), groups=inner)
    return ops.slice_view(g, y, (x.shape[0], inner, seq))


def _step_size(g: Graph, x: Tensor, inner: int) -> Tensor:
    """softplus(W · x + b) as [B, I, S]; the bias is added after a copy to channels first."""
    batch, seq, rank = x.shape
    with g.scope("dt_proj"):
        weight, bias = g.parameter("weight", (inner, rank)), g.parameter("bias", (inner,), "bias")
        y = ops.transpose(g, ops.linear(g, x, weight), (0, 2, 1))
        y = ops.binary(g, "add", y, g.view(bias, (inner, 1)))
    return ops.unary(g, "softplus", g.view(y, (batch, inner, seq)))


def _scan(g: Graph, kept: Tensor, added: Tensor, out: Tensor) -> Tensor:
    """h = kept · h + added and y = h · C, token by token: kept and added [B, I, S, N], C[B, S, N] → y[B, I, S]."""
    batch, inner, seq, states = kept.shape
    shape = (batch, inner, states)
    state = fill(g, "zeros", shape, kind="move")
    with g.repeated(seq):
        state = ops.binary(g, "mul", ops.slice_view(g, kept, shape), state)
        state = ops.binary(g, "add", state, ops.slice_view(g, added, shape))
        y = ops.matmul(g, state, ops.slice_view(g, out, (batch, states, 1)), op="state_output")
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
