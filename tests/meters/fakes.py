"""A fake powercap tree, a clock that is set by hand, and fakes of pynvml, amdsmi and the other libraries."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def zone(root: Path, name: str, label: str, uj: int, range_uj: int = 262_143_328_850) -> Path:
    """One powercap zone, as the kernel shows it."""
    path = root / "sys/class/powercap" / name
    path.mkdir(parents=True, exist_ok=True)
    (path / "name").write_text(f"{label}\n")
    (path / "energy_uj").write_text(f"{uj}\n")
    (path / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return path


def server(root: Path) -> dict[str, Path]:
    """Two sockets with dram, cores in the first, psys, and the memory-mapped twin of the first package."""
    return {
        "package-0": zone(root, "intel-rapl:0", "package-0", 1_000_000),
        "core-0": zone(root, "intel-rapl:0:0", "core", 500_000),
        "dram-0": zone(root, "intel-rapl:0:1", "dram", 200_000),
        "package-1": zone(root, "intel-rapl:1", "package-1", 0),
        "dram-1": zone(root, "intel-rapl:1:0", "dram", 0),
        "psys": zone(root, "intel-rapl:2", "psys", 0),
        "twin": zone(root, "intel-rapl-mmio:0", "package-0", 1_000_000),
    }


def put(path: Path, uj: int) -> None:
    """As the kernel does: a reader sees the old number or the new one, never an empty file."""
    (path / "next").write_text(f"{uj}\n")
    (path / "next").rename(path / "energy_uj")


class NVMLError(Exception):
    pass


class Nvml:
    """A pynvml with one GPU; what is in `missing` is not supported, what is in `gone` fails from now on."""

    NVMLError = NVMLError
    NVML_FI_DEV_POWER_INSTANT = 186

    def __init__(self, *, missing: tuple[str, ...] = ()) -> None:
        self.missing, self.mj, self.mw, self.gone = missing, 5_000_000, 100_000, False

    def nvmlInit(self) -> None:  # noqa: N802
        if "driver" in self.missing:
            raise NVMLError("NVML Shared Library Not Found")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> bytes:  # noqa: N802
        return b"Fake GPU"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        return int(self._value("counter", self.mj))

    def nvmlDeviceGetFieldValues(self, handle: int, fields: list[int]) -> list[Any]:  # noqa: N802
        watts = self._value("instant", self.mw)
        return [SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=watts))]

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        return int(self._value("mean", self.mw))

    def _value(self, what: str, value: int) -> int:
        if self.gone or what in self.missing:
            raise NVMLError("GPU is lost" if self.gone else "Not Supported")
        return value
