"""A DPU-like overlay: instructions drive one array of pixels × input channels × output channels, whatever the network.

    operations per cycle = 2 · pixels · inputs · outputs                       (b4096: 8 · 16 · 16)
    slices     = pixels · inputs · outputs / (pump / dsp_per_mac) + pixels · outputs + 2
    block RAM  = (groups · pixels + outputs + 2) · ⌈inputs · 8 bit / 9⌉ / 2
    image store = groups · pixels · inputs · depth bytes

The first term of the slices multiplies (two 8-bit products in a slice at twice the clock), the second accumulates.
Each memory unit is `inputs` bytes wide and 2,048 deep, so ⌈inputs · 8 / 9⌉ halves of a block RAM of 2 K × 9; there are
`groups` (2: low use, 3: high) units a pixel for feature maps, one an output channel for weights, two more for spare
weights and biases. An UltraRAM is 72 bits wide and deep enough for one unit. Both laws give every figure of the
product guide (PG338 v1.2 table 9, v4.1 RAM usage) exactly.

Time of a layer, by name of its kind (R rows, C columns of the output map, G groups):

    conv, product: cycles = G · R · ⌈C/pixels⌉ · ⌈M/outputs⌉ · ⌈N/inputs⌉ · kernel
    depthwise:     cycles = depthwise · R · ⌈C/pixels⌉ · ⌈channels/outputs⌉ · kernel
    map:           cycles = ⌈elements/(pixels · outputs)⌉ · kernel
    time = max(cycles/clock, bytes/rate) + layer;   rate = min(port_share · port · clock, memory_share · bandwidth / n)

Weights stream once; a layer whose input and output fit the image store together leaves both on the chip. n is the
number of cores that run: 1 for the latency of a frame alone, all for the rate, and the rate has no `frame` (the
processor's time between frames, hidden by a second thread). Left out: reloading weights where a map is cut into
strips, waiting for instructions, prefetching across layers, the processor's own operators. A residual sum is a map of
its own: taking it as part of the layer before moves fewer bytes but fits the measured frame rates worse.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ._fabric import Core, Fabric
from ._layers import Layer
from ._resources import Board, Resources
from ._run import LayerRun, Run, bound

OVERLAY_DTYPE: Final = "int8"
_RAM_BITS, _ULTRA_BITS = 9, 72  # widths of half a block RAM at 2 K words and of an UltraRAM


@dataclass(frozen=True, slots=True)
class Overlay:
    """`cores` copies of one core; `groups` of memory units a pixel for feature maps: 2 or 3."""

    core: Core
    cores: int
    groups: int

    @property
    def name(self) -> str:
        """As `--design` takes it, with the number of cores."""
        return f"{self.cores} × dpu-{self.core.name}"


def units(overlay: Overlay) -> int:
    """Memory units of one core."""
    return overlay.groups * overlay.core.pixels + overlay.core.outputs + 2


def image_bytes(overlay: Overlay, fabric: Fabric) -> int:
    """What one core keeps of feature maps [B]."""
    return int(overlay.groups * overlay.core.pixels * overlay.core.inputs * fabric.overlay["depth"].nominal)


def overlay_resources(overlay: Overlay, board: Board, fabric: Fabric) -> Resources:
    """Of all cores; memory units go to UltraRAM while the board lets them."""
    core = overlay.core
    packed = fabric.overlay["pump"].nominal / fabric.dsp_per_mac[OVERLAY_DTYPE].nominal
    dsp = math.ceil(core.macs / packed) + core.pixels * core.outputs + 2
    ultra_each = math.ceil(core.inputs * 8 / _ULTRA_BITS)
    every = overlay.cores * units(overlay)
    in_ultra = min(every, int(board.usable.ultra_ram // ultra_each))
    block_ram = (every - in_ultra) * math.ceil(core.inputs * 8 / _RAM_BITS) / 2
    return Resources(overlay.cores * dsp, block_ram, in_ultra * ultra_each, overlay.cores * core.look_up_tables.nominal)


def overlay_cycles(layer: Layer, core: Core, fabric: Fabric) -> float:
    """Cycles of one run of `layer` on one core, at least MACs / (pixels · inputs · outputs)."""
    taps = layer.kernel[0] * layer.kernel[1]
    if layer.kind == "map":
        return float(math.ceil(layer.outputs / (core.pixels * core.outputs)) * taps)
    strips = layer.rows * math.ceil(layer.columns / core.pixels) * taps
    if layer.kind == "depthwise":
        channels = math.ceil(layer.groups * layer.outputs / core.outputs)
        return fabric.rates["depthwise"].nominal * strips * channels
    pairs = math.ceil(layer.outputs / core.outputs) * math.ceil(layer.inputs / core.inputs)
    return float(layer.groups * strips * pairs)


def overlay_bytes(layers: Sequence[Layer], overlay: Overlay, fabric: Fabric) -> list[int]:
    """Off-chip bytes of one run of each layer, int8: weights, and maps that do not stay; the first input always."""
    room = image_bytes(overlay, fabric)
    found = []
    for index, layer in enumerate(layers):
        stays = layer.input_elements + layer.output_elements <= room
        maps = 0 if stays else layer.input_elements + layer.output_elements
        if stays and index == 0:
            maps = layer.input_elements
        if stays and index == len(layers) - 1:
            maps += layer.output_elements
        found.append(maps + layer.weight_elements)
    return found


def overlay_rate(board: Board, fabric: Fabric, running: int) -> float:
    """Bytes per second of one core while `running` cores run."""
    port = fabric.rates["port_share"].nominal * fabric.overlay["port"].nominal * board.clock_hz
    return min(port, fabric.rates["memory_share"].nominal * board.bandwidth / running)


def overlay_run(layers: Sequence[Layer], overlay: Overlay, board: Board, fabric: Fabric,
                left_out: tuple[str, ...] = ()) -> Run:  # fmt: skip
    """Latency of a frame on one core, and frames per second with every core at work."""
    alone = _layers(layers, overlay, board, fabric, 1)
    crowd = _layers(layers, overlay, board, fabric, overlay.cores) if overlay.cores > 1 else alone
    return Run(
        overlay.name, OVERLAY_DTYPE, board, overlay.core.macs, overlay.cores, fabric.overlay["pump"].nominal,
        overlay_resources(overlay, board, fabric), alone,
        sum(layer.time_s for layer in alone) + fabric.rates["frame"].nominal,
        overlay.cores / sum(layer.time_s for layer in crowd) if crowd else 0.0,
        fabric.rates["overlay_error"], left_out, _notes(overlay, fabric),
    )  # fmt: skip


def _notes(overlay: Overlay, fabric: Fabric) -> tuple[str, ...]:
    most = int(fabric.overlay["most"].nominal)
    said = f"{overlay.name}: rates of an overlay were measured with at most {most} cores on one memory"
    return (said,) if overlay.cores > most else ()


def _layers(
    layers: Sequence[Layer], overlay: Overlay, board: Board, fabric: Fabric, running: int
) -> tuple[LayerRun, ...]:
    rate, start = overlay_rate(board, fabric, running), fabric.rates["layer"].nominal
    made = []
    for layer, size in zip(layers, overlay_bytes(layers, overlay, fabric), strict=True):
        cycles = overlay_cycles(layer, overlay.core, fabric)
        compute, memory = cycles / board.clock_hz, size / rate
        made.append(LayerRun(layer.name, layer.kind, layer.count * layer.macs, layer.count * cycles, layer.count * size,
                             layer.count * (max(compute, memory) + start), bound(compute, memory, start)))  # fmt: skip
    return tuple(made)
