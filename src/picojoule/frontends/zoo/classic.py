"""Plain chains of convolutions and products: LeNet-5, AlexNet in its three forms, VGG, U-Net."""

from collections.abc import Sequence
from typing import Final

from picojoule.workload import Graph, Tensor, Workload, ops

from ._entry import Entry, Options
from ._image import choose_spec, entry, run
from ._layers import act, adaptive_pool, avg_pool, batch_norm, conv, conv_transpose, flatten, linear, max_pool

ALEXNET_NOTE: Final = (
    "alexnet is torchvision's (one tower, 61,100,840 parameters); alexnet-2012 is the two-tower net of the 2012 paper "
    "(60,965,224), alexnet-one-tower the 2014 one (61,838,248)"
)
VGG_BLOCKS: Final = {"11": (1, 1, 2, 2, 2), "13": (2, 2, 2, 2, 2), "16": (2, 2, 3, 3, 3), "19": (2, 2, 4, 4, 4)}


def lenet5(name: str, options: Options) -> Workload:
    """LeCun, Bottou, Bengio, Haffner 1998, "Gradient-Based Learning Applied to Document Recognition", 32 x 32 x 1.

    C3 is connected to all six maps of S2 and the pools have no parameters, as is usual since; tanh and average pools.
    The spec "relu" takes ReLU and max pools instead.
    """
    modern = choose_spec(name, options, "relu") == "relu"

    def body(g: Graph, x: Tensor) -> Tensor:
        op = "relu" if modern else "tanh"
        pool = max_pool if modern else avg_pool
        x = pool(g, act(g, conv(g, x, 6, 5, name="c1"), op, name="act1"), 2, 2, name="s2")
        x = pool(g, act(g, conv(g, x, 16, 5, name="c3"), op, name="act3"), 2, 2, name="s4")
        x = act(g, linear(g, flatten(g, x), 120, name="c5"), op, name="act5")
        x = act(g, linear(g, x, 84, name="f6"), op, name="act6")
        return linear(g, x, 10, name="output")

    return run(name, options, (1, 32, 32), body)


def fc_head(g: Graph, x: Tensor, hidden: Sequence[int] = (0, 3), last: int = 6) -> Tensor:
    """Two hidden layers of 4096 and 1000 classes, at these places of `classifier`; dropout is nothing at inference."""
    with g.scope("classifier"):
        for place in hidden:
            x = act(g, linear(g, x, 4096, name=str(place)), name=str(place + 1))
        return linear(g, x, 1000, name=str(last))


def alexnet_2012_features(g: Graph, x: Tensor, *, last_pool: bool = True) -> Tensor:
    """The five convolutions of the two-tower net; `groups` are the two GPUs."""
    with g.scope("features"):
        x = act(g, conv(g, x, 96, 11, stride=4, name="0"), name="1")
        x = max_pool(g, response_norm(g, x, name="2"), 3, 2, name="3")
        x = act(g, conv(g, x, 256, 5, padding=2, groups=2, name="4"), name="5")
        x = max_pool(g, response_norm(g, x, name="6"), 3, 2, name="7")
        x = act(g, conv(g, x, 384, 3, padding=1, name="8"), name="9")
        x = act(g, conv(g, x, 384, 3, padding=1, groups=2, name="10"), name="11")
        x = act(g, conv(g, x, 256, 3, padding=1, groups=2, name="12"), name="13")
        return max_pool(g, x, 3, 2, name="14") if last_pool else x


def response_norm(g: Graph, x: Tensor, *, name: str) -> Tensor:
    """Local response normalisation over five neighbouring channels."""
    with g.scope(name):
        return ops.local_response_norm(g, x, 5)


def alexnet_2012(g: Graph, x: Tensor) -> Tensor:
    """Krizhevsky, Sutskever, Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks".

    The paper says 224 x 224; its arithmetic (55 x 55 maps, no padding) needs 227 x 227.
    """
    g.notes.append("alexnet-2012: the paper's 224 x 224 input is read as 227 x 227, which its 55 x 55 maps need")
    return fc_head(g, flatten(g, alexnet_2012_features(g, x)))


def alexnet_tower(g: Graph, x: Tensor, widths: Sequence[int]) -> Tensor:
    """One tower without response normalisation, module for module torchvision's."""
    with g.scope("features"):
        x = max_pool(g, act(g, conv(g, x, widths[0], 11, stride=4, padding=2, name="0"), name="1"), 3, 2, name="2")
        x = max_pool(g, act(g, conv(g, x, widths[1], 5, padding=2, name="3"), name="4"), 3, 2, name="5")
        for place, width in zip((6, 8, 10), widths[2:], strict=True):
            x = act(g, conv(g, x, width, 3, padding=1, name=str(place)), name=str(place + 1))
        x = max_pool(g, x, 3, 2, name="12")
    return fc_head(g, flatten(g, adaptive_pool(g, x, 6)), (1, 4), 6)


