"""Chapters 4 and 5 beyond the golden rows: other inputs, worked by hand, and faults."""

from typing import Any

import pytest

from picojoule.exercises import answer
from picojoule.exercises._counts import network
from picojoule.exercises._fusion import fused, groups, unfused
from picojoule.exercises._prune import constant, dead, with_dead_nodes
from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Workload, ops


def value(id_: str, name: str, **inputs: Any) -> Any:
    return answer(id_, inputs=inputs).answers[name].value


def conv(g: Graph, x: Tensor, filters: int, name: str, *, bias: bool = False) -> Tensor:
    with g.scope(name):
        shift = g.parameter("bias", (filters,), "bias") if bias else None
        return ops.conv(g, x, g.parameter("weight", (filters, x.shape[1], 1, 1)), shift)


def norm(g: Graph, x: Tensor, name: str) -> Tensor:
    with g.scope(name):
        scale, shift = (g.parameter(n, (x.shape[1],), "norm") for n in ("scale", "shift"))
        mean, variance = (g.parameter(n, (x.shape[1],), "buffer") for n in ("mean", "variance"))
        return ops.batch_norm(g, x, scale, shift, mean, variance)


def residual_block(*, bias: bool = False) -> Workload:
    """x -> conv -> norm -> add x -> relu, 4 channels of 5 x 5."""
    g = Graph("block")
    x = g.input("x", (1, 4, 5, 5))
    y = norm(g, conv(g, x, 4, "conv", bias=bias), "norm")
    g.output(ops.unary(g, "relu", ops.binary(g, "add", y, x)))
    return g.workload()


def test_fusion_of_a_block() -> None:
    """By hand: 100 values a map, 16 weights, 4 channels: 900 values and 32 constants become 300 and 20."""
    net = residual_block()
    assert sum(m.total for m in unfused(net)) == 4 * (216 + 216 + 300 + 200)
    (layer,) = fused(net)
    assert layer.total == 4 * (100 + 16 + 4 + 100 + 100)
    assert layer.after == 4 * 100
    assert layer.time(4) == max(400 / 4, 4 * 220) + 400
    assert layer.macs == 400


def test_fusion_with_a_bias() -> None:
    """By hand: a layer that has a bias takes the shift in there."""
    assert sum(m.total for m in fused(residual_block(bias=True))) == sum(m.total for m in fused(residual_block()))


def test_fusion_stops_where_another_reads() -> None:
    """By hand: a result that two operators read, or that is an output, is written; a norm before a layer stays alone."""
    g = Graph("two readers")
    x = g.input("x", (1, 4, 5, 5))
    y = conv(g, norm(g, x, "norm"), 4, "conv")
    g.output(ops.unary(g, "relu", y), ops.unary(g, "sigmoid", y))
    assert [len(group) for group in groups(g.workload())] == [1, 1, 1, 1]
    g = Graph("output")
    y = conv(g, g.input("x", (1, 4, 5, 5)), 4, "conv")
    g.output(y, ops.unary(g, "relu", y))
    assert [len(group) for group in groups(g.workload())] == [1, 1]


@pytest.mark.parametrize("model", ["mobilenet_v2", "densenet121", "efficientnet_b0", "lenet5", "bert-base", "vgg16_bn"])
def test_fusion_never_adds_bytes(model: str) -> None:
    """Metamorphic: fused is no more bytes, no more time, the same MACs; a better machine for compute gains more."""
    row = value(f"5.11-{model}", "batch1")
    assert row["fused_bytes"] <= row["unfused_bytes"]
    assert row["roofline_speedup_ridge4"] >= 1
    assert value(f"5.11-{model}", "batch1", ridge=400.0)["roofline_speedup_ridge400"] >= row["roofline_speedup_ridge4"]
    net = network(model)
    assert sum(m.macs for m in fused(net)) == sum(m.macs for m in unfused(net)) == net.work.macs


