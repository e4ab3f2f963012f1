"""Convolutions, matrix products, einsum: operators whose every point is a MAC."""

import math
from collections.abc import Sequence
from typing import Final

from picojoule.quantity import InputError
from picojoule.workload import Tensor, Work, ops

from ._call import Call, Handler, Result

Pads = list[tuple[int, int]]


def windows(call: Call, sizes: Sequence[int], kernel: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...], Pads]:
    """Strides, dilations and padding of a windowed operator over `sizes`; auto_pad worked out."""
    rank = len(sizes)
    strides = call.integers("strides") or (1,) * rank
    dilations = call.integers("dilations") or (1,) * rank
    pads = call.integers("pads") or (0,) * (2 * rank)
    if len(strides) != rank or len(dilations) != rank or len(pads) != 2 * rank or len(kernel) != rank:
        sizes_given = f"kernel {list(kernel)}, strides {list(strides)}, dilations {list(dilations)}, pads {list(pads)}"
        raise InputError(
            f"{sizes_given} do not fit {rank} spatial axes", expected=f"{rank} of each, and twice the pads"
        )
    if any(step < 1 for step in (*strides, *dilations, *kernel)):
        raise InputError(f"kernel {list(kernel)}, strides {list(strides)} and dilations {list(dilations)} "
                         "must be 1 or more")  # fmt: skip
    if any(pad < 0 for pad in pads):
        raise InputError(f"{call.op} pads must be >= 0 (negative is legal only in Pad), got {list(pads)}",
                         expected="pads of 0 or more", example="pads = [1, 1, 1, 1]")  # fmt: skip
    auto = call.text("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pairs = []
        for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
            total = max(0, (-(-size // stride) - 1) * stride + dilation * (k - 1) + 1 - size)
            small, large = total // 2, total - total // 2
            pairs.append((small, large) if auto == "SAME_UPPER" else (large, small))
        return strides, dilations, pairs
    if auto == "VALID":
        return strides, dilations, [(0, 0)] * rank
    return strides, dilations, list(zip(pads[:rank], pads[rank:], strict=True))


def check_conv(call: Call, x: Tensor, weight: Tensor, groups: int) -> None:
    """Raise InputError in the file's own terms where channels, groups and kernel do not fit."""
    if len(x.shape) < 3 or len(weight.shape) != len(x.shape):
        raise InputError(f"x{list(x.shape)} and w{list(weight.shape)} are no convolution",
                         expected="x[N,C,…] and w[M,C/group,…] of equal rank, 3 or more")  # fmt: skip
    channels, filters = x.shape[1], weight.shape[0]
    wrong = [text for text, size in ((f"Cin {channels}", channels), (f"Cout {filters}", filters))
             if groups < 1 or size % groups]  # fmt: skip
    if wrong:
        verb = "divides neither " + " nor ".join(wrong) if len(wrong) == 2 else f"does not divide {wrong[0]}"
        raise InputError(f"group={groups} {verb}", expected="a group count that divides both", example="group = 1")
    declared = call.integers("kernel_shape")
    if declared and declared != weight.shape[2:]:
        raise InputError(f"kernel_shape {list(declared)} differs from the weight's {list(weight.shape[2:])}",
                         expected="the sizes of the weight")  # fmt: skip


def convolution(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution with the attributes of `call`."""
    groups = call.integer("group", 1)
    check_conv(call, x, weight, groups)
    strides, dilations, pads = windows(call, x.shape[2:], weight.shape[2:])
    return ops.conv(call.g, x, weight, bias, stride=strides, padding=pads, dilation=dilations, groups=groups,
                    name=call.label)  # fmt: skip


def conv(call: Call) -> Sequence[Result]:
    """Conv."""
    x, weight, work, scales = call.operands(0, 1)
    y = convolution(call, x, weight, call.stored(2))
    return [call.fuse(y, work=work, reads=scales, dtype=call.value(0).dtype)]


def conv_integer(call: Call) -> Sequence[Result]:
    """ConvInteger: int8 operands, int32 sums."""
    return [call.fuse(convolution(call, call.tensor(0), call.tensor(1), None), dtype="int32")]


def conv_transpose(call: Call) -> Sequence[Result]:
    """ConvTranspose, output_shape and auto_pad worked out."""
    x, weight, work, scales = call.operands(0, 1)
    if len(x.shape) < 3 or len(weight.shape) != len(x.shape):
        raise InputError(f"x{list(x.shape)} and w{list(weight.shape)} are no transposed convolution",
                         expected="x[N,C,…] and w[C,M/group,…] of equal rank, 3 or more")  # fmt: skip
    sizes, kernel, rank = x.shape[2:], weight.shape[2:], len(x.shape) - 2
    strides, dilations, pads = windows(call, sizes, kernel)
    extra = call.integers("output_padding") or (0,) * rank
    wanted = call.integers("output_shape")[-rank:]
    auto = call.text("auto_pad", "NOTSET")
    if not wanted and auto.startswith("SAME"):
        wanted = tuple(size * stride for size, stride in zip(sizes, strides, strict=True))
    if wanted:
        pads, extra = _pads_for(wanted, sizes, kernel, strides, dilations, extra)
    elif auto == "VALID":
        pads = [(0, 0)] * rank
    y = ops.conv_transpose(call.g, x, weight, call.stored(2), stride=strides, padding=pads, output_padding=extra,
                           dilation=dilations, groups=call.integer("group", 1), name=call.label)  # fmt: skip
    return [call.fuse(y, work=work, reads=scales, dtype=call.value(0).dtype)]


def _pads_for(wanted: Sequence[int], sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int],
              dilations: Sequence[int], extra: Sequence[int]) -> tuple[Pads, tuple[int, ...]]:  # fmt: skip
    """The padding that makes the output `wanted`; where that would be negative, output padding instead."""
    pads: Pads = []
    more = []
    for i, size in enumerate(sizes):
        total = (size - 1) * strides[i] + extra[i] + dilations[i] * (kernel[i] - 1) + 1 - wanted[i]
        pads.append((max(0, total) // 2, max(0, total) - max(0, total) // 2))
        more.append(extra[i] + max(0, -total))
    return pads, tuple(more)


def deform_conv(call: Call) -> Sequence[Result]:
    """DeformConv: bilinear samples at every tap, then a convolution."""
    x, weight = call.tensor(0), call.tensor(1)
    y = convolution(call, x, weight, call.optional(3))
    taps = x.shape[0] * x.shape[1] * math.prod(y.shape[2:]) * math.prod(weight.shape[2:])
    masked = call.optional(4)
    work = Work.of(muls=taps * (4 + (masked is not None)), adds=taps * 3)
    return [call.fuse(y, work=work, reads=[call.tensor(2), *([masked] if masked is not None else [])])]


def causal_conv(call: Call) -> Sequence[Result]:
    """CausalConvWithState: depthwise, the past before the input."""
    x, weight = call.tensor(0), call.tensor(1)
    back = weight.shape[-1] - 1
    y = ops.conv(call.g, x, weight, call.optional(2), padding=[(back, 0)], groups=x.shape[1], name=call.label)
    if call.text("activation") in ("silu", "swish"):
        y = ops.unary(call.g, "silu", y, name=call.label)
    state = ops.select(call.g, x, x.shape[0] * x.shape[1] * back, (*x.shape[:2], back), name=call.label)
    return [y, state]


def product(call: Call, a: Tensor, b: Tensor, names: tuple[str, str]) -> Tensor:
    """A matrix product whose mismatch is said in the file's own names."""
    inner = b.shape[-2] if len(b.shape) > 1 else (b.shape[0] if b.shape else 0)
    if a.shape and b.shape and a.shape[-1] != inner:
        raise InputError(f"inner sizes differ: {names[0]}{list(a.shape)} · {names[1]}{list(b.shape)}: "
                         f"{a.shape[-1]} != {inner}", expected="the last axis of the first equal to the last but one "
                         "of the second")  # fmt: skip
    return ops.matmul(call.g, a, b, name=call.label)


def matmul(call: Call) -> Sequence[Result]:
    """MatMul."""
    a, b, work, scales = call.operands(0, 1)
    y = product(call, a, b, (call.name(0), call.name(1)))
    return [call.fuse(y, work=work, reads=scales, dtype=call.value(0).dtype)]


def matmul_integer(call: Call) -> Sequence[Result]:
    """MatMulInteger: int8 operands, int32 sums; the correction for zero points is left out."""
    y = product(call, call.tensor(0), call.tensor(1), (call.name(0), call.name(1)))
    return [call.fuse(y, dtype="int32")]


def fused_matmul(call: Call) -> Sequence[Result]:
    """com.microsoft FusedMatMul: transposed operands and a factor."""
    a, b = call.tensor(0), call.tensor(1)
    if call.integer("transA"):
        a = call.g.view(a, (*a.shape[:-2], a.shape[-1], a.shape[-2]))
    if call.integer("transB"):
        b = call.g.view(b, (*b.shape[:-2], b.shape[-1], b.shape[-2]))
    y = product(call, a, b, (call.name(0), call.name(1)))
    if call.real("alpha", 1.0) != 1.0:
        y = call.fuse(y, work=Work.of(muls=y.elements))
    return [y]


def gemm(call: Call) -> Sequence[Result]:
    """Gemm: alpha · A · B + beta · C. A factor of 1 costs nothing; C of one row is a bias, else an addition."""
    a, b, work, scales = call.operands(0, 1)
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise InputError(f"{call.name(0)}{list(a.shape)} and {call.name(1)}{list(b.shape)} are not matrices",
                         expected="two axes each")  # fmt: skip
    if call.integer("transA"):
        a = call.g.view(a, a.shape[::-1])
    turned = bool(call.integer("transB"))
    n, k = b.shape if turned else b.shape[::-1]
    if a.shape[1] != k:
        raise InputError(f"inner sizes differ: {call.name(0)}{list(a.shape)} · {call.name(1)}{list(b.shape)}: "
                         f"{a.shape[1]} != {k}", expected="one size for the summed axis")  # fmt: skip
    c = call.stored(2)
    alpha, beta = call.real("alpha", 1.0), call.real("beta", 1.0)
    row = None
    if c is not None and beta == 1.0 and alpha == 1.0 and c.elements == n and c.shape[-1:] == (n,):
        row = c if len(c.shape) == 1 else call.g.view(c, (n,))
    y = ops.linear(call.g, a, b, row, transposed=turned, name=call.label, op="gemm")
    y = call.fuse(y, work=work, reads=scales, dtype=call.value(0).dtype)
    if alpha != 1.0:
        y = call.fuse(y, work=Work.of(muls=y.elements))
    if c is not None and row is None and beta != 0.0:
        factor = Work.of(muls=c.elements if beta != 1.0 else 0)
        y = call.fuse(ops.binary(call.g, "add", y, c, name=call.label), work=factor)
    return [y]


def einsum(call: Call) -> Sequence[Result]:
    """Einsum."""
    equation = call.text("equation")
    if not equation:
        raise InputError("the equation is missing", expected="an attribute equation", example='"bij,bjk->bik"')
    return [ops.einsum(call.g, equation, *call.tensors(), name=call.label)]


def det(call: Call) -> Sequence[Result]:
    """Det by LU decomposition: about n³/3 muls and as many adds."""
    x = call.tensor(0)
    n = x.shape[-1]
    matrices = x.elements // (n * n) if n else 0
    steps = matrices * (n**3 - n) // 3
    work = Work.of(muls=steps + matrices * n, adds=steps, div=matrices * (n * (n - 1) // 2))
    return [ops.whole_op(call.g, "det", [x], [x.shape[:-2]], work, kind="linear_algebra", name=call.label)[0]]


HANDLERS: Final[dict[str, Handler]] = {
    "Conv": conv, "ConvInteger": conv_integer, "ConvTranspose": conv_transpose, "DeformConv": deform_conv,
    "CausalConvWithState": causal_conv, "MatMul": matmul, "MatMulInteger": matmul_integer, "Gemm": gemm,
    "Einsum": einsum, "Det": det, "com.microsoft::FusedMatMul": fused_matmul,
    "com.microsoft::TransposeMatMul": fused_matmul,
}  # fmt: skip
