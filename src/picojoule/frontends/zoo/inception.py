"""Networks whose blocks run several convolutions side by side: GoogLeNet, Inception v3, SqueezeNet."""

from collections.abc import Sequence
from typing import Final

from picojoule.workload import Graph, Tensor, ops

from ._entry import Entry
from ._image import entry
from ._layers import Pair, act, batch_norm, conv, flatten, global_pool, linear, max_pool, pair

# 1 x 1; before 3 x 3, 3 x 3; before the second 3 x 3, that; after the pool
Widths = tuple[int, int, int, int, int, int]
GOOGLENET: Final[Sequence[tuple[str, Widths]]] = (
    ("inception3a", (64, 96, 128, 16, 32, 32)), ("inception3b", (128, 128, 192, 32, 96, 64)),
    ("maxpool3", (3, 0, 0, 0, 0, 0)),
    ("inception4a", (192, 96, 208, 16, 48, 64)), ("inception4b", (160, 112, 224, 24, 64, 64)),
    ("inception4c", (128, 128, 256, 24, 64, 64)), ("inception4d", (112, 144, 288, 32, 64, 64)),
    ("inception4e", (256, 160, 320, 32, 128, 128)),
    ("maxpool4", (2, 0, 0, 0, 0, 0)),
    ("inception5a", (256, 160, 320, 32, 128, 128)), ("inception5b", (384, 192, 384, 48, 128, 128)),
)  # fmt: skip


def basic(g: Graph, x: Tensor, out: int, kernel: Pair, *, name: str, stride: int = 1, padding: Pair = 0) -> Tensor:
    """torchvision's BasicConv2d: a convolution without bias, a normalisation, a ReLU without a module of its own."""
    with g.scope(name):
        x = conv(g, x, out, kernel, stride=stride, padding=padding, bias=False, name="conv")
        return ops.unary(g, "relu", batch_norm(g, x, name="bn"))


def googlenet(g: Graph, x: Tensor) -> Tensor:
    """Szegedy et al. 2014 (arXiv 1409.4842) as torchvision has it: normalised, no auxiliary heads at inference.

    The paper's 5 x 5 convolutions are 3 x 3 there; the pools round their sizes up.
    """
    x = basic(g, x, 64, 7, stride=2, padding=3, name="conv1")
    x = max_pool(g, x, 3, 2, name="maxpool1", ceil_mode=True)
    x = basic(g, basic(g, x, 64, 1, name="conv2"), 192, 3, padding=1, name="conv3")
    x = max_pool(g, x, 3, 2, name="maxpool2", ceil_mode=True)
    for name, widths in GOOGLENET:
        if name.startswith("maxpool"):
            x = max_pool(g, x, widths[0], 2, name=name, ceil_mode=True)
        else:
            with g.scope(name):
                x = _inception(g, x, widths)
    return linear(g, global_pool(g, x), 1000, name="fc")


def _inception(g: Graph, x: Tensor, widths: Widths) -> Tensor:
    one, before_three, three, before_five, five, pooled = widths
    branches = [basic(g, x, one, 1, name="branch1")]
    with g.scope("branch2"):
        branches.append(basic(g, basic(g, x, before_three, 1, name="0"), three, 3, padding=1, name="1"))
    with g.scope("branch3"):
        branches.append(basic(g, basic(g, x, before_five, 1, name="0"), five, 3, padding=1, name="1"))
    with g.scope("branch4"):
        y = max_pool(g, x, 3, 1, 1, name="0", ceil_mode=True)
        branches.append(basic(g, y, pooled, 1, name="1"))
    return ops.concat(g, branches, 1)


def inception_v3(g: Graph, x: Tensor) -> Tensor:
    """Szegedy et al. 2015 (arXiv 1512.00567) as torchvision has it, without the auxiliary head."""
    g.notes.append("inception-v3 without its auxiliary head, which only training runs: torchvision's 27,161,264 "
                   "parameters less 3,326,696")  # fmt: skip
    x = basic(g, x, 32, 3, stride=2, name="Conv2d_1a_3x3")
    x = basic(g, x, 32, 3, name="Conv2d_2a_3x3")
    x = max_pool(g, basic(g, x, 64, 3, padding=1, name="Conv2d_2b_3x3"), 3, 2, name="maxpool1")
    x = basic(g, x, 80, 1, name="Conv2d_3b_1x1")
    x = max_pool(g, basic(g, x, 192, 3, name="Conv2d_4a_3x3"), 3, 2, name="maxpool2")
    for name, pooled in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
        with g.scope(name):
            x = _mixed_5(g, x, pooled)
    with g.scope("Mixed_6a"):
        x = _mixed_6a(g, x)
    for name, width in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        with g.scope(name):
            x = _mixed_6(g, x, width)
    with g.scope("Mixed_7a"):
        x = _mixed_7a(g, x)
    for name in ("Mixed_7b", "Mixed_7c"):
        with g.scope(name):
            x = _mixed_7(g, x)
    return linear(g, global_pool(g, x), 1000, name="fc")


def _pooled(g: Graph, x: Tensor, width: int) -> Tensor:
    return basic(g, ops.pool(g, x, "avg", (3, 3), stride=(1, 1), padding=((1, 1), (1, 1))), width, 1,
                 name="branch_pool")  # fmt: skip


