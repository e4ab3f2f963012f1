"""Training steps: which gradients exist, recurrences, recomputation, updates, precision, memory."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.frontends.zoo import read_zoo
from picojoule.quantity import InputError
from picojoule.training import (
    Memory,
    Precision,
    gan_iteration,
    peak_activation_bytes,
    peak_memory,
    style_transfer_iteration,
    training_step,
)
from picojoule.workload import Graph, Operator, Tensor, Work, Workload, ops


def mlp(*widths: int, batch: int = 3, bias: bool = True) -> Workload:
    g = Graph("mlp", batch=batch)
    x = g.input("x", (batch, widths[0]))
    for index, (k, n) in enumerate(pairwise(widths)):
        with g.scope(f"l{index}"):
            shift = g.parameter("bias", (n,), "bias") if bias else None
            x = ops.unary(g, "relu", ops.linear(g, x, g.parameter("weight", (n, k)), shift))
    g.output(x)
    return g.workload()


def small(op: str) -> tuple[Graph, Tensor]:
    g = Graph(op, batch=2)
    x = g.input("x", (2, 6, 8, 8))
    with g.scope("stem"):
        return g, ops.conv(g, x, g.parameter("weight", (6, 6, 1, 1)))


def named(net: Workload, op: str) -> list[Operator]:
    return [operator for operator in net.operators if operator.op == op]


def update_bytes(net: Workload) -> int:
    return sum(net.traffic(o).total for o in net.operators if o.kind == "update")


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_a_grouped_convolution_costs_twice_forward_backwards(groups: int) -> None:
    """By hand: dX and dW have the forward MACs each, whatever the groups; 8 · 8 · 6 · 6/groups · 9 a sample."""
    g, x = small("grouped")
    with g.scope("conv"):
        y = ops.conv(g, x, g.parameter("weight", (6, 6 // groups, 3, 3)), padding=((1, 1), (1, 1)), groups=groups)
    g.output(y)
    net = training_step(g.workload(), optimiser=None)
    macs = 2 * 64 * 6 * (6 // groups) * 9
    parts = [o.work for o in net.operators if o.path == "conv" and "backward" in o.op]
    assert [work.macs for work in parts] == [macs, macs]
    assert [work.adds for work in parts] == [macs - 2 * 6 * 64, macs - 6 * (6 // groups) * 9]


def test_the_first_layer_sends_no_gradient_to_the_input() -> None:
    """By hand: a 4-5-6 net on 3 rows: dW of both layers, dX of the second."""
    net = training_step(mlp(4, 5, 6), optimiser=None)
    assert net.work.macs == 3 * (20 + 30) + 3 * (20 + 30) + 3 * 30
    assert not any(name.startswith("x.grad") for name in net.tensors)
    wide = training_step(mlp(4, 5, 6), optimiser=None, input_gradient=True)
    assert wide.work.macs == net.work.macs + 3 * 20
    assert wide.tensors["x.grad"].shape == (3, 4)


@pytest.mark.parametrize("frozen", [["l0"], ["l0.*"], ["l0.weight", "l0.bias"], lambda name: name.startswith("l0")])
def test_a_frozen_backbone_has_no_gradient_and_no_update(frozen: object) -> None:
    """By hand: only the head's dW is left, and 12 B of update for each of its 36 parameters."""
    net = training_step(mlp(4, 5, 6), frozen=frozen)  # type: ignore[arg-type]
    assert net.work.macs == 3 * 50 + 3 * 30
    assert update_bytes(net) == 12 * 36
    assert not any(name.startswith("l0") and ".grad" in name for name in net.tensors)


def test_frozen_bias_and_weight_apart() -> None:
    """By hand: a frozen weight in the middle passes the gradient on: dX without dW."""
    net = training_step(mlp(4, 5, 6, 7), frozen=["l1.weight"], optimiser=None)
    assert net.work.macs == 3 * (20 + 30 + 42) + 3 * (20 + 42) + 3 * (30 + 42)
    assert "l1.bias.grad" in net.tensors
    assert "l1.weight.grad" not in net.tensors


def test_names_and_paths_of_gradients() -> None:
    """By hand: the gradient of layer1.0.conv1.weight is layer1.0.conv1.weight.grad, on its module's path."""
    net = training_step(read_zoo("resnet18"))
    operator = next(o for o in net.operators if o.outputs[0].tensor == "layer1.0.conv1.weight.grad")
    assert (operator.op, operator.path, operator.kind) == ("conv2d_backward_weight", "layer1.0.conv1", "conv")
    weights = {t.name for t in net.parameters}
    assert all(net.tensors[f"{name}.grad"].shape == net.tensors[name].shape for name in weights)
    assert weights == {t.name for t in read_zoo("resnet18").parameters}


