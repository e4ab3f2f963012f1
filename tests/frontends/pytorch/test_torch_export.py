"""Exported programs, as objects and as files: the same answer as the live module, and nothing untrusted runs."""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch_laws import faults, roles, totals  # noqa: E402

from picojoule.frontends.pytorch import read_exported, read_module  # noqa: E402
from picojoule.quantity import InputError  # noqa: E402

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore")  # exporting warns about PyTorch's own modules


def plain(a: Tensor) -> Tensor:
    return a @ a.transpose(1, 2)


def costly(a: Tensor) -> Tensor:
    return (a @ a.transpose(1, 2) @ a @ a.transpose(1, 2)).relu()


class Net(nn.Module):
    """Convolution, norm, perceptron, attention, recurrence, a buffer, a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.block = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
        self.rnn = nn.LSTM(16, 5, batch_first=True, bidirectional=True)
        self.register_buffer("scale", torch.ones(10))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.block(self.bn(self.conv(x)).flatten(2).transpose(1, 2))[:, None]
        y = functional.scaled_dot_product_attention(y, y, y, is_causal=True)[:, 0]
        z = self.rnn(y)[0] * self.scale
        return {"z": z, "s": torch.cond(z.sum() > 0, plain, costly, (z,))}


@pytest.fixture(scope="module")
def exported() -> Any:
    """The network exported with a batch that may vary."""
    shapes = {"x": {0: torch.export.Dim("batch")}}
    return torch.export.export(Net().eval(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=shapes, strict=False)


@pytest.fixture(scope="module")
def saved(exported: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    path = tmp_path_factory.mktemp("exported") / "net.pt2"
    torch.export.save(exported, path)
    return path


@pytest.mark.parametrize("batch", [None, 5])
def test_exported_equals_live(exported: Any, saved: Path, batch: int | None) -> None:
    """Equality: object, file and live module agree in work, bytes, parameters by role and neurons."""
    live = read_module(Net().eval(), (torch.zeros(2, 3, 8, 8),), batch=batch)
    for net in (read_exported(exported, batch=batch), read_exported(saved, batch=batch)):
        assert totals(net) == totals(live)
        assert roles(net) == roles(live)
        assert (net.neurons, net.batch, net.uncounted, faults(net)) == (live.neurons, live.batch, (), set())
        assert {o.path for o in net.operators} == {o.path for o in live.operators}
        assert any("costliest branch" in note for note in net.notes)


def test_decomposed_program_equals_whole(exported: Any) -> None:
    """Metamorphic: running PyTorch's decompositions first changes no MAC."""
    assert read_exported(exported.run_decompositions()).work.macs == read_exported(exported).work.macs


def test_the_costliest_branch_is_counted() -> None:
    """By hand: 2 · 4 · 4 · 3 products in the plain branch, 2 · (4·4·3 + 4·4·3 + 4·4·3) in the costly one."""

    def choose(x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, plain, costly, (x,))

    net = read_module(choose, (torch.zeros(2, 4, 3),))
    assert net.work.macs == 2 * 3 * 4 * 4 * 3
    assert any("true: 96 MACs" in note and "false: 288 MACs" in note for note in net.notes)


