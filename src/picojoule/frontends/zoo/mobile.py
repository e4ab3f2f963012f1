"""Networks of depthwise convolutions: MobileNet v1 to v3, EfficientNet, ShuffleNet v2, with torchvision's names."""

import math
from collections.abc import Sequence
from typing import Final

from picojoule.workload import Graph, Tensor, ops

from ._entry import Entry
from ._image import entry
from ._layers import act, batch_norm, conv, flatten, global_pool, linear, make_divisible, max_pool, residual

# kernel, expanded channels, channels, squeeze-and-excite, activation, stride
Row = tuple[int, int, int, bool, str, int]
_RE, _HS = "relu", "hard_swish"
V3_LARGE: Final[Sequence[Row]] = (
    (3, 16, 16, False, _RE, 1), (3, 64, 24, False, _RE, 2), (3, 72, 24, False, _RE, 1), (5, 72, 40, True, _RE, 2),
    (5, 120, 40, True, _RE, 1), (5, 120, 40, True, _RE, 1), (3, 240, 80, False, _HS, 2), (3, 200, 80, False, _HS, 1),
    (3, 184, 80, False, _HS, 1), (3, 184, 80, False, _HS, 1), (3, 480, 112, True, _HS, 1), (3, 672, 112, True, _HS, 1),
    (5, 672, 160, True, _HS, 2), (5, 960, 160, True, _HS, 1), (5, 960, 160, True, _HS, 1),
)  # fmt: skip
V3_SMALL: Final[Sequence[Row]] = (
    (3, 16, 16, True, _RE, 2), (3, 72, 24, False, _RE, 2), (3, 88, 24, False, _RE, 1), (5, 96, 40, True, _HS, 2),
    (5, 240, 40, True, _HS, 1), (5, 240, 40, True, _HS, 1), (5, 120, 48, True, _HS, 1), (5, 144, 48, True, _HS, 1),
    (5, 288, 96, True, _HS, 2), (5, 576, 96, True, _HS, 1), (5, 576, 96, True, _HS, 1),
)  # fmt: skip
# expansion, kernel, stride, channels, layers of EfficientNet-B0
B0: Final = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)  # fmt: skip
# width, depth, side of the image of EfficientNet-B0 to B7
SCALES: Final = (
    (1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 288), (1.2, 1.4, 300), (1.4, 1.8, 380), (1.6, 2.2, 456),
    (1.8, 2.6, 528), (2.0, 3.1, 600),
)  # fmt: skip


def conv_norm(g: Graph, x: Tensor, out: int, kernel: int = 3, *, name: str, stride: int = 1, groups: int = 1,
              activation: str = "relu") -> Tensor:  # fmt: skip
    """Convolution "0", normalisation "1", activation "2" (if any) inside the module `name`."""
    with g.scope(name):
        x = conv(g, x, out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False, name="0")
        x = batch_norm(g, x, name="1")
        return act(g, x, activation, name="2") if activation else x


def squeeze_excite(g: Graph, x: Tensor, squeezed: int, inner: str, outer: str, *, name: str) -> Tensor:
    """Hu, Shen, Sun 2017 (arXiv 1709.01507): each channel scaled by what two 1 x 1 convolutions make of the means."""
    with g.scope(name):
        with g.scope("avgpool"):
            scale = ops.reduce(g, "mean", x, (2, 3), keep=True, kind="pool")
        scale = act(g, conv(g, scale, squeezed, 1, name="fc1"), inner, name="activation")
        scale = act(g, conv(g, scale, x.shape[1], 1, name="fc2"), outer, name="scale_activation")
        return ops.binary(g, "mul", scale, x)


def mobilenet_v1(g: Graph, x: Tensor) -> Tensor:
    """Howard et al. 2017 (arXiv 1704.04861), width 1.0: 13 pairs of a depthwise and a 1 x 1 convolution."""
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    with g.scope("features"):
        x = conv_norm(g, x, 32, stride=2, name="0")
        for i, (width, stride) in enumerate(plan, start=1):
            with g.scope(i):
                x = conv_norm(g, x, x.shape[1], stride=stride, groups=x.shape[1], name="0")
                x = conv_norm(g, x, width, 1, name="1")
    return linear(g, global_pool(g, x), 1000, name="classifier")


