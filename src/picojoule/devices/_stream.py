"""Time of a kernel that only moves data: norms, softmax, activations, additions, copies, embeddings.

    t = (t0^p + (bytes / (η_m·bandwidth·boost))^p)^(1/p)-like blend,   boost as for products

`bytes` is what the kernel reads and writes; data that stay in the L2 from the kernel before come faster. `rows` is how
many rows are normalised, `width` elements of each: very wide or very narrow rows fill the multiprocessors badly.
"""

import numpy as np

from ._law import Array, Law, Parameter, Rows, Time, blend, columns
from ._sheet import Sheet

COLUMNS = ("bytes", "rows")
PARAMETERS = (
    Parameter("memory_share", "1", "share of the sheet's bandwidth", 0.05, 1.4),
    Parameter("launch_cycles", "cycles", "a kernel that moves nothing", 300, 1e6),
    Parameter("blend", "1", "how far launch and traffic overlap: 1 not at all", 0.6, 4),
    Parameter("cache_boost", "1", "bandwidth of data that stay in the L2, over that of memory", 1, 6),
    Parameter("cache_share", "1", "share of the L2 up to which they stay", 0.02, 3),
    Parameter("row_cycles", "cycles", "one row beyond its bytes, each multiprocessor", 0.5, 3000),
)


def prepare(rows: Rows, sheet: Sheet, _dtype: str) -> Time:
    """Seconds of each row of the table."""
    size, lines = columns(rows, COLUMNS)
    memory_s = size / sheet.bandwidth_bytes_per_s
    filled = size / (sheet.l2_bytes or 1.0)
    share, hertz = lines / sheet.multiprocessors, sheet.clock_hz

    def time(theta: Array) -> Array:
        memory, launch, power, boost, cache, line = np.exp(theta)
        faster = memory * (1 + (boost - 1) / (1 + (filled / cache) ** 4))
        moving = np.maximum(memory_s / faster, line * share / hertz)
        return blend(np.full(len(size), launch / hertz), moving, power)

    return time


def work(rows: Rows, _dtype: str) -> tuple[Array, Array]:
    """No operations that count, and the bytes."""
    size, _ = columns(rows, COLUMNS)
    return np.zeros(len(size)), size


def place(rows: Rows, sheet: Sheet) -> Array:
    """Axes of the residual surface: octaves of bytes over L2, and of rows."""
    size, lines = columns(rows, COLUMNS)
    return np.stack([np.log2(size / (sheet.l2_bytes or 1.0)), np.log2(lines / sheet.multiprocessors)], axis=1)


STREAM = Law("stream", COLUMNS, PARAMETERS, prepare, place, ("rows",), work, "stream", alike=True)
