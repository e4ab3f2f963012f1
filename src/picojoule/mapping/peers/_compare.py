"""The rows of a replay: our law, the tool's rules, the tool's own numbers, and the names of what differs."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from .._convention import Convention
from .._traffic import Action, Key
from ._nest import Nest, nest_traffic
from ._replay import Cycles, EnergyRow, Replay, Row
from ._sparse import Sparse, SparseCounts, sparse_counts
from ._sparse_cost import representation_j, sparse_cycles
from ._timeloop import timeloop_counters
from ._zigzag import DIRECTIONS, Direction, Hold, Rules, Tensor, zigzag_accesses

TIMELOOP = Convention("consecutive-overlap", "hull", "identical_tile")
ZEROS = "Timeloop's sparse rules, actual accesses (not those gated or skipped)"
ZIGZAG = Convention("refetch", "touched", "union")


@dataclass(frozen=True, slots=True)
class Printed:
    """What a tool printed: counters, joules by (level, tensor) and of the MACs, cycles, joules of all."""

    counters: Mapping[tuple[str, str, str], float]
    energies_j: Mapping[tuple[str, str], float]
    mac_j: float | None = None
    cycles: float | None = None
    total_j: float | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """Joules of a MAC and of one counted access by (level, role, action or direction).

    `words` of a level: an access moves that many words at once, so the tool rounds up, instance by instance; ours
    pays for the words that move. `clusters` of a level: so many groups of instances share every access. `format_j`:
    joules of an access to metadata by (level, action); `change_j`: of a word by (level, "unpack" or "pack").
    """

    mac_j: float
    access_j: Mapping[tuple[str, str, str], float]
    words: Mapping[str, int] = field(default_factory=dict)
    clusters: Mapping[str, int] = field(default_factory=dict)
    format_j: Mapping[tuple[str, str], float] = field(default_factory=dict)
    change_j: Mapping[tuple[str, str], float] = field(default_factory=dict)


def replay_timeloop(
    name: str, nest: Nest, tensors: Mapping[str, str], convention: Convention | None = None,
    printed: Printed | None = None, prices: Prices | None = None, left_out: Sequence[str] = (),
    bandwidths: Mapping[tuple[str, str], float] | None = None, sparse: Sparse | None = None,
) -> Replay:  # fmt: skip
    """A Timeloop mapping, counter by counter; `tensors` are Timeloop's names by role.

    `bandwidths` are words per cycle and instance of the ports (level, "read" or "write"). With `sparse`, ours and theirs
    are the dense counters less what zeros save by Timeloop's rules.
    """
    convention = convention or TIMELOOP
    bandwidths = bandwidths or {}
    dense = (
        nest_traffic(nest, convention), timeloop_counters(nest, links=False), timeloop_counters(nest),
        nest_traffic(nest, replace(TIMELOOP, halo="refetch")),
    )  # fmt: skip
    saved = [sparse_counts(nest, sparse, counts) for counts in dense] if sparse else []
    ours, plain, law, whole = (one.actual for one in saved) if saved else dense
    rows = []
    actions: tuple[Action, ...] = ("read", "write", "update")
    for stage in nest.stages:
        for role in tensors:
            for action in actions if role in stage.keeps else ():
                key: Key = (stage.name, role, action)
                if not (ours.get(key) or law.get(key)):
                    continue
                theirs = printed.counters.get(key) if printed else None
                rows.append(Row(
                    stage.name, tensors[role], action, ours.get(key, 0), law.get(key, 0), theirs,
                    _timeloop_reasons(key, ours, plain, law, whole, theirs, _meshed(nest, role)) + _silent(printed, theirs),
                ))  # fmt: skip
    keys = {(stage.name, tensors[role]): role for stage in nest.stages for role in stage.keeps}
    instances = dict(zip((stage.name for stage in nest.stages), nest.instances, strict=True))
    return Replay(
        "Timeloop", name, convention, "words", tuple(rows),
        _sparse_energies(rows, keys, prices, printed, nest, sparse, saved)
        if sparse else _energies(rows, keys, prices, printed, nest.problem.macs, instances),
        saved[2].macs if saved else nest.problem.macs, nest.steps,
        Cycles(
            sparse_cycles(nest, sparse, saved[0], bandwidths)
            if sparse else _paced([(row, row.ours) for row in rows], instances, bandwidths, nest.steps),
            sparse_cycles(nest, sparse, saved[2], bandwidths)
            if sparse else _paced([(row, row.law) for row in rows], instances, bandwidths, nest.steps),
            printed.cycles if printed else None,
        ),
        printed.total_j if printed else None, tuple(left_out), ZEROS if sparse else None,
    )  # fmt: skip


def _paced(
    counted: Sequence[tuple[Row, float]], instances: Mapping[str, int], bandwidths: Mapping[tuple[str, str], float], steps: int
) -> int:  # fmt: skip
    """Cycles of the busiest port: words of one instance / words per cycle; at least the steps of the MACs."""
    busy: dict[tuple[str, str], float] = {}
    for row, words in counted:
        port = (row.level, "read" if row.action == "read" else "write")
        if port in bandwidths:
            busy[port] = busy.get(port, 0.0) + words / instances[row.level] / bandwidths[port]
    return max([steps, *(math.ceil(cycles - 1e-9) for cycles in busy.values())])


def _meshed(nest: Nest, role: str) -> bool:
    """Is some window of the operand spread over one mesh in both of its dimensions?"""
    operand = next(one for one in nest.problem.operands if one.role == role)
    meshes = [{loop.dim for loop in stage.spatial} for stage in nest.stages]
    return any(all(nest.problem.dims[i] in mesh for i, _ in window) for window in operand.windows for mesh in meshes)


def _silent(printed: Printed | None, theirs: float | None) -> tuple[str, ...]:
    """A name for a counter that the tool's output does not have."""
    return ("not printed",) if printed is not None and theirs is None else ()


