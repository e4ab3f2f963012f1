"""Training steps of large language models: Megatron's Table 5 on A100, and llm-foundry's runs on A100 and H100."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from picojoule.devices import Call, Sheet, predict, total

from ._sets import lines_of
from ._sheets import assumed, sheet_of

# recalled, of arXiv:2205.05198 Table 3: layers, width, heads, pipeline stages, sequences of a step, micro-batch, chunks
_MEGATRON = {
    "megatron-22B": (48, 6144, 64, 1, 4, 4, 1), "gpt3-175B": (96, 12288, 96, 8, 64, 1, 3),
    "turing-530B": (105, 20480, 128, 35, 280, 1, 3), "megatron-1T": (128, 25600, 160, 64, 512, 1, 1),
}  # fmt: skip
_TENSOR, _LENGTH, _WORDS = 8, 2048, 51200
_CORE = slice(4, 8)  # of the calls of a layer: both products of attention, its softmax and dropout
# published of the MPT family: layers, width, heads
_FOUNDRY = {"125m": (12, 768, 12), "350m": (24, 1024, 16), "760m": (24, 1536, 12), "1b": (24, 2048, 16), "3b": (32, 2560, 20),
            "7b": (32, 4096, 32), "13b": (40, 5120, 40), "30b": (48, 7168, 56), "70b": (80, 8192, 64)}  # fmt: skip


@dataclass(frozen=True)
class Training:
    """One measured training step: seconds measured, predicted, of a plain roofline, and of a peer where the set has it."""

    name: str
    device: str
    measured_s: float
    predicted_s: float
    roofline_s: float
    peer_s: float | None = None
    model: str = ""
    parts: tuple[float, ...] = ()  # products, streams, attention


def megatron(data: Path) -> list[Training]:
    """Steps with full recomputation, tensor parallel over eight A100 of a node, pipelines between nodes."""
    found, sheet = [], sheet_of("a100-sxm-80gb")
    for x in lines_of(data / "megatron_table5.csv"):
        if x["model"] in _MEGATRON:
            found.append(
                _megatron(x["model"], x["recompute"], float(x["measured_step_s"]), float(x["calculon_step_s"]), sheet)
            )
    return found


def _megatron(model: str, recompute: str, measured: float, peer: float, sheet: Sheet) -> Training:
    layers, width, heads, stages, sequences, micro, chunks = _MEGATRON[model]
    tokens, count = micro * _LENGTH, sequences // micro
    layer = _layer_s(tokens, width, heads, micro, recompute == "full", sheet)
    head = (
        3
        * total(
            [Call("gemm", {"m": tokens, "n": _WORDS / _TENSOR, "k": width, "batch": 1}, "bfloat16", sort="PyTorch")],
            sheet,
        ).time_s
    )
    slot = layer * layers / stages
    send = 2 * tokens * width / _TENSOR / assumed("network_bandwidth") + assumed("network_latency")
    step = (count + (stages - 1) / chunks) * (slot + 2 * chunks * send * (stages > 1)) + count * head
    operations = (
        (4 if recompute == "full" else 3) * sequences * _LENGTH * layers * (24 * width**2 + 4 * _LENGTH * width)
    )
    plain = operations / (_TENSOR * stages) / sheet.peak("bfloat16")
    return Training(f"{model} {recompute}", sheet.name, measured, step, plain, peer, model)


def _layer_s(tokens: float, width: float, heads: float, batch: float, full: bool, sheet: Sheet) -> float:
    """Seconds of one layer of one device: forward, what is done again, backward.

    Backward makes two products for each one forward, and moves the same again of all else. The two sums over devices of
    the gradients of a layer's inputs run beside the products that give the gradients of its weights, as Megatron's option
    async_tensor_model_parallel_allreduce has it unless turned off; what is longer than those products is paid. A layer done
    again sums as forward does; of one done again in part (sequence parallel) that part is attention. There each sum is a
    scatter and a gather: two gathers of gradients, half of a layer's sums, precede the products that need them.
    """
    calls = _layer(tokens, width, heads, batch, not full)
    times = total(calls, sheet).times_s
    forward, products = float(times.sum()), sum(times[i] for i, c in enumerate(calls) if c.kind == "gemm")
    sums = float(times[-1])
    beside = (float(times[0]), float(times[2]))  # of queries, keys and values, and of the first of the feed-forward
    exposed = sum(max(0.0, sums / 2 - product) for product in beside) + (0.0 if full else sums / 2)
    again = forward if full else float(times[_CORE].sum())
    return forward + again + forward - sums + products + exposed


def _layer(tokens: float, width: float, heads: float, batch: float, sequence_parallel: bool) -> list[Call]:
    """One layer of one device, forward: four products, attention by products and a fused softmax, norms, dropout, sums."""
    d, inner, dtype, own = width, 4 * width / _TENSOR, "bfloat16", heads / _TENSOR
    size, scores = d / heads, batch * own * _LENGTH
    share = 1 / _TENSOR if sequence_parallel else 1.0
    products = ((3 * d / _TENSOR, d), (d, d / _TENSOR), (inner, d), (d, inner))
    calls = [Call("gemm", {"m": tokens, "n": n, "k": k, "batch": 1}, dtype, sort="PyTorch") for n, k in products]
    calls += [Call("gemm", {"m": _LENGTH, "n": _LENGTH, "k": size, "batch": batch * own}, dtype, sort="PyTorch"),
              Call("gemm", {"m": _LENGTH, "n": size, "k": _LENGTH, "batch": batch * own}, dtype, sort="PyTorch")]  # fmt: skip
    moved = (("softmax", 4 * scores * _LENGTH, scores, 1), ("addition", 5 * scores * _LENGTH, scores, 1),
             ("activation", 4 * tokens * inner, tokens, 1), ("norm", 4 * tokens * d * share, tokens, 2),
             ("addition", 7 * tokens * d * share, tokens, 2))  # fmt: skip
    calls += [
        Call("stream", {"bytes": size_bytes, "rows": rows}, dtype, times, sort=sort)
        for sort, size_bytes, rows, times in moved
    ]
    return [*calls, Call("all_reduce", {"bytes": 2 * tokens * d, "devices": _TENSOR}, dtype, 2)]


def foundry(data: Path) -> list[Training]:
    """One micro-step of one device from its operators; the rest of the step is fitted on other models (see `overhead`)."""
    found = []
    for x in lines_of(data / "llm_foundry_mfu.csv"):
        if "fp8" in x["Precision"] or x["Activation CPUOffload"] == "True" or x["Model"] not in _FOUNDRY:
            continue
        layers, width, heads = _FOUNDRY[x["Model"]]
        length, micro = float(x["SeqLen (T)"]), float(x["MicroBatchSize"])
        device = {"a100_40gb": "a100-sxm-40gb", "a100_80gb": "a100-sxm-80gb", "h100_80gb": "h100-sxm"}[x["GPU"]]
        sheet = sheet_of(device)
        without = frozenset({device}) if device == "h100-sxm" else frozenset()
        again = 1.0 if x["Activation Checkpointing"] == "True" else 0.0
        predicted = _micro(
            layers,
            width,
            heads,
            length,
            micro,
            again,
            sheet_of("a100-sxm-80gb") if device == "a100-sxm-40gb" else sheet,
            without,
        )
        tokens = micro * length
        measured = tokens / float(x["Throughput (T/s/GPU)"])
        work = (6 + 2 * again) * tokens * (12 * layers * width**2 + 50368 * width) + (
            12 + 4 * again
        ) / 2 * 2 * tokens * length * layers * width / 2
        found.append(Training(f"{x['Model']} {x['SeqLen (T)']} x{x['# GPUs']}", device, measured, sum(predicted),
                              work / sheet.peak("bfloat16"), None, x["Model"], predicted))  # fmt: skip
    return found


def _micro(layers: int, width: float, heads: int, length: float, batch: float, again: float, sheet: Sheet,
           without: frozenset[str]) -> tuple[float, float, float]:  # fmt: skip
    """Seconds of products, of streams and of attention in one micro-step, forward and backward."""
    t, dtype = batch * length, "bfloat16"
    dense = [Call("gemm", {"m": t, "n": n, "k": k, "batch": 1}, dtype, sort="PyTorch") for n, k in
             ((3 * width, width), (width, width), (4 * width, width), (width, 4 * width))]  # fmt: skip
    moves = [Call("stream", {"bytes": b * t, "rows": t}, dtype, times, sort=sort) for sort, b, times in
             (("norm", 8 * width, 2), ("activation", 16 * width, 1), ("addition", 6 * width, 2))]  # fmt: skip
    head = total(
        [Call("gemm", {"m": t, "n": 50368, "k": width, "batch": 1}, dtype, sort="PyTorch")], sheet, without=without
    ).time_s
    products = total(dense, sheet, without=without).time_s
    rest = total(moves, sheet, without=without).time_s
    rows = {"batch": np.array([batch]), "length": np.array([length]), "heads": np.array([float(heads)]), "kv_heads": np.array([float(heads)]),
            "head_dim": np.array([width / heads]), "window": np.array([0.0]), "kv_bytes": np.array([2.0])}  # fmt: skip
    attention = float(predict("attention_prefill", rows, dtype, sheet, without=without).time_s[0])
    if sheet.name == "h100-sxm":  # what the library knows are kernels written for it, a year later
        attention *= assumed("flash3_h100") / assumed("flash2_h100")
    # fused attention makes five products in its backward pass for two in its forward
    return (layers * (3 + again) * products + 3 * head, layers * (2 + again) * rest, layers * (3.5 + again) * attention)


def factors(points: list[Training]) -> tuple[float, ...]:
    """What each part of a step takes over its operators alone: non-negative, least squares in relative error."""
    table = np.array([[part / p.measured_s for part in p.parts] for p in points])
    best, least = np.ones(table.shape[1]), np.inf
    for size in range(1, table.shape[1] + 1):
        for use in combinations(range(table.shape[1]), size):
            x = np.linalg.lstsq(table[:, use], np.ones(len(points)), rcond=None)[0]
            wrong = float(np.sum((table[:, use] @ x - 1) ** 2))
            if (x >= 0).all() and wrong < least:
                best, least = np.zeros(table.shape[1]), wrong
                best[list(use)] = x
    return tuple(float(x) for x in best)


def scaled_s(p: Training, by: tuple[float, ...]) -> float:
    """Predicted seconds with those factors."""
    return float(np.dot(p.parts, by))
