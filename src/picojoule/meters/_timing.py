"""Timing on a machine that others use too: the least of many runs in several passes, and how far the median lies off.

Under load the median of a run was 1.1 to 3.1 times its least, while the least came back within 2 % (own measurements on
two shared cores). The least is the machine; median / least is the interference.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from picojoule.quantity import InputError

LEAST_RUNS: Final = 8
LEAST_PASSES: Final = 2
MOST_INTERFERENCE: Final = 1.3


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one call: of every run, in the order they were made."""

    samples: tuple[float, ...]

    @property
    def best(self) -> float:
        """The least."""
        return min(self.samples)

    @property
    def median(self) -> float:
        """The median."""
        return median(self.samples)

    @property
    def interference(self) -> float:
        """Median over least: 1 on a quiet machine."""
        return self.median / self.best


@dataclass(frozen=True, slots=True)
class Bench:
    """Something to time. `work` is what one call does: FLOP, bytes or operators."""

    name: str
    call: Callable[[], object]
    work: float = 1.0


def time_all(
    benches: Sequence[Bench],
    *,
    runs: int = 4,
    passes: int = LEAST_PASSES,
    shortest_s: float = 0.005,
    clock: Callable[[], float] = time.perf_counter,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Timing]:
    """Every bench `runs` times in each of `passes` passes over all; a run repeats a short call until `shortest_s`."""
    if passes < LEAST_PASSES or runs * passes < LEAST_RUNS:
        raise InputError(f"{runs} runs in {passes} passes are too few to find the least",
                         expected=f"at least {LEAST_RUNS} runs in at least {LEAST_PASSES} passes",
                         example="runs=4, passes=2")  # fmt: skip
    samples: dict[str, list[float]] = {bench.name: [] for bench in benches}
    times: dict[str, int] = {}
    for number in range(passes):
        for bench in benches:
            tell(f"{bench.name}, pass {number + 1} of {passes}")
            if bench.name not in times:
                bench.call()  # warm: pages, threads, code
                times[bench.name] = _times(bench, shortest_s, clock)
            for _ in range(runs):
                began = clock()
                for _ in range(times[bench.name]):
                    bench.call()
                samples[bench.name].append(max(clock() - began, 1e-9) / times[bench.name])
    return {name: Timing(tuple(found)) for name, found in samples.items()}


def _times(bench: Bench, shortest_s: float, clock: Callable[[], float]) -> int:
    began = clock()
    bench.call()
    return max(1, min(100_000, round(shortest_s / max(clock() - began, 1e-9))))


def interference(timings: Sequence[Timing]) -> float:
    """The median of the interferences of all benches."""
    return median(timing.interference for timing in timings)


def refuse_noise(found: float, *, anyway: bool) -> None:
    """Raises InputError if the machine was too busy to be calibrated."""
    if found > MOST_INTERFERENCE and not anyway:
        raise InputError(
            f"this machine is busy: the median of its runs is {found:.2f} times the least",
            expected=f"an interference of at most {MOST_INTERFERENCE}: end other work, use fewer threads, or take the "
            "least all the same with --anyway",
            example="picojoule calibrate --threads 1",
        )  # fmt: skip
