"""Integers that stand for real numbers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from picojoule.quantity import InputError
from picojoule.workload import Tensor, Work, ops

from ._call import Call, Handler, Result
from ._types import dtype_of
from ._value import Value
from .contraction import convolution, product

_REQUANTIZE: Final = Work.of(muls=1, adds=1, round=1, compare=2)


def quantize(call: Call) -> Sequence[Result]:
    """QuantizeLinear. Of a parameter it is done at load, and costs nothing."""
    value = call.value(0)
    zero = call.optional_value(2)
    dtype = zero.dtype if zero is not None else "uint8"
    if call.integer("output_dtype"):
        dtype = dtype_of(call.integer("output_dtype"))
    if value.rooted:
        return [replace(call.reshaped(value, call.shape(0)), dtype=dtype, codes=None)]
    y = ops.unary(call.g, "quantize", call.tensor(0), name=call.label, dtype=dtype)
    return [call.fuse(y, reads=_aside(call))]


def dequantize(call: Call) -> Sequence[Result]:
    """DequantizeLinear: recorded only if something else than a contraction reads the result."""
    codes = call.value(0)
    shape = call.shape(0)
    dtype = call.value(1).dtype
    g, session, label, name = call.g, call.session, call.label, call.name(0)
    aside = tuple(v for v in call.inputs[1:3] if v is not None)

    def make() -> Tensor:
        y = ops.unary(g, "dequantize", session.tensor(codes, name), name=label, dtype=dtype)
        return call.fuse(y, reads=[session.tensor(v, label) for v in aside])

    return [Value(shape, dtype, None, None, codes.sources, make, codes, aside)]


def _aside(call: Call) -> list[Tensor]:
    """Scales and zero points."""
    return [t for t in (call.optional(1), call.optional(2)) if t is not None]


def dynamic_quantize(call: Call) -> Sequence[Result]:
    """DynamicQuantizeLinear: the range of all elements, then each quantised."""
    x = call.tensor(0)
    n = x.elements
    work = Work.of(adds=n, div=n + 1, round=n, compare=4 * n)
    y, scale, zero = ops.whole_op(call.g, "dynamic_quantize", [x], [x.shape, (), ()], work, kind="elementwise",
                                  name=call.label)  # fmt: skip
    return [call.fuse(y, dtype="uint8"), scale, call.fuse(zero, dtype="uint8")]


def qlinear_conv(call: Call) -> Sequence[Result]:
    """QLinearConv: an integer convolution, then each result scaled back."""
    zero = call.optional_value(7)
    y = convolution(call, call.tensor(0), call.tensor(3), call.optional(8))
    dtype = zero.dtype if zero is not None else "uint8"
    scales = [t for t in (call.optional(4), call.optional(5)) if t is not None]
    return [call.fuse(y, work=_REQUANTIZE * y.elements, reads=scales, dtype=dtype)]


def qlinear_matmul(call: Call) -> Sequence[Result]:
    """QLinearMatMul: an integer product, then each result scaled back."""
    zero = call.optional_value(7)
    y = product(call, call.tensor(0), call.tensor(3), (call.name(0), call.name(3)))
    return [call.fuse(y, work=_REQUANTIZE * y.elements, dtype=zero.dtype if zero is not None else "uint8")]


def qlinear_binary(call: Call) -> Sequence[Result]:
    """com.microsoft QLinearAdd and QLinearMul: dequantise both, operate, quantise."""
    op = "add" if call.op == "QLinearAdd" else "mul"
    zero = call.optional_value(7)
    y = ops.binary(call.g, op, call.tensor(0), call.tensor(3), name=call.label)
    extra = Work.of(muls=2, adds=2) + _REQUANTIZE
    return [call.fuse(y, work=extra * y.elements, dtype=zero.dtype if zero is not None else "uint8")]


def _qlinear_unary(op: str) -> Handler:
    def run(call: Call) -> Sequence[Result]:
        y = ops.unary(call.g, op, call.tensor(0), name=call.label)
        return [call.fuse(y, work=(Work.of(muls=1, adds=1) + _REQUANTIZE) * y.elements)]

    return run


def qlinear_pool(call: Call) -> Sequence[Result]:
    """com.microsoft QLinearGlobalAveragePool."""
    x = call.tensor(0)
    last = bool(call.integer("channels_last"))
    axes = tuple(range(1, len(x.shape) - 1)) if last else tuple(range(2, len(x.shape)))
    y = ops.reduce(call.g, "mean", x, axes, keep=True, name=call.label, kind="pool")
    return [call.fuse(y, work=_REQUANTIZE * y.elements)]


def qlinear_concat(call: Call) -> Sequence[Result]:
    """com.microsoft QLinearConcat: (y scale, y zero), then tensor, scale, zero for each operand."""
    tensors = [call.tensor(i) for i in range(2, len(call.inputs), 3)]
    return [ops.concat(call.g, tensors, call.integer("axis"), name=call.label)]


def to_float(call: Call) -> Sequence[Result]:
    """com.microsoft MatMulIntegerToFloat and DynamicQuantizeMatMul: an integer product, a scale, perhaps a bias."""
    dynamic = call.op == "DynamicQuantizeMatMul"
    a, b = call.tensor(0), call.tensor(1)
    bias = call.optional(4 if dynamic else 6)
    y = product(call, a, b, (call.name(0), call.name(1)))
    work = Work.of(muls=y.elements, adds=y.elements if bias is not None else 0)
    if dynamic:
        n = a.elements
        work = work + Work.of(adds=n, div=n + 1, round=n, compare=4 * n)
    return [call.fuse(y, work=work, reads=[bias] if bias is not None else [], dtype="float32")]


def matmul_nbits(call: Call) -> Sequence[Result]:
    """com.microsoft MatMulNBits: weights of `bits` bits in blocks, unpacked while they are multiplied."""
    x = call.tensor(0)
    n, k, bits = call.integer("N"), call.integer("K"), call.integer("bits", 4)
    if x.shape[-1:] != (k,) or n < 1 or bits not in (2, 4, 8):
        raise InputError(
            f"x{list(x.shape)} · w[{n},{k}] of {bits} bits", expected=f"a last axis of {k}, 2, 4 or 8 bits"
        )
    stored = call.tensor(1)
    # The file keeps bytes; the tensor they hold is [N, K] of narrow integers, and is the parameter.
    full = call.session.parameters.get(next(iter(call.value(1).sources or ()), ""))
    if full is not None and full.tensor is not None and stored.dtype == "uint8" and full.tensor.shape != (n, k):
        stored = replace(full.tensor, shape=(n, k), dtype={2: "uint2", 4: "uint4", 8: "uint8"}[bits])
        call.g.tensors[stored.name] = full.tensor = stored
    weight = stored if stored.shape == (n, k) else call.g.view(stored, (n, k))
    y = ops.linear(call.g, x, weight, call.optional(5), name=call.label)
    aside = [t for t in (call.optional(2), call.optional(3)) if t is not None]
    work = Work.of(muls=n * k, adds=n * k if len(aside) > 1 else 0)
    return [call.fuse(y, work=work, reads=aside, dtype=x.dtype)]


_MS: Final = "com.microsoft::"
HANDLERS: Final[dict[str, Handler]] = {
    "QuantizeLinear": quantize, "DequantizeLinear": dequantize, _MS + "QuantizeLinear": quantize,
    _MS + "DequantizeLinear": dequantize, "DynamicQuantizeLinear": dynamic_quantize, "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul, _MS + "QLinearAdd": qlinear_binary, _MS + "QLinearMul": qlinear_binary,
    _MS + "QLinearSigmoid": _qlinear_unary("sigmoid"), _MS + "QLinearLeakyRelu": _qlinear_unary("leaky_relu"),
    _MS + "QLinearGlobalAveragePool": qlinear_pool, _MS + "QLinearConcat": qlinear_concat,
    _MS + "MatMulIntegerToFloat": to_float, _MS + "DynamicQuantizeMatMul": to_float,
    _MS + "MatMulNBits": matmul_nbits,
}  # fmt: skip
