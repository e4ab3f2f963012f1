"""Every meter of this machine that needs nothing but what is here."""

import sys
from importlib.util import find_spec
from pathlib import Path

from ._hwmon import HwmonMeter
from ._nvml import NvmlMeter
from ._rapl import RaplMeter
from ._reading import Meter
from ._vendors import AmdMeter, AppleMeter

NO_SENSOR = (
    "no energy sensor here: no RAPL under /sys/class/powercap, no power rail under /sys/class/hwmon, no GPU that a "
    "library reads. Virtual machines and most containers hide them. Nothing is put in their place"
)


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
    if find_spec("amdsmi") is not None and not (amd := AmdMeter()).missing:
        found.append(amd)
    if sys.platform == "darwin":
        found.append(AppleMeter())
    return tuple(found)


def _gpu_file(root: Path) -> bool:
    return any((root / "dev").glob("nvidia[0-9]*"))
