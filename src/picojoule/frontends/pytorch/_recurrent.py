"""Recurrent layers in closed form: the operators of one step, repeated over the sequence."""

from typing import Any, Final

from picojoule.workload import Tensor, Work, ops
from picojoule.workload.ops.recurrent import Cell

from ._store import dtype_text
from ._torch import Module, TorchTensor, torch

_CELLS: Final[dict[str, Cell]] = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn", "RNN_RELU": "rnn"}
NOTE: Final = "recurrent weights are read again at every step; the zero first state is multiplied like any other"


def replace_recurrent(module: Module, recorder: Any) -> bool:
    """Give a copied nn.LSTM, nn.GRU or nn.RNN a forward in closed form. Whether `module` is one."""
    plain = (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN)
    own = next((cls for cls in plain if isinstance(module, cls)), None)
    if own is None or type(module).forward is not own.forward or "forward" in module.__dict__:
        return False
    step_by_step = module.forward

    def forward(x: Any, hx: Any = None) -> Any:
        if not isinstance(x, torch.Tensor):
            return step_by_step(x, hx)
        return _run(module, recorder, x, hx)

    module.__dict__["forward"] = forward
    return True


def layer(recorder: Any, cell: Cell, x: TorchTensor, weights: list[TorchTensor], activation: str = "tanh",
          projection: TorchTensor | None = None) -> Tensor:  # fmt: skip
    """One direction of one layer over x[T, B, I]; the outputs of all steps, stacked."""
    graph, read = recorder.graph, recorder.store.read
    steps, batch = int(x.shape[0]), int(x.shape[1])
    bias_x, bias_h = (read(weights[2]), read(weights[3])) if len(weights) > 3 else (None, None)
    state = ops.recurrent(graph, cell, read(x), read(weights[0]), read(weights[1]), bias_x, bias_h,
                          projection=read(projection) if projection is not None else None, steps=steps, batch=batch,
                          activation=activation)  # fmt: skip
    every = graph.view(state, (steps, *state.shape), stored=steps * state.elements)
    return ops.copy(graph, every, op="stack")


def _run(module: Module, recorder: Any, x: TorchTensor, hx: Any) -> Any:
    graph, store = recorder.graph, recorder.store
    batched = x.dim() == 3
    if not batched:
        x = x.unsqueeze(0 if module.batch_first else 1)
    steps, batch = (int(x.shape[i]) for i in ((1, 0) if module.batch_first else (0, 1)))
    directions = 2 if module.bidirectional else 1
    width, lstm = module.proj_size or module.hidden_size, module.mode == "LSTM"
    sizes = [width, module.hidden_size] if lstm else [width]
    if hx is None:
        for size in sizes:
            _fill(graph, (module.num_layers * directions, batch, size), dtype_text(x.dtype))
    y = x.transpose(0, 1) if module.batch_first else x
    tensor = None
    for index in range(module.num_layers):
        runs = [_direction(module, recorder, y, index, way) for way in range(directions)]
        tensor = ops.concat(graph, runs, 2) if directions > 1 else runs[0]
        y = _silent(recorder, (steps, batch, width * directions), x)
        store.bind(y, tensor)
    states = [_states(module, recorder, batch, size, x) for size in sizes]
    out = y.transpose(0, 1) if module.batch_first else y
    if not batched:
        out, states = out.squeeze(0 if module.batch_first else 1), [s.squeeze(1) for s in states]
    graph.notes.append(NOTE)
    return out, tuple(states) if lstm else states[0]


def _direction(module: Module, recorder: Any, y: TorchTensor, index: int, way: int) -> Tensor:
    names = [f"{kind}_l{index}{'_reverse' if way else ''}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = [getattr(module, name) for name in names[: 4 if module.bias else 2]]
    projection = getattr(module, f"weight_hr_l{index}{'_reverse' if way else ''}", None) if module.proj_size else None
    activation = "relu" if module.mode == "RNN_RELU" else "tanh"
    return layer(recorder, _CELLS[module.mode], y, weights, activation, projection)


def _fill(graph: Any, shape: tuple[int, ...], dtype: str) -> None:
    space = [(f"d{i}", n) for i, n in enumerate(shape)]
    graph.emit("zeros", "move", space, [], [(shape, [((dim, 1),) for dim, _ in space])], Work(), dtype=dtype)


def _states(module: Module, recorder: Any, batch: int, size: int, x: TorchTensor) -> TorchTensor:
    """The last states of all layers and directions, stacked."""
    graph = recorder.graph
    rows = module.num_layers * (2 if module.bidirectional else 1)
    parts = graph.tensor(graph.fresh_name(f"{graph.path}:states"), (rows, batch, size), dtype_text(x.dtype))
    made = _silent(recorder, (rows, batch, size), x)
    recorder.store.bind(made, ops.copy(graph, parts, op="stack"))
    return made


def _silent(recorder: Any, shape: tuple[int, ...], like: TorchTensor) -> TorchTensor:
    """A tensor of this shape that no operator is recorded for."""
    with recorder.unrecorded():
        return torch.empty(shape, dtype=like.dtype, device=like.device)
