"""Distance of parameters and difference of structure; stored weights, honest and lying."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import picojoule as pj
from picojoule.frontends._decode import decode
from picojoule.frontends._weights import read_weights
from picojoule.quantity import InputError
from picojoule.studies import diff, distance

TYPES = {"<f8": "F64", "<f4": "F32", "<f2": "F16", "<i8": "I64", "<i4": "I32", "<i2": "I16", "|i1": "I8", "|u1": "U8",
         "|b1": "BOOL"}  # fmt: skip


def save(
    path: Path, tensors: Mapping[str, np.ndarray], *, kinds: Mapping[str, tuple[str, list[int]]] | None = None
) -> Path:
    """A safetensors file by its own writer: length, header, data one after another."""
    header: dict[str, Any] = {"__metadata__": {"format": "np"}}
    data = b""
    for name, array in tensors.items():
        kind, shape = (kinds or {}).get(name) or (TYPES[array.dtype.str], list(array.shape))
        raw = array.tobytes()
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_distance_by_hand() -> None:
    """By hand: [1, -2, 3] to [0, -2, 5]: L1 = 1 + 0 + 2, L2 = √5, ‖a‖ = √14, two of three changed."""
    one = distance("w", np.array([1.0, -2.0, 3.0]), np.array([0.0, -2.0, 5.0]))
    assert one.l1 == 3
    assert one.l2 == pytest.approx(2.23606797749979, rel=1e-12)
    assert one.norm_a == pytest.approx(3.7416573867739413, rel=1e-12)
    assert one.relative == pytest.approx(math.sqrt(5 / 14))
    assert one.changed_share == pytest.approx(2 / 3)
    # 3 · 8 B; 1 B of bits + 2 · 8 B; 2 · (8 + 2) B.
    assert (one.bytes_dense, one.bytes_bitmap, one.bytes_csr) == (24, 17, 20)


@settings(max_examples=60, deadline=None)
@given(some.lists(some.floats(-1e3, 1e3, width=32), min_size=1, max_size=40), some.data())
def test_distance_is_a_metric(values: list[float], data: some.DataObject) -> None:
    """Bound: zero for equal, the same both ways, L2 ≤ L1 ≤ √n · L2, triangle inequality."""
    a = np.array(values, np.float32)
    b, c = (np.array(data.draw(some.lists(some.floats(-1e3, 1e3, width=32), min_size=len(a), max_size=len(a))), np.float32)
            for _ in range(2))  # fmt: skip
    assert (distance("w", a, a).l1, distance("w", a, a).changed, distance("w", a, a).relative) == (0, 0, 0)
    ab, ba, bc, ac = distance("w", a, b), distance("w", b, a), distance("w", b, c), distance("w", a, c)
    assert (ab.l1, ab.l2) == (ba.l1, ba.l2)
    assert ab.l2 <= ab.l1 * (1 + 1e-12) <= math.sqrt(len(a)) * ab.l2 * (1 + 1e-9) + 1e-300
    assert ac.l2 <= (ab.l2 + bc.l2) * (1 + 1e-9)


def test_what_is_not_finite() -> None:
    """By hand: NaN in both is no change; one infinity is a change, left out of the distances."""
    a, b = np.array([np.nan, 1.0, 2.0]), np.array([np.nan, np.inf, 5.0])
    one = distance("w", a, b)
    assert (one.l1, one.changed, one.not_finite) == (3, 2, 2)


def test_permuted_neurons() -> None:
    """Metamorphic: hidden neurons in another order: far apart as parameters, one function, one energy."""
    generator = np.random.default_rng(1)
    w1, b1, w2 = (
        generator.standard_normal((512, 33)),
        generator.standard_normal(512),
        generator.standard_normal((10, 512)),
    )
    order = generator.permutation(512)
    a = {"fc1.weight": w1, "fc1.bias": b1, "fc2.weight": w2}
    b = {"fc1.weight": w1[order], "fc1.bias": b1[order], "fc2.weight": w2[:, order]}
    net = pj.read_model("mlp:33-512-10")
    found = diff(net, net, a, b)
    assert found.relative > 1
    assert found.same_structure
    x = generator.standard_normal((5, 33))
    outputs = [np.maximum(x @ s["fc1.weight"].T + s["fc1.bias"], 0) @ s["fc2.weight"].T for s in (a, b)]
    assert outputs[0] == pytest.approx(outputs[1], rel=1e-9)
    energies = [pj.estimate(net, "h100").cost.total_energy_j for _ in range(2)]
    assert energies[0] == energies[1]
    permuted = found.tensors[0]
    assert found.l2 == pytest.approx(math.sqrt(sum(t.l2**2 for t in found.tensors)))
    assert permuted.changed_share > 0.9


def test_structure() -> None:
    """Equality: a network equals itself; a wider layer is a change of shape, a deeper net has operators of its own."""
    one = pj.read_model("mlp:33-512-10")
    assert diff(one, one).same_structure
    wide = diff(one, pj.read_model("mlp:33-256-10"))
    assert [change.name for change in wide.changed] == ["fc1", "relu1", "fc2"]
    assert wide.counts_b.macs - wide.counts_a.macs == -256 * 43
    deep = diff(one, pj.read_model("mlp:33-512-10-10"))
    assert deep.only_b == ("relu2", "fc3")
    assert deep.only_a == ()
    with pytest.raises(InputError, match="one side"):
        diff(one, None)


@settings(max_examples=30, deadline=None)
@given(some.lists(some.tuples(some.sampled_from(sorted(TYPES)), some.lists(some.integers(0, 4), max_size=3)), max_size=5),
       some.integers(0, 2**32 - 1))  # fmt: skip
def test_safetensors_round_trip(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[tuple[str, list[int]]], seed: int
) -> None:
    """Round trip: what the test's own writer wrote is read bit for bit, whole and in pieces."""
    generator = np.random.default_rng(seed)
    tensors = {f"t{i}": generator.integers(0, 100, shape).astype(kind) for i, (kind, shape) in enumerate(kinds)}
    found = read_weights(save(tmp_path_factory.mktemp("s") / "a.safetensors", tensors))
    assert list(found) == list(tensors)
    for name, array in tensors.items():
        assert found[name].shape == array.shape
        assert found[name].nbytes == array.nbytes
        assert np.array_equal(np.asarray(found[name]), array)
        pieces = [found[name].read(n, n + 1) for n in range(array.size)]
        assert np.array_equal(np.concatenate(pieces) if pieces else np.zeros(0), array.reshape(-1))


