"""What a configuration or a checkpoint can have wrong, and what the user is told."""

import importlib.util
import json
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from picojoule.frontends.huggingface import FAMILIES, _transformers, read_config
from picojoule.quantity import InputError
from picojoule.workload import Workload

Write = Callable[..., Path]
LLAMA: dict[str, Any] = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
                         "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "options", "parts"),
    [
        ({"hidden_size": "x"}, {}, ("config.json: hidden_size is 'x'", "a whole number of 1 or more", '"hidden_size": 4096')),
        ({"hidden_size": True}, {}, ("hidden_size is true", "whole number")),
        ({"hidden_size": None}, {}, ("hidden_size is null", "whole number")),
        ({"hidden_size": -64}, {}, ("hidden_size is -64",)),
        ({"hidden_size": 64.0}, {}, ("hidden_size is 64.0",)),
        ({"hidden_size": 10**30}, {}, ("at most 1,000,000,000,000,000",)),
        ({"hidden_size": 66}, {}, ("hidden_size is 66, not a multiple of num_attention_heads = 4",)),
        ({"num_key_value_heads": 3}, {}, ("num_attention_heads is 4, not a multiple of num_key_value_heads = 3",)),
        ({"head_dim": 15}, {}, ("head_dim gives 15 columns that turn in pairs", "an even number")),
        ({"num_hidden_layers": 10_000}, {}, ("num_hidden_layers is 10000", "at most 2,048")),
        ({"hidden_act": "sine"}, {}, ("hidden_act is 'sine'", "silu")),
        ({"attention_bias": "yes"}, {}, ("attention_bias is 'yes'", "true or false")),
        ({"tie_word_embeddings": 1}, {}, ("tie_word_embeddings is 1",)),
        ({"torch_dtype": "float7"}, {}, ("torch_dtype is 'float7'", "bfloat16")),
        ({"rope_scaling": 3}, {}, ("rope_scaling is 3", "an object of fields")),
        ({"rope_scaling": {"type": "spiral"}}, {}, ("rope_scaling: type is 'spiral'", "llama3")),
        ({"partial_rotary_factor": 2}, {}, ("partial_rotary_factor is 2", "from 0 to 1")),
        ({"architectures": "LlamaForCausalLM"}, {}, ("architectures is 'LlamaForCausalLM'", "a list of class names")),
        ({"model_type": 3}, {}, ("model_type is 3", "llama")),
        ({"model_type": "mixtral", "num_experts_per_tok": 9}, {}, ("num_experts_per_tok is 9", "at most num_local_experts = 8")),
        ({"model_type": "gemma2", "layer_types": ["odd"]}, {}, ("layer_types is ['odd']", "full_attention")),
        ({"model_type": "gemma2", "layer_types": ["full_attention"]}, {}, ("layer_types has 1 entries",)),
        ({"model_type": "deepseek_v3", "topk_group": 9}, {}, ("topk_group is 9", "at most n_group = 8")),
        ({"model_type": "deepseek_v3", "n_group": 7}, {}, ("n_routed_experts is 256, not a multiple of n_group = 7",)),
        ({"model_type": "mamba2"}, {}, ("num_heads is 128", "expand x hidden_size = 128")),
        ({"model_type": "bert", "is_decoder": True}, {}, ("is_decoder is true",)),
        ({"model_type": "bert"}, {"phase": "decode"}, ("has no decode step",)),
        ({"model_type": "bert"}, {"seq": 513}, ("512 tokens",)),
        ({"model_type": "gpt2"}, {"phase": "decode", "context": 1025}, ("1024 tokens",)),
        ({"model_type": "t5", "architectures": ["T5EncoderModel"]}, {}, ("T5EncoderModel is not written natively",)),
        ({"model_type": "whisper"}, {"inputs": {"input_features": (1, 80, 20)}}, ("80 mels",)),
        ({"model_type": "vit"}, {"inputs": {"pixel_values": (1, 3, 8, 8)}}, ("224",)),
        ({"model_type": "vit", "patch_size": [16]}, {}, ("patch_size is [16]", "height and width")),
        ({"model_type": "vit", "patch_size": 500}, {}, ("patch_size is 500", "at most image_size")),
        ({"model_type": "clip", "text_config": 5}, {}, ("text_config is 5", "an object")),
        ({}, {"seq": 0}, ("seq is 0",)),
        ({}, {"context": 5}, ("a context belongs to a decode step",)),
        ({}, {"phase": "train"}, ("phase is 'train'", "prefill or decode")),
        ({}, {"style": "flash"}, ("style is 'flash'", "kernel")),
        ({}, {"inputs": {"pixels": (1, 2)}}, ("no input 'pixels'",)),
        ({}, {"inputs": {"input_ids": (1, 0)}}, ("input 'input_ids' is [1, 0]",)),
        ({}, {"phase": "decode", "inputs": {"input_ids": (1, 2)}}, ("one new token",)),
    ],
)  # fmt: skip
def test_faults_name_themselves(
    change: Mapping[str, Any], options: dict[str, Any], parts: tuple[str, ...], write: Write
) -> None:
    """Message: the field, what it holds, what is expected and an example that would pass."""
    with pytest.raises(InputError) as caught:
        read_config(write({**LLAMA, **change}), **options)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not JSON"), (b"{", "in line 1, column 2"), (b"[]", "holds a list"), (b"\xff", "is not text"),
        (b"[" * 200_000, "nested too deep"), (b'{"hidden_size": ' + b"9" * 5000 + b"}", "a number too long"),
        (b" " * (5 << 20), "larger than 4 MiB"),
    ],
)  # fmt: skip
def test_files_that_are_no_configuration(data: bytes, message: str, tmp_path: Path) -> None:
    """Message: what is not JSON, not an object, too deep or too large."""
    (tmp_path / "config.json").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_config(tmp_path)


