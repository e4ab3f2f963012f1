"""Peak memory by live ranges: a storage lives from the operator that writes it to the last that touches it."""

from dataclasses import dataclass

from picojoule.workload import PARAMETER_ROLES, Operator, Tensor, Workload


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `weights`, `gradients` and `optimiser` stay for the whole step; the others are those of the worst moment.

    `weights` are parameters and buffers; `optimiser` states and master copies. `activations` are forward tensors kept
    for the backward pass, `workspace` all else alive then: gradients of activations, recomputed tensors, temporaries.
    """

    weights: int
    gradients: int
    optimiser: int
    activations: int
    workspace: int
    cache: int = 0  # keys and values of earlier tokens: they stay too

    @property
    def total(self) -> int:
        """All of it at the worst moment."""
        return self.weights + self.gradients + self.optimiser + self.activations + self.workspace + self.cache


def peak_memory(workload: Workload) -> Memory:
    """Peak memory of a training step (or of inference: no gradients, no optimiser), operators in their order.

    What the backward pass saves is what its operators read: inputs of products, of GELU, SiLU and normalisations (with
    two statistics a row or channel), results of ReLU, sigmoid, tanh, exp and softmax, masks of dropout, inputs and
    indices of max pooling; nothing for sums and copies. Views share storage. A recurrent step's tensor that is read
    outside its own loop is kept for every step. Inputs of the network are counted as activations while they are read.
    """
    kept = {t.name for t in workload.tensors.values() if t.role in PARAMETER_ROLES and not t.base}
    gradients = {_root(workload, f"{name}.grad") for name in kept if f"{name}.grad" in workload.tensors}
    states = _optimiser_states(workload)
    fixed = [t for t in workload.tensors.values() if not t.base]
    weights = sum(
        _bytes(t) for t in fixed if t.role in (*PARAMETER_ROLES, "buffer", "constant") and t.name not in states
    )
    resident = sum(_bytes(workload.tensors[name]) for name in gradients)
    optimiser = sum(_bytes(workload.tensors[name]) for name in states)
    cache = {tensor.root: _bytes(workload.tensors[tensor.root]) for tensor in workload.cache}
    moving = {t.name for t in fixed if t.role in ("activation", "input")} - gradients - set(cache)
    activations, workspace = _worst(workload, moving)
    return Memory(weights, resident, optimiser, activations, workspace, sum(cache.values()))


def peak_activation_bytes(workload: Workload) -> int:
    """The most bytes of inputs and activations alive at once, operators in their order: inference's working set."""
    memory = peak_memory(workload)
    return memory.activations + memory.workspace + memory.cache


def _bytes(tensor: Tensor) -> int:
    return tensor.bytes_of(tensor.stored_elements)


def _root(workload: Workload, name: str) -> str:
    return workload.tensors[name].root


def _optimiser_states(workload: Workload) -> set[str]:
    """Buffers that only updates read."""
    updates = {id(o) for o in workload.operators if o.kind == "update"}
    read: set[str] = set()
    other: set[str] = set()
    for operator in workload.operators:
        names = read if id(operator) in updates else other
        names.update(_root(workload, access.tensor) for access in operator.inputs)
    return {name for name in read - other if workload.tensors[name].role == "buffer"}


def _worst(workload: Workload, moving: set[str]) -> tuple[int, int]:
    """(forward tensors, other tensors) alive at the operator where their sum is largest."""
    first, last, copies = _ranges(workload, moving)
    loss = next((i for i, o in enumerate(workload.operators) if o.kind == "loss"), len(workload.operators))
    begin: dict[int, list[str]] = {}
    end: dict[int, list[str]] = {}
    for name, start in first.items():
        begin.setdefault(start, []).append(name)
        end.setdefault(last[name], []).append(name)
    sizes = {name: _bytes(workload.tensors[name]) * copies.get(name, 1) for name in first}
    live, worst = [0, 0], (0, 0)
    for index in range(len(workload.operators)):
        for name in begin.get(index, ()):
            live[first[name] >= loss] += sizes[name]
        if sum(live) > sum(worst):
            worst = (live[0], live[1])
        for name in end.get(index, ()):
            live[first[name] >= loss] -= sizes[name]
    return worst


def _ranges(workload: Workload, moving: set[str]) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """First and last operator to touch each storage; how many steps of it are kept at once."""
    tensors = workload.tensors
    first: dict[str, int] = dict.fromkeys((name for name in workload.inputs if name in moving), 0)
    last: dict[str, int] = dict.fromkeys(first, 0)
    writer: dict[str, tuple[Operator, bool]] = {}
    copies: dict[str, int] = {}
    forward = True
    for index, operator in enumerate(workload.operators):
        forward = forward and operator.kind != "loss"
        for access in (*operator.inputs, *operator.outputs):
            name = tensors[access.tensor].root
            if name in moving:
                first.setdefault(name, index)
                last[name] = index
        for access in operator.outputs:
            if operator.repeats > 1:
                writer.setdefault(tensors[access.tensor].root, (operator, forward))
        for access in operator.inputs:
            tensor = tensors[access.tensor]
            maker = writer.get(tensor.root)
            if maker is not None:
                every = tensor.stored_elements > tensors[tensor.root].stored_elements
                if every or maker[1] != forward:
                    copies[tensor.root] = maker[0].repeats
    for name in workload.outputs:
        if name in first:
            last[name] = len(workload.operators) - 1
    return first, last, copies
