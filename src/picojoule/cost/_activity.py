"""What every level of fidelity returns: how often each action happened, and on what its time hangs."""

from collections.abc import Mapping
from dataclasses import dataclass

from picojoule.hardware import Action
from picojoule.quantity import Value


@dataclass(frozen=True, slots=True)
class Term:
    """`seconds` on one resource at nominal `rate`; a rate drawn f times higher shortens it f times.

    `rate` is None for a term that is known exactly (a peak by definition). Terms with the same `key` share draws.
    """

    resource: str  # "compute", or a memory's name
    seconds: float
    key: str = ""
    rate: Value | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """Exact action counts of one operator and the terms of its time, before any physics.

    Time [s] = max over `terms` + `overhead`: resources work at once, the launch comes before.
    """

    operator: str
    path: str
    kind: str
    counts: Mapping[Action, int]
    terms: tuple[Term, ...]
    overhead: Term | None = None

    @property
    def time_s(self) -> float:
        """Nominal time."""
        return max((term.seconds for term in self.terms), default=0.0) + (self.overhead.seconds if self.overhead else 0)

    @property
    def bound_by(self) -> str:
        """The resource that the operator waits for: "compute", a memory, "launch", or "nothing" if it does no work."""
        slowest = max(self.terms, key=lambda term: term.seconds, default=None)
        if self.overhead and (slowest is None or self.overhead.seconds > slowest.seconds):
            return "launch"
        return slowest.resource if slowest and slowest.seconds > 0 else "nothing"
