"""`picojoule explain`: the chain from a total down to counts, unit energies, spreads and references."""

from collections.abc import Mapping

from picojoule.cost import Swing, swings
from picojoule.hardware import STATIC, Architecture, Technology
from picojoule.levels import Estimate
from picojoule.quantity import Value, format_quantity

from .._plain import plain
from ._paint import Paint, decades, dots


def explain_estimate(estimate: Estimate, paint: Paint, references: Mapping[str, str]) -> str:
    """total = Σ count × price, each price with its spread and source; then what the answer hangs on."""
    cost = estimate.cost
    energy, time = cost.total_energy_j, cost.total_time_s
    name = estimate.architecture.name
    lines = [
        f"{plain(estimate.workload.name, 30)} on {name}, level {estimate.level}, {estimate.dtype}, "
        f"batch {estimate.workload.batch}",
        paint.bold(f"energy {format_quantity(energy.nominal, 'J')}")
        + f"  90 %: {format_quantity(energy.low, 'J', 2)} – {format_quantity(energy.high, 'J', 2)}  scope {cost.scope}",
        paint.bold(f"time   {format_quantity(time.nominal, 's')}")
        + f"  90 %: {format_quantity(time.low, 's', 2)} – {format_quantity(time.high, 's', 2)}",
        "", paint.dim(f"{'energy = Σ':<25}{'count':>15}   {'× price':<12}{'× / ÷':>6}{'=':>11}{'share':>7}"),
    ]  # fmt: skip
    counts = cost.counts
    by_action = sorted(cost.energy_by_action().items(), key=lambda item: -float(item[1].sum()))
    for action, joules in by_action:
        value, part = cost.prices[action], float(joules.sum())
        amount = format_quantity(time.nominal, "s") if action == STATIC else f"{counts.get(action, 0):,}"
        lines.append(
            f"{plain('.'.join(action), 24):<24}{amount:>16} × {_price(value):<12}{value.spread:>6.3g}"
            f"{format_quantity(part, 'J'):>11}{part / (energy.nominal or 1):>7.1%}"
        )
    lines += ["", *_time_lines(estimate, paint), "", *_tornado(swings(cost)[:8], energy.nominal, paint), "",
              *_sources(estimate, references), *(f"note: {note}" for note in estimate.notes),
              paint.dim(f"one price: picojoule explain {name}.{'.'.join(by_action[0][0])}")]  # fmt: skip
    return "\n".join(lines) + "\n"


def explain_price(architecture: Architecture, technology: Technology, action: tuple[str, str], paint: Paint,
                  references: Mapping[str, str]) -> str:  # fmt: skip
    """One price: value, interval, scope, source, how it was found."""
    value = technology.price(action)
    label = f"{architecture.name}.{'.'.join(action)}"
    floor, ceiling = decades([value.low, value.high])
    unit = _unit(action, value)
    lines = [
        paint.bold(label) + f"   {_price(value)}/{unit}".replace("W/s", "W")
        + f"   ×/÷ {value.spread:.3g}   {format_quantity(value.low, _joule(value), 2)} – "
        f"{format_quantity(value.high, _joule(value), 2)}, 90 %   scope {value.scope or 'unknown'}",
        dots(value.low, value.nominal, value.high, floor, ceiling, 60),
        f"{format_quantity(floor, _joule(value), 1):<30}{format_quantity(ceiling, _joule(value), 1):>30}",
        "", f"provenance  {value.provenance}", f"price key   {technology.name}: {technology.key(action)}",
        *_fold(f"source      {value.source}" + (f", {value.where}" if value.where else "")),
    ]  # fmt: skip
    for key in value.source.split(" + "):
        if key in references:
            lines += _fold(f"  {key}: {references[key]}")
    if value.note:
        lines += _fold(f"note        {value.note}")
    if technology.mixed_scope:
        lines += _fold(f"scope       {technology.mixed_scope}")
    return "\n".join(lines) + "\n"


def explain_device(architecture: Architecture, technology: Technology, paint: Paint) -> str:
    """Every price of one machine."""
    lines = [paint.bold(architecture.title) + f"   prices of {technology.name}, scope {technology.scope}",
             paint.dim(f"{'action':<28}{'price':>10}{'× / ÷':>7}  {'scope':<8}{'provenance':<12}source")]  # fmt: skip
    for key, value in sorted(technology.prices.items()):
        lines.append(f"{plain(key, 27):<28}{_price(value):>10}{value.spread:>7.3g}  {value.scope or 'unknown':<8}"
                     f"{value.provenance[:11]:<12}{plain(value.source, 13)}")  # fmt: skip
    lines.append(paint.dim(f"one of them: picojoule explain {architecture.name}.{next(iter(technology.prices), '')}"))
    return "\n".join(lines) + "\n"


def _time_lines(estimate: Estimate, paint: Paint) -> list[str]:
    waits: dict[str, tuple[int, float]] = {}
    for activity in estimate.cost.activities:
        n, seconds = waits.get(activity.bound_by, (0, 0.0))
        waits[activity.bound_by] = (n + 1, seconds + activity.time_s)
    lines = [paint.dim("time = Σ over operators of the slowest resource, plus launches")]
    lines += [
        f"  bound by {name:<12}{n:>6} operators{format_quantity(seconds, 's'):>12}"
        for name, (n, seconds) in sorted(waits.items(), key=lambda item: -item[1][1])
    ]
    return lines


def _tornado(rows: tuple[Swing, ...], total: float, paint: Paint) -> list[str]:
    lines = [paint.dim("what the answer hangs on: total energy with one number at the ends of its 90 %")]
    for swing in rows:
        low, high = swing.energy_low_j / total - 1, swing.energy_high_j / total - 1
        label = swing.key if len(swing.key) <= 44 else "…" + swing.key[-43:]
        lines.append(f"  {plain(label, 44):<45}{low:>+6.0%} {high:>+6.0%}  {plain(swing.value.source, 17)}")
    return lines


def _sources(estimate: Estimate, references: Mapping[str, str]) -> list[str]:
    used = (*estimate.cost.prices.values(), *estimate.cost.rates.values())
    keys = dict.fromkeys(key for value in used for key in value.source.split(" + "))
    lines = []
    for key in keys:
        lines += _fold(f"{key}: {references.get(key, 'no entry in the reference list')}")
    return ["sources", *lines]


def _joule(value: Value) -> str:
    return "W" if value.unit == "W" else "J"


def _price(value: Value) -> str:
    return format_quantity(value.nominal, _joule(value))


def _unit(action: tuple[str, str], value: Value) -> str:
    if value.unit == "W":
        return "s"
    if action[1] in ("read", "write"):
        return "B"
    return action[1].split("_")[0].upper() if action[1].startswith("mac") else action[1].split("_")[0]


def _fold(text: str, width: int = 80) -> list[str]:
    import textwrap

    return textwrap.wrap(plain(text), width, subsequent_indent="    ")