def test_eval_mode_keeps_statistics_and_drops_nothing() -> None:
    """By hand: a channel-wise affine map: dX 1 mul an element, against 2n + 8C and 4n + 3C over the batch."""
    g, x = small("norm")
    with g.scope("norm"):
        scale, shift = g.parameter("weight", (6,), "norm"), g.parameter("bias", (6,), "norm")
        mean, variance = g.parameter("mean", (6,), "buffer"), g.parameter("var", (6,), "buffer")
        y = ops.batch_norm(g, x, scale, shift, mean, variance)
    g.output(ops.unary(g, "dropout", y, name="drop"))
    n, c = 2 * 6 * 64, 6
    train, fixed = (training_step(g.workload(), mode=mode, optimiser=None) for mode in ("train", "eval"))  # type: ignore[arg-type]
    assert [o.work.muls for o in train.operators if o.path == "norm"] == [2 * n + 8 * c, 4 * n + 3 * c]
    assert [o.work.muls for o in fixed.operators if o.path == "norm"] == [n + 2 * c, 2 * n + 2 * c]
    assert dict(named(train, "dropout")[0].work.special) == {"rng": n, "div": n}
    assert named(fixed, "dropout")[0].work == Work()


def test_recurrent_states_need_no_gradient_before_the_first_step() -> None:
    """By hand: T steps of H · (I + H) products forward; dW of both T times, dX of the state T - 1 times."""
    net = read_zoo("rnn:5x7:steps=9", batch=2)
    assert training_step(net, optimiser=None).work.macs == 2 * 9 * 7 * 12 * 2 + 2 * 8 * 49
    one = read_zoo("rnn:5x7:steps=1", batch=2)
    assert training_step(one, optimiser=None).work.macs == 2 * 2 * 7 * 12


@pytest.mark.parametrize("name", ["resnet18", "alexnet", "vgg16", "gpt2", "lstm:8x8:steps=5:head=3"])
def test_full_recomputation_runs_forward_twice(name: str) -> None:
    """By hand: MACs = forward + (forward + backward)."""
    net = read_zoo(name)
    plain, full = (training_step(net, recompute=mode, optimiser=None) for mode in ("none", "full"))  # type: ignore[arg-type]
    assert full.work.macs == plain.work.macs + net.work.macs


def test_selective_recomputation_repeats_the_core_of_attention() -> None:
    """Published: Korthikanti et al. 2022 repeat scores, softmax and their product with the values, and nothing else."""
    net = read_zoo("llama3-8b", seq=512)
    core = sum(o.work.macs for o in net.operators if o.op.startswith("attention_"))
    plain, selective = (training_step(net, recompute=mode) for mode in ("none", "selective"))  # type: ignore[arg-type]
    assert selective.work.macs == plain.work.macs + core
    assert peak_memory(selective).activations < peak_memory(plain).activations


BYTES_OF_UPDATE = {"sgd": 12, "momentum": 20, "adam": 28, "adamw": 28}


@pytest.mark.parametrize("optimiser", BYTES_OF_UPDATE)
def test_update_bytes_of_a_parameter(optimiser: str) -> None:
    """By hand: weight read and written, gradient read, each state read and written, 4 B each."""
    net = training_step(mlp(4, 5, 6), optimiser=optimiser)  # type: ignore[arg-type]
    assert update_bytes(net) == BYTES_OF_UPDATE[optimiser] * (25 + 36)


def test_alexnet_momentum_moves_1_2_gigabytes() -> None:
    """By hand: 20 B for each of 61,100,840 parameters."""
    assert update_bytes(training_step(read_zoo("alexnet"), optimiser="momentum")) == 1_222_016_800


def test_update_work_of_a_parameter() -> None:
    """By hand: from the update's formulas, for the 61 parameters of a 4-5-6 net."""
    expected = {"sgd": (1, 1), "momentum": (2, 2), "adam": (6, 4), "adamw": (7, 4)}
    for optimiser, (muls, adds) in expected.items():
        net = training_step(mlp(4, 5, 6), optimiser=optimiser)  # type: ignore[arg-type]
        work = sum((o.work for o in net.operators if o.kind == "update"), Work())
        assert (work.muls, work.adds) == (61 * muls, 61 * adds)