def _timeloop_reasons(
    key: Key, ours: Mapping[Key, float], plain: Mapping[Key, float], law: Mapping[Key, float],
    whole: Mapping[Key, float], theirs: float | None, meshed: bool,
) -> tuple[str, ...]:  # fmt: skip
    """From ours to theirs: the walk, then the links; an older release fetches whole tiles."""
    against = law.get(key, 0) if theirs is None else theirs
    if ours.get(key, 0) == against:
        return ()
    if law.get(key, 0) != against:
        return ("old halo",) if whole.get(key, 0) == against else ("unexplained",)
    steps = (("same words" if meshed else "walk", ours, plain), ("links", plain, law))
    return tuple(name for name, one, other in steps if one.get(key, 0) != other.get(key, 0))


def _energies(
    rows: Sequence[Row], roles: Mapping[tuple[str, str], str], prices: Prices | None, printed: Printed | None, macs: int,
    instances: Mapping[str, int] | None = None, blocks: Mapping[tuple[str, str], float] | None = None,
) -> tuple[EnergyRow, ...]:  # fmt: skip
    """Counters times prices, the tool's in whole accesses; none without prices.

    `blocks` by (level, role): accesses of a compressed tile / its words per access.
    """
    if prices is None:
        return ()
    found = []
    for (level, tensor), group in itertools.groupby(rows, lambda row: (row.level, row.tensor)):
        role = roles[level, tensor]
        words, copies = prices.words.get(level, 1), (instances or {}).get(level, 1)
        share = min(copies, prices.clusters.get(level, copies)) / copies
        ours = law = 0.0
        for row in group:
            price = prices.access_j.get((level, role, row.action), 0.0) * share
            ours += row.ours * price
            law += (math.ceil(row.law / copies / words) * copies * words if words > 1 else row.law) * price
        theirs = printed.energies_j.get((level, role)) if printed else None
        found.append(EnergyRow(level, tensor, ours, law * (blocks or {}).get((level, role), 1.0), theirs))
    mac_j = macs * prices.mac_j
    return (*found, EnergyRow("MACs", "", mac_j, mac_j, printed.mac_j if printed else None))


def _sparse_energies(
    rows: Sequence[Row], roles: Mapping[tuple[str, str], str], prices: Prices | None, printed: Printed | None, nest: Nest,
    sparse: Sparse, saved: Sequence[SparseCounts],
) -> tuple[EnergyRow, ...]:  # fmt: skip
    """Those of the words that are left, and of their representations."""
    if prices is None:
        return ()
    instances = dict(zip((stage.name for stage in nest.stages), nest.instances, strict=True))
    found = _energies(rows, roles, prices, printed, saved[2].macs, instances, saved[2].blocks)
    more = [representation_j(nest, sparse, saved[i], prices.format_j, prices.change_j) for i in (0, 2)]
    told = []
    for row in found:
        key = (row.level, roles.get((row.level, row.tensor), ""))
        copies = instances.get(row.level, 1)
        share = min(copies, prices.clusters.get(row.level, copies)) / copies
        ours, law = (one.get(key, 0.0) * share for one in more)
        told.append(replace(row, ours_j=row.ours_j + ours, law_j=row.law_j + law))
    return tuple(told)


