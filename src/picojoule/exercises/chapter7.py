"""Chapter 7: accelerators of the market, read from the hardware library."""

from picojoule.quantity import format_quantity

from ._findings import Findings
from ._task import Task, solves


@solves("7.1")
def accelerators(task: Task, findings: Findings) -> None:
    """Peak, bandwidth and power of each machine named."""
    from picojoule._api import read_hardware

    names = [task.hardware] if task.hardware else task["machines"]
    for name in names:
        machine = read_hardware(name).architecture
        peaks = {dtype: unit.peak[dtype] for unit in machine.compute for dtype in unit.peak if unit.unit == "matrix"}
        peaks = peaks or {dtype: unit.peak[dtype] for unit in machine.compute for dtype in unit.peak}
        bandwidth, power = machine.memories[0].bandwidth, machine.max_power
        row = {
            "peak_ops_per_s": {dtype: value.nominal for dtype, value in peaks.items()},
            "bandwidth_Bps": bandwidth.nominal if bandwidth else None,
            "power_W": power.nominal if power else None,
            "recalled": sorted(
                label for label, value in [*peaks.items(), ("bandwidth", bandwidth), ("power", power)]
                if value is not None and value.provenance == "recalled"
            ),
        }  # fmt: skip
        findings.put(machine.name, row, "ops/s, B/s, W")
        dense = ", ".join(f"{dtype} {format_quantity(value.nominal, 'op/s')}" for dtype, value in peaks.items())
        rate = format_quantity(bandwidth.nominal, "B/s") if bandwidth else "?"
        watts = format_quantity(power.nominal, "W") if power else "?"
        sources = ", ".join(sorted({v.source for v in (*peaks.values(), bandwidth, power) if v is not None}))
        findings.say(f"{machine.title} ({machine.vendor}): {dense}; {rate}; {watts}; source: {sources}",
                     f"{machine.title}（{machine.vendor}）：{dense}；{rate}；{watts}；来源：{sources}")  # fmt: skip
