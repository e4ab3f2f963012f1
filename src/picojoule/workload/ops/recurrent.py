"""Recurrent cells: the operators of one step, repeated over the sequence."""

from typing import Final, Literal

from .._graph import Graph
from .._tensor import Tensor
from .contract import linear
from .pointwise import binary, unary

Cell = Literal["rnn", "lstm", "gru"]
GATES: Final[dict[str, int]] = {"rnn": 1, "lstm": 4, "gru": 3}


def recurrent(g: Graph, cell: Cell, x: Tensor, weight_x: Tensor, weight_h: Tensor, bias_x: Tensor | None = None,
              bias_h: Tensor | None = None, *, projection: Tensor | None = None, steps: int, batch: int,
              activation: str = "tanh", peephole: Tensor | None = None, name: str = "") -> Tensor:  # fmt: skip
    """One layer in one direction over `steps` steps: x[steps·batch, I] → h[batch, H] of each step.

    weight_x[gates·H, I], weight_h[gates·H, P], biases [gates·H]; P = H, or the width of `projection` [P, H].
    A step is: two products, their sum, the gates, the state. The zero first state is multiplied like any other.
    GRU resets after the product (PyTorch; ONNX linear_before_reset = 1).
    """
    hidden = weight_x.shape[0] // GATES[cell]
    width = weight_h.shape[1]
    dtype = x.dtype
    state = g.tensor(g.fresh_name(f"{name or g.path}:h0"), (batch, width), dtype)
    with g.repeated(steps):
        step = g.view(x, (batch, x.shape[-1]), stored=batch * x.shape[-1])
        from_x = linear(g, step, weight_x, bias_x, name=name)
        from_h = linear(g, state, weight_h, bias_h, name=name)
        body = {"rnn": _rnn, "lstm": _lstm, "gru": _gru}[cell]
        out = body(g, from_x, from_h, batch, hidden, activation, peephole, name)
        if projection is not None:
            out = linear(g, out, projection, name=name)
    return out


def _part(g: Graph, gates: Tensor, batch: int, hidden: int, many: int = 1) -> Tensor:
    return g.view(gates, (batch, many * hidden), stored=batch * many * hidden)


def _rnn(g: Graph, a: Tensor, b: Tensor, _batch: int, _hidden: int, activation: str, _: Tensor | None,
         name: str) -> Tensor:  # fmt: skip
    return unary(g, activation, binary(g, "add", a, b, name=name, kind="recurrent"), name=name, kind="recurrent")


def _lstm(g: Graph, a: Tensor, b: Tensor, batch: int, hidden: int, activation: str, peephole: Tensor | None,
          name: str) -> Tensor:  # fmt: skip
    """c = σ(f)·c + σ(i)·tanh(g); h = σ(o)·tanh(c)."""
    gates = binary(g, "add", a, b, name=name, kind="recurrent")
    cell = g.tensor(g.fresh_name(f"{name or g.path}:c0"), (batch, hidden), a.dtype)
    each = _part(g, gates, batch, hidden)
    if peephole is not None:
        for _ in range(3):
            scaled = binary(g, "mul", cell, _part(g, peephole, 1, hidden), name=name, kind="recurrent")
            each = binary(g, "add", each, scaled, name=name, kind="recurrent")
    i, f, o = (unary(g, "sigmoid", each, name=name, kind="recurrent") for _ in range(3))
    fresh = unary(g, activation, each, name=name, kind="recurrent")
    kept = binary(g, "mul", f, cell, name=name, kind="recurrent")
    added = binary(g, "mul", i, fresh, name=name, kind="recurrent")
    cell = binary(g, "add", kept, added, name=name, kind="recurrent")
    seen = unary(g, activation, cell, name=name, kind="recurrent")
    return binary(g, "mul", o, seen, name=name, kind="recurrent")


def _gru(g: Graph, a: Tensor, b: Tensor, batch: int, hidden: int, activation: str, _: Tensor | None,
         name: str) -> Tensor:  # fmt: skip
    """r, z = σ(·); n = tanh(x_n + r·h_n); h = n + z·(h - n)."""
    part_a, part_b = _part(g, a, batch, hidden), _part(g, b, batch, hidden)
    r, z = (
        unary(g, "sigmoid", binary(g, "add", part_a, part_b, name=name, kind="recurrent"), name=name, kind="recurrent")
        for _ in range(2)
    )
    reset = binary(g, "mul", r, part_b, name=name, kind="recurrent")
    fresh = unary(g, activation, binary(g, "add", part_a, reset, name=name, kind="recurrent"), name=name,
                  kind="recurrent")  # fmt: skip
    state = g.tensor(g.fresh_name(f"{name or g.path}:h"), (batch, hidden), a.dtype)
    gap = binary(g, "sub", state, fresh, name=name, kind="recurrent")
    return binary(g, "add", fresh, binary(g, "mul", z, gap, name=name, kind="recurrent"), name=name, kind="recurrent")
