"""ZigZag's accesses of one mapping: port words read and written at every memory, in four directions, by its own rules.

Read in KULeuven-MICAS/zigzag (mapping and cost_model, MIT) and written anew; its rules, in our words:

* Every operand cuts one loop order at its own places. Irrelevant loops right above a cut belong below it.
* A unit of memory l moves data(l) words every period(l) cycles; each period is rounded up to words of the narrowest
  port, then counted in words of the widest.
* A window a·i + b·j of A and B steps holds A·B - max(0, B - a/g)·(A - b/g) words, g = gcd(a, b), clipped to the tensor
  without padding; spatial loops may be fractions (extent / temporal trips).
* Sums are read back on every visit while a reduction loop is left, the first visit too; a drained sum is a read.
* Inputs of the innermost memory are read once for a run of irrelevant loops: they stay at its output.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Direction = Literal["rd_out_to_low", "wr_in_by_low", "rd_out_to_high", "wr_in_by_high"]
DIRECTIONS: tuple[Direction, ...] = ("rd_out_to_low", "wr_in_by_low", "rd_out_to_high", "wr_in_by_high")
Trips = Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Window:
    """An axis stride·first + dilation·second, `clip` words at most."""

    first: str
    stride: int
    second: str
    dilation: int
    clip: int

    def words(self, first: int, second: int, clipped: bool) -> int:
        """Words under `first` and `second` steps."""
        common = math.gcd(self.stride, self.dilation)
        found = first * second - max(0, second - self.stride // common) * (first - self.dilation // common)
        return min(found, self.clip) if clipped else found


@dataclass(frozen=True, slots=True)
class Tensor:
    """An operand: its single dimensions, its windows, bits of a word while it is a partial sum and at the end."""

    role: str
    single: frozenset[str]
    windows: tuple[Window, ...]
    bits: int
    final_bits: int
    output: bool = False

    @property
    def relevant(self) -> frozenset[str]:
        """Dimensions that index the tensor."""
        return self.single | {dim for window in self.windows for dim in (window.first, window.second)}


@dataclass(frozen=True, slots=True)
class Hold:
    """One memory as one operand sees it: temporal loops at it, spatial loops below it, innermost first; its ports.

    `ports`: bits of the narrowest and the widest word by direction.
    """

    memory: str
    temporal: tuple[tuple[str, int], ...]
    spatial: tuple[tuple[str, float], ...]
    ports: Mapping[Direction, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Rules:
    """Which of ZigZag's rules are on; all of them are its own convention."""

    still: bool = True  # inputs stay at the output of the innermost memory
    clip: bool = True  # windows without padding
    first: bool = True  # the first visit of a sum reads it back
    rounding: bool = True  # every period is rounded up to port words
    drain: bool = True  # a drained sum is read at the child


