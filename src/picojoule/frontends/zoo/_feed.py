"""Activations by the names that configurations give them, and the gated feed-forward."""

from typing import Final

from picojoule.workload import Graph, Tensor, ops

from ._layers import linear

ACTIVATIONS: Final = {
    "silu": "silu", "swish": "silu", "gelu": "gelu", "gelu_python": "gelu", "gelu_new": "gelu_new",
    "gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_fast", "quick_gelu": "quick_gelu", "relu": "relu",
    "relu2": "relu2", "relu6": "relu6", "leaky_relu": "leaky_relu", "tanh": "tanh", "sigmoid": "sigmoid",
    "mish": "mish", "linear": "linear",
}  # fmt: skip
# Activations that frameworks run part by part: (operator, whether x itself is the second operand).
_PARTS: Final = {"quick_gelu": (("mul_scalar", False), ("sigmoid", False), ("mul", True)),
                 "relu2": (("relu", False), ("square", False))}  # fmt: skip


def activate(g: Graph, x: Tensor, act: str, *, name: str = "") -> Tensor:
    """The activation called `act` in a configuration, under the module `name` if it is one."""
    op = ACTIVATIONS[act]
    with g.scope(*(name,) * bool(name)):
        if op == "linear":
            return x
        if op in ("gelu_new", "gelu_fast"):
            return gelu_parts(g, x, fast=op == "gelu_fast")
        if op not in _PARTS:
            return ops.unary(g, op, x)
        y = x
        for part, second in _PARTS[op]:
            y = ops.binary(g, part, x, y, kind="activation") if second else ops.unary(g, part, y, kind="activation")
        return y


def gelu_parts(g: Graph, x: Tensor, *, fast: bool = False) -> Tensor:
    """x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), part by part as checkpoints' code has it.

    `fast` is the same by x · √(2/π) · (1 + 0.044715 x²).
    """
    half = ops.unary(g, "mul_scalar", x, kind="activation")
    if fast:
        outer = ops.unary(g, "mul_scalar", x, kind="activation")
        square = ops.binary(g, "mul", ops.unary(g, "mul_scalar", x, kind="activation"), x, kind="activation")
        inner = ops.binary(g, "mul", outer, ops.unary(g, "add_scalar", square, kind="activation"), kind="activation")
    else:
        cubed = ops.unary(g, "mul_scalar", ops.unary(g, "cube", x, kind="activation"), kind="activation")
        inner = ops.unary(g, "mul_scalar", ops.binary(g, "add", x, cubed, kind="activation"), kind="activation")
    bent = ops.unary(g, "add_scalar", ops.unary(g, "tanh", inner), kind="activation")
    return ops.binary(g, "mul", half, bent, kind="activation")


def swiglu(g: Graph, x: Tensor, inner: int, act: str = "silu", *, bias: bool = False) -> Tensor:
    """down(act(gate(x)) · up(x))."""
    gate = activate(g, linear(g, x, inner, name="gate_proj", bias=bias), act, name="act_fn")
    up = linear(g, x, inner, name="up_proj", bias=bias)
    return linear(g, ops.binary(g, "mul", gate, up), x.shape[-1], name="down_proj", bias=bias)


def packed_swiglu(g: Graph, x: Tensor, inner: int, act: str) -> Tensor:
    """The same with one matrix for gate and up (Phi-3)."""
    packed = linear(g, x, 2 * inner, name="gate_up_proj", bias=False)
    half = (*x.shape[:-1], inner)
    gate = activate(g, ops.slice_view(g, packed, half), act, name="activation_fn")
    up = ops.slice_view(g, packed, half)
    return linear(g, ops.binary(g, "mul", up, gate), x.shape[-1], name="down_proj", bias=False)
