"""Timeloop's counters where tensors have zeros: words left out by representations, reads gated and skipped.

Read in NVlabs/timeloop (src/sparse-analysis, BSD-3) and written anew; its rules, in our words, on the counters of the
dense nest, instance by instance:

* A memory with a representation moves the share of the words that is not zero; what is saved is rounded down.
* A read of the target is left out if every word that meets it, of any tensor of the condition, is zero: with chance
  p = 1 - product of (1 - chance that the tile of the condition is empty). At the innermost memory of the target the tile
  is one word for every instance that the read serves, and for the steps of the innermost loop that fill a block. Sums
  round the reads left out up, all else down.
* A gated read takes its turn at the port and no energy, a skipped one neither.
* MACs whose operand was left out are not done; of those left, the ones of which no operand exists are not either.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .._problem import Operand
from .._traffic import Action, Key
from ._nest import Nest
from ._sparse_format import Rank, empty, extents_of, filled, loops_between, rounding, tile_words, units

Kind = Literal["gating", "skipping"]


@dataclass(frozen=True, slots=True)
class Saving:
    """Reads of `target` in a memory (or the next above that keeps it) depend on the words of `conditions`."""

    kind: Kind
    stage: str
    target: str
    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """Words of one access, bits of a word; bits of a word of metadata and of one access to it, 0 where there is none."""

    block: int = 1
    word_bits: int = 0
    format_bits: int = 0
    format_width: int = 0


@dataclass(frozen=True, slots=True)
class Sparse:
    """What a run says of zeros. `order`: roles as the problem lists its tensors; `innermost`: the innermost loop's dimension."""

    densities: Mapping[str, float]
    formats: Mapping[tuple[str, str], tuple[Rank, ...]]
    savings: tuple[Saving, ...]
    memories: Mapping[str, Memory]
    order: tuple[str, ...]
    innermost: str | None = None

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if any(not 0 < density <= 1 for density in self.densities.values()):
            raise ValueError(f"densities {dict(self.densities)}: shares above 0, at most 1")

    def density(self, role: str) -> float:
        """Share of the words that are not zero."""
        return self.densities.get(role, 1.0)


