"""Recurrent networks of one size: Elman 1990, Hochreiter and Schmidhuber 1997 with forget gates, Cho et al. 2014."""

import re
from functools import partial

from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Workload, ops
from picojoule.workload.ops.recurrent import GATES, Cell

from ._entry import Entry, Options
from ._layers import linear, start
from ._sequence import fill
from ._spec import read_spec


def _build(cell: Cell, name: str, options: Options) -> Workload:
    """One or more layers of `cell` over x[batch, steps, INPUT], an optional linear head on the last state."""
    size, _, rest = options.spec.partition(":")
    match = re.fullmatch(r"\s*(\d+)\s*[xX×]\s*(\d+)\s*", size)
    if match is None or not int(match[1]) * int(match[2]):
        raise InputError(f"{name}: no INPUTxHIDDEN after the first colon", expected="the two sizes of the cell",
                         example=f"{cell}:128x256")  # fmt: skip
    flags = ("bi", "onebias")
    sizes, on = read_spec(name, rest, {"layers": 1, "steps": 1, "head": 0}, flags,
                          f"{cell}:128x256:layers=2:bi:steps=50:head=10")  # fmt: skip
    steps = options.seq or sizes["steps"]
    g, x = start(name, options, (steps, int(match[1])))
    batch, steps = x.shape[0], x.shape[1]
    directions = ("", "_reverse") if "bi" in on else ("",)
    states: list[Tensor] = []
    with g.scope("rnn"):
        for _ in range(2 if cell == "lstm" else 1):
            fill(g, "zeros", (sizes["layers"] * len(directions), batch, int(match[2])), kind="move")
        for layer in range(sizes["layers"]):
            hidden = [
                _layer(g, cell, x, int(match[2]), f"_l{layer}{way}", 1 if "onebias" in on else 2) for way in directions
            ]
            states += hidden
            runs = [_stack(g, h, steps) for h in hidden]
            x = ops.concat(g, runs, 2) if len(runs) > 1 else runs[0]
            x = g.view(x, (batch, steps, x.shape[-1]))
        for _ in range(2 if cell == "lstm" else 1):
            ops.concat(g, [g.view(h, (1, *h.shape)) for h in states], 0, op="stack")
    if sizes["head"]:
        x = linear(g, ops.slice_view(g, x, (batch, x.shape[-1])), sizes["head"], name="fc")
    g.output(x)
    g.notes.append("recurrent weights are read again at every step; the zero first state is multiplied like any other")
    return g.workload()


def _layer(g: Graph, cell: Cell, x: Tensor, hidden: int, suffix: str, biases: int) -> Tensor:
    """One layer in one direction; the state after each step [batch, hidden]."""
    batch, steps, width = x.shape
    rows = GATES[cell] * hidden
    weight_x = g.parameter(f"weight_ih{suffix}", (rows, width))
    weight_h = g.parameter(f"weight_hh{suffix}", (rows, hidden))
    bias_x = g.parameter(f"bias_ih{suffix}", (rows,), "bias")
    bias_h = g.parameter(f"bias_hh{suffix}", (rows,), "bias") if biases == 2 else None
    return ops.recurrent(g, cell, x, weight_x, weight_h, bias_x, bias_h, steps=steps, batch=batch)


def _stack(g: Graph, state: Tensor, steps: int) -> Tensor:
    """The states that `steps` steps left, gathered into [steps, batch, hidden]."""
    every = g.view(state, (steps, *state.shape), stored=steps * state.elements)
    return ops.copy(g, every, op="stack")


def _entry(cell: Cell, about: str) -> Entry:
    grammar = f"{cell}:INPUTxHIDDEN[:layers=N][:bi][:steps=N][:head=N][:onebias]"
    return Entry(partial(_build, cell), f"{about}; {grammar}", example=f"{cell}:128x256:layers=2:bi:steps=50")


MODELS: dict[str, Entry] = {
    "rnn": _entry("rnn", "Elman network with tanh (Elman 1990)"),
    "lstm": _entry("lstm", "LSTM with forget gate, no peepholes (Hochreiter and Schmidhuber 1997; Gers et al. 2000)"),
    "gru": _entry("gru", "GRU, reset after the product (Cho et al. 2014)"),
}
