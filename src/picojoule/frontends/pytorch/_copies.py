"""Copying the recorded run of one layer for another: new names, the same operators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from picojoule.workload import Access, Operator, Tensor

from ._recorder import Recorder
from ._store import Root, Store, layout_of, stored_elements
from ._torch import TorchTensor, torch

_tree: Any = torch.utils._pytree
_PLAIN: Final = (int, float, bool, str, bytes, type(None), torch.dtype, torch.device, torch.Size)


def leaves_of(store: Store, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, list[TorchTensor]]:
    """A hashable signature of a call, None if something in it cannot be compared, and its tensors."""
    leaves, spec = _tree.tree_flatten((tuple(args), dict(kwargs)))
    key: list[Any] = [str(spec)]
    tensors: list[TorchTensor] = []
    roots: list[str] = []
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor):
            root = store.root(leaf)
            layout = layout_of(leaf)
            name = root.tensor.name
            alias = roots.index(name) if name in roots else len(roots)
            tensors.append(leaf)
            roots.append(name)
            key.append((layout, layout == root.layout, root.layout, root.tensor.role, alias))
        elif type(leaf) in _PLAIN:
            key.append((type(leaf), leaf))
        else:
            return None, tensors
    return tuple(key), tensors


@dataclass(slots=True)
class Template:
    """A recorded run: the operators and tensors it made, what it was given and what it returned."""

    path: str
    entries: list[Root]
    first_operator: int
    first_tensor: int
    operators: list[Operator] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    layouts: dict[str, tuple[Any, int]] = field(default_factory=dict)
    outputs: list[Any] = field(default_factory=list)
    spec: Any = None

    @staticmethod
    def begin(recorder: Recorder, path: str, leaves: Sequence[TorchTensor]) -> "Template":
        """Before the layer runs."""
        entries = [recorder.store.root(t) for t in leaves]
        return Template(path, entries, len(recorder.graph.operators), len(recorder.graph.tensors),
                        layouts={"uncounted": (len(recorder.graph.uncounted), 0)})  # fmt: skip

    def finish(self, recorder: Recorder, out: Any) -> "Template | None":
        """After it ran: the template, or None if the run did what cannot be copied."""
        graph, store = recorder.graph, recorder.store
        uncounted, _ = self.layouts.pop("uncounted")
        leaves, self.spec = _tree.tree_flatten(out)
        if len(graph.uncounted) != uncounted:
            return None
        self.operators = graph.operators[self.first_operator :]
        names = list(graph.tensors)[self.first_tensor :]
        self.tensors = [graph.tensors[name] for name in names]
        made = set(names)
        if not all(store.named[entry.tensor.name] is entry for entry in self.entries):
            return None
        written = {access.tensor for o in self.operators for access in o.outputs}
        if any(graph.tensors[name].root not in made and not self._own(graph.tensors[name].root) for name in written):
            return None  # it wrote into what it was given
        for leaf in leaves:
            if isinstance(leaf, torch.Tensor):
                root = store.root(leaf)
                if root.tensor.name not in made and root not in self.entries:
                    return None
                self.outputs.append((root, layout_of(leaf), leaf))
            elif type(leaf) in _PLAIN:
                self.outputs.append(leaf)
            else:
                return None
        self._remember_views(store)
        return self

    def _own(self, name: str) -> bool:
        return name.startswith(f"{self.path}.")

    def _remember_views(self, store: Store) -> None:
        """How the views that the run read look, by name: they are made anew over other owners."""
        read = {access.tensor for o in self.operators for access in (*o.inputs, *o.outputs)}
        graph = store.graph
        for name in (*read, *(t.name for t in self.tensors)):
            owner = graph.tensors[name].base
            if owner and owner in store.named:
                for layout, view in store.named[owner].views.items():
                    if view.name == name:
                        self.layouts[name] = (layout, view.stored_elements)


def write_copy(recorder: Recorder, template: Template, path: str, leaves: Sequence[TorchTensor]) -> Any:
    """Record the layer at `path` on `leaves` as `template` was, and return tensors like those it returned."""
    copy = _Copy(recorder, template, path, leaves)
    copy.write()
    return copy.result(leaves)


class _Copy:
    """One layer being written after a template."""

    def __init__(self, recorder: Recorder, template: Template, path: str, leaves: Sequence[TorchTensor]) -> None:
        self.recorder, self.template, self.path = recorder, template, path
        self.graph, self.store = recorder.graph, recorder.store
        self.names: dict[str, str] = {}
        for entry, leaf in zip(template.entries, leaves, strict=True):
            self.names[entry.tensor.name] = self.store.root(leaf).tensor.name
        self.made = {tensor.name for tensor in template.tensors}

    def rename(self, text: str) -> str:
        """`text` under the path of the copy."""
        old = self.template.path
        if text == old or text.startswith((f"{old}.", f"{old}:")):
            return self.path + text[len(old) :]
        return text

    def fresh(self, text: str) -> str:
        """A new name like `text`."""
        return self.graph.fresh_name(self.rename(text.partition("#")[0]))

    def tensor(self, name: str) -> str:
        """What the copy calls the tensor `name` of the template."""
        new = self.names.get(name)
        if new is None:
            old = self.graph.tensors[name]
            new = self._view(old) if old.base else self.rename(name)
            if new not in self.graph.tensors:
                new = name  # made outside, by nobody's layer
            self.names[name] = new
        return new

    def _view(self, old: Tensor) -> str:
        owner = self.tensor(old.base)
        if owner == old.base:
            return old.name
        known = self.template.layouts.get(old.name)
        root = self.store.named.get(owner)
        if known is None or root is None:
            return self._plain_view(old, owner)
        layout, stored = known
        return (root.views.get(layout) or self.store.view(root, layout, stored)).name

    def _plain_view(self, old: Tensor, owner: str) -> str:
        name = self.graph.fresh_name(f"{owner}:view")
        self.graph.tensors[name] = Tensor(name, old.shape, old.dtype, old.role, owner, old.stored)
        return name

    def write(self) -> None:
        """Tensors first, then operators, in the order of the template."""
        template, graph = self.template, self.graph
        labels = {o.name: self.fresh(o.name) for o in template.operators}
        for old in template.tensors:
            if old.base:
                self.names[old.name] = self._view(old)
                continue
            label, _, suffix = old.name.rpartition(".out")
            name = f"{labels[label]}.out{suffix}" if label in labels else self.fresh(old.name)
            if name in graph.tensors:
                name = graph.fresh_name(name)
            self.names[old.name] = name
            graph.tensors[name] = Tensor(name, old.shape, old.dtype, old.role, "", old.stored)
        tensor, rename, operators = self.tensor, self.rename, graph.operators
        for o in template.operators:
            reads = tuple([Access(tensor(a.tensor), a.axes, a.elements, a.offsets) for a in o.inputs])
            writes = tuple([Access(tensor(a.tensor), a.axes, a.elements, a.offsets) for a in o.outputs])
            operators.append(
                Operator(labels[o.name], o.op, o.kind, rename(o.path), o.space, reads, writes, o.work, o.repeats)
            )

    def result(self, leaves: Sequence[TorchTensor]) -> Any:
        """Tensors like those that the template's run returned, bound to the copy's."""
        template = self.template
        fresh: dict[str, TorchTensor] = {}
        values = []
        for item in template.outputs:
            if not (isinstance(item, tuple) and len(item) == 3 and isinstance(item[0], Root)):
                values.append(item)
                continue
            root, layout, like = item
            entry = next((i for i, e in enumerate(template.entries) if e is root), None)
            if entry is not None:
                base = leaves[entry]
            else:
                base = fresh.get(root.tensor.name)
                if base is None:
                    base = fresh[root.tensor.name] = self._storage(root, like)
            values.append(self._strided(base, layout))
        return _tree.tree_unflatten(values, template.spec)

    def _strided(self, base: TorchTensor, layout: tuple[Any, ...]) -> TorchTensor:
        with self.recorder.unrecorded():
            if layout_of(base) == layout:
                return base
            return base.view(layout[3]).as_strided(layout[0], layout[1], layout[2])

    def _storage(self, root: Root, like: TorchTensor) -> TorchTensor:
        """A new storage as large as that of `like`, holding the copy of `root`."""
        shape, stride, offset, dtype = root.layout
        with self.recorder.unrecorded():
            size = like.untyped_storage().nbytes() // torch.empty((), dtype=dtype, device="meta").element_size()
            whole = torch.empty(size, dtype=dtype, device="meta")
            base = whole.as_strided(shape, stride, offset)
        new = Root(self.graph.tensors[self.names[root.tensor.name]], root.layout, base.untyped_storage())
        for layout, view in root.views.items():
            if view.name in self.names:
                new.views[layout] = self.graph.tensors[self.names[view.name]]
        self.store.enter(base, new)
        return base


__all__ = ["Template", "leaves_of", "stored_elements", "write_copy"]
