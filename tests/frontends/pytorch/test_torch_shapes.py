"""Our shapes of operators are PyTorch's; a record that is remembered is the record that would be made."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch import Tensor, nn  # noqa: E402
from torch_laws import golden, shapes  # noqa: E402
from torch_nets import NETS, build, inputs  # noqa: E402

from picojoule.frontends.pytorch import _memo, _shapes, read_module  # noqa: E402

torch.set_num_threads(1)
aten = torch.ops.aten
sizes = st.integers(1, 5)
Draw = Callable[..., Any]
FORMATS = st.sampled_from([torch.float32, torch.float32, torch.float64, torch.float16, torch.bfloat16])


def tensor(draw: Draw, shape: tuple[int, ...], dtype: Any = torch.float32) -> Tensor:
    """A meta tensor, mostly in row-major order, else transposed, expanded, cut out or with channels last."""
    t = torch.empty(shape, dtype=dtype, device="meta")
    how = draw(st.sampled_from(["plain"] * 5 + ["transposed", "expanded", "cut", "channels"]))
    if how == "transposed" and len(shape) > 1:
        return torch.empty(shape[::-1], dtype=dtype, device="meta").permute(*range(len(shape))[::-1])
    if how == "expanded" and len(shape):
        return torch.empty((1, *shape[1:]), dtype=dtype, device="meta").expand(shape)
    if how == "cut" and len(shape):
        return torch.empty((*shape[:-1], shape[-1] + 2), dtype=dtype, device="meta")[..., 1:-1]
    if how == "channels" and len(shape) == 4:
        return t.to(memory_format=torch.channels_last)
    return t


def shape(draw: Draw, least: int = 0, most: int = 4) -> tuple[int, ...]:
    return tuple(draw(st.lists(sizes, min_size=least, max_size=most)))


def broadcastable(draw: Draw, to: tuple[int, ...]) -> tuple[int, ...]:
    kept = to[draw(st.integers(0, len(to))) :]
    return tuple(draw(st.sampled_from([n, 1])) for n in kept)


def unary(draw: Draw, _: Any) -> tuple[Any, ...]:
    return (tensor(draw, shape(draw), draw(FORMATS)),)


def binary(draw: Draw, func: Any) -> tuple[Any, ...]:
    a, dtype = shape(draw), draw(FORMATS)
    number = func._overloadname in ("Scalar", "Tensor_Scalar") or draw(st.integers(0, 3)) == 0
    if number:
        return tensor(draw, a, dtype), draw(st.sampled_from([2, 0.5, True]))
    b = broadcastable(draw, a)
    first, second = (a, b) if func._schema.name.endswith("_") or draw(st.booleans()) else (b, a)
    return tensor(draw, first, dtype), tensor(draw, second, draw(st.sampled_from([dtype, torch.float32])))


def gradient(draw: Draw, func: Any) -> tuple[Any, ...]:
    a, dtype = shape(draw), draw(FORMATS)
    rest = {"threshold_backward": (0,), "hardtanh_backward": (0.0, 6.0)}.get(
        func._schema.name.removeprefix("aten::"), ()
    )
    return tensor(draw, a, dtype), tensor(draw, a, dtype), *rest


def several(draw: Draw, length: int, low: int, high: int) -> list[int]:
    return draw(st.lists(st.integers(low, high), min_size=length, max_size=length))


def convolved(draw: Draw, backward: bool) -> tuple[Any, ...]:
    rank, groups, transposed = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.booleans())
    into, out, dtype = draw(sizes) * groups, draw(sizes) * groups, draw(FORMATS)
    kernel, stride, dilation = several(draw, rank, 1, 3), several(draw, rank, 1, 3), several(draw, rank, 1, 2)
    padding, more = several(draw, rank, 0, 2), [0] * rank
    x = tensor(draw, (draw(sizes), into, *several(draw, rank, 6, 9)), dtype)
    weight = tensor(draw, (into, out // groups, *kernel) if transposed else (out, into // groups, *kernel), dtype)
    bias = torch.empty(out, dtype=dtype, device="meta") if draw(st.booleans()) else None
    args = (x, weight, bias, stride, padding, dilation, transposed, more, groups)
    if not backward:
        return args
    mask = [draw(st.booleans()) for _ in range(3)]
    return torch.empty_like(aten.convolution(*args)), x, weight, [out], *args[3:], mask


def normalised(draw: Draw, backward: bool) -> tuple[Any, ...]:
    x = tensor(draw, (draw(st.integers(2, 4)), draw(sizes), *shape(draw, 0, 3)))
    n, train = x.shape[1], draw(st.booleans())

    def row() -> Any:
        return torch.empty(n, device="meta") if draw(st.integers(0, 4)) else None

    stats = [torch.empty(n, device="meta")] * 2
    if not backward:
        return x, row(), row(), *(stats if not train or draw(st.booleans()) else [None] * 2), train, 0.1, 1e-5
    mask = [draw(st.booleans()) for _ in range(3)]
    return tensor(draw, tuple(x.shape)), x, row(), *stats, *stats, train, 1e-5, mask


def layer_norm(draw: Draw, _: Any) -> tuple[Any, ...]:
    x = tensor(draw, shape(draw, 1, 4), draw(FORMATS))
    rows = list(x.shape[-draw(st.integers(1, x.dim())) :])
    w = torch.empty(rows, dtype=x.dtype, device="meta")
    return x, rows, draw(st.sampled_from([w, None])), draw(st.sampled_from([w, None])), 1e-5


def pooled(rank: int, least: int, backward: bool = False) -> Callable[[Draw, Any], tuple[Any, ...]]:
    def make(draw: Draw, _: Any) -> tuple[Any, ...]:
        x = tensor(draw, (draw(sizes), draw(sizes), *several(draw, rank, 4, 8)))
        kernel, stride = several(draw, rank, 2, 3), draw(st.sampled_from([[], [1] * rank, [2] * rank]))
        ceil = draw(st.integers(0, 4)) == 0
        rest: list[Any] = [several(draw, rank, 0, 1)]
        rest += [[1] * rank, ceil] if least == 2 else [ceil]
        if not backward:
            return x, kernel, stride, *rest
        y, index = aten.max_pool2d_with_indices(x, kernel, stride, *rest)
        return torch.empty_like(y), x, kernel, stride, *rest, index

    return make


def soft(draw: Draw, func: Any) -> tuple[Any, ...]:
    x = tensor(draw, shape(draw, 1, 4), draw(FORMATS))
    dim = draw(st.integers(-x.dim(), x.dim() - 1))
    if "backward" in func._schema.name:
        return x, tensor(draw, tuple(x.shape), x.dtype), dim, x.dtype
    return (x, dim) if "safe" in func._schema.name else (x, dim, False)


def products(batch: bool, bias: bool) -> Callable[[Draw, Any], tuple[Any, ...]]:
    def make(draw: Draw, _: Any) -> tuple[Any, ...]:
        m, k, n, dtype = draw(sizes), draw(sizes), draw(sizes), draw(FORMATS)
        lead = (draw(sizes),) if batch else ()
        pair = tensor(draw, (*lead, m, k), dtype), tensor(draw, (*lead, k, n), dtype)
        return (tensor(draw, draw(st.sampled_from([(n,), (m, n), (1, n)])), dtype), *pair) if bias else pair

    return make


def joined(draw: Draw, func: Any) -> tuple[Any, ...]:
    a = shape(draw, 1, 4)
    dim = draw(st.integers(-len(a), len(a) - 1))
    grows = func is aten.cat.default
    parts = [tensor(draw, tuple(draw(sizes) if grows and i == dim % len(a) else n for i, n in enumerate(a)))
             for _ in range(draw(st.integers(1, 3)))]  # fmt: skip
    return parts, dim


def reduced(draw: Draw, _: Any) -> tuple[Any, ...]:
    x = tensor(draw, shape(draw, 1, 4), draw(FORMATS))
    dims = draw(st.lists(st.integers(-x.dim(), x.dim() - 1), max_size=3, unique_by=lambda d: d % x.dim()))
    return x, dims, draw(st.booleans())


def padded(draw: Draw, _: Any) -> tuple[Any, ...]:
    x = tensor(draw, shape(draw, 1, 4), draw(FORMATS))
    return x, several(draw, 2 * draw(st.integers(1, x.dim())), 0, 3), 0.0


def looked_up(draw: Draw, func: Any) -> tuple[Any, ...]:
    index = torch.empty(shape(draw, 0, 3), dtype=torch.int64, device="meta")
    if func is aten.embedding.default:
        return tensor(draw, (draw(sizes), draw(sizes)), draw(FORMATS)), index
    return tensor(draw, (*index.shape, draw(sizes))), index, draw(sizes), -1, False


def spread(draw: Draw, func: Any) -> tuple[Any, ...]:
    whole = list(shape(draw, 2, 4))
    dim = draw(st.integers(0, len(whole) - 1))
    if func is aten.select_backward.default:
        return tensor(draw, (*whole[:dim], *whole[dim + 1 :])), whole, dim, 0
    return tensor(draw, (*whole[:dim], 1, *whole[dim + 1 :])), whole, dim, 0, 1, 1


ARGUMENTS: dict[Any, Callable[[Draw, Any], tuple[Any, ...]]] = {
    aten.convolution.default: lambda draw, _: convolved(draw, False),
    aten.convolution_backward.default: lambda draw, _: convolved(draw, True),
    aten.native_batch_norm.default: lambda draw, _: normalised(draw, False),
    aten.native_batch_norm_backward.default: lambda draw, _: normalised(draw, True),
    aten.native_layer_norm.default: layer_norm,
    aten.max_pool2d_with_indices.default: pooled(2, 2),
    aten.max_pool2d_with_indices_backward.default: pooled(2, 2, True),
    aten.avg_pool2d.default: pooled(2, 1),
    aten.avg_pool3d.default: pooled(3, 1),
    aten.mm.default: products(False, False),
    aten.bmm.default: products(True, False),
    aten.addmm.default: products(False, True),
    aten.embedding.default: looked_up,
    aten.embedding_dense_backward.default: looked_up,
    aten.cat.default: joined,
    aten.stack.default: joined,
    aten.sum.dim_IntList: reduced,
    aten.mean.dim: reduced,
    aten.constant_pad_nd.default: padded,
    aten.slice_backward.default: spread,
    aten.select_backward.default: spread,
}


def arguments(draw: Draw, func: Any) -> tuple[Any, ...]:
    """Random arguments of `func`."""
    name = func._schema.name
    known = ARGUMENTS.get(func)
    if known is None:
        of_pair = gradient if name.endswith("_backward") else unary
        known = soft if "softmax" in name else binary if len(func._schema.arguments) in (2, 3) and func._overloadname in (
            "Tensor", "Scalar", "Tensor_Scalar") else of_pair  # fmt: skip
    return known(draw, func)


def metadata(value: Any, first: Any) -> Any:
    """Shape, strides and format of each result; whether it is the first argument."""
    if isinstance(value, list | tuple):
        return [metadata(item, first) for item in value]
    if value is None:
        return None
    return tuple(value.shape), value.stride(), value.dtype, value is first, value.storage_offset()


@pytest.mark.parametrize("func", list(_shapes.RULES), ids=str)
def test_shapes_are_those_of_pytorch(func: Any) -> None:
    """Equality: with PyTorch's own kernel for meta tensors, on random arguments; and the rule does answer."""
    answered = []

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def check(data: Any) -> None:
        args = arguments(data.draw, func)
        made = _shapes.made(func, args, {})
        if made is None:
            return
        answered.append(made)
        assert metadata(_memo.again(made, args), args[0]) == metadata(func(*args), args[0])

    check()
    assert len(answered) >= 5