def test_fusion_in_half() -> None:
    """By hand: half the bytes, the same ratio; batches as named."""
    wide, half = (answer("5.11-resnet18", inputs={"dtype": d, "batches": [3]}).answers for d in ("float32", "float16"))
    assert set(wide) == {"batch3"}
    assert half["batch3"].value["fused_bytes"] * 2 == wide["batch3"].value["fused_bytes"]
    assert half["batch3"].value["ratio"] == wide["batch3"].value["ratio"]


def test_pruning() -> None:
    """By hand: exactly the nodes added go, whatever their number; a clean network loses none."""
    net = network("resnet18")
    assert dead(net) == ()
    for nodes in (1, 2, 5, 40):
        larger = with_dead_nodes(net, nodes)
        assert [o.name for o in dead(larger)] == [f"dead{i}" for i in range(1, nodes + 1)]
    assert value("5.10", "removed", dead_nodes=2, model="alexnet_tv") == ["dead1", "dead2"]
    assert value("5.10", "nodes_after") == len(network("lenet5").operators)


def test_folding() -> None:
    """By hand: of (a + b)·x with constants a and b the sum is folded."""
    g = Graph("fold")
    a, b = (g.parameter(name, (3,), "constant") for name in "ab")
    g.output(ops.binary(g, "mul", ops.binary(g, "add", a, b), g.input("x", (3,))))
    assert [o.op for o in constant(g.workload())] == ["add"]
    assert value("4.2", "additions", elements=7) == 7
    assert value("4.2", "bytes", elements=7) == 84
    assert value("4.2", "additions_if_both_are_constants", elements=7) == 0


def test_images_and_files() -> None:
    """By hand: other sizes than the exercises' own."""
    found = answer("4.6", inputs={"image": [640, 480, 3], "resize": [300, 320], "crop": [299, 299]}).answers
    assert (found["decoded_elements"].value, found["resized_elements"].value) == (921_600, 288_000)
    assert (found["cropped_elements"].value, found["normalise_sub"].value) == (268_203, 268_203)
    assert found["crop0875_of_640x480"].value == [560, 420]
    assert value("4.7", "overhead_bytes", records=7) == 112
    many = value("4.7", "seconds_file_by_file", records=10, bytes_per_record=100, open_s=0.5, bandwidth_Bps=1e3)
    assert many == pytest.approx(6)
    assert value("4.4-lenet5", "bytes_if_read_for_each_layer") == 61_706 * 4 * 5
    assert value("4.5", "bytes", image=[10, 10, 3], dtype="float32") == 2 * 4 * 300
    assert value("4.1", "bytes", text="ab") == 2


def test_learning_rate() -> None:
    """By hand: halved every ten steps."""
    assert value("4.8", "lr", lr0=0.4, decay=0.5, every=10, steps=[9, 10, 25]) == [0.4, 0.2, 0.1]


def test_cheapest_network() -> None:
    """By hand: MobileNetV3 small is the smallest above 85 %; a higher bar costs no less; joules with a machine."""
    assert value("4.12", "network") == "mobilenet_v3_small"
    costs = [value("4.12", "cost", top5=bar) for bar in (50.0, 85.0, 90.0, 92.0, 94.0)]
    assert costs == sorted(costs)
    assert value("4.12", "network", top5=94.0) == "resnet152"
    assert answer("4.12", hardware="jetson-nano").answers["cost"].unit == "J"


def test_several_devices() -> None:
    """By hand: 3 devices send 4/3 of the gradient; one device sends nothing."""
    found = answer("5.3", inputs={"gradient_bytes": 300, "gpus": [1, 3], "link_Bps": 100.0}).answers
    assert found["ring_bytes_per_gpu"].value == [0, 400]
    assert found["seconds"].value == [0, pytest.approx(4)]
    one = value("5.3", "seconds_over_nodes", gradient_bytes=300, gpus=[3], link_Bps=100.0, nodes=1)
    assert one == pytest.approx(4)


