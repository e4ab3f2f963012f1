"""Energy of one action where nobody measured it: pure functions of size, width, node and kind.

Every constant comes from library/energy, with its source; the functions hold equations only.
"""

import math
from collections.abc import Mapping
from itertools import pairwise

from picojoule.quantity import Provenance, Value, format_quantity

from ._catalogue import catalogue_entry
from ._tables import Scaling, Tables


def combined(*spreads: float) -> float:
    """The spread of a product of independent factors: exp(sqrt(Σ ln² s))."""
    return math.exp(math.sqrt(sum(math.log(spread) ** 2 for spread in spreads)))


def node_factor(start: float, end: float, table: Scaling) -> tuple[float, float]:
    """How energy changes from node `start` [m] to `end` [m], and the spread of that change.

    (f(end) / f(start)) ^ damping with f = a2 V² + a1 V + a0 at one voltage (Stillmaker and Baas, Integration 58,
    2017, doi 10.1016/j.vlsi.2017.02.002). f is interpolated in ln node; below the smallest node of the table it falls
    with the square root of the node. The spread grows with the distance: as published at 45 to 7 nm.
    """
    factor = (_polynomial(end, table) / _polynomial(start, table)) ** table.damping
    distance = abs(math.log(end / start)) / math.log(45 / 7)
    return factor, table.spread_at_45_to_7**distance


def _polynomial(node: float, table: Scaling) -> float:
    nodes = table.nodes
    if node >= nodes[0][0]:
        return nodes[0][1]
    smallest, value = nodes[-1]
    if node <= smallest:
        return value * math.sqrt(node / smallest)
    for (large, high), (small, low) in pairwise(nodes):
        if node >= small:
            part = math.log(node / small) / math.log(large / small)
            return math.exp(math.log(low) + part * math.log(high / low))
    raise AssertionError("unreachable: the nodes cover the range")


def sram(size: float, node: float, action: str, tables: Tables) -> Value:
    """Energy per byte [J/B] of reading or writing a store of `size` [B] at `node` [m].

    E = correction · e(node) · (C / 32 KiB) ^ b(node) / 8 per byte of a 64-bit port, C held within the limits of the
    table; a write costs write_over_read as much. CACTI 7 curves, corrected to the geometric middle with Horowitz
    (ISSCC 2014) and Jouppi (ISCA 2021); flat below the smallest node. Left out: leakage, ports, wires to the store.
    """
    table = tables.sram
    capacity = min(max(size, table.smallest), table.largest)
    energy, exponent = _curve(node, table.nodes)
    per_byte = table.correction * energy * (capacity / 32768) ** exponent / 8
    if action == "write":
        per_byte *= table.write_over_read
    spread = table.spread if node >= table.nodes[-1][0] * 0.999 else table.spread_below
    where = f"{table.where}: {format_quantity(capacity, 'B')} at {format_quantity(node, 'm')}, {action}"
    return Value(per_byte, "J/B", spread, table.source, where, "macro", "derived")


def _curve(node: float, nodes: tuple[tuple[float, float, float], ...]) -> tuple[float, float]:
    if node >= nodes[0][0]:
        return nodes[0][1], nodes[0][2]
    for (large, high, slope), (small, low, slope_small) in pairwise(nodes):
        if node >= small:
            part = math.log(node / small) / math.log(large / small)
            return math.exp(math.log(low) + part * math.log(high / low)), slope_small + part * (slope - slope_small)
    return nodes[-1][1], nodes[-1][2]


def multiply_add(dtype: str, node: float, tables: Tables, control: Value | None = None) -> Value:
    """Energy [J] of one MAC of `dtype` at `node` [m]: multiplier and accumulator, times `control` if given.

    (multiply(dtype) + accumulate(dtype)) at 45 nm (Horowitz, ISSCC 2014), scaled by node_factor.
    """
    table = tables.operations
    energy = _of(table.multiply, dtype) + _of(table.accumulate, dtype)
    return _logic(energy, f"{dtype} multiply and accumulate", dtype, node,
                  tables, control)  # fmt: skip


def add(dtype: str, node: float, tables: Tables, control: Value | None = None) -> Value:
    """Energy [J] of one addition or comparison of `dtype` at `node` [m]; equation as multiply_add."""
    return _logic(_of(tables.operations.add, dtype), f"{dtype} add", dtype, node, tables, control)


def _of(energies: Mapping[str, float], dtype: str) -> float:
    if dtype not in energies:
        raise ValueError(f"no energy is known for {dtype!r}; known are {', '.join(energies)}")
    return energies[dtype]


def _logic(energy: float, name: str, dtype: str, node: float, tables: Tables, control: Value | None) -> Value:
    table = tables.operations
    factor, spread = node_factor(table.node, node, tables.scaling)
    where = f"{table.where}: {name}"
    provenance: Provenance = "seen (secondary)" if dtype in table.printed else "derived"
    if node != table.node:
        where += f", scaled to {format_quantity(node, 'm')} (stillmaker2017)"
        provenance = "derived"
    spreads = [table.spread, spread]
    if control is not None:
        energy, provenance = energy * control.nominal, "derived"
        where += f", x {control.nominal:g} for control"
        spreads.append(control.spread)
    return Value(energy * factor, "J", combined(*spreads), table.source, where, "macro", provenance)


def dram(kind: str, tables: Tables) -> Value:
    """Energy per byte [J/B] of a DRAM of `kind` ("DDR4-2400", "HBM2e"): device and its IO, reads and writes alike.

    The catalogue entry of the longest known beginning of `kind`. Left out: controller and on-chip path.
    """
    return _known(kind, tables.dram, "DRAM")


def link(kind: str, tables: Tables) -> Value:
    """Energy per byte [J/B] of moving data over a link of `kind` ("PCIe 5.0 x16", "NVLink"): the PHYs alone."""
    return _known(kind, tables.links, "link")


def _known(kind: str, kinds: Mapping[str, str], what: str) -> Value:
    text = _bare(kind)
    fits = [name for name in kinds if text.startswith(_bare(name))]
    if not fits:
        raise ValueError(f"no energy is known for the {what} kind {kind!r}; known are {', '.join(kinds)}")
    entry = catalogue_entry(kinds[max(fits, key=len)])
    value = entry.value
    bits = {"bit": 1, "byte": 8}.get(entry.per, entry.bits or 1)
    return Value(value.nominal * 8 / bits, "J/B", value.spread, value.source, value.where, value.scope,
                 value.provenance, value.note)  # fmt: skip


def _bare(kind: str) -> str:
    return kind.upper().replace("-", "").replace(" ", "").replace("_", "")
