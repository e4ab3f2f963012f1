"""Networks of the Vitis AI model zoo that the picojoule zoo lacks, from their papers; int8, batch 1.

The operations in a published name ("…_6.97G") are those of the float network, two a MAC; PyTorch names of 2.5 count
MACs. Every network here is held to its name within 6 %.
"""

from collections.abc import Sequence
from functools import cache

from picojoule import read_model
from picojoule.workload import Graph, Tensor, Workload, ops


@cache
def network(key: str) -> Workload:
    """ "zoo:resnet50", or FAMILY:SIZE@SIDE of this file: slim:50@224, mobilenet-v1:0.5@160, yolo-v3:20@416."""
    family, _, rest = key.partition(":")
    if family == "zoo":
        return read_model(rest)
    size, _, side = rest.partition("@")
    g = Graph(key, dtype="int8", batch=1)
    x = g.input("image", (1, 3, int(side), int(side)))
    for output in _FAMILIES[family](g, x, size):
        g.output(output)
    return g.workload()


def _conv(g: Graph, x: Tensor, out: int, kernel: int, name: str, *, stride: int = 1, groups: int = 1) -> Tensor:
    weight = g.parameter(f"{name}.weight", (out, x.shape[1] // groups, kernel, kernel))
    return ops.conv(g, x, weight, stride=(stride, stride), padding=[(kernel // 2, kernel // 2)] * 2, groups=groups,
                    name=name)  # fmt: skip


def _classes(g: Graph, x: Tensor, classes: int = 1000) -> Tensor:
    mean = ops.reduce(g, "mean", x, (2, 3), keep=False, kind="pool")
    return ops.linear(g, mean, g.parameter("fc.weight", (classes, x.shape[1])))


def _slim(g: Graph, x: Tensor, size: str) -> Sequence[Tensor]:
    """ResNet as TensorFlow-Slim has it: the stride stands in the last block of a stage, not in its first."""
    depths = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}[size]
    x = _conv(g, x, 64, 7, "conv1", stride=2)
    x = ops.pool(g, x, "max", (3, 3), stride=(2, 2), padding=[(1, 1)] * 2)
    for stage, (planes, depth) in enumerate(zip((64, 128, 256, 512), depths, strict=True)):
        for block in range(depth):
            stride = 2 if block == depth - 1 and stage < 3 else 1
            with g.scope(f"stage{stage}", block):
                x = _bottleneck(g, x, planes, stride)
    return [_classes(g, x)]


def _bottleneck(g: Graph, x: Tensor, planes: int, stride: int) -> Tensor:
    y = _conv(g, x, planes, 1, "reduce")
    y = _conv(g, y, planes, 3, "spatial", stride=stride)
    y = _conv(g, y, 4 * planes, 1, "expand")
    if x.shape[1] != 4 * planes:
        x = _conv(g, x, 4 * planes, 1, "shortcut", stride=stride)
    elif stride > 1:
        x = ops.pool(g, x, "max", (1, 1), stride=(stride, stride))
    return ops.binary(g, "add", y, x)


def _mobilenet_v1(g: Graph, x: Tensor, size: str) -> Sequence[Tensor]:
    """Howard et al. 2017 with a width multiplier."""
    plan = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
    x = _conv(g, x, int(32 * float(size)), 3, "first", stride=2)
    for index, (width, stride) in enumerate(plan):
        with g.scope(index):
            x = _conv(g, x, x.shape[1], 3, "depth", stride=stride, groups=x.shape[1])
            x = _conv(g, x, int(width * float(size)), 1, "point")
    return [_classes(g, x)]


def _mobilenet_v2(g: Graph, x: Tensor, size: str) -> Sequence[Tensor]:
    """Sandler et al. 2018 with a width multiplier; channels are multiples of eight."""
    plan = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    scale = float(size)
    x = _conv(g, x, _eights(32 * scale), 3, "first", stride=2)
    for stage, (expansion, width, blocks, stride) in enumerate(plan):
        for block in range(blocks):
            with g.scope(stage, block):
                x = _inverted(g, x, expansion, _eights(width * scale), stride if block == 0 else 1)
    return [_classes(g, _conv(g, x, int(1280 * max(1.0, scale)), 1, "last"))]


def _inverted(g: Graph, x: Tensor, expansion: int, out: int, stride: int) -> Tensor:
    y = _conv(g, x, expansion * x.shape[1], 1, "expand") if expansion > 1 else x
    y = _conv(g, y, y.shape[1], 3, "depth", stride=stride, groups=y.shape[1])
    y = _conv(g, y, out, 1, "project")
    return ops.binary(g, "add", y, x) if stride == 1 and x.shape[1] == out else y


def _eights(width: float) -> int:
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


def _yolo_v3(g: Graph, x: Tensor, size: str) -> Sequence[Tensor]:
    """Redmon, Farhadi 2018: Darknet-53 and three heads of 3 · (5 + classes) channels."""
    x = _conv(g, x, 32, 3, "first")
    maps = []
    for stage, (width, blocks) in enumerate(((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))):
        x = _conv(g, x, width, 3, f"down{stage}", stride=2)
        for block in range(blocks):
            with g.scope(f"stage{stage}", block):
                x = ops.binary(g, "add", _conv(g, _conv(g, x, width // 2, 1, "reduce"), width, 3, "spatial"), x)
        maps.append(x)
    outputs, x = [], maps[4]
    for head, width in enumerate((512, 256, 128)):
        with g.scope(f"head{head}"):
            if head:
                x = _conv(g, x, width, 1, "route")
                wide = ops.interpolate(g, x, (*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]), 1)
                x = ops.concat(g, [wide, maps[4 - head]], 1)
            for turn in range(5):
                x = _conv(g, x, 2 * width if turn % 2 else width, 3 if turn % 2 else 1, f"conv{turn}")
            outputs.append(_conv(g, _conv(g, x, 2 * width, 3, "wide"), 3 * (5 + int(size)), 1, "boxes"))
    return outputs


_FAMILIES = {"slim": _slim, "mobilenet-v1": _mobilenet_v1, "mobilenet-v2": _mobilenet_v2, "yolo-v3": _yolo_v3}
