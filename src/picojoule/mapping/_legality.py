"""Is a mapping legal, and if not: which capacity or axis refuses which tile, and what is the smallest change."""

import math
from dataclasses import dataclass

from ._accelerator import Accelerator, Level
from ._convention import Convention
from ._mapping import Mapping, canonical, factors, held, passes_of
from ._problem import Problem, Tile
from ._seat import seat
from ._window import words


@dataclass(frozen=True, slots=True)
class Fault:
    """One refusal: where, why, and the smallest change that would fit."""

    where: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}; {self.remedy}"


class IllegalMappingError(ValueError):
    """The mapping does not fit; the text lists every fault."""


def faults(
    problem: Problem, accelerator: Accelerator, mapping: Mapping, convention: Convention | None = None
) -> tuple[Fault, ...]:
    """Every reason why the mapping is illegal; empty if it is legal."""
    convention = convention or Convention()
    found = _bypass(accelerator, mapping) + _cover(problem, accelerator, mapping)
    if found:
        return tuple(found)
    machine = accelerator.without(mapping.bypass)
    found = _array(problem, machine, factors(problem, mapping), convention) + _loops(machine, mapping)
    for index, level in enumerate(machine.levels):
        tile = held(problem, mapping, index, machine.fanout)
        found += overflow(problem, machine, level, tile, convention)
    return tuple(found)


def require(problem: Problem, accelerator: Accelerator, mapping: Mapping, convention: Convention | None = None) -> None:
    """Raise IllegalMappingError with all faults, or return."""
    found = faults(problem, accelerator, mapping, convention)
    if found:
        raise IllegalMappingError(
            f"{problem.name or 'mapping'} on {accelerator.name}:\n" + "\n".join(f"  {fault}" for fault in found)
        )


def _bypass(accelerator: Accelerator, mapping: Mapping) -> list[Fault]:
    able = {(level.name, role) for level in accelerator.levels for role in level.optional}
    return [
        Fault(level, f"{role} may not be bypassed here", f"add {role} to optional of {level}, or keep it")
        for level, role in mapping.bypass
        if (level, role) not in able
    ]


def _cover(problem: Problem, accelerator: Accelerator, mapping: Mapping) -> list[Fault]:
    """Loops at every level, and trips that multiply to ceil(X / S) for a canonical S."""
    if len(mapping.loops) != len(accelerator.levels):
        return [
            Fault("loops", f"{len(mapping.loops)} lists of loops for {len(accelerator.levels)} levels", "give one each")
        ]
    unknown = {dim for level in mapping.loops for dim, _ in level} | {dim for dim, _ in mapping.spatial}
    unknown -= set(problem.dims)
    if unknown:
        return [
            Fault("loops", f"no dimension {', '.join(sorted(unknown))}", f"dimensions are {', '.join(problem.dims)}")
        ]
    spatial, found = factors(problem, mapping), []
    least = canonical(problem.extents, spatial)
    for i, (dim, extent) in enumerate(problem.space):
        trips = math.prod(trip for level in mapping.loops for name, trip in level if name == dim)
        need = passes_of((extent,), (spatial[i],))[0]
        if spatial[i] != least[i]:
            why = f"{dim} = {extent} on {spatial[i]} PEs leaves some idle in all {need} passes"
            found.append(Fault("array", why, f"spread it over {least[i]}"))
        if trips != need:
            why = f"the trips of {dim} multiply to {trips}, ceil({extent} / {spatial[i]}) = {need}"
            found.append(Fault("loops", why, f"make them multiply to {need}"))
    return found


def _array(problem: Problem, machine: Accelerator, spatial: Tile, convention: Convention) -> list[Fault]:
    """Room on the axes, spatial reduction, and windows that no level below the array can share."""
    found = []
    chosen = {dim: s for dim, s in zip(problem.dims, spatial, strict=True) if s > 1}
    if seat(problem, machine.array, spatial) is None:
        axes = ", ".join(f"{axis.name} {axis.size} ({' '.join(axis.dims)})" for axis in machine.array.axes)
        wanted = ", ".join(f"{dim} {s}" for dim, s in chosen.items())
        found.append(Fault("array", f"no room for {wanted} on {axes}", _fewer(problem, machine, spatial)))
    output = problem.operands[-1]
    summed = [dim for i, dim in enumerate(problem.dims) if spatial[i] > 1 and i not in output.relevant]
    if summed and not machine.array.reduction:
        why = f"{', '.join(summed)} would add sums across PEs and the array has no reduction"
        found.append(Fault("array", why, "iterate it in time"))
    found += [
        Fault("array", f"{dim} = {extent} must be spread whole, not over {s} PEs", f"spread it over {extent}")
        for s, (dim, extent) in zip(spatial, problem.space, strict=True)
        if dim in machine.array.whole and s != extent
    ]
    found += [
        Fault("array", f"{role} is not kept right below the array, and PEs share scattered words of the window {pair}",
              f"keep {role} right below the array, spread neither of {pair}, or count multicast identical_tile")
        for role, pair in torn_windows(problem, machine, spatial, convention)
    ]  # fmt: skip
    return found


