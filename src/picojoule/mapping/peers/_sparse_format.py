"""Timeloop's tensors with zeros: how full a tile is, and what its representation says besides the words that are left.

Read in NVlabs/timeloop (src/workload, src/sparse-analysis, src/model, BSD-3) and written anew; its rules, in our words:

* Fixed structure: a tile of n words of density d holds floor(n d) or ceil(n d) words that are not zero, the latter with
  the chance that makes n d the mean. So a tile can be empty only if n d < 1.
* A representation has ranks. Loops that move the tensor between its memory and the next one inside take the ranks from
  the outermost in; a rank with a list of dimensions takes the loops that follow too, as far as the list names them. The
  inner ranks are those of the memory inside, whose tiles arrive as they are (a plain tile there is one rank).
* A fibre of F coordinates costs F + 1 offsets in a rank UOP, the coordinates that are not empty in CP (rounded up) and
  RLE (not rounded). A rank without a loop costs nothing. Payloads of the innermost rank are the words themselves.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from .._mapping import Loop
from .._problem import Operand
from ._nest import Nest

FORMATS: Final = ("UOP", "CP", "RLE")
_ROUNDING: Final = {(2, 1): 251, (2, 5): 51, (16, 9): 52, (32, 9): 52}  # the tool's table where it leaves its own law
_WIDTHS: Final = (2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Rank:
    """One rank of a representation; `together` are the dimensions whose loops may share it."""

    format: Literal["UOP", "CP", "RLE"]
    together: tuple[tuple[str, ...], ...] = ()

    @property
    def compresses(self) -> bool:
        """Are coordinates without words left out?"""
        return self.format != "UOP"


Units = tuple[tuple[float, float], ...]  # of (metadata, payload), innermost rank first


def held(density: float, words: int) -> tuple[tuple[float, int], ...]:
    """(chance, words that are not zero) of a tile of `words`; in the order of operations of the tool."""
    exact = words * density
    low = math.floor(exact)
    more = exact - low
    return tuple((chance, count) for chance, count in ((1 - more, low), (more, math.ceil(exact))) if chance)


def empty(density: float, words: int) -> float:
    """Chance that a tile has no word that is not zero."""
    return sum(chance for chance, count in held(density, words) if not count)


def filled(density: float, words: int) -> float:
    """Mean share of a tile's words that are not zero."""
    return sum(chance * count for chance, count in held(density, words)) / words


def tile_words(nest: Nest, operand: Operand, extents: Mapping[str, int]) -> int:
    """Words of the box that these extents span; dimensions not named have 1."""
    dims = nest.problem.dims
    return math.prod(
        1 + sum(stride * (extents.get(dims[d], 1) - 1) for d, stride in axis) for axis in operand.axes
    )  # fmt: skip


def extents_of(loops: Sequence[Loop]) -> dict[str, int]:
    """Product of the trips by dimension."""
    found: dict[str, int] = {}
    for dim, trip in loops:
        found[dim] = found.get(dim, 1) * trip
    return found


def loops_between(nest: Nest, operand: Operand, first: int, last: int) -> list[Loop]:
    """Loops that move the operand in stages first .. last - 1, temporal and spatial, outermost first."""
    relevant = {nest.problem.dims[i] for i in operand.relevant}
    return [
        (dim, trip)
        for stage in nest.stages[first:last]
        for dim, trip in (*stage.temporal, *((loop.dim, loop.trip) for loop in stage.spatial))
        if dim in relevant and trip > 1
    ]


def ranks_of(
    nest: Nest, operand: Operand, formats: Mapping[tuple[str, str], tuple[Rank, ...]], at: int
) -> list[list[Loop]]:
    """Loops of every rank of the operand in stage `at`, innermost rank first."""
    stages, holders = nest.stages, nest.holders(operand.role)
    ranks = formats.get((stages[at].name, operand.role))
    everything = loops_between(nest, operand, at, len(stages))
    if ranks is None:
        return [everything]
    child = next((i for i in holders if i > at), len(stages))
    inner: list[list[Loop]] = []
    inside = loops_between(nest, operand, child, len(stages))
    if child < len(stages) and tile_words(nest, operand, extents_of(inside)) > 1:
        inner = ranks_of(nest, operand, formats, child)
    own = [*loops_between(nest, operand, at, child), *([] if inner else inside)]
    found: list[list[Loop]] = []
    for rank in ranks[: max(0, len(ranks) - len(inner))]:
        found.append(_taken(own, rank, stages[at].name))
    if own or len(inner) > len(ranks):
        raise ValueError(f"{stages[at].name} has {len(ranks)} ranks of {operand.role}, its loops need more")
    return inner + found[::-1]


def _taken(loops: list[Loop], rank: Rank, where: str) -> list[Loop]:
    """Take the loops of one rank from the outer end of `loops`."""
    if not loops:
        return []
    found = [loops.pop(0)]
    if rank.together:
        rule = next((one for one in rank.together if found[0][0] in one), None)
        if rule is None:
            raise ValueError(f"no list of a rank of {where} names the loop of {found[0][0]}")
        while loops and loops[0][0] in rule:
            found.append(loops.pop(0))
    return found


def units(nest: Nest, operand: Operand, formats: Mapping[tuple[str, str], tuple[Rank, ...]], at: int, density: float
) -> Units:  # fmt: skip
    """Mean (metadata, payload) of every rank of one tile in stage `at`."""
    ranks = formats[nest.stages[at].name, operand.role][::-1]
    loops = ranks_of(nest, operand, formats, at)
    found: list[tuple[float, float]] = []
    fibres = 1
    for r in range(len(ranks) - 1, -1, -1):
        fibre = tile_words(nest, operand, extents_of(loops[r]))
        below = tile_words(nest, operand, extents_of([loop for one in loops[:r] for loop in one]))
        whole = tile_words(nest, operand, extents_of([loop for one in loops[: r + 1] for loop in one]))
        if fibre == 1:
            found.append((0.0, 0.0))
        elif ranks[r].format == "UOP":
            found.append((0.0, float(fibres * (fibre + 1))))
        elif r and not loops[r - 1]:
            raise ValueError(f"{nest.stages[at].name}: a rank without a loop below {ranks[r].format} is not counted")
        else:
            each = fibre * (1 - empty(density, below))
            count = (math.ceil(each) if ranks[r].format == "CP" else each) * (fibres * (1 - empty(density, whole)))
            found.append((count, count if r else 0.0))
        fibres *= fibre
    return tuple(found[::-1])


def rounding(density: float, words: int, block: int) -> float:
    """Blocks touched by a compressed tile / (its words / block): every tile begins a block of its own.

    The tool leaves this out where (block - 1) / 2 words lost in the last block are under 1 % of the words.
    """
    share = filled(density, words)
    if block == 1 or share >= 1:
        return 1.0
    if block not in _WIDTHS:
        raise ValueError(f"blocks of {block} words of a compressed tile are not counted, only of {_WIDTHS}")
    tenths = max(1, math.floor(share / 0.1))
    enough = _ROUNDING.get((block, tenths), -(-500 * (block - 1) // (block * tenths)))
    if words // block >= enough:
        return 1.0
    blocks = sum(chance * math.ceil(count / block) for chance, count in held(density, words))
    return blocks / (words * share / block)
