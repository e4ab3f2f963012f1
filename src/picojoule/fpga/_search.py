"""The best tiled design of a board for a network: every (outputs, inputs, tile) that can be best is tried."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

from ._fabric import Fabric
from ._layers import Layer
from ._resources import Board, over
from ._tiled import Tiled, tiled_bytes, tiled_resources

_LARGEST: Final = 4096  # sides of a tile; larger maps are cut


def unrollings(layers: Sequence[Layer], macs: int) -> NDArray[np.int64]:
    """Pairs (outputs, inputs) of at most `macs`, smallest of those that need as many sweeps of every layer.

    ⌈M/T⌉ takes few values as T grows: only the least T of each is kept, so that nothing faster or smaller is lost.
    """
    loops = [layer for layer in layers if layer.kind != "map"]
    wide = _steps({layer.outputs for layer in loops}, macs)
    deep = _steps({layer.inputs for layer in loops}, macs)
    pairs = np.stack(np.meshgrid(wide, deep, indexing="ij"), axis=-1).reshape(-1, 2)
    kept: NDArray[np.int64] = pairs[pairs[:, 0] * pairs[:, 1] <= macs]
    return kept


def _steps(sizes: set[int], limit: int) -> NDArray[np.int64]:
    """Every ⌈size/q⌉, ascending, up to `limit`."""
    found = {1}
    for size in sizes:
        q = np.arange(1, size + 1)
        found |= {int(step) for step in np.unique(-(-size // q)) if step <= limit}
    return np.array(sorted(found), dtype=np.int64)


def sides(layers: Sequence[Layer]) -> list[int]:
    """Sides of square tiles: each side of an output map over 1, 2, 3, 4, 6, 8. Oblong tiles are not tried."""
    every = {max(layer.rows, layer.columns) for layer in layers if layer.kind != "map"}
    return sorted({min(_LARGEST, -(-side // q)) for side in every for q in (1, 2, 3, 4, 6, 8)})


def best_tiled(layers: Sequence[Layer], board: Board, fabric: Fabric, dtype: str, bits: int) -> Tiled:
    """Least time of a frame; ties go to fewer slices, then to less block RAM. Raises InputError where nothing fits.

    Exhaustive over `unrollings` and `sides`; the time of all pairs of one tile is one array.
    """
    dsp, tables = fabric.dtype(dtype)
    macs = int(min(board.usable.dsp / dsp, board.usable.look_up_table / tables))
    counted: Counter[Layer] = Counter()
    for layer in layers:
        counted[replace(layer, name="", count=1)] += layer.count
    if not any(layer.kind != "map" for layer in counted):
        raise InputError("no layer has a product to unroll", expected="a network with convolutions or linear layers",
                         example="picojoule fpga resnet50 --on zcu102")  # fmt: skip
    pairs = unrollings(list(counted), macs)
    best: tuple[float, float, float] | None = None
    chosen: Tiled | None = None
    for side in sides(list(counted)):
        design = Tiled(1, 1, side, side, dtype, bits)
        seconds = _seconds(counted, pairs, design, board, fabric)
        order = np.lexsort((pairs[:, 0] * pairs[:, 1], np.round(seconds, 12)))
        for index in order:
            tried = replace(design, outputs=int(pairs[index, 0]), inputs=int(pairs[index, 1]))
            if best is not None and float(seconds[index]) > best[0]:
                break
            used = tiled_resources(list(counted), tried, fabric)
            if over(used, board):
                continue
            score = (float(seconds[index]), used.dsp, used.block_ram)
            if best is None or score < best:
                best, chosen = score, tried
            break
    if chosen is None:
        raise InputError(f"no tiled design fits {board.name}", expected="a board with more block RAM",
                         example="--on zcu102")  # fmt: skip
    return chosen


def _seconds(counted: "Counter[Layer]", pairs: NDArray[np.int64], design: Tiled, board: Board, fabric: Fabric) -> Any:
    """Time of a frame for every pair: the laws of `_tiled`, in arrays."""
    rate = board.bandwidth * board.memory_share
    total = np.zeros(len(pairs))
    for layer, count in counted.items():
        if layer.kind == "map":
            total += count * tiled_bytes(layer, design) / rate
            continue
        wide = -(-layer.outputs // pairs[:, 0])
        outer = layer.groups * wide * -(-layer.inputs // pairs[:, 1])
        tiles = math.ceil(layer.rows / design.rows) * math.ceil(layer.columns / design.columns)
        points = layer.rows * layer.columns * layer.kernel[0] * layer.kernel[1]
        cycles = outer * (points + tiles * fabric.rates["pipeline"].nominal)
        # Inputs are read again in each sweep of the outputs; weights and outputs do not depend on the pair.
        once = tiled_bytes(layer, replace(design, outputs=layer.outputs))
        again = tiled_bytes(layer, replace(design, outputs=1)) - once if layer.outputs > 1 else 0.0
        size = once + again * (wide - 1) / max(1, layer.outputs - 1)
        total += count * np.maximum(cycles / board.clock_hz, size / rate)
    return total
