"""One network, every road: zoo, live module, exported program, ONNX file give one answer."""

import sys
import warnings
from pathlib import Path

import pytest

from picojoule.frontends import read_model, read_object
from picojoule.workload import PARAMETER_ROLES, Workload

torch = pytest.importorskip("torch", reason="the roads through PyTorch need torch==2.13.0")
sys.path.insert(0, str(Path(__file__).parents[1] / "frontends" / "pytorch"))
from torch_nets import NETS  # noqa: E402

IMAGE = (1, 3, 224, 224)
SEQUENCE = (4, 50, 128)
ROADS = {
    "alexnet_tv": ("alexnet", IMAGE), "alexnet_orig": ("alexnet-2012", (1, 3, 227, 227)), "vgg16": ("vgg16", IMAGE),
    "resnet18": ("resnet18", IMAGE), "resnet50": ("resnet50", IMAGE), "mobilenet_v2": ("mobilenet-v2", IMAGE),
    "unet": ("unet", (1, 1, 572, 572)), "vit_b16_sdpa": ("vit-b16", IMAGE),
    "rnn1": ("rnn:128x256:steps=50:head=10", SEQUENCE), "lstm1": ("lstm:128x256:steps=50:head=10", SEQUENCE),
    "gru2": ("gru:128x256:layers=2:steps=50:head=10", SEQUENCE),
}  # fmt: skip
SMALL = ("resnet18", "mobilenet_v2", "rnn1", "lstm1", "gru2")


def answer(net: Workload) -> tuple[int, int, int]:
    """MACs, multiplications of dot products by weights, and parameters."""
    weighted = sum(o.work.macs * o.repeats for o in net.operators if net.bears_weights(o))
    return net.work.macs, weighted, sum(t.stored_elements for t in net.tensors.values()
                                        if t.role in PARAMETER_ROLES and not t.base)  # fmt: skip


def module(name: str) -> "torch.nn.Module":
    """The definition with weights that no exporter can merge."""
    torch.manual_seed(0)
    net = NETS[name]().eval()
    for parameter in net.parameters():
        torch.nn.init.uniform_(parameter)
    return net


@pytest.mark.parametrize("name", [name for name in ROADS if name in NETS])
def test_zoo_is_the_module(name: str) -> None:
    """Equality: the native formulas and the traced module, to the last multiplication."""
    zoo, shape = ROADS[name]
    with torch.device("meta"):
        net = NETS[name]().eval()
    traced = read_object(net, (torch.zeros(shape, device="meta"),), None, batch=None, inputs=None, phase="infer")
    assert answer(traced) == answer(read_model(zoo, batch=shape[0]))


@pytest.mark.parametrize("name", [name for name in SMALL if name in NETS])
def test_export_and_onnx_are_the_module(name: str, tmp_path: Path) -> None:
    """Equality: the exported program, its .pt2 file and the ONNX file agree with the zoo."""
    zoo, shape = ROADS[name]
    net, x = module(name), torch.zeros(shape)
    expected = answer(read_model(zoo, batch=shape[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, about its recurrent layers
        exported = torch.export.export(net, (x,))
    assert answer(read_object(exported, (), None, batch=None, inputs=None, phase="infer")) == expected
    torch.export.save(exported, tmp_path / "net.pt2")
    assert answer(read_model(tmp_path / "net.pt2")) == expected
    pytest.importorskip("onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Folding merges a norm into its convolution (fewer parameters), but is what joins the gates of a recurrent layer.
        fold = len(shape) == 3
        torch.onnx.export(net, (x,), str(tmp_path / "net.onnx"), dynamo=False, do_constant_folding=fold)
    assert answer(read_model(tmp_path / "net.onnx")) == expected