def by_pytorch_alone(patch: pytest.MonkeyPatch) -> None:
    """Neither rules nor memory: PyTorch runs every operator, and each is recorded anew."""
    patch.setattr(_shapes, "RULES", {})
    patch.setattr(_memo, "_key", lambda *_: None)
    _memo.forget()


@pytest.mark.parametrize("phase", ["infer", "train"])
@pytest.mark.parametrize("name", [n for n in NETS if n not in ("resnet152", "vgg19", "alexnet_tv", "resnet18")])
def test_what_is_remembered_is_what_is_recorded(name: str, phase: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equality: the same Workload when PyTorch runs every operator, and when all is remembered from the run before."""
    module, args = build(name, "meta"), inputs(name, shapes(name), "meta")
    _memo.forget()
    first = read_module(module, args, phase=phase)
    again = read_module(module, args, phase=phase)
    by_pytorch_alone(monkeypatch)
    plain = read_module(module, args, phase=phase)
    assert first == again == plain
    folder, part = ("counts_train", "train") if phase == "train" else ("counts", "forward")
    assert first.work.macs == golden(name, folder)[part]["macs"]


STEPS: list[Callable[[Any, Tensor], Tensor]] = [
    lambda _, y: y + y,
    lambda _, y: y + y.t(),
    lambda m, y: y + m.weight,
    lambda _, y: y + 1,
    lambda _, y: y + 1.0,
    lambda m, y: y @ m.weight,
    lambda _, y: y * y.sum(0),
    lambda _, y: y.relu_(),
    lambda _, y: y.add_(y),
    lambda m, y: y.add_(m.weight),
    lambda m, y: m.state.add_(m.weight) * y,
    lambda m, y: m.state.add_(m.weight[0]).relu_(),
    lambda _, y: y.clone().add_(y),
    lambda _, y: torch.cat([y[:, :2].mul_(2.0), y[:, :2]], 1),
    lambda _, y: torch.cat([y[:2], y[2:]]),
    lambda _, y: y[:1].expand(4, 4).exp(),
    lambda _, y: y.sum(0, keepdim=True).expand(4, 4).exp(),
    lambda m, y: torch.where(y > 0, m.weight, 1.0),
]


class Placed(nn.Module):
    """Operators on tensors that share storage, lie apart, are views of a larger one, are kept, are written in place."""

    def __init__(self, steps: list[int]) -> None:
        super().__init__()
        self.steps, self.weight = steps, nn.Parameter(torch.zeros(4, 4))
        self.register_buffer("state", torch.zeros(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        y = x * 1.0
        for step in self.steps:
            y = STEPS[step](self, y)
        return y


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, len(STEPS) - 1), min_size=1, max_size=12))
def test_aliases_and_places_are_told_apart(steps: list[int]) -> None:
    """Equality: remembering changes no record, whichever operands share storage."""
    module, args = Placed(steps), (torch.zeros(4, 4),)
    read_module(module, args)
    remembered = read_module(module, args)
    with pytest.MonkeyPatch.context() as patch:
        by_pytorch_alone(patch)
        assert read_module(module, args) == remembered
