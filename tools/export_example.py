"""Export the demo's ONNX file with PyTorch's own exporter: MobileNetV2 with a symbolic batch, weights beside the file.

Needs `pip install torch==2.13.0 onnx`. The weights go to an external file that is not shipped: shapes suffice.
"""

import sys
from pathlib import Path

import onnx
import torch
from torch import nn

# expansion, channels, repeats, first stride: table 2 of Sandler et al. 2018.
PLAN = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def step(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True) -> list[nn.Module]:
    """Convolution, norm and (mostly) ReLU6."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(c_out)] + ([nn.ReLU6(inplace=True)] if act else [])


class Inverted(nn.Module):
    """Expand, filter each channel, project; add the input where the shape allows."""

    def __init__(self, c_in: int, c_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = c_in * expansion
        expand = step(c_in, hidden, 1) if expansion != 1 else []
        self.body = nn.Sequential(*expand, *step(hidden, hidden, 3, stride, hidden), *step(hidden, c_out, 1, act=False))
        self.shortcut = stride == 1 and c_in == c_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] to [B, C', H', W']."""
        return x + self.body(x) if self.shortcut else self.body(x)


def network() -> nn.Module:
    """MobileNetV2 1.0, 1000 classes."""
    layers, channels = step(3, 32, 3, 2), 32
    for expansion, c_out, repeats, stride in PLAN:
        for index in range(repeats):
            layers.append(Inverted(channels, c_out, stride if index == 0 else 1, expansion))
            channels = c_out
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers, *step(channels, 1280, 1), *head).eval()


def main(target: Path) -> None:
    """Export to `target` and move every weight out of the file."""
    torch.manual_seed(0)
    net = network()
    for parameter in net.parameters():  # the exporter merges equal tensors: fresh norms would all be one
        torch.nn.init.uniform_(parameter)
    torch.onnx.export(
        net, (torch.zeros(1, 3, 224, 224),), str(target), dynamo=False, input_names=["image"],
        output_names=["scores"], dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}}, do_constant_folding=False,
    )  # fmt: skip
    model = onnx.load(str(target))
    onnx.save(model, str(target), save_as_external_data=True, location=target.name + ".data", size_threshold=256)
    (target.parent / (target.name + ".data")).unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "examples/models/mobilenet_v2.onnx"))
