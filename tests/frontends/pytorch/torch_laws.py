"""What the tests of this folder share: totals of a Workload, and laws that every Workload obeys."""

import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from picojoule.workload import Work, Workload

DATA = Path(__file__).parents[2] / "data"
ROLES = {"weight": "weights", "bias": "biases", "norm": "norm", "embedding": "embedding", "buffer": "buffers"}


@cache
def golden(name: str, folder: str = "counts") -> dict[str, Any]:
    """The recorded trace of `name`."""
    data: dict[str, Any] = json.loads((DATA / folder / f"{name}.json").read_text())
    return data


def shapes(name: str) -> list[list[int]]:
    """The input shapes of a trace."""
    data = golden(name)
    return data["inputs"] if "inputs" in data else [data["input"]]


def totals(net: Workload) -> dict[str, Any]:
    """Work and bytes, as the traces name them."""
    traffic, work = [net.traffic(o) for o in net.operators], net.work
    return {"macs": work.macs, "muls": work.muls, "adds": work.adds, "special": dict(work.special),
            "bytes_in": sum(t.bytes_in for t in traffic), "bytes_out": sum(t.bytes_out for t in traffic),
            "bytes_weights": sum(t.bytes_weights for t in traffic)}  # fmt: skip


def roles(net: Workload) -> dict[str, int]:
    """Stored elements by role, and of all parameters."""
    found = dict.fromkeys(ROLES.values(), 0)
    for tensor in net.tensors.values():
        if tensor.role in ROLES and not tensor.base:
            found[ROLES[tensor.role]] += tensor.elements
    return found | {"total": sum(t.elements for t in net.parameters)}


def expected_roles(name: str) -> dict[str, int]:
    """What the trace says of parameters."""
    return {key: golden(name)["params"].get(key, 0) for key in (*ROLES.values(), "total")}


def by_path(net: Workload) -> dict[str, list[int]]:
    """MACs, muls, adds and specials of each module path."""
    found: dict[str, Work] = defaultdict(Work)
    for operator in net.operators:
        found[operator.path] = found[operator.path] + operator.total
    return {path: [w.macs, w.muls, w.adds, sum(n for _, n in w.special)] for path, w in found.items()}


def faults(net: Workload, *, states: tuple[str, ...] = ("h0", "c0", ":h", ":states", ".empty", "empty")) -> set[str]:
    """Laws that the Workload breaks; recurrent first states and allocations are read as they are."""
    found, written = set(), set()
    for tensor in net.tensors.values():
        if tensor.base and (tensor.base not in net.tensors or net.tensors[tensor.base].base):
            found.add(f"{tensor.name} is a view of no owner")
    for o in net.operators:
        for access in (*o.inputs, *o.outputs):
            if len(access.axes) != len(net.tensors[access.tensor].shape):
                found.add(f"{o.op}: axes of {access.tensor} do not fit its shape")
            if not access.dims <= o.extents.keys():
                found.add(f"{o.op}: unknown dimension")
        for access in o.inputs:
            root = net.tensors[net.tensors[access.tensor].root]
            plain = root.name.partition("#")[0]
            if root.role == "activation" and root.name not in written and not plain.endswith(states):
                found.add(f"{o.op} reads {root.name} before it is written")
        written.update(net.tensors[access.tensor].root for access in o.outputs)
        if o.work.macs and o.kind in ("matmul", "conv", "depthwise", "conv_transpose") and o.points != o.work.macs:
            found.add(f"{o.op}: {o.points} points, {o.work.macs} MACs")
    if len({o.name for o in net.operators}) != len(net.operators):
        found.add("two operators of one name")
    return found | {f"{out} is no tensor" for out in net.outputs if out not in net.tensors}


def signature(net: Workload) -> list[Any]:
    """The operators without the names of their tensors: equal for runs that did the same."""

    def seen(access: Any) -> Any:
        t = net.tensors[access.tensor]
        return t.shape, t.dtype, t.role, t.stored, bool(t.base), access.axes, access.elements, access.offsets

    return [(o.op, o.kind, o.path, o.space, o.work, o.repeats, [seen(a) for a in o.inputs], [seen(a) for a in o.outputs])
            for o in net.operators]  # fmt: skip
