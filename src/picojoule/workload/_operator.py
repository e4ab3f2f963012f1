"""Operators as loop nests: some work at every point of an integer space, tensors touched through affine accesses."""

import math
from collections.abc import Mapping
from fractions import Fraction

from ._frozen import frozen
from ._work import Work

Axis = tuple[tuple[str, int], ...]  # one tensor axis as a sum of stride · dimension; () stays at one index


@frozen
class Access:
    """How one tensor is indexed by the operator's dimensions.

    `elements` are the distinct elements touched by a whole run, padding left out. `offsets` shift each axis (minus
    the padding of a convolution); empty means no shift. An axis that depends on data (gather, routing) is ().
    """

    tensor: str
    axes: tuple[Axis, ...]
    elements: int
    offsets: tuple[int, ...] = ()

    @property
    def dims(self) -> frozenset[str]:
        """The dimensions this access depends on."""
        return frozenset(dim for axis in self.axes for dim, _ in axis)

    def footprint(self, tile: Mapping[str, int]) -> int:
        """Elements of the box touched while each dimension sweeps `tile[dim]` consecutive values."""
        return math.prod(1 + sum(stride * (tile[dim] - 1) for dim, stride in axis) for axis in self.axes)


@frozen
class Operator:
    """`work` is spent on one sweep of `space`; the sweep runs `repeats` times, as the steps of a recurrent net do.

    For a contraction every point of the space is one MAC: work.macs is the product of the extents. `op` is the
    operator's own name ("conv2d", "relu"), `kind` its class ("conv", "matmul", "norm", …), `path` the module's.
    """

    name: str
    op: str
    kind: str
    path: str
    space: tuple[tuple[str, int], ...]
    inputs: tuple[Access, ...]
    outputs: tuple[Access, ...]
    work: Work
    repeats: int = 1

    @property
    def extents(self) -> dict[str, int]:
        """Dimension to extent."""
        return dict(self.space)

    @property
    def points(self) -> int:
        """Points of the space."""
        return math.prod(extent for _, extent in self.space)

    @property
    def total(self) -> Work:
        """Work of all repeats."""
        return self.work * self.repeats

    @property
    def work_per_point(self) -> dict[str, Fraction]:
        """Mean work at a point by name (mac, mul, add, compare, …)."""
        points = self.points or 1
        named = {"mac": self.work.macs, **self.work.as_dict()}
        return {name: Fraction(count, points) for name, count in named.items() if count}
