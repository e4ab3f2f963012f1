"""Live modules against recorded traces: every total, every path, forward, backward, on each device."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch_laws import by_path, expected_roles, faults, golden, roles, shapes, totals  # noqa: E402
from torch_nets import NETS, build, inputs  # noqa: E402

from picojoule.frontends.pytorch import read_module  # noqa: E402
from picojoule.workload import Workload  # noqa: E402

torch.set_num_threads(1)
SMALL = ["tied", "rnn1", "lstm2", "bilstm2", "gru2", "resnet18", "mobilenet_v2", "vit_b16_mha"]


def read(name: str, device: str = "meta", **options: Any) -> Workload:
    return read_module(build(name, device), inputs(name, shapes(name), device), **options)


@pytest.mark.parametrize("name", NETS)
def test_forward_is_that_of_the_trace(name: str) -> None:
    """Equality: MACs, multiplications, additions, specials and bytes of one forward pass on meta."""
    net = read(name)
    assert totals(net) == golden(name)["forward"]
    assert (net.uncounted, faults(net)) == ((), set())


@pytest.mark.parametrize("name", NETS)
def test_parameters_are_those_of_the_trace(name: str) -> None:
    """Equality: parameters by role, tied ones once, buffers apart, and neurons of a sample."""
    net = read(name)
    assert roles(net) == expected_roles(name)
    assert net.neurons == golden(name)["neurons_per_sample"]


@pytest.mark.parametrize("name", NETS)
def test_paths_are_those_of_the_trace(name: str) -> None:
    """Equality: the work of each module path of the trace."""
    data, found = golden(name), by_path(read(name))
    if "per_path" in data:
        expected = data["per_path"]
    else:
        expected = {path: row[2:6] for path, row in data["per_layer"].items()}
    for path, counts in expected.items():
        if name != "mobilenet_v2" or path:  # its trace pools outside any module
            assert found.get(path, [0, 0, 0, 0]) == counts, path


@pytest.mark.parametrize("name", SMALL)
def test_forward_on_the_cpu_is_that_of_the_trace(name: str) -> None:
    """Equality: a module whose weights live on the CPU, in training mode, gives the same."""
    module = build(name, "cpu").train()
    assert totals(read_module(module, inputs(name, shapes(name), "cpu"))) == golden(name)["forward"]
    assert module.training


@pytest.mark.parametrize("name", NETS)
def test_training_is_that_of_the_trace(name: str) -> None:
    """Equality: forward and backward of the sum of the outputs, with dropout and batch statistics."""
    net = read(name, phase="train")
    assert totals(net) == golden(name, "counts_train")["train"]
    assert net.neurons == golden(name)["neurons_per_sample"]
    assert (net.uncounted, faults(net)) == ((), set())


@pytest.mark.parametrize("name", [n for n in NETS if golden(n, "counts_train")["eval"] != "train"])
def test_backward_in_eval_mode_is_that_of_the_trace(name: str) -> None:
    """Equality: forward and backward without dropout and with running statistics."""
    assert totals(read(name, phase="train", training=False)) == golden(name, "counts_train")["eval"]
