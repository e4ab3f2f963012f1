"""Files that are broken or odd: what is said, what is counted, and how fast."""

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_builders import BOOL, INT64, info, model, parameters, read, scalar, weight

from picojoule.frontends.onnx import read_onnx, register_formula
from picojoule.frontends.onnx._formula import FORMULAS
from picojoule.quantity import InputError
from picojoule.workload import Work

DATA = Path(__file__).parents[2] / "data" / "onnx"
BROKEN = DATA / "broken"
node = helper.make_node


def message(path, **options) -> str:
    with pytest.raises(InputError) as raised:
        read_onnx(path, **options)
    return str(raised.value)


def refusal(proto, folder, **options) -> str:
    with pytest.raises(InputError) as raised:
        read(proto, folder, **options)
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("b01_truncated", ["not a complete ONNX protobuf (6219 bytes read, file looks truncated)"]),
        ("b09_duplicate_output", ["'y' is written twice", "static single assignment"]),
        ("b11_external_path_escape", ["'w'", "leaves the folder", "not opened"]),
        ("b13_not_onnx", ["PNG", "not ONNX"]),
        ("b21_kernel_larger_than_input", ["kernel 7", "padded input 4"]),
    ],
)
def test_refusals(name, parts):
    """Message: what is wrong with each file, in words, naming the file."""
    text = message(BROKEN / f"{name}.onnx")
    assert all(part in text for part in [f"{name}.onnx", *parts])


def test_unknown_operator():
    """By hand: 2 MatMuls of 256 MACs are counted, the custom operator is listed and not taken for zero."""
    workload = read_onnx(BROKEN / "b03_unknown_custom_op.onnx")
    assert workload.work.macs == 512
    assert workload.uncounted == (("com.acme::FlashFrobnicate", "FlashFrobnicate_1"),)
    assert "register_formula" in workload.notes[0]
    assert any("follows from the declared y[1,16]" in note for note in workload.notes)


def test_registered_formula():
    """By hand: a formula of 16 exps makes the operator known, and the shape after it."""
    register_formula("com.acme::FlashFrobnicate", lambda shapes, _: ([shapes[0]], Work.of(exp=16)))
    try:
        workload = read_onnx(BROKEN / "b03_unknown_custom_op.onnx")
    finally:
        del FORMULAS["com.acme::FlashFrobnicate"]
    assert (workload.work.macs, dict(workload.work.special), workload.uncounted) == (512, {"exp": 16}, ())


def test_unknown_shape_spreads(tmp_path):
    """Message: what follows an unknown shape is uncounted, with the reason, until a declared shape ends it."""
    nodes = [node("Odd", ["x"], ["a"], domain="d"), node("Relu", ["a"], ["b"]), node("Flatten", ["b"], ["c"]),
             node("MatMul", ["c", "w"], ["e"]), node("Exp", ["e"], ["y"])]  # fmt: skip
    proto = model(nodes, {"x": (1, 4)}, {"y": ("n", 4)}, [weight("w", 4, 4)], domains=["d"])
    workload = read(proto, tmp_path)
    assert [op for op, _ in workload.uncounted] == ["d::Odd", "Relu", "MatMul", "Exp"]
    assert any("the shape of 'a' is unknown" in note for note in workload.notes)
    assert parameters(workload) == 16
    proto.graph.value_info.append(info("b", (1, 4)))
    workload = read(proto, tmp_path)
    assert [op for op, _ in workload.uncounted] == ["d::Odd", "Relu"]
    assert workload.work.macs == 16
    assert any("of b is taken from the file" in note for note in workload.notes)


def test_zero_dimension():
    """By hand: an empty batch has no MACs, and the weights are still there."""
    workload = read_onnx(BROKEN / "b05_zero_dim.onnx")
    assert (workload.work.macs, parameters(workload)) == (0, 216)
    assert "input x has a zero dimension" in workload.warnings


def test_huge_dimensions():
    """By hand: 2**93 MACs exactly, and nothing of that size in memory."""
    tracemalloc.start()
    workload = read_onnx(BROKEN / "b07_huge_dims.onnx")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert workload.work.macs == 2**93 == 9903520314283042199192993792
    assert any("2**64 bytes" in warning for warning in workload.warnings)
    assert peak < 5e7


