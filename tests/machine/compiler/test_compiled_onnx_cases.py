"""The operator tests that the onnx package ships, for every operator that the compiler has a rule for."""

import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from picojoule.formats import load_machine
from picojoule.frontends.onnx import compile_onnx
from picojoule.machine.compiler import Segment
from picojoule.machine.compiler._expand import RULES as EXPANDED
from picojoule.machine.compiler._table import RULES

CORE = load_machine("textbook-core")


def test_operator_cases(tmp_path: Path) -> None:
    """Published: every case gives its published values; most run on the processor, the others name why not.

    Inputs after the first become weights, as networks have them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    path, ran, placed = tmp_path / "case.onnx", 0, 0
    for case in cases:
        nodes = case.model.graph.node
        if not all(node.op_type in (*RULES, *EXPANDED) and node.domain in ("", "ai.onnx") for node in nodes):
            continue
        given, expected = case.data_sets[0]
        if not all(isinstance(array, np.ndarray) and array.dtype != object for array in (*given, *expected)):
            continue  # sequences, optional values, strings
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        names = [info.name for info in model.graph.input]
        model.graph.initializer.extend(
            numpy_helper.from_array(a, n) for n, a in zip(names[1:], given[1:], strict=False)
        )
        path.write_bytes(model.SerializeToString())
        compiled = compile_onnx(path, CORE)
        inputs = {name: array for name, array in zip(names[:1], given, strict=False) if name in compiled.graph.inputs}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, same = compiled(inputs), compiled.reference(inputs)
        for info, value in zip(model.graph.output, expected, strict=True):
            assert found[info.name].shape == value.shape, case.name
            assert np.allclose(found[info.name], value, rtol=1e-3, atol=1e-5, equal_nan=True), case.name
            assert found[info.name].tobytes() == same[info.name].tobytes(), case.name
        alone = all(isinstance(step, Segment) for step in compiled.steps)
        assert alone or any("on the CPU" in line for line in compiled.explain()), case.name
        ran, placed = ran + alone, placed + (not alone)
    assert ran >= 500, (ran, placed)
