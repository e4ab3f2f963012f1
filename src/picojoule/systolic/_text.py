"""One network on one array in 80 columns."""

from picojoule.workload import Workload

from ._array import DATAFLOWS
from ._layers import Layer, layers

_WHAT = {"os": "output stationary", "ws": "weight stationary", "is": "input stationary"}


def lines(workload: Workload, rows: int, cols: int, *, top: int = 10, convention: str = "exact") -> list[str]:
    """The three dataflows of the whole network, then the `top` layers of the fastest that take longest."""
    found = {flow: tuple(layers(workload, flow, rows, cols, convention=convention)) for flow in DATAFLOWS}
    title = f"{workload.name} on a systolic array of {rows}×{cols}, {convention} counts"
    if not found["os"]:
        return [title, "no operator is a matrix product"]
    text = [title, "", f"{'dataflow':<20}{'cycles':>18}{'used':>8}{'buffer accesses':>20}"]
    total = {flow: sum(one.cycles for one in of) for flow, of in found.items()}
    for flow, of in found.items():
        used = sum(one.gemm.macs for one in of) / (rows * cols * total[flow])
        text.append(f"{_WHAT[flow]:<20}{total[flow]:>18,}{used:>8.1%}{sum(one.sram for one in of):>20,}")
    best = min(total, key=lambda flow: total[flow])
    text += ["", f"{_WHAT[best]}, slowest layers:", f"{'layer':<36}{'M×N×K':>22}{'cycles':>14}{'used':>8}"]
    slowest = sorted(found[best], key=lambda one: one.cycles, reverse=True)[:top]
    return [*text, *(_row(one) for one in slowest)]


def _row(one: Layer) -> str:
    gemm = one.gemm
    size = f"{gemm.m}×{gemm.n}×{gemm.k}" + (f" ·{gemm.count}" if gemm.count > 1 else "")
    name = one.name if len(one.name) <= 35 else "…" + one.name[-34:]
    return f"{name:<36}{size:>22}{one.cycles:>14,}{one.utilisation:>8.1%}"
