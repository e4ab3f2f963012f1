"""Layers as matrix products: a convolution unrolled, and every product of a Workload."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from picojoule.quantity import InputError
from picojoule.workload import Operator, Workload

from ._array import Counts, systolic


@dataclass(frozen=True, slots=True)
class Gemm:
    """`count` products of M×N×K, one after the other (groups, heads, repeats)."""

    m: int
    n: int
    k: int
    count: int = 1

    @property
    def macs(self) -> int:
        """Of all of them."""
        return self.count * self.m * self.n * self.k


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator on one array: totals of all its products."""

    name: str
    gemm: Gemm
    cycles: int
    utilisation: float
    sram: int
    counts: Counts


def conv_gemm(
    height: int, width: int, channels: int, filters: int, kernel: tuple[int, int], *, stride: int = 1, batch: int = 1,
    groups: int = 1, convention: str = "exact",
) -> Gemm:  # fmt: skip
    """The product of a convolution of a padded map: M windows, N filters, K = kernel · channels, of each group.

    A side has ⌊(side - kernel)/stride⌋ + 1 windows. SCALE-Sim takes ⌈(side - kernel + stride)/stride⌉: one more,
    hanging over the edge, wherever the stride does not divide (18 wide, kernel 7, stride 2: 7, not 6).
    """
    if (
        min(height, width, channels, filters, *kernel, stride, batch, groups) < 1
        or channels % groups
        or filters % groups
    ):
        raise InputError(
            "a convolution of such sizes does not exist", expected="sizes of 1 or more, groups that divide"
        )
    if height < kernel[0] or width < kernel[1]:
        raise InputError(f"a kernel of {kernel[0]}×{kernel[1]} on a map of {height}×{width}",
                         expected="a kernel no larger than the padded map")  # fmt: skip
    over = stride - 1 if convention == "scalesim" else 0
    windows = [(side - size + over) // stride + 1 for side, size in zip((height, width), kernel, strict=True)]
    return Gemm(batch * math.prod(windows), filters // groups, math.prod(kernel) * channels // groups, groups)


def gemm_of(operator: Operator) -> Gemm | None:
    """The product that `operator` is, None if it is none. M are rows of activations, N columns of weights.

    A dimension that both operands and the result share is a product of its own (batch of heads, groups); one of the
    first operand and the result is M, of the second and the result N, of both operands alone K.
    """
    if not operator.work.macs or len(operator.inputs) < 2 or not operator.outputs:
        return None
    if operator.work.macs != operator.points:
        return None  # a causal half, a recurrent cell: not one product
    first, second, result = operator.inputs[0].dims, operator.inputs[1].dims, operator.outputs[0].dims
    sizes = {"m": 1, "n": 1, "k": 1, "count": operator.repeats}
    for dim, extent in operator.space:
        if dim not in result:
            part = "k"
        elif dim in first and dim in second:
            part = "count"
        else:
            part = "m" if dim in first else "n"
        sizes[part] *= extent
    return Gemm(**sizes)


def layers(
    workload: Workload, dataflow: str, rows: int, cols: int, *, convention: str = "exact", drain: bool = False
) -> Iterator[Layer]:
    """Every matrix product of `workload` on one array, in order; what is no product is not there."""
    for operator in workload.operators:
        gemm = gemm_of(operator)
        if gemm is None:
            continue
        counts = systolic(dataflow, rows, cols, gemm.m, gemm.n, gemm.k, convention=convention, drain=drain)
        cycles, sram = gemm.count * int(counts.cycles), gemm.count * int(counts.sram)
        yield Layer(operator.name, gemm, cycles, float(counts.utilisation), sram, counts)
