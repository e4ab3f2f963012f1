"""The networks of the recorded traces, in plain PyTorch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def alexnet() -> nn.Module:
    """Krizhevsky 2014, one tower, as torchvision has it."""
    features = nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(True), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(True), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(True), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(True),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    return Classifier(features, nn.AdaptiveAvgPool2d(6), nn.Sequential(
        nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(True), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(True),
        nn.Linear(4096, 1000),
    ))  # fmt: skip


def alexnet_original() -> nn.Module:
    """Krizhevsky et al. 2012: two groups, local response normalisation."""

    def norm() -> nn.Module:
        return nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)

    features = nn.Sequential(
        nn.Conv2d(3, 96, 11, 4), nn.ReLU(), norm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), norm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    return Classifier(features, None, nn.Sequential(
        nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, 1000),
    ))  # fmt: skip


class Classifier(nn.Module):
    """Features, a pool, a head."""

    def __init__(self, features: nn.Module, avgpool: nn.Module | None, classifier: nn.Module) -> None:
        super().__init__()
        self.features, self.avgpool, self.classifier = features, avgpool, classifier

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.classifier(torch.flatten(x if self.avgpool is None else self.avgpool(x), 1))


def vgg(convolutions: tuple[int, ...]) -> nn.Module:
    """Simonyan and Zisserman 2014: so many 3x3 convolutions a stage."""
    layers: list[nn.Module] = []
    width = 3
    for count, channels in zip(convolutions, (64, 128, 256, 512, 512), strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU(True)]
            width = channels
        layers.append(nn.MaxPool2d(2, 2))
    return Classifier(nn.Sequential(*layers), nn.AdaptiveAvgPool2d(7), nn.Sequential(
        nn.Linear(25088, 4096), nn.ReLU(True), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(),
        nn.Linear(4096, 1000),
    ))  # fmt: skip


class Residual(nn.Module):
    """He et al. 2015: two 3x3 convolutions, or a bottleneck of three, and a shortcut."""

    def __init__(self, into: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        out = width * expansion
        shapes = [(into, width, 3, stride), (width, out, 3, 1)] if expansion == 1 else \
            [(into, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]  # fmt: skip
        for index, (a, b, kernel, step) in enumerate(shapes, 1):
            setattr(self, f"conv{index}", nn.Conv2d(a, b, kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{index}", nn.BatchNorm2d(b))
        self.depth = len(shapes)
        self.relu = nn.ReLU(True)
        self.downsample = None
        if stride != 1 or into != out:
            self.downsample = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        for index in range(1, self.depth + 1):
            x = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(x))
            if index < self.depth:
                x = self.relu(x)
        x += shortcut
        return self.relu(x)


class ResNet(nn.Module):
    """He et al. 2015."""

    def __init__(self, blocks: tuple[int, int, int, int], expansion: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.relu, self.maxpool = nn.ReLU(True), nn.MaxPool2d(3, 2, 1)
        into = 64
        for index, count in enumerate(blocks):
            layer = []
            for block in range(count):
                layer.append(Residual(into, 64 << index, 2 if index and not block else 1, expansion))
                into = (64 << index) * expansion
            setattr(self, f"layer{index + 1}", nn.Sequential(*layer))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(into, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for index in range(1, 5):
            x = getattr(self, f"layer{index}")(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


def unit(into: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU6."""
    conv = nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU6(inplace=True))


class Inverted(nn.Module):
    """Sandler et al. 2018: widen, filter by depth, narrow."""

    def __init__(self, into: int, out: int, stride: int, factor: int) -> None:
        super().__init__()
        wide = into * factor
        self.residual = stride == 1 and into == out
        first = [unit(into, wide, 1)] if factor != 1 else []
        self.conv = nn.Sequential(*first, unit(wide, wide, 3, stride, wide), nn.Conv2d(wide, out, 1, bias=False),
                                  nn.BatchNorm2d(out))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


def mobilenet_v2() -> nn.Module:
    """Sandler et al. 2018."""
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    into, layers = 32, [unit(3, 32, 3, 2)]
    for factor, out, count, stride in stages:
        for index in range(count):
            layers.append(Inverted(into, out, 1 if index else stride, factor))
            into = out
    layers.append(unit(320, 1280, 1))
    return Classifier(
        nn.Sequential(*layers), nn.AdaptiveAvgPool2d(1), nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))
    )