@pytest.mark.parametrize(("optimiser", "single", "mixed"), [("sgd", 8, 8), ("momentum", 12, 12), ("adam", 16, 16)])
def test_states(optimiser: str, single: int, mixed: int) -> None:
    """By hand: weight, gradient and moments in 4 B; or 2 + 2 + 4 and the moments in 4 B."""
    found = answer("5.9", inputs={"params": 10, "optimizer": optimiser, "model": "lenet5", "batch": 1}).answers
    assert found["fp32_state_bytes"].value == 10 * single
    assert found["mixed_state_bytes"].value == 10 * mixed
    assert sum(found["mixed_breakdown_per_param"].value.values()) == mixed


def test_preparing_in_keras() -> None:
    """By hand: one subtraction a value; a division and a subtraction; two divisions and a subtraction; 12 of 20 used."""
    found = answer("5.4", inputs={"image": [2, 2, 3], "lengths": [2, 4, 5, 1]}).answers
    assert found["caffe"].value["add"] == 12
    assert "div" not in found["caffe"].value
    assert (found["tf"].value["div"], found["tf"].value["add"]) == (12, 12)
    assert (found["torch"].value["div"], found["torch"].value["add"]) == (24, 12)
    assert found["padding_waste"].value == pytest.approx(8 / 20)


def test_gradients_and_graphs() -> None:
    """By hand: a cosine and a product an element; no product in a max pool; MACs do not depend on the graph."""
    assert value("5.5", "sin_backward", elements=6) == {"mul": 6, "cos": 6}
    assert "mul" not in value("5.5", "max_pool_backward", map=8)
    assert value("5.6", "backward_macs") == 2 * value("5.6", "macs") == 2 * value("5.7", "direct_macs")
    assert value("5.2", "operators_recorded_dynamic", runs=10) == 10 * value("5.2", "operators_recorded_static")
    assert value("5.1", "matmul", n=10)["additions"] == 900


def test_sparse() -> None:
    """By hand: three quarters zero: 1.125 B in a bitmap, 1.5 B with indices, a quarter of the MACs."""
    found = answer("5.12", inputs={"target": 0.75, "t": [0.5], "layers": [4, 2]}).answers
    assert found["sparsity"].value == [0.75 * 0.875]
    assert found["bitmap_bytes_per_weight"].value == 1.125
    assert found["csr16_bytes_per_weight"].value == 1.5
    assert found["macs_if_zeros_are_skipped"].value == 2
    assert value("5.12", "bitmap_bytes_per_weight", target=0.9) == pytest.approx(0.525, rel=1e-15)


@pytest.mark.parametrize(
    ("id_", "inputs", "text"),
    [
        ("4.6", {"image": [5, 5]}, "height, width, channels"), ("4.6", {"crop": [5]}, "height and width"),
        ("4.6", {"crop": [900, 900]}, "larger than"), ("4.12", {"top5": 99.0}, "94.046 or less"),
        ("5.9", {"optimizer": "lion"}, "adam"), ("5.5", {"window": 9}, "smaller window"), ("5.12", {"target": 2.0}, "0 to 1"),
        ("5.12", {"t": [2.0]}, "0 to 1"), ("5.10", {"dead_nodes": 10**6}, "10000"), ("5.6", {"conv": "big"}, "pad 1"),
        ("5.11-nothing", {}, "resnet"), ("5.11-resnet18", {"dtype": "float7"}, "float"), ("4.8", {"every": 0}, "1 or more"),
        ("5.3", {"gpus": [0]}, "1 or more"), ("4.2", {"dtype": "float7"}, "float"),
    ],
)  # fmt: skip
def test_message(id_: str, inputs: dict[str, object], text: str) -> None:
    """Message: what is wrong and what was expected."""
    with pytest.raises(InputError) as caught:
        answer(id_, inputs=inputs)
    assert text in str(caught.value)
    assert "expected" in str(caught.value)
