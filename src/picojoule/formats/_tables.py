"""Constants of the laws, as library/energy/tables.yaml gives them and the built JSON carries them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from picojoule.quantity import parse_quantity

from ._place import built


@dataclass(frozen=True, slots=True)
class Sram:
    """E(C) = at_32_kib · (C / 32 KiB) ^ exponent [J] per 64-bit read, at each node [m], largest node first."""

    nodes: tuple[tuple[float, float, float], ...]  # node, at_32_kib, exponent
    smallest: float
    largest: float
    correction: float
    write_over_read: float
    spread: float
    spread_below: float
    source: str
    where: str


@dataclass(frozen=True, slots=True)
class Scaling:
    """f(node) = a2 V² + a1 V + a0 at one voltage, largest node first; ratios are raised to `damping`."""

    nodes: tuple[tuple[float, float], ...]  # node, f
    damping: float
    spread_at_45_to_7: float
    source: str
    where: str


@dataclass(frozen=True, slots=True)
class Operations:
    """Energies [J] of logic at `node`, by dtype."""

    node: float
    multiply: Mapping[str, float]
    add: Mapping[str, float]
    accumulate: Mapping[str, float]
    printed: frozenset[str]
    spread: float
    source: str
    where: str


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything the laws need."""

    sram: Sram
    scaling: Scaling
    operations: Operations
    dram: Mapping[str, str]  # kind -> name in the catalogue
    links: Mapping[str, str]


@cache
def read_tables() -> Tables:
    """The constants of the laws."""
    data = built("_tables")
    return Tables(
        sram=_sram(data["sram"]), scaling=_scaling(data["scaling"]), operations=_operations(data["operations"]),
        dram=data["dram"]["kinds"], links=data["links"]["kinds"],
    )  # fmt: skip


def _sram(data: Any) -> Sram:
    rows = data["cacti"]["nodes"]
    nodes = tuple(
        (parse_quantity(row["node"], "m"), parse_quantity(row["at_32_kib"], "J"), float(row["exponent"]))
        for row in rows
    )
    return Sram(
        nodes=nodes, smallest=parse_quantity(data["smallest"], "B"), largest=parse_quantity(data["largest"], "B"),
        correction=data["correction"], write_over_read=data["write_over_read"], spread=data["spread"],
        spread_below=data["spread_below_22_nm"], source=data["cacti"]["source"], where=data["sources"],
    )  # fmt: skip


def _scaling(data: Any) -> Scaling:
    volt = data["volt"]
    nodes = tuple(
        (parse_quantity(row["node"], "m"), row["a2"] * volt**2 + row["a1"] * volt + row["a0"]) for row in data["nodes"]
    )
    return Scaling(nodes, data["damping"], data["spread_at_45_to_7"], data["source"], data["where"])


def _operations(data: Any) -> Operations:
    def joules(name: str) -> dict[str, float]:
        return {dtype: parse_quantity(text, "J") for dtype, text in data[name].items()}

    return Operations(
        node=parse_quantity(data["node"], "m"), multiply=joules("multiply"), add=joules("add"),
        accumulate=joules("accumulate"), printed=frozenset(data["printed"]), spread=data["spread"],
        source=data["source"], where=data["where"],
    )  # fmt: skip
