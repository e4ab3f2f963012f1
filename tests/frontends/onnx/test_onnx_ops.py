"""Operators one by one."""

import math

import pytest
from onnx import TensorProto, helper
from onnx_builders import (
    INT8,
    INT64,
    UINT8,
    info,
    ints,
    model,
    parameters,
    read,
    roles,
    scalar,
    shape_of,
    special,
    weight,
)

from picojoule.workload import Work

node = helper.make_node


def run(tmp_path, nodes, inputs, stored=(), shape=None, **options):
    nodes = nodes if isinstance(nodes, list) else [nodes]
    domains = sorted({n.domain for n in nodes if n.domain})
    return read(model(nodes, inputs, {"y": shape}, stored, domains=domains, **options), tmp_path)


# (node, input shapes, stored, MACs, adds, other work, parameters, output shape)
CASES = {
    "conv_transpose": (
        node("ConvTranspose", ["x", "w", "b"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
        {"x": (1, 16, 8, 8)}, [weight("w", 16, 8, 3, 3), weight("b", 8)],
        64 * 16 * 8 * 9, 64 * 16 * 8 * 9, {}, 16 * 8 * 9 + 8, (1, 8, 16, 16)),
    "conv_transpose_groups": (
        node("ConvTranspose", ["x", "w"], ["y"], strides=[2], group=4, output_shape=[20]),
        {"x": (2, 16, 10)}, [weight("w", 16, 2, 3)], 2 * 10 * 16 * 2 * 3, 2 * 10 * 16 * 2 * 3 - 2 * 8 * 20, {}, 96,
        (2, 8, 20)),
    "dilated_causal": (
        node("Conv", ["x", "w", "b"], ["y"], dilations=[4], pads=[8, 0]), {"x": (1, 8, 100)},
        [weight("w", 16, 8, 3), weight("b", 16)], 100 * 16 * 8 * 3, 100 * 16 * 8 * 3, {}, 16 * 8 * 3 + 16, (1, 16, 100)),
    "same_upper": (
        node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2]), {"x": (1, 3, 7, 8)},
        [weight("w", 4, 3, 3, 3)], 16 * 4 * 27, 16 * 4 * 26, {}, 108, (1, 4, 4, 4)),
    "conv3d": (
        node("Conv", ["x", "w"], ["y"]), {"x": (1, 2, 4, 5, 6)}, [weight("w", 3, 2, 2, 2, 2)],
        3 * 4 * 5 * 3 * 16, 3 * 4 * 5 * 3 * 15, {}, 48, (1, 3, 3, 4, 5)),
    "gemm_alpha": (
        node("Gemm", ["x", "w", "b"], ["y"], alpha=0.5, beta=2.0, transA=1), {"x": (4, 3)},
        [weight("w", 4, 5), weight("b", 5)], 60, 60, {"mul": 60 + 15 + 5}, 25, (3, 5)),
    "matmul_broadcast": (
        node("MatMul", ["x", "w"], ["y"]), {"x": (2, 1, 3, 4)}, [weight("w", 5, 4, 6)], 2 * 5 * 3 * 4 * 6,
        2 * 5 * 3 * 3 * 6, {}, 120, (2, 5, 3, 6)),
    "vector": (node("MatMul", ["x", "w"], ["y"]), {"x": (7,)}, [weight("w", 7)], 7, 6, {}, 7, ()),
    "einsum": (
        node("Einsum", ["x", "w"], ["y"], equation="...i,ij->...j"), {"x": (2, 3, 4)}, [weight("w", 4, 5)],
        120, 90, {}, 20, (2, 3, 5)),
    "layer_norm": (
        node("LayerNormalization", ["x", "s", "b"], ["y"], axis=-1), {"x": (2, 8)}, [weight("s", 8), weight("b", 8)],
        0, 2 * (4 * 8 - 1), {"mul": 2 * (3 * 8 + 2), "rsqrt": 2}, 16, (2, 8)),
    "rms_norm": (
        node("RMSNormalization", ["x", "s"], ["y"]), {"x": (2, 8)}, [weight("s", 8)], 0, 16,
        {"mul": 2 * (3 * 8 + 1), "rsqrt": 2}, 8, (2, 8)),
    "softmax": (
        node("Softmax", ["x"], ["y"], axis=1), {"x": (2, 3, 4)}, [], 0, 2 * 24 - 8,
        {"compare": 24 - 8, "exp": 24, "div": 24}, 0, (2, 3, 4)),
    "clip6": (node("Clip", ["x", "lo", "hi"], ["y"]), {"x": (5,)}, [scalar("lo", 0.0), scalar("hi", 6.0)],
              0, 0, {"compare": 10}, 0, (5,)),
    "power2": (node("Pow", ["x", "e"], ["y"]), {"x": (5,)}, [scalar("e", 2.0)], 0, 0, {"mul": 5}, 0, (5,)),
    "power_half": (node("Pow", ["x", "e"], ["y"]), {"x": (5,)}, [scalar("e", 0.5)], 0, 0, {"sqrt": 5}, 0, (5,)),
    "prelu": (node("PRelu", ["x", "w"], ["y"]), {"x": (2, 3, 4)}, [weight("w", 3, 1)], 0, 0,
              {"mul": 24, "compare": 24}, 3, (2, 3, 4)),
    "max_pool": (node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), {"x": (1, 2, 8, 8)},
                 [], 0, 0, {"compare": 2 * 16 * 8}, 0, (1, 2, 4, 4)),
    "mean": (node("ReduceMean", ["x", "a"], ["y"], keepdims=0), {"x": (2, 3, 4)}, [ints("a", -1)], 0, 18,
             {"mul": 6}, 0, (2, 3)),
    "topk": (node("TopK", ["x", "k"], ["y", "i"]), {"x": (2, 10)}, [ints("k", 3)], 0, 0, {"compare": 60}, 0, (2, 3)),
    "resize": (node("Resize", ["x", "", "s"], ["y"], mode="linear"), {"x": (1, 2, 4, 4)},
               [helper.make_tensor("s", TensorProto.FLOAT, [4], [1, 1, 2, 2])], 0, 128 * 3, {"mul": 128 * 4}, 0,
               (1, 2, 8, 8)),
    "grid_sample": (node("GridSample", ["x", "g"], ["y"]), {"x": (1, 2, 4, 4), "g": (1, 5, 6, 2)}, [], 0, 60 * 3,
                    {"mul": 60 * 4}, 0, (1, 2, 5, 6)),
    "dft": (node("DFT", ["x"], ["y"]), {"x": (1, 8, 2)}, [], 0, 6 * 12, {"mul": 4 * 12}, 0, (1, 8, 2)),
    "nms": (node("NonMaxSuppression", ["b", "s", "m"], ["y"]), {"b": (1, 8, 4), "s": (1, 2, 8)}, [ints("m", 3)],
            0, 5 * 48, {"mul": 2 * 48, "div": 48, "compare": 5 * 48 + 2 * 8 * 3}, 0, (6, 3)),
    "attention_gqa": (
        node("Attention", ["q", "k", "v"], ["y"], q_num_heads=8, kv_num_heads=2, is_causal=1),
        {"q": (1, 16, 64), "k": (1, 16, 16), "v": (1, 16, 16)}, [], 2 * 8 * 16 * 16 * 8,
        8 * 16 * 16 * 7 + 8 * 16 * 8 * 15 + 2 * 2048 - 128, {"mul": 2 * 16384 + 1024 + 256, "compare": 2048 - 128,
                                                             "exp": 2048, "div": 2048}, 0, (1, 16, 64)),
    "rotary": (node("RotaryEmbedding", ["x", "c", "s"], ["y"]), {"x": (1, 2, 4, 8), "c": (1, 4, 4), "s": (1, 4, 4)},
               [], 0, 64, {"mul": 128}, 0, (1, 2, 4, 8)),
    "swiglu": (node("SwiGLU", ["x", "z"], ["y"]), {"x": (4,), "z": (4,)}, [], 0, 0, {"mul": 8, "sigmoid": 4}, 0, (4,)),
    "gather": (node("Gather", ["w", "x"], ["y"]), [info("x", (2, 3), INT64)], [weight("w", 50, 4)], 0, 0, {}, 200,
               (2, 3, 4)),
    "split_gelu": (node("Gelu", ["x"], ["y"], approximate="tanh"), {"x": (3,)}, [], 0, 6, {"mul": 18, "tanh": 3}, 0, (3,)),
    "matmul_integer": (node("MatMulInteger", ["x", "w"], ["y"]), [info("x", (4, 16), UINT8)],
                       [helper.make_tensor("w", INT8, [16, 8], [1] * 128)], 512, 480, {}, 128, (4, 8)),
    "fused_conv": (node("FusedConv", ["x", "w", "b"], ["y"], domain="com.microsoft", activation="Relu"),
                   {"x": (1, 3, 4, 4)}, [weight("w", 2, 3, 1, 1), weight("b", 2)], 96, 96, {"compare": 32}, 8,
                   (1, 2, 4, 4)),
    "skip_norm": (node("SkipLayerNormalization", ["x", "z", "s", "b"], ["y"], domain="com.microsoft"),
                  {"x": (1, 2, 8), "z": (1, 2, 8)}, [weight("s", 8), weight("b", 8)], 0, 16 + 2 * 31,
                  {"mul": 2 * 26, "rsqrt": 2}, 16, (1, 2, 8)),
    "packed_attention": (node("Attention", ["x", "w", "b"], ["y"], domain="com.microsoft", num_heads=2),
                         {"x": (1, 4, 8)}, [weight("w", 8, 24), weight("b", 24)], 4 * 8 * 24 + 2 * 4 * 4 * 8,
                         4 * 8 * 24 + 2 * 4 * 4 * 3 + 4 * 8 * 3 + 2 * 32 - 8,
                         {"mul": 4 * 8 * 24 + 256 + 32, "exp": 32, "div": 32, "compare": 24}, 216, (1, 4, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_operator(tmp_path, name):
    """By hand: MACs, additions, other work, parameters and result shape of one node."""
    one, inputs, stored, macs, adds, other, count, shape = CASES[name]
    # A result of another shape than the declared one would leave a warning.
    workload = run(tmp_path, one, inputs, stored, shape, opset=28)
    work = workload.work
    found = special(workload) | ({"mul": work.muls - work.macs} if work.muls != work.macs and not macs else {})
    if "mul" in other and macs:
        found["mul"] = work.muls
    assert (work.macs, work.adds, found, parameters(workload)) == (macs, adds, other, count)
    assert not workload.uncounted
    assert not workload.warnings


@pytest.mark.parametrize(("op", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("reset", [0, 1])
def test_recurrent(tmp_path, op, gates, direction, layout, reset):
    """By hand: steps · batch · gates · H · (I + H) MACs in each direction."""
    steps, batch, width, hidden = 12, 3, 10, 16
    ways = 2 if direction == "bidirectional" else 1
    stored = [weight("w", ways, gates * hidden, width), weight("r", ways, gates * hidden, hidden),
              weight("b", ways, 2 * gates * hidden)]  # fmt: skip
    extra = {"linear_before_reset": reset} if op == "GRU" else {}
    one = node(op, ["x", "w", "r", "b"], ["y", "h"], hidden_size=hidden, direction=direction, layout=layout, **extra)
    shape = (batch, steps, width) if layout else (steps, batch, width)
    full = (batch, steps, ways, hidden) if layout else (steps, ways, batch, hidden)
    workload = run(tmp_path, one, {"x": shape}, stored, full)
    assert not workload.warnings
    assert workload.work.macs == ways * steps * batch * gates * hidden * (width + hidden)
    assert parameters(workload) == ways * gates * hidden * (width + hidden + 2)
    assert roles(workload)["bias"] == ways * 2 * gates * hidden
    assert workload.batch == batch


def test_recurrent_extras(tmp_path):
    """By hand: peepholes add 3 muls and 3 adds an element and step; short sequences shorten the run."""
    stored = [weight("w", 1, 16, 3), weight("r", 1, 16, 4), weight("p", 1, 12), helper.make_tensor("n", 6, [2], [3, 3])]
    plain = run(tmp_path, node("LSTM", ["x", "w", "r"], ["y"]), {"x": (5, 2, 3)}, stored)
    peep = run(tmp_path, node("LSTM", ["x", "w", "r", "", "", "", "", "p"], ["y"]), {"x": (5, 2, 3)}, stored)
    assert peep.work.muls - plain.work.muls == peep.work.adds - plain.work.adds == 5 * 2 * 4 * 3
    assert parameters(peep) - parameters(plain) == 12
    short = run(tmp_path, node("LSTM", ["x", "w", "r", "", "n"], ["y"]), {"x": (5, 2, 3)}, stored)
    assert short.work * 5 == plain.work * 3


def test_old_softmax_flattens(tmp_path):
    """By hand: before opset 13 all axes from 1 on are one row."""
    old = run(tmp_path, node("Softmax", ["x"], ["y"]), {"x": (2, 3, 4)}, opset=11)
    new = run(tmp_path, node("Softmax", ["x"], ["y"]), {"x": (2, 3, 4)}, opset=13)
    assert special(old)["compare"] == 2 * 11
    assert special(new)["compare"] == 6 * 3


def test_dynamic_quantisation(tmp_path):
    """By hand: DynamicQuantizeLinear and MatMulInteger: the product's MACs, weights of one byte."""
    nodes = [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]), node("MatMulInteger", ["q", "w", "z"], ["i"]),
             node("Cast", ["i"], ["f"], to=1), node("Mul", ["f", "s"], ["y"])]  # fmt: skip
    stored = [helper.make_tensor("w", INT8, [32, 16], [1] * 512)]
    workload = run(tmp_path, nodes, {"x": (4, 32)}, stored)
    assert (workload.work.macs, parameters(workload)) == (4 * 32 * 16, 512)
    assert sum(t.bytes_of(t.elements) for t in workload.parameters) == 512
    product = next(o for o in workload.operators if o.op == "matmul")
    assert [workload.tensors[a.tensor].dtype for a in (*product.inputs, *product.outputs)] == ["uint8", "int8", "int32"]


def test_weight_only_quantisation(tmp_path):
    """By hand: int8 weights are read as stored; the product pays for their dequantisation."""
    nodes = [node("DequantizeLinear", ["w", "s"], ["d"]), node("Transpose", ["d"], ["t"], perm=[1, 0]),
             node("MatMul", ["x", "t"], ["y"])]  # fmt: skip
    stored = [helper.make_tensor("w", INT8, [8, 16], [1] * 128), scalar("s", 0.5)]
    workload = run(tmp_path, nodes, {"x": (4, 16)}, stored)
    (product,) = workload.operators
    assert product.work == Work.of(macs=512, muls=512 + 128, adds=480)
    assert workload.traffic(product).bytes_weights == 128
    assert roles(workload) == {"weight": 128, "constant": 1}


def test_packed_weights(tmp_path):
    """By hand: MatMulNBits of 4 bits stores half a byte a weight."""
    one = node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", N=8, K=32, bits=4, block_size=32)
    stored = [helper.make_tensor("w", UINT8, [8, 1, 16], [1] * 128), weight("s", 8)]
    workload = run(tmp_path, one, {"x": (2, 32)}, stored)
    assert workload.work.macs == 2 * 8 * 32
    (tensor,) = workload.parameters
    assert (tensor.shape, tensor.dtype, tensor.bytes_of(tensor.elements)) == ((8, 32), "uint4", 128)


def test_roles_by_use(tmp_path):
    """By hand: each stored tensor has the role its use gives it."""
    mask = helper.make_tensor("mask", TensorProto.FLOAT, [1, 4, 4], [0.0, -1e9] * 8)
    angles = [[math.cos(p / 10000 ** (i / 4)) for i in range(4)] for p in range(4)]
    table = helper.make_tensor("cos", TensorProto.FLOAT, [4, 4], [c for row in angles for c in row])
    nodes = [
        node("Gather", ["emb", "ids"], ["e"]), node("Add", ["e", "pos"], ["p"]), node("MatMul", ["p", "w"], ["m"]),
        node("Add", ["m", "b"], ["n"]), node("Add", ["n", "mask"], ["o"]), node("Mul", ["o", "cos"], ["r"]),
        node("Mul", ["r", "scale"], ["s"]), node("Add", ["s", "shift"], ["t"]), node("Mul", ["t", "half"], ["u"]),
        node("Concat", ["cls", "u"], ["y"], axis=1),
    ]  # fmt: skip
    stored = [weight("emb", 9, 4), weight("pos", 1, 4, 4), weight("w", 4, 4), weight("b", 4), mask, table,
              weight("scale", 4), weight("shift", 4), scalar("half", 0.5), weight("cls", 1, 1, 4)]  # fmt: skip
    workload = run(tmp_path, nodes, [info("ids", (1, 4), INT64)], stored)
    assert roles(workload) == {"embedding": 36 + 4, "bias": 16 + 4, "weight": 16, "norm": 8, "constant": 16 + 16 + 1}
    assert shape_of(workload) == (1, 5, 4)


def test_views_keep_roles(tmp_path):
    """By hand: weights behind Transpose, Reshape, Cast, Slice, Identity and arithmetic are still weights, at no cost."""
    nodes = [node("Identity", ["w"], ["a"]), node("Reshape", ["a", "s"], ["b"]), node("Transpose", ["b"], ["c"], perm=[1, 0]),
             node("Cast", ["c"], ["d"], to=1), node("Split", ["d"], ["e", "f"], axis=1, num_outputs=2),
             node("MatMul", ["x", "e"], ["g"]), node("MatMul", ["x", "f"], ["h"]), node("Add", ["g", "h"], ["y"])]  # fmt: skip
    workload = run(tmp_path, nodes, {"x": (3, 4)}, [weight("w", 32), ints("s", 8, 4)])
    assert roles(workload) == {"weight": 32}
    assert [o.op for o in workload.operators] == ["matmul", "matmul", "add"]
    assert sum(workload.traffic(o).bytes_weights for o in workload.operators) == 32 * 4


def test_shape_arithmetic_is_free(tmp_path):
    """By hand: shapes computed from shapes cost nothing and are exact."""
    nodes = [
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "i"], ["n"]), node("Unsqueeze", ["n", "z"], ["u"]),
        node("Mul", ["u", "two"], ["m"]), node("Concat", ["m", "rest"], ["t"], axis=0), node("Reshape", ["x", "t"], ["r"]),
        node("Range", ["zero", "n", "one"], ["q"]), node("Cast", ["q"], ["qf"], to=1),
        node("ReduceProd", ["s"], ["all"], keepdims=0), node("Div", ["all", "n"], ["d"]),
        node("ConstantOfShape", ["t2"], ["c"]), node("Where", ["cond", "t2", "t2"], ["w"]), node("Relu", ["r"], ["y"]),
    ]  # fmt: skip
    stored = [scalar("i", 0, int), ints("z", 0), ints("two", 2), ints("rest", -1), scalar("zero", 0, int),
              scalar("one", 1, int), ints("t2", 3, 4), scalar("cond", True, bool)]  # fmt: skip
    workload = run(tmp_path, nodes, {"x": (4, 6)}, stored)
    assert [o.op for o in workload.operators] == ["relu"]
    assert workload.operators[0].space == (("d0", 8), ("d1", 3))
    assert parameters(workload) == 0


