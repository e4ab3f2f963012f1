"""A stack of layers of a few kinds: the first of each kind is recorded, the others copied with their names changed."""

from collections.abc import Callable, Hashable, Sequence

from picojoule.workload import Access, Graph, Operator, Tensor


def stack(g: Graph, scope: str, kinds: Sequence[Hashable], x: Tensor, layer: Callable[[Tensor, int], Tensor]) -> Tensor:
    """x through one layer for each of `kinds` in scopes `scope`.0, `scope`.1, …: what recording each would give.

    `layer` records layer number i from its input. Layers of one kind must be equal, take nothing but x from the layer
    before them, and name all they make under their own scope.
    """
    base = f"{g.path}.{scope}" if g.path else scope
    templates: dict[Hashable, _Template] = {}
    for index, kind in enumerate(kinds):
        if kind in templates:
            x = templates[kind].copy(g, f"{base}.{index}", x)
            continue
        tensors, operators, entry = len(g.tensors), len(g.operators), x
        with g.scope(scope, index):
            x = layer(entry, index)
        made = list(g.tensors.values())[tensors:]
        for tensor in made:
            if not tensor.name.startswith((f"{base}.{index}", f"{entry.root}:")):
                raise ValueError(f"{tensor.name!r} is made in layer {base}.{index} but not named under it")
        templates[kind] = _Template(f"{base}.{index}", entry.root, x, made, g.operators[operators:])
    return x


class _Template:
    """A recorded layer, ready to be written again under another name."""

    def __init__(
        self, prefix: str, entry: str, exit_: Tensor, tensors: list[Tensor], operators: list[Operator]
    ) -> None:
        self.prefix, self.entry, self.exit = prefix, entry, exit_
        self.tensors, self.operators = tensors, operators

    def copy(self, g: Graph, prefix: str, entry: Tensor) -> Tensor:
        """Write the layer at `prefix` behind the tensor `entry`; its output."""
        names: dict[str, str] = {"": ""}

        def name(old: str) -> str:
            new = names.get(old)
            if new is None:
                new = names[old] = self._renamed(old, prefix, entry.root)
            return new

        for t in self.tensors:
            g.tensors[name(t.name)] = Tensor(name(t.name), t.shape, t.dtype, t.role, name(t.base), t.stored)
        for o in self.operators:
            reads = tuple([Access(name(a.tensor), a.axes, a.elements, a.offsets) for a in o.inputs])
            writes = tuple([Access(name(a.tensor), a.axes, a.elements, a.offsets) for a in o.outputs])
            g.operators.append(
                Operator(name(o.name), o.op, o.kind, name(o.path), o.space, reads, writes, o.work, o.repeats)
            )
        return g.tensors[name(self.exit.name)]

    def _renamed(self, name: str, prefix: str, entry: str) -> str:
        end = len(self.prefix)
        if name.startswith(self.prefix) and name[end : end + 1] in ("", ".", "#", ":"):
            return prefix + name[end:]
        if name == self.entry or name.startswith(f"{self.entry}:"):
            return entry + name[len(self.entry) :]
        return name
