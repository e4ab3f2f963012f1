"""Every meter of this machine that needs nothing but what is here."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from picojoule.quantity import InputError

from ._adapters import CodeCarbonMeter, ZeusMeter
from ._hwmon import HwmonMeter
from ._nvml import NvmlMeter
from ._rapl import RaplMeter
from ._reading import Meter
from ._vendors import AmdMeter, AppleMeter

NO_SENSOR = (
    "no energy sensor here: no RAPL under /sys/class/powercap, no power rail under /sys/class/hwmon, no GPU that a "
    "library reads. Virtual machines and most containers hide them. Nothing is put in their place"
)

# Every meter by the name that `--meter` takes.
METERS: Final[dict[str, Callable[[], Meter]]] = {
    "rapl": RaplMeter, "hwmon": HwmonMeter, "nvidia": NvmlMeter, "amd": AmdMeter, "apple": AppleMeter,
    "zeus": ZeusMeter, "codecarbon": CodeCarbonMeter,
}  # fmt: skip


def meters_named(names: str) -> tuple[Meter, ...]:
    """The meters of "rapl,nvidia". A meter that was asked for and cannot be read says so in its figures."""
    asked = [name.strip() for name in names.split(",")]
    wrong = [name for name in asked if name not in METERS]
    if wrong:
        raise InputError(f"no meter is named {wrong[0]!r}", expected=f"one of {', '.join(METERS)}",
                         example="picojoule measure --meter rapl,nvidia -- python train.py")  # fmt: skip
    return tuple(METERS[name]() for name in dict.fromkeys(asked))


def find_meters(root: Path | str = "/") -> tuple[Meter, ...]:
    """RAPL and hwmon under `root`; NVIDIA, AMD and Apple where the machine and its library are there."""
    found: list[Meter] = []
    rapl = RaplMeter(root)
    if rapl.domains:
        found.append(rapl)
    hwmon = HwmonMeter(root, whole=not rapl.domains)
    if hwmon.rails:
        found.append(hwmon)
    nvml = NvmlMeter() if find_spec("pynvml") is not None or _gpu_file(Path(root)) else None
    if nvml is not None and (nvml.gpus or _gpu_file(Path(root))):
        found.append(nvml)  # a GPU that cannot be read is shown as unknown
    if (Path(root) / "dev/kfd").exists():
        found.append(AmdMeter())
    if sys.platform == "darwin":
        found.append(AppleMeter())
    return tuple(found)


def _gpu_file(root: Path) -> bool:
    return any((root / "dev").glob("nvidia[0-9]*"))
