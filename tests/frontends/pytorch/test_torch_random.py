"""Random networks: what PyTorch dispatches against the closed forms that the other front-ends use."""

from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch import nn  # noqa: E402
from torch_laws import faults, totals  # noqa: E402

from picojoule.frontends.pytorch import _modules, _recurrent, read_module  # noqa: E402
from picojoule.workload import Graph, Workload, ops  # noqa: E402

torch.set_num_threads(1)
few = settings(max_examples=40, deadline=None)
sizes = st.integers(1, 5)


def parameter(g: Graph, name: str, shape: tuple[int, ...], role: Any = "weight") -> Any:
    return g.parameter(g.fresh_name(name), shape, role)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Module, Workload, tuple[int, ...]]:
    """A stack of convolutions, norms and pools, the same recorded by the shared operators, and the input shape."""
    layers: list[nn.Module] = []
    groups = draw(st.integers(1, 3))
    channels, size, batch = groups * draw(sizes), draw(st.integers(8, 20)), draw(st.integers(1, 3))
    g = Graph("net", batch=batch)
    shape = (batch, channels, size, size)
    x = g.input("x", shape)
    for _ in range(draw(st.integers(1, 4))):
        out, kernel, stride = groups * draw(sizes), draw(st.integers(1, 3)), draw(st.integers(1, 2))
        bias, transposed = draw(st.booleans()), draw(st.booleans())
        if x.shape[-1] < kernel + 2 or x.shape[-1] > 40:
            break
        shift = parameter(g, "b", (out,), "bias") if bias else None
        if transposed:
            layers.append(nn.ConvTranspose2d(channels, out, kernel, stride, groups=groups, bias=bias))
            weight = parameter(g, "w", (channels, out // groups, kernel, kernel))
            x = ops.conv_transpose(g, x, weight, shift, stride=(stride,) * 2, groups=groups)
        else:
            layers.append(nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=bias))
            weight = parameter(g, "w", (out, channels // groups, kernel, kernel))
            pad = ((kernel // 2,) * 2,) * 2
            x = ops.conv(g, x, weight, shift, stride=(stride,) * 2, padding=pad, groups=groups)
        channels = out
        x = _after(draw(st.sampled_from(["relu", "norm", "max", "avg", "sigmoid"])), g, x, layers)
    return nn.Sequential(*layers), g.workload(), shape


def _after(name: str, g: Graph, x: Any, layers: list[nn.Module]) -> Any:
    channels = x.shape[1]
    if name == "norm":
        layers.append(nn.BatchNorm2d(channels))
        scale, shift = (parameter(g, n, (channels,), "norm") for n in ("scale", "shift"))
        mean, variance = (parameter(g, n, (channels,), "buffer") for n in ("mean", "variance"))
        return ops.batch_norm(g, x, scale, shift, mean, variance)
    if name in ("max", "avg") and x.shape[-1] >= 3:
        layers.append(nn.MaxPool2d(3, 2, 1) if name == "max" else nn.AvgPool2d(3, 2, 1))
        return ops.pool(g, x, name, (3, 3), stride=(2, 2), padding=((1, 1), (1, 1)))
    layers.append(nn.Sigmoid() if name == "sigmoid" else nn.ReLU())
    return ops.unary(g, "sigmoid" if name == "sigmoid" else "relu", x)


@few
@given(convolutions())
def test_random_convolutions(case: tuple[nn.Module, Workload, tuple[int, ...]]) -> None:
    """Equality: work and parameters of a random CNN are those of the shared closed forms."""
    module, expected, shape = case
    found = read_module(module, (torch.zeros(shape),))
    assert found.work == expected.work
    assert sum(t.elements for t in found.parameters) == sum(t.elements for t in expected.parameters)
    assert faults(found) == set()


@few
@given(
    st.sampled_from(["LSTM", "GRU", "RNN"]), sizes, sizes, st.integers(1, 3), st.booleans(), st.booleans(), st.booleans(),
    st.integers(1, 4), st.integers(1, 3), st.booleans(), st.booleans(),
)  # fmt: skip
def test_closed_form_of_recurrent_layers(
    cell: str, width: int, hidden: int, layers: int, bias: bool, first: bool, both: bool, steps: int, batch: int,
    project: bool, given_state: bool,
) -> None:  # fmt: skip
    """Equality: one step repeated has the work and the bytes of PyTorch's decomposition into steps."""
    options = {"proj_size": hidden - 1} if project and cell == "LSTM" and hidden > 1 else {}
    module = getattr(nn, cell)(width, hidden, layers, bias=bias, batch_first=first, bidirectional=both, **options)
    x = torch.zeros((batch, steps, width) if first else (steps, batch, width))
    args: tuple[Any, ...] = (x,)
    if given_state:
        rows, state = layers * (2 if both else 1), options.get("proj_size", hidden)
        h = torch.zeros(rows, batch, state)
        args = (x, (h, torch.zeros(rows, batch, hidden)) if cell == "LSTM" else h)
    closed = read_module(module, args)
    assert _recurrent.NOTE in closed.notes
    with patch.object(_modules, "replace_recurrent", lambda *_, **__: False):
        stepped = read_module(module, args)
    assert _recurrent.NOTE not in stepped.notes
    assert totals(closed) == totals(stepped)


@few
@given(st.integers(1, 3), st.integers(1, 4), sizes, st.integers(1, 6), sizes, st.booleans())
def test_random_transformer_layers(heads: int, head: int, inner: int, rows: int, batch: int, first: bool) -> None:
    """By hand: 4nd² + 2n²d + 2ndm MACs, 4d² + 2dm weights, d the width, m the inner width, n the length."""
    width = heads * head
    layer = nn.TransformerEncoderLayer(width, heads, inner, norm_first=first, batch_first=True)
    net = read_module(layer, (torch.zeros(batch, rows, width),))
    assert net.work.macs == batch * (4 * rows * width**2 + 2 * rows**2 * width + 2 * rows * width * inner)
    assert sum(t.elements for t in net.parameters if t.role == "weight") == 4 * width**2 + 2 * width * inner
    assert (net.uncounted, faults(net)) == ((), set())


@few
@given(st.lists(sizes, min_size=2, max_size=6), st.integers(1, 4))
def test_training_of_random_perceptrons(widths: list[int], batch: int) -> None:
    """By hand: every product once forward and twice backward, but for the input's gradient, which nobody asks for."""
    module = nn.Sequential(*[nn.Linear(a, b) for a, b in pairwise(widths)])
    products = [batch * a * b for a, b in pairwise(widths)]
    net = read_module(module, (torch.zeros(batch, widths[0]),), phase="train")
    assert net.work.macs == 3 * sum(products) - products[0]