class UNet(nn.Module):
    """Ronneberger et al. 2015: unpadded convolutions, 572 pixels to 388, two classes."""

    def __init__(self) -> None:
        super().__init__()

        def twice(into: int, out: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(into, out, 3), nn.ReLU(True), nn.Conv2d(out, out, 3), nn.ReLU(True))

        widths = (1024, 512, 256, 128)
        self.down = nn.ModuleList([twice(1, 64), twice(64, 128), twice(128, 256), twice(256, 512)])
        self.pool, self.mid = nn.MaxPool2d(2), twice(512, 1024)
        self.up = nn.ModuleList([nn.ConvTranspose2d(w, w // 2, 2, 2) for w in widths])
        self.dec = nn.ModuleList([twice(w, w // 2) for w in widths])
        self.head = nn.Conv2d(64, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
            x = self.pool(x)
        x = self.mid(x)
        for up, block, skip in zip(self.up, self.dec, reversed(skips), strict=True):
            x = up(x)
            edge, size = (skip.shape[2] - x.shape[2]) // 2, x.shape[2]
            x = block(torch.cat([skip[:, :, edge : edge + size, edge : edge + size], x], 1))
        return self.head(x)


class Recurrent(nn.Module):
    """A recurrent network and a head on its last output."""

    def __init__(self, cell: Any, layers: int = 1, both: bool = False) -> None:
        super().__init__()
        self.rnn = cell(128, 256, layers, batch_first=True, bidirectional=both)
        self.fc = nn.Linear(512 if both else 256, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x)[0][:, -1])


class SelfAttention(nn.Module):
    """Attention by PyTorch's function, by products, or by einsum."""

    def __init__(self, width: int, heads: int, mode: str) -> None:
        super().__init__()
        self.heads, self.mode = heads, mode
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        scale = (d // self.heads) ** -0.5
        if self.mode == "sdpa":
            y = functional.scaled_dot_product_attention(q, k, v)
        elif self.mode == "matmul":
            y = ((q * scale) @ k.transpose(-2, -1)).softmax(-1) @ v
        else:
            scores = torch.einsum("bhqd,bhkd->bhqk", q, k) * scale
            y = torch.einsum("bhqk,bhkd->bhqd", scores.softmax(-1), v)
        return self.proj(y.transpose(1, 2).reshape(b, n, d))


class Block(nn.Module):
    """Dosovitskiy et al. 2020: attention and a perceptron, each after a norm."""

    def __init__(self, width: int, heads: int, inner: int, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attention = (nn.MultiheadAttention(width, heads, batch_first=True) if mode == "mha"
                               else SelfAttention(width, heads, mode))  # fmt: skip
        self.mlp = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Dropout(0.0), nn.Linear(inner, width),
                                 nn.Dropout(0.0))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        y = self.self_attention(y, y, y, need_weights=False)[0] if self.mode == "mha" else self.self_attention(y)
        x = x + y
        return x + self.mlp(self.ln_2(x))


class ViT(nn.Module):
    """Dosovitskiy et al. 2020."""

    def __init__(self, mode: str, width: int = 768, depth: int = 12, heads: int = 12, inner: int = 3072,
                 patch: int = 16, size: int = 224) -> None:  # fmt: skip
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embedding = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, width))
        self.layers = nn.Sequential(*[Block(width, heads, inner, mode) for _ in range(depth)])
        self.ln, self.head = nn.LayerNorm(width), nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embedding
        return self.head(self.ln(self.layers(x))[:, 0])


class Tied(nn.Module):
    """A head tied to its embedding, a layer used twice, a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.emb, self.l, self.out = nn.Embedding(1000, 64), nn.Linear(64, 64), nn.Linear(64, 1000, bias=False)
        self.out.weight = self.emb.weight
        self.register_buffer("b", torch.zeros(64))

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(torch.relu(self.l(self.l(self.emb(ids))) + self.b))


NETS: dict[str, Callable[[], nn.Module]] = {
    "alexnet_tv": alexnet,
    "alexnet_orig": alexnet_original,
    "vgg16": lambda: vgg((2, 2, 3, 3, 3)),
    "vgg19": lambda: vgg((2, 2, 4, 4, 4)),
    "resnet18": lambda: ResNet((2, 2, 2, 2), 1),
    "resnet50": lambda: ResNet((3, 4, 6, 3), 4),
    "resnet152": lambda: ResNet((3, 8, 36, 3), 4),
    "mobilenet_v2": mobilenet_v2,
    "unet": UNet,
    "rnn1": lambda: Recurrent(nn.RNN),
    "lstm1": lambda: Recurrent(nn.LSTM),
    "lstm2": lambda: Recurrent(nn.LSTM, 2),
    "bilstm2": lambda: Recurrent(nn.LSTM, 2, True),
    "gru1": lambda: Recurrent(nn.GRU),
    "gru2": lambda: Recurrent(nn.GRU, 2),
    "vit_b16_mha": lambda: ViT("mha"),
    "vit_b16_sdpa": lambda: ViT("sdpa"),
    "vit_b16_matmul": lambda: ViT("matmul"),
    "tied": Tied,
}


def build(name: str, device: str) -> nn.Module:
    """The network `name` with its parameters on `device`, in eval mode."""
    with torch.device(device):
        return NETS[name]().eval()


def inputs(name: str, shapes: list[list[int]], device: str) -> tuple[Tensor, ...]:
    """Its inputs: integers for the one that embeds them."""
    dtype = torch.int64 if name == "tied" else torch.float32
    return tuple(torch.zeros(shape, dtype=dtype, device=device) for shape in shapes)