def test_narrow_formats() -> None:
    """By hand: codes of bfloat16, both float8, powers of two, and nibbles."""

    def one(form: str, *codes: int) -> list[float]:
        return [
            float(v) for v in decode(np.array(codes, np.uint8), form, 0, len(codes) // (2 if form == "bfloat16" else 1))
        ]

    assert one("bfloat16", 0x80, 0x3F, 0x00, 0xC0) == [1.0, -2.0]
    assert one("float8_e4m3", 0x38, 0x7E, 0x01, 0xC0) == [1.0, 448.0, 2**-9, -2.0]
    assert math.isnan(one("float8_e4m3", 0x7F)[0])
    assert one("float8_e5m2", 0x3C, 0x7B, 0x01, 0x7C) == [1.0, 57344.0, 2**-16, math.inf]
    assert one("float8_e4m3fnuz", 0x40, 0x7F) == [1.0, 240.0]
    assert math.isnan(one("float8_e5m2fnuz", 0x80)[0])
    assert one("float8_e8m0", 127, 128, 0) == [1.0, 2.0, 2**-127]
    nibbles = np.array([0x2F, 0x81], np.uint8)
    assert decode(nibbles, "int4", 0, 4).tolist() == [-1, 2, 1, -8]
    assert decode(nibbles, "uint4", 1, 4).tolist() == [2, 1, 8]
    assert decode(nibbles, "float4", 0, 4).tolist() == [-6.0, 1.0, 0.5, -0.0]


def test_half_file_against_whole(tmp_path: Path) -> None:
    """Bound: rounding to bfloat16 moves no weight by more than 2^-8 of itself; both files are read through the door."""
    w = np.random.default_rng(3).standard_normal((64, 32)).astype(np.float32)
    bits = w.view(np.uint32)
    half = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    a = read_weights(save(tmp_path / "a.safetensors", {"w": w}))
    b = read_weights(save(tmp_path / "b.safetensors", {"w": half}, kinds={"w": ("BF16", [64, 32])}))
    one = diff(None, None, a, b).tensors[0]
    assert 0 < one.relative < 2**-8
    assert (one.dtype, one.bytes_dense) == ("bfloat16", 64 * 32 * 2)


def headers() -> dict[str, bytes]:
    """Files that lie, by what is wrong with them."""

    def whole(header: Any, data: bytes = b"\0" * 8) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data

    def entry(**said: Any) -> dict[str, Any]:
        return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **said}}

    two = {
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
    }
    good = whole(entry())
    return {
        "empty": b"", "short": good[:6], "huge header": (2**63).to_bytes(8, "little") + good[8:],
        "cut data": good[:-1], "cut header": good[:20], "trailing": good + b"\0", "not json": whole(b"{nonsense"),
        "list": whole(b"[1, 2]"), "twice": whole(b'{"w": {}, "w": {}}'), "beyond": whole(entry(data_offsets=[0, 16], shape=[4])),
        "backwards": whole(entry(data_offsets=[8, 0])), "negative": whole(entry(shape=[-2])),
        "wrong shape": whole(entry(shape=[3])), "true": whole(entry(shape=[True, 2])), "text": whole(entry(shape="2")),
        "dtype": whole(entry(dtype="F33")), "no dtype": whole({"w": {"shape": [2]}}), "overlap": whole(two),
        "hole": whole(entry(data_offsets=[4, 8], shape=[1])), "deep": whole(b'{"w":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "vast": whole(entry(shape=[10**18, 10**18])), "pickle": b"\x80\x04" + b"x" * 20, "number": whole({"w": 3}),
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(headers()))
def test_lying_headers(tmp_path: Path, name: str) -> None:
    """Message: every lie is an InputError that names the file; nothing is allocated by what a header claims."""
    file = tmp_path / "lie.safetensors"
    file.write_bytes(headers()[name])
    with pytest.raises(InputError, match=r"lie\.safetensors"):
        read_weights(file)


def test_pickles_and_strangers_are_refused(tmp_path: Path) -> None:
    """Message: what could run code is not opened, and the reason stands there; links out of a folder are not followed."""
    for name in ("a.pt", "a.bin", "a.pkl"):
        (tmp_path / name).write_bytes(b"PK\x03\x04")
        with pytest.raises(InputError, match="run its code"):
            read_weights(tmp_path / name)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match=r"\.txt"):
        read_weights(tmp_path / "a.txt")
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path / "none.safetensors")
    folder, outside = tmp_path / "f", save(tmp_path / "o.safetensors", {"w": np.zeros(2, "<f4")})
    folder.mkdir()
    with pytest.raises(InputError, match=r"no \.safetensors"):
        read_weights(folder)
    save(folder / "a.safetensors", {"a": np.ones(2, "<f4")})
    save(folder / "b.safetensors", {"b": np.ones(2, "<f4")})
    assert list(read_weights(folder)) == ["a", "b"]
    (folder / "c.safetensors").symlink_to(outside)
    with pytest.raises(InputError, match="leads out"):
        read_weights(folder)


