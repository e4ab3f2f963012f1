"""What processor this is, as far as the system says: title, cores, caches. Names of hosts and users are never read."""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SIZES: Final = {"K": 1024, "M": 1024**2, "": 1}


@dataclass(frozen=True, slots=True)
class Host:
    """`caches`: level to bytes of all caches of that level together; empty where the system does not say."""

    title: str
    vendor: str
    cores: int
    caches: dict[int, int]

    @property
    def last_cache(self) -> int:
        """Bytes of the outermost cache, 0 if unknown."""
        return self.caches[max(self.caches)] if self.caches else 0


def read_host(root: Path | str = "/") -> Host:
    """The processor of this machine, from /proc and /sys under `root`."""
    root = Path(root)
    text = _read(root / "proc/cpuinfo")
    title = _field(text, "model name") or _field(text, "Model") or platform.processor() or platform.machine()
    vendor = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}.get(_field(text, "vendor_id"), "")
    return Host(sanitised(title) or "CPU", vendor, usable_cores(), _caches(root / "sys/devices/system/cpu"))


def usable_cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sanitised(title: str) -> str:
    """A model name in plain characters: letters, digits, blanks and . @ ( ) + -, at most 60 of them."""
    return " ".join(re.sub(r"[^A-Za-z0-9 .@()+-]", " ", title).split())[:60].strip()


def load_average() -> float | None:
    """Mean number of running processes over one minute, where the system tells it."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _caches(root: Path) -> dict[int, int]:
    """Bytes by level over all CPUs; a cache shared by CPUs counts once."""
    found: dict[tuple[int, str, str], int] = {}
    for index in sorted(root.glob("cpu[0-9]*/cache/index*")):
        if _read(index / "type").strip() == "Instruction":
            continue
        size = re.fullmatch(r"(\d+)([KM]?)", _read(index / "size").strip())
        level = _read(index / "level").strip()
        if size and level.isdecimal():
            shared = _read(index / "shared_cpu_list").strip() or str(index)
            found[int(level), shared, _read(index / "type").strip()] = int(size[1]) * _SIZES[size[2]]
    totals: dict[int, int] = {}
    for (number, _, _), n_bytes in found.items():
        totals[number] = totals.get(number, 0) + n_bytes
    return totals


def _field(text: str, name: str) -> str:
    match = re.search(rf"^{name}\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