def test_unknown_families_need_a_guest(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Message: without torch and transformers an unknown family lists the known ones and what to install."""
    monkeypatch.setattr(_transformers, "find_spec", lambda *_: None)
    with pytest.raises(InputError) as caught:
        read_config(write({**LLAMA, "model_type": "perceiver"}))
    assert all(family in str(caught.value) for family in FAMILIES)
    assert "pip install torch transformers" in str(caught.value)


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
    reason="needs torch, transformers",
)
def test_unknown_families_through_transformers(write: Write) -> None:
    """Peer: a family without formulas is built by transformers on the meta device and counted operator by operator."""
    config = {**LLAMA, "model_type": "olmo", "architectures": ["OlmoForCausalLM"], "num_key_value_heads": 4}
    net = read_config(write(config), seq=8)
    linear = 2 * (4 * 64 * 64 + 3 * 64 * 96) + 64 * 100
    assert net.work.macs == 8 * linear + 2 * 2 * 8 * 8 * 64


def header(tensors: Mapping[str, Any]) -> bytes:
    data = json.dumps(tensors).encode()
    return len(data).to_bytes(8, "little") + data


def checkpoint(net: Workload, dtype: str, size: int, *, prefix: str = "") -> tuple[bytes, int]:
    """A header for all parameters of `net`, norms in F32, and the bytes of the weights."""
    entries, end = {}, 0
    for tensor in net.parameters:
        of, width = ("F32", 4) if tensor.role == "norm" else (dtype, size)
        entries[prefix + tensor.name] = {"dtype": of, "shape": list(tensor.shape),
                                         "data_offsets": [end, end + width * tensor.elements]}  # fmt: skip
        end += width * tensor.elements
    return header({"__metadata__": {"format": "pt"}, **entries}), end


def sparse(path: Path, first: bytes, size: int) -> None:
    """A file that begins with `first` and has `size` bytes more, none of them stored."""
    path.write_bytes(first)
    os.truncate(path, len(first) + size)


def test_headers_give_number_formats(write: Write) -> None:
    """Equality: bfloat16 weights and float32 norms by the header of a checkpoint, its bytes and tensors noted."""
    folder = write(LLAMA).parent
    plain = read_config(folder)
    data, size = checkpoint(plain, "BF16", 2)
    sparse(folder / "model.safetensors", data, size)
    net = read_config(folder)
    assert {t.dtype for t in net.parameters if t.role == "norm"} == {"float32"}
    assert {t.dtype for t in net.parameters if t.role != "norm"} == {"bfloat16"}
    assert net.work == plain.work
    assert any(f"{size:,} bytes" in note for note in net.notes)
    assert not net.warnings


def test_headers_of_many_files(write: Write) -> None:
    """Equality: files by the index, each read once; a base model's names lack the prefix."""
    folder = write({**LLAMA, "torch_dtype": "float16"}).parent
    plain = read_config(folder)
    table, total = {}, 0
    for number, tensor in enumerate(plain.parameters):
        name, size = tensor.name.removeprefix("model."), 4 * tensor.elements
        file = f"model-{number:05}.safetensors"
        sparse(
            folder / file,
            header({name: {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [0, size]}}),
            size,
        )
        table[name], total = file, total + size
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table, "metadata": {}}))
    net = read_config(folder)
    assert {t.dtype for t in net.parameters} == {"float32"}
    assert any(f"{total:,} bytes" in note for note in net.notes)


