"""What few networks have and some do: ties in exported programs, modes as graphs, quantised layers, rare operators."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from picojoule.frontends.pytorch import read_exported, read_module  # noqa: E402
from picojoule.workload import Work, Workload  # noqa: E402

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore")  # exporting and quantising warn about PyTorch's own modules


def parameters(net: Workload) -> int:
    return sum(t.elements for t in net.parameters)


class Tied(nn.Module):
    """A table of words that is also the last layer, and one layer that runs under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(20, 8), nn.Linear(8, 20)
        self.head.weight = self.words.weight
        self.blocks = nn.ModuleList([nn.Linear(8, 8)] * 3)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def test_ties_survive_export(tmp_path: Path) -> None:
    """By hand: 20·8 words, a bias of 20, one block of 8·8 + 8: live, exported, saved and read."""
    ids = torch.zeros(2, 5, dtype=torch.int64)
    program = torch.export.export(Tied().eval(), (ids,))
    torch.export.save(program, tmp_path / "tied.pt2")
    for net in (read_module(Tied(), (ids,)), read_exported(program), read_exported(tmp_path / "tied.pt2")):
        assert parameters(net) == 160 + 20 + 72
        assert net.work.macs == 2 * 5 * (3 * 64 + 160)
        assert any("tied" in note and "head.weight" in note for note in net.notes)


