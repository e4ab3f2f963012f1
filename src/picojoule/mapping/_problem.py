"""What is mapped: a space of MACs, two inputs and one output, each indexed by single dimensions or by windows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from picojoule.workload import Access, Operator

Tile = tuple[int, ...]  # one extent per dimension, in the order of Problem.space
Axis = tuple[tuple[int, int], ...]  # (position of the dimension, stride), one pair or, for a window, two


@dataclass(frozen=True, slots=True)
class Operand:
    """One tensor by its role ("input", "weight", "output"); each axis is one dimension or a window of two.

    `relevant`: positions of the dimensions that index the tensor; every other loop reuses it. `windows`: the axes
    swept by two dimensions, as stride·p + r of a convolution.
    """

    role: str
    axes: tuple[Axis, ...]
    relevant: frozenset[int] = field(init=False, compare=False, repr=False)
    windows: tuple[Axis, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # kept, not computed on demand: a search asks tens of thousands of times
        object.__setattr__(self, "relevant", frozenset(position for axis in self.axes for position, _ in axis))
        object.__setattr__(self, "windows", tuple(axis for axis in self.axes if len(axis) == 2))


@dataclass(frozen=True, slots=True)
class Problem:
    """A contraction: one MAC at every point of `space`. `operands` end with the output; `left_out` names the rest."""

    name: str
    space: tuple[tuple[str, int], ...]
    operands: tuple[Operand, ...]
    left_out: tuple[str, ...] = ()

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions."""
        return tuple(dim for dim, _ in self.space)

    @property
    def extents(self) -> Tile:
        """Extents, in the order of the space."""
        return tuple(extent for _, extent in self.space)

    @property
    def macs(self) -> int:
        """Points of the space."""
        return math.prod(self.extents)

    @property
    def shape(self) -> "Problem":
        """The same problem without its name: equal layers are searched once."""
        return Problem("", self.space, self.operands, ())


class UnmappableError(ValueError):
    """The operator is no contraction that this room can map; the text says why and what would be."""


def contraction(
    name: str, space: Mapping[str, int], axes: Mapping[str, Sequence[Sequence[tuple[str, int]]]], left_out: Sequence[str] = ()
) -> Problem:  # fmt: skip
    """A problem from named dimensions; the last role in `axes` is the output, every axis a sum of stride · dimension.

    A group (group · size + channel, the group in every tensor) is split into single dimensions. Refused: sums of
    three or more overlapping dimensions, a window in the output, a dimension that stands in two axes of one tensor.
    """
    dims, extents = tuple(space), tuple(space.values())
    if min(extents, default=1) < 1:
        raise UnmappableError(f"{name}: every extent must be at least 1, got {dict(space)}")
    everywhere = frozenset.intersection(*(_positions(listed, dims) for listed in axes.values()))
    operands = []
    for role, listed in axes.items():
        split = [
            part for axis in listed for part in _split([(dims.index(d), s) for d, s in axis], extents, everywhere, name)
        ]
        flat = [position for axis in split for position, _ in axis]
        if len(set(flat)) != len(flat):
            raise UnmappableError(f"{name}: a dimension stands in two axes of {role}; a diagonal cannot be mapped")
        operands.append(Operand(role, tuple(split)))
    if operands[-1].windows:
        raise UnmappableError(f"{name}: the output {operands[-1].role} overlaps itself (a window); only inputs may")
    used = frozenset().union(*(operand.relevant for operand in operands))
    if len(used) < len(dims):
        idle = [dim for i, dim in enumerate(dims) if i not in used and extents[i] > 1]
        if idle:
            raise UnmappableError(f"{name}: no tensor depends on {', '.join(idle)}; count those as repeats")
    return Problem(name, tuple(zip(dims, extents, strict=True)), tuple(operands), tuple(left_out))


def _positions(axes: Sequence[Sequence[tuple[str, int]]], dims: tuple[str, ...]) -> frozenset[int]:
    return frozenset(dims.index(dim) for axis in axes for dim, _ in axis)


def _split(axis: Sequence[tuple[int, int]], extents: Tile, everywhere: frozenset[int], name: str) -> list[Axis]:
    """Peel off dimensions of extent 1, and groups: in every tensor, with a stride no smaller than all that lies below."""
    rest = sorted(axis, key=lambda pair: -abs(pair[1]))
    apart: list[Axis] = []
    while len(rest) > 1:
        (position, stride), below = (
            rest[0],
            1 + sum(abs(stride) * (extents[position] - 1) for position, stride in rest[1:]),
        )
        group = position in everywhere and abs(stride) >= below
        strided = len(rest) == 2 and abs(rest[1][1]) > 1  # its hull has gaps: stays a window of extent 1 and r
        if not group and (extents[position] > 1 or strided):
            break
        apart.append(((position, 1),))
        rest = rest[1:]
    if len(rest) > 2:
        raise UnmappableError(f"{name}: an axis sums {len(rest)} overlapping dimensions; windows of two can be mapped")
    if len(rest) == 1:
        rest = [(rest[0][0], 1)]
    return [*apart, tuple((position, abs(stride)) for position, stride in rest)] if rest else apart


def problem_of(operator: Operator) -> Problem:
    """The contraction inside an operator of a workload.

    The two inputs that together span the whole space are "input" and "weight" in the order given; further inputs
    that only follow the output (a bias) are left out and named. Words of padding count as words: `offsets` are
    ignored. Needs one MAC per point (work.macs = points).
    """
    if operator.work.macs != operator.points or len(operator.outputs) != 1 or len(operator.inputs) < 2:
        raise UnmappableError(
            f"{operator.name} ({operator.op}) is no contraction: one MAC per point, two inputs, one output"
        )
    first, second, *others = operator.inputs
    output = operator.outputs[0]
    for access in others:
        if not access.dims <= output.dims:
            raise UnmappableError(f"{operator.name}: three inputs are multiplied ({access.tensor}); two can be mapped")
    accesses: dict[str, Access] = {"input": first, "weight": second, "output": output}
    axes = {role: access.axes for role, access in accesses.items()}
    return contraction(operator.name, dict(operator.space), axes, [access.tensor for access in others])
