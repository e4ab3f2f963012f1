"""Workloads as kernels of a serving library, split over devices."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import picojoule as pj
from picojoule.devices import Call, Sheet, served, sheet, step
from picojoule.quantity import InputError
from picojoule.workload import Workload


@cache
def decode(model: str = "llama3.2-1b", batch: int = 4, context: int = 300) -> Workload:
    return pj.read_model(model, batch=batch, phase="decode", context=context)


@cache
def h100() -> Sheet:
    return sheet(pj.read_hardware("h100").architecture)


def of_kind(calls: tuple[Call, ...], kind: str) -> list[Call]:
    return [c for c in calls if c.kind == kind]


def test_a_layer_is_eight_kernels() -> None:
    """By hand: Llama 3.1 8B: query, key and value as one product of 4096 + 2·1024 columns, gate and up as one of 2·14336."""
    found = served(decode("llama3-8b", 8, 576))
    assert found.layers == 32
    assert [(c.rows["n"], c.rows["k"]) for c in of_kind(found.calls, "gemm")[:4]] == [
        (6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336)]  # fmt: skip
    assert len(of_kind(found.calls, "gemm")) == 4 * 32 + 1  # and the head
    one = of_kind(found.calls, "attention_decode")[0].rows
    assert (one["batch"], one["context"], one["heads"], one["kv_heads"], one["head_dim"]) == (8, 576, 32, 8, 128)
    assert len(of_kind(found.calls, "stream")) == 4 * 32 + 1


def test_a_fused_kernel_moves_what_others_made_or_read() -> None:
    """By hand: silu and product read gate and up, 2 · 8 · 14336 numbers of 2 bytes, and write 8 · 14336."""
    found = served(decode("llama3-8b", 8, 576))
    activation = next(c for c in found.calls if c.sort == "activation")
    assert activation.rows["bytes"] == 3 * 8 * 14336 * 2
    # addition and norm: two addends in, sum and normed out, and one weight a channel
    norm = [c for c in found.calls if c.sort == "norm"][1]
    assert norm.rows["bytes"] == 4 * 8 * 4096 * 2 + 4096 * 2


def test_tensor_parallel_by_hand() -> None:
    """By hand: on eight devices columns of the first product and rows of the second shrink by eight, heads too; two all-reduces
    of batch · width · 2 bytes a layer."""
    found = served(decode("llama3-8b", 8, 576), 8)
    assert [(c.rows["n"], c.rows["k"]) for c in of_kind(found.calls, "gemm")[:4]] == [
        (768, 4096), (4096, 512), (3584, 4096), (4096, 1792)]  # fmt: skip
    one = of_kind(found.calls, "attention_decode")[0].rows
    assert (one["heads"], one["kv_heads"]) == (4, 1)
    reduces = of_kind(found.calls, "all_reduce")
    assert len(reduces) == 64
    assert all(c.rows == {"bytes": 8 * 4096 * 2, "devices": 8} for c in reduces)
    head = of_kind(found.calls, "gemm")[-1].rows
    assert head["n"] == 128256 / 8


def test_gpt_blocks_split_alike() -> None:
    """By hand: GPT-2 with LayerNorm and GELU: 3·768/4 columns, 768/4 rows, 3072/4 columns, 3072/4 rows."""
    found = served(decode("gpt2", 2, 100), 4)
    assert [(c.rows["n"], c.rows["k"]) for c in of_kind(found.calls, "gemm")[:4]] == [
        (576, 768), (768, 192), (768, 768), (768, 768)]  # fmt: skip
    assert len(of_kind(found.calls, "all_reduce")) == 24


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(["llama3.2-1b", "gpt2-medium", "llama2-7b"]), st.integers(1, 64), st.integers(2, 1000),
       st.sampled_from([2, 4, 8]))  # fmt: skip
def test_devices_together_do_the_work_of_one(model: str, batch: int, context: int, devices: int) -> None:
    """Equality: products and heads of all devices together are those of one, whatever model, batch and context."""

    def products(p: int) -> float:
        calls = served(net, p).calls
        return sum(c.rows["m"] * c.rows["n"] * c.rows["k"] * c.times for c in of_kind(calls, "gemm")) * p

    def heads(p: int) -> float:
        return sum(c.rows["heads"] * c.times for c in of_kind(served(net, p).calls, "attention_decode")) * p

    net = decode(model, batch, context)
    assert products(devices) == pytest.approx(products(1))
    assert heads(devices) == heads(1)


def test_all_products_with_weights_are_kept() -> None:
    """Equality: merging loses no multiply-add: products and attention of the kernels are those of the workload."""
    net = decode()
    calls = served(net).calls
    macs = sum(c.rows["m"] * c.rows["n"] * c.rows["k"] * c.rows["batch"] * c.times for c in of_kind(calls, "gemm"))
    macs += sum(2 * c.rows["batch"] * c.rows["heads"] * c.rows["context"] * c.rows["head_dim"] * c.times
                for c in of_kind(calls, "attention_decode"))  # fmt: skip
    assert macs == net.work.macs


@pytest.mark.parametrize("model", ["bert-base", "vit-b16", "t5-base", "whisper-base", "transformer"])
def test_forward_passes_keep_their_work(model: str) -> None:
    """Equality: encoders, decoders and attention across them: multiply-adds of the kernels are those of the workload."""
    net = pj.read_model(model, batch=2)
    macs = 0.0
    for c in served(net).calls:
        r = c.rows
        if c.kind == "gemm":
            macs += r["m"] * r["n"] * r["k"] * r["batch"] * c.times
        elif c.kind == "attention_prefill":
            macs += 2 * r["batch"] * r["heads"] * r["length"] ** 2 * r["head_dim"] * c.times
    assert macs == pytest.approx(net.work.macs, rel=1e-9)


def test_a_prompt_is_attention_of_its_length() -> None:
    """By hand: BERT-base on 128 tokens: twelve heads of 64, 128 long, and no cache."""
    found = served(pj.read_model("bert-base", batch=2))
    one = of_kind(found.calls, "attention_prefill")[0].rows
    assert (one["batch"], one["length"], one["heads"], one["head_dim"]) == (2, 128, 12, 64)
    assert not of_kind(found.calls, "attention_decode")


@pytest.mark.parametrize(
    ("model", "devices", "said"),
    [("resnet18", 1, "has no attention"), ("gpt2", 8, "12 heads cannot be split over 8"), ("llama3-8b", 16, "16 devices"),
     ("mixtral-8x7b", 2, "mixture of experts")],
)  # fmt: skip
def test_what_cannot_be_served_is_said(model: str, devices: int, said: str) -> None:
    """Message: what has no attention, heads that do not divide, too many devices, routed experts."""
    net = pj.read_model(model) if model == "resnet18" else decode(model, 2, 64)
    with pytest.raises(InputError, match=said):
        served(net, devices)


def test_devices_without_a_link_cannot_share() -> None:
    """Message: a T4 states no link but PCI Express."""
    machine = sheet(pj.read_hardware("t4").architecture)
    if machine.link_bytes_per_s is not None:
        pytest.skip("the T4 has a link now")
    with pytest.raises(InputError, match="no link"):
        step(served(decode(), 2), machine, batch=4)
