"""Level `roofline`: the slowest of compute and each memory level, at the fractions this device attains, plus a launch.

    t = t_launch·repeats + max(2·MACs / (η_c·peak), others / (η_c·peak / 2), bytes_l / (η_m·bandwidth_l) for each l)

Every operand crosses each memory level once; a repeated operator reads its parameters again in every repeat unless an
on-chip memory holds them; register files feed both operands of every MAC. Operators run one after another, unfused.
S. Williams, A. Waterman, D. Patterson, CACM 52(4) 2009, doi 10.1145/1498765.1498785, per level.

Left out: tiles, waves, reuse below the level shown, overlap between operators.
"""

from dataclasses import replace

from picojoule.cost import Term
from picojoule.hardware import Architecture, Attained
from picojoule.quantity import product

from ._count import Outcome, add, arithmetic
from ._demand import Demand
from ._machine import CLASS_OF, keeps
from ._setting import Setting


def roofline(demand: Demand, setting: Setting) -> Outcome:
    """Actions and time terms of one operator."""
    architecture = setting.architecture
    share, label = attained(architecture, demand)
    counts, peaks = arithmetic(demand, architecture)
    terms = [
        Term(t.resource, t.seconds / share.compute.nominal, f"{t.key}·{label}.compute",
             product(t.rate, share.compute) if t.rate else share.compute)
        for t in peaks
    ]  # fmt: skip
    again = demand.weight_bytes * demand.repeats
    kept = demand.repeats == 1 or keeps(architecture, demand.weight_bytes)
    for index, memory in enumerate(architecture.memories):
        weights = demand.weight_bytes if index == 0 and kept else again
        read, write = demand.in_bytes + weights, demand.out_bytes
        if memory.group == "registers":
            read, write = demand.macs * demand.operand_bits // 8, 0
        add(counts, (memory.name, "read"), read)
        add(counts, (memory.name, "write"), write)
        if memory.bandwidth is not None and read + write:
            rate = product(memory.bandwidth, share.memory)
            terms.append(Term(memory.name, (read + write) / rate.nominal,
                              f"{architecture.name}.{memory.name}.bandwidth·{label}.memory", rate))  # fmt: skip
    launch = architecture.launch
    if launch is None or demand.idle:
        return Outcome(counts, tuple(terms), None)
    overhead = Term("launch", launch.nominal * demand.repeats, f"{architecture.name}.launch", replace(launch))
    return Outcome(counts, tuple(terms), overhead)


def attained(architecture: Architecture, demand: Demand) -> tuple[Attained, str]:
    """The share of this class in this dtype, if the machine tells dtypes apart; else of the class; else the default."""
    kind = CLASS_OF.get(demand.kind, "default")
    for name in (f"{kind}_{demand.dtype}", kind):
        if name in architecture.attained:
            return architecture.attained[name], f"{architecture.name}.attained.{name}"
    return architecture.attained["default"], f"{architecture.name}.attained.default"
