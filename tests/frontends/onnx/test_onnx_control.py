"""Branches, loops, scans, functions and sequences."""

import pytest
from onnx import TensorProto, helper
from onnx_builders import BOOL, INT64, info, ints, model, parameters, read, scalar, weight

from picojoule.quantity import InputError

node = helper.make_node


def body(nodes, inputs, outputs, stored=()):
    return helper.make_graph(nodes, "body", inputs, outputs, initializer=list(stored))


def step(nodes, stored=(), condition="cin", extra=()):
    """A loop body over one state `hin` of [1, 16]."""
    return body([*nodes, node("Identity", [condition], ["cout"])],
                [info("it", (), INT64), info("cin", (), BOOL), info("hin", (1, 16))],
                [info("cout", (), BOOL), info("hout", (1, 16)), *extra], stored)  # fmt: skip


def test_loop_inside_loop(tmp_path):
    """By hand: 3 · 4 · 256 MACs; the weight in the body is one tensor."""
    inner = step([node("MatMul", ["hin", "w"], ["hout"])], [weight("w", 16, 16)])
    outer = step([node("Loop", ["n", "cin", "hin"], ["hout"], body=inner)])
    stored = [scalar("m", 3, int), scalar("n", 4, int), scalar("c", True, bool)]
    workload = read(
        model([node("Loop", ["m", "c", "h"], ["y"], body=outer)], {"h": (1, 16)}, {"y": (1, 16)}, stored), tmp_path
    )
    assert (workload.work.macs, parameters(workload)) == (12 * 256, 256)
    assert not workload.notes


def test_scan_outputs_are_stacked(tmp_path):
    """By hand: five trips leave [5, 1, 16], which the product after the loop reads."""
    loop = step([node("MatMul", ["hin", "w"], ["hout"]), node("Relu", ["hout"], ["o"])], extra=[info("o", (1, 16))])
    nodes = [node("Loop", ["m", "c", "h"], ["e", "s"], body=loop), node("MatMul", ["s", "w"], ["y"])]
    stored = [scalar("m", 5, int), scalar("c", True, bool), weight("w", 16, 16)]
    workload = read(model(nodes, {"h": (1, 16)}, {"y": (5, 1, 16)}, stored), tmp_path)
    assert workload.work.macs == 10 * 256
    assert not workload.warnings


def test_loop_that_may_end_early(tmp_path):
    """Bound: a condition from data leaves the trip count an upper bound, with a note."""
    nodes = [node("MatMul", ["hin", "w"], ["hout"]), node("ReduceSum", ["hout"], ["r"], keepdims=0),
             node("Greater", ["r", "zero"], ["go"])]  # fmt: skip
    loop = step(nodes, [scalar("zero", 0.0)], "go")
    stored = [scalar("m", 5, int), scalar("c", True, bool), weight("w", 16, 16)]
    proto = model([node("Loop", ["m", "c", "h"], ["y"], body=loop)], {"h": (1, 16)}, {"y": (1, 16)}, stored)
    workload = read(proto, tmp_path)
    assert workload.work.macs == 5 * 256
    assert "at most 5 trips" in workload.notes[0]
    proto.graph.initializer[0].CopyFrom(scalar("m", 2**63 - 1, int))
    workload = read(proto, tmp_path)
    assert workload.work.macs == 256
    assert "trip count unknown" in workload.notes[0]


def test_endless_trip_count(tmp_path):
    """By hand: 2**62 trips are multiplied, not walked."""
    loop = step([node("MatMul", ["hin", "w"], ["hout"])])
    stored = [scalar("m", 2**62, int), scalar("c", True, bool), weight("w", 16, 16)]
    proto = model([node("Loop", ["m", "c", "h"], ["y"], body=loop)], {"h": (1, 16)}, {"y": (1, 16)}, stored)
    assert read(proto, tmp_path).work.macs == 2**62 * 256


def test_scan(tmp_path):
    """By hand: a scan over seven steps of [16] runs a product of 256 MACs seven times."""
    nodes = [node("Add", ["s", "x"], ["a"]), node("Gemm", ["a", "w"], ["s2"]), node("Identity", ["s2"], ["o"])]
    inner = body(nodes, [info("s", (1, 16)), info("x", (1, 16))], [info("s2", (1, 16)), info("o", (1, 16))])
    one = node(
        "Scan", ["h", "xs"], ["e", "y"], body=inner, num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[1]
    )
    proto = model([one], {"h": (1, 16), "xs": (1, 7, 16)}, {"y": (1, 7, 16)}, [weight("w", 16, 16)])
    workload = read(proto, tmp_path)
    assert (workload.work.macs, parameters(workload)) == (7 * 256, 256)
    assert not workload.warnings


def branches(then, other):
    return node(
        "If",
        ["c"],
        ["b"],
        then_branch=body(then, [], [info("t", (1, 8))]),
        else_branch=body(other, [], [info("e", (1, 8))]),
    )


def test_costlier_branch(tmp_path):
    """By hand: whichever branch costs more is counted; constants made on the way are there in either case."""
    cheap, dear = [node("Relu", ["x"], ["t"])], [node("MatMul", ["x", "w"], ["e"])]
    other = [[node("MatMul", ["x", "w"], ["t"])], [node("Relu", ["x"], ["e"])]]
    for then, alternative in ((cheap, dear), other):
        nodes = [branches(then, alternative), node("Add", ["b", "w1"], ["y"])]
        proto = model(
            nodes, [info("x", (1, 8)), info("c", (), BOOL)], {"y": (1, 8)}, [weight("w", 8, 8), weight("w1", 8)]
        )
        workload = read(proto, tmp_path)
        assert (workload.work.macs, parameters(workload), len(workload.operators)) == (64, 72, 2)
        for operator in workload.operators:
            assert all(access.tensor in workload.tensors for access in (*operator.inputs, *operator.outputs))


