"""Networks that make images: DCGAN, style transfer by optimisation (Gatys) and by one pass (Johnson)."""

from typing import Final

from picojoule.workload import Graph, Tensor, Workload, ops

from ._entry import Entry, Options
from ._image import choose_spec, entry, run
from ._layers import act, batch_norm, conv, conv_transpose, instance_norm, residual
from .classic import VGG_BLOCKS, vgg_features

# conv1_1, conv2_1, conv3_1, conv4_1, conv5_1 of VGG-19, by their place in `features`
STYLE_LAYERS: Final = ("features.0", "features.5", "features.10", "features.19", "features.28")


def generator(g: Graph, x: Tensor) -> Tensor:
    """Radford, Metz, Chintala 2015 (arXiv 1511.06434), as in the PyTorch tutorial: 100 x 1 x 1 to 3 x 64 x 64."""
    with g.scope("main"):
        for place, width in zip((0, 3, 6, 9), (512, 256, 128, 64), strict=True):
            stride, padding = (1, 0) if place == 0 else (2, 1)
            x = conv_transpose(g, x, width, 4, stride=stride, padding=padding, bias=False, name=str(place))
            x = act(g, batch_norm(g, x, name=str(place + 1)), name=str(place + 2))
        return act(g, conv_transpose(g, x, 3, 4, stride=2, padding=1, bias=False, name="12"), "tanh", name="13")


def discriminator(g: Graph, x: Tensor) -> Tensor:
    """The other half of DCGAN: 3 x 64 x 64 to one probability."""
    with g.scope("main"):
        x = act(g, conv(g, x, 64, 4, stride=2, padding=1, bias=False, name="0"), "leaky_relu", name="1")
        for place, width in zip((2, 5, 8), (128, 256, 512), strict=True):
            x = conv(g, x, width, 4, stride=2, padding=1, bias=False, name=str(place))
            x = act(g, batch_norm(g, x, name=str(place + 1)), "leaky_relu", name=str(place + 2))
        return act(g, conv(g, x, 1, 4, bias=False, name="11"), "sigmoid", name="12")


def style_transfer(name: str, options: Options) -> Workload:
    """Gatys, Ecker, Bethge 2015 (arXiv 1508.06576): the frozen VGG-19 that the image is optimised through.

    No spec: all 16 convolutions, forward. "gatys": only up to conv5_1, where the last loss stands, and the Gram
    matrices of the five style layers. "fast": the network of Johnson et al. that does it in one pass.
    """
    spec = choose_spec(name, options, "gatys", "fast")
    if spec == "fast":
        return run(name, options, (3, 256, 256), transform_net)

    def body(g: Graph, x: Tensor) -> Tensor:
        blocks = VGG_BLOCKS["19"]
        if spec == "gatys":
            g.notes.append("VGG-19 up to conv5_1 and the Gram matrices of conv1_1 to conv5_1, one forward pass")
            return _gram_matrices(g, vgg_features(g, x, blocks, until="28"))
        g.notes.append(
            "all convolutions of VGG-19, one forward pass; an iteration adds the gradient to the image, as many MACs "
            "again; style-transfer:gatys stops at conv5_1, style-transfer:fast is Johnson's net"
        )
        return vgg_features(g, x, blocks)

    return run(name, options, (3, 224, 224), body)


def _gram_matrices(g: Graph, last: Tensor) -> Tensor:
    """F · Fᵀ of the maps F[C, H·W] of each style layer."""
    made = {operator.path: operator.outputs[0].tensor for operator in g.operators}
    gram = last
    for i, path in enumerate(STYLE_LAYERS, start=1):
        maps = g.tensors[made[path]]
        batch, channels, height, width = maps.shape
        with g.scope("gram", f"conv{i}_1"):
            rows = g.view(maps, (batch, channels, height * width))
            gram = ops.matmul(g, rows, g.view(maps, (batch, height * width, channels)))
        if path != STYLE_LAYERS[-1]:
            g.output(gram)
    return gram


def transform_net(g: Graph, x: Tensor) -> Tensor:
    """Johnson, Alahi, Fei-Fei 2016 (arXiv 1603.08155), with instance normalisation and nearest-neighbour upsampling,
    as in the PyTorch examples.
    """
    x = act(g, instance_norm(g, _padded_conv(g, x, 32, 9, name="conv1"), name="in1"))
    x = act(g, instance_norm(g, _padded_conv(g, x, 64, 3, stride=2, name="conv2"), name="in2"))
    x = act(g, instance_norm(g, _padded_conv(g, x, 128, 3, stride=2, name="conv3"), name="in3"))
    for i in range(1, 6):
        with g.scope(f"res{i}"):
            y = act(g, instance_norm(g, _padded_conv(g, x, 128, 3, name="conv1"), name="in1"))
            x = residual(g, instance_norm(g, _padded_conv(g, y, 128, 3, name="conv2"), name="in2"), x)
    x = act(g, instance_norm(g, _padded_conv(g, x, 64, 3, upsample=2, name="deconv1"), name="in4"))
    x = act(g, instance_norm(g, _padded_conv(g, x, 32, 3, upsample=2, name="deconv2"), name="in5"))
    return _padded_conv(g, x, 3, 9, name="deconv3")


def _padded_conv(g: Graph, x: Tensor, width: int, kernel: int, *, name: str, stride: int = 1,
                 upsample: int = 1) -> Tensor:  # fmt: skip
    with g.scope(name):
        if upsample > 1:
            shape = (*x.shape[:2], x.shape[2] * upsample, x.shape[3] * upsample)
            x = ops.copy(g, x, shape, op="upsample_nearest")
        with g.scope("reflection_pad"):
            edge = kernel // 2
            x = ops.pad(g, x, [(0, 0), (0, 0), (edge, edge), (edge, edge)])
        return conv(g, x, width, kernel, stride=stride, name="conv2d")


def _generator(name: str, options: Options) -> Workload:
    """The generator reads noise [batch, 100, 1, 1]."""
    choose_spec(name, options)
    return run(name, options, (100, 1, 1), generator)


MODELS: Final[dict[str, Entry]] = {
    "dcgan": Entry(_generator, "DCGAN generator, 64 x 64: Radford et al. 2015", ("dcgan-generator",)),
    "dcgan-discriminator": entry(discriminator, "DCGAN discriminator, 64 x 64: Radford et al. 2015", side=64),
    "style-transfer": Entry(
        style_transfer, "Style transfer through VGG-19: Gatys et al. 2015; fast: Johnson et al. 2016", ("style",),
        "style-transfer:fast",
    ),
}  # fmt: skip
