"""Measure this machine: GEMM by dtype and size, copies by working set, launches, and classes of operators."""

import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log
from pathlib import Path
from statistics import fmean, stdev
from typing import Final

import numpy as np

from picojoule.quantity import InputError

from . import _numpy_bench as numpy_bench
from . import _ort
from ._host import Host, load_average, read_host
from ._paces import Paces, fetch_benches, pace_benches, paces
from ._probes import Probe, probes
from ._timing import LEAST_PASSES, Timing, interference, refuse_noise, time_all

# A class of operators is seen at two shapes; networks have others.
UNSEEN_SHAPES: Final = 1.5


@dataclass(frozen=True, slots=True)
class Rate:
    """A measured rate: work per second of the least time, and the spread that its own noise and its shapes show."""

    nominal: float
    spread: float
    where: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """What one machine did. Rates in FLOP/s and B/s, launch in seconds, shares of peak by operator class."""

    host: Host
    date: str
    gemm: Mapping[str, Mapping[int, float]]
    peak: Mapping[str, Rate]
    copies: Mapping[int, float]
    bandwidth: Rate
    cache_bandwidth: Rate | None
    launch: Rate
    shares: Mapping[str, Rate]
    interference: float
    worst: tuple[str, float]
    load: float | None
    tools: str
    runs: int
    passes: int
    threads: int
    timings: Mapping[str, Timing] = field(default_factory=dict)
    paces: Paces | None = None


