"""Workloads as calls: no operation is lost or made up on the way, shapes are the network's own."""

import numpy as np
import pytest

import picojoule as pj
from picojoule.devices import LAWS, sheet, total
from picojoule.devices._operators import calls
from picojoule.formats import load_hardware

NETS = ["resnet18", "mobilenetv2", "bert-base", "gpt2", "lstm:128x256", "mlp:33-512-10", "matmul:64x96x128"]


@pytest.mark.parametrize("name", NETS)
def test_no_operation_is_lost(name: str) -> None:
    """Equality: operations of the calls, two per MAC, are twice the MACs of every contraction of the network, to the last one."""
    net = pj.read_model(name)
    for operator, call in calls(net):
        if call.kind in ("gemm", "convolution"):
            rows = {k: np.array([v]) for k, v in call.rows.items()}
            assert LAWS[call.kind].work(rows, call.dtype)[0][0] * call.times == 2 * operator.total.macs, operator.name
    counted = sum(o.total.macs for o, c in calls(net) if c.kind in ("gemm", "convolution"))
    assert counted >= 0.99 * net.work.macs


def test_the_first_layer_of_resnet() -> None:
    """By hand: 7x7, stride 2, padding 3, 3 to 64 channels on 224 pixels."""
    _, first = calls(pj.read_model("resnet18"))[0]
    assert first.rows == {
        "batch": 1,
        "cin": 3,
        "cout": 64,
        "kernel": 7,
        "size": 224,
        "stride": 2,
        "padding": 3,
        "groups": 1,
    }


def test_products_of_attention() -> None:
    """By hand: BERT-base on 128 tokens has scores of 12 heads: batch 12, 128x128 over 64."""
    found = {tuple(sorted(c.rows.items())) for _, c in calls(pj.read_model("bert-base")) if c.kind == "gemm"}
    assert tuple(sorted({"m": 128.0, "n": 128.0, "k": 64.0, "batch": 12.0}.items())) in found
    assert tuple(sorted({"m": 128.0, "n": 768.0, "k": 768.0, "batch": 1.0}.items())) in found


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2", "bert-base"])
def test_networks_take_longer_than_their_peak_allows(name: str) -> None:
    """Bound: a whole network on a V100 takes more than its operations at peak, less than thirty times that at batch 64."""
    net = pj.read_model(name, batch=64) if name != "bert-base" else pj.read_model(name, batch=8)
    machine = sheet(load_hardware("v100-pcie")[0])
    found = total([c for _, c in calls(net)], machine)
    least = 2 * net.work.macs / machine.peak("float32") / (2.25 if name == "resnet18" else 1)
    assert least < found.time_s < 30 * least
    assert found.energy_j is not None
    assert found.energy_j / found.time_s < 250
