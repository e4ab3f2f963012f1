"""Residual and dense networks: ResNet, ResNeXt, Wide ResNet, DenseNet, with torchvision's module names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from picojoule.workload import Graph, Tensor, ops

from ._entry import Entry
from ._image import entry
from ._layers import act, avg_pool, batch_norm, conv, flatten, global_pool, linear, max_pool, residual


@dataclass(frozen=True, slots=True)
class Plan:
    """Blocks in each of four stages, two convolutions (basic) or three (bottleneck) a block.

    `groups` and `width` (of a group, at 64 channels) make ResNeXt and Wide ResNet. `stride_first` puts the stride
    of a bottleneck into its first 1 x 1 convolution, as He et al. did, instead of its 3 x 3.
    """

    depths: Sequence[int]
    bottleneck: bool = True
    groups: int = 1
    width: int = 64
    stride_first: bool = False


def resnet(plan: Plan, *aliases: str) -> Entry:
    """He, Zhang, Ren, Sun 2015 (arXiv 1512.03385), table 1; ResNeXt arXiv 1611.05431, Wide ResNet 1605.07146."""

    def body(g: Graph, x: Tensor) -> Tensor:
        x = conv(g, x, 64, 7, stride=2, padding=3, bias=False, name="conv1")
        x = max_pool(g, act(g, batch_norm(g, x, name="bn1")), 3, 2, 1, name="maxpool")
        for stage, (planes, depth) in enumerate(zip((64, 128, 256, 512), plan.depths, strict=True), start=1):
            for block in range(depth):
                with g.scope(f"layer{stage}", block):
                    x = _block(g, x, planes, 2 if stage > 1 and block == 0 else 1, plan)
        return linear(g, global_pool(g, x), 1000, name="fc")

    return entry(body, _about(plan), aliases)


def _about(plan: Plan) -> str:
    depth = sum(plan.depths) * (3 if plan.bottleneck else 2) + 2
    if plan.groups > 1:
        return f"ResNeXt-{depth}, {plan.groups} groups of {plan.width}: Xie et al. 2016"
    if plan.width > 64:
        return f"Wide ResNet-{depth}-{plan.width // 64}: Zagoruyko, Komodakis 2016"
    if plan.stride_first:
        return f"ResNet-{depth} with the stride in the first 1 x 1, as in the paper: He et al. 2015"
    return f"ResNet-{depth}" + (" with the stride in the 3 x 3" if plan.bottleneck else "") + ": He et al. 2015"


def _block(g: Graph, x: Tensor, planes: int, stride: int, plan: Plan) -> Tensor:
    """The convolutions, then the shortcut, in the order in which torchvision's modules run."""
    out = planes * (4 if plan.bottleneck else 1)
    if plan.bottleneck:
        inner = planes * plan.width // 64 * plan.groups
        first, second = (stride, 1) if plan.stride_first else (1, stride)
        y = act(g, _conv_norm(g, x, inner, 1, 1, first), name="relu")
        y = act(g, _conv_norm(g, y, inner, 3, 2, second, plan.groups), name="relu")
        y = _conv_norm(g, y, out, 1, 3)
    else:
        y = act(g, _conv_norm(g, x, out, 3, 1, stride), name="relu")
        y = _conv_norm(g, y, out, 3, 2)
    return act(g, residual(g, y, _shortcut(g, x, out, stride)), name="relu")


def _shortcut(g: Graph, x: Tensor, out: int, stride: int) -> Tensor:
    if stride == 1 and x.shape[1] == out:
        return x
    with g.scope("downsample"):
        return batch_norm(g, conv(g, x, out, 1, stride=stride, bias=False, name="0"), name="1")


def _conv_norm(g: Graph, x: Tensor, out: int, kernel: int, index: int, stride: int = 1, groups: int = 1) -> Tensor:
    x = conv(g, x, out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False, name=f"conv{index}")
    return batch_norm(g, x, name=f"bn{index}")


def densenet(depths: Sequence[int], growth: int = 32, stem: int = 64) -> Entry:
    """Huang, Liu, van der Maaten, Weinberger 2016 (arXiv 1608.06993), 1 x 1 bottlenecks of 4 · growth, halving between.

    Each layer concatenates all maps before it anew, as torchvision does without memory-efficient recomputation.
    """

    def body(g: Graph, x: Tensor) -> Tensor:
        with g.scope("features"):
            x = conv(g, x, stem, 7, stride=2, padding=3, bias=False, name="conv0")
            x = max_pool(g, act(g, batch_norm(g, x, name="norm0"), name="relu0"), 3, 2, 1, name="pool0")
            for block, depth in enumerate(depths, start=1):
                with g.scope(f"denseblock{block}"):
                    x = _dense_block(g, x, depth, growth)
                if block < len(depths):
                    with g.scope(f"transition{block}"):
                        x = act(g, batch_norm(g, x, name="norm"))
                        x = conv(g, x, x.shape[1] // 2, 1, bias=False, name="conv")
                        x = avg_pool(g, x, 2, 2, name="pool")
            x = batch_norm(g, x, name="norm5")
        x = ops.reduce(g, "mean", ops.unary(g, "relu", x), (2, 3), keep=True, kind="pool")
        return linear(g, flatten(g, x), 1000, name="classifier")

    return entry(body, f"DenseNet-{2 * sum(depths) + 5}, growth {growth}: Huang et al. 2016")


def _dense_block(g: Graph, x: Tensor, depth: int, growth: int) -> Tensor:
    maps = [x]
    for layer in range(1, depth + 1):
        with g.scope(f"denselayer{layer}"):
            y = act(g, batch_norm(g, ops.concat(g, maps, 1), name="norm1"), name="relu1")
            y = conv(g, y, 4 * growth, 1, bias=False, name="conv1")
            y = act(g, batch_norm(g, y, name="norm2"), name="relu2")
            maps.append(conv(g, y, growth, 3, padding=1, bias=False, name="conv2"))
    return ops.concat(g, maps, 1)


_50, _101, _152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)

MODELS: Final[dict[str, Entry]] = {
    "resnet18": resnet(Plan((2, 2, 2, 2), bottleneck=False)),
    "resnet34": resnet(Plan((3, 4, 6, 3), bottleneck=False)),
    "resnet50": resnet(Plan(_50), "resnet50-v1.5"),
    "resnet101": resnet(Plan(_101), "resnet101-v1.5"),
    "resnet152": resnet(Plan(_152), "resnet152-v1.5"),
    "resnet50-v1": resnet(Plan(_50, stride_first=True)),
    "resnet101-v1": resnet(Plan(_101, stride_first=True)),
    "resnet152-v1": resnet(Plan(_152, stride_first=True)),
    "resnext50-32x4d": resnet(Plan(_50, groups=32, width=4)),
    "resnext101-32x8d": resnet(Plan(_101, groups=32, width=8)),
    "wide-resnet50-2": resnet(Plan(_50, width=128)),
    "wide-resnet101-2": resnet(Plan(_101, width=128)),
    "densenet121": densenet((6, 12, 24, 16)),
    "densenet161": densenet((6, 12, 36, 24), 48, 96),
    "densenet169": densenet((6, 12, 32, 32)),
    "densenet201": densenet((6, 12, 48, 32)),
}
