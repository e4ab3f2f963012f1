"""R×C systolic arrays, closed forms over whole arrays of arrays and layers.

One layer is Y[M, N] = X[M, K]·W[K, N]: X the ifmap, W the filters, Y the ofmap. One operand stays, the rest streams:

    dataflow   down the rows (Sr)   along the columns (Sc)   in time (T)   stays
    os         M                    N                        K             partial sums
    ws         K                    N                        M             filters
    is         K                    M                        N             ifmap

The array works through ⌈Sr/R⌉·⌈Sc/C⌉ folds. A fold of r ≤ R rows, c ≤ C columns is busy T + r + c - 2 cycles (skewed
operands enter, the last product is in the far corner); ws and is load the operand that stays before that, r cycles.
Over all folds Σr = Sr·⌈Sc/C⌉ and Σc = Sc·⌈Sr/R⌉, so the sum over ragged folds is closed too:

    exact, os:      ⌈Sc/C⌉·Sr + ⌈Sr/R⌉·Sc + ⌈Sr/R⌉·⌈Sc/C⌉·(T - 2)      `drain`: + ⌈Sc/C⌉·Sr - ⌈Sr/R⌉·⌈Sc/C⌉
    exact, ws, is:  2·⌈Sc/C⌉·Sr + ⌈Sr/R⌉·Sc + ⌈Sr/R⌉·⌈Sc/C⌉·(T - 2)

`drain`: sums leave an output-stationary array down its columns, r - 1 cycles a fold, before the next fold starts.

`convention="scalesim"` counts as SCALE-Sim 3.0.0 does. Where it differs:

    1. every fold takes the time of a full one, R and C for r and c;
    2. the total is one cycle short: the index of the last cycle, not their number (its issue 125);
    3. os: R + C ofmap writes too many a fold (a 1×1×1 product on 8×8 reports 17 writes, not 1);
    4. ws, is: partial sums are written once a K fold and never read back; here they are `psum_reads`;
    5. a convolution whose stride does not divide gets one row and column of windows too many (see `conv_gemm`);
    6. ws, is: its "Compute Util" divides by folds of 2R + 2C + T - 3 cycles, not by those of its own total; its DRAM
       ofmap writes are the SRAM writes, every partial sum, rounded up to whole lines of its last drain.

Left out: stalls, prefetch, folds that overlap, banks.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from picojoule.quantity import InputError

DATAFLOWS: Final = ("os", "ws", "is")
CONVENTIONS: Final = ("exact", "scalesim")
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Counts:
    """Of every point, in the shape that arrays and layers broadcast to. Words, not bytes.

    `utilisation` is MACs over R·C·cycles, `mapping` the share of the array that a mean fold covers. DRAM counts are
    compulsory: what buffers large enough leave (filters and ofmap; the ifmap is the layer's, before it is unrolled).
    """

    cycles: Ints
    macs: Ints
    folds: Ints
    utilisation: NDArray[np.float64]
    mapping: NDArray[np.float64]
    ifmap_reads: Ints
    filter_reads: Ints
    ofmap_writes: Ints
    psum_reads: Ints
    dram_filter_reads: Ints
    dram_ofmap_writes: Ints

    @property
    def sram(self) -> Ints:
        """All accesses of the three buffers."""
        return self.ifmap_reads + self.filter_reads + self.ofmap_writes + self.psum_reads


def systolic(
    dataflow: str,
    rows: ArrayLike,
    cols: ArrayLike,
    m: ArrayLike,
    n: ArrayLike,
    k: ArrayLike,
    *,
    convention: str = "exact",
    drain: bool = False,
) -> Counts:
    """Counts of M×N×K products on R×C arrays; all five broadcast: rows[:, None] against m[None, :] is a table."""
    if dataflow not in DATAFLOWS:
        raise InputError(f"unknown dataflow {dataflow!r}", expected=f"one of {', '.join(DATAFLOWS)}", example="ws")
    if convention not in CONVENTIONS:
        raise InputError(f"unknown convention {convention!r}", expected=f"one of {', '.join(CONVENTIONS)}",
                         example="exact")  # fmt: skip
    R, C, M, N, K = _whole(rows=rows, cols=cols, m=m, n=n, k=k)
    down, along, steps = {"os": (M, N, K), "ws": (K, N, M), "is": (K, M, N)}[dataflow]
    row_folds, col_folds = -(-down // R), -(-along // C)
    folds = row_folds * col_folds
    macs = M * N * K
    if convention == "exact":
        loads = 1 if dataflow == "os" else 2
        cycles = loads * col_folds * down + row_folds * along + folds * (steps - 2)
        if drain and dataflow == "os":
            cycles = cycles + col_folds * down - folds
    else:
        cycles = ((R if dataflow == "os" else 2 * R) + C + steps - 2) * folds - 1
    area = R * C
    ifmap, filters, writes, back = _accesses(dataflow, M, N, K, row_folds, col_folds)
    if convention == "scalesim":
        back = np.zeros_like(writes)
        writes = writes + (R + C) * folds if dataflow == "os" else writes
    shape = np.broadcast_shapes(R.shape, C.shape, M.shape, N.shape, K.shape)
    with np.errstate(divide="ignore"):  # a 1×1×1 product on a 1×1 array takes 0 of SCALE-Sim's cycles
        use, cover = macs / (area * cycles), down * along / (area * folds)
    whole = (cycles, macs, folds, use, cover, ifmap, filters, writes, back, K * N, M * N)
    return Counts(*[np.broadcast_to(one, shape) for one in whole])


def _accesses(dataflow: str, m: Ints, n: Ints, k: Ints, row_folds: Ints, col_folds: Ints) -> tuple[Ints, ...]:
    """Reads of ifmap and filters, writes of the ofmap, reads of partial sums."""
    one = np.ones((), dtype=np.int64)
    x_times = one if dataflow == "is" else col_folds
    w_times = {"os": row_folds, "ws": one, "is": col_folds}[dataflow]
    y_times = one if dataflow == "os" else row_folds
    return m * k * x_times, k * n * w_times, m * n * y_times, m * n * (y_times - 1)


def _whole(**sizes: ArrayLike) -> list[Ints]:
    """The five sizes as whole numbers of 1 or more whose counts fit 64 bits."""
    found: list[Ints] = []
    for name, size in sizes.items():
        given: NDArray[Any] = np.asarray(size)
        if given.dtype.kind not in "iu":
            raise InputError(f"{name} is not of whole numbers", expected="integers", example=f"{name}=128")
        if given.size and int(given.min()) < 1:
            raise InputError(f"{name} is {given.min()}", expected="1 or more", example=f"{name}=128")
        found.append(given.astype(np.int64, copy=False))
    top = [int(one.max()) if one.size else 1 for one in found]
    if 4 * (top[2] + top[0]) * (top[3] + top[1]) * (top[4] + top[0] + top[1]) >= 2**63:
        raise InputError("counts would not fit 64 bits", expected="a smaller product M·N·K", example="4096 4096 4096")
    return found