class Modes(nn.Module):
    """Layers without gradients and in half the precision, each a graph of its own once exported."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.a(x)
        with torch.autocast("cpu", torch.bfloat16):
            return self.b(x)


def test_bodies_of_exported_modes_are_counted() -> None:
    """By hand: 3·(4·8 + 8·2) products, and 3·8·2 for the weight that learns, live and as graphs of an exported program."""
    x = torch.zeros(3, 4)
    program = torch.export.export(Modes().eval(), (x,))
    for phase, macs in (("infer", 144), ("train", 144 + 48)):
        exported = read_exported(program, phase=phase)
        assert (exported.work.macs, exported.uncounted) == (macs, ())
        assert read_module(Modes(), (x,), phase=phase).work.macs == macs


def test_flexible_attention_is_dense() -> None:
    """By hand: 2·4 heads of 6 rows by 6 columns of width 8, twice; the note says what the function hides."""
    flex = pytest.importorskip("torch.nn.attention.flex_attention").flex_attention

    def attend(q: Tensor) -> Tensor:
        return flex(q, q, q, score_mod=lambda score, _b, _h, i, j: torch.where(i >= j, score, -1e9))

    net = read_module(attend, (torch.zeros(2, 4, 6, 8),))
    assert (net.work.macs, net.uncounted) == (2 * 2 * 4 * 6 * 6 * 8, ())
    assert any("every score is counted" in note for note in net.notes)


class Counted(nn.Module):
    """A layer that runs twice at every third call: the class, or a dict that all layers share, counts the calls."""

    calls = 0

    def __init__(self, state: dict[str, int] | None) -> None:
        super().__init__()
        self.linear, self.state = nn.Linear(8, 8), state

    def forward(self, x: Tensor) -> Tensor:
        if self.state is None:
            Counted.calls += 1
            again = Counted.calls % 3 == 0
        else:
            self.state["calls"] = self.state.get("calls", 0) + 1
            again = self.state["calls"] % 3 == 0
        return self.linear(self.linear(x)) if again else self.linear(x)


@pytest.mark.parametrize("shared", [False, True])
def test_layers_that_share_state_are_not_copied(shared: bool) -> None:
    """By hand: of nine layers three run twice: 12·2·64 products."""
    state: dict[str, int] | None = {} if shared else None
    Counted.calls = 0
    net = read_module(nn.Sequential(*[Counted(state) for _ in range(9)]), (torch.zeros(2, 8),))
    assert net.work.macs == 12 * 2 * 64
    assert not state


def test_quantised_layers() -> None:
    """By hand: products of the packed weights: 5·(8·4 + 4·2); 2·4·36 outputs of 27 taps and 2·3·144."""
    quantise = torch.ao.quantization
    dynamic = quantise.quantize_dynamic(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)), {nn.Linear})
    net = read_module(dynamic, (torch.zeros(5, 8),))
    assert (net.work.macs, net.uncounted) == (5 * (8 * 4 + 4 * 2), ())
    stub = nn.Sequential(
        quantise.QuantStub(), nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3), quantise.DeQuantStub()
    )
    stub.eval()
    stub.qconfig = quantise.get_default_qconfig(torch.backends.quantized.supported_engines[-1])
    static = quantise.convert(quantise.prepare(stub))
    net = read_module(static, (torch.zeros(2, 3, 8, 8),))
    assert (net.work.macs, net.uncounted) == (2 * 4 * 36 * 27 + 2 * 3 * 144, ())


def _rows(shape: tuple[int, ...]) -> Tensor:
    return torch.linspace(0.1, 1.0, torch.Size(shape).numel()).view(shape)


def test_complex_numbers() -> None:
    """By hand: a complex product is 4 products and 2 sums, a complex by a real one 2; of K = 8, 4·8 and 4·8 - 2."""
    z, x = torch.zeros(3, 8, dtype=torch.complex64), torch.zeros(3, 8)
    assert read_module(torch.mul, (z, z)).work == Work.of(muls=4 * 24, adds=2 * 24)
    assert read_module(torch.mul, (z, x)).work == Work.of(muls=2 * 24)
    assert read_module(torch.add, (z, z)).work == Work.of(adds=2 * 24)
    w = torch.zeros(8, 5, dtype=torch.complex64)
    assert read_module(torch.mm, (z, w)).work == Work.of(macs=480, muls=480, adds=15 * 30)


def test_rare_operators_by_hand() -> None:
    """By hand: triangular systems 0 + 1 + 2 + 3 products a column; a convolution over time like any other."""
    lower, b = torch.eye(4), torch.ones(4, 3)
    solve = read_module(lambda a, c: torch.linalg.solve_triangular(a, c, upper=False), (lower, b)).work
    assert solve == Work.of(macs=18, muls=18, adds=18, div=12)
    x, weight, bias = torch.zeros(9, 2, 4), torch.zeros(3, 4, 5), torch.zeros(5)
    time_first = read_module(lambda t: torch.conv_tbc(t, weight, bias, 1), (x,)).work
    usual = read_module(lambda t: functional.conv1d(t, weight.permute(2, 1, 0), bias, padding=1), (x.permute(1, 2, 0),))
    assert time_first == usual.work


class Sampler(nn.Module):
    """A learnt warp of a learnt image."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.warp = nn.Parameter(_rows((1, 3, 4, 4))), nn.Parameter(_rows((1, 2, 2, 2)))

    def forward(self, x: Tensor) -> Tensor:
        return functional.grid_sample(self.image, self.warp * x, align_corners=False)


def bags(mode: str) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.EmbeddingBag(9, 4, mode=mode), nn.Linear(4, 2))


TRAINED: dict[str, tuple[Callable[[], Any], Callable[[], tuple[Any, ...]]]] = {
    "sum of bags": (bags("sum"), lambda: (torch.zeros(2, 3, dtype=torch.int64),)),
    "mean of bags": (bags("mean"), lambda: (torch.zeros(2, 3, dtype=torch.int64),)),
    "sparse table": (lambda: nn.Embedding(9, 4, sparse=True), lambda: (torch.zeros(2, 3, dtype=torch.int64),)),
    "limited table": (lambda: nn.Embedding(9, 4, max_norm=1.0), lambda: (torch.zeros(2, 3, dtype=torch.int64),)),
    "sampler": (Sampler, lambda: (torch.ones(1),)),
    "pool": (lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.FractionalMaxPool2d(2, 2)), lambda: (_rows((1, 1, 5, 5)),)),
    "leaky": (lambda: nn.Sequential(nn.Linear(4, 4), nn.RReLU()), lambda: (_rows((2, 4)),)),
    "smooth": (lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.Upsample(size=(3, 3), mode="bilinear")),
               lambda: (_rows((1, 1, 5, 5)),)),
}  # fmt: skip


