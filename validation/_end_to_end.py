"""Whole FP32 transformers, inference and training, on twelve GPUs: each predicted from operators."""

from dataclasses import dataclass
from pathlib import Path

from picojoule.devices import Sheet, total

from ._sets import Line, lines_of
from ._sheets import assumed, sheet_of
from ._transformers import SHAPES, eager

_DEVICES = {
    "AMD_Instinct_MI100": "mi100", "AMD_Instinct_MI210": "mi210", "AMD_Instinct_MI250": "mi250-die",
    "NVIDIA_A100-PCIE-40GB": "a100-pcie-40gb", "NVIDIA_A100-SXM4-40GB": "a100-sxm-40gb", "NVIDIA_A100_80GB_PCIe": "a100-pcie-80gb",
    "NVIDIA_H100_80GB_HBM3": "h100-sxm", "NVIDIA_L4": "l4", "Tesla_P100-PCIE-16GB": "p100-pcie", "Tesla_P4": "p4", "Tesla_T4": "t4",
    "Tesla_V100-PCIE-32GB": "v100-pcie",
}  # fmt: skip
_MEASURED = frozenset({"a100-pcie-40gb", "a100-pcie-80gb", "p100-pcie", "p4", "v100-pcie"})


@dataclass(frozen=True)
class Network:
    """One labelled run: seconds measured, predicted calibrated on operators (None if not), and by the sheet alone."""

    name: str
    device: str
    mode: str
    measured_s: float
    calibrated_s: float | None
    sheet_s: float
    roofline_s: float
    low_s: float | None = None
    high_s: float | None = None
    odd: bool = False  # a training label whose forward pass takes more than ODD of its backward pass


def networks(data: Path) -> list[Network]:
    """Every dense run on one device. Mixtures and runs over four devices are left out."""
    found = []
    for x in lines_of(data / "gpu_end_to_end.csv"):
        if x["model"] in SHAPES and x["extra"] in ("", "fusion"):
            found.append(_network(x))
    return found


def _network(x: Line) -> Network:
    sheet = sheet_of(_DEVICES[x["device"]])
    fused, train = x["extra"] == "fusion", x["mode"] == "train"
    times = 1 + assumed("backward") if train else 1.0
    layers = int(float(x["num_layer"] or 0))

    def run(sheet: Sheet, without: frozenset[str]) -> tuple[float, float | None, float | None]:
        calls = eager(SHAPES[x["model"]], int(x["batch"]), int(x["seq"]), fused=fused, train=train, layers=layers)
        kernels = sum(c.times for c in calls)
        one = total(calls, sheet, without=without)
        least = kernels * assumed("host_launch")
        return (
            times * max(one.time_s, least),
            one.time_low_s and times * one.time_low_s,
            one.time_high_s and times * one.time_high_s,
        )

    sheet_s, low, high = run(sheet, frozenset({sheet.name}))
    own = run(sheet, frozenset())[0] if sheet.name in _MEASURED else None
    calls = eager(SHAPES[x["model"]], int(x["batch"]), int(x["seq"]), fused=fused, train=train, layers=layers)
    operations = sum(
        2 * c.rows["m"] * c.rows["n"] * c.rows["k"] * c.rows["batch"] * c.times for c in calls if c.kind == "gemm"
    )
    return Network(
        f"{x['case']} {x['extra']}".strip(),
        sheet.name,
        x["mode"],
        float(x["e2e_latency"]) * 1e-3,
        own,
        sheet_s,
        times * operations / sheet.peak("float32"),
        low,
        high,
        _odd(x),
    )


ODD = 0.8  # elsewhere it is a half: these labels hold something else besides


def _odd(x: Line) -> bool:
    forward, backward = (float(x[c] or 0) for c in ("fw_latency", "bwall_latency"))
    return x["mode"] == "train" and backward > 0 and forward > ODD * backward
