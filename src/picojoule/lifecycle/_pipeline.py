"""Stages in a row, items that pass through them one after another."""

from collections.abc import Sequence
from dataclasses import dataclass

from picojoule.quantity import InputError


@dataclass(frozen=True, slots=True)
class Pipeline:
    """`items` through stages of `stage_s` seconds each."""

    stage_s: tuple[float, ...]
    items: int

    def __post_init__(self) -> None:
        if not self.stage_s or self.items < 1 or min(self.stage_s) < 0:
            raise InputError("a pipeline needs a stage, an item and no negative time",
                             expected="at least one stage, at least one item", example="4 stages of 1 ms, 8 items")  # fmt: skip

    @property
    def time_s(self) -> float:
        """T = Σ tᵢ + (m − 1) · max tᵢ: the first item fills the pipeline, each other waits for the slowest stage.

        J. Hennessy, D. Patterson, Computer Architecture, appendix C, for stages of unequal times without buffers
        that overflow.
        """
        return sum(self.stage_s) + (self.items - 1) * max(self.stage_s)

    @property
    def efficiency(self) -> float:
        """Busy share of all stages: m · Σ tᵢ / (N · T)."""
        return self.items * sum(self.stage_s) / (len(self.stage_s) * self.time_s) if self.time_s else 1.0

    @property
    def bubble(self) -> float:
        """Idle share, 1 − efficiency; (N − 1) / (N + m − 1) for equal stages (Huang et al., GPipe, 2019)."""
        return 1.0 - self.efficiency

    @property
    def throughput(self) -> float:
        """Items a second in the steady state: 1 / max tᵢ."""
        return 1.0 / max(self.stage_s)


def overlapped_s(totals: Sequence[float], items: int | None = None) -> float:
    """Time of concurrent stages that take `totals` in all for `items` items: the pipeline law on tᵢ = Tᵢ / m.

    T = Σ Tᵢ / m + (m − 1) / m · max Tᵢ. Without `items` the fill is left out: T = max Tᵢ, a bound from below.
    """
    if not totals:
        return 0.0
    if items is None:
        return max(totals)
    return sum(totals) / items + (items - 1) / items * max(totals)


@dataclass(frozen=True, slots=True)
class Partition:
    """A chain cut into parts: `bounds` are the first operator of each part and the end; `slowest` the longest part."""

    bounds: tuple[int, ...]
    slowest: float

    @property
    def parts(self) -> tuple[range, ...]:
        """The operators of each part."""
        return tuple(range(a, b) for a, b in zip(self.bounds, self.bounds[1:], strict=False))


def partition(times_s: Sequence[float], stages: int, *, cut_s: Sequence[float] = ()) -> Partition:
    """The cut of a chain into at most `stages` contiguous parts whose slowest part is fastest.

    best(k, j) = min over i of max(best(k − 1, i), t(i … j)), by dynamic programming in O(stages · n²). `cut_s[i]` is
    paid by the part that begins at operator i > 0, for the tensor that crosses the cut. Bellman, 1957.
    """
    n = len(times_s)
    if n == 0 or stages < 1:
        raise InputError("nothing to cut", expected="at least one operator and one stage")
    cuts = list(cut_s) or [0.0] * n
    if len(cuts) != n:
        raise InputError(f"{len(cuts)} costs of cuts for {n} operators", expected="one for each operator")
    before = [0.0]
    for time in times_s:
        before.append(before[-1] + time)
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, (0,))] + [(float("inf"), ())] * n
    answer: tuple[float, tuple[int, ...]] = (float("inf"), ())
    for _ in range(min(stages, n)):
        longer: list[tuple[float, tuple[int, ...]]] = [(float("inf"), ())] * (n + 1)
        for j in range(1, n + 1):
            longer[j] = min(
                (max(best[i][0], before[j] - before[i] + (cuts[i] if i else 0.0)), (*best[i][1], j)) for i in range(j)
            )
        best = longer
        answer = min(answer, best[n], key=lambda found: found[0])
    return Partition(answer[1], answer[0])
