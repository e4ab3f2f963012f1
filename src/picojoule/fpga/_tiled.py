"""A tiled accelerator after Zhang et al. (FPGA 2015): `outputs` × `inputs` MACs unrolled, tiles of rows × columns.

    cycles = G · ⌈M/outputs⌉ · ⌈N/inputs⌉ · (R · C · kernel + ⌈R/rows⌉ · ⌈C/columns⌉ · pipeline)
    bytes  = word · G · ⌈M/outputs⌉ · tiles · (⌈N/inputs⌉ · (B_in + B_weight) + B_out)
    B_in = inputs · (S·rows + K - S) · (S·columns + K - S),  B_weight = outputs · inputs · K²,  B_out = outputs · rows · columns
    ratio = 2 · MACs / bytes                                   computation to communication
    time = max(cycles/clock, bytes/rate): two sets of buffers, one loads while the other computes
    slices = dsp_per_mac · outputs · inputs
    block RAM = 2 · (inputs + outputs + outputs · inputs banks), each of its depth; small banks are look-up tables

An output tile stays until its sum is whole. Edge tiles take and move only their own size (bytes here sum exactly what
the tiles touch, so B_in above is that of a full tile). Depthwise layers have one input channel a group, and fill one of
`inputs` columns; products are one row of pixels; maps (pool, residual sum) stream through at the rate of the memory.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ._fabric import Fabric
from ._layers import Layer
from ._resources import Board, Resources, halves
from ._run import LayerRun, Run, bound


@dataclass(frozen=True, slots=True)
class Tiled:
    """Tm = `outputs`, Tn = `inputs`, Tr = `rows`, Tc = `columns`; `bits` of a word of `dtype`."""

    outputs: int
    inputs: int
    rows: int
    columns: int
    dtype: str
    bits: int

    @property
    def name(self) -> str:
        """With its four sizes."""
        return f"tiled {self.outputs} × {self.inputs}, tile {self.rows} × {self.columns}"


def tiled_resources(layers: Sequence[Layer], design: Tiled, fabric: Fabric) -> Resources:
    """Slices, block RAM and look-up tables; the buffers hold the largest tile that `layers` ask for."""
    dsp, tables = fabric.dtype(design.dtype)
    macs = design.outputs * design.inputs
    loops = [layer for layer in layers if layer.kind != "map"]
    read = max((_span(layer, 0, design) * _span(layer, 1, design) for layer in loops), default=1)
    written = max((min(layer.rows, design.rows) * min(layer.columns, design.columns) for layer in loops), default=1)
    taps = max((layer.kernel[0] * layer.kernel[1] for layer in loops), default=1)
    banks = ((design.inputs, read), (design.outputs, written), (macs, taps))
    limit = fabric.block_ram["distributed"].nominal
    ram = sum(2 * n * halves(depth, design.bits) for n, depth in banks if depth * design.bits > limit)
    return Resources(math.ceil(dsp * macs), ram / 2, 0.0, tables * macs)


def _span(layer: Layer, axis: int, design: Tiled) -> int:
    """Input rows or columns that one full tile reads."""
    tile = min((layer.rows, layer.columns)[axis], (design.rows, design.columns)[axis])
    return layer.stride[axis] * (tile - 1) + layer.kernel[axis]


def tiled_cycles(layer: Layer, design: Tiled, fabric: Fabric) -> float:
    """Cycles of one run, at least MACs / (outputs · inputs); a map takes none."""
    if layer.kind == "map":
        return 0.0
    tiles = math.ceil(layer.rows / design.rows) * math.ceil(layer.columns / design.columns)
    points = layer.rows * layer.columns * layer.kernel[0] * layer.kernel[1]
    outer = layer.groups * math.ceil(layer.outputs / design.outputs) * math.ceil(layer.inputs / design.inputs)
    return outer * (points + tiles * fabric.rates["pipeline"].nominal)


def tiled_bytes(layer: Layer, design: Tiled) -> float:
    """Off-chip bytes of one run."""
    word = design.bits / 8
    if layer.kind == "map":
        return word * (layer.input_elements + layer.weight_elements + layer.output_elements)
    tiles = math.ceil(layer.rows / design.rows) * math.ceil(layer.columns / design.columns)
    sweeps = math.ceil(layer.outputs / design.outputs)
    read = sweeps * layer.inputs * _swept(layer, 0, design.rows) * _swept(layer, 1, design.columns)
    weights = tiles * layer.outputs * layer.inputs * layer.kernel[0] * layer.kernel[1]
    return word * layer.groups * (read + weights + layer.outputs * layer.rows * layer.columns)


def _swept(layer: Layer, axis: int, tile: int) -> int:
    """Input rows or columns that all tiles read together, overlaps again."""
    side, stride, kernel = (layer.rows, layer.columns)[axis], layer.stride[axis], layer.kernel[axis]
    whole, rest = divmod(side, min(tile, side))
    return whole * (stride * (min(tile, side) - 1) + kernel) + (stride * (rest - 1) + kernel if rest else 0)


def tiled_ratio(layer: Layer, design: Tiled) -> float:
    """Operations, two a MAC, for each byte moved."""
    return 2 * layer.macs / tiled_bytes(layer, design)


def tiled_run(layers: Sequence[Layer], design: Tiled, board: Board, fabric: Fabric,
              left_out: tuple[str, ...] = ()) -> Run:  # fmt: skip
    """One frame after the other."""
    rate = board.bandwidth * board.memory_share
    made = []
    for layer in layers:
        cycles, size = tiled_cycles(layer, design, fabric), tiled_bytes(layer, design)
        compute, memory = cycles / board.clock_hz, size / rate
        made.append(LayerRun(layer.name, layer.kind, layer.count * layer.macs, layer.count * cycles, layer.count * size,
                             layer.count * max(compute, memory), bound(compute, memory, 0.0)))  # fmt: skip
    latency = sum(layer.time_s for layer in made)
    return Run(design.name, design.dtype, board, design.outputs * design.inputs, 1, 1.0, tiled_resources(layers, design, fabric),
               tuple(made), latency, 1 / latency if latency else 0.0, fabric.rates["tiled_error"], left_out)  # fmt: skip
