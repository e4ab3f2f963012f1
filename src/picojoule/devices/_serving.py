"""One step of a server of language models, on one device or several: operators, collectives, prompts, software.

    t = Σ operators + Σ collectives + prompts a step · (a pass over one prompt) + layers · l + sequences · s
    E = devices · (Σ operator energies + (layers · l + sequences · s) · P_base)

A step makes one token for each of `batch` sequences. Requests of P prompt and G generated tokens bring batch / G prompts
of P tokens a step, run between steps. l and s are what serving software takes for a layer and a sequence: scheduler,
sampling, gaps between launches. They were fitted on whole measured steps of one library and one GPU, and absorb all that
the operators leave over: constants of a stack, not physics. P_base is what the board draws while kernels start.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from picojoule.quantity import InputError

from ._evidence import Evidence
from ._laws import POWERS
from ._limit import widened
from ._predict import Call, Total, total
from ._served import Served
from ._sheet import Sheet
from ._steps import around, server_constant
from ._store import knowledge


@dataclass(frozen=True, slots=True)
class Requests:
    """Mean request: tokens of its prompt, and tokens generated."""

    prompt: int
    generated: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step: seconds, and joules of all devices, with 90 % bounds; None is unknown. Parts add up to `time_s`."""

    time_s: float
    time_low_s: float | None
    time_high_s: float | None
    energy_j: float | None
    energy_low_j: float | None
    energy_high_j: float | None
    operators_s: float
    collectives_s: float
    prompts_s: float
    server_s: float
    devices: int
    by: tuple[str, ...]


def step(
    one: Served,
    sheet: Sheet,
    *,
    batch: int,
    server: bool = True,
    requests: Requests | None = None,
    limit_w: float | None = None,
    own: Sequence[Evidence] = (),
    without: frozenset[str] = frozenset(),
    server_s: tuple[float, float] | None = None,
) -> Step:
    """The step of `one` pass over `batch` sequences on the device of `sheet`.

    `server` adds the software's time, `requests` the prompts of new requests; `limit_w` holds each board to less power;
    `server_s` replaces (l, s). With the server, bounds are those of whole measured steps; without it, of the operators.
    Raises InputError for a device without link between several, and as `predict` does.
    """
    _linked(one, sheet)
    calls = [*one.calls, *([] if requests is None else _prompts(one, requests, batch))]
    crossing = np.array([c.kind == "all_reduce" for c in calls])
    alone = [c for c in calls if not (server and c.kind == "all_reduce")]
    found = total(alone, sheet, limit_w=limit_w, own=own, without=without)
    times, energies = found.times_s, found.energies_j
    waiting_s = waiting_j = 0.0
    if server:  # the library's own all-reduce instead of the vendor's
        base = min(base_w(sheet, without), limit_w or np.inf)
        waiting_s = _waiting_s(one, batch, server_s)
        waiting_j, times = waiting_s * base, np.array([_reduced_s(c, sheet) * c.times for c in calls])
        energies = times * base
        times[~crossing], energies[~crossing] = found.times_s, found.energies_j
    time, joules = float(times.sum()) + waiting_s, float(energies.sum()) + waiting_j
    whole = replace(found, time_s=time, energy_j=joules if np.isfinite(joules) else None,
                    slowed=found.slowed * found.time_s / time)  # fmt: skip
    time_bounds, energy_bounds = _around_server(whole) if server else _of_operators(found)
    first, many = np.arange(len(calls)) < len(one.calls), one.devices
    joules_all, low_j, high_j = (None if e is None else e * many for e in (whole.energy_j, *energy_bounds))
    return Step(
        time, *time_bounds, joules_all, low_j, high_j, float(times[first & ~crossing].sum()),
        float(times[first & crossing].sum()), float(times[~first].sum()), waiting_s, many, found.by,
    )  # fmt: skip


def _reduced_s(call: Call, sheet: Sheet) -> float:
    """All-reduce by a serving library's own kernel, one shot: latency + 2·(p − 1)/p·S / (share·link); others: 0."""
    if call.kind != "all_reduce":
        return 0.0
    p, size = float(call.rows["devices"]), float(call.rows["bytes"])
    rate = server_constant("reduce_share").value * (sheet.link_bytes_per_s or np.nan)
    return server_constant("reduce_latency").value + 2 * (p - 1) / p * size / rate


def _waiting_s(one: Served, batch: int, server_s: tuple[float, float] | None) -> float:
    """Seconds of the software in one step: layers · l + sequences · s."""
    layer_s, sequence_s = server_s or (server_constant("layer").value, server_constant("sequence").value)
    return one.layers * layer_s + batch * sequence_s


def base_w(sheet: Sheet, without: frozenset[str] = frozenset()) -> float:
    """Watts of one board while kernels start but do little: base of the power law, over all devices measured."""
    prior = knowledge(POWERS["power_attention_decode"], "bfloat16", without=without).prior(sheet, "bfloat16")
    return float(np.exp(prior.mean[0])) * (sheet.max_power_w or np.nan)


def _prompts(one: Served, requests: Requests, batch: int) -> list[Call]:
    """The calls of a step over prompts of new requests: the same kernels with the prompt's tokens, batch / G times."""
    times, length = batch / requests.generated, float(requests.prompt)
    found = []
    for call in one.calls:
        rows = dict(call.rows)
        if call.kind == "attention_decode":
            del rows["context"]
            rows |= {"batch": 1.0, "length": length}
            found.append(replace(call, kind="attention_prefill", rows=rows, times=call.times * times))
            continue
        if call.kind == "gemm":
            rows["m"] = length * rows["m"] / batch
        else:
            rows["bytes"] = length * rows["bytes"] / batch
            if "rows" in rows:
                rows["rows"] = max(1.0, length * rows["rows"] / batch)
        found.append(replace(call, rows=rows, times=call.times * times))
    return found


Bounds = tuple[float | None, float | None]


def _of_operators(found: Total) -> tuple[Bounds, Bounds]:
    return (found.time_low_s, found.time_high_s), (found.energy_low_j, found.energy_high_j)


def _around_server(found: Total) -> tuple[Bounds, Bounds]:
    """Bounds of whole measured steps; wider where a power limit slows, by what that law misses."""
    bounds: list[Bounds] = []
    for of, value in (("time", found.time_s), ("energy", found.energy_j)):
        if value is None:
            bounds.append((None, None))
            continue
        band, middle = around("server", of), np.array([value])
        low, high = widened(of, middle, middle * band.low, middle * band.high, np.array([found.slowed]))
        bounds.append((None if low is None else float(low[0]), None if high is None else float(high[0])))
    return bounds[0], bounds[1]


def _linked(one: Served, sheet: Sheet) -> None:
    if one.devices > 1 and sheet.link_bytes_per_s is None:
        raise InputError(f"{sheet.name} states no link between devices", where="--parallel", expected="a device with links "
                         "in its file", example="--on h100")  # fmt: skip
