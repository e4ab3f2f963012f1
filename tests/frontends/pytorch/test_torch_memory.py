"""What is remembered of earlier calls never shows: a module reads the same after others as when nothing is known."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.nn.utils import parametrize  # noqa: E402

from picojoule.frontends.pytorch import _memo, _read, read_module  # noqa: E402
from picojoule.workload import Workload  # noqa: E402

torch.set_num_threads(1)
WIDTH = 8
few = settings(max_examples=60, deadline=None)


class Doubled(nn.Module):
    """A parametrisation: twice what is stored."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x


class Turned(nn.Linear):
    """A subclass whose forward is not that of its parent."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x.flip(-1), self.weight).abs()


class Same(nn.Linear):
    """A subclass that changes nothing."""


class Moody(nn.Module):
    """Another path in training than in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.short, self.long = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.long(self.short(x)) if self.training else self.short(x)


LAYERS: dict[str, Any] = {
    "linear": lambda: nn.Linear(WIDTH, WIDTH), "free": lambda: nn.Linear(WIDTH, WIDTH, bias=False),
    "relu": nn.ReLU, "in place": lambda: nn.ReLU(inplace=True), "norm": lambda: nn.LayerNorm(WIDTH),
    "batch": lambda: nn.BatchNorm1d(WIDTH), "drop": nn.Dropout, "gelu": nn.GELU, "turned": lambda: Turned(WIDTH, WIDTH),
    "same": lambda: Same(WIDTH, WIDTH), "moody": Moody, "pair": lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()),
}  # fmt: skip
CHANGES = ("hook", "hook before", "parametrised", "own forward", "shared", "tied", "frozen", "half", "none")


def changed(layer: nn.Module, change: str, before: nn.Module) -> nn.Module:
    """A layer that is not what its class says; some changes fit some layers only."""
    plain = type(layer) is nn.Linear
    if change == "hook":
        layer.register_forward_hook(lambda _module, _args, out: out * 2)
    elif change == "hook before":
        layer.register_forward_pre_hook(lambda _module, args: (args[0] + 1,))
    elif change == "parametrised" and plain:
        parametrize.register_parametrization(layer, "weight", Doubled())
    elif change == "own forward":
        layer.forward = torch.sigmoid
    elif change == "tied" and plain and isinstance(before, nn.Linear) and isinstance(before.weight, nn.Parameter):
        layer.weight = before.weight
    elif change == "frozen":
        layer.requires_grad_(False)
    elif change == "shared":
        return before
    return layer


@st.composite
def modules(draw: st.DrawFn) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A stack of layers, some of them tampered with, and its input."""
    stack: list[nn.Module] = [nn.Linear(WIDTH, WIDTH)]
    for name in draw(st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=6)):
        stack.append(changed(LAYERS[name](), draw(st.sampled_from(CHANGES)), stack[-1]))
    module = nn.Sequential(*stack).train(draw(st.booleans()))
    return module, (torch.zeros(draw(st.integers(2, 3)), WIDTH),)


def answer(module: nn.Module, args: Any, **how: Any) -> Workload | str:
    """The Workload, or what is wrong."""
    try:
        return read_module(module, args, **how)
    except ValueError as error:
        return str(error)


@few
@given(modules(), modules(), st.sampled_from(["infer", "train"]), st.booleans())
def test_memory_does_not_show(one: Any, other: Any, phase: Any, training: bool) -> None:
    """Equality: to the last name, after other modules and twice in a row, as when nothing is remembered."""
    _memo.forget()
    expected = answer(*one, phase=phase, training=training)
    assert answer(*one, phase=phase, training=training) == expected
    _memo.forget()
    answer(*other, phase="infer")
    answer(*other, phase="train")
    assert answer(*one, phase=phase, training=training) == expected


@few
@given(modules())
def test_short_cuts_do_not_show(one: Any) -> None:
    """Equality: the copy of equal layers, and arguments taken without opening them, change nothing."""
    module, args = one
    _memo.forget()
    run = _read._Run(module, args, {}, len(args[0]), "infer", False)
    slow = run._trace(_read.on_meta, _read.on_meta, [])
    assert read_module(module, args) == slow
    named = read_module(module, (), {"input": args[0]})
    assert (named.work, named.operators) == (slow.work, slow.operators)


@few
@given(modules(), st.sampled_from(["hook", "swap", "stride", "mode", "forward"]))
def test_a_module_that_changes_is_read_anew(one: Any, change: str) -> None:
    """Equality: what was learned of a module before it changed is not told of it after."""
    module, args = one
    answer(module, args)
    if change == "hook":
        module.register_forward_hook(lambda _module, _args, out: out.exp())
    elif change == "swap":
        module[0] = nn.Linear(WIDTH, WIDTH, bias=False)
    elif change == "stride":
        module[0].weight = nn.Parameter(torch.zeros(WIDTH, WIDTH).t())
    elif change == "mode":
        module.train(not module.training)
    else:
        module[-1].forward = torch.cos
    warm = answer(module, args)
    _memo.forget()
    assert warm == answer(module, args)


def test_names_of_inputs_without_opening_them() -> None:
    """By hand: positional, named, defaulted and variable parameters; a tensor given twice is one input."""
    x, y = torch.zeros(2), torch.zeros(2)

    def plain(a: Tensor, b: Tensor, scale: float = 2.0) -> Tensor:
        return (a + b) * scale

    def listed(a: Tensor, sizes: Any = [1, 2], *, last: float = 0.0) -> Tensor:  # noqa: B006 -- no hash
        return a * sizes[0] + last

    class Listed(nn.Module):
        def forward(self, a: Tensor, sizes: Any = [1, 2]) -> Tensor:  # noqa: B006
            return a * sizes[0]

    def several(*parts: Tensor) -> Tensor:
        return parts[0] + parts[1]

    def nested(a: Any, b: Tensor | None = None) -> Tensor:
        return a[0] + a[1]

    assert read_module(plain, (x, y)).inputs == ("a", "b")
    assert read_module(plain, (x, x)).inputs == ("a",)
    assert read_module(plain, (x,), {"b": y}).inputs == ("a", "b")
    assert read_module(several, (x, y)).inputs == ("parts", "parts#2")
    assert read_module(listed, (x,)).inputs == read_module(Listed(), (x,)).inputs == ("a",)
    assert read_module(nested, ((x, y),)).inputs == ("a", "a#2")
