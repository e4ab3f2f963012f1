"""Measure a block of Python or a command: every domain, the idle baseline apart, repeats with median and spread."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from picojoule.quantity import InputError

from ._find import NO_SENSOR, find_meters
from ._reading import LABELS, Label, Meter, Reading, Role, unknown

Readings = tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One domain over all windows: joules of one run as median, least and most; `idle_w` from the idle window."""

    domain: str
    label: Label
    scope: str
    source: str
    note: str
    role: Role
    joules: float | None
    low: float | None
    high: float | None
    seconds: float
    idle_w: float | None

    @property
    def watts(self) -> float | None:
        """Mean power of the median run."""
        return None if self.joules is None or self.seconds <= 0 else self.joules / self.seconds

    @property
    def above_idle(self) -> float | None:
        """Joules beyond those of the same time idle; None where either is unknown."""
        return None if self.joules is None or self.idle_w is None else self.joules - self.idle_w * self.seconds


@dataclass(slots=True)
class Measurement:
    """What was run, how long each run took, and the readings of every window, divided by its runs."""

    what: str
    windows: list[Readings] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of one run, by window
    runs: list[int] = field(default_factory=list)  # runs in each window
    idle: Readings = ()
    exit_code: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def run_s(self) -> float:
        """Median seconds of one run."""
        return median(self.seconds) if self.seconds else 0.0

    @property
    def figures(self) -> tuple[Figure, ...]:
        """One figure for each domain, in the order of the meters."""
        names = dict.fromkeys(reading.domain for window in self.windows for reading in window)
        return tuple(self._figure(name) for name in names)

    @property
    def total_joules(self) -> float | None:
        """Sum of the domains that do not overlap; None where one of them is unknown."""
        own = [figure.joules for figure in self.figures if figure.role == "own"]
        return None if not own or None in own else sum(joules for joules in own if joules is not None)

    @property
    def total_label(self) -> Label:
        """The weakest label of what the total holds."""
        labels = {figure.label for figure in self.figures if figure.role == "own"}
        return max(labels, key=LABELS.index) if labels and self.total_joules is not None else "unknown"

    def _figure(self, domain: str) -> Figure:
        mine = [(reading, runs) for window, runs in zip(self.windows, self.runs, strict=True)
                for reading in window if reading.domain == domain]  # fmt: skip
        bad = next((reading for reading, _ in mine if reading.joules is None), None)
        shown = bad or mine[-1][0]
        joules = [] if bad else [reading.joules / runs for reading, runs in mine if reading.joules is not None]
        idle = next((reading.watts for reading in self.idle if reading.domain == domain), None)
        return Figure(
            domain, shown.label, shown.scope or "unknown", shown.source, shown.note, shown.role,
            median(joules) if joules else None, min(joules, default=None), max(joules, default=None),
            median(reading.seconds / runs for reading, runs in mine), idle,
        )  # fmt: skip


@contextmanager
def measure(
    what: str = "this block", *, meters: Sequence[Meter] | None = None, idle_s: float = 0.0
) -> Iterator[Measurement]:
    """Measure the block: `with measure() as m: work()`, then `m.figures`, `m.total_joules` or `measurement_text(m)`.

    `idle_s` seconds of doing nothing come first, as the baseline. One window has no spread: for repeats, measure
    a loop, or a command by `measure_command`.
    """
    chosen = find_meters() if meters is None else tuple(meters)
    result = Measurement(what)
    if idle_s > 0:
        result.idle = _idle(chosen, idle_s, time.sleep)
    _start(chosen)
    began = time.monotonic()
    try:
        yield result
    finally:
        _settle()
        seconds = time.monotonic() - began
        _close(result, chosen, seconds, 1)
        _warn_of_short(result, chosen)


def measure_command(
    argv: Sequence[str],
    *,
    repeats: int = 3,
    idle_s: float = 2.0,
    window_s: float = 2.0,
    warm_up: bool = True,
    meters: Sequence[Meter] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Measurement:
    """Run a command in `repeats` windows, each of at least `window_s`: a short command runs several times in each.

    First an idle window of `idle_s` and one run that is not counted. Only the first run prints to
    standard output; errors are always shown.
    Stops at the first run that fails; `exit_code` is then its code.
    """
    _check(argv, repeats, idle_s, window_s)
    chosen = find_meters() if meters is None else tuple(meters)
    result = Measurement(" ".join(argv))
    if idle_s > 0:
        result.idle = _idle(chosen, idle_s, sleep)
    result.exit_code = _run(argv, aloud=True) if warm_up else 0
    while not result.exit_code and len(result.windows) < repeats:
        _window(result, chosen, argv, window_s, aloud=not warm_up and not result.windows)
    if result.exit_code:
        result.notes.append(f"the command ended with {result.exit_code}: figures are of what ran until then")
    elif repeats < 3:
        result.notes.append(f"{repeats} repeats are too few for a spread: at least 3 show how steady the machine is")
    _warn_of_short(result, chosen)
    return result


def _check(argv: Sequence[str], repeats: int, idle_s: float, window_s: float) -> None:
    example = "picojoule measure -- python train.py"
    if not argv:
        raise InputError("no command to measure", expected="a command after --", example=example)
    if repeats < 1 or idle_s < 0 or window_s < 0:
        raise InputError(f"repeats {repeats}, idle {idle_s} s, window {window_s} s cannot be",
                         expected="at least one repeat, and times of 0 s or more", example=example)  # fmt: skip


def _window(result: Measurement, meters: Sequence[Meter], argv: Sequence[str], window_s: float, aloud: bool) -> None:
    _start(meters)
    began, runs = time.monotonic(), 0
    try:
        while not result.exit_code and (runs == 0 or time.monotonic() - began < window_s):
            result.exit_code = _run(argv, aloud=aloud and runs == 0)
            runs += 1
    finally:
        _close(result, meters, time.monotonic() - began, max(runs, 1))


def _run(argv: Sequence[str], *, aloud: bool) -> int:
    try:
        return subprocess.run(list(argv), check=False, stdout=None if aloud else subprocess.DEVNULL).returncode
    except OSError as error:
        raise InputError(f"cannot run {argv[0]!r}: {error.strerror or error}", expected="a program on the PATH",
                         example="picojoule measure -- python train.py") from None  # fmt: skip


def _settle() -> None:
    """Wait for work that this process has handed to a GPU: it belongs to the window in which it was asked for."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _start(meters: Sequence[Meter]) -> None:
    _settle()
    for meter in meters:
        meter.start()


def _stop(meters: Sequence[Meter], seconds: float) -> Readings:
    _settle()
    readings = tuple(reading for meter in reversed(meters) for reading in meter.stop())
    return readings or (unknown("machine", "none", NO_SENSOR, seconds),)


def _idle(meters: Sequence[Meter], idle_s: float, sleep: Callable[[float], None]) -> Readings:
    if not meters:
        return ()
    _start(meters)
    sleep(idle_s)
    return _stop(meters, idle_s)


def _close(result: Measurement, meters: Sequence[Meter], seconds: float, runs: int) -> None:
    result.windows.append(_stop(meters, seconds))
    result.seconds.append(seconds / runs)
    result.runs.append(runs)


def _warn_of_short(result: Measurement, meters: Sequence[Meter]) -> None:
    shortest = max((meter.shortest_window_s for meter in meters), default=0.0)
    windows = [seconds * runs for seconds, runs in zip(result.seconds, result.runs, strict=True)]
    if windows and min(windows) < shortest:
        result.notes.append(f"a window of {min(windows):.2g} s is below the {shortest:g} s that its sensors need: "
                            "repeat the work")  # fmt: skip
