"""A thread that calls a function at a steady interval until it is told to stop, and integrals of power over time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass


class Poll:
    """Calls `function` every `interval` seconds between start and stop."""

    def __init__(self, function: Callable[[], None], interval: float) -> None:
        self.function, self.interval = function, interval
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to call."""
        self._done.clear()
        self._thread = threading.Thread(target=self._run, name="picojoule-meter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until the last call is over."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._done.wait(self.interval):
            self.function()


@dataclass(slots=True)
class Integral:
    """Energy under samples of power, by trapezia."""

    joules: float = 0.0
    samples: int = 0
    at: float = 0.0
    watts: float = 0.0

    def add(self, at: float, watts: float) -> None:
        """One more sample at time `at` [s]."""
        if self.samples:
            self.joules += (at - self.at) * (watts + self.watts) / 2
        self.at, self.watts = at, watts
        self.samples += 1
