"""The sample files, whose counts were worked out by hand, and the files that come with the onnx package."""

import json
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest
from onnx_builders import parameters, roles

from picojoule.frontends.onnx import read_onnx
from picojoule.frontends.zoo import read_zoo
from picojoule.quantity import InputError

DATA = Path(__file__).parents[2] / "data" / "onnx"
EXPECTED = json.loads((DATA / "good" / "expected.json").read_text())
PLAIN = [name for name, row in EXPECTED.items() if isinstance(row["macs"], int)]
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@pytest.mark.parametrize("name", PLAIN)
def test_counts_of_the_samples(name):
    """By hand: parameters, buffers and MACs of each sample file."""
    workload = read_onnx(DATA / "good" / f"{name}.onnx")
    row = EXPECTED[name]
    assert (workload.work.macs, parameters(workload)) == (row["macs"], row["params_trainable"])
    assert roles(workload).get("buffer", 0) == row.get("bn_running_stats", 0)
    stored = sum(t.bytes_of(t.elements) for t in workload.parameters)
    assert stored == row.get("weight_bytes", 4 * row["params_trainable"])
    assert not workload.uncounted
    assert not workload.warnings


def test_symbolic_shapes_are_asked_for():
    """Message: the symbols, the option to pass, and the parameters that are known without shapes."""
    with pytest.raises(InputError) as raised:
        read_onnx(DATA / "good" / "dynamic_batch.onnx")
    text = str(raised.value)
    assert "x[N,3,H,W]" in text
    assert "symbols N, H, W" in text
    assert "--input x=1,3,224,224" in text
    assert "parameters are known: 256" in text


@pytest.mark.parametrize(("n", "h", "w"), [(1, 224, 224), (3, 5, 7), (8, 1, 1)])
def test_symbolic_shapes_by_input(n, h, w):
    """By hand: N · (H · W · 216 + 40)."""
    file = DATA / "good" / "dynamic_batch.onnx"
    for inputs, batch in (
        ({"x": (n, 3, h, w)}, None),
        ({"H": (h,), "W": (w,)}, n),
        ({"N": (n,), "H": (h,), "W": (w,)}, n),
    ):
        workload = read_onnx(file, batch=batch, inputs=inputs)
        assert workload.work.macs == n * (h * w * 216 + 40)
        assert parameters(workload) == 256
        assert workload.batch == n


def test_branches():
    """By hand: then 64 MACs, else 1024; both branches' weights are parameters."""
    workload = read_onnx(DATA / "good" / "if_control_flow.onnx")
    assert workload.work.macs == 1024
    assert parameters(workload) == 1088
    assert "then 64 MACs, else 1024 MACs" in workload.notes[0]
    for value, macs in ((1, 64), (0, 1024)):
        assert read_onnx(DATA / "good" / "if_control_flow.onnx", inputs={"cond": (value,)}).work.macs == macs


def test_trip_count_from_data():
    """By hand: 256 MACs a trip; a trip count may be given as the value of the input."""
    file = DATA / "good" / "loop_data_dependent.onnx"
    workload = read_onnx(file)
    assert workload.work.macs == 256
    assert "counted per trip" in workload.notes[0]
    assert "--input trip=12" in workload.notes[0]
    assert read_onnx(file, inputs={"trip": (12,)}).work.macs == 3072
    assert read_onnx(file, inputs={"trip": (2**62,)}).work.macs == 256 * 2**62
    assert read_onnx(file, inputs={"trip": (0,)}).work.macs == 0


def test_quantised_operands_are_read_as_integers():
    """By hand: the convolution between Q and DQ reads 768 + 216 bytes of integers and 32 of bias."""
    workload = read_onnx(DATA / "good" / "qdq_int8.onnx")
    (conv,) = [o for o in workload.operators if o.kind == "conv"]
    traffic = workload.traffic(conv)
    assert (traffic.bytes_in, traffic.bytes_weights) == (768, 216 + 32)
    assert [workload.tensors[a.tensor].dtype for a in conv.inputs] == ["uint8", "int8", "float32"]


def test_tied_embedding_reads_rows():
    """By hand: twelve rows of 32 floats and twelve indices are read by the lookup."""
    workload = read_onnx(DATA / "good" / "tied_embedding.onnx")
    gather = workload.operators[0]
    traffic = workload.traffic(gather)
    assert (traffic.bytes_weights, traffic.bytes_in) == (12 * 32 * 4, 12 * 8)


def test_external_data_is_not_read():
    """Message: external files, absent or present, are only named."""
    assert "weights in external_data.bin not read" in read_onnx(DATA / "good" / "external_data.onnx").notes[0]
    assert "absent; shapes suffice" in read_onnx(DATA / "good" / "no_weights_70b_ffn.onnx").notes[0]


@pytest.mark.skipif(not LIGHT.is_dir(), reason="this onnx package brings no models")
@pytest.mark.parametrize(
    ("name", "macs", "count"),
    [
        ("resnet50", 4_089_184_256, 25_557_032),
        ("vgg19", 19_632_062_464, 143_667_240),
        ("squeezenet", 349_151_936, 1_235_496),
    ],
)
def test_public_networks(name, macs, count):
    """Published: the MACs and parameters of the papers' networks, from weightless files of old operator sets."""
    began = time.perf_counter()
    workload = read_onnx(LIGHT / f"light_{name}.onnx")
    assert time.perf_counter() - began < 2
    assert (workload.work.macs, parameters(workload)) == (macs, count)


@pytest.mark.skipif(not LIGHT.is_dir(), reason="this onnx package brings no models")
@pytest.mark.parametrize("name", ["resnet50", "vgg19"])
def test_files_agree_with_the_zoo(name):
    """Equality: a file and our own network of the same name have equal MACs and parameters."""
    file, own = read_onnx(LIGHT / f"light_{name}.onnx"), read_zoo(name)
    assert (file.work.macs, parameters(file)) == (own.work.macs, parameters(own))


def test_counts_are_python_integers():
    """Equality: no fixed-width integer reaches the Workload."""
    for file in sorted((DATA / "good").glob("*.onnx")):
        if file.stem == "dynamic_batch":
            continue
        workload = read_onnx(file)
        for operator in workload.operators:
            work = operator.work
            assert all(type(n) is int for n in (work.macs, work.muls, work.adds, *(n for _, n in work.special)))
            assert all(type(extent) is int for _, extent in operator.space)
        assert all(type(size) is int for t in workload.tensors.values() for size in t.shape)


def test_onnx_is_imported_late():
    """Bound: importing the front-end does not import onnx or NumPy."""
    code = "import sys, picojoule.frontends.onnx; sys.exit('onnx' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
