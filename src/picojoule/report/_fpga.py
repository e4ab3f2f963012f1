"""FPGA designs as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picojoule.fpga import Power, Run


def fpga_json(model: str, batch: int, found: "Sequence[tuple[Run, Power]]") -> dict[str, Any]:
    """`found` as picojoule/fpga/1: board, then every design with resources, layers, time, energy and left-overs."""
    board = found[0][0].board
    return {
        "schema": "picojoule/fpga/1", "model": model, "samples_per_frame": batch,
        "board": {"name": board.name, "clock_hz": board.clock_hz, "bandwidth_bytes_per_s": board.bandwidth,
                  "resources": board.has.as_dict(), "usable": board.usable.as_dict()},
        "designs": [_design(run, power) for run, power in found],
    }  # fmt: skip


def _design(run: "Run", power: "Power") -> dict[str, Any]:
    spread = run.error.spread
    return {
        "name": run.design, "dtype": run.dtype, "cores": run.cores,
        "macs_per_cycle": run.macs_per_cycle, "used": run.used.as_dict(),
        "latency_s": {"value": run.latency_s, "low": run.latency_s / spread, "high": run.latency_s * spread},
        "frames_per_s": {"value": run.rate_per_s, "low": run.rate_per_s / spread, "high": run.rate_per_s * spread},
        "utilisation": run.utilisation, "macs": run.macs, "cycles": run.cycles, "offchip_bytes": run.size_bytes,
        "energy_j": {"value": power.energy_j, "low": power.energy_low_j, "high": power.energy_high_j},
        "power_w": {"value": power.power_w, "low": power.power_low_w, "high": power.power_high_w},
        "energy_parts_j": dict(power.parts_j),
        "sources": {name: {"value": price.nominal, "unit": price.unit, "spread": price.spread, "source": price.source,
                           "provenance": price.provenance} for name, price in power.prices.items()},
        "layers": [{"name": layer.name, "kind": layer.kind, "macs": layer.macs, "cycles": layer.cycles,
                    "offchip_bytes": layer.size_bytes, "time_s": layer.time_s, "bound_by": layer.bound_by}
                   for layer in run.layers],
        "left_out": list(run.left_out), "notes": list(run.notes),
    }  # fmt: skip
