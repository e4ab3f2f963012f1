"""Energy of a frame and power of a board: static, slices, block RAM, tables and memory, each a count times a price.

    energy = static · seconds + (e_dsp · slices · pump · busy + (e_ram · RAM + e_table · tables) · cycles) · node/28 nm
             + e_memory · bytes
    power  = energy · frames per second

busy are cycles in which the array works, cycles all that pass until the frame is done; an UltraRAM counts as a block
RAM. The three energies per cycle are recalled and wide: three published totals cannot tell four unknowns apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picojoule.hardware import STATIC, Architecture, Technology
from picojoule.quantity import InputError, Value

from ._fabric import Fabric
from ._run import Run

PARTS = ("static", "dsp", "block_ram", "look_up_table", "memory")


@dataclass(frozen=True, slots=True)
class Power:
    """Of one frame with every core busy; `parts_j` sum to `energy_j`. Lows and highs are quantiles of 5 and 95 %."""

    energy_j: float
    energy_low_j: float
    energy_high_j: float
    power_w: float
    power_low_w: float
    power_high_w: float
    parts_j: dict[str, float]
    prices: dict[str, Value]


def power(run: Run, machine: Architecture, technology: Technology, fabric: Fabric, *, draws: int = 1000,
          seed: int = 0) -> Power:  # fmt: skip
    """What `run` draws. Raises InputError where the node or a price of the board is unknown."""
    if machine.node is None:
        raise InputError(f"{machine.name} states no node", where="--on", expected="node: 16 nm in its file",
                         example="--on zcu102")  # fmt: skip
    counts, prices = _counts(run), _prices(machine, technology, fabric)
    normal = np.random.default_rng(seed).standard_normal((len(PARTS) + 1, draws))
    normal[:, 0] = 0.0  # column 0 is nominal
    factor = machine.node.nominal / fabric.node.nominal
    seconds = 1.0 / run.rate_per_s
    # A slower frame costs static energy and clocked cycles in proportion; work and traffic stay as they are.
    slower: NDArray[np.float64] = np.exp(run.error.sigma * normal[-1])
    rows = []
    for part, z in zip(PARTS, normal, strict=False):
        price = prices[part].nominal * np.exp(prices[part].sigma * z)
        scaled = price * (1.0 if part in ("static", "memory") else factor)
        rows.append(scaled * counts[part] * (1.0 if part in ("dsp", "memory") else slower))
    parts = np.stack(rows)
    energy = parts.sum(axis=0)
    watts = energy / (seconds * slower)
    low, high = np.quantile(energy[1:], (0.05, 0.95))
    low_w, high_w = np.quantile(watts[1:], (0.05, 0.95))
    return Power(float(energy[0]), float(low), float(high), float(watts[0]), float(low_w), float(high_w),
                 dict(zip(PARTS, map(float, parts[:, 0]), strict=True)), prices)  # fmt: skip


def _counts(run: Run) -> dict[str, float]:
    """Seconds, cycles and bytes of one frame; all resources clock while it passes through, and frames share them."""
    seconds = 1.0 / run.rate_per_s
    passed = seconds * run.board.clock_hz
    return {
        "static": seconds, "dsp": run.used.dsp / run.cores * run.cycles * run.pump,
        "block_ram": (run.used.block_ram + run.used.ultra_ram) * passed, "look_up_table": run.used.look_up_table * passed,
        "memory": run.size_bytes,
    }  # fmt: skip


def _prices(machine: Architecture, technology: Technology, fabric: Fabric) -> dict[str, Value]:
    static = machine.idle_power or fabric.static.get(machine.name) or technology.price(STATIC)
    return {"static": static, **{part: fabric.energies[part] for part in PARTS[1:4]},
            "memory": technology.price((machine.memories[0].name, "read"))}  # fmt: skip
