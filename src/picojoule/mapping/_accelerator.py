"""The machine as mapping sees it: memories outermost first, one array of PEs between two of them, MACs at the end."""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Level:
    """One memory. Capacities are bits of one instance; None means no limit. Bandwidths are words per cycle and instance.

    `bus_bits` is a single port in bits per cycle that reads, writes and updates share.

    `keeps` are the roles stored here, `optional` those of them that a mapping may bypass. `shares` are the parts of a
    partitioned memory by role. `loops` are the dimensions that may be iterated here; None means any.
    """

    name: str
    keeps: tuple[str, ...]
    capacity_bits: int | None = None
    shares: tuple[tuple[str, int], ...] = ()
    loops: tuple[str, ...] | None = None
    optional: tuple[str, ...] = ()
    read_bandwidth: float | None = None
    write_bandwidth: float | None = None
    double_buffered: bool = False
    bus_bits: float | None = None

    @property
    def copies(self) -> int:
        """Tiles held at a time: two where the next is filled while this one is used."""
        return 2 if self.double_buffered else 1


@dataclass(frozen=True, slots=True)
class SpatialAxis:
    """A row or column of the array: `size` PEs, over which the dimensions in `dims` may be spread."""

    name: str
    size: int
    dims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """PEs between level `below` and the next. Without `reduction` sums cannot be added across PEs.

    A dimension of `whole` is spread in full or the layer has no mapping: a row of a filter that cannot be cut.
    """

    below: str
    axes: tuple[SpatialAxis, ...]
    multicast: bool = True
    reduction: bool = True
    whole: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """PEs."""
        total = 1
        for axis in self.axes:
            total *= axis.size
        return total


@dataclass(frozen=True, slots=True)
class Accelerator:
    """Levels outermost first; the first keeps everything. `word_bits` by role.

    A step is one MAC in every element; `cycles_per_step` cycles of the clock pass in it: 1 / 256 where an element stands
    for 256 multipliers.
    """

    name: str
    levels: tuple[Level, ...]
    array: Array
    word_bits: tuple[tuple[str, int], ...]
    cycles_per_step: float = 1.0

    def __post_init__(self) -> None:
        names = [level.name for level in self.levels]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: two levels share a name: {', '.join(names)}")
        if self.array.below not in names:
            raise ValueError(f"{self.name}: the array stands below {self.array.below!r}; levels are {', '.join(names)}")
        roles = set(dict(self.word_bits))
        if set(self.levels[0].keeps) != roles:
            raise ValueError(f"{self.name}: the outermost level {names[0]} must keep {', '.join(sorted(roles))}")

    @property
    def fanout(self) -> int:
        """Index of the level above the array."""
        return [level.name for level in self.levels].index(self.array.below)

    @property
    def bits(self) -> Mapping[str, int]:
        """Bits of a word by role."""
        return dict(self.word_bits)

    def parent(self, role: str, child: int) -> int:
        """Index of the nearest level above `child` that keeps the role; `child` = number of levels means the MACs."""
        return next(i for i in range(child - 1, -1, -1) if role in self.levels[i].keeps)

    def holders(self, role: str) -> tuple[int, ...]:
        """Levels that keep the role."""
        return tuple(i for i, level in enumerate(self.levels) if role in level.keeps)

    def without(self, bypass: tuple[tuple[str, str], ...]) -> "Accelerator":
        """The same machine with (level, role) pairs bypassed."""
        if not bypass:
            return self
        levels = tuple(
            replace(level, keeps=tuple(role for role in level.keeps if (level.name, role) not in bypass))
            for level in self.levels
        )
        return replace(self, levels=levels)
