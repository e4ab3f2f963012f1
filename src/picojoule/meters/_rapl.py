"""Energy counters of x86 processors through Linux powercap (RAPL), read as files. Needs no library and no MSR.

A package contains its cores and uncore; dram is beside it; psys is the whole platform and contains the package. The
memory-mapped twin (intel-rapl-mmio) counts the same joules again. The total therefore takes packages and drams; psys
only where no package is there. Counters wrap at max_energy_range_uj; a thread reads them often enough to see each wrap.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from picojoule.quantity import Scope

from ._poll import Poll
from ._reading import Reading, Role, unknown

POWERCAP: Final = Path("sys/class/powercap")
# No socket draws more: bounds the time in which a counter can come round.
MOST_WATTS: Final = 2000.0
LONGEST_POLL_S: Final = 60.0
_ZONE: Final = re.compile(r"(?P<control>[a-z]+(?:-[a-z]+)*?)(?P<index>(?::\d+)+)$")
_HINT: Final = (
    "permission denied on {path}: kernels show this counter to root alone (CVE-2020-8694). Try: "
    "sudo chmod a+r {glob} (until reboot), or the udev rule "
    'SUBSYSTEM=="powercap", ACTION=="add", RUN+="/bin/chmod a+r /sys%p/energy_uj"'
)


@dataclass(slots=True)
class _Domain:
    """One counter: where it is, what it is called, and what it has counted since start [uJ]."""

    path: Path
    name: str
    role: Role
    range_uj: int
    last: int = 0
    total: int = 0
    trouble: str = ""


class RaplMeter:
    """Joules of every RAPL domain under `root` (tests give a fake tree). `read` reads one file."""

    shortest_window_s = 0.05  # the counters move about every millisecond

    def __init__(self, root: Path | str = "/", *, read: Callable[[Path], str] = Path.read_text,
                 clock: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self.root, self._read, self._clock = Path(root) / POWERCAP, read, clock
        self.domains = _domains(self.root, read)
        shortest = min((d.range_uj for d in self.domains if d.range_uj), default=0)
        self.interval_s = min(LONGEST_POLL_S, shortest / 1e6 / (2 * MOST_WATTS)) if shortest else LONGEST_POLL_S
        self._poll = Poll(self.sample, self.interval_s)
        self._lock = Lock()
        self._began = 0.0

    def start(self) -> None:
        """Open a window."""
        for domain in self.domains:
            domain.total, domain.trouble = 0, ""
            domain.last = self._counter(domain)
        self._began = self._clock()
        if self.domains:
            self._poll.start()

    def sample(self) -> None:
        """Read every counter once; a smaller value than before has wrapped."""
        with self._lock:
            self._sample()

    def _sample(self) -> None:
        for domain in self.domains:
            if domain.trouble:
                continue
            now = self._counter(domain)
            if domain.trouble:
                continue
            step = now - domain.last
            if step < 0 and not domain.range_uj:
                domain.trouble = f"{domain.path / 'energy_uj'} fell and its range is not known: the sum is lost"
                continue
            domain.total += step if step >= 0 else step + domain.range_uj
            domain.last = now

    def stop(self) -> tuple[Reading, ...]:
        """Close the window."""
        self._poll.stop()
        seconds = self._clock() - self._began
        self.sample()
        return tuple(self._reading(domain, seconds) for domain in self.domains)

    def _reading(self, domain: _Domain, seconds: float) -> Reading:
        scope: Scope = "board" if domain.name.startswith("psys") else "device"
        source = f"RAPL {domain.path.name}"
        if domain.trouble:
            return unknown(domain.name, source, domain.trouble, seconds, scope, domain.role)
        note = "the whole socket, other programs included" if domain.role == "own" else _WHY[domain.role]
        return Reading(domain.total / 1e6, seconds, "measured", domain.name, scope, source, note, domain.role)

    def _counter(self, domain: _Domain) -> int:
        path = domain.path / "energy_uj"
        try:
            return int(self._read(path))
        except PermissionError:
            domain.trouble = _HINT.format(path=path, glob=self.root / "*/energy_uj")
        except OSError as error:
            went = f"after {self._clock() - self._began:.1f} s " if self._began else ""
            domain.trouble = f"the sensor {path} went away {went}({error.strerror or error})"
        except ValueError:
            domain.trouble = f"{path} does not hold a whole number"
        return domain.last


_WHY: Final[dict[Role, str]] = {
    "part": "inside its package: not added to the total",
    "overlap": "contains the packages: not added to the total",
}


def _domains(root: Path, read: Callable[[Path], str]) -> list[_Domain]:
    """The counters under `root`, each once: a name that is there already is the same joules by another road."""
    found: list[_Domain] = []
    names: dict[str, str] = {}
    for path in _zones(root):
        match = _ZONE.match(path.name)
        assert match is not None
        text = _text(path / "name", read)
        if not text or not _has_counter(path, read):
            continue
        name = _full_name(text, path, match["index"], root, read)
        if names.setdefault(name, match["control"]) != match["control"] or any(d.name == name for d in found):
            continue  # the same joules by another road
        found.append(_Domain(path, name, _role(text), _range(path, read)))
    if not any(d.role == "own" for d in found):
        for domain in found:
            domain.role = "own" if domain.role == "overlap" else domain.role
    return found


def _zones(root: Path) -> list[Path]:
    """Zones of every control type; the plain ones before their memory-mapped twins."""
    try:
        paths = [path for path in root.iterdir() if _ZONE.match(path.name)]
    except OSError:
        return []
    nested = [inner for path in paths for inner in path.glob(f"{path.name}:*") if _ZONE.match(inner.name)]
    return sorted([*paths, *nested], key=lambda p: ("mmio" in p.name, p.name.count(":"), p.name))


def _full_name(name: str, path: Path, index: str, root: Path, read: Callable[[Path], str]) -> str:
    """ "dram" of package 1 is "dram-1"; a name that carries its number, or of which one exists, stays."""
    parts = index.split(":")[1:]
    if len(parts) < 2:
        return name
    parent = _text(root / path.name.rsplit(":", 1)[0] / "name", read)
    socket = re.search(r"\d+", parent)
    return f"{name}-{socket[0] if socket else parts[0]}"


def _role(name: str) -> Role:
    if name.startswith(("package", "dram")):
        return "own"
    return "overlap" if name.startswith("psys") else "part"


def _has_counter(path: Path, read: Callable[[Path], str]) -> bool:
    """A counter that may not be read is one; a zone without the file is none."""
    try:
        read(path / "energy_uj")
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _range(path: Path, read: Callable[[Path], str]) -> int:
    text = _text(path / "max_energy_range_uj", read)
    return int(text) if text.isdecimal() else 0


def _text(path: Path, read: Callable[[Path], str]) -> str:
    try:
        return read(path).strip()
    except OSError:
        return ""
