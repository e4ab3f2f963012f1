"""Time of a convolution on a GPU: the cheapest of an implicit matrix product, a Winograd transform and a direct kernel.

    t = t0 + (t_direct^−w + t_winograd^−w + t_grouped^−w)^(−1/w)

t_direct is the time of a product with m = batch·out², n = cout/groups, k = cin/groups·kernel², `groups` times, in the
tiles that FP32 kernels name, sums not split, whose operands are read once as images. t_winograd, for 3×3 kernels of
stride 1, is 16 products with k = cin on 2×2 outputs (2.25 times fewer multiplications) at `winograd_share` of the rate,
and the passes that transform images. With groups a third way computes each output straight from its window, at
`grouped_share` of the peak or of the bandwidth: what depthwise layers run by. w says how well the library picks: it
cannot time every algorithm. A. Lavin, S. Gray, CVPR 2016, arXiv:1509.09308.

Left out: FFT, TF32 on matrix units unless the dtype says so, the layout changes between two libraries' formats.
"""

import numpy as np

from . import _gemm
from ._law import Array, Law, Parameter, Rows, Time, columns, number_format, waves
from ._sheet import Sheet

COLUMNS = ("batch", "cin", "cout", "kernel", "size", "stride", "padding", "groups")
TILES = ((128, 32), (128, 64), (128, 128))  # of FP32 kernels, as their names tell; sums are not split
PARAMETERS = (
    Parameter("compute_share", "1", "share of the sheet's peak that a large product reaches", 0.05, 1.2),
    Parameter("memory_share", "1", "share of the sheet's bandwidth", 0.1, 1.25),
    Parameter("launch_cycles", "cycles", "from launch to first load", 500, 3e5),
    Parameter("blend", "1", "how far compute and memory overlap: 1 not at all", 1, 12),
    Parameter("edge", "1", "extra loads of small tiles", 0.01, 60),
    Parameter("step_cycles", "cycles", "latency of one element of k", 1e-2, 1000),
    Parameter("winograd_share", "1", "rate of the transformed products, over that of a direct one", 0.05, 1.5),
    Parameter("choice", "1", "how sharply the library picks the faster algorithm", 1, 20),
    Parameter("grouped_share", "1", "share of the sheet's peak that a grouped kernel reaches", 0.01, 1),
    Parameter("transform_passes", "1", "passes over the images to transform them", 0.2, 20),
)


def out_size(size: Array, kernel: Array, stride: Array, padding: Array) -> Array:
    """Rows of the result: floor((size + 2·padding − kernel) / stride) + 1, at least 1."""
    return np.asarray(np.maximum(1, np.floor((size + 2 * padding - kernel) / stride) + 1))


def prepare(rows: Rows, sheet: Sheet, dtype: str) -> Time:
    """Seconds of each row. Images and kernels are square."""
    b, cin, cout, kernel, size, stride, padding, groups = columns(rows, COLUMNS)
    out = out_size(size, kernel, stride, padding)
    store = number_format(dtype)
    image = store.a_bytes * b * cin * size**2 + store.b_bytes * cin / groups * cout * kernel**2
    shape = {"m": b * out**2, "n": cout / groups, "k": cin / groups * kernel**2, "batch": groups}
    direct = _gemm.prepare(shape, sheet, dtype, image, TILES, (1,))
    small = np.ceil(out / 2) ** 2
    sixteen = {"m": b * small, "n": cout, "k": cin, "batch": np.full(len(b), 16.0)}
    transformed = _gemm.prepare(sixteen, sheet, dtype, None, TILES, (1,))
    pass_s = store.a_bytes * b * (cin * size**2 + cout * out**2) / sheet.bandwidth_bytes_per_s
    operations, moved = work(rows, dtype)
    straight_s, moved_s = operations / sheet.peak(store.peak), moved / sheet.bandwidth_bytes_per_s
    able = (kernel == 3) & (stride == 1) & (groups == 1)
    hertz = sheet.clock_hz

    def time(theta: Array) -> Array:
        compute, memory, launch, power, edge, step, winograd, choice, grouped, passes = np.exp(theta)
        inner = np.log([compute, memory, 1e-9, power, edge, 1e4, step, 1.0, 1.0, 1.0])
        one = direct(inner)
        faster = inner.copy()
        faster[0] = np.log(compute * winograd)
        other = np.where(able, transformed(faster) + passes * pass_s / memory, np.inf)
        third = np.where(groups > 1, np.maximum(straight_s / grouped, moved_s / memory), np.inf)
        least = np.minimum(np.minimum(one, other), third)
        chosen = least * sum((way / least) ** -choice for way in (one, other, third)) ** (-1 / choice)
        return np.asarray(chosen + launch / hertz)

    return time


def work(rows: Rows, dtype: str) -> tuple[Array, Array]:
    """Operations of the direct algorithm, two per MAC, and bytes when every operand moves once."""
    b, cin, cout, kernel, size, stride, padding, groups = columns(rows, COLUMNS)
    out, store = out_size(size, kernel, stride, padding), number_format(dtype)
    operations = 2 * b * out**2 * cout * cin / groups * kernel**2
    size_bytes = (
        store.a_bytes * b * cin * size**2
        + store.b_bytes * cin / groups * cout * kernel**2
        + store.c_bytes * b * cout * out**2
    )
    return operations, size_bytes


def place(rows: Rows, sheet: Sheet) -> Array:
    """Axes of the residual surface: octaves of each size, waves, and which channels fit a vector load."""
    b, cin, cout, kernel, size, stride, padding, groups = columns(rows, COLUMNS)
    out = out_size(size, kernel, stride, padding)
    tiles = groups * np.ceil(b * out**2 / 128) * np.ceil(cout / groups / 128)
    return np.stack([np.log2(b * out**2), np.log2(cin), np.log2(cout), 2 * kernel, 0.5 * np.log2(out), 4 * np.log2(stride),
                     np.log2(groups), 4 * np.log2(waves(tiles, sheet.multiprocessors)),
                     1.0 * (cin % 4 == 0), 1.0 * (cout % 4 == 0)], axis=1)  # fmt: skip


CONVOLUTION = Law("convolution", COLUMNS, PARAMETERS, prepare, place, ("cin", "cout"), work, "convolution", alike=True)