def zigzag_accesses(
    tensor: Tensor, extents: Mapping[str, int], holds: Sequence[Hold], rules: Rules | None = None
) -> Mapping[tuple[str, Direction], float]:
    """Accesses by (memory, direction) of one operand; `holds` innermost first. Whole numbers under all rules."""
    rules = rules or Rules()
    cuts, cycles, still = _periods(tensor, holds)
    stretches = _stretches(holds, cuts)
    levels = [(*temporal, *hold.spatial) for temporal, hold in zip(stretches, holds, strict=True)]
    sizes = [round(size) for size in _grown(tensor, [(), *levels], rules.clip)]
    unique, units = _units(tensor, [hold.spatial for hold in holds], rules.clip)
    boost = [round(unique[i] / unique[i + 1]) for i in range(len(holds))]
    period = [still if rules.still and not tensor.output else 1, *cycles]
    partial = _partial(tensor, holds, stretches)
    whole = math.prod(extents[dim] for dim in tensor.single) * math.prod(
        window.words(extents[window.first], extents[window.second], rules.clip) for window in tensor.windows
    )
    total, found = cycles[-1], {}
    for k, hold in enumerate(holds):
        low, top = sizes[k] * boost[k], k == len(holds) - 1
        high = 0 if top else sizes[k + 1]
        moved: dict[Direction, tuple[float, int, int]] = {}  # words a period, periods, bits
        if tensor.output:
            now, later = (tensor.bits if flag else tensor.final_bits for flag in partial[k : k + 2])
            moved["wr_in_by_low"] = (low, total // period[k], now)
            moved["rd_out_to_low"] = (low * partial[k], total // period[k], tensor.bits)
            moved["rd_out_to_high"] = (high * rules.drain, total // period[k + 1], later)
            moved["wr_in_by_high"] = (high * partial[k + 1], total // period[k + 1], tensor.bits)
        else:
            moved["rd_out_to_low"] = (low, total // period[k], tensor.bits)
            moved["wr_in_by_high"] = (high, total // period[k + 1], tensor.bits)
        for direction in DIRECTIONS:
            words, periods, bits = moved.get(direction, (0, 0, 0))
            free = 0.0
            back = (direction == "rd_out_to_low" and partial[k]) or (direction == "wr_in_by_high" and partial[k + 1])
            if tensor.output and back and words and not rules.first:
                free = whole * units[k + 1] / unique[k + 1]  # every unit's first visits
            found[hold.memory, direction] = _accesses(hold, direction, words, periods, bits, units[k + 1], free, rules)
    return found


def _accesses(
    hold: Hold, direction: Direction, words: float, periods: int, bits: int, units: int, free: float, rules: Rules
) -> float:
    """Port words; `free` words of first visits are taken off."""
    if not words or not bits:
        return 0
    narrow, wide = hold.ports[direction]
    if rules.rounding:
        rounded = int(math.ceil(words * bits / narrow) * (narrow / wide) * periods * units)
        return rounded - free * bits / wide if free else rounded
    return (words * periods * units - free) * bits / wide


def _order(holds: Sequence[Hold]) -> list[tuple[str, int]]:
    """The loop order, innermost first."""
    return [loop for hold in holds for loop in hold.temporal]


def _periods(tensor: Tensor, holds: Sequence[Hold]) -> tuple[list[int], list[int], int]:
    """Per memory: where its loops end in the order once irrelevant ones above are moved below, and its period."""
    order = _order(holds)

    def past(position: int) -> int:
        while position < len(order) and order[position][0] not in tensor.relevant:
            position += 1
        return position

    cuts, at = [], 0
    for hold in holds:
        at += len(hold.temporal)
        cuts.append(past(at))
    cuts[-1] = len(order)
    cycles = [math.prod(trip for _, trip in order[:cut]) for cut in cuts]
    return cuts, cycles, math.prod(trip for _, trip in order[: past(0)])


def _stretches(holds: Sequence[Hold], cuts: Sequence[int]) -> list[list[tuple[str, int]]]:
    """Temporal loops of every memory after the moves."""
    order = _order(holds)
    return [order[start:stop] for start, stop in zip((0, *cuts[:-1]), cuts, strict=True)]


def _grown(tensor: Tensor, levels: Sequence[Trips], clip: bool) -> list[float]:
    """Words of the tensor under all loops up to each level."""
    trips: dict[str, float] = {}
    found = []
    for level in levels:
        for dim, trip in level:
            trips[dim] = trips.get(dim, 1) * trip
        size = math.prod(trips.get(dim, 1) for dim in tensor.single)
        for window in tensor.windows:
            size *= window.words(int(trips.get(window.first, 1)), int(trips.get(window.second, 1)), clip)
        found.append(size)
    return found


def _units(tensor: Tensor, meshes: Sequence[Trips], clip: bool) -> tuple[list[float], list[int]]:
    """Units of the MACs and of every memory: those with different words, and all."""
    sizes = _grown(tensor, [*meshes, ()], clip)
    trips = [math.prod(trip for _, trip in mesh) for mesh in meshes]
    below = [1.0, *sizes[:-1]]
    unique = [sizes[-1] / size for size in below]
    return unique, [round(round(math.prod(trips[k:]), 3)) for k in range(len(meshes) + 1)]


def _partial(tensor: Tensor, holds: Sequence[Hold], stretches: Sequence[Trips]) -> list[bool]:
    """Does the memory hold partial sums: is a reduction loop left at it or further out? One more False, for outside."""
    left = []
    for k, temporal in enumerate(stretches):
        mesh = holds[k + 1].spatial if k + 1 < len(holds) else ()
        left.append(any(dim not in tensor.relevant and trip > 1 for dim, trip in (*temporal, *mesh)))
    return [*(any(left[k:]) for k in range(len(left))), False]
