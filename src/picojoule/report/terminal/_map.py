"""Mapped layers as text: one line each, the totals, and the loop nests of the dearest."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from picojoule.quantity import format_quantity

from .._plain import fold, plain
from ._paint import Paint

if TYPE_CHECKING:
    from picojoule.mapping import Front, MappedNetwork, Optimum

NAME = 22


def map_text(found: "MappedNetwork", paint: Paint, *, nests: int = 3, checked: Sequence[bool] = ()) -> str:
    """`found` in at most 80 columns; `nests` is how many layers are drawn, dearest first.

    `checked`: whether the certificate of each layer was accepted, where it was checked.
    """
    lines = _table(found, paint, checked)
    ranked = sorted(found.layers, key=lambda pair: -pair[0].energy * pair[1])
    for one, count in ranked[:nests]:
        lines += ["", *_layer(one, count, paint)]
    if len(ranked) > nests:
        lines += ["", paint.dim(f"{len(ranked) - nests} more nests: --all, or --layer NAME")]
    return "\n".join(lines) + "\n"


def _table(found: "MappedNetwork", paint: Paint, checked: Sequence[bool]) -> list[str]:
    first = found.layers[0][0]
    head = f"{'layer':<{NAME}}{'×':>4}{'MACs':>10}{'energy':>11}{'cycles':>12}{'util.':>7}{'gap':>6}"
    words = [f"{'checked' if accepted else 'REFUSED':>8}" for accepted in checked] or [""] * len(found.layers)
    lines = [
        paint.bold(f"{first.accelerator.name}: least {first.objective}"), paint.dim(head + (f"{'proof':>8}" if checked else "")),
        *(_row(one, count) + word for (one, count), word in zip(found.layers, words, strict=True)),
    ]  # fmt: skip
    joules = sum(one.energy * count for one, count in found.layers)
    cycles = sum(one.cycles * count for one, count in found.layers)
    macs = sum(one.problem.macs * count for one, count in found.layers)
    used = macs / (cycles * first.accelerator.array.size) if cycles else 0.0
    cycles *= first.accelerator.cycles_per_step
    worst = max(one.gap for one, _ in found.layers)
    count = sum(count for _, count in found.layers)
    lines.append(paint.bold(_line("total", count, macs, joules, cycles, used, worst)))
    searched = sum(one.search_s for one, _ in found.layers)
    said = "nominal joules of MACs and memories, no static power; proven optimal" if worst == 0 else (
        f"nominal joules of MACs and memories, no static power; at most {100 * worst:.2g} % above the optimum")  # fmt: skip
    said += f": {len(found.layers)} shapes in {searched:.2f} s of search"
    return [*lines, *(paint.dim(line) for line in fold(said))]


def _row(one: "Optimum", count: int) -> str:
    return _line(
        plain(one.problem.name), count, one.problem.macs, one.energy, one.clock_cycles, one.utilisation, one.gap
    )


def _line(name: str, count: int, macs: int, joules: float, cycles: float, used: float, gap: float) -> str:
    short = name if len(name) < NAME else "…" + name[-(NAME - 2) :]
    return (
        f"{short:<{NAME}}{count:>4}{format_quantity(macs, ''):>10}{format_quantity(joules, 'J'):>11}{cycles:>12,.0f}"
        f"{100 * used:>6.1f}%{100 * gap:>5.2g}%"
    )


def _layer(one: "Optimum", count: int, paint: Paint) -> list[str]:
    from picojoule.mapping import nest_lines, traffic_lines

    times = f", {count} times" if count > 1 else ""
    rule = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in one.convention.as_dict().items())
    proof = (
        f"{one.objective}: {'proven optimal' if one.gap == 0 else f'at most {100 * one.gap:.2g} % above the optimum'}; "
        f"root bound {one.root_bound / one.value:.4f} of it; {one.mappings_covered:,} tile shapes x unrollings covered, "
        f"each in every loop order; {one.solved} of {one.unrollings} unrollings solved in {1e3 * one.search_s:.0f} ms"
    )
    left = [f"left out of the nest: {', '.join(one.problem.left_out)}"] if one.problem.left_out else []
    return [
        paint.bold(f"{plain(one.problem.name)}{times}: {one.problem.macs:,} MACs"),
        *nest_lines(one.problem, one.accelerator, one.mapping, one.convention),
        *traffic_lines(one.accelerator, one.traffic),
        *(paint.dim(line) for line in _folded([*left, f"factors {one.factors}, {rule}", proof])),
    ]  # fmt: skip


def _folded(lines: Sequence[str]) -> list[str]:
    return [part for line in lines for part in fold(line)]


def front_text(fronts: Sequence[tuple["Front", int]], paint: Paint) -> str:
    """Every layer's front: what more time buys in energy."""
    lines = [paint.bold(f"{fronts[0][0].accelerator.name}: energy against cycles")]
    for one, count in fronts:
        times = f", {count} times" if count > 1 else ""
        lines.append(f"{plain(one.problem.name)}{times}: {one.problem.macs:,} MACs")
        lines.append(paint.dim(f"{'cycles':>14}{'energy':>12}{'energy x cycles':>18}{'util.':>8}"))
        best = min(point.energy * point.cycles for point in one.points)
        for point in one.points:
            used = one.problem.macs / (point.cycles * one.accelerator.array.size)
            product = point.energy * point.cycles
            mark = "  least product" if product == best else ""
            cycles = point.cycles * one.accelerator.cycles_per_step
            lines.append(f"{cycles:>14,.0f}{format_quantity(point.energy, 'J'):>12}{product / best:>17.3f}x"
                         f"{100 * used:>7.1f}%{mark}")  # fmt: skip
    exact = all(one.exact for one, _ in fronts)
    said = ("every mapping is covered: no other is better in both" if exact else
            "walked by steps of the array; cycles are with bandwidths, for which the front is no proof")  # fmt: skip
    return "\n".join([*lines, *(paint.dim(line) for line in fold(said))]) + "\n"
