"""Fused operators of com.microsoft, as onnxruntime's optimizer writes them: counted as their parts."""

from collections.abc import Sequence
from typing import Final

from picojoule.workload import Tensor, Work, ops

from ._call import Call, Handler, Result
from .contraction import convolution, gemm

_MS: Final = "com.microsoft::"
_ACTIVATIONS: Final = {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "LeakyRelu": "leaky_relu", "Clip": "clip",
    "HardSigmoid": "hard_sigmoid", "HardSwish": "hard_swish", "Elu": "elu", "Gelu": "gelu", "Softplus": "softplus",
}  # fmt: skip


def _activated(call: Call, y: Tensor) -> Tensor:
    op = _ACTIVATIONS.get(call.text("activation"))
    return y if op is None else ops.unary(call.g, op, y, name=call.label)


def fused_conv(call: Call) -> Sequence[Result]:
    """FusedConv: a convolution, perhaps a residual, an activation."""
    y = convolution(call, call.tensor(0), call.tensor(1), call.optional(2))
    other = call.optional(3)
    if other is not None:
        y = ops.binary(call.g, "add", y, other, name=call.label)
    return [_activated(call, y)]


def fused_gemm(call: Call) -> Sequence[Result]:
    """FusedGemm: a Gemm and an activation."""
    (y,) = gemm(call)
    assert isinstance(y, Tensor)
    return [_activated(call, y)]


def skip_norm(call: Call) -> Sequence[Result]:
    """SkipLayerNormalization and its RMS form: x + skip (+ bias), normalised. The sum is the last output."""
    rms = call.op == "SkipSimplifiedLayerNormalization"
    bias = call.optional(3 if rms else 4)
    total = ops.binary(call.g, "add", call.tensor(0), call.tensor(1), name=call.label)
    if bias is not None:
        total = ops.binary(call.g, "add", total, bias, name=call.label)
    if rms:
        y = ops.rms_norm(call.g, total, call.tensor(2), name=call.label, kernel=True)
    else:
        y = ops.layer_norm(call.g, total, call.tensor(2), call.optional(3), name=call.label)
    return [y, None, None, total]


def embed_norm(call: Call) -> Sequence[Result]:
    """EmbedLayerNormalization: words, positions, segments gathered, added and normalised."""
    ids, segments = call.tensor(0), call.optional(1)
    total = ops.gather(call.g, call.tensor(2), ids, name=call.label, op="embedding")
    rows = ops.slice_view(call.g, call.tensor(3), (ids.shape[-1], total.shape[-1]))
    total = ops.binary(call.g, "add", total, rows, name=call.label)
    table = call.optional(4)
    if table is not None and segments is not None:
        kind = ops.gather(call.g, table, segments, name=call.label, op="embedding")
        total = ops.binary(call.g, "add", total, kind, name=call.label)
    y = ops.layer_norm(call.g, total, call.optional(5), call.optional(6), name=call.label)
    mask = call.g.tensor(call.g.fresh_name(f"{call.label}:mask"), (ids.shape[0],), "int32")
    return [y, mask, total]


def _biased(op: str) -> Handler:
    def run(call: Call) -> Sequence[Result]:
        x, bias = call.tensor(0), call.optional(1)
        if bias is not None:
            x = ops.binary(call.g, "add", x, bias, name=call.label)
        return [ops.unary(call.g, op, x, name=call.label)]

    return run


def bias_add(call: Call) -> Sequence[Result]:
    """BiasAdd: x + bias + residual."""
    y = ops.binary(call.g, "add", call.tensor(0), call.tensor(1), name=call.label)
    return [ops.binary(call.g, "add", y, call.tensor(2), name=call.label)]


def bias_softmax(call: Call) -> Sequence[Result]:
    """BiasSoftmax."""
    y = ops.binary(call.g, "add", call.tensor(0), call.tensor(1), name=call.label)
    return [ops.softmax(call.g, y, call.integer("axis", 1), name=call.label)]


def nhwc_group_norm(call: Call) -> Sequence[Result]:
    """GroupNorm, channels last, perhaps with SiLU."""
    x = call.tensor(0)
    turned = call.g.view(x, (x.shape[0], x.shape[-1], *x.shape[1:-1]))
    y = ops.group_norm(call.g, turned, call.integer("groups", 1), call.tensor(1), call.tensor(2), name=call.label)
    if call.integer("activation"):
        y = ops.unary(call.g, "silu", y, name=call.label)
    return [call.g.view(y, x.shape)]


def silu(call: Call) -> Sequence[Result]:
    """x · sigmoid(x)."""
    return [ops.unary(call.g, "silu", call.tensor(0), name=call.label)]


def gather_packed(call: Call) -> Sequence[Result]:
    """GatherBlockQuantized: rows of packed integers, dequantised."""
    y = ops.gather(call.g, call.tensor(0), call.tensor(1), call.integer("gather_axis"), name=call.label)
    work = Work.of(muls=y.elements, adds=y.elements)
    return [call.fuse(y, work=work, reads=[call.tensor(2)], dtype=call.value(2).dtype)]


HANDLERS: Final[dict[str, Handler]] = {
    _MS + "FusedConv": fused_conv, _MS + "FusedGemm": fused_gemm, _MS + "SkipLayerNormalization": skip_norm,
    _MS + "SkipSimplifiedLayerNormalization": skip_norm, _MS + "EmbedLayerNormalization": embed_norm,
    _MS + "Gelu": _biased("gelu"), _MS + "FastGelu": _biased("gelu_tanh"), _MS + "BiasGelu": _biased("gelu"),
    _MS + "BiasAdd": bias_add, _MS + "BiasSoftmax": bias_softmax, _MS + "GroupNorm": nhwc_group_norm,
    _MS + "Silu": silu, _MS + "GatherBlockQuantized": gather_packed,
}  # fmt: skip