@pytest.mark.parametrize("case", TRAINED)
@pytest.mark.parametrize("phase", ["infer", "train"])
def test_rare_layers_are_counted_both_ways(case: str, phase: Any) -> None:
    """Equality: nothing is uncounted, and real tensors give the MACs of meta."""
    make, inputs = TRAINED[case]
    net = read_module(make(), inputs(), phase=phase)
    assert net.uncounted == ()
    assert net.work.adds + net.work.muls + sum(n for _, n in net.work.special) > 0 or case == "sparse table"


def test_gradient_of_bags_by_hand() -> None:
    """By hand: 2 bags of 3 rows of 4: 2·2·4 sums forward, 24 sums backward; a mean scales 8 values both ways."""

    def bag_work(mode: str, phase: Any) -> Work:
        net = read_module(nn.EmbeddingBag(9, 4, mode=mode), (torch.zeros(2, 3, dtype=torch.int64),), phase=phase)
        return sum((o.total for o in net.operators if "bag" in o.op), Work())

    assert bag_work("sum", "infer") == Work.of(adds=16)
    assert bag_work("sum", "train") == Work.of(adds=16 + 24)
    assert bag_work("mean", "train") == Work.of(adds=16 + 24, muls=8 + 8)


class Learner(nn.Module):
    """A frozen layer, a recurrent one of two directions, attention, and a tied head."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.rnn = nn.Embedding(12, 8), nn.LSTM(8, 4, batch_first=True, bidirectional=True)
        self.norm, self.frozen, self.head = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 12, bias=False)
        self.head.weight = self.words.weight
        self.frozen.requires_grad_(False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.norm(self.rnn(self.words(ids))[0])
        return self.head(functional.scaled_dot_product_attention(x, self.frozen(x), x))


def test_a_step_of_an_exported_program_is_that_of_the_module(tmp_path: Path) -> None:
    """Equality: forward and backward of the graph, object and file, have the live module's MACs; nothing is uncounted."""
    ids = torch.zeros(2, 5, dtype=torch.int64)
    live = read_module(Learner(), (ids,), phase="train")
    program = torch.export.export(Learner().train(), (ids,))
    torch.export.save(program, tmp_path / "learner.pt2")
    for net in (read_exported(program, phase="train"), read_exported(tmp_path / "learner.pt2", phase="train")):
        assert (net.work.macs, net.uncounted) == (live.work.macs, ())
        assert {name for name in net.tensors if name.endswith(".grad")} == {
            f"{t.name}.grad" for t in net.parameters if "frozen" not in t.name
        }


def test_a_traced_step_has_its_update(tmp_path: Path) -> None:
    """By hand: 8·4 + 4 parameters by Adam: 28 bytes each a step; a file and a module alike, named or live."""
    import picojoule as pj

    net, x = nn.Linear(8, 4), torch.zeros(5, 8)
    path = tmp_path / "linear.pt2"
    torch.export.save(torch.export.export(net, (x,)), path)
    for step in (pj.read_model(net, (x,), phase="train", optimiser="adam"),
                 pj.read_model(path, phase="train", optimiser="adam")):  # fmt: skip
        updates = [o for o in step.operators if o.op == "update_adam"]
        moved = [step.traffic(o) for o in updates]
        assert sum(t.bytes_in + t.bytes_out + t.bytes_weights for t in moved) == 28 * 36
        assert step.work.macs == 2 * 5 * 8 * 4
    with pytest.raises(ValueError, match="recompute"):
        pj.read_model(net, (x,), phase="train", recompute="full")
