"""Equal layers: recorded twice, then copied. Only what is proved equal is copied.

Two layers are equal when their classes, parameters (shapes, formats, ties) and plain attributes are; attributes that
differ (a layer's index) are watched, and a layer whose run read one of them is never a template. A call is copied when
its inputs have the metadata, and alias each other, as in the recorded call.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ._copies import Template, leaves_of, write_copy
from ._recorder import Recorder
from ._torch import Module, torch

_STRUCTURE: Final = frozenset(["_parameters", "_buffers", "_modules", "forward"])
_ATOMS: Final = (int, float, bool, str, bytes, type(None), type, torch.dtype, torch.device)
_LEAST: Final = 3  # layers in a group that is worth watching
_RECORDED: Final = 2  # runs recorded before the next is copied


class Watched(dict[str, Any]):
    """The buffers of a module, and attributes hidden among them: reading one of those is remembered."""

    def __init__(self, buffers: Mapping[str, Any], owner: str, read: set[str]) -> None:
        super().__init__(buffers)
        self.hidden: dict[str, Any] = {}
        self._owner, self._read = owner, read

    def __contains__(self, name: object) -> bool:
        return name in self.hidden or super().__contains__(name)

    def __getitem__(self, name: str) -> Any:
        if name in self.hidden:
            self._read.add(self._owner)
            return self.hidden[name]
        return super().__getitem__(name)


@dataclass(slots=True)
class Group:
    """Layers of one structure, and the runs recorded so far by the signature of their call."""

    paths: list[str]
    templates: dict[Any, Template]
    runs: dict[Any, int]


class Layers:
    """The groups of equal layers of a copied module."""

    def __init__(self, named: Sequence[tuple[str, Module]], recorder: Recorder) -> None:
        self.recorder = recorder
        self.groups: dict[str, Group] = {}
        self.copied = 0
        self._modules = dict(named)
        self._read: set[str] = set()
        for path, container in self._modules.items():
            self._group(path, container)

    def _group(self, path: str, container: Module) -> None:
        if len(container._modules) < _LEAST:
            return
        alike: dict[Any, list[str]] = defaultdict(list)
        children = [(name, child) for name, child in container._modules.items() if child is not None]
        first = [(type(child), _first_shape(child)) for _, child in children]  # what is seen at a glance
        for (name, child), seen in zip(children, first, strict=True):
            full = f"{path}.{name}" if path else name
            if child._modules and first.count(seen) >= _LEAST and self._modules.get(full) is child:
                key = self._structure(full, child)
                if key is not None:
                    alike[key].append(full)
        for paths in alike.values():
            if len(paths) >= _LEAST and self._watch(paths):
                group = Group(paths, {}, defaultdict(int))
                self.groups.update(dict.fromkeys(paths, group))

    def _structure(self, path: str, layer: Module) -> Any:
        """Classes, parameters and buffers of all parts, names relative to `path`; None if something hooks in."""
        parts = []
        for name, part in layer.named_modules():
            if any(part.__dict__.get(hooks) for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks",
                                                          "_backward_pre_hooks")):  # fmt: skip
                return None
            if type(part._buffers) not in (dict, type(part._modules)):
                return None
            tensors = tuple(
                (key, None) if t is None else (key, tuple(t.shape), t.dtype, t.requires_grad, self._owner(path, t))
                for group in (part._parameters, part._buffers)
                for key, t in group.items()
            )
            parts.append((name, type(part), tensors, tuple(part._modules)))
        return tuple(parts)

    def _owner(self, path: str, t: Any) -> str:
        """The name of a parameter, relative to its layer; that of one shared with others is absolute."""
        name = self.recorder.store.root(t).tensor.name
        return name[len(path) :] if name.startswith(f"{path}.") else f"={name}"

    def _watch(self, paths: Sequence[str]) -> bool:
        """Hide the attributes in which layers differ, so that reading them shows. Whether all could be hidden."""
        first = self._modules[paths[0]]
        differ: set[tuple[str, str]] = set()
        names = [name for name, _ in first.named_modules()]
        for path in paths[1:]:
            for name in names:
                mine, other = self._part(paths[0], name).__dict__, self._part(path, name).__dict__
                if mine.keys() != other.keys():
                    return False
                differ.update((name, key) for key, value in mine.items()
                              if key not in _STRUCTURE and not _same(value, other[key]))  # fmt: skip
        if any(hasattr(type(self._part(paths[0], name)), key) for name, key in differ):
            return False
        for path in paths:
            for name, key in differ:
                part = self._part(path, name)
                if not isinstance(part.__dict__["_buffers"], Watched):
                    part.__dict__["_buffers"] = Watched(part.__dict__["_buffers"], path, self._read)
                part.__dict__["_buffers"].hidden[key] = part.__dict__.pop(key)
        return True

    def _part(self, path: str, name: str) -> Module:
        return self._modules[f"{path}.{name}" if name else path]

    def call(self, path: str, inner: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the layer at `path`, or write what it would record."""
        group, recorder = self.groups[path], self.recorder
        signature, leaves = leaves_of(recorder.store, args, kwargs)
        if signature is None or recorder.silent or recorder.backward:
            return inner(*args, **kwargs)
        template = group.templates.get(signature)
        if template is not None:
            self.copied += 1
            return write_copy(recorder, template, path, leaves)
        group.runs[signature] += 1
        start = Template.begin(recorder, path, leaves)
        before = self._state(path)
        self._read.discard(path)
        out = inner(*args, **kwargs)
        if group.runs[signature] >= _RECORDED and path not in self._read and self._state(path) == before:
            finished = start.finish(recorder, out)
            if finished is not None:
                group.templates[signature] = finished
        return out

    def _state(self, path: str) -> list[int]:
        """Identities of all attribute values of the layer and its classes: a run that changes one leaves a trace here."""
        found = []
        for part in self._modules[path].modules():
            for value in (*part.__dict__.values(), *vars(type(part)).values()):
                found.append(id(value))
                if type(value) in (list, dict, set):
                    found += map(id, value.values() if isinstance(value, dict) else value)
        return found


def _first_shape(module: Module) -> tuple[int, ...] | None:
    """The shape of the first parameter inside."""
    while True:
        for t in module._parameters.values():
            if t is not None:
                return tuple(t.shape)
        inner = next((m for m in module._modules.values() if m is not None), None)
        if inner is None:
            return None
        module = inner


def _same(a: Any, b: Any) -> bool:
    """Whether two attribute values are equal beyond doubt."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, _ATOMS):
        return bool(a == b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return isinstance(a, set) and len(a) == len(b) and a == b and all(isinstance(x, _ATOMS) for x in a)
