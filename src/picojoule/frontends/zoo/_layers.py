"""Layers as frameworks know them: each opens its module path, makes its parameters and records its operator."""

from collections.abc import Sequence

from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, ops

from ._entry import Options

Pair = int | tuple[int, int]


def pair(value: Pair) -> tuple[int, int]:
    """3 is (3, 3)."""
    return (value, value) if isinstance(value, int) else value


def conv(g: Graph, x: Tensor, filters: int, kernel: Pair, *, name: str, stride: Pair = 1, padding: Pair = 0,
         dilation: Pair = 1, groups: int = 1, bias: bool = True) -> Tensor:  # fmt: skip
    """Conv2d with weight [filters, C/groups, k, k] and an optional bias."""
    with g.scope(name):
        weight = g.parameter("weight", (filters, x.shape[1] // groups, *pair(kernel)))
        shift = g.parameter("bias", (filters,), "bias") if bias else None
        return ops.conv(g, x, weight, shift, stride=pair(stride), padding=[(p, p) for p in pair(padding)],
                        dilation=pair(dilation), groups=groups)  # fmt: skip


def batch_norm(g: Graph, x: Tensor, *, name: str) -> Tensor:
    """BatchNorm at inference: affine scale and shift, running mean and variance as buffers."""
    channels = x.shape[1]
    with g.scope(name):
        scale, shift = g.parameter("weight", (channels,), "norm"), g.parameter("bias", (channels,), "norm")
        mean = g.parameter("running_mean", (channels,), "buffer")
        variance = g.parameter("running_var", (channels,), "buffer")
        return ops.batch_norm(g, x, scale, shift, mean, variance)


def layer_norm(g: Graph, x: Tensor, *, name: str) -> Tensor:
    """LayerNorm over the last axis with scale and shift."""
    with g.scope(name):
        scale, shift = g.parameter("weight", (x.shape[-1],), "norm"), g.parameter("bias", (x.shape[-1],), "norm")
        return ops.layer_norm(g, x, scale, shift)


def linear(g: Graph, x: Tensor, features: int, *, name: str, bias: bool = True, tied: Tensor | None = None) -> Tensor:
    """Linear with weight [features, K], or the `tied` one."""
    with g.scope(name):
        weight = tied if tied is not None else g.parameter("weight", (features, x.shape[-1]))
        shift = g.parameter("bias", (features,), "bias") if bias else None
        return ops.linear(g, x, weight, shift)


def embedding(g: Graph, indices: Tensor, rows: int, width: int, *, name: str) -> tuple[Tensor, Tensor]:
    """Rows of a table [rows, width]; returns (result, table)."""
    with g.scope(name):
        table = g.parameter("weight", (rows, width), "embedding")
        return ops.gather(g, table, indices, op="embedding"), table


def act(g: Graph, x: Tensor, op: str = "relu", *, name: str = "") -> Tensor:
    """An activation under its own module name."""
    with g.scope(name or op):
        return ops.unary(g, op, x)


def max_pool(g: Graph, x: Tensor, kernel: Pair, stride: Pair, padding: Pair = 0, *, name: str,
             ceil_mode: bool = False) -> Tensor:  # fmt: skip
    """MaxPool2d."""
    with g.scope(name):
        return ops.pool(g, x, "max", pair(kernel), stride=pair(stride), padding=[(p, p) for p in pair(padding)],
                        ceil_mode=ceil_mode)  # fmt: skip


def avg_pool(g: Graph, x: Tensor, kernel: Pair, stride: Pair, padding: Pair = 0, *, name: str) -> Tensor:
    """AvgPool2d."""
    with g.scope(name):
        return ops.pool(g, x, "avg", pair(kernel), stride=pair(stride), padding=[(p, p) for p in pair(padding)])


def global_pool(g: Graph, x: Tensor, *, name: str = "avgpool") -> Tensor:
    """Mean over positions: [B, C, H, W] to [B, C]."""
    with g.scope(name):
        return ops.reduce(g, "mean", x, (2, 3), kind="pool")


def flatten(g: Graph, x: Tensor) -> Tensor:
    """[B, …] to [B, N], a view."""
    return g.view(x, (x.shape[0], x.elements // x.shape[0] if x.shape[0] else 0))


def residual(g: Graph, a: Tensor, b: Tensor, *, name: str = "") -> Tensor:
    """a + b."""
    return ops.binary(g, "add", a, b, name=name)


def start(name: str, options: Options, shape: Sequence[int], *, input_name: str = "x",
          dtype: str | None = None) -> tuple[Graph, Tensor]:  # fmt: skip
    """A graph and its one input: `shape` without the batch, replaced by what the user said."""
    batch = options.batch or 1
    full: tuple[int, ...] = (batch, *shape)
    for given, sizes in options.inputs.items():
        if given != input_name:
            raise InputError(f"{name} has no input {given!r}", expected=f"the input {input_name!r}",
                             example=f"--input {input_name}={','.join(map(str, full))}")  # fmt: skip
        full = tuple(sizes)
        if len(full) != len(shape) + 1:
            raise InputError(f"input {given!r} has {len(full)} axes", expected=f"{len(shape) + 1} axes, batch first",
                             example=f"--input {input_name}={batch},{','.join(map(str, shape))}")  # fmt: skip
    g = Graph(name, batch=full[0])
    return g, g.input(input_name, full, dtype)


def conv_transpose(g: Graph, x: Tensor, filters: int, kernel: Pair, *, name: str, stride: Pair = 1, padding: Pair = 0,
                   groups: int = 1, bias: bool = True) -> Tensor:  # fmt: skip
    """ConvTranspose2d with weight [C, filters/groups, k, k] and an optional bias."""
    with g.scope(name):
        weight = g.parameter("weight", (x.shape[1], filters // groups, *pair(kernel)))
        shift = g.parameter("bias", (filters,), "bias") if bias else None
        return ops.conv_transpose(g, x, weight, shift, stride=pair(stride), padding=[(p, p) for p in pair(padding)],
                                  groups=groups)  # fmt: skip


def instance_norm(g: Graph, x: Tensor, *, name: str) -> Tensor:
    """InstanceNorm2d with scale and shift: each channel of each sample is its own group."""
    with g.scope(name):
        scale, shift = g.parameter("weight", (x.shape[1],), "norm"), g.parameter("bias", (x.shape[1],), "norm")
        return ops.group_norm(g, x, x.shape[1], scale, shift, op="instance_norm")


def adaptive_pool(g: Graph, x: Tensor, size: Pair, *, name: str = "avgpool") -> Tensor:
    """AdaptiveAvgPool2d: [B, C, H, W] to [B, C, *size], whatever H and W."""
    with g.scope(name):
        return ops.adaptive_avg_pool(g, x, pair(size))


def make_divisible(width: float, divisor: int = 8) -> int:
    """`width` as a multiple of `divisor`, never more than a tenth below it (the MobileNets' rounding)."""
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * width else rounded