def mobilenet_v2(g: Graph, x: Tensor) -> Tensor:
    """Sandler et al. 2018 (arXiv 1801.04381), table 2."""
    plan = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    place = 1
    with g.scope("features"):
        x = conv_norm(g, x, 32, stride=2, activation="relu6", name="0")
        for expansion, width, layers, stride in plan:
            for layer in range(layers):
                with g.scope(place):
                    x = _inverted(g, x, expansion, width, stride if layer == 0 else 1)
                place += 1
        x = conv_norm(g, x, 1280, 1, activation="relu6", name=str(place))
    x = ops.reduce(g, "mean", x, (2, 3), keep=True, kind="pool")
    with g.scope("classifier"):
        return linear(g, flatten(g, x), 1000, name="1")


def _inverted(g: Graph, x: Tensor, expansion: int, width: int, stride: int) -> Tensor:
    hidden = x.shape[1] * expansion
    y, place = x, 0
    with g.scope("conv"):
        if expansion != 1:
            y = conv_norm(g, y, hidden, 1, activation="relu6", name="0")
            place = 1
        y = conv_norm(g, y, hidden, stride=stride, groups=hidden, activation="relu6", name=str(place))
        y = conv(g, y, width, 1, bias=False, name=str(place + 1))
        y = batch_norm(g, y, name=str(place + 2))
    return residual(g, x, y) if stride == 1 and x.shape[1] == width else y


def mobilenet_v3(rows: Sequence[Row], last: int, size: str, aliases: tuple[str, ...] = ()) -> Entry:
    """Howard et al. 2019 (arXiv 1905.02244), tables 1 and 2."""

    def body(g: Graph, x: Tensor) -> Tensor:
        with g.scope("features"):
            x = conv_norm(g, x, 16, stride=2, activation="hard_swish", name="0")
            for place, row in enumerate(rows, start=1):
                with g.scope(place):
                    x = _v3_block(g, x, row)
            x = conv_norm(g, x, 6 * x.shape[1], 1, activation="hard_swish", name=str(len(rows) + 1))
        x = global_pool(g, x)
        with g.scope("classifier"):
            x = act(g, linear(g, x, last, name="0"), "hard_swish", name="1")
            return linear(g, x, 1000, name="3")

    return entry(body, f"MobileNet v3 {size}: Howard et al. 2019", aliases)


