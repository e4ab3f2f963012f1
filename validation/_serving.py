"""Serving of dense language models: seconds of one decoding step and joules of one token, by batch.

A step is the operators of one token of every sequence, and what the server does beside them: `layer_s` for each layer
and `sequence_s` for each sequence, fitted on other models. Prompts of new requests run between steps: batch/output of
one prompt in each. Power is that of the rates of the whole step.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from picojoule.devices import LAWS, POWERS, Call, Rows, Sheet, total
from picojoule.devices._predict import predict
from picojoule.devices._store import knowledge

from ._sets import Line, lines_of
from ._sheets import assumed, sheet_of
from ._transformers import SHAPES, Shape

_MODELS = {"Llama 3.3 70B Instruct": "Llama 3.3 70B", "Llama 3.1 8B Instruct": "Llama 3.1 8B", "Qwen 3 8B": "Qwen 3 8B",
           "Qwen 3 VL 8B Instruct": "Qwen 3 8B"}  # fmt: skip
_TASKS = ("lm-arena-chat", "gpqa")


@dataclass(frozen=True)
class Step:
    """One measured point, and the parts of its prediction: operators, layers and sequences that the host serves."""

    model: str
    task: str
    device: str
    devices: int
    batch: float
    measured_step_s: float
    measured_j: float
    operators_s: float
    operators_j: float
    idle_w: float
    layers: int
    state: str
    roofline_s: float


def steps(data: Path) -> list[Step]:
    """Every 16-bit dense point of the text tasks."""
    found = []
    for x in lines_of(data / "ml_energy.csv"):
        if x["nickname"] in _MODELS and x["weight_precision"] == "bfloat16" and x["task"] in _TASKS:
            found.append(_step(x))
    return found


def step_calls(shape: Shape, batch: float, context: float, parallel: int, prompts: float, prompt: float) -> list[Call]:
    """One token for each of `batch` sequences, and `prompts` prompts of `prompt` tokens beside them."""
    return _pass(shape, batch, batch, context, parallel) + (
        [] if prompts <= 0 else _prompt(shape, prompts, prompt, parallel)
    )


def _pass(shape: Shape, tokens: float, batch: float, context: float, parallel: int) -> list[Call]:
    calls = _dense(shape, tokens, parallel, 1.0)
    rows = {"batch": batch, "context": context, "heads": shape.heads / parallel, "kv_heads": max(1.0, shape.kv_heads / parallel),
            "head_dim": shape.head_dim, "window": 0, "kv_bytes": 2}  # fmt: skip
    return [*calls, Call("attention_decode", rows, "bfloat16", shape.layers)]


def _prompt(shape: Shape, prompts: float, prompt: float, parallel: int) -> list[Call]:
    rows = {"batch": 1, "length": prompt, "heads": shape.heads / parallel, "kv_heads": max(1.0, shape.kv_heads / parallel),
            "head_dim": shape.head_dim, "window": 0, "kv_bytes": 2}  # fmt: skip
    return [
        *_dense(shape, prompt, parallel, prompts),
        Call("attention_prefill", rows, "bfloat16", shape.layers * prompts),
    ]


def _dense(shape: Shape, tokens: float, parallel: int, times: float) -> list[Call]:
    n, d, dtype = shape.layers * times, shape.width, "bfloat16"
    width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim / parallel
    inner, out = shape.inner / parallel, shape.heads * shape.head_dim / parallel
    products = (
        (width, d, n),
        (d, out, n),
        ((2 if shape.gated else 1) * inner, d, n),
        (d, inner, n),
        (shape.vocabulary / parallel, d, times),
    )
    calls = [Call("gemm", {"m": tokens, "n": a, "k": b, "batch": 1}, dtype, t) for a, b, t in products]
    calls += [Call("stream", {"bytes": 8 * tokens * d, "rows": tokens}, dtype, 2 * n, sort="norm"),
              Call("stream", {"bytes": 6 * tokens * inner, "rows": tokens}, dtype, n, sort="activation")]  # fmt: skip
    if parallel > 1:
        calls.append(Call("all_reduce", {"bytes": 2 * tokens * d, "devices": parallel}, dtype, 2 * n))
    return calls


def _step(x: Line) -> Step:
    shape, batch, out = SHAPES[_MODELS[x["nickname"]]], float(x["avg_batch_size"]), float(x["avg_output_len"])
    parallel, prompt = int(float(x["tensor_parallel"])), assumed("prompt_" + x["task"])
    sheet = sheet_of({"H100": "h100-sxm", "B200": "b200-sxm", "H200": "h200-sxm"}[x["gpu_model"]])
    calls = step_calls(shape, batch, prompt + out / 2, parallel, batch / out, prompt)
    one = total([c for c in calls if c.kind != "all_reduce"], sheet, without=frozenset({sheet.name}))
    reduced_s = sum(
        c.times * _reduce_s(float(c.rows["bytes"]), parallel, sheet) for c in calls if c.kind == "all_reduce"
    )
    operations, size = work(calls)
    idle = quiet_w(sheet)
    rate = float(x["output_throughput_tokens_per_sec"])
    plain = max(operations / sheet.peak("bfloat16"), size / sheet.bandwidth_bytes_per_s)
    return Step(x["nickname"], x["task"], sheet.name, int(x["num_gpus"]), batch, batch / rate, float(x["energy_per_token_joules"]),
                one.time_s + reduced_s, (one.energy_j or 0.0) + reduced_s * idle, idle, shape.layers, "sheet", plain)  # fmt: skip


def work(calls: list[Call]) -> tuple[float, float]:
    """Operations and bytes of one device."""
    operations = size = 0.0
    for c in calls:
        rows: Rows = {k: np.array([float(v)]) for k, v in c.rows.items()}
        o, b = LAWS[c.kind].work(rows, c.dtype)
        if c.kind != "all_reduce":
            operations, size = operations + float(o[0]) * c.times, size + float(b[0]) * c.times
    return operations, size


def server(points: list[Step]) -> tuple[float, float]:
    """(layer_s, sequence_s) by non-negative least squares in relative error, over `points`."""
    table = np.array([[p.layers / p.measured_step_s, p.batch / p.measured_step_s] for p in points])
    rest = np.array([1 - p.operators_s / p.measured_step_s for p in points])
    best, least = (0.0, 0.0), float(rest @ rest)
    for use in ((0,), (1,), (0, 1)):
        x = np.linalg.lstsq(table[:, use], rest, rcond=None)[0]
        wrong = rest - table[:, use] @ x
        if (x >= 0).all() and float(wrong @ wrong) < least:
            full = [0.0, 0.0]
            for i, v in zip(use, x, strict=True):
                full[i] = float(v)
            best, least = (full[0], full[1]), float(wrong @ wrong)
    return best


def step_s(p: Step, how: tuple[float, float]) -> float:
    """Predicted seconds of a step."""
    return p.operators_s + how[0] * p.layers + how[1] * p.batch


def token_j(p: Step, seconds: float) -> float:
    """Predicted joules of a token: operators at their own power, the host's time at that of a board that waits."""
    waiting = max(0.0, seconds - p.operators_s) * p.idle_w
    return (p.operators_j + waiting) * p.devices / p.batch


def quiet_w(sheet: Sheet) -> float:
    """Board power while kernels start but do little: the base of the power law, of other devices."""
    law = POWERS["power_attention_decode"]
    known = knowledge(law, "bfloat16", without=frozenset({sheet.name}))
    return float(np.exp(known.prior(sheet, "bfloat16").mean[0])) * (sheet.max_power_w or np.nan)


def _reduce_s(size: float, devices: int, sheet: Sheet) -> float:
    """All-reduce of a serving library's own kernel: one shot, no agreement. Its latency was fitted by others on this set."""
    return assumed("reduce_latency") + 2 * (devices - 1) / devices * size / (
        assumed("reduce_share") * (sheet.link_bytes_per_s or np.nan)
    )


__all__ = ["Step", "predict", "server", "step_calls", "step_s", "steps", "token_j", "work"]
