"""A stack of equal layers: two are recorded, the others copied with their names changed."""

from collections.abc import Callable

from ._graph import Graph
from ._operator import Access, Operator
from ._tensor import Tensor


def repeat_layer(g: Graph, scope: str, count: int, x: Tensor, layer: Callable[[Tensor], Tensor]) -> Tensor:
    """x through `count` equal layers in scopes `scope`.0, `scope`.1, …; the result is what recording each would give.

    `layer` records one layer from its input. The first may differ (it may make what all share); the others must be
    equal, take nothing but x from the layer before them, and name all they make under their own scope.
    """
    base = f"{g.path}.{scope}" if g.path else scope
    entry, exit_, tensors, operators = x, x, 0, 0
    for index in range(min(count, 2)):
        tensors, operators, entry = len(g.tensors), len(g.operators), exit_
        with g.scope(scope, index):
            exit_ = layer(entry)
    if count > 2:
        made = list(g.tensors.values())[tensors:]
        _check(made, f"{base}.1", entry)
        template = _Template(
            f"{base}.1", entry.root, exit_.root, made, g.operators[operators:], _counters(g, base, entry)
        )
        previous = exit_.root
        for index in range(2, count):
            previous = template.copy(g, f"{base}.{index}", previous)
        exit_ = g.tensors[template.renamed(exit_.name, f"{base}.{count - 1}", "")]
    return exit_


def _check(made: list[Tensor], prefix: str, entry: Tensor) -> None:
    for tensor in made:
        if not tensor.name.startswith(prefix) and not tensor.name.startswith(f"{entry.root}:"):
            raise ValueError(f"{tensor.name!r} is made in layer {prefix!r} but not named under it")


def _counters(g: Graph, base: str, entry: Tensor) -> list[tuple[str, int]]:
    return [
        (name, seen)
        for name, seen in g._names.items()
        if name.startswith(f"{base}.1") or name.startswith(f"{entry.root}:")
    ]


class _Template:
    """Layer 1 of the stack, ready to be written again under another name."""

    def __init__(self, prefix: str, entry: str, exit_: str, tensors: list[Tensor], operators: list[Operator],
                 counters: list[tuple[str, int]]) -> None:  # fmt: skip
        self.prefix, self.entry, self.exit = prefix, entry, exit_
        self.tensors, self.operators, self.counters = tensors, operators, counters

    def renamed(self, name: str, prefix: str, entry: str) -> str:
        """`name` of layer 1 as the layer at `prefix` whose input is `entry` calls it."""
        if name.startswith(self.prefix):
            return prefix + name[len(self.prefix) :]
        if name == self.entry or name.startswith(f"{self.entry}:"):
            return entry + name[len(self.entry) :]
        return name

    def copy(self, g: Graph, prefix: str, entry: str) -> str:
        """Write the layer at `prefix` after the tensor `entry`; its output's root."""
        names: dict[str, str] = {}

        def name(old: str) -> str:
            new = names.get(old)
            if new is None:
                new = names[old] = self.renamed(old, prefix, entry)
            return new

        for t in self.tensors:
            g.tensors[name(t.name)] = Tensor(name(t.name), t.shape, t.dtype, t.role, name(t.base), t.stored)
        for o in self.operators:
            reads = tuple([Access(name(a.tensor), a.axes, a.elements, a.offsets) for a in o.inputs])
            writes = tuple([Access(name(a.tensor), a.axes, a.elements, a.offsets) for a in o.outputs])
            copied = Operator(name(o.name), o.op, o.kind, name(o.path), o.space, reads, writes, o.work, o.repeats)
            g.operators.append(copied)
        for old, seen in self.counters:
            g._names[name(old)] = seen
        return name(self.exit)