def _v3_block(g: Graph, x: Tensor, row: Row) -> Tensor:
    kernel, expanded, width, excite, activation, stride = row
    y, place = x, 0
    with g.scope("block"):
        if expanded != x.shape[1]:
            y = conv_norm(g, y, expanded, 1, activation=activation, name="0")
            place = 1
        y = conv_norm(g, y, expanded, kernel, stride=stride, groups=expanded, activation=activation, name=str(place))
        if excite:
            place += 1
            y = squeeze_excite(g, y, make_divisible(expanded // 4), "relu", "hard_sigmoid", name=str(place))
        y = conv_norm(g, y, width, 1, activation="", name=str(place + 1))
    return residual(g, y, x) if stride == 1 and x.shape[1] == width else y


def efficientnet(scale: int) -> Entry:
    """Tan, Le 2019 (arXiv 1905.11946); stochastic depth is nothing at inference."""
    by_width, by_depth, side = SCALES[scale]

    def body(g: Graph, x: Tensor) -> Tensor:
        with g.scope("features"):
            x = conv_norm(g, x, make_divisible(32 * by_width), stride=2, activation="silu", name="0")
            for stage, (expansion, kernel, stride, channels, layers) in enumerate(B0, start=1):
                for layer in range(math.ceil(layers * by_depth)):
                    with g.scope(stage, layer):
                        width = make_divisible(channels * by_width)
                        x = _mb_conv(g, x, expansion, kernel, stride if layer == 0 else 1, width)
            x = conv_norm(g, x, 4 * x.shape[1], 1, activation="silu", name=str(len(B0) + 1))
        x = global_pool(g, x)
        with g.scope("classifier"):
            return linear(g, x, 1000, name="1")

    return entry(body, f"EfficientNet-B{scale}, {side} x {side}: Tan, Le 2019", side=side)


def _mb_conv(g: Graph, x: Tensor, expansion: int, kernel: int, stride: int, width: int) -> Tensor:
    hidden = make_divisible(x.shape[1] * expansion)
    y, place = x, 0
    with g.scope("block"):
        if hidden != x.shape[1]:
            y = conv_norm(g, y, hidden, 1, activation="silu", name="0")
            place = 1
        y = conv_norm(g, y, hidden, kernel, stride=stride, groups=hidden, activation="silu", name=str(place))
        y = squeeze_excite(g, y, max(1, x.shape[1] // 4), "silu", "sigmoid", name=str(place + 1))
        y = conv_norm(g, y, width, 1, activation="", name=str(place + 2))
    return residual(g, y, x) if stride == 1 and x.shape[1] == width else y


def shufflenet_v2(widths: Sequence[int], title: str, aliases: tuple[str, ...] = ()) -> Entry:
    """Ma, Zhang, Zheng, Sun 2018 (arXiv 1807.11164), table 5."""

    def body(g: Graph, x: Tensor) -> Tensor:
        x = max_pool(g, conv_norm(g, x, 24, stride=2, name="conv1"), 3, 2, 1, name="maxpool")
        for stage, (width, layers) in enumerate(zip(widths, (4, 8, 4), strict=False), start=2):
            for layer in range(layers):
                with g.scope(f"stage{stage}", layer):
                    x = _shuffle_unit(g, x, width, 2 if layer == 0 else 1)
        x = conv_norm(g, x, widths[3], 1, name="conv5")
        return linear(g, ops.reduce(g, "mean", x, (2, 3), kind="pool"), 1000, name="fc")

    return entry(body, f"ShuffleNet v2 {title}: Ma et al. 2018", aliases)


def _shuffle_unit(g: Graph, x: Tensor, width: int, stride: int) -> Tensor:
    """Half of the channels passes by (or, with a stride, is made smaller); then two channels change places."""
    half = width // 2
    if stride == 1:
        left = ops.slice_view(g, x, (x.shape[0], half, *x.shape[2:]))
        right = ops.slice_view(g, x, (x.shape[0], half, *x.shape[2:]))
    else:
        with g.scope("branch1"):
            left = batch_norm(g, _depthwise(g, x, 2, "0"), name="1")
            left = batch_norm(g, conv(g, left, half, 1, bias=False, name="2"), name="3")
            left = act(g, left, name="4")
        right = x
    with g.scope("branch2"):
        right = act(g, batch_norm(g, conv(g, right, half, 1, bias=False, name="0"), name="1"), name="2")
        right = batch_norm(g, _depthwise(g, right, stride, "3"), name="4")
        right = act(g, batch_norm(g, conv(g, right, half, 1, bias=False, name="5"), name="6"), name="7")
    y = ops.concat(g, [left, right], 1)
    batch, _, height, breadth = y.shape
    turned = ops.transpose(g, g.view(y, (batch, 2, half, height, breadth)), (0, 2, 1, 3, 4))
    return g.view(turned, y.shape)


def _depthwise(g: Graph, x: Tensor, stride: int, name: str) -> Tensor:
    return conv(g, x, x.shape[1], 3, stride=stride, padding=1, groups=x.shape[1], bias=False, name=name)


MODELS: Final[dict[str, Entry]] = {
    "mobilenet-v1": entry(mobilenet_v1, "MobileNet v1, width 1.0: Howard et al. 2017", ("mobilenet",)),
    "mobilenet-v2": entry(mobilenet_v2, "MobileNet v2, width 1.0: Sandler et al. 2018"),
    "mobilenet-v3-large": mobilenet_v3(V3_LARGE, 1280, "large", ("mobilenet-v3",)),
    "mobilenet-v3-small": mobilenet_v3(V3_SMALL, 1024, "small"),
    **{f"efficientnet-b{scale}": efficientnet(scale) for scale in range(len(SCALES))},
    "shufflenet-v2-x0-5": shufflenet_v2((48, 96, 192, 1024), "x 0.5"),
    "shufflenet-v2-x1-0": shufflenet_v2((116, 232, 464, 1024), "x 1.0", ("shufflenet-v2",)),
    "shufflenet-v2-x1-5": shufflenet_v2((176, 352, 704, 1024), "x 1.5"),
    "shufflenet-v2-x2-0": shufflenet_v2((244, 488, 976, 2048), "x 2.0"),
}