def test_adafactor_keeps_rows_and_columns() -> None:
    """By hand: 5 + 4 and 6 + 5 factors of the matrices, whole moments of the biases; 12 B a parameter and 8 a state."""
    net = training_step(mlp(4, 5, 6), optimiser="adafactor")
    assert peak_memory(net).optimiser == 4 * (9 + 11 + 5 + 6)
    assert update_bytes(net) == 12 * 61 + 8 * (9 + 11 + 5 + 6)


def test_eight_bit_adam_keeps_a_byte_a_state_and_a_scale_a_block() -> None:
    """By hand: 2 B a parameter and two fp32 scales for each 8 of them."""
    net = training_step(mlp(4, 5, 6), optimiser="adam8bit", block=8)
    blocks = 3 + 1 + 4 + 1  # 20, 5, 30 and 6 parameters
    assert peak_memory(net).optimiser == 2 * 61 + 8 * blocks
    assert update_bytes(net) == 16 * 61 + 16 * blocks


def test_mixed_precision_keeps_sixteen_bytes_a_parameter() -> None:
    """Published: 2 + 2 + 4 + 4 + 4 B of weight, gradient, master, two states (Rajbhandari et al. 2020, section 3.1)."""
    mixed = peak_memory(training_step(mlp(4, 5, 6), optimiser="adam", precision=Precision("fp16")))
    assert (mixed.weights, mixed.gradients, mixed.optimiser) == (2 * 61, 2 * 61, 12 * 61)
    single = peak_memory(training_step(mlp(4, 5, 6), optimiser="adam"))
    assert single.weights + single.gradients + single.optimiser == 16 * 61
    assert mixed.activations * 2 == single.activations


def test_mixed_precision_casts_the_master_back() -> None:
    """By hand: reads 4 B of each parameter, writes 2; the products' bytes halve."""
    net = training_step(mlp(4, 5, 6), optimiser="adam", precision=Precision("bf16"))
    assert sum(net.traffic(o).total for o in named(net, "cast")) == 6 * 61
    assert net.tensors["l0.weight"].dtype == "bfloat16"
    assert net.tensors["l0.weight.master"].dtype == "float32"


def test_peak_memory_of_two_layers() -> None:
    """By hand: 4-5-6 on 3 rows in fp32, ReLU saved by its result: worst at the second layer's dX."""
    memory = peak_memory(training_step(mlp(4, 5, 6), optimiser="momentum"))
    assert (memory.weights, memory.gradients, memory.optimiser) == (4 * 61, 4 * 61, 4 * 61)
    # x 12, first ReLU 15, second ReLU 18 (the output stays); the gradients of the product 18 and of its input 15.
    assert (memory.activations, memory.workspace) == (4 * 45, 4 * 33)
    assert memory.total == 3 * 244 + 312


def test_peak_activation_of_inference() -> None:
    """By hand: a product and its ReLU, 2 · 3 · 6 elements, outweigh what came before."""
    assert peak_activation_bytes(mlp(4, 5, 6)) == 4 * 36
    assert peak_memory(mlp(4, 5, 6)) == Memory(4 * 61, 0, 0, 4 * 36, 0)


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "gpt2"])
def test_recomputation_saves_memory(name: str) -> None:
    """Bound: full recomputation keeps fewer bytes than none, and never fewer than the inference working set."""
    net = read_zoo(name, batch=4)
    plain, full = (peak_memory(training_step(net, recompute=mode)) for mode in ("none", "full"))  # type: ignore[arg-type]
    assert full.total < plain.total
    assert full.activations + full.workspace >= peak_activation_bytes(net)


@pytest.mark.parametrize("name", ["resnet18", "gru:8x8:steps=5:head=3", "gpt2"])
def test_twice_the_batch_is_twice_the_work_and_the_same_update(name: str) -> None:
    """Metamorphic: MACs double; the update's work and bytes stay."""
    one, two = (training_step(read_zoo(name, batch=batch), optimiser="adam") for batch in (1, 2))
    assert two.work.macs == 2 * one.work.macs
    assert update_bytes(two) == update_bytes(one)


def test_adversarial_iteration() -> None:
    """By hand: 4·FG + 8·FD; less dX of the first layers: twice the discriminator's, once the generator's."""
    generator, critic = mlp(4, 5, 6), mlp(6, 7, 1)
    iteration = gan_iteration(generator, critic)
    assert iteration.law == 4 * 3 * 50 + 8 * 3 * 49
    assert iteration.exact == iteration.law - 2 * 3 * 42 - 3 * 20


