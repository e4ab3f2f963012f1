"""From the times of probes to paces: least squares of relative errors, no term below zero."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from picojoule.quantity import Z_90

from . import _ort
from ._as_run import wait
from ._probes import FETCH_ROWS, FETCH_WIDTH, FLOAT, Probe, fetch_chain, fetch_layers
from ._timing import Bench, Timing

NETWORKS_DIFFER: Final = 1.25  # least spread of a pace: shapes of networks are not those of the probes
_HIDDEN: Final = 0.02  # of a product's time: less is not seen


@dataclass(frozen=True, slots=True)
class MeasuredPace:
    """Rates of one class, FLOP/s and B/s, None where the class has no such term; spread of both; names of its probes."""

    arithmetic: float | None
    stream: float | None
    spread: float
    where: str


@dataclass(frozen=True, slots=True)
class MeasuredFetch:
    """For `total` bytes of parameters: the rate at which products of many rows and of one row wait, None if hidden."""

    total: int
    product: float | None
    vector: float | None


@dataclass(frozen=True, slots=True)
class Paces:
    """All of one runtime on one machine."""

    name: str
    classes: Mapping[str, MeasuredPace]
    fetches: tuple[MeasuredFetch, ...]


def pace_benches(found: Sequence[Probe], threads: int) -> list[Bench]:
    """The models of all probes, ready to run."""
    benches = []
    for probe in found:
        benches.append(_bench(probe.name, probe.model, threads))
        if probe.less is not None:
            benches.append(_bench(f"{probe.name}, once", probe.less, threads))
    return benches


def fetch_benches(last_cache: int, threads: int) -> list[Bench]:
    """Chains of products, many rows and one."""
    return [_bench(f"fetch {rows} {layers}", fetch_chain(rows, layers), threads)
            for rows in (FETCH_ROWS, 1) for layers in fetch_layers(last_cache)]  # fmt: skip


def _bench(name: str, model: bytes, threads: int) -> Bench:
    ready = _ort.session(model, threads)
    inputs = _ort.random_inputs(ready, {})
    return Bench(name, lambda: ready.run(None, inputs))


def paces(found: Sequence[Probe], timings: Mapping[str, Timing], *, call_s: float, noise: float, last_cache: int,
          name: str) -> Paces:  # fmt: skip
    """Fit every class. `call_s` is what a run of one tiny operator takes: it is subtracted where no chain removes it."""
    waited = fetches(timings, last_cache)
    points = _points(waited)
    classes: dict[str, MeasuredPace] = {}
    for kind in sorted({probe.kind for probe in found}, key=lambda one: (one != "pool", one)):  # others subtract pools
        mine = [probe for probe in found if probe.kind == kind]
        rows = []
        for probe in mine:
            own = seconds(probe, timings, call_s, classes.get("pool"))
            own = max(own - probe.weights * wait(points, probe.held), own / 2)
            rows.append((probe.work, probe.n_bytes, own))
        classes[kind] = fit(rows, [probe.name.removeprefix(f"{kind} ") for probe in mine], noise)
    return Paces(name, classes, waited)


def _points(found: Sequence[MeasuredFetch]) -> list[tuple[float, float]]:
    return [(float(f.total), 1 / f.product if f.product else 0.0) for f in found]


def seconds(probe: Probe, timings: Mapping[str, Timing], call_s: float, pool: MeasuredPace | None) -> float:
    """Time of the probe's own work; at least a tenth of what was measured."""
    best = timings[probe.name].best
    if probe.less is not None:
        return max(best - timings[f"{probe.name}, once"].best, best / 10) / probe.rounds
    rest = call_s
    if pool is not None:
        work, n_bytes = probe.after
        rest += (work / pool.arithmetic if pool.arithmetic else 0) + (n_bytes / pool.stream if pool.stream else 0)
    return max(best - rest, best / 10)


def fit(points: Sequence[tuple[float, float, float]], names: Sequence[str], noise: float) -> MeasuredPace:
    """(work, bytes, seconds) of several shapes -> rates of t = work / a + bytes / b with the least relative errors."""
    table = np.array([(work / t, n_bytes / t) for work, n_bytes, t in points])
    one = np.ones(len(points))
    best: tuple[float, dict[int, float]] | None = None
    for columns in ((0, 1), (0,), (1,)):
        chosen = table[:, columns]
        if not chosen.any(axis=0).all():
            continue
        slopes = np.linalg.lstsq(chosen, one, rcond=None)[0]
        error = float(((chosen @ slopes - one) ** 2).sum())
        if (slopes > 0).all() and (best is None or error < best[0]):
            best = error, dict(zip(columns, map(float, slopes), strict=True))
    assert best is not None  # bytes alone always have a positive slope
    error, found = best
    spread = max(NETWORKS_DIFFER, noise, math.exp(Z_90 * math.sqrt(error / max(1, len(points) - len(found)))))
    rates = [1 / found[column] if column in found else None for column in (0, 1)]
    return MeasuredPace(rates[0], rates[1], min(spread, 10.0), ", ".join(names))


def fetches(timings: Mapping[str, Timing], last_cache: int) -> tuple[MeasuredFetch, ...]:
    """What a product in a chain of many takes longer than one alone, as bytes of its parameters a second."""
    one = FETCH_WIDTH * FETCH_WIDTH * FLOAT

    def rate(rows: int, layers: int) -> float | None:
        alone = timings[f"fetch {rows} 1"].best
        waited = timings[f"fetch {rows} {layers}"].best / layers - alone
        return one / waited if waited > _HIDDEN * alone else None

    return tuple(MeasuredFetch(n * one, rate(FETCH_ROWS, n), rate(1, n)) for n in fetch_layers(last_cache))