@dataclass(slots=True)
class SparseCounts:
    """Counters by (stage, role, action), all instances together but `formats`, `blocks`, `unpacked`, `packed`.

    `formats`: (metadata, payload) by rank, innermost first, per instance; `blocks`: block accesses / words per block;
    `unpacked`, `packed`: words per instance that change their representation at (stage, role).
    """

    actual: dict[Key, float] = field(default_factory=dict)
    gated: dict[Key, float] = field(default_factory=dict)
    skipped: dict[Key, float] = field(default_factory=dict)
    formats: dict[Key, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    formats_gated: dict[Key, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    formats_skipped: dict[Key, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    blocks: dict[tuple[str, str], float] = field(default_factory=dict)
    unpacked: dict[tuple[str, str], float] = field(default_factory=dict)
    packed: dict[tuple[str, str], float] = field(default_factory=dict)
    macs: int = 0


_ACTIONS: tuple[Action, ...] = ("read", "write", "update")
_Chances = dict[str, tuple[Kind, str, float]]  # by target: where, and how likely a read is left out


def sparse_counts(nest: Nest, sparse: Sparse, dense: Mapping[Key, int]) -> SparseCounts:
    """The dense counters less what zeros save. Refused (ValueError) where this is not counted."""
    chances = _chances(nest, sparse)
    found = SparseCounts(macs=_macs(nest, sparse, chances))
    copies = dict(zip((stage.name for stage in nest.stages), nest.instances, strict=True))
    for operand in nest.problem.operands:
        for at in nest.holders(operand.role):
            _represented(found, nest, sparse, operand, at, dense)
        if operand.role in chances:
            _left_out(found, operand, operand is nest.problem.operands[-1], *chances[operand.role])
        _changed(found, nest, sparse, operand)
    for counts in (found.actual, found.gated, found.skipped):
        for key, each in counts.items():
            counts[key] = _whole(each * copies[key[0]])
    return found


def _represented(
    found: SparseCounts, nest: Nest, sparse: Sparse, operand: Operand, at: int, dense: Mapping[Key, int]
) -> None:
    """Enter the words of one memory that its representation leaves, per instance, and the metadata."""
    name, role, d = nest.stages[at].name, operand.role, sparse.density(operand.role)
    each = {action: dense.get((name, role, action), 0) / nest.instances[at] for action in _ACTIONS}
    ranks = sparse.formats.get((name, role))
    if ranks is None:
        found.actual |= {(name, role, action): count for action, count in each.items()}
        return
    if not ranks[-1].compresses:
        raise ValueError(
            f"{name}: the innermost rank {ranks[-1].format} of {role} compresses nothing, that is not counted"
        )
    words = tile_words(nest, operand, extents_of(loops_between(nest, operand, at, len(nest.stages))))
    parents = [i for i in nest.holders(role) if i < at]
    if parents and (nest.stages[parents[-1]].name, role) in sparse.formats and empty(d, words):
        raise ValueError(f"{name}: tiles of {role} that may be empty, {words} words of density {d:g}, are not counted")
    zeros = 1 - filled(d, words)
    found.blocks[name, role] = rounding(d, words, sparse.memories[name].block)
    per_tile = units(nest, operand, sparse.formats, at, d)
    for action, count in each.items():
        key: Key = (name, role, action)
        found.actual[key] = count - math.floor(count * zeros)
        tiles = count / words
        found.formats[key] = tuple((math.ceil(meta * tiles), math.ceil(load * tiles)) for meta, load in per_tile)


def _left_out(found: SparseCounts, operand: Operand, output: bool, kind: Kind, name: str, chance: float) -> None:
    """Take the reads and updates of one memory that are gated or skipped from those that are left."""
    counts, formats = (found.gated, found.formats_gated) if kind == "gating" else (found.skipped, found.formats_skipped)
    for action in ("read", "update"):
        key: Key = (name, operand.role, action)
        exact = found.actual[key] * chance
        counts[key] = math.ceil(exact) if output and action == "read" else math.floor(exact)
        found.actual[key] -= counts[key]
        if key in found.formats:
            saved = tuple((math.floor(meta * chance), math.floor(load * chance)) for meta, load in found.formats[key])
            formats[key] = saved
            found.formats[key] = tuple(
                (meta - a, load - b) for (meta, load), (a, b) in zip(found.formats[key], saved, strict=True)
            )


def _changed(found: SparseCounts, nest: Nest, sparse: Sparse, operand: Operand) -> None:
    """Words that are unpacked below a memory that keeps them packed, and sums that are packed for it."""
    role, holders = operand.role, nest.holders(operand.role)
    for parent, child in itertools.pairwise(holders):
        above, below = nest.stages[parent].name, nest.stages[child].name
        if (below, role) in sparse.formats:
            if (above, role) not in sparse.formats:
                raise ValueError(f"{below} packs {role} that {above} keeps plain: that is not counted")
        elif (above, role) in sparse.formats:
            found.unpacked[below, role] = found.actual[below, role, "write"]
            if operand is nest.problem.operands[-1]:
                found.packed[below, role] = found.actual[above, role, "update"]


def _chances(nest: Nest, sparse: Sparse) -> _Chances:
    """The more effective of all savings for each target; gating is asked before skipping."""
    found: _Chances = {}
    operands = {one.role: one for one in nest.problem.operands}
    names = [stage.name for stage in nest.stages]
    for saving in sorted(sparse.savings, key=lambda one: one.kind):
        below = names.index(saving.stage)
        holders = nest.holders(saving.target)
        above = [i for i in holders if i <= below]
        if not above or above[-1] != holders[-1]:
            raise ValueError(
                f"{saving.kind} of {saving.target} at {saving.stage}, not its innermost memory, is not counted"
            )
        if any(loop.trip > 1 for loop in nest.stages[-1].spatial):
            raise ValueError(f"{saving.kind} of {saving.target} above an array of MACs, at {names[-1]}, is not counted")
        name = names[above[-1]]
        block = sparse.memories[name].block
        if block > 1 and sparse.innermost is None:
            raise ValueError(f"{saving.kind} at {name}, whose blocks have {block} words, without an innermost loop")
        steps = {sparse.innermost: block} if sparse.innermost is not None else {}
        for loop in (loop for stage in nest.stages[above[-1] :] for loop in stage.spatial):
            steps[loop.dim] = steps.get(loop.dim, 1) * loop.trip
        useful = 1.0
        for role in saving.conditions:
            useful *= 1 - empty(sparse.density(role), tile_words(nest, operands[role], steps))
        chance = 1 - useful
        if saving.target not in found or found[saving.target][2] < chance:
            found[saving.target] = (saving.kind, name, chance)
    return found


def _macs(nest: Nest, sparse: Sparse, chances: _Chances) -> int:
    """MACs that are done: those whose operands were read, less those of which neither exists."""
    output = nest.problem.operands[-1].role
    inputs = [role for role in sparse.order if role != output]
    count = nest.problem.macs
    known: dict[str, float] = {}
    for role in inputs:
        if role in chances:
            count -= math.floor(count * chances[role][2])
            known[role] = _millionths(chances[role][2])
    first, second = inputs
    missing = 1.0
    for role, other in ((first, second), (second, first)):
        there = _millionths(sparse.density(role))
        if other in known:
            if known[other] >= 1:
                raise ValueError(f"every read of {other} is left out: no MAC is done")
            there /= 1 - known[other]
        packed = (nest.stages[nest.holders(role)[-1]].name, role) in sparse.formats
        missing *= min(1.0, max(0.0, 1 - there)) if packed else 0.0
    done = count - math.floor(count * missing)
    if done < 1:
        raise ValueError("no MAC is done: the operands are all zeros")
    return done


def _whole(count: float) -> float:
    return round(count) if count == round(count) else count


def _millionths(value: float) -> float:
    return math.floor(value * 1_000_000 + 0.5) / 1_000_000
