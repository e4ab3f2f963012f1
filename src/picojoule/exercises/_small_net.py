"""Little networks written as the exercise writes them: "conv3x3(3->32), flatten, fc(->10); 32x32x3"."""

import math
import re
from typing import Final

from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Workload, ops

_CONV: Final = re.compile(r"conv(\d+)x(\d+)\((\d+)->(\d+)\)$")
_POOL: Final = re.compile(r"(max|avg)pool (\d+)x(\d+)/(\d+)$")
_FC: Final = re.compile(r"fc\((?:\d*)->(\d+)\)$")
_EXAMPLE: Final = "conv3x3(3->32), maxpool 3x3/2, conv3x3(32->64), flatten, fc(->10); 32x32x3, batch 1"
_IMAGE: Final = re.compile(r"(\d+)x(\d+)x(\d+)(?:, *batch (\d+))?$")


def small_net(text: str, *, dtype: str = "float32") -> Workload:
    """The Workload of "layers; height x width x channels, batch n": stride 1, no padding, biases everywhere."""
    layers, _, tail = text.partition(";")
    size = _IMAGE.match(tail.strip())
    if size is None or "0" in size.groups():
        raise InputError(f"{tail.strip()!r} is not an image", where="model", expected="height x width x channels after a ;",
                         example=_EXAMPLE)  # fmt: skip
    height, width, channels, batch = (int(n) for n in size.groups("1"))
    g = Graph(text, dtype=dtype, batch=batch)
    x = g.input("x", (batch, channels, height, width))
    convolutions = products = 0
    for part in (part.strip() for part in layers.split(",")):
        if found := _CONV.match(part):
            convolutions += 1
            x = _conv(g, x, [int(n) for n in found.groups()], f"conv{convolutions}")
        elif found := _POOL.match(part):
            kind, tall, wide, stride = found[1], int(found[2]), int(found[3]), max(1, int(found[4]))
            x = ops.pool(g, x, kind, (tall, wide), stride=(stride, stride), name=f"pool{convolutions}")
        elif part == "flatten":
            x = g.view(x, (batch, x.elements // batch))
        elif found := _FC.match(part):
            products += 1
            x = _fc(g, x, int(found[1]), "fc" if products == 1 else f"fc{products}")
        else:
            raise InputError(f"{part!r} is not a layer", where="model", expected="conv, maxpool, avgpool, flatten or fc",
                             example=_EXAMPLE)  # fmt: skip
    g.output(x)
    return g.workload()


def _conv(g: Graph, x: Tensor, sizes: list[int], name: str) -> Tensor:
    tall, wide, channels, filters = sizes
    if len(x.shape) != 4 or x.shape[1] != channels or not filters:
        raise InputError(f"{name} takes {channels} channels, its input is {list(x.shape)}", where="model",
                         expected="as many channels as the layer before gives", example=_EXAMPLE)  # fmt: skip
    with g.scope(name):
        weight = g.parameter("weight", (filters, channels, tall, wide))
        return ops.conv(g, x, weight, g.parameter("bias", (filters,), "bias"))


def _fc(g: Graph, x: Tensor, features: int, name: str) -> Tensor:
    flat = g.view(x, (x.shape[0], math.prod(x.shape[1:]))) if len(x.shape) > 2 else x
    with g.scope(name):
        weight = g.parameter("weight", (features, flat.shape[1]))
        return ops.linear(g, flat, weight, g.parameter("bias", (features,), "bias"))