def test_short_raw_data():
    """By hand: 256 MACs by the declared shape, and a warning."""
    workload = read_onnx(BROKEN / "b15_short_raw_data.onnx")
    assert (workload.work.macs, parameters(workload)) == (256, 256)
    assert "w declares 1024 bytes, holds 100; counts come from the declared shape" in workload.warnings


def test_declared_shape_lies():
    """By hand: 4 · 16 · 8 MACs by the inferred shape."""
    workload = read_onnx(BROKEN / "b17_declared_shape_lies.onnx")
    assert workload.work.macs == 512
    assert "declared y[4,999], inferred y[4,8]; the inferred shape is used" in workload.warnings


def test_deeply_nested_branches():
    """Bound: 21 branches inside each other are read in no time, each with its two costs."""
    workload = read_onnx(BROKEN / "b19_deeply_nested_if.onnx")
    assert sum("the costliest is counted" in note for note in workload.notes) == 21


def test_every_file_is_quick():
    """Bound: no sample takes more than two seconds."""
    for file in sorted(BROKEN.glob("*.onnx")):
        began = time.perf_counter()
        try:
            read_onnx(file)
        except InputError as error:
            assert "Traceback" not in str(error)
        assert time.perf_counter() - began < 2, file.name


# The rest of the odd files, built here.


def test_missing_input_shape(tmp_path):
    """Message: the input, the option, a likely shape, and 216 parameters."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    nodes = [node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])]
    text = refusal(model(nodes, [x], {"y": None}, [weight("w", 8, 3, 3, 3)]), tmp_path)
    assert all(part in text for part in ("'x' has no shape", "--input x=1,3,224,224", "x[N,3,H,W]", "216"))


def test_cycle(tmp_path):
    """Message: the cycle by the names of its tensors."""
    nodes = [node("Add", ["x", "c"], ["a"]), node("Relu", ["a"], ["bb"]), node("Tanh", ["bb"], ["c"])]
    assert "a -> bb -> c -> a" in refusal(model(nodes, {"x": (1, 8)}, {"c": (1, 8)}), tmp_path)
    nodes = [node("Add", ["x", "a"], ["a"])]
    assert "a -> a" in refusal(model(nodes, {"x": (1, 8)}, {"a": (1, 8)}), tmp_path)


def test_negative_pads(tmp_path):
    """Message: pads of a convolution may not be negative; those of Pad may."""
    nodes = [node("Conv", ["x", "w"], ["y"], pads=[-1, -1, -1, -1])]
    text = refusal(model(nodes, {"x": (1, 3, 8, 8)}, {"y": None}, [weight("w", 8, 3, 3, 3)]), tmp_path)
    assert "Conv pads must be >= 0 (negative is legal only in Pad)" in text
    assert "Conv_0" in text
    stored = [helper.make_tensor("p", INT64, [4], [-1, 0, 0, 2])]
    workload = read(model([node("Pad", ["x", "p"], ["y"])], {"x": (4, 4)}, {"y": (3, 6)}, stored), tmp_path)
    assert not workload.warnings


def test_undefined_input(tmp_path):
    """Message: the node, the name nobody writes, and near names."""
    nodes = [node("MatMul", ["x", "ghost"], ["y"])]
    proto = model(nodes, {"x": (1, 16)}, {"y": (1, 16)}, [weight("ghosts", 16, 16)])
    text = refusal(proto, tmp_path)
    assert "node MatMul_0 reads 'ghost', produced by nothing; did you mean 'ghosts'?" in text


def test_inner_sizes(tmp_path):
    """Message: the product in the file's names."""
    for op in ("MatMul", "Gemm"):
        proto = model([node(op, ["x", "w"], ["y"])], {"x": (4, 16)}, {"y": None}, [weight("w", 20, 8)])
        assert "x[4, 16] · w[20, 8]: 16 != 20" in refusal(proto, tmp_path)


def test_empty_file(tmp_path):
    """Message: nothing, a folder, nowhere, text, and a file without a graph."""
    empty = tmp_path / "empty.onnx"
    empty.write_bytes(b"")
    assert "empty" in message(empty)
    assert "folder" in message(tmp_path)
    assert "cannot read" in message(tmp_path / "none.onnx")
    empty.write_bytes(b'{"a": 1}')
    assert "JSON" in message(empty)
    empty.write_bytes(b"\x08\x09")
    assert "no ONNX graph" in message(empty)
    empty.write_bytes(b"\xff" * 64)
    assert "not ONNX" in message(empty)
    assert message(Path("bad\0name.onnx"))


