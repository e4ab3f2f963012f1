"""What the user says about batch, sequence, symbols and shapes."""

import pytest
from onnx import helper
from onnx_builders import INT64, info, ints, model, parameters, read, weight

from picojoule.quantity import InputError

node = helper.make_node
NODES = [node("MatMul", ["x", "w"], ["y"])]


def product(shape):
    return model(NODES, {"x": shape}, {"y": None}, [weight("w", 4, 5)])


@pytest.mark.parametrize("shape", [("batch", 4), ("N", 4), (1, 4), (None, 4), (7, 4), (-1, 4)])
def test_batch_replaces_the_first_size(tmp_path, shape):
    """By hand: symbolic, unknown or fixed, the first size becomes the batch."""
    workload = read(product(shape), tmp_path, batch=8)
    assert (workload.work.macs, workload.batch, parameters(workload)) == (8 * 20, 8, 20)


def test_sequence_length(tmp_path):
    """By hand: sizes named like a sequence take --seq, the others --batch."""
    proto = product(("batch_size", "sequence_length", 4))
    assert read(proto, tmp_path, batch=3, seq=7).work.macs == 21 * 20
    with pytest.raises(InputError, match="symbols sequence_length"):
        read(proto, tmp_path, batch=3)
    with pytest.raises(InputError, match="no input has a symbolic sequence length"):
        read(product((1, 4)), tmp_path, seq=7)


def test_symbols_hold_for_all_inputs(tmp_path):
    """By hand: the shape of one input gives the symbols of another, sums of symbols included."""
    nodes = [
        node("Concat", ["past", "x"], ["all"], axis=1),
        node("MatMul", ["all", "w"], ["m"]),
        node("Add", ["m", "z"], ["y"]),
    ]
    proto = model(
        nodes, {"past": ("b", "p", 4), "x": ("b", "s", 4), "z": ("b", "p + s", 5)}, {"y": None}, [weight("w", 4, 5)]
    )
    assert read(proto, tmp_path, inputs={"x": (2, 3, 4), "p": (10,)}).work.macs == 2 * 13 * 20
    assert read(proto, tmp_path, batch=2, seq=3, inputs={"p": (10,)}).work.macs == 2 * 13 * 20
    with pytest.raises(InputError, match="'b' 5, which is 2 elsewhere"):
        read(proto, tmp_path, inputs={"x": (2, 3, 4), "past": (5, 1, 4)})


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"inputs": {"z": (1, 4)}}, "no input 'z'"), ({"inputs": {"x": (1, 2, 3)}}, "has 2 axes, 3 are given"),
        ({"inputs": {"x": (-1, 4)}}, "negative"), ({"batch": 0}, "batch is 0"), ({"seq": -1}, "seq is -1"),
        ({"inputs": {"x": (1, 5)}}, "5 != 4"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, options, part):
    """Message: wrong names, ranks and sizes."""
    with pytest.raises(InputError) as raised:
        read(product(("N", 4)), tmp_path, **options)
    assert part in str(raised.value)


def test_a_batch_that_the_graph_does_not_allow(tmp_path):
    """Message: a reshape to a fixed batch tells that the file fixes it."""
    nodes = [node("Reshape", ["x", "s"], ["a"]), node("MatMul", ["a", "w"], ["y"])]
    proto = model(nodes, {"x": (1, 8)}, {"y": None}, [weight("w", 4, 5), ints("s", 2, 4)])
    assert read(proto, tmp_path).work.macs == 40
    with pytest.raises(InputError, match="the file fixes"):
        read(proto, tmp_path, batch=3)


def test_initializers_that_are_inputs_are_not_asked_for(tmp_path):
    """By hand: before IR version 4 weights were listed as inputs."""
    proto = model(NODES, {"x": (2, 4), "w": (4, 5)}, {"y": None}, [weight("w", 4, 5)], opset=8, ir=3)
    workload = read(proto, tmp_path)
    assert (workload.work.macs, workload.inputs, parameters(workload)) == (40, ("x",), 20)


def test_recurrent_batch_axis(tmp_path):
    """By hand: the batch of a recurrent net is its second axis, which --batch replaces."""
    one = node("RNN", ["x", "w", "r"], ["y"])
    proto = model([one], {"x": ("s", "n", 3)}, {"y": None}, [weight("w", 1, 4, 3), weight("r", 1, 4, 4)])
    workload = read(proto, tmp_path, batch=2, seq=5)
    assert (workload.work.macs, workload.batch) == (2 * 5 * 28, 2)


def test_declared_shapes_are_no_witness_of_another_batch(tmp_path):
    """Message: no warning for a result that the new batch makes larger."""
    proto = model(NODES, {"x": (1, 4)}, {"y": (1, 5)}, [weight("w", 4, 5)])
    assert not read(proto, tmp_path, batch=2).warnings


def test_scalar_shape_input(tmp_path):
    """By hand: an integer input that a shape depends on may be given a value."""
    nodes = [node("Unsqueeze", ["n", "z"], ["s"]), node("Expand", ["x", "s"], ["e"]), node("Relu", ["e"], ["y"])]
    proto = model(nodes, [info("x", (1,)), info("n", (), INT64)], {"y": None}, [ints("z", 0)])
    workload = read(proto, tmp_path, inputs={"n": (9,)})
    assert dict(workload.work.special) == {"compare": 9}
    assert [op for op, _ in read(proto, tmp_path).uncounted] == ["Expand", "Relu"]