def test_style_transfer_is_twice_forward() -> None:
    """Published: 39,016,857,600 MACs for VGG-19's convolutions at 224 x 224: no dW, dX of all, the first too."""
    net = read_zoo("vgg19")
    iteration = style_transfer_iteration(net)
    assert iteration.work.macs == 2 * net.work.macs
    convolutions = sum(o.work.macs for o in iteration.operators if o.op.startswith("conv2d"))
    assert convolutions == 39_016_857_600
    assert update_bytes(iteration) == 0


@pytest.mark.parametrize(("loss", "special"), [("sum", {}), ("mse", {}), ("cross_entropy", {"exp": 36, "log": 3})])
def test_losses(loss: str, special: dict[str, int]) -> None:
    """By hand: 3 rows of 6: exps forward and backward, one logarithm a row."""
    net = training_step(mlp(4, 5, 6), optimiser=None, loss=loss)  # type: ignore[arg-type]
    found = dict(sum((o.work for o in net.operators if o.kind == "loss"), Work()).special)
    assert {name: found.get(name, 0) for name in special} == special
    assert ("loss.target" in net.inputs) == (loss != "sum")


def test_an_operator_without_a_rule_is_told() -> None:
    """Message: its backward is uncounted, and what lies upstream is still counted."""
    g = Graph("odd", batch=2)
    y = ops.linear(g, g.input("x", (2, 3)), g.parameter("weight", (3, 3)))
    g.output(ops.whole_op(g, "mystery", [y], [(2, 3)], Work.of(muls=6), name="m")[0])
    net = training_step(g.workload(), optimiser=None)
    assert net.uncounted == (("backward of mystery", "m"),)
    assert net.work.macs == 2 * 18


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frozen": ["l7"]}, "nothing to freeze"),
        ({"frozen": "l0"}, "collection"),
        ({"frozen": ["l0", "l1"]}, "no output depends"),
        ({"optimiser": "adamax"}, "no optimiser"),
        ({"recompute": "some"}, "no recomputation"),
        ({"mode": "test"}, "no mode"),
        ({"loss": "hinge"}, "no loss"),
        ({"dropout": ["l9"]}, "no operator"),
        ({"optimiser": "adam8bit", "block": 0}, "block is 0"),
    ],
)
def test_bad_arguments(options: dict[str, object], words: str) -> None:
    """Message: what is wrong, what is expected, an example."""
    with pytest.raises(InputError, match=words) as caught:
        training_step(mlp(4, 5, 6), **options)  # type: ignore[arg-type]
    assert "example" in str(caught.value)


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=6), st.integers(1, 4))
def test_random_nets(layers: list[tuple[int, bool]], batch: int) -> None:
    """Equality: backward MACs are one forward copy for each needed dX and each needed dW, nothing else."""
    widths = [5, *(width for width, _ in layers)]
    trained = [index for index, (_, on) in enumerate(layers) if on]
    net = mlp(*widths, batch=batch, bias=False)
    frozen = [f"l{index}" for index, (_, on) in enumerate(layers) if not on]
    if not trained:
        with pytest.raises(InputError):
            training_step(net, frozen=frozen)
        return
    macs = [batch * k * n for k, n in pairwise(widths)]
    back = sum(m * ((i in trained) + any(j < i for j in trained)) for i, m in enumerate(macs))
    assert training_step(net, frozen=frozen).work.macs == sum(macs) + back


def test_seventy_billion_parameters_in_half_a_second() -> None:
    """Bound: Llama-3 70B, 2048 tokens, forward, backward and update; MACs three times forward."""
    net = read_zoo("llama3-70b")
    begin = time.perf_counter()
    step = training_step(net, optimiser="adam", recompute="full", precision=Precision("bf16"))
    assert time.perf_counter() - begin < 2.0  # 0.2 s on an idle core
    assert step.work.macs == 4 * net.work.macs


@pytest.mark.parametrize(("filled", "adds"), [((), 0), (("cut",), 2 * 12)])
def test_slices_of_one_tensor_are_joined(filled: tuple[str, ...], adds: int) -> None:
    """By hand: three thirds of 2 x 6 elements: one copy, or three tensors with zeros and two additions of 12."""
    g = Graph("slices", batch=2)
    y = ops.linear(g, g.input("x", (2, 3)), g.parameter("weight", (6, 3)))
    with g.scope("cut"):
        parts = [ops.select(g, y, 4, (2, 2)) for _ in range(3)]
    g.output(ops.concat(g, parts, 1))
    net = training_step(g.workload(), optimiser=None, filled_slices=filled)
    assert sum(o.work.adds for o in named(net, "accumulate")) == adds
    assert len(named(net, "join_slices")) == (not filled)