def exposed_windows(problem: Problem, machine: Accelerator, convention: Convention) -> list[tuple[str, int, int, bool]]:
    """(role, dimension, dimension, kept deeper) of windows of a role that is not kept right below the array.

    The union of what its PEs read is scattered and the law cannot count it when PEs share words: kept deeper, if one
    dimension is spatial and the other longer than 1; kept nowhere in the PE, if both are spatial.
    """
    if convention.multicast != "union" or not machine.array.multicast:
        return []
    below = machine.fanout + 1
    return [
        (operand.role, a, b, machine.holders(operand.role)[-1] > below)
        for operand in problem.operands
        if below not in machine.holders(operand.role)
        for (a, _), (b, _) in operand.windows
    ]


def torn_windows(
    problem: Problem, machine: Accelerator, spatial: Tile, convention: Convention
) -> list[tuple[str, str]]:
    """(role, dimensions) of the exposed windows whose words several PEs of this unrolling share."""
    found = []
    for role, a, b, deeper in exposed_windows(problem, machine, convention):
        reach = problem.extents if deeper else spatial
        if (spatial[a] > 1 and reach[b] > 1) or (spatial[b] > 1 and reach[a] > 1):
            found.append((role, f"{problem.dims[a]} and {problem.dims[b]}"))
    return found


def _fewer(problem: Problem, machine: Accelerator, spatial: Tile) -> str:
    """The largest share of the wanted factors that has a seat when one dimension gives way."""
    best: tuple[int, str] = (0, "spread fewer dimensions")
    for i, (dim, extent) in enumerate(problem.space):
        for s in range(spatial[i] - 1, 0, -1):
            less = canonical((extent,), (s,))[0]
            trial = (*spatial[:i], less, *spatial[i + 1 :])
            if seat(problem, machine.array, trial) is not None:
                best = max(best, (math.prod(trial), f"{dim} {less} instead of {spatial[i]} fits"))
                break
    return best[1]


def _loops(machine: Accelerator, mapping: Mapping) -> list[Fault]:
    return [
        Fault(
            level.name,
            f"no loop of {dim} may stand here",
            f"move it to another level (allowed: {' '.join(level.loops)})",
        )
        for level, loops in zip(machine.levels, mapping.loops, strict=True)
        for dim, trip in loops
        if level.loops is not None and trip > 1 and dim not in level.loops
    ]


def demand(problem: Problem, machine: Accelerator, level: Level, tile: Tile, convention: Convention) -> dict[str, int]:
    """Bits that a tile needs at a level, by role kept there."""
    return {
        operand.role: words(operand, tile, convention) * machine.bits[operand.role] * level.copies
        for operand in problem.operands
        if operand.role in level.keeps
    }


def overflow(problem: Problem, machine: Accelerator, level: Level, tile: Tile, convention: Convention) -> list[Fault]:
    """The capacity of the level, and of each partition, against one tile."""
    need = demand(problem, machine, level, tile, convention)
    limits = [(f"{level.name} ({role})", need.get(role, 0), share) for role, share in level.shares]
    if level.capacity_bits is not None:
        limits.append((level.name, sum(need.values()), level.capacity_bits))
    shape = ", ".join(f"{dim} {size}" for dim, size in zip(problem.dims, tile, strict=True) if size > 1) or "one MAC"
    parts = " + ".join(f"{role} {bits:,}" for role, bits in need.items())
    return [
        Fault(where, f"the tile ({shape}) needs {bits:,} bits of {limit:,} ({parts})",
              _smaller(problem, machine, level, tile, convention, bits))
        for where, bits, limit in limits
        if bits > limit
    ]  # fmt: skip


def _fits(problem: Problem, machine: Accelerator, level: Level, tile: Tile, convention: Convention) -> bool:
    need = demand(problem, machine, level, tile, convention)
    if any(need.get(role, 0) > share for role, share in level.shares):
        return False
    return level.capacity_bits is None or sum(need.values()) <= level.capacity_bits


def _smaller(
    problem: Problem, machine: Accelerator, level: Level, tile: Tile, convention: Convention, bits: int
) -> str:
    """The least cut of one dimension, by a divisor of the tile, that fits; else the capacity that would."""
    best: tuple[int, str] | None = None
    for i, dim in enumerate(problem.dims):
        for cut in range(2, tile[i] + 1):
            if best is not None and cut >= best[0]:
                break
            trial = (*tile[:i], tile[i] // cut, *tile[i + 1 :])
            if tile[i] % cut == 0 and _fits(problem, machine, level, trial, convention):
                best = cut, f"move a factor {cut} of {dim} outward"
                break
    enough = f"a capacity of {bits:,} bits would fit"
    return f"{best[1]}, or {enough}" if best else enough