def test_onnx_initializers(tmp_path: Path) -> None:
    """Equality: raw bytes, typed fields and external data of ONNX give the elements that were stored."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(5)
    w = generator.standard_normal((3, 4)).astype(np.float32)
    typed = {"f16": (TensorProto.FLOAT16, np.array([1.5, -2.25, 0.1], np.float16)),
             "i8": (TensorProto.INT8, np.array([-3, 7], np.int8)),
             "f64": (TensorProto.DOUBLE, np.array([0.1, 2.0])), "u32": (TensorProto.UINT32, np.array([2**32 - 1], np.uint32)),
             "b": (TensorProto.BOOL, np.array([True, False]))}  # fmt: skip
    protos = [numpy_helper.from_array(w, "raw")]
    protos += [helper.make_tensor(name, kind, a.shape, a.tolist()) for name, (kind, a) in typed.items()]
    protos.append(helper.make_tensor("bf16", TensorProto.BFLOAT16, [2], [1.0, -3.0]))
    outside = TensorProto(name="ext", data_type=TensorProto.FLOAT, dims=[3, 4], data_location=1)
    for key, value in (("location", "w.bin"), ("offset", "8"), ("length", "48")):
        outside.external_data.add(key=key, value=value)
    (tmp_path / "w.bin").write_bytes(b"\0" * 8 + w.tobytes())
    graph = helper.make_graph([], "g", [], [], initializer=[*protos, outside])
    file = tmp_path / "m.onnx"
    file.write_bytes(helper.make_model(graph).SerializeToString())
    found = read_weights(file)
    assert np.array_equal(np.asarray(found["raw"]), w)
    assert np.array_equal(np.asarray(found["ext"]), w)
    assert np.asarray(found["bf16"]).tolist() == [1.0, -3.0]
    for name, (_, array) in typed.items():
        assert np.array_equal(np.asarray(found[name]), array), name
    assert onnx


@pytest.mark.parametrize(("change", "words"), [
    ({"location": "../w.bin"}, "leaves the folder"), ({"offset": "16"}, "external data"), ({"length": "40"}, "external data"),
    ({"offset": "-8"}, "external data"), ({"offset": "x"}, "cannot be read"),
    ({"location": "gone.bin"}, "cannot be read")])  # fmt: skip
def test_external_data_that_lie(tmp_path: Path, change: dict[str, str], words: str) -> None:
    """Message: external data are read inside the folder and inside the file only."""
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    (tmp_path / "m").mkdir()
    (tmp_path / "w.bin").write_bytes(b"\0" * 64)
    (tmp_path / "m" / "w.bin").write_bytes(b"\0" * 56)
    outside = TensorProto(name="ext", data_type=TensorProto.FLOAT, dims=[3, 4], data_location=1)
    for key, value in ({"location": "w.bin", "offset": "8", "length": "48"} | change).items():
        outside.external_data.add(key=key, value=value)
    file = tmp_path / "m" / "m.onnx"
    file.write_bytes(helper.make_model(helper.make_graph([], "g", [], [], initializer=[outside])).SerializeToString())
    with pytest.raises(InputError, match=words):
        read_weights(file)


def test_onnx_cut_short(tmp_path: Path) -> None:
    """Message: an initializer with fewer bytes than its shape, and a file that is no protobuf."""
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    short = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1000, 1000], raw_data=b"\0" * 8)
    file = tmp_path / "m.onnx"
    file.write_bytes(helper.make_model(helper.make_graph([], "g", [], [], initializer=[short])).SerializeToString())
    with pytest.raises(InputError, match="holds 8 bytes"):
        read_weights(file)
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(InputError, match="ONNX protobuf"):
        read_weights(file)