def calibrate(
    *,
    runs: int = 4,
    passes: int = LEAST_PASSES,
    threads: int = 0,
    anyway: bool = False,
    use_onnxruntime: bool | None = None,
    gemm_sizes: tuple[int, ...] = numpy_bench.GEMM_SIZES,
    largest_set: int = numpy_bench.LARGEST_SET,
    root: Path | str = "/",
    today: datetime.date | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Calibration:
    """Measure this CPU, in about ten seconds: least of `runs` · `passes` runs.

    `threads` 0 is all that this process may use; on a machine that others use too, 1 is far steadier.
    Raises InputError when the median run is more than 1.3 times the least, unless `anyway`.
    """
    host, load = read_host(root), load_average()
    with_ort = _ort.available() if use_onnxruntime is None else use_onnxruntime
    workers = threads or host.cores
    _limit_blas(workers, host.cores)
    small = _ort.small_models() if with_ort else []
    sets = [n for n in numpy_bench.working_sets(host.last_cache, _inner(host)) if n <= largest_set] or [largest_set]
    benches = [*numpy_bench.gemm_benches(gemm_sizes), *numpy_bench.copy_benches(sets, workers)]
    benches += [_ort.bench_of(one, workers) for one in small]
    benches += _ort.chain_benches(workers) if with_ort else [numpy_bench.call_bench()]
    shown = probes() if with_ort else []
    benches += pace_benches(shown, workers)
    benches += fetch_benches(host.last_cache, workers) if with_ort else []
    timings = time_all(benches, runs=runs, passes=passes, tell=tell)
    found = interference(list(timings.values()))
    refuse_noise(found, anyway=anyway)
    work = {bench.name: bench.work for bench in benches}
    rates = {name: work[name] / timing.best for name, timing in timings.items()}
    noise = max(1.05, found)
    gemm = {dtype: {n: rates[f"gemm {dtype} {n}"] for n in gemm_sizes} for dtype in numpy_bench.GEMM_DTYPES}
    launch = _launch(timings, with_ort, noise)
    peak = _peaks(gemm, {one.name: rates[one.name] for one in small if one.kind == "gemm"}, noise)
    copies = {n: rates[f"copy {n}"] for n in sets}
    return Calibration(
        host, (today or datetime.date.today()).isoformat(), gemm, peak, copies,
        Rate(copies[sets[-1]], noise, f"copy of {sets[-1]} B by {workers} threads, read and write counted"),
        Rate(max(list(copies.values())[:-1]), max(noise, 1.3), "copy inside the caches") if len(sets) > 1 else None,
        launch, _shares(small, timings, peak["float32"], launch, noise, gemm["float32"]), found,
        max(((name, t.interference) for name, t in timings.items()), key=lambda pair: pair[1]), load,
        f"numpy {np.__version__}" + (f", onnxruntime {_ort.version()}" if with_ort else ", no onnxruntime"),
        runs, passes, workers, timings, _paces(shown, timings, noise, host.last_cache, workers) if with_ort else None,
    )  # fmt: skip


def _paces(shown: Sequence[Probe], timings: Mapping[str, Timing], noise: float, last_cache: int, workers: int) -> Paces:
    return paces(shown, timings, call_s=timings["chain 1"].best, noise=noise, last_cache=last_cache,
                 name=f"onnxruntime {_ort.version()}, {workers} thread{'s' if workers > 1 else ''}")  # fmt: skip


def _limit_blas(threads: int, cores: int) -> None:
    asked = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")
    if not numpy_bench.limit_blas(threads) and threads != cores and asked != str(threads):
        raise InputError(f"numpy's BLAS cannot be told to use {threads} of {cores} threads from here",
                         expected="its own variable, set before Python starts",
                         example=f"OMP_NUM_THREADS={threads} picojoule calibrate --threads {threads}")  # fmt: skip


def _inner(host: Host) -> int:
    inner = sorted(host.caches)[:-1]
    return host.caches[inner[-1]] if inner else 0


def _peaks(gemm: Mapping[str, Mapping[int, float]], runtime: Mapping[str, float], noise: float) -> dict[str, Rate]:
    """The best rate that anything reached: the peak of this machine as far as it was seen."""
    peaks = {}
    for dtype, by_size in gemm.items():
        best = max(by_size, key=lambda n: by_size[n])
        peaks[dtype] = Rate(by_size[best], noise, f"numpy GEMM, n = {best}")
    name = max(runtime, key=lambda key: runtime[key], default="")
    if name and runtime[name] > peaks["float32"].nominal:
        peaks["float32"] = Rate(runtime[name], noise, f"onnxruntime {name}")
    return peaks


def _launch(timings: Mapping[str, Timing], with_ort: bool, noise: float) -> Rate:
    if not with_ort:
        return Rate(timings["numpy call"].best, max(noise, 2.5), "a numpy call: onnxruntime is not installed")
    chain = (timings[f"chain {_ort.CHAIN + 1}"].best - timings["chain 1"].best) / _ort.CHAIN
    return Rate(max(chain, 1e-9), max(noise, 1.5), f"a chain of {_ort.CHAIN} Neg in onnxruntime, per operator")


def _shares(small: "list[_ort.Small]", timings: Mapping[str, Timing], peak: Rate, launch: Rate, noise: float,
            gemm: Mapping[int, float]) -> dict[str, Rate]:  # fmt: skip
    """Share of peak by class: geometric mean over its shapes, with the spread that they show."""
    by_kind: dict[str, list[float]] = {}
    for one in small:
        seconds = max(timings[one.name].best - launch.nominal, timings[one.name].best / 10)
        at_peak = 2 * one.macs / peak.nominal if one.macs else 2 * one.others / peak.nominal
        by_kind.setdefault(one.kind, []).append(min(1.0, at_peak / seconds))
    if not small:
        by_kind["gemm"] = [rate / peak.nominal for n, rate in gemm.items() if n >= 256] or [
            max(gemm.values()) / peak.nominal
        ]
    found = {}
    for kind, shares in by_kind.items():
        logs = [log(share) for share in shares]
        spread = exp(1.645 * stdev(logs)) if len(logs) > 1 else 1.0
        names = ", ".join(one.name for one in small if one.kind == kind) or "numpy GEMM"
        found[kind] = Rate(exp(fmean(logs)), min(10.0, max(noise, UNSEEN_SHAPES, spread)), names)
    return found
