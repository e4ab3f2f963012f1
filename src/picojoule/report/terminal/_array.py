"""The array of a machine: axes, levels, capacities, and where they were read."""

import textwrap

from picojoule.hardware import Architecture, ProcessingArray, Store
from picojoule.quantity import Value, format_quantity

from .._plain import pad, plain
from ._paint import Paint

_WORDS = {"input": "inputs", "weight": "weights", "output": "sums"}


def field_line(name: str, value: Value | None, unknown: str = "unknown") -> str:
    """One number with its spread, provenance and source."""
    label = pad(plain(name, 29), 30)
    if value is None:
        return f"{label}{unknown:>15}"
    bare = value.unit in ("", "1")
    amount = f"{value.nominal:.4g}" if bare else format_quantity(value.nominal, value.unit)
    return f"{label}{amount:>15}{value.spread:>7.3g}  {value.provenance[:11]:<12}{plain(value.source, 14)}"


def array_lines(architecture: Architecture, paint: Paint) -> list[str]:
    """Axes, then levels outermost first with their capacities; one line where the file states no array."""
    array = architecture.array
    if array is None:
        return ["array: not stated, so no loop nest can be mapped here", ""]
    sizes = " × ".join(str(axis.size) for axis in array.axes)
    total = f" = {array.elements}" if len(array.axes) > 1 else ""
    head = f"array: {sizes}{total} elements of {array.unit} below {array.below}; {_ways(array)}"
    lines = [*textwrap.wrap(head, 80, subsequent_indent="  "), paint.dim(f"{'axis':<30}{'size':>15}  may spread")]
    lines += [f"{pad(plain(a.name, 29), 30)}{a.size:>15}  {' '.join(a.spread)}" for a in array.axes]
    lines.append(paint.dim(f"{'level, outermost first':<30}{'capacity':>15}  above: whole; below: an element"))
    for store in array.stores:
        lines += _level(architecture, array, store)
    if double := [store.name for store in array.stores if store.double_buffered]:
        lines.append(f"double buffered, half of it a tile: {', '.join(double)}")
    lines += textwrap.wrap(f"array read in {plain(array.source)}: {plain(array.where)}", 80, subsequent_indent="  ")
    if array.note:
        lines += textwrap.wrap(f"array note: {plain(array.note)}", 80, subsequent_indent="  ")
    return [*lines, ""]


def _ways(array: ProcessingArray) -> str:
    multicast = "one read serves all that need the word" if array.multicast else "each element reads for itself"
    return f"{multicast}; {'sums are added across elements' if array.reduction else 'no sums across elements'}"


def _level(architecture: Architecture, array: ProcessingArray, store: Store) -> list[str]:
    if store.shares:
        lines = [field_line(f"{store.name} {_WORDS[role]}", share) for role, share in store.shares.items()]
        rest = tuple(role for role in store.keeps if role not in store.shares)
        return [*lines, *([_shared(architecture, array, store, rest)] if rest else [])]
    return [_shared(architecture, array, store, store.keeps)]


def _shared(architecture: Architecture, array: ProcessingArray, store: Store, roles: tuple[str, ...]) -> str:
    names = [one.name for one in array.stores]
    above = names.index(store.name) <= names.index(array.below)
    memory = next((m for m in architecture.memories if m.name == store.memory), None)
    size = store.size or (memory.size if memory is not None and above else None)
    what = "all" if len(roles) == len(_WORDS) else ", ".join(_WORDS[role] for role in roles)
    return field_line(f"{store.name} {what}", size, "no limit")
