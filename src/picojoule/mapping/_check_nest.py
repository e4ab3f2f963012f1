"""The mapping that a claim shows: is it legal, and does it move and cost what is said? By plain whole numbers."""

import math
from collections.abc import Iterator

from ._check_bound import SLACK
from ._check_world import Rows, World
from ._problem import Tile
from ._search import Optimum

Counts = dict[tuple[str, str, str], int]


def wrong(claim: Optimum, world: World, spatial: Rows) -> list[str]:
    """What is wrong with the mapping and its numbers; `spatial` are the unrollings that exist under its bypass."""
    illegal = _illegal(claim, world, spatial)
    if illegal:
        return [f"the mapping is illegal: {illegal}"]
    counts = _counts(claim, world)
    spread = _spread(claim, world)
    passes = [-(-x // s) for x, s in zip(world.extents, spread, strict=True)]
    steps, pes = math.prod(passes), math.prod(spread)
    energy, cycles = _cost(world, counts), max([float(steps), *_paces(world, counts, pes)])
    value = {"energy": energy, "latency": cycles, "edp": energy * cycles}[claim.objective]
    said = {"energy": (claim.energy, energy), "cycles": (claim.cycles, cycles), "value": (claim.value, value)}
    faults = [
        f"the mapping has {name} {true:g}, not {told:g}"
        for name, (told, true) in said.items()
        if not math.isclose(told, true, rel_tol=SLACK, abs_tol=1e-300)
    ]
    told = {key: count for key, count in claim.traffic.counts.items() if count}
    if told != {key: count for key, count in counts.items() if count}:
        faults.append("the traffic is not that of the mapping")
    if (claim.traffic.steps, claim.traffic.pes) != (steps, pes):
        faults.append(f"the mapping has {steps} steps on {pes} PEs, not {claim.traffic.steps} on {claim.traffic.pes}")
    return faults


def _spread(claim: Optimum, world: World) -> Tile:
    factors = dict(claim.mapping.spatial)
    return tuple(factors.get(dim, 1) for dim in world.dims)


def _illegal(claim: Optimum, world: World, spatial: Rows) -> str:
    """The first rule that the mapping breaks, or nothing."""
    mapping, spread = claim.mapping, _spread(claim, world)
    named = [dim for dim, _ in mapping.spatial]
    if len(set(named)) != len(named) or not set(named) <= set(world.dims):
        return "factors of unknown or repeated dimensions"
    if not (spatial == spread).all(axis=1).any():
        return f"there is no unrolling {spread}"
    if len(mapping.loops) != len(world.levels):
        return f"{len(mapping.loops)} lists of loops for {len(world.levels)} levels"
    for level, loops in enumerate(mapping.loops):
        for dim, trip in loops:
            if dim not in world.dims or not isinstance(trip, int) or trip < 1:
                return f"a loop {dim} of {trip}"
            if trip > 1 and not world.may(level, world.dims.index(dim)):
                return f"{world.levels[level].name} may not iterate {dim}"
    for d, (x, s) in enumerate(zip(world.extents, spread, strict=True)):
        trips = math.prod(trip for loops in mapping.loops for dim, trip in loops if dim == world.dims[d])
        if trips != -(-x // s):
            return f"the trips of {world.dims[d]} multiply to {trips}, not {-(-x // s)}"
    full = [level.name for i, level in enumerate(world.levels) if _overflows(world, i, _tile(claim, world, i, spread))]
    return f"the tile overflows {full[0]}" if full else ""


def _tile(claim: Optimum, world: World, level: int, spread: Tile) -> Tile:
    """Trips at the level and below, times the PEs where the level stands above them."""
    size = list(spread) if level <= world.fan else [1] * len(spread)
    for loops in claim.mapping.loops[level:]:
        for dim, trip in loops:
            size[world.dims.index(dim)] *= trip
    return tuple(size)


def _overflows(world: World, level: int, tile: Tile) -> bool:
    """Do the words of all roles kept, or of one, need more bits than there are?"""
    memory, held, need = world.levels[level], [min(t, x) for t, x in zip(tile, world.extents, strict=True)], {}
    for operand, kept in zip(world.operands, world.kept, strict=True):
        if level in kept:
            words = math.prod(int(world.length(axis, held)) for axis in operand.axes)
            need[operand.role] = words * world.bits[operand.role] * (2 if memory.double_buffered else 1)
    full = memory.capacity_bits is not None and sum(need.values()) > memory.capacity_bits
    return full or any(need.get(role, 0) > share for role, share in memory.shares)


def _counts(claim: Optimum, world: World) -> Counts:
    """Words by (level, role, action)."""
    spread, counts = _spread(claim, world), Counts()
    passes = [-(-x // s) for x, s in zip(world.extents, spread, strict=True)]
    for o, operand in enumerate(world.operands):
        sharers = math.prod(s for d, s in enumerate(spread) if d not in world.relevant[o])
        whole = math.prod(x for d, x in enumerate(world.extents) if d in world.relevant[o])
        for parent, child in [*world.edges(o), (world.kept[o][-1], len(world.levels))]:
            if child == len(world.levels):
                above, below = math.prod(world.extents), 0
                if parent <= world.fan and (world.array.multicast or o == world.output):
                    above = math.prod(x if d in world.relevant[o] else passes[d] for d, x in enumerate(world.extents))
            else:
                above, below = _crossing(claim, world, o, parent, child, sharers)
            first = (0, 0)
            if o == world.output and world.rule.partial_sums == "first-free":
                first = whole * (sharers if parent > world.fan else 1), whole * (sharers if child > world.fan else 1)
            entries = [(parent, "read", above - first[0])]
            if o == world.output:
                entries.append((parent, "update", above))
            if child < len(world.levels):
                entries.append((child, "write", below - first[1]))
            for level, action, count in entries:
                key = world.levels[level].name, operand.role, action
                counts[key] = counts.get(key, 0) + count
    return counts


def _crossing(claim: Optimum, world: World, o: int, parent: int, child: int, sharers: int) -> tuple[int, int]:
    """(words at the parent, words at the child) of one boundary."""
    spread, one = _spread(claim, world), [1] * len(world.dims)
    again = _again(claim, world, o, child)
    together = again * _grid(
        world, o, [t * s for t, s in zip(_tile(claim, world, child, tuple(one)), spread, strict=True)]
    )
    if child <= world.fan:
        return together, together
    alone = again * _grid(world, o, list(_tile(claim, world, child, tuple(one)))) if child > world.fan else together
    if parent > world.fan or not (world.array.multicast or o == world.output):
        return alone * sharers, alone * sharers
    union = child == world.fan + 1 and (world.rule.multicast == "union" or o == world.output)
    return (together if union else alone), alone * sharers


def _grid(world: World, o: int, tile: list[int]) -> int:
    return math.prod(int(world.covered(axis, tile)) for axis in world.operands[o].axes)


def _again(claim: Optimum, world: World, o: int, child: int) -> int:
    """How often the tiles are fetched: irrelevant trips above the child, without the innermost run of them."""
    total, running = 1, True
    for dim, trip in _outwards(claim, child):
        if trip > 1:
            outside = world.dims.index(dim) in world.relevant[o]
            running = running and not outside
            total *= 1 if outside or running else trip
    return total


def _outwards(claim: Optimum, child: int) -> Iterator[tuple[str, int]]:
    """Loops above the child, innermost first."""
    for loops in reversed(claim.mapping.loops[:child]):
        yield from reversed(loops)


def _cost(world: World, counts: Counts) -> float:
    level, role = [one.name for one in world.levels], [one.role for one in world.operands]
    price = {key: float(world.unit[level.index(key[0]), role.index(key[1]), key[2]][0]) for key in counts}
    return math.prod(world.extents) * world.mac + math.fsum(count * price[key] for key, count in counts.items())


def _paces(world: World, counts: Counts, pes: int) -> list[float]:
    """Cycles of every port: words over instances and words per cycle; a bus counts bits."""
    level, role = [one.name for one in world.levels], [one.role for one in world.operands]
    found = []
    for q, (at, _) in enumerate(world.ports, start=1):
        total = math.fsum(
            count * float(world.unit[level.index(name), role.index(of), action][q])
            for (name, of, action), count in counts.items()
        )
        found.append(total / (pes if at > world.fan else 1))
    return found
