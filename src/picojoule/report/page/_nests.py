"""Loop nests of level `mapped` as nested cards: what each memory holds, the loops that run there, the words that cross."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ._data import Device
from ._format import percent, si, whole
from ._html import esc

if TYPE_CHECKING:
    from picojoule.mapping import Level, Optimum

Words = Mapping[str, str]
ROLES: Final = {"input": "p3", "weight": "p4", "output": "p1"}  # colour of a tensor's share of a memory
SHOWN: Final = 3


def nests(w: Words, devices: Sequence[Device]) -> str:
    """The dearest nests of every device that has any; empty if none has."""
    drawn = "".join(_device(w, device) for device in devices if device.estimate.nests)
    items = "".join(f'<li><i class="sw {colour}"></i>{w["role_" + role]}</li>' for role, colour in ROLES.items())
    return f'<ul class="legend" aria-label="{w["tensors"]}">{items}</ul>{drawn}' if drawn else ""


def _device(w: Words, device: Device) -> str:
    from picojoule.mapping import nest_levels

    repeats = {operator.name: operator.repeats for operator in device.estimate.workload.operators}
    equal: dict[Any, tuple[str, int]] = {}
    found = device.estimate.nests
    for name, one in found.items():
        first, count = equal.get((one.problem.shape, one.weights), (name, 0))
        equal[one.problem.shape, one.weights] = first, count + repeats[name]
    ranked = sorted(equal.values(), key=lambda pair: -found[pair[0]].energy * pair[1])[:SHOWN]
    cards = "".join(
        _nest(w, name, count, found[name],
              nest_levels(found[name].problem, found[name].accelerator, found[name].mapping, found[name].convention))
        for name, count in ranked
    )  # fmt: skip
    return f'<h3>{esc(device.title)}</h3><div class="nests">{cards}</div>'


def _nest(w: Words, name: str, count: int, one: "Optimum", levels: Sequence[Mapping[str, Any]]) -> str:
    proof = w["proven"] if one.gap == 0 else w["gap"].format(gap=percent(one.gap))
    times = f" × {count}" if count > 1 else ""
    cards, depth = [], 0
    for level, data in zip(one.accelerator.levels, levels, strict=True):
        lines = [f"for {loop['dim']} in {loop['trip']}" for loop in data["loops"]]
        cards.append(_card(w, one, level, data, lines, depth))
        depth += 1
        if data["spatial"] or level.name == one.accelerator.array.below:
            cards.append(_array(w, one, data["spatial"], depth))
            depth += 1
    return (
        f'<article class="nestbox"><h4>{esc(name)}{times}</h4><p class="dim">{si(one.energy, "J")} · '
        f"{whole(round(one.clock_cycles))} {w['cycles']} · {percent(one.utilisation)} {w['busy']} · {esc(one.objective)}: {proof}"
        f'</p><ol class="nest">{"".join(cards)}</ol></article>'
    )


def _card(
    w: Words, one: "Optimum", level: "Level", data: Mapping[str, Any], lines: Sequence[str], depth: int
) -> str:  # fmt: skip
    bits = one.accelerator.bits
    held = {role: words * bits[role] * level.copies for role, words in data["words"].items()}
    room = level.capacity_bits or sum(size for _, size in level.shares)
    size = si(room / 8, "B") if room else ""
    return (
        f'<li style="--d:{depth}"><div class="lvl"><b>{esc(level.name)}</b><small>{size}</small></div>'
        f"{_fill(w, held, room)}{_loops(lines)}<small>{_moved(w, one, level.name, data)}</small></li>"
    )


def _fill(w: Words, held: Mapping[str, int], room: int) -> str:
    """A bar of the capacity by tensor; nothing where the memory has no limit."""
    if not room:
        return ""
    said = ", ".join(f"{w['role_' + role]} {percent(bits / room)}" for role, bits in held.items())
    parts = "".join(
        f'<i class="{ROLES[role]}" style="width:{100 * bits / room:.2f}%"></i>' for role, bits in held.items()
    )
    return f'<span class="fill" role="img" aria-label="{said}">{parts}</span>'


def _moved(w: Words, one: "Optimum", level: str, data: Mapping[str, Any]) -> str:
    bits = one.accelerator.bits
    said = []
    for role in data["words"]:
        crossed = sum(n for (at, tensor, _), n in one.traffic.counts.items() if at == level and tensor == role)
        said.append(f"{w['role_' + role]} {si(crossed * bits[role] / 8, 'B', 2)}")
    said += [w["bypassed"].format(role=w["role_" + role]) for role in data["bypassed"]]
    return " · ".join(said)


def _array(w: Words, one: "Optimum", spatial: Sequence[Mapping[str, Any]], depth: int) -> str:
    size = " × ".join(str(axis.size) for axis in one.accelerator.array.axes)
    lines = [f"parallel {seat['dim']} in {seat['factor']} on {seat['axis']}" for seat in spatial]
    used = w["pes"].format(used=whole(one.traffic.pes), all=whole(one.accelerator.array.size))
    return (
        f'<li style="--d:{depth}" class="array"><div class="lvl"><b>{size}</b><small>{used}</small></div>'
        f"{_loops(lines)}</li>"
    )


def _loops(lines: Sequence[str]) -> str:
    return f"<code>{'<br>'.join(esc(line) for line in lines)}</code>" if lines else ""
