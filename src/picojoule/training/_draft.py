"""What a backward rule says: drafts of operators in terms of the operands of one forward operator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from picojoule.workload import Axis, Operator, Tensor, Work

GRAD: Final = -1  # the gradient of the first result
TEMP: Final = -2  # what the draft before wrote
OUT: Final = -10  # the first result; OUT - j is result j
NOWHERE: Final = -3  # the target of a draft that writes a temporary

Space = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Read:
    """An operand: `ref` is a forward input by its place, or GRAD, TEMP, OUT."""

    ref: int
    axes: tuple[Axis, ...]
    elements: int
    offsets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """A gradient: `target` is the input it belongs to, or NOWHERE for a temporary; `part` of its elements, or all."""

    target: int
    shape: tuple[int, ...]
    axes: tuple[Axis, ...]
    offsets: tuple[int, ...] = ()
    part: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """One backward operator; with `op` "" none: the gradient written is the gradient read, seen in another shape."""

    op: str
    kind: str
    space: Space
    reads: tuple[Read, ...]
    writes: tuple[Write, ...]
    work: Work


@dataclass(frozen=True, slots=True)
class Call:
    """One forward operator with its tensors, and which of its inputs want a gradient."""

    operator: Operator
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    wants: tuple[bool, ...]

    @property
    def out(self) -> Tensor:
        """The first result."""
        return self.outputs[0]

    @property
    def wanted(self) -> list[int]:
        """The places of the inputs that want a gradient."""
        return [place for place, want in enumerate(self.wants) if want]

    def input(self, place: int) -> Read:
        """Input `place` as the forward operator read it."""
        access = self.operator.inputs[place]
        return Read(place, access.axes, access.elements, access.offsets)

    def result(self, place: int = 0) -> Read:
        """Result `place`, whole."""
        access = self.operator.outputs[place]
        return Read(OUT - place, access.axes, access.elements, access.offsets)

    @property
    def grad_dims(self) -> frozenset[str]:
        """The dimensions that index the first result."""
        return self.operator.outputs[0].dims

    @property
    def grad(self) -> Read:
        """The gradient of the first result, whole."""
        access = self.operator.outputs[0]
        return Read(GRAD, access.axes, access.elements, access.offsets)


Rule = Callable[[Call], list[Draft]]


def axes_of(shape: Sequence[int]) -> tuple[Axis, ...]:
    """One dimension d0, d1, … to each axis."""
    return tuple(((f"d{i}", 1),) for i in range(len(shape)))


def space_of(shape: Sequence[int]) -> Space:
    """The index space of a tensor of `shape`."""
    return tuple((f"d{i}", size) for i, size in enumerate(shape))


def into(call: Call, place: int, *, offsets: tuple[int, ...] = ()) -> Write:
    """The gradient of input `place`, indexed as the forward operator reads the input."""
    return Write(place, call.inputs[place].shape, call.operator.inputs[place].axes, offsets)


def passed(call: Call, place: int) -> list[Draft]:
    """The gradient handed on as it is; summed first where the input was broadcast."""
    if call.inputs[place].elements < call.out.elements:
        return [summed(call, place, call.grad)]
    return [Draft("", "", (), (call.grad,), (into(call, place),), Work())]


def summed(call: Call, place: int, read: Read) -> Draft:
    """A gradient of the result's shape summed to the shape of a broadcast input: n - m additions for n to m."""
    work = Work.of(adds=max(0, call.out.elements - call.inputs[place].elements))
    return Draft("sum_to_shape", "reduce", call.operator.space, (read,), (into(call, place),), work)


def pointwise(call: Call, place: int, each: Work, reads: Sequence[Read]) -> list[Draft]:
    """`each` work at every element of the result, then a sum where the input was broadcast."""
    o, out = call.operator, call.out
    name, work = f"{o.op}_backward", each * out.elements
    if call.inputs[place].elements >= out.elements:
        return [Draft(name, o.kind, o.space, tuple(reads), (into(call, place),), work)]
    axes = o.outputs[0].axes
    inner = Draft(name, o.kind, o.space, tuple(reads), (Write(NOWHERE, out.shape, axes),), work)
    return [inner, summed(call, place, Read(TEMP, axes, out.elements))]


def moved(call: Call, places: Sequence[int], work: Work, *others: Read) -> Draft:
    """The gradient and `others` read, the gradients of `places` written, in the forward operator's own order."""
    o = call.operator
    writes = tuple(into(call, place) for place in places)
    return Draft(f"{o.op}_backward", o.kind, o.space, (call.grad, *others), writes, work)
