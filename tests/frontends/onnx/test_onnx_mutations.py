"""Damaged files: whatever the bytes, only an InputError comes out, soon and small."""

import random
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx_builders import read

from picojoule.frontends.onnx import read_onnx
from picojoule.quantity import InputError

GOOD = Path(__file__).parents[2] / "data" / "onnx" / "good"
SMALL = sorted(file for file in GOOD.glob("*.onnx") if file.stat().st_size < 20_000)
# Cases whose declared sizes are not those that follow from their inputs, or that are lists of tensors.
ODD = ("loop11",)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, cut out, doubled or cut off; mostly outside of the weights."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(out)) if rng.random() < 0.3 else rng.randrange(max(1, min(len(out), 400)))
        if rng.random() < 0.3:
            at = max(0, len(out) - 1 - at)
        kind = rng.randrange(5)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif kind == 2:
            del out[at : at + rng.randint(1, 4)]
        elif kind == 3:
            out[at:at] = out[at : at + rng.randint(1, 16)]
        else:
            out[at : at + 2] = rng.randbytes(2)
        out = out or bytearray(b"\0")
    return bytes(out)


@pytest.mark.parametrize("block", range(6))
def test_mutated_bytes(tmp_path, block):
    """Message: 600 damaged files give a Workload or an InputError with printable text, and nothing else."""
    rng = random.Random(20261120 + block)
    path = tmp_path / "mutated.onnx"
    for _ in range(100):
        path.write_bytes(mutated(rng.choice(SMALL).read_bytes(), rng))
        began = time.perf_counter()
        try:
            workload = read_onnx(path, batch=rng.choice((None, None, 2)), inputs={})
            assert workload.work.macs >= 0
        except InputError as error:
            assert error.what
            assert str(error).replace("\n", "").isprintable()
        assert time.perf_counter() - began < 2


def test_mutated_fields(tmp_path):
    """Message: the same for models whose fields, not bytes, are changed: sizes, attributes, names, types."""
    rng = random.Random(7)
    sizes = (-1, 0, 1, 2, 3, 7, 2**31, 2**62)
    for _ in range(300):
        model = onnx.load(rng.choice(SMALL), load_external_data=False)
        graph = model.graph
        for _ in range(rng.randint(1, 3)):
            node = rng.choice(graph.node)
            kind = rng.randrange(7)
            if kind == 0 and graph.initializer:
                dims = rng.choice(graph.initializer).dims
                dims[:] = [rng.choice(sizes) for _ in range(rng.randrange(5))]
            elif kind == 1 and node.attribute:
                attribute = rng.choice(node.attribute)
                attribute.i = rng.choice(sizes)
                attribute.ints[:] = [rng.choice(sizes) for _ in range(rng.randrange(5))]
            elif kind == 2 and node.attribute:
                rng.choice(node.attribute).type = rng.randrange(0, 12)
            elif kind == 3 and node.input:
                node.input[rng.randrange(len(node.input))] = rng.choice(
                    ["", "x", "y", "w", "q", graph.node[0].output[0]]
                )
            elif kind == 4:
                node.op_type = rng.choice(
                    ["Conv", "MatMul", "Gemm", "Reshape", "LSTM", "Loop", "If", "Concat", "Slice", "TopK", "Attention",
                     "Einsum", "BatchNormalization", "Gather", "Resize", "Pad", "Scan", "Where", "Tile", "Expand", "GRU",
                     "NonMaxSuppression", "RoiAlign", "DFT", "STFT", "Col2Im", "QLinearConv", "DequantizeLinear",
                     "SplitToSequence", "SequenceAt", "CumSum", "ScatterND", "GatherND", "OneHot", "Range", "Det"])  # fmt: skip
            elif kind == 5 and graph.input:
                dims = rng.choice(graph.input).type.tensor_type.shape.dim
                if dims:
                    rng.choice(dims).dim_value = rng.choice(sizes)
            elif kind == 6 and node.input:
                del node.input[rng.randrange(len(node.input)) :]
        try:
            read(model, tmp_path)
        except InputError as error:
            assert error.what


def test_shapes_of_the_operator_library(tmp_path):
    """Equality: the result shapes of some 1900 models of single operators are those that the onnx package declares."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    counted = 0
    for case in cases:
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        given = case.data_sets[0][0] if case.data_sets else []
        for index, (value, data) in enumerate(zip(list(model.graph.input), given, strict=False)):
            if not isinstance(data, np.ndarray | np.generic) or data.dtype == object:
                continue
            # Integers and small second operands steer shapes: they are made constants.
            steers = data.ndim == 0 or (index > 0 and data.size <= 16)
            if steers or data.dtype in (np.int64, np.int32, np.bool_):
                model.graph.initializer.append(numpy_helper.from_array(np.asarray(data), value.name))
        try:
            workload = read(model, tmp_path)
        except InputError as error:
            assert "e8m0" in case.name, f"{case.name}: {error}"
            continue
        lies = [warning for warning in workload.warnings if "declared" in warning]
        assert not lies or case.name.removeprefix("test_") in ODD, f"{case.name}: {lies}"
        counted += not workload.uncounted
    assert counted > 1800