def alexnet(g: Graph, x: Tensor) -> Tensor:
    """torchvision's alexnet, after Krizhevsky 2014 (arXiv 1404.5997) with 256 filters in the fourth convolution."""
    g.notes.append(ALEXNET_NOTE)
    return alexnet_tower(g, x, (64, 192, 384, 256, 256))


def alexnet_one_tower(g: Graph, x: Tensor) -> Tensor:
    """Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks" (arXiv 1404.5997), text:
    "64, 192, 384, 384, 256 filters in the five convolutional layers". Response normalisation, of which the paper does
    not speak, is left out.
    """
    g.notes.append(ALEXNET_NOTE)
    return alexnet_tower(g, x, (64, 192, 384, 384, 256))


def vgg_features(g: Graph, x: Tensor, blocks: Sequence[int], *, norm: bool = False, until: str = "") -> Tensor:
    """The convolutions of a VGG; stops after the convolution `until`, such as "28", if given."""
    place = 0
    with g.scope("features"):
        for width, depth in zip((64, 128, 256, 512, 512), blocks, strict=True):
            for _ in range(depth):
                x = conv(g, x, width, 3, padding=1, name=str(place))
                if until == str(place):
                    return x
                if norm:
                    place += 1
                    x = batch_norm(g, x, name=str(place))
                x = act(g, x, name=str(place + 1))
                place += 2
            x = max_pool(g, x, 2, 2, name=str(place))
            place += 1
    return x


def vgg(depth: str, *, norm: bool = False) -> Entry:
    """Simonyan, Zisserman 2014 (arXiv 1409.1556), configurations A, B, D, E, with torchvision's module names."""

    def body(g: Graph, x: Tensor) -> Tensor:
        x = adaptive_pool(g, vgg_features(g, x, VGG_BLOCKS[depth], norm=norm), 7)
        return fc_head(g, flatten(g, x))

    with_norm = " with batch normalisation" if norm else ""
    return entry(body, f"VGG-{depth}{with_norm}: Simonyan, Zisserman 2014")


def unet(g: Graph, x: Tensor) -> Tensor:
    """Ronneberger, Fischer, Brox 2015 (arXiv 1505.04597): valid convolutions, 572 to 388, 2 classes, no normalisation.

    The cropped maps of the way down are concatenated before those of the way up.
    """
    kept: list[Tensor] = []
    for i, width in enumerate((64, 128, 256, 512)):
        with g.scope("down", i):
            x = _two_convs(g, x, width)
        kept.append(x)
        x = max_pool(g, x, 2, 2, name="pool")
    with g.scope("mid"):
        x = _two_convs(g, x, 1024)
    for i, width in enumerate((512, 256, 128, 64)):
        with g.scope("up"):
            x = conv_transpose(g, x, width, 2, stride=2, name=str(i))
        cropped = ops.slice_view(g, kept.pop(), (x.shape[0], width, *x.shape[2:]))
        x = ops.concat(g, [cropped, x], 1)
        with g.scope("dec", i):
            x = _two_convs(g, x, width)
    return conv(g, x, 2, 1, name="head")


def _two_convs(g: Graph, x: Tensor, width: int) -> Tensor:
    for place in (0, 2):
        x = act(g, conv(g, x, width, 3, name=str(place)), name=str(place + 1))
    return x


MODELS: Final[dict[str, Entry]] = {
    "lenet5": Entry(lenet5, "LeNet-5, 32 x 32, full C3: LeCun et al. 1998", ("lenet",), "lenet5:relu"),
    "alexnet": entry(alexnet, "AlexNet as torchvision has it (one tower)", ("alexnet-tv", "alexnet-torchvision")),
    "alexnet-2012": entry(alexnet_2012, "AlexNet, two towers, 227 x 227: Krizhevsky et al. 2012",
                          ("alexnet-orig", "alexnet-original", "alexnet-two-tower"), side=227),
    "alexnet-one-tower": entry(alexnet_one_tower, "AlexNet, one tower: Krizhevsky 2014",
                               ("alexnet-2014", "alexnet-owt", "alexnet-v2")),
    **{f"vgg{depth}": vgg(depth) for depth in VGG_BLOCKS},
    **{f"vgg{depth}-bn": vgg(depth, norm=True) for depth in VGG_BLOCKS},
    "unet": entry(unet, "U-Net, 572 x 572 x 1: Ronneberger et al. 2015", ("u-net",), side=572, channels=1),
}  # fmt: skip
