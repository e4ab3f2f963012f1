"""How one call is recorded, apart from the names of its tensors: the same for every call on arguments alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from picojoule.workload import Access, Axis, Graph, Operator, Tensor, Work

from ._memo import Seen
from ._registry import Entry
from ._store import Store, layout_of
from ._torch import TorchTensor


@dataclass(slots=True)  # not frozen: thousands are made, and that is three times as dear
class Result:
    """One tensor that a call returns: `over` what it was given, or a new one; `axes` None: like the first, if it fits."""

    over: bool
    shape: tuple[int, ...]
    dtype: str
    axes: tuple[Axis, ...] | None
    elements: int
    layout: tuple[Any, ...] | None  # of a fresh tensor, where known


@dataclass(slots=True)
class Plan:
    """An operator without names. `reads`: place among the call's tensors, axes, elements touched."""

    entry: Entry
    name: str
    kind: str
    space: tuple[tuple[str, int], ...]
    reads: tuple[tuple[int, tuple[Axis, ...], int], ...]
    results: tuple[Result, ...]
    work: Work
    kept: Any
    single: bool  # one fresh result

    @property
    def lasting(self) -> bool:
        """Whether a call with the same metadata is recorded so: no rule of the user, results that can be made again."""
        return (
            self.entry.own
            and self.kept is not None
            and (len(self.results) == 1 or not any(r.over for r in self.results))
        )


def write(
    plan: Plan, graph: Graph, store: Store, path: str, label: str, found: Seen, outputs: Sequence[TorchTensor]
) -> None:
    """Add the operator to `graph` in the module `path`; its results are bound to the tensors `outputs`."""
    tensors, layouts, storages = found.tensors, found.layouts, found.storages
    reads = tuple(
        [Access(store.read_laid(tensors[i], storages[i], layouts[i]).name, axes, n) for i, axes, n in plan.reads]
    )
    if plan.single:
        name = graph.fresh_name(path or label)
        first = plan.results[0]
        made = [graph.tensor(f"{name}.out", first.shape, first.dtype)]
        writes: tuple[Access, ...] = (Access(made[0].name, first.axes or (), first.elements),)
    else:
        name, made = _made(plan, graph, store, path, label, outputs)
        writes = tuple([Access(t.name, _axes(plan, made, index), t.elements) for index, t in enumerate(made)])
    graph.operators.append(Operator(name, label, plan.kind, path, plan.space, reads, writes, plan.work, graph.repeats))
    for t, result, tensor in zip(outputs, plan.results, made, strict=True):
        if not result.over:
            if t.is_meta:
                store.bind_new(t, tensor, result.layout or layout_of(t))
            else:
                store.bind(t, tensor)


def _made(plan: Plan, graph: Graph, store: Store, path: str, label: str,
          outputs: Sequence[TorchTensor]) -> tuple[str, list[Tensor]]:  # fmt: skip
    """The operator's name and its results in the graph: those written over are there already."""
    made: list[Any] = []
    for index, result in enumerate(plan.results):
        if result.over:
            made.append(store.read(outputs[index]))
        elif index == 0:
            made.append(None)  # takes the operator's name, which is given out last
        else:
            name = graph.fresh_name(f"{path or plan.name}.{plan.name}.out{index}")
            made.append(graph.tensor(name, result.shape, result.dtype))
    name = graph.fresh_name(path or label)
    if made and made[0] is None:
        first = plan.results[0]
        made[0] = graph.tensor(f"{name}.out", first.shape, first.dtype)
    return name, made


def _axes(plan: Plan, made: Sequence[Tensor], index: int) -> tuple[Axis, ...]:
    """Indices into a result: by the operator's own dimensions; further ones as the pattern says, else like the first."""
    result, shape = plan.results[index], made[index].shape
    axes = result.axes
    if axes is None:
        first = plan.results[0].axes
        axes = first if first is not None and shape == made[0].shape else ()
    if len(axes) == len(shape) or (len(made) == 1 and not result.over):
        return axes
    return tuple(() for _ in shape)