def test_one_trip_of_a_loop_is_counted() -> None:
    """By hand: one product of 2 · 4 · 4 and a note."""
    from torch._higher_order_ops.while_loop import while_loop

    weight = torch.zeros(4, 4)

    class Loop(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return while_loop(lambda i, _: i < 5, lambda i, y: (i + 1, y @ weight), (torch.tensor(0), x))

    net = read_module(Loop(), (torch.zeros(2, 4),))
    assert net.work.macs == 32
    assert any("one trip" in note for note in net.notes)


class Bomb:
    """A pickle that would raise if anything opened it."""

    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('unpickled')",))


def rewritten(saved: Path, target: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A copy of the archive whose graph `change` has changed and whose pickles are bombs."""
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename.endswith("models/model.json"):
                graph = json.loads(data)
                data = json.dumps(change(graph) or graph).encode()
            elif info.filename.endswith(".pt") or "weight_" in info.filename:
                data = pickle.dumps(Bomb())
            new.writestr(info.filename, data)
    return target


def test_nothing_is_unpickled(saved: Path, tmp_path: Path) -> None:
    """Equality: an archive whose pickles and weights are bombs reads like the original."""
    net = read_exported(rewritten(saved, tmp_path / "bomb.pt2", lambda _: None))
    assert totals(net) == totals(read_exported(saved))


def _nodes(data: dict[str, Any]) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = data["graph_module"]["graph"]["nodes"]
    return nodes


def _set(name: str) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        _nodes(data)[-2]["target"] = name

    return change


def _shape(data: dict[str, Any]) -> None:
    data["graph_module"]["graph"]["tensor_values"]["p_conv_weight"]["sizes"][1] = {"as_int": 5}


def _data_size(data: dict[str, Any]) -> None:
    data["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0] = {"as_expr": {"expr_str": "exit()", "hint": None}}


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "shell": (_set("os.system"), "not run from a file"),
    "file": (_set("torch.ops.aten.from_file.default"), "not run from a file"),
    "library": (_set("torch.ops.evil.run.default"), "not run from a file"),
    "private": (_set("torch.ops.aten.__class__.mro"), "not run from a file"),
    "eval": (_set("_operator.call"), "not run from a file"),
    "order": (lambda d: _nodes(d).reverse(), "before anything makes it"),
    "shape": (_shape, "does not run"),
    "expression": (_data_size, "depends on data"),
    "no graph": (lambda _: {"graph_module": {}}, "not well formed"),
    "other": (lambda _: {"x": 1}, "no graph_module"),
    "list": (lambda _: [1], "no graph_module"),
    "signature": (lambda d: d["graph_module"]["signature"]["input_specs"].clear(), "not well formed"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_graphs_are_refused(case: str, saved: Path, tmp_path: Path) -> None:
    """Message: a graph that is wrong, or that would do anything but compute, says so and runs nothing."""
    change, message = BROKEN[case]
    with pytest.raises(InputError, match=message):
        read_exported(rewritten(saved, tmp_path / "broken.pt2", change))


@pytest.mark.parametrize("name", ["net.pt", "net.PTH", "net.pkl", "model.bin", "a.ckpt"])
def test_pickles_are_refused(name: str, tmp_path: Path) -> None:
    """Message: files that are pickles are not opened, and the reason is given."""
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="pickle can run any code"):
        read_exported(tmp_path / name)


def test_other_files_are_refused(tmp_path: Path) -> None:
    """Message: no file, no archive, an empty archive, no program."""
    path = tmp_path / "net.pt2"
    with pytest.raises(InputError, match="no such file"):
        read_exported(path)
    path.write_bytes(b"PK not really")
    with pytest.raises(InputError, match=r"not a \.pt2 archive"):
        read_exported(path)
    zipfile.ZipFile(path, "w").close()
    with pytest.raises(InputError, match="0 models"):
        read_exported(path)
    with pytest.raises(InputError, match="no exported program"):
        read_exported(3)


def test_huge_numbers_take_no_memory(tmp_path: Path, saved: Path) -> None:
    """Bound: a graph that asks for a constant of a terabyte is counted without making it."""

    def change(data: dict[str, Any]) -> None:
        node = {"target": "torch.ops.aten.zeros.default", "name": "big", "metadata": {},
                "outputs": [{"as_tensor": {"name": "big"}}],
                "inputs": [{"name": "size", "arg": {"as_ints": [2**38]}, "kind": 1}]}  # fmt: skip
        _nodes(data).append(node)

    net = read_exported(rewritten(saved, tmp_path / "huge.pt2", change))
    assert totals(net)["bytes_out"] > 2**40
