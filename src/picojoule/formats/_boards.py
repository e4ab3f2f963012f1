"""Prices of a whole machine from what its data sheet says: one function per law, all of one signature."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from picojoule.hardware import Architecture, Compute, Memory
from picojoule.quantity import Value, format_quantity

from ._laws import add, combined, dram, link, multiply_add, node_factor, sram
from ._tables import Tables

Prices = dict[str, Value]
Constants = Mapping[str, Value]
SPECIAL: Final = ("cos", "div", "erf", "exp", "log", "pow", "rsqrt", "sigmoid", "sin", "sqrt", "tanh")


def board(machine: Architecture, constants: Constants, tables: Tables) -> Prices:
    """Power of a board, shared out so that dense work at its attained rate draws the sheet's TDP.

    P = P_static + e_op · rate + e_byte · traffic, with P_static = static_share · TDP (or the measured idle power),
    e_op = compute_share · TDP / (attained · peak) for each dtype and e_byte = memory_share · TDP / (attained ·
    bandwidth), but no more than memory_limit times the DRAM device. Where no TDP is published, TDP = power_per_peak ·
    peak. Left out: clocks that change with load.
    """
    power = _power(machine, constants)
    share = constants["static_share"]
    idle = constants.get("idle_power")
    static = idle or _share(power, share, "W", f"board law: {share.nominal:g} of {_watts(power)}")
    # What is not static is left for work, whichever of the two static values was taken.
    left = max(power.nominal - static.nominal, 0.1 * power.nominal) / (power.nominal * (1 - share.nominal))
    prices: Prices = {"static.leak": static}
    for unit in machine.compute:
        for dtype, peak in unit.peak.items():
            rate = peak.nominal * _gemm(machine, dtype, unit.unit == "vector")
            energy = left * constants["compute_share"].nominal * power.nominal / rate
            where = f"board law, dense {dtype} on {unit.name}: {_watts(power)} over {format_quantity(rate, 'FLOP/s')}"
            flop = _derived(energy, "J", where, constants["compute_share"], power)
            prices |= _operations(unit, dtype, flop, _times(flop, 2, "per MAC"), constants["special_factor"])
    for memory in machine.memories:
        prices |= _board_memory(machine, memory, left, power, constants, tables)
    # The board law has no term of its own for links: their PHYs stand in for what the board spends on a transfer.
    phys = {name: replace(value, scope="board", note="PHYs alone") for name, value in _links(machine, tables).items()}
    return prices | phys


def _board_memory(machine: Architecture, memory: Memory, left: float, power: Value, constants: Constants,
                  tables: Tables) -> Prices:  # fmt: skip
    if memory.group != "off-chip":
        return _both(memory.name, constants["on_chip_byte"])
    if memory.bandwidth is None:
        return _both(memory.name, replace(dram(memory.kind, tables), scope="board", note="device alone"))
    rate = memory.bandwidth.nominal * machine.attained.get("gemm", machine.attained["default"]).memory.nominal
    energy = left * constants["memory_share"].nominal * power.nominal / rate
    where = f"board law, {memory.name} path: {_watts(power)} over {format_quantity(rate, 'B/s')}"
    limit = constants.get("memory_limit")
    if limit is not None and memory.kind != "SRAM":
        device = dram(memory.kind, tables)
        if limit.nominal * device.nominal < energy:
            # Where arithmetic takes the board's power, its share would make a narrow memory far too dear.
            return _both(memory.name, replace(_times(device, limit.nominal, limit.where, limit.spread), scope="board"))
    return _both(memory.name, _derived(energy, "J/B", where, constants["memory_share"], power))


def chip(machine: Architecture, constants: Constants, tables: Tables) -> Prices:
    """A chip from the inside: logic by dtype and node, stores by size and node, DRAM by kind.

    Static power is static_share of the power its authors print; without one it is left out.
    """
    if machine.node is None:
        raise ValueError("the chip law needs the node of the machine")
    prices: Prices = {}
    power = machine.max_power
    if power is not None:
        share = constants["static_share"]
        leak = _share(power, share, "W", f"chip law: {share.nominal:g} of {_watts(power)}")
        prices["static.leak"] = replace(leak, scope="macro")
    for unit in machine.compute:
        for dtype in unit.peak:
            mac = multiply_add(dtype, machine.node.nominal, tables, constants["control_factor"])
            one = add(dtype, machine.node.nominal, tables, constants["control_factor"])
            prices |= _operations(unit, dtype, one, mac, constants["special_factor"])
    for memory in machine.memories:
        prices |= _chip_memory(memory, machine.node.nominal, tables)
    return prices | _links(machine, tables)


def _chip_memory(memory: Memory, node: float, tables: Tables) -> Prices:
    if memory.group == "off-chip":
        return _both(memory.name, dram(memory.kind, tables))
    size = memory.size.nominal if memory.size else tables.sram.smallest
    return {f"{memory.name}.{action}": sram(size, node, action, tables) for action in ("read", "write")}


def fpga(machine: Architecture, constants: Constants, tables: Tables) -> Prices:
    """An FPGA board: three published MAC energies scaled to the node, block RAM as SRAM, DRAM by kind.

    e_mac(dtype, node) = e_mac(nearest published dtype) · node_factor. Static power is a measured idle power, else
    static_share · TDP, else the constant.
    """
    node = machine.node.nominal if machine.node else constants["node"].nominal
    static = machine.idle_power or constants["static"]
    if machine.max_power and machine.idle_power is None:
        share = constants["static_share"]
        static = _share(
            machine.max_power, share, "W", f"{share.where}: {share.nominal:g} of {_watts(machine.max_power)}"
        )
    prices: Prices = {"static.leak": static}
    factor, spread = node_factor(constants["node"].nominal, node, tables.scaling)
    for unit in machine.compute:
        for dtype in unit.peak:
            base = constants.get(f"mac_{dtype}", constants["mac_float32" if "float" in dtype else "mac_int16"])
            where = base.where if node == constants["node"].nominal else f"{base.where}; scaled to {_nano(node)}"
            mac = Value(
                base.nominal * factor, "J", combined(base.spread, spread), base.source, where, "board", "derived"
            )
            prices |= _operations(unit, dtype, _times(mac, 0.5, "half a MAC"), mac, constants["special_factor"])
    for memory in machine.memories:
        prices |= _chip_memory(memory, node, tables)
    return prices | _links(machine, tables)


def _operations(unit: Compute, dtype: str, one: Value, mac: Value, special: Value) -> Prices:
    """The prices of everything that a unit does in one dtype; the last key catches dtypes it has no peak for."""
    slow = _times(one, special.nominal, "a special function", special.spread)
    prices = {f"{unit.name}.mac_{dtype}": mac, f"{unit.name}.*_{dtype}": one}
    prices |= {f"{unit.name}.{name}_{dtype}": slow for name in SPECIAL}
    return prices | {f"{unit.name}.*": one}


def _power(machine: Architecture, constants: Constants) -> Value:
    if machine.max_power is not None:
        return machine.max_power
    peaks = {dtype: p.nominal for unit in machine.compute for dtype, p in unit.peak.items()}
    if not peaks:
        raise ValueError("the board law needs a TDP (max_power) or a peak")
    # The rule is stated for 16-bit arithmetic; parts with integers only do twice as many of those.
    best = peaks.get("bfloat16") or peaks.get("float16") or peaks.get("float32") or max(peaks.values()) / 2
    rule = constants["power_per_peak"]
    where = f"{rule.where}: {rule.nominal * 1e12:g} W per TFLOP/s"
    return Value(rule.nominal * best, "W", rule.spread, rule.source, where, "board", "derived")


def _gemm(machine: Architecture, dtype: str, vector: bool) -> float:
    """The share of peak of dense work; vector lanes are held to their FP32 share in every dtype."""
    attained = machine.attained
    keys = (f"gemm_{dtype}", "gemm_float32" if vector else "gemm", "gemm", "default")
    return next(attained[key] for key in keys if key in attained).compute.nominal


def _share(power: Value, share: Value, unit: str, where: str) -> Value:
    return Value(power.nominal * share.nominal, unit, combined(share.spread, power.spread), share.source, where,
                 "board", "derived")  # fmt: skip


def _derived(energy: float, unit: str, where: str, share: Value, power: Value) -> Value:
    return Value(energy, unit, combined(share.spread, power.spread), share.source, where, "board", "derived")


def _times(value: Value, factor: float, why: str, spread: float = 1.0) -> Value:
    where = f"{value.where}, x {factor:g}: {why}"
    return Value(value.nominal * factor, value.unit, combined(value.spread, spread), value.source, where, value.scope,
                 value.provenance)  # fmt: skip


def _both(name: str, value: Value) -> Prices:
    return {f"{name}.read": value, f"{name}.write": value}


def _links(machine: Architecture, tables: Tables) -> Prices:
    return {f"{part.name}.*": link(part.kind, tables) for part in machine.links}


def _watts(power: Value) -> str:
    return format_quantity(power.nominal, "W")


def _nano(node: float) -> str:
    return format_quantity(node, "m")


LAWS: Final[dict[str, Callable[[Architecture, Constants, Tables], Prices]]] = {
    "board": board,
    "chip": chip,
    "fpga": fpga,
}
