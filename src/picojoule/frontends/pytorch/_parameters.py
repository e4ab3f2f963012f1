"""Parameters and buffers of a module as tensors of the Graph: names, roles, ties."""

from collections.abc import Sequence
from typing import Final

from picojoule.workload import Graph, Role, Tensor

from ._store import Store, dtype_text, layout_of, storage_key
from ._torch import Module, TorchTensor, torch

_NORMS: Final = (torch.nn.modules.batchnorm._BatchNorm, torch.nn.LayerNorm, torch.nn.GroupNorm)


def role_of(module: Module, name: str) -> Role:
    """What the parameter `name` of `module` is: of a norm, a bias, an embedding, else a weight."""
    if isinstance(module, _NORMS) or "Norm" in type(module).__name__:
        return "norm"
    if "bias" in name:
        return "bias"
    return "embedding" if isinstance(module, torch.nn.Embedding | torch.nn.EmbeddingBag) else "weight"


def declare_module(store: Store, named: Sequence[tuple[str, Module]]) -> None:
    """Every parameter and buffer of the modules once, under the name of the first module that owns it."""
    tied = []
    for path, owner in named:
        for name, parameter in owner._parameters.items():
            if parameter is None:
                continue
            full = f"{path}.{name}" if path else name
            if store.knows(parameter):
                tied.append((full, store.root(parameter).tensor.name))
                continue
            declare(store, full, parameter, role_of(owner, name))
    for path, owner in named:
        for name, buffer in owner._buffers.items():
            if buffer is not None and not store.knows(buffer):
                declare(store, f"{path}.{name}" if path else name, buffer, "buffer")
    note_tied(store.graph, tied)


def note_tied(graph: Graph, tied: Sequence[tuple[str, str]]) -> None:
    """Say which parameters are others under a second name."""
    if tied:
        pairs = ", ".join(f"{alias} = {owner}" for alias, owner in tied[:3])
        more = f" and {len(tied) - 3} more" if len(tied) > 3 else ""
        graph.notes.append(f"tied parameters are counted once: {pairs}{more}")


def declare(store: Store, name: str, t: TorchTensor, role: Role) -> None:
    """One parameter or buffer under its full name."""
    layout = layout_of(t)
    tensor = store.graph.tensor(name, layout[0], dtype_text(t.dtype), role)
    if t.is_meta and t.layout is torch.strided:
        store.bind_new(t, tensor, layout)
    else:
        store.bind(t, tensor)
    store.graph.fresh_name(name)


def declare_input(graph: Graph, store: Store, name: str, t: TorchTensor) -> Tensor:
    """One input of the network."""
    tensor = graph.input(graph.fresh_name(name), tuple(t.shape), dtype_text(t.dtype))
    store.bind(t, tensor)
    return tensor


__all__ = ["declare", "declare_input", "declare_module", "note_tied", "role_of", "storage_key"]