def test_dequantised_weight_used_in_a_dropped_branch(tmp_path):
    """Equality: a tensor first read in the branch that is dropped is recorded again after it."""
    nodes = [
        node("DequantizeLinear", ["q", "s"], ["d"]),
        branches([node("Mul", ["x", "d"], ["t"])], [node("MatMul", ["x", "w"], ["e"])]),
        node("Sub", ["b", "d"], ["y"]),
    ]
    stored = [helper.make_tensor("q", TensorProto.INT8, [8], [1] * 8), scalar("s", 0.5), weight("w", 8, 8)]
    workload = read(model(nodes, [info("x", (1, 8)), info("c", (), BOOL)], {"y": (1, 8)}, stored), tmp_path)
    assert [o.op for o in workload.operators] == ["matmul", "dequantize", "sub"]


def test_local_function(tmp_path):
    """By hand: a function called twice with other weights and an attribute costs twice; its constant is one tensor."""
    opset = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
    constant = node("Constant", [], ["k"], value=weight("k", 8))
    soft = helper.make_node("Softmax", ["c"], ["y"])
    soft.attribute.add(name="axis", ref_attr_name="axis", type=2)
    inner = helper.make_function("f", "Inner", ["x", "w"], ["y"], [node("MatMul", ["x", "w"], ["y"])], opset)
    block = helper.make_function("f", "Block", ["x", "w"], ["y"], [
        node("Inner", ["x", "w"], ["a"], domain="f"), constant, node("Add", ["a", "k"], ["c"]), soft],
        opset, ["axis"])  # fmt: skip
    nodes = [
        node("Block", ["x", "w1"], ["h"], domain="f", axis=0),
        node("Block", ["h", "w2"], ["y"], domain="f", axis=-1),
    ]
    proto = model(nodes, {"x": (2, 8)}, {"y": (2, 8)}, [weight("w1", 8, 8), weight("w2", 8, 8)], functions=[inner, block],
                  domains=["f"])  # fmt: skip
    workload = read(proto, tmp_path)
    assert (workload.work.macs, parameters(workload)) == (2 * 2 * 64, 128 + 8)
    assert dict(workload.work.special)["compare"] == 16 - 8 + 16 - 2
    assert workload.operators[0].name == "Block_0.Inner_0.MatMul_0"


def test_sequences(tmp_path):
    """By hand: tensors put into a sequence and joined again are as large as all of them."""
    nodes = [node("SequenceConstruct", ["x", "z"], ["s"]), node("SequenceInsert", ["s", "x"], ["t"]),
             node("ConcatFromSequence", ["t"], ["c"], axis=0), node("MatMul", ["c", "w"], ["y"])]  # fmt: skip
    workload = read(model(nodes, {"x": (2, 4), "z": (3, 4)}, {"y": (7, 5)}, [weight("w", 4, 5)]), tmp_path)
    assert workload.work.macs == 7 * 20
    nodes = [node("SplitToSequence", ["x", "p"], ["s"], axis=0), node("SequenceAt", ["s", "i"], ["a"]),
             node("MatMul", ["a", "w"], ["y"])]  # fmt: skip
    stored = [weight("w", 4, 5), ints("p", 2, 4), scalar("i", 1, int)]
    assert read(model(nodes, {"x": (6, 4)}, {"y": (4, 5)}, stored), tmp_path).work.macs == 80


def test_body_with_a_wrong_signature(tmp_path):
    """Message: a body that takes other inputs than the loop hands over."""
    loop = body([node("Identity", ["a"], ["b"])], [info("a", (1,))], [info("b", (1,))])
    proto = model([node("Loop", ["m", "c", "h"], ["y"], body=loop)], {"h": (1, 16)}, {"y": None},
                  [scalar("m", 3, int), scalar("c", True, bool)])  # fmt: skip
    with pytest.raises(InputError, match="takes 1 inputs, 3 are given"):
        read(proto, tmp_path)


@pytest.mark.parametrize(("trips", "rows"), [(3, 3), (None, 4)])
def test_loop_that_grows_a_sequence(tmp_path, trips, rows):
    """By hand: one row a trip, joined and multiplied by 16·16; where trips are unknown the file's own shape is taken."""
    grow = body(
        [node("SequenceInsert", ["s", "h"], ["t"]), node("Not", ["cin"], ["no"]),
         node("Identity", ["cin" if trips else "no"], ["cout"])],
        [info("it", (), INT64), info("cin", (), BOOL), helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)],
        [info("cout", (), BOOL), helper.make_tensor_sequence_value_info("t", TensorProto.FLOAT, None)],
    )  # fmt: skip
    nodes = [node("SequenceEmpty", [], ["e"]), node("Loop", ["m" if trips else "", "c", "e"], ["all"], body=grow),
             node("ConcatFromSequence", ["all"], ["x"], axis=0), node("MatMul", ["x", "w"], ["y"])]  # fmt: skip
    stored = [scalar("c", True, bool), weight("w", 16, 16), *([scalar("m", trips, int)] if trips else [])]
    proto = model(nodes, {"h": (1, 16)}, {"y": (rows, 16)}, stored)
    proto.graph.value_info.append(info("x", (rows, 16)))
    workload = read(proto, tmp_path)
    assert workload.work.macs == rows * 256
    assert [name for name, _ in workload.uncounted] == ([] if trips else ["ConcatFromSequence"])
    assert not workload.warnings
