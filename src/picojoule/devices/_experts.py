"""Time of a fused mixture-of-experts layer: gate, up and down products of the experts that tokens were sent to.

    active = E_local·(1 − (1 − top_k/E)^T)^(1/(1 + skew·c)),    E_local = E / expert_parallel
    t = t0 + (t_c^p + t_m^p)^(1/p) + τ·active
    t_c = 6·padded·hidden·inter / (η_c·peak),  padded = active·tile·ceil(A / (active·tile)), least over tiles 16 … 128
    t_m = (active·3·hidden·inter·bytes + T·top_k·(6·hidden + 8·inter)·2) / (η_m·bandwidth)

A = T·top_k/expert_parallel tokens reach this device. Weights of an expert are read once if any token asks for it;
activations of all T·top_k rows move even when experts are spread over devices. Small tiles reach less of the peak (a).
Left out: the network between devices (see collectives), capacity limits.
"""

import numpy as np

from ._law import Array, Law, Parameter, Rows, Time, blend, columns, number_format
from ._sheet import Sheet

COLUMNS = ("tokens", "hidden", "inter", "top_k", "experts", "tensor_parallel", "expert_parallel", "skew")
TILES = (16.0, 32.0, 64.0, 128.0)
PARAMETERS = (
    Parameter("compute_share", "1", "share of the sheet's peak at a tile of 128", 0.03, 1.2),
    Parameter("memory_share", "1", "share of the sheet's bandwidth", 0.1, 1.4),
    Parameter("launch_cycles", "cycles", "the kernels of the layer, launched", 5e3, 1e6),
    Parameter("blend", "1", "how far compute and memory overlap: 1 not at all", 1, 12),
    Parameter("edge", "1", "loss of small tiles", 0.1, 300),
    Parameter("expert_cycles", "cycles", "one more active expert", 1, 5e3),
    Parameter("skew_exponent", "1", "how much an uneven choice thins the active experts", 0.01, 5),
    Parameter("activation_passes", "1", "passes over the activations", 0.1, 10),
)


def prepare(rows: Rows, sheet: Sheet, dtype: str) -> Time:
    """Seconds of each row."""
    tokens, hidden, inter, top_k, experts, tensor, expert, skew = columns(rows, COLUMNS)
    store, width = number_format(dtype), inter / tensor
    arrived = tokens * top_k / expert
    touched = 1 - (1 - np.minimum(1, top_k / experts)) ** tokens
    activation_s = 2 * tokens * top_k * (6 * hidden + 8 * width) / sheet.bandwidth_bytes_per_s
    weight_s = 3 * hidden * width * store.b_bytes / sheet.bandwidth_bytes_per_s
    peak, hertz = sheet.peak(store.peak), sheet.clock_hz

    def time(theta: Array) -> Array:
        compute, memory, launch, power, edge, each, thin, passes = np.exp(theta)
        active = np.maximum(1.0, experts / expert * touched ** (1 + skew * thin))
        padded = [
            active * tile * np.ceil(arrived / active / tile) * (1 + edge / tile) / (1 + edge / 128) for tile in TILES
        ]
        t_c = 6 * np.min(padded, axis=0) * hidden * width / (compute * peak)
        t_m = (active * weight_s + passes * activation_s) / memory
        return np.asarray(blend(t_c, t_m, power) + (launch + each * active) / hertz)

    return time


def work(rows: Rows, dtype: str) -> tuple[Array, Array]:
    """Operations, two per MAC, and bytes of active experts and activations, tokens spread evenly."""
    tokens, hidden, inter, top_k, experts, tensor, expert, _ = columns(rows, COLUMNS)
    width, arrived = inter / tensor, tokens * top_k / expert
    active = np.maximum(1.0, experts / expert * (1 - (1 - np.minimum(1, top_k / experts)) ** tokens))
    size = active * 3 * hidden * width * number_format(dtype).b_bytes + 2 * tokens * top_k * (6 * hidden + 8 * width)
    return 6 * arrived * hidden * width, size


def place(rows: Rows, _sheet: Sheet) -> Array:
    """Axes of the residual surface: octaves of tokens, sizes, experts, and the skew."""
    tokens, hidden, inter, top_k, experts, tensor, expert, skew = columns(rows, COLUMNS)
    return np.stack([np.log2(tokens), np.log2(hidden), np.log2(inter / tensor), np.log2(top_k), np.log2(experts / expert),
                     np.log2(expert), 2 * skew, np.log2(tokens * top_k / experts)], axis=1)  # fmt: skip


EXPERTS = Law("experts", COLUMNS, PARAMETERS, prepare, place, ("hidden", "inter", "experts"), work, "experts")
