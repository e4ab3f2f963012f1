"""Cycles: the MACs' own steps, or the busiest port."""

from collections.abc import Mapping

from ._accelerator import Accelerator
from ._traffic import Traffic


def port_cycles(accelerator: Accelerator, moved: Traffic) -> Mapping[tuple[str, str], float]:
    """Cycles of every port with a known bandwidth: words / (instances · words per cycle).

    A level has a read port and a write port (writes and updates), or a bus in bits that all share. Inside the array
    the PEs in use share the words evenly. Ports work at the same time; ramp-up and conflicts are left out.
    """
    found: dict[tuple[str, str], float] = {}
    for index, level in enumerate(accelerator.levels):
        instances = moved.pes if index > accelerator.fanout else 1
        for port, bandwidth in (("read", level.read_bandwidth), ("write", level.write_bandwidth)):
            if bandwidth is not None:
                total = sum(
                    count
                    for (name, _, action), count in moved.counts.items()
                    if name == level.name and (action == "read") == (port == "read")
                )
                found[level.name, port] = total / instances / bandwidth
        if level.bus_bits is not None:
            bits = sum(n * accelerator.bits[role] for (name, role, _), n in moved.counts.items() if name == level.name)
            found[level.name, "bus"] = bits / instances / level.bus_bits
    return found


def latency(accelerator: Accelerator, moved: Traffic) -> float:
    """max(steps of the MACs, cycles of each port)."""
    return max([float(moved.steps), *port_cycles(accelerator, moved).values()])
