"""Equal layers are recorded twice and copied; layers that might differ are all recorded."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch import Tensor, nn  # noqa: E402
from torch_laws import faults  # noqa: E402
from torch_nets import ResNet, UNet, ViT  # noqa: E402

from picojoule.frontends.pytorch import _layers, _read, read_module  # noqa: E402

torch.set_num_threads(1)


MADE: list[_layers.Layers] = []


class Counting(_layers.Layers):
    """Layers that remember how many runs were copied."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        MADE.append(self)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reads a module and returns the Workload and the number of copied runs."""

    def read(module: nn.Module, *args: Any) -> Any:
        monkeypatch.setattr(_read, "Layers", Counting)
        MADE.clear()
        net = read_module(module, args)
        return net, MADE[0].copied

    return read


@pytest.mark.parametrize("mode", ["mha", "sdpa", "matmul", "einsum"])
def test_copied_layers_equal_recorded_ones(mode: str, copies: Any) -> None:
    """Equality: the same operators, names and tensors as when every layer is recorded."""
    with torch.device("meta"):
        module, x = ViT(mode, 32, 6, 4, 64, 16, 32).eval(), torch.zeros(2, 3, 32, 32)
    copied, count = copies(module, x)
    recorded = _read._Run(module, (x,), {}, 2, "infer", False)._trace(_read.on_meta, _read.on_meta, [])
    assert count == 4
    assert copied == recorded
    assert faults(copied) == set()


@pytest.mark.parametrize("make", [lambda: ResNet((3, 4, 6, 3), 4), UNet])
def test_copied_blocks_equal_recorded_ones(make: Any, copies: Any) -> None:
    """Equality: blocks that write in place, and lists of blocks of different sizes."""
    with torch.device("meta"):
        module = make().eval()
        x = torch.zeros(1, 3, 64, 64) if isinstance(module, ResNet) else torch.zeros(1, 1, 188, 188)
    copied, _ = copies(module, x)
    assert copied == _read._Run(module, (x,), {}, 1, "infer", False)._trace(_read.on_meta, _read.on_meta, [])


class Layer(nn.Module):
    """A linear layer that knows its place."""

    def __init__(self, index: int, looks: bool) -> None:
        super().__init__()
        self.index, self.looks = index, looks
        self.linear, self.wide = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.looks and self.index == 5:
            return self.linear(x)
        return self.wide(self.linear(x))


@pytest.mark.parametrize(("looks", "count", "macs"), [(False, 5, 256), (True, 0, 240)])
def test_a_layer_that_looks_at_its_index_is_recorded(looks: bool, count: int, macs: int, copies: Any) -> None:
    """By hand: eight layers of 2 · 16 MACs; one has only 16 if the index is looked at. The first reads an input."""
    net, copied = copies(nn.Sequential(*[Layer(i, looks) for i in range(8)]), torch.zeros(1, 4))
    assert (copied, net.work.macs) == (count, macs)


def test_layers_that_change_themselves_are_recorded(copies: Any) -> None:
    """By hand: a layer that counts its calls could do anything at the next one."""

    class Remembers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.calls = nn.Linear(4, 4), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return self.linear(x)

    net, copied = copies(nn.Sequential(*[Remembers() for _ in range(5)]), torch.zeros(1, 4))
    assert (copied, net.work.macs) == (0, 80)


def test_other_shapes_and_hooks_are_recorded(copies: Any) -> None:
    """By hand: a layer is copied only for inputs like those it was recorded with, and never past a hook."""

    class Grows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Sequential(nn.Linear(4, 4))

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(torch.cat([x, x]))

    net, copied = copies(nn.Sequential(*[Grows() for _ in range(4)]), torch.zeros(1, 4))
    assert (copied, net.work.macs) == (0, 16 * (2 + 4 + 8 + 16))
    module = nn.Sequential(*[Layer(i, False) for i in range(5)])
    for layer in module:
        layer.linear.register_forward_hook(lambda _module, _args, out: out * 2)
    net, copied = copies(module, torch.zeros(1, 4))
    assert (copied, net.work.muls) == (0, 5 * (32 + 4))


def test_a_shared_layer_run_many_times(copies: Any) -> None:
    """By hand: six runs of one layer, as ALBERT does, count six times and store their weights once."""

    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            shared = Layer(0, False)
            self.layers = nn.ModuleList([shared, shared, shared])

        def forward(self, x: Tensor) -> Tensor:
            for layer in (*self.layers, *self.layers):
                x = layer(x)
            return x

    net, _ = copies(Again(), torch.zeros(1, 4))
    assert (net.work.macs, sum(t.elements for t in net.parameters)) == (6 * 32, 36)
    assert faults(net) == set()