def test_headers_that_disagree_warn(write: Write) -> None:
    """Message: a checkpoint of another size (quantised, fine-tuned heads) leaves the formats as they were."""
    folder = write(LLAMA).parent
    data = header({"a": {"dtype": "I32", "shape": [5, 7], "data_offsets": [0, 140]}})
    sparse(folder / "model.safetensors", data, 140)
    net = read_config(folder)
    assert any("the checkpoint holds 35: number formats not taken" in warning for warning in net.warnings)
    assert {t.dtype for t in net.parameters} == {"float32"}


def test_headers_that_hold_a_little_more(write: Write) -> None:
    """Message: a checkpoint with one more head gives its formats, and a warning that it is larger."""
    folder = write(LLAMA).parent
    plain = read_config(folder)
    data, size = checkpoint(plain, "BF16", 2)
    entries = json.loads(data[8:])
    entries["extra.weight"] = {"dtype": "BF16", "shape": [64], "data_offsets": [size, size + 128]}
    sparse(folder / "model.safetensors", header(entries), size + 128)
    net = read_config(folder)
    assert any("taken where names agree" in warning for warning in net.warnings)
    assert {t.dtype for t in net.parameters} == {"bfloat16", "float32"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "declares a header of 0 bytes"),
        (b"\x00" * 20, "declares a header of 0 bytes"),
        ((2**62).to_bytes(8, "little") + b"{}", "declares a header of 4,611,686,018,427,387,904 bytes"),
        (header({})[:8] + b"x}", "is not JSON"),
        (header({"a": 3}), "'a' is no tensor"),
        (header({"a": {"dtype": "F9", "shape": [1], "data_offsets": [0, 1]}}) + b"0", "unknown dtype 'F9'"),
        (header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}), "a shape or offsets of another sort"),
        (header({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}), "takes bytes 0 to 36 of 0"),
        (header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}) + b"0000", "takes bytes 0 to 4"),
        (header({"a": {"dtype": "F32", "shape": [10**18] * 65, "data_offsets": [0, 4]}}), "of another sort"),
    ],
)
def test_broken_headers(data: bytes, message: str, write: Write) -> None:
    """Message: lengths, formats, shapes and offsets that cannot be."""
    folder = write(LLAMA).parent
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_config(folder)


def test_headers_too_long_are_left(write: Write) -> None:
    """Bound: a header of more than 16 MB is not read, and said so."""
    folder = write(LLAMA).parent
    sparse(folder / "model.safetensors", (20_000_000).to_bytes(8, "little"), 20_000_000)
    assert any("20,000,000 bytes: weights not read" in note for note in read_config(folder).notes)


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", "..", "a\0b", "link", "absent"]
)
def test_nothing_outside_the_folder_is_opened(name: str, tmp_path: Path) -> None:
    """Message: names and links that lead out of the folder are refused."""
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.safetensors").write_bytes(b"secret")
    (folder / "config.json").write_text(json.dumps(LLAMA))
    (folder / "link").symlink_to(tmp_path / "secret.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(InputError, match=r"leads out|no absent"):
        read_config(folder)


def test_links_and_pipes_are_refused(tmp_path: Path) -> None:
    """Message: a config that is a link out of its folder, or a pipe that would hang, is not opened."""
    (tmp_path / "real.json").write_text(json.dumps(LLAMA))
    for name, make in (("a", lambda p: p.symlink_to(tmp_path / "real.json")), ("b", os.mkfifo)):
        folder = tmp_path / name
        folder.mkdir()
        make(folder / "config.json")
        with pytest.raises(InputError, match=r"leads out of the folder|not a plain file"):
            read_config(folder)
    with pytest.raises(InputError, match="no such file"):
        read_config(tmp_path / "absent.json")
    with pytest.raises(InputError, match=r"no config\.json"):
        read_config(tmp_path)


def test_pickles_are_never_opened(write: Write) -> None:
    """Message: weights in .bin files are noted and left alone."""

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.abort, ()

    folder = write(LLAMA).parent
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    assert any("pickles: not opened" in note for note in read_config(folder).notes)


def test_the_collector_is_left_as_it_was(write: Write) -> None:
    """Bound: reading holds the garbage collector off, and lets go of it after a fault too."""
    import gc

    for running in (True, False):
        (gc.enable if running else gc.disable)()
        with pytest.raises(InputError):
            read_config(write({**LLAMA, "hidden_size": 0}))
        assert gc.isenabled() is running
    gc.enable()


def test_three_hundred_mutations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound: mutated configs are read or refused, in 5 s and 1 GB, inside their folder; tools/fuzz_configs.py runs 2,000."""
    path = Path(__file__).parents[3] / "tools" / "fuzz_configs.py"
    spec = importlib.util.spec_from_file_location("fuzz_configs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(_transformers, "find_spec", lambda *_: None)
    found = module.run(300, seed=7)
    assert found["read"] > 60
    assert found["refused"] > 60
