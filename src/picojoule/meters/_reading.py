"""One figure of a meter with its label, and what every meter can do."""

from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

from picojoule.quantity import Scope

Label = Literal["measured", "calibrated", "data sheet", "unknown"]
# own: counted in the total. part: inside another domain. overlap: another view of the same joules.
Role = Literal["own", "part", "overlap"]
LABELS: Final[tuple[Label, ...]] = get_args(Label)


@dataclass(frozen=True, slots=True)
class Reading:
    """Energy of one domain over one window. No joules, no claim: then the label is "unknown" and `note` says why."""

    joules: float | None
    seconds: float
    label: Label
    domain: str
    scope: Scope | None
    source: str
    note: str = ""
    role: Role = "own"

    def __post_init__(self) -> None:
        if (self.joules is None) != (self.label == "unknown"):
            raise ValueError(f"unknown and a number exclude each other; got {self.joules!r} J as {self.label!r}")

    @property
    def watts(self) -> float | None:
        """Mean power over the window."""
        return None if self.joules is None or self.seconds <= 0 else self.joules / self.seconds


class Meter(Protocol):
    """Counts joules between start and stop; it may be started again. A sensor that fails yields "unknown"."""

    @property
    def shortest_window_s(self) -> float:
        """Windows below this are too short for its sensors."""
        ...

    def start(self) -> None:
        """Open a window."""
        ...

    def stop(self) -> tuple[Reading, ...]:
        """Close the window: one reading for each domain."""
        ...


def unknown(domain: str, source: str, note: str, seconds: float = 0.0, scope: Scope | None = None,
            role: Role = "own") -> Reading:  # fmt: skip
    """A reading without a number."""
    return Reading(None, seconds, "unknown", domain, scope, source, note, role)
