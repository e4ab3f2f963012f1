"""The numbers of the corrections, recomputed: from counts of the library, its prices, or plain arithmetic."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

Numbers = dict[str, Any]
CHECKS: Final[dict[str, Callable[[], Numbers]]] = {}

# What the documents print and our corrections divide by or set beside.
CNN: Final = "conv3x3(3->32), maxpool 3x3/2, conv3x3(32->64), flatten, fc(->10); 32x32x3"
CNN_POOLED: Final = "conv3x3(3->32), maxpool 3x3/2, conv3x3(32->64), maxpool 2x2/2, flatten, fc(->10); 32x32x3"


def check(function: Callable[[], Numbers]) -> Callable[[], Numbers]:
    """Register a check under its name."""
    CHECKS[function.__name__] = cache(function)
    return function


def _answers(id_: str, **inputs: Any) -> Numbers:
    from ._entries import find, solver_of
    from ._findings import Findings
    from ._task import Task, merge

    entry, places = find(id_)
    task = Task(id_, merge(id_, entry.inputs, entry.fixed, {**places, **inputs}, True), None, entry.hardware)
    findings = Findings()
    solver = solver_of(entry.id)
    assert solver is not None  # every exercise that a check asks computes
    solver(task, findings)
    return {name: quantity.value for name, quantity in findings.answers.items()}


def _joule(entry: str, n_bytes: float | None = None) -> tuple[float, float, float]:
    """Low, nominal and high energy [J] of one access, or of `n_bytes`, by an entry of the catalogue."""
    from picojoule.formats import catalogue_entry

    found = catalogue_entry(entry)
    factor = 1.0 if n_bytes is None else n_bytes * (8 if found.per == "bit" else 1)
    return found.value.low * factor, found.value.nominal * factor, found.value.high * factor


@check
def cpu_access() -> Numbers:
    """64 B at DDR5 and DDR4 prices."""
    return {"low_nj": _joule("dram_ddr5", 64)[1] * 1e9, "high_nj": _joule("dram_ddr4", 64)[1] * 1e9,
            "byte_low_pj": _joule("dram_ddr5", 1)[1] * 1e12, "byte_high_pj": _joule("dram_ddr4", 1)[1] * 1e12}  # fmt: skip


@check
def gpu_access() -> Numbers:
    """A 32 B sector at measured prices of the path from DRAM."""
    low, high = sorted((_joule("rtx3090_dram", 32)[1], _joule("k40_dram", 32)[1]))
    return {"low_nj": low * 1e9, "high_nj": high * 1e9, "low_ratio": 0.01e-3 / high, "high_ratio": 1e-3 / low}


@check
def cache_access() -> Numbers:
    """Published reads of 64 bits against an 8-bit addition."""
    return {"small_pj": _joule("jp7_sram8kb")[1] * 1e12, "large_pj": _joule("hz45_sram1mb")[1] * 1e12,
            "add_pj": _joule("hz45_int_add8")[1] * 1e12}  # fmt: skip


@check
def cnn_traffic() -> Numbers:
    """The little network's bytes, layer by layer."""
    table = _answers("000.12", model=CNN)
    return {
        "out1": table["conv1"]["output"], "w1": table["conv1"]["weight"], "in2": table["conv2"]["input"],
        "out2": table["conv2"]["output"], "w2": table["conv2"]["weight"], "conv1": table["conv1"]["total"],
        "conv2": table["conv2"]["total"], "fc": table["fc"]["total"], "all": table["all"],
        "fc_in": table["fc"]["input"], "fc_w": table["fc"]["weight"], "elements1": table["conv1"]["output"] // 4,
        "elements2": table["conv2"]["output"] // 4, "pooled_fc": _answers("000.12", model=CNN_POOLED)["fc"]["total"],
        "factor_out2": 29491 / (table["conv2"]["output"] // 4), "factor_w2": 55296 / (table["conv2"]["weight"] // 4),
    }  # fmt: skip


@check
def double_bytes() -> Numbers:
    """What the formula gives if sizes are bytes already."""
    right = _answers("000.12", model=CNN)["conv1"]["total"]
    return {"right": right, "wrong": right * 4}


@check
def floor_missing() -> Numbers:
    """A size that does not divide: 32 by 3, stride 2."""
    return {"right": _answers("004-out", n=32, k=3, stride=2, pad=[0])["out"][0], "wrong": (32 - 3) / 2 + 1}


@check
def mlp_parameters() -> Numbers:
    """33-512-10."""
    table = _answers("2.2")
    return {"biases": table["biases"], "params": table["params"]}


@check
def activation_ranges() -> Numbers:
    """PReLU and ELU on the document's grid."""
    table = _answers("2.4")
    return {"prelu": table["prelu_a_minus_0_01"][0], "elu": table["elu_a_minus_0_01"][0],
            "prelu_positive": table["prelu_a_0_01"][0]}  # fmt: skip


@check
def bias_gradient() -> Numbers:
    """dL/db at w = 0.5, x = 2, b = 0.1, t = 1, and the document's sign."""
    db = _answers("2.10")["db"]
    return {"right": db, "wrong": -db}


@check
def alexnet_counts() -> Numbers:
    """Parameters and neurons of AlexNet, its last layer, the other networks."""
    from ._counts import network
    from .networks import network_counts

    rows = {name: network_counts(network(name)) for name in ("alexnet_orig", "alexnet_tv", "vgg19", "resnet152")}
    layers = _answers("3.1-alexnet-layers")
    return {
        "fc8": layers["fc8"]["params"], "params": rows["alexnet_orig"]["params"],
        "neurons": rows["alexnet_orig"]["neurons"], "with_input": rows["alexnet_orig"]["neurons_with_input"],
        "pixels": rows["alexnet_orig"]["neurons_with_input"] - rows["alexnet_orig"]["neurons"],
        "vgg19": rows["vgg19"]["neurons"], "resnet152": rows["resnet152"]["neurons"],
        "params_tv": rows["alexnet_tv"]["params"], "tv_m": rows["alexnet_tv"]["macs"] / 1e6,
        "vgg19_g": rows["vgg19"]["macs"] / 1e9, "resnet152_g": rows["resnet152"]["macs"] / 1e9,
    }  # fmt: skip


@check
def torchinfo() -> Numbers:
    """The printed mult-adds by their cause."""
    table = _answers("3.1-torchinfo-cause")
    return {"tv_m": table["alexnet_tv"] / 1e6, "vgg19_g": table["vgg19"] / 1e9, "resnet152_g": table["resnet152"] / 1e9,
            **{f"true_{name}": value for name, value in alexnet_counts().items() if name in _TRUE}}  # fmt: skip


_TRUE: Final = ("tv_m", "vgg19_g", "resnet152_g")


@check
def mebibytes() -> Numbers:
    """Parameters of torchvision's AlexNet in both units."""
    mib = _answers("3.1-sizes")["alexnet_tv"]["params"]
    return {"mib": mib, "mb": mib * 2**20 / 1e6}


@check
def lstm_parameters() -> Numbers:
    """Gates with weights of their own, against an input gate equal to the forget gate."""
    right = _answers("3.7-lstm", input=128, hidden=256)["params_one_bias"]
    return {"right": right, "wrong": right * 3 // 4}


@check
def product_speedup() -> Numbers:
    """The log's own times."""
    return {"speedup": _answers("4.3")["seed_speedup"]}


@check
def vgg_second_pool() -> Numbers:
    """Height, width, channels after the second pool of VGG19."""
    height, width, channels = _answers("4.9")["hwc"][1]
    return {"height": height, "width": width, "channels": channels}


@check
def amdahl() -> Numbers:
    """The whole speed-up with shares by MACs."""
    return {"speedup": _answers("6.2")["speedup"]}


@check
def memory_bound() -> Numbers:
    """Exercise 6.3."""
    table = _answers("6.3")
    two, four = table["speedup_12_8GBps"]
    return {
        "two": two,
        "four": four,
        "bits_two": table["speedup_12_8Gbps"][0],
        "bits_four": table["speedup_12_8Gbps"][1],
    }


@check
def land() -> Numbers:
    """700 million square miles against the Earth: radius 6,371 km, 29.2 % land."""
    from math import pi

    mile_km = 1.609344
    earth = 4 * pi * 6371.0**2 / mile_km**2 / 1e6
    return {"earth": earth, "land": earth * 0.292, "claim_over_earth": 700 / earth}


@check
def energy_cost() -> Numbers:
    """A price is per energy: 0.1 of a currency per kWh for one kWh, whatever the time."""
    from picojoule.quantity import parse_quantity

    return {"joule": parse_quantity("1 kWh", "J")}


@check
def load() -> Numbers:
    """CIFAR-10 bytes, and storage prices of the library per byte."""
    data = 60_000 * 32 * 32 * 3
    nvme, disk = _joule("io_nvme_ssd", 1)[1], _joule("io_hdd_seq", 1)[1]
    return {"data_mb": data / 1e6, "nvme_nj": nvme * 1e9, "hdd_nj": disk * 1e9, "over_nvme": 1.8e-6 / nvme,
            "over_hdd": 1.8e-6 / disk, "model_j": 4.5e6 * 1.8e-6, "data_j": data * 1.8e-6, "right_j": data * nvme}  # fmt: skip


@check
def image_bytes() -> Numbers:
    """One 32 x 32 x 3 image."""
    from picojoule.workload import Tensor

    pixels = (32, 32, 3)
    return {"uint8": Tensor("x", pixels, "uint8").bytes_of(32 * 32 * 3),
            "float32": Tensor("x", pixels, "float32").bytes_of(32 * 32 * 3), "places": 32 * 32}  # fmt: skip


@check
def preprocess_quotient() -> Numbers:
    """1024 KB / (10^6 · 10^3)."""
    return {"left": 1024e3 / (1e6 * 1e3)}


@check
def transfer() -> Numbers:
    """300 ns a megabyte against PCIe 4 x16, and the library's copy price."""
    rate = 16e9 * 16 / 8 * 128 / 130  # 16 lanes of 16 GT/s, 128 of 130 bits carry data
    return {"implied_tbps": 1e6 / 300e-9 / 1e12, "right_us": 1e6 / rate * 1e6, "ratio": 1e6 / 300e-9 / rate,
            "mj": _joule("io_h2d_copy", 1e6)[1] * 1e3}  # fmt: skip


@check
def gradient_work() -> Numbers:
    """Backward MACs of AlexNet: both gradients, without the first layer's input gradient."""
    from ._counts import network
    from .networks import network_counts

    row = network_counts(network("alexnet_orig"))
    return {"forward": row["macs"], "backward": row["training_macs_per_sample"] - row["macs"]}


@check
def update_energy() -> Numbers:
    """20 B a parameter (momentum) at measured prices of the path from DRAM."""
    moved = _answers("2.3")["momentum_bytes_per_parameter"]
    low, high = sorted((_joule("rtx3090_dram", moved)[1], _joule("k40_dram", moved)[1]))
    return {
        "moved": moved,
        "low_nj": low * 1e9,
        "high_nj": high * 1e9,
        "low_ratio": 8e-6 / high,
        "high_ratio": 8e-6 / low,
    }


@check
def rates() -> Numbers:
    """100 MFLOPS."""
    return {"right": 100e6, "wrong": 1e9}


@check
def core_energy() -> Numbers:
    """1.2e9 · 8e-9 · 8e-9."""
    return {"value": 1.2e9 * 8e-9 * 8e-9}


@check
def pipeline_forms() -> Numbers:
    """t(N-1)/N·P/1000 against t·N·P/1000: their ratio at N = 4."""
    n = 4
    return {"ratio": n / ((n - 1) / n), "n": n}


@check
def watt_units() -> Numbers:
    """A kilowatt-hour in millijoules."""
    return {"mj": _answers("002-units")["joule"] * 1e3, "number": _answers("002-units")["mJ_per_kWh_as_number"]}


@check
def total_factor() -> Numbers:
    """10^3 / 10^-6 in the total."""
    return {"factor": 10**3 / 10**-6}


@check
def code_terms() -> Numbers:
    """1.8 uJ/B + 300 ns/MB added as numbers, and the factor that does nothing."""
    return {"sum": 1.8 + 300, "factor": 10**3 * 10 ** (-3)}


@check
def norms() -> Numbers:
    """[1, -2, 3]."""
    vector = (1, -2, 3)
    right = sum(v * v for v in vector) ** 0.5
    return {"right": right, "wrong": right**0.5}


@check
def convolution_length() -> Numbers:
    """32 by 3."""
    table = _answers("004-out", n=32, k=3, stride=1, pad=[0])
    return {"right": table["out"][0], "wrong": table["seed_value"] + 0}


@check
def convolution_parameters() -> Numbers:
    """64 to 128, 3 x 3."""
    table = _answers("004-params")
    return {"right": table["params"], "wrong": table["seed_value"]}


@check
def macs_per_parameter() -> Numbers:
    """AlexNet's convolutions, and the share of its parameters in fully connected layers."""
    convolutions, products = _answers("004-mac-not-params"), _answers("004-mac-not-params", part="fc")
    total = convolutions["params"] + products["params"]
    return {"ratio": convolutions["ratio"], "fc_m": products["params"] / 1e6, "all_m": total / 1e6,
            "share": products["params"] / total}  # fmt: skip


@check
def energy_split() -> Numbers:
    """Three disjoint energies of a ResNet-18-like share: a product of joules is no joule."""
    compute, memory, other = 2.0, 4.0, 1.0
    total = compute + memory + other
    return {"sum": total, "product": compute * memory, "shares": (compute + memory + other) / total}


@check
def recurrent_intensity() -> Numbers:
    """MACs per byte of one LSTM step in float32."""
    from ._counts import layer_bytes, macs, weighted
    from .chapter3 import _cell

    workload = _cell("lstm", 128, 256)
    layers = list(weighted(workload))
    moved = sum(layer_bytes(workload, o)["weight"] for o in layers)
    return {"intensity": macs(layers) / moved}


@check
def block_shares() -> Numbers:
    """Shares of a Transformer block at 128 tokens of 768."""
    projections, attention, ffn = _answers("004-transformer-n128")["shares"]
    return {"projections": projections, "attention": attention, "ffn": ffn, "wrong": 0.7 + 0.8 + 0.6}


@check
def layer_norm() -> Numbers:
    """One token of 768."""
    from picojoule.workload import Graph, ops

    g = Graph("norm")
    x = g.input("x", (1, 768))
    ops.layer_norm(g, x, g.parameter("scale", (768,), "norm"), g.parameter("shift", (768,), "norm"))
    work = g.workload().work
    return {"muls": work.muls, "adds": work.adds, "rsqrts": dict(work.special)["rsqrt"]}
