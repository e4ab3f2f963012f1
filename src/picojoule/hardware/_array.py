"""How the processing elements of a machine stand between its memories: what a loop nest can be mapped onto."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from picojoule.quantity import Value

Role = Literal["input", "weight", "output"]
ROLES: Final[tuple[Role, ...]] = ("input", "weight", "output")


@dataclass(frozen=True, slots=True)
class Store:
    """One level of the hierarchy. `memory` names the memory that pays for it; "" is a register inside the price of a MAC.

    `size` [B] is one instance: of the whole level above the array, of one element below it; None means no limit.
    `shares` [B] partition it by role. `optional` are roles that a mapping may bypass, `loops` the dimensions that may
    be iterated here (None: any).
    """

    name: str
    memory: str
    keeps: tuple[Role, ...] = ROLES
    size: Value | None = None
    shares: Mapping[Role, Value] = field(default_factory=dict)
    double_buffered: bool = False
    optional: tuple[Role, ...] = ()
    loops: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """`size` elements side by side, over which the dimensions of `spread` may go.

    Dimensions are those of a convolution: b sample, g group, m output channel, c input channel, p output position,
    r kernel position; p0, r1 one axis of them. Of a matrix product, rows are b or p, columns m, sums c, batches g.
    """

    name: str
    size: int
    spread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProcessingArray:
    """Elements of compute unit `unit` below the level `below`, one MAC each per step of 2 · elements / peak seconds.

    `stores` stand outermost first. `multicast`: a word read once reaches all elements that need it; `reduction`: sums
    are added across elements; dimensions of `whole` are spread in full or not mapped. `source` and `where` say where
    axes and rules were read.
    """

    unit: str
    below: str
    axes: tuple[Axis, ...]
    stores: tuple[Store, ...]
    multicast: bool = True
    reduction: bool = True
    source: str = ""
    where: str = ""
    note: str = ""
    whole: tuple[str, ...] = ()

    @property
    def elements(self) -> int:
        """Processing elements."""
        total = 1
        for axis in self.axes:
            total *= axis.size
        return total


@dataclass(frozen=True, slots=True)
class Dataflow:
    """A fixed dataflow as data: what the innermost store keeps, what each axis spreads, what may be iterated inside.

    `spread` holds one tuple per axis, the last one for all further axes; dimensions of `whole` are spread in full.
    Y.-H. Chen, J. Emer, V. Sze, ISCA 2016, doi 10.1109/ISCA.2016.40, names the five.
    """

    name: str
    title: str
    keeps: tuple[Role, ...]
    spread: tuple[tuple[str, ...], ...]
    loops: tuple[str, ...] | None = None
    whole: tuple[str, ...] = ()
