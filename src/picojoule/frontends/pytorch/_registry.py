"""The one table {operator: its work, its kind, how it touches its tensors} that every PyTorch path looks up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from picojoule.quantity import InputError
from picojoule.workload import Axis, Work

from ._call import Call
from ._torch import TorchTensor

Rule = Callable[[Call], Work]
Named = Sequence[tuple[str, TorchTensor]]


@dataclass(slots=True)  # not frozen: one is made for each operator
class Pattern:
    """The index space of an operator, the axes of each tensor read, of the first one written, and of `others`."""

    space: Sequence[tuple[str, int]]
    reads: Sequence[Sequence[Axis]]
    write: Sequence[Axis]
    others: Sequence[Sequence[Axis]] = ()


Layout = Callable[[Call, Named], Pattern]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the table knows of one operator."""

    kind: str
    rule: Rule
    layout: Layout
    own: bool = False  # ours: what it says follows from metadata, so that it may be remembered


TABLE: Final[dict[str, Entry]] = {}


def pointwise(call: Call, reads: Named) -> Pattern:
    """One dimension to each axis of the result; what broadcasts to it is indexed so, the rest by its own data."""
    shape = tuple(call.out.shape) if call.outputs else ()
    dims: list[Axis] = [((f"d{i}", 1),) for i in range(len(shape))]
    axes: list[Sequence[Axis]] = []
    for _, t in reads:
        sizes = tuple(t.shape)
        if sizes == shape:
            axes.append(dims)
            continue
        skip = len(shape) - t.dim()
        fits = skip >= 0 and all(n in (1, shape[skip + i]) for i, n in enumerate(sizes))
        if not fits:
            axes.append([()] * len(sizes))
        else:
            axes.append([dims[skip + i] if n == shape[skip + i] else () for i, n in enumerate(sizes)])
    return Pattern([(f"d{i}", n) for i, n in enumerate(shape)], axes, dims)


def over_input(call: Call, reads: Named) -> Pattern:
    """One dimension to each axis of the first tensor read: reductions, whose result is smaller."""
    if not reads:
        return pointwise(call, reads)
    shape = tuple(reads[0][1].shape)
    dims: list[Axis] = [((f"d{i}", 1),) for i in range(len(shape))]
    axes: list[Sequence[Axis]] = [dims if tuple(t.shape) == shape else [()] * t.dim() for _, t in reads]
    out = tuple(call.out.shape) if call.outputs else ()
    kept = dims if out == shape else [dims[i] if n == shape[i] else () for i, n in enumerate(out)] \
        if len(out) == len(shape) else [()] * len(out)  # fmt: skip
    return Pattern([(f"d{i}", n) for i, n in enumerate(shape)], axes, kept)


def add_rule(names: str, kind: str, rule: Rule, layout: Layout = pointwise, *, inplace: bool = False) -> None:
    """Enter the operators `names` (spaces between); with `inplace` also those with a trailing underscore."""
    for name in names.split():
        TABLE[name] = Entry(kind, rule, layout, own=True)
        if inplace:
            TABLE[f"{name}_"] = TABLE[name]


def register(name: str, rule: Rule, *, kind: str = "other", layout: Layout = pointwise) -> None:
    """Teach every PyTorch path the work of an operator: `rule(call)` is called once for each time it runs.

        from picojoule.workload import Work
        register("mylib::swish", lambda call: Work.of(muls=call.n, sigmoid=call.n), kind="activation")

    `name` is "library::operator" as in torch.ops, without the overload; aten's own names go without "aten::".
    `call["x"]` is an argument by its schema name, `call.out` the first result, `call.n` its elements.
    """
    if not name or " " in name or not callable(rule):
        raise InputError(f"cannot register a rule for {name!r}", expected="an operator name and a function of the call",
                         example='register("mylib::swish", lambda call: Work.of(muls=call.n))')  # fmt: skip
    TABLE[name.removeprefix("aten::")] = Entry(kind, rule, layout)
