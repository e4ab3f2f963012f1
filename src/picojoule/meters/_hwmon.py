"""Power sensors of Linux hwmon (boards, Jetson's INA3221, ACPI power meters): samples of power, integrated.

Sums of rails are not built: which rail contains which is the board's secret, so each rail is shown by itself. A rail
known to carry the whole board (Jetson's VDD_IN), or the only one, is the total where nothing else counts the joules.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ._poll import Integral, Poll
from ._reading import Reading, Role, unknown

HWMON: Final = Path("sys/class/hwmon")
# Chips whose power file is a whole GPU: their own meter reads them.
_OTHERS: Final = ("amdgpu", "nouveau", "i915", "xe")
_WHOLE: Final = ("VDD_IN", "POM_5V_IN", "VDD_MAIN", "5V_IN")


@dataclass(slots=True)
class _Rail:
    name: str
    files: tuple[Path, ...]  # one file of power [uW], or voltage [mV] and current [mA]
    role: Role = "overlap"
    energy: Integral = field(default_factory=Integral)
    trouble: str = ""


class HwmonMeter:
    """Joules of each power rail under `root`, sampled every `interval_s`; `whole`: one of them may be the total."""

    shortest_window_s = 1.0

    def __init__(self, root: Path | str = "/", *, whole: bool = True, interval_s: float = 0.1,
                 read: Callable[[Path], str] = Path.read_text, clock: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self._read, self._clock, self.interval_s = read, clock, interval_s
        self.rails = _rails(Path(root) / HWMON, read)
        if whole:
            _mark_whole(self.rails)
        self._poll = Poll(self.sample, interval_s)
        self._began = 0.0

    def start(self) -> None:
        """Open a window."""
        for rail in self.rails:
            rail.energy, rail.trouble = Integral(), ""
        self._began = self._clock()
        self.sample()
        if self.rails:
            self._poll.start()

    def sample(self) -> None:
        """Read every rail once."""
        for rail in self.rails:
            if rail.trouble:
                continue
            try:
                numbers = [int(self._read(path)) for path in rail.files]
            except PermissionError:
                rail.trouble = f"permission denied on {rail.files[0]}: try sudo chmod a+r {rail.files[0]}"
            except (OSError, ValueError) as error:
                after = self._clock() - self._began
                rail.trouble = f"the sensor {rail.files[0]} went away after {after:.1f} s ({error})"
            else:
                rail.energy.add(self._clock(), numbers[0] * (numbers[1] if len(numbers) > 1 else 1) / 1e6)

    def stop(self) -> tuple[Reading, ...]:
        """Close the window."""
        self._poll.stop()
        self.sample()
        seconds = self._clock() - self._began
        return tuple(self._reading(rail, seconds) for rail in self.rails)

    def _reading(self, rail: _Rail, seconds: float) -> Reading:
        source = f"hwmon {rail.files[0].parent.name}"
        if rail.trouble:
            return unknown(rail.name, source, rail.trouble, seconds, "board", rail.role)
        note = f"integral of {rail.energy.samples} samples"
        if rail.role == "overlap":
            note += "; not added to the total: rails contain one another"
        return Reading(rail.energy.joules, seconds, "measured", rail.name, "board", source, note, rail.role)


def _rails(root: Path, read: Callable[[Path], str]) -> list[_Rail]:
    found = []
    for chip in sorted(root.glob("hwmon*")):
        name = _text(chip / "name", read) or chip.name
        if name in _OTHERS:
            continue
        powers = sorted(chip.glob("power*_input")) or sorted(chip.glob("power*_average"))
        for path in powers:
            label = _text(chip / f"{path.name.rsplit('_', 1)[0]}_label", read)
            found.append(_Rail(f"{name} {label or path.name.split('_')[0]}", (path,)))
        if powers:
            continue
        for current in sorted(chip.glob("curr*_input")):
            index = current.name[4:].split("_")[0]
            voltage = chip / f"in{index}_input"
            if voltage.exists():
                label = _text(chip / f"in{index}_label", read)
                found.append(_Rail(f"{name} {label or f'rail {index}'}", (voltage, current)))
    return found


def _mark_whole(rails: list[_Rail]) -> None:
    whole = [rail for rail in rails if rail.name.upper().endswith(_WHOLE)] or (rails if len(rails) == 1 else [])
    for rail in whole[:1]:
        rail.role = "own"


def _text(path: Path, read: Callable[[Path], str]) -> str:
    try:
        return read(path).strip()
    except OSError:
        return ""