def test_large_constants_are_not_made(tmp_path):
    """Bound: a terabyte of ones is an operator, not an array."""
    nodes = [node("ConstantOfShape", ["s"], ["c"]), node("Expand", ["c", "s"], ["e"]), node("Add", ["e", "x"], ["y"])]
    workload = run(tmp_path, nodes, {"x": (1,)}, [ints("s", 2**20, 2**20)])
    assert workload.work.adds == 2**40


@pytest.mark.parametrize("op", ["NonZero", "Unique"])
def test_results_of_unknown_size(tmp_path, op):
    """Bound: the most that can come out, with a note."""
    workload = run(tmp_path, node(op, ["x"], ["y"]), {"x": (4, 4)})
    assert "the most is counted" in workload.notes[0]
    assert workload.tensors[workload.outputs[0]].elements == (32 if op == "NonZero" else 16)


def test_bytes_of_data_movement(tmp_path):
    """By hand: reshapes move nothing; transposes, slices and joins read and write what they touch."""
    nodes = [node("Reshape", ["x", "s"], ["a"]), node("Transpose", ["a"], ["b"]), node("Slice", ["b", "f", "t"], ["c"]),
             node("Concat", ["c", "c"], ["y"], axis=0)]  # fmt: skip
    workload = run(tmp_path, nodes, {"x": (24,)}, [ints("s", 4, 6), ints("f", 1), ints("t", 4)])
    totals = [(workload.traffic(o).bytes_in, workload.traffic(o).bytes_out) for o in workload.operators]
    assert totals == [(96, 96), (48, 48), (96, 96)]
    assert [o.kind for o in workload.operators] == ["move"] * 3


def test_quantised_bias_and_weights_quantised_at_load(tmp_path):
    """By hand: an int32 bias behind a DequantizeLinear is added as stored; weights pass Q and DQ for nothing."""
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["xq"]), node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        node("QuantizeLinear", ["w", "s", "zw"], ["wq"]), node("DequantizeLinear", ["wq", "s", "zw"], ["wd"]),
        node("DequantizeLinear", ["b", "s"], ["bd"]), node("Conv", ["xd", "wd", "bd"], ["y"]),
    ]  # fmt: skip
    stored = [weight("w", 4, 3, 1, 1), helper.make_tensor("b", TensorProto.INT32, [4], [1] * 4), scalar("s", 0.5),
              helper.make_tensor("z", UINT8, [], [0]), helper.make_tensor("zw", INT8, [], [0])]  # fmt: skip
    workload = run(tmp_path, nodes, {"x": (1, 3, 5, 5)}, stored, (1, 4, 5, 5))
    assert [o.op for o in workload.operators] == ["quantize", "conv2d"]
    assert (workload.work.macs, roles(workload)) == (300, {"weight": 12, "bias": 4, "constant": 2})
