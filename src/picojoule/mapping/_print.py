"""A mapping as people of this field draw it: the loop nest, the traffic of every level, and what is proven."""

from collections.abc import Iterable
from typing import Any

from ._accelerator import Accelerator
from ._convention import Convention
from ._mapping import Mapping, factors, held
from ._problem import Problem
from ._search import Optimum
from ._seat import seat
from ._traffic import Traffic
from ._window import words

SCHEMA = "picojoule/map/1"


def nest_lines(
    problem: Problem, accelerator: Accelerator, mapping: Mapping, convention: Convention | None = None
) -> list[str]:
    """The loop nest, outermost first: a head for every memory with the words it holds, `for` in time, `par-for` in space."""
    machine, rule = accelerator.without(mapping.bypass), convention or Convention()
    lines, depth = [], 0
    for index, level in enumerate(machine.levels):
        tile = held(problem, mapping, index, machine.fanout)
        sizes = [f"{o.role} {words(o, tile, rule):,}" for o in problem.operands if o.role in level.keeps]
        away = [f"{role} bypassed" for name, role in mapping.bypass if name == level.name]
        lines.append(f"{level.name} [{', '.join(sizes + away)}]")
        for dim, trip in mapping.loops[index]:
            if trip > 1:
                lines.append("| " + "  " * depth + f"for {dim} in [0:{trip})")
                depth += 1
        if index == machine.fanout:
            lines, depth = _array_lines(problem, machine, mapping, lines, depth)
    return [*lines, "| " + "  " * depth + "MAC"]


def nest_levels(
    problem: Problem, accelerator: Accelerator, mapping: Mapping, convention: Convention | None = None
) -> list[dict[str, Any]]:
    """The nest as data, outermost first: words held, loops in time, and loops in space where the array stands below."""
    machine, rule = accelerator.without(mapping.bypass), convention or Convention()
    seats = seat(problem, machine.array, factors(problem, mapping)) or ()
    levels: list[dict[str, Any]] = []
    for index, level in enumerate(machine.levels):
        tile = held(problem, mapping, index, machine.fanout)
        levels.append({
            "level": level.name,
            "words": {o.role: words(o, tile, rule) for o in problem.operands if o.role in level.keeps},
            "bypassed": [role for name, role in mapping.bypass if name == level.name],
            "loops": [{"dim": dim, "trip": trip} for dim, trip in mapping.loops[index] if trip > 1],
            "spatial": [
                {"axis": axis.name, "dim": dim, "factor": factor}
                for axis, chosen in zip(machine.array.axes, seats, strict=False)
                for dim, factor in chosen
            ] if index == machine.fanout else [],
        })  # fmt: skip
    return levels


def _array_lines(
    problem: Problem, machine: Accelerator, mapping: Mapping, lines: list[str], depth: int
) -> tuple[list[str], int]:
    """`par-for` of every axis of the array."""
    size = " × ".join(str(axis.size) for axis in machine.array.axes) or "1"
    lines.append(f"array {size} [{_product(factors(problem, mapping))} PEs used]")
    seats = seat(problem, machine.array, factors(problem, mapping)) or ()
    for axis, chosen in zip(machine.array.axes, seats, strict=False):
        for dim, factor in chosen:
            lines.append("| " + "  " * depth + f"par-for {dim} in [0:{factor}) on {axis.name}")
            depth += 1
    return lines, depth


def _product(numbers: Iterable[int]) -> int:
    total = 1
    for number in numbers:
        total *= number
    return total


def traffic_lines(accelerator: Accelerator, moved: Traffic) -> list[str]:
    """One line per level and role: words read, written from above, updated from below."""
    lines = [f"{'level':<12}{'tensor':<10}{'read':>16}{'write':>16}{'update':>16}"]
    for level in accelerator.levels:
        for role, _ in accelerator.word_bits:
            counts = [moved.of(level.name, role, action) for action in ("read", "write", "update")]
            if any(counts):
                lines.append(f"{level.name:<12}{role:<10}" + "".join(f"{count:>16,}" for count in counts))
    return lines


def proof_line(found: Optimum) -> str:
    """What the search claims, in one sentence."""
    state = "proven optimal" if found.gap == 0 else f"at most {100 * found.gap:.2g} % above the optimum"
    return (
        f"{found.objective} {found.value:.6g}, {state}; root bound {found.root_bound:.6g}; "
        f"{found.mappings_covered:,} tile shapes × unrollings × bypass covered, each in every loop order; "
        f"{found.solved} of {found.unrollings} unrollings solved in {1e3 * found.search_s:.1f} ms"
    )


def text(found: Optimum) -> str:
    """Nest, traffic, utilisation, conventions and certificate of one layer."""
    rule = ", ".join(f"{name} {value}" for name, value in found.convention.as_dict().items())
    left = f"left out: {', '.join(found.problem.left_out)}\n" if found.problem.left_out else ""
    return "\n".join([
        f"{found.problem.name or 'layer'} on {found.accelerator.name}: {found.problem.macs:,} MACs",
        *nest_lines(found.problem, found.accelerator, found.mapping, found.convention),
        "",
        *traffic_lines(found.accelerator, found.traffic),
        "",
        f"{found.clock_cycles:,.0f} cycles, utilisation {100 * found.utilisation:.1f} %",
        f"{left}factors {found.factors}, {rule}",
        proof_line(found),
    ])  # fmt: skip


def layer_dict(found: Optimum, count: int = 1) -> dict[str, Any]:
    """One layer of `picojoule/map/1`; `energy_j` is None unless the weights are joules."""
    return {
        "name": found.problem.name,
        "count": count,
        "energy_j": found.energy if found.weights.joules else None,
        "cycles": found.clock_cycles,
        "utilisation": found.utilisation,
        "root_bound": found.root_bound,
        "gap": found.gap,
        "mappings_covered": found.mappings_covered,
        "search_s": found.search_s,
        "nest": nest_levels(found.problem, found.accelerator, found.mapping, found.convention),
        "traffic": found.traffic.as_dict(),
    }


def map_dict(found: Iterable[tuple[Optimum, int]]) -> dict[str, Any]:
    """The whole of `picojoule/map/1`: searched layers, each with how often it occurs; one machine and one objective."""
    layers = list(found)
    if not layers:
        raise ValueError("no layer was mapped")
    worlds = {(one.accelerator.name, one.objective, one.convention, one.factors) for one, _ in layers}
    if len(worlds) > 1:
        raise ValueError(
            f"layers of different machines, objectives or conventions in one map: {sorted(map(str, worlds))}"
        )
    first = layers[0][0]
    return {
        "schema": SCHEMA,
        "hardware": first.accelerator.name,
        "objective": first.objective,
        "convention": {**first.convention.as_dict(), "factors": first.factors},
        "layers": [layer_dict(one, count) for one, count in layers],
    }
