"""Work over a second says what it does, on stderr, and only to a person."""

import sys
import threading
import time
from types import TracebackType


class Progress:
    """While inside, after one second: `estimating model.onnx … 3 s`, rewritten in place, gone at the end.

    Not a terminal: one plain line every ten seconds.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Progress":
        self._start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _tick(self) -> None:
        person = sys.stderr.isatty()
        shown = False
        while not self._stop.wait(1.0 if person else 10.0):
            line = f"{self.what} … {time.monotonic() - self._start:.0f} s"
            sys.stderr.write(f"\r{line}" if person else f"{line}\n")
            sys.stderr.flush()
            shown = True
        if shown and person:
            sys.stderr.write("\r" + " " * 79 + "\r")