def test_file_above_two_gigabytes(tmp_path):
    """Message: a protobuf cannot be that large; the file is not read."""
    large = tmp_path / "large.onnx"
    with large.open("wb") as out:
        out.truncate(2**31)
    began = time.perf_counter()
    assert "2 GiB" in message(large)
    assert time.perf_counter() - began < 0.5


def test_future_opset(tmp_path):
    """By hand: 14 · 14 · 32 · 4 · 9 MACs, marked unverified."""
    nodes = [node("Conv", ["x", "w", "b"], ["y"], group=4, strides=[2, 2], pads=[1, 1, 1, 1])]
    stored = [weight("w", 32, 4, 3, 3), weight("b", 32)]
    workload = read(model(nodes, {"x": (1, 16, 28, 28)}, {"y": (1, 32, 14, 14)}, stored, opset=999), tmp_path)
    assert workload.work.macs == 225792
    assert any("opset 999 is newer than known" in w and "unverified" in w for w in workload.warnings)


def test_groups(tmp_path):
    """Message: the group count and both channel counts."""
    proto = model(
        [node("Conv", ["x", "w"], ["y"], group=3)], {"x": (1, 16, 8, 8)}, {"y": None}, [weight("w", 32, 5, 3, 3)]
    )
    assert "group=3 divides neither Cin 16 nor Cout 32" in refusal(proto, tmp_path)


def test_unsorted_nodes(tmp_path):
    """By hand: 256 MACs in sorted order, with a warning."""
    nodes = [node("Relu", ["a"], ["y"]), node("MatMul", ["x", "w"], ["a"])]
    workload = read(model(nodes, {"x": (1, 16)}, {"y": (1, 16)}, [weight("w", 16, 16)]), tmp_path)
    assert workload.work.macs == 256
    assert [o.op for o in workload.operators] == ["matmul", "relu"]
    assert any("sorted" in warning for warning in workload.warnings)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a\nb\x1b[31m", "\u202eevil", "../../etc/passwd", "x" * 5000]
)
def test_nasty_names(tmp_path, name):
    """Message: names stay as they are in the Workload, and are harmless in a message."""
    nodes = [node("MatMul", [name, "w"], ["y"], name=name)]
    workload = read(model(nodes, {name: (1, 16)}, {"y": (1, 16)}, [weight("w", 16, 16)]), tmp_path)
    assert workload.inputs == (name,)
    assert workload.operators[0].name == name
    text = refusal(model(nodes, {name: (1, 15)}, {"y": (1, 16)}, [weight("w", 16, 16)]), tmp_path)
    assert not any(character in text for character in "\x1b\u202e")
    assert len(text.splitlines()) <= 3


def test_no_nodes(tmp_path):
    """By hand: nothing costs nothing."""
    workload = read(model([], {"x": (1, 4)}, {"x": (1, 4)}), tmp_path)
    assert (workload.work, parameters(workload), workload.operators) == (Work(), 0, ())
    assert "graph has no nodes" in workload.warnings


