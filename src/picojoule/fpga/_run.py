"""One network on one design: cycles, bytes and seconds by layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from picojoule.quantity import Value

from ._resources import Board, Resources

Bound = Literal["compute", "memory", "start"]


@dataclass(frozen=True, slots=True)
class LayerRun:
    """All runs of one layer. `time_s` holds its start; `bound_by` the largest of the three parts."""

    name: str
    kind: str
    macs: int
    cycles: float
    size_bytes: float
    time_s: float
    bound_by: Bound


@dataclass(frozen=True, slots=True)
class Run:
    """A frame: latency of one alone, and the rate with every core busy. `left_out` are operators of a processor.

    `error` is the factor, not the bias, of this kind of design: latency ÷ spread … latency × spread in 90 %.
    """

    design: str
    dtype: str
    board: Board
    macs_per_cycle: int  # of one core
    cores: int
    pump: float  # clocks of the slices in a cycle
    used: Resources
    layers: tuple[LayerRun, ...]
    latency_s: float
    rate_per_s: float
    error: Value
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def macs(self) -> int:
        """Of one frame."""
        return sum(layer.macs for layer in self.layers)

    @property
    def cycles(self) -> float:
        """Of one frame on one core, memory aside."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def size_bytes(self) -> float:
        """Off-chip traffic of one frame."""
        return sum(layer.size_bytes for layer in self.layers)

    @property
    def utilisation(self) -> float:
        """MACs done over MACs possible in the latency of a frame."""
        return self.macs / (self.macs_per_cycle * self.board.clock_hz * self.latency_s) if self.latency_s else 0.0


def bound(compute_s: float, memory_s: float, start_s: float) -> Bound:
    """The largest of the three; compute wins a tie."""
    parts: Sequence[tuple[float, Bound]] = ((compute_s, "compute"), (memory_s, "memory"), (start_s, "start"))
    return max(parts, key=lambda part: part[0])[1]