def _chain(g: Graph, x: Tensor, *steps: tuple[str, int, Pair]) -> Tensor:
    """Convolutions of stride 1 that keep the size of the map."""
    for name, width, kernel in steps:
        rows, columns = pair(kernel)
        x = basic(g, x, width, kernel, padding=(rows // 2, columns // 2), name=name)
    return x


def _mixed_5(g: Graph, x: Tensor, pooled: int) -> Tensor:
    one = basic(g, x, 64, 1, name="branch1x1")
    five = _chain(g, x, ("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5))
    three = _chain(g, x, ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3))
    return ops.concat(g, [one, five, three, _pooled(g, x, pooled)], 1)


def _mixed_6a(g: Graph, x: Tensor) -> Tensor:
    three = basic(g, x, 384, 3, stride=2, name="branch3x3")
    twice = _chain(g, x, ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3))
    twice = basic(g, twice, 96, 3, stride=2, name="branch3x3dbl_3")
    return ops.concat(g, [three, twice, ops.pool(g, x, "max", (3, 3), stride=(2, 2))], 1)


def _mixed_6(g: Graph, x: Tensor, width: int) -> Tensor:
    one = basic(g, x, 192, 1, name="branch1x1")
    once = _chain(g, x, ("branch7x7_1", width, 1), ("branch7x7_2", width, (1, 7)), ("branch7x7_3", 192, (7, 1)))
    twice = _chain(g, x, ("branch7x7dbl_1", width, 1), ("branch7x7dbl_2", width, (7, 1)),
                   ("branch7x7dbl_3", width, (1, 7)), ("branch7x7dbl_4", width, (7, 1)),
                   ("branch7x7dbl_5", 192, (1, 7)))  # fmt: skip
    return ops.concat(g, [one, once, twice, _pooled(g, x, 192)], 1)


def _mixed_7a(g: Graph, x: Tensor) -> Tensor:
    three = basic(g, basic(g, x, 192, 1, name="branch3x3_1"), 320, 3, stride=2, name="branch3x3_2")
    seven = _chain(g, x, ("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1)))
    seven = basic(g, seven, 192, 3, stride=2, name="branch7x7x3_4")
    return ops.concat(g, [three, seven, ops.pool(g, x, "max", (3, 3), stride=(2, 2))], 1)


def _mixed_7(g: Graph, x: Tensor) -> Tensor:
    one = basic(g, x, 320, 1, name="branch1x1")
    three = basic(g, x, 384, 1, name="branch3x3_1")
    three = ops.concat(g, [_chain(g, three, ("branch3x3_2a", 384, (1, 3))),
                           _chain(g, three, ("branch3x3_2b", 384, (3, 1)))], 1)  # fmt: skip
    twice = _chain(g, x, ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3))
    twice = ops.concat(g, [_chain(g, twice, ("branch3x3dbl_3a", 384, (1, 3))),
                           _chain(g, twice, ("branch3x3dbl_3b", 384, (3, 1)))], 1)  # fmt: skip
    return ops.concat(g, [one, three, twice, _pooled(g, x, 192)], 1)


def squeezenet(version: str) -> Entry:
    """Iandola et al. 2016 (arXiv 1602.07360); version 1.1 has a smaller first convolution and earlier pools."""
    first = version == "1.0"
    pools = (2, 6, 11) if first else (2, 5, 8)
    filters, kernel = (96, 7) if first else (64, 3)

    def body(g: Graph, x: Tensor) -> Tensor:
        squeezed = iter((16, 16, 32, 32, 48, 48, 64, 64))
        with g.scope("features"):
            x = act(g, conv(g, x, filters, kernel, stride=2, name="0"), name="1")
            for place in range(2, 13):
                if place in pools:
                    x = max_pool(g, x, 3, 2, name=str(place), ceil_mode=True)
                else:
                    with g.scope(place):
                        x = _fire(g, x, next(squeezed))
        with g.scope("classifier"):
            x = act(g, conv(g, x, 1000, 1, name="1"), name="2")
            with g.scope("3"):
                x = ops.reduce(g, "mean", x, (2, 3), keep=True, kind="pool")
        return flatten(g, x)

    return entry(
        body,
        f"SqueezeNet {version}: Iandola et al. 2016",
        ("squeezenet1.0", "squeezenet") if first else ("squeezenet1.1",),
    )


def _fire(g: Graph, x: Tensor, squeezed: int) -> Tensor:
    x = act(g, conv(g, x, squeezed, 1, name="squeeze"), name="squeeze_activation")
    one = act(g, conv(g, x, 4 * squeezed, 1, name="expand1x1"), name="expand1x1_activation")
    three = act(g, conv(g, x, 4 * squeezed, 3, padding=1, name="expand3x3"), name="expand3x3_activation")
    return ops.concat(g, [one, three], 1)


MODELS: Final[dict[str, Entry]] = {
    "googlenet": entry(googlenet, "GoogLeNet (Inception v1) as torchvision has it: Szegedy et al. 2014",
                       ("inception-v1",)),
    "inception-v3": entry(inception_v3, "Inception v3, 299 x 299: Szegedy et al. 2015", side=299),
    "squeezenet1-0": squeezenet("1.0"),
    "squeezenet1-1": squeezenet("1.1"),
}  # fmt: skip