def external(location):
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [16, 16], np.zeros(256, np.float32).tobytes(), raw=True)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return model([node("MatMul", ["x", "w"], ["y"])], {"x": (1, 16)}, {"y": (1, 16)}, [tensor])


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "../w.bin", "a/../../w.bin", "C:\\w.bin", "\\\\host\\w", "", "a\0b", "link/w"]
)
def test_external_data_stays_in_the_folder(tmp_path, location):
    """Message: absolute paths, parents and links that leave the folder are refused and never opened."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link").symlink_to(tmp_path)
    assert "leaves the folder" in refusal(external(location), inner)


def test_external_data_beside(tmp_path):
    """Message: a file in a folder below is fine, there or not."""
    workload = read(external("sub/w.bin"), tmp_path)
    assert workload.work.macs == 256
    assert "weights in sub/w.bin absent; shapes suffice" in workload.notes


def test_recursive_functions(tmp_path):
    """Bound: functions that call each other, or unfold to more than can be walked, are refused."""
    opset = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
    loop = helper.make_function("f", "A", ["x"], ["y"], [node("A", ["x"], ["y"], domain="f")], opset)
    proto = model([node("A", ["x"], ["y"], domain="f")], {"x": (1, 4)}, {"y": None}, functions=[loop], domains=["f"])
    assert "functions call each other in a circle: A -> A" in refusal(proto, tmp_path)
    chain = [helper.make_function("f", f"F{i}", ["x"], ["y"], [
        node(f"F{i + 1}", ["x"], ["a"], domain="f"), node(f"F{i + 1}", ["a"], ["y"], domain="f")], opset)
        for i in range(30)]  # fmt: skip
    chain.append(helper.make_function("f", "F30", ["x"], ["y"], [node("Relu", ["x"], ["y"])], opset))
    proto = model([node("F0", ["x"], ["y"], domain="f")], {"x": (1, 4)}, {"y": None}, functions=chain, domains=["f"])
    assert "more than 200000 nodes" in refusal(proto, tmp_path)


def test_nested_branches_beyond_the_bound(tmp_path):
    """Bound: a file nested as deeply as protobuf can write either counts or is refused in words."""
    leaf = helper.make_graph([node("Relu", ["x"], ["o"])], "leaf", [], [info("o", (1,))])
    inner = leaf
    for i in range(31):
        branch = node("If", ["cond"], [f"o{i}"], then_branch=inner, else_branch=leaf)
        inner = helper.make_graph([branch], f"g{i}", [], [info(f"o{i}", (1,))])
    proto = model(list(inner.node), [info("x", (1,)), info("cond", (), BOOL)], {"o30": (1,)})
    try:
        assert dict(read(proto, tmp_path).work.special) == {"compare": 1}
    except InputError as error:
        assert "corrupt" in str(error) or "nested" in str(error)


def test_wrong_attribute(tmp_path):
    """Message: attributes of a wrong type, missing inputs and absurd shapes name the node."""
    cases = [
        (node("Transpose", ["x"], ["y"], perm="no"), "perm"), (node("MatMul", ["x"], ["y"]), "input 1 is missing"),
        (node("Transpose", ["x"], ["y"], perm=[0, 0]), "no order"), (node("Softmax", ["x"], ["y"], axis=9), "axis"),
        (node("Concat", ["x", "x"], ["y"], axis=7), "axis"), (node("If", ["x"], ["y"]), "sub-graph"),
        (node("Constant", [], ["y"]), "without a value"), (node("Split", ["x"], ["y", "z"], axis=5), "Split"),
    ]  # fmt: skip
    for one, part in cases:
        text = refusal(model([one], {"x": (2, 4)}, {"y": None}), tmp_path)
        assert part in text
        assert f"{one.op_type}_0" in text


def test_impossible_reshape(tmp_path):
    """Message: the elements and the target."""
    stored = [helper.make_tensor("s", INT64, [2], [3, 5])]
    text = refusal(model([node("Reshape", ["x", "s"], ["y"])], {"x": (2, 4)}, {"y": None}, stored), tmp_path)
    assert "8 elements of [2, 4] do not fit the target shape [3, 5]" in text
    assert scalar("s", 1.0).dims == []


def test_large_inline_weights_are_stepped_over(tmp_path):
    """Equality: a file above 8 MiB is counted as ever, without its weights in memory; short data is still noticed."""
    rows = 3_000_000
    proto = model([node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])], {"x": (1, 1)}, {"y": (1, rows)},
                  [weight("w", 1, rows), weight("b", rows)])  # fmt: skip
    size = proto.ByteSize()
    read(proto, tmp_path)
    tracemalloc.start()
    workload = read_onnx(tmp_path / "model.onnx")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (workload.work.macs, parameters(workload)) == (rows, 2 * rows)
    assert not workload.warnings
    assert peak < size / 10
    proto.graph.initializer[1].raw_data = proto.graph.initializer[1].raw_data[:-4]
    (warning,) = read(proto, tmp_path).warnings
    assert f"b declares {4 * rows} bytes, holds {4 * rows - 4}" in warning
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString()[:-1_000_000])
    assert "looks truncated" in message(tmp_path / "model.onnx")
