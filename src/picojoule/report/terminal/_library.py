"""Lists: the machines, one machine, the zoo."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from picojoule.hardware import Architecture, Technology
from picojoule.quantity import Value, format_quantity

from .._plain import pad, plain
from ._array import array_lines, field_line
from ._paint import Paint


class HardwareLine(Protocol):
    """What a list shows of a machine; peaks in operations/s, bandwidth in B/s, size in B, power in W."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def peak(self) -> Mapping[str, float]: ...
    @property
    def bandwidth(self) -> float | None: ...
    @property
    def size(self) -> float | None: ...
    @property
    def max_power(self) -> float | None: ...
    @property
    def recalled(self) -> int: ...


_PEAKS = ("bfloat16", "float16", "int8", "int16", "float32")


def hardware_table(rows: Sequence[HardwareLine], paint: Paint) -> str:
    """One line a machine: best 16-bit or 8-bit peak, bandwidth, memory, power limit, recalled fields."""
    lines = [paint.dim(f"{'name':<21}{'kind':<5}{'peak':>20}{'bandwidth':>12}{'memory':>8}{'power':>8}  rec.")]
    for row in rows:
        dtype = next((d for d in _PEAKS if d in row.peak), next(iter(row.peak), ""))
        peak = f"{_si(row.peak[dtype], 'op/s')} {dtype}" if dtype else "unknown"
        lines.append(
            f"{pad(plain(row.name, 20), 21)}{row.kind:<5}{peak:>20}{_si(row.bandwidth, 'B/s'):>12}"
            f"{_si(row.size, 'B', 2):>8}{_si(row.max_power, 'W'):>8}{row.recalled:>5}"
        )
    lines.append(paint.dim(f"{len(rows)} machines. rec. = fields recalled. One: picojoule hardware show NAME"))
    return "\n".join(lines) + "\n"


def _si(number: float | None, unit: str, digits: int = 3) -> str:
    return "–" if number is None else format_quantity(number, unit, digits)


def hardware_text(architecture: Architecture, technology: Technology, paint: Paint) -> str:
    """One machine, every number with its source; unknown is said."""
    a = architecture
    lines = [paint.bold(a.title) + f"   {a.name}, {a.kind}, {a.vendor}, {a.year or 'year unknown'}", ""]
    rows: list[tuple[str, Value | None]] = [("node", a.node), ("power limit", a.max_power), ("idle power", a.idle_power),
                                            ("launch", a.launch)]  # fmt: skip
    for unit in a.compute:
        rows += [(f"{unit.name} {dtype} peak", value) for dtype, value in unit.peak.items()]
    for memory in a.memories:
        rows += [(f"{memory.name} ({memory.kind}) size", memory.size), (f"{memory.name} bandwidth", memory.bandwidth)]
    rows += [(f"{link.name} bandwidth", link.bandwidth) for link in a.links]
    for name, attained in a.attained.items():
        rows += [(f"attained {name} compute", attained.compute), (f"attained {name} memory", attained.memory)]
    rows += list(a.facts.items())
    lines.append(paint.dim(f"{'field':<30}{'value':>15}{'× / ÷':>7}  {'provenance':<12}source"))
    for name, value in rows:
        lines.append(field_line(name, value))
    lines.append("")
    lines += array_lines(a, paint)
    lines += textwrap.wrap(f"prices: {technology.name}, scope {technology.scope}: picojoule explain {a.name}", 80)
    for note in a.notes:
        lines += textwrap.wrap(f"note: {plain(note)}", 80, subsequent_indent="  ")
    return "\n".join(lines) + "\n"


def zoo_text(rows: Sequence[Mapping[str, Any]], paint: Paint) -> str:
    """One line a model: what to type, and the paper."""
    lines = []
    for row in rows:
        name = plain(row["example"])
        about = textwrap.shorten(plain(row["about"]), 51, placeholder=" …")
        lines.append(
            f"{paint.bold(pad(name, 28))} {about}" if len(name) <= 28 else f"{paint.bold(name)}\n{'':<29}{about}"
        )
    lines.append(paint.dim(f"{len(rows)} models; others: any .onnx file"))
    return "\n".join(lines) + "\n"
