"""The forward pass as training runs it: statistics of the batch, dropout, and what a backward pass must find again."""

from collections.abc import Collection
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Literal

from picojoule.quantity import InputError
from picojoule.workload import Access, Operator, Tensor, Work, Workload

from ._draft import axes_of

Mode = Literal["train", "eval"]
_STATISTICS = ("layer_norm", "group_norm", "instance_norm")


def training_forward(net: Workload, mode: Mode, dropout: Collection[str]) -> Workload:
    """`net` with saved statistics and pooling indices; in "train" with batch statistics and dropout."""
    tensors = dict(net.tensors)
    operators: list[Operator] = []
    after = _Dropout(tensors, dropout if mode == "train" else ())
    for operator in net.operators:
        o = after.renamed(operator)
        first = operator.op
        if first.startswith("max_pool"):
            o = _saving(tensors, o, ("indices",), (tensors[o.outputs[0].tensor].shape,), "int64")
        elif first in _STATISTICS:
            rows = (dict(o.work.special).get("rsqrt", 0),)
            o = _saving(tensors, o, ("mean", "rstd"), (rows, rows), _dtype(tensors, o))
        elif first == "batch_norm" and mode == "train":
            o = _batch_statistics(tensors, o)
        elif first == "dropout" and mode == "train":
            o = _drop(tensors, o)
        operators.append(o)
        operators += after.inserted(o)
    after.check()
    outputs = tuple(after.names.get(name, name) for name in net.outputs)
    return replace(net, tensors=tensors, operators=tuple(operators), outputs=outputs)


def _dtype(tensors: dict[str, Tensor], o: Operator) -> str:
    return tensors[o.outputs[0].tensor].dtype


def _saving(tensors: dict[str, Tensor], o: Operator, names: tuple[str, ...], shapes: tuple[tuple[int, ...], ...],
            dtype: str) -> Operator:  # fmt: skip
    """`o` writing tensors more."""
    writes = []
    for name, shape in zip(names, shapes, strict=True):
        tensor = Tensor(f"{o.outputs[0].tensor}.{name}", shape, dtype)
        tensors[tensor.name] = tensor
        writes.append(Access(tensor.name, axes_of(shape) if len(shape) > 1 else ((),), tensor.elements))
    return replace(o, outputs=(*o.outputs, *writes))


def _batch_statistics(tensors: dict[str, Tensor], o: Operator) -> Operator:
    """Mean and variance of the batch, running statistics moved: 2n + 8C muls, 4n + 2C adds, C rsqrt.

    Mean: n - C adds, C muls; variance: n adds, n muls, n - C adds, C muls; y = a·x + b: n muls, n adds; the rest a
    channel: folding, and the two running averages, written in place.
    """
    x = tensors[o.inputs[0].tensor]
    n, c = x.elements, tensors[o.inputs[-1].tensor].elements
    saved = _saving(tensors, o, ("mean", "rstd"), ((c,), (c,)), _dtype(tensors, o))
    running = []
    for access in o.inputs[-2:]:
        old = tensors[access.tensor]
        new = Tensor(f"{old.name}:moved", old.shape, old.dtype, old.role, old.root)
        tensors[new.name] = new
        running.append(Access(new.name, access.axes, access.elements))
    return replace(
        saved, work=Work.of(muls=2 * n + 8 * c, adds=4 * n + 2 * c, rsqrt=c), outputs=(*saved.outputs, *running)
    )


def _drop(tensors: dict[str, Tensor], o: Operator) -> Operator:
    """A mask drawn and divided by the share kept, then multiplied: 1 rng, 1 div, 1 mul an element."""
    y = tensors[o.outputs[0].tensor]
    n = y.elements
    return replace(
        _saving(tensors, o, ("mask",), (y.shape,), y.dtype), work=Work.of(muls=n, rng=n, div=n), kind="dropout"
    )


class _Dropout:
    """Dropout after the operators whose path, or path:op, matches a pattern; later readers see its result."""

    def __init__(self, tensors: dict[str, Tensor], patterns: Collection[str]) -> None:
        if isinstance(patterns, str):
            raise InputError(f"dropout is the text {patterns!r}", expected="a collection of module paths",
                             example=f'["{patterns}"]')  # fmt: skip
        self.tensors, self.patterns, self.names = tensors, tuple(patterns), dict[str, str]()
        self.missing = set(patterns)

    def inserted(self, o: Operator) -> list[Operator]:
        """The dropout after `o`, if any."""
        label = f"{o.path}:{o.op}"
        hits = [p for p in self.patterns if fnmatchcase(o.path if ":" not in p else label, p)]
        if not hits:
            return []
        self.missing -= set(hits)
        x = self.tensors[o.outputs[0].tensor]
        y = Tensor(f"{x.name}.dropped", x.shape, x.dtype)
        self.tensors[y.name] = y
        self.names[x.name] = y.name
        axes = axes_of(x.shape)
        space = tuple((f"d{i}", size) for i, size in enumerate(x.shape))
        made = Operator(f"{o.name}.dropout", "dropout", "dropout", o.path, space, (Access(x.name, axes, x.elements),),
                        (Access(y.name, axes, y.elements),), Work(), o.repeats)  # fmt: skip
        return [_drop(self.tensors, made)]

    def renamed(self, o: Operator) -> Operator:
        """`o` reading what dropout left."""
        if not self.names:
            return o
        reads = tuple(self._read(access) for access in o.inputs)
        return replace(o, inputs=reads)

    def _read(self, access: Access) -> Access:
        tensor = self.tensors[access.tensor]
        base = self.names.get(tensor.root)
        if base is None:
            return access
        name = base if not tensor.base else self.names.setdefault(tensor.name, f"{tensor.name}.dropped")
        if name not in self.tensors:
            self.tensors[name] = replace(tensor, name=name, base=base)
        return replace(access, tensor=name)

    def check(self) -> None:
        """Raise InputError for a pattern without an operator."""
        for pattern in sorted(self.missing):
            raise InputError(f"no operator is at {pattern!r} to drop out after", expected="a module path, or path:op",
                             example='["*.attention.self:softmax", "classifier.2"]')  # fmt: skip