_OURS: dict[Direction, Action] = {"rd_out_to_low": "read", "wr_in_by_low": "update", "wr_in_by_high": "write"}


def replay_zigzag(
    name: str, parts: Mapping[str, tuple[Tensor, Sequence[Hold], Nest]], tensors: Mapping[str, str],
    convention: Convention | None = None, printed: Printed | None = None, prices: Prices | None = None,
    left_out: Sequence[str] = (),
) -> Replay:  # fmt: skip
    """A ZigZag mapping: by role its tensor, its memories innermost first, and the nest that the operand sees."""
    convention = convention or ZIGZAG
    rows, first = [], next(iter(parts.values()))[2]
    for role, (tensor, holds, nest) in parts.items():
        extents = dict(nest.problem.space)
        ours = nest_traffic(nest, convention, (role,))
        chain = _chain(tensor, extents, holds)
        for hold in reversed(holds):
            for direction in DIRECTIONS:
                key = (hold.memory, direction)
                law = chain[-1][1][key]
                action = _OURS.get(direction)
                words = ours.get((hold.memory, role, action), 0) if action else 0
                _, wide = hold.ports.get(direction, (1, 1))
                mine = words * _bits(tensor, hold, direction, chain) / wide
                theirs = printed.counters.get((hold.memory, role, direction)) if printed else None
                if mine or law or theirs:
                    rows.append(Row(
                        hold.memory, tensors[role], direction, mine, law, theirs,
                        _zigzag_reasons(key, mine, chain, theirs, _ragged(nest), bool(tensor.windows))
                        + _silent(printed, theirs),
                    ))  # fmt: skip
    keys = {(hold.memory, tensors[role]): role for role, (_, holds, _) in parts.items() for hold in holds}
    return Replay(
        "ZigZag", name, convention, "accesses", tuple(rows),
        _energies(rows, keys, prices, printed, first.problem.macs), first.problem.macs, first.steps,
        Cycles(first.steps, None, printed.cycles if printed else None), printed.total_j if printed else None,
        tuple(left_out),
    )  # fmt: skip


_Chain = list[tuple[str, Mapping[tuple[str, Direction], float]]]


def _chain(tensor: Tensor, extents: Mapping[str, int], holds: Sequence[Hold]) -> _Chain:
    """ZigZag's accesses with its rules switched on one after another: [(name of the rule, accesses)]."""
    rules = Rules(**{one.name: False for one in fields(Rules)})
    found: _Chain = [("", zigzag_accesses(tensor, extents, holds, rules))]
    for one in ("drain", "clip", "first", "still", "rounding"):
        rules = replace(rules, **{one: True})
        found.append((one, zigzag_accesses(tensor, extents, holds, rules)))
    return found


def _bits(tensor: Tensor, hold: Hold, direction: Direction, chain: _Chain) -> int:
    """Bits of a word that moves: of a partial sum where the memory reads it back, else of the end result."""
    if not tensor.output or direction in ("rd_out_to_low", "wr_in_by_high"):
        return tensor.bits
    back: Direction = "rd_out_to_low" if direction == "wr_in_by_low" else "wr_in_by_high"
    return tensor.bits if chain[-1][1][hold.memory, back] else tensor.final_bits


def _zigzag_reasons(
    key: tuple[str, Direction], ours: float, chain: _Chain, theirs: float | None, ragged: bool, window: bool
) -> tuple[str, ...]:
    """From ours to theirs: what no rule tells apart first, then rule by rule."""
    law = chain[-1][1][key]
    against = law if theirs is None else theirs
    if _close(ours, against):
        return ()
    if law != against:
        return ("unexplained",)
    found = []
    if not _close(ours, chain[0][1][key]):
        found.append("fraction" if ragged else "window" if window else "unexplained")
    for (_, before), (name, after) in itertools.pairwise(chain):
        if not _close(before[key], after[key]):
            found.append(name)
    return tuple(found)


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * max(abs(one), abs(other))


def _ragged(nest: Nest) -> bool:
    """Does some spatial factor not divide its extent?"""
    for dim, extent in nest.problem.space:
        spread = 1
        for stage in nest.stages:
            for loop in stage.spatial:
                spread *= loop.trip if loop.dim == dim else 1
        if extent % spread:
            return True
    return False
