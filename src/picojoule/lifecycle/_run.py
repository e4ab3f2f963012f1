"""A job through all its stages: one price list a stage, one world a draw, static power once a device.

    E = Σ stages (counts @ prices) + Σ devices count · P_static · T + Σ storages P_idle · T,   × PUE / PSU if stated
    T = Σ blocks max over the stages that run at once (or the pipeline law)

Static power is shared out: a stage bears that of its device while it is busy with it, the rest is a row of its own.
Stages at once on one device share its static power by their times, so that nothing is paid twice.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

from picojoule.cost import Activity, price
from picojoule.hardware import STATIC, Technology
from picojoule.quantity import InputError, Value
from picojoule.workload import Workload

from ._activities import Draft
from ._job import (
    Convert,
    Device,
    Given,
    Infer,
    Job,
    Load,
    Overlap,
    Postprocess,
    Preprocess,
    Stage,
    Train,
    Transfer,
)
from ._request import Reader, Request
from ._result import Draws, Idle, JobResult, PartCost, StageCost
from ._stages import Flow, convert, given, infer, load, postprocess, preprocess, transfer
from ._train import train

_MIXED = "storage, links and cores are priced by their own sources, beside the machine"
_STATIC = ".".join(STATIC)


def run_job(job: Job, read_model: Reader | None = None, *, draws: int = 1000, seed: int = 0) -> JobResult:
    """Counts, time and energy of every stage of `job`. `read_model` gives the workload of a request."""
    drafts: dict[str, list[Draft]] = {}
    flow, read = Flow(job.data.shape, job.data.dtype), cache(read_model or _no_models)
    for stage in job.stages:
        drafts[stage.name] = _drafts(job, stage, flow, read)
        flow = flow.after(stage, job)
    parts = {stage.name: _parts(job, stage, drafts[stage.name], draws, seed) for stage in job.stages}
    times = {name: _total([part.time_s for part in found]) for name, found in parts.items()}
    watts = {name: _watts(device, draws, seed) for name, device in job.devices.items()}
    static, busy = _static(job, times, watts, draws)
    time_s = _total([_together([times[name] for name in block.stages], block.items) for block in job.blocks])
    stages = tuple(
        StageCost(s, parts[s.name], static[s.name], tuple(n for d in drafts[s.name] for n in d.notes))
        for s in job.stages
    )
    idle = (*_waiting(time_s, busy, watts), *_storages(job, time_s, draws, seed))
    used = [*(stage.energy_j for stage in stages), *(row.energy_j for row in idle)]
    conversion = _conversion(job, _total(used), draws, seed)
    return JobResult(job, stages, tuple(idle), conversion, time_s, _scope(job, stages), draws, seed, _notes(job))


def _drafts(job: Job, stage: Stage, flow: Flow, read: Reader) -> list[Draft]:
    spec = stage.spec
    if isinstance(spec, Given):
        return given(stage, spec)
    device = job.devices[stage.device]
    if isinstance(spec, Load):
        return load(job, device, spec)
    if isinstance(spec, Preprocess):
        return preprocess(job, device, spec)
    if isinstance(spec, Convert):
        return convert(job, device, spec, flow)
    if isinstance(spec, Transfer):
        return transfer(job, device, spec, flow, read)
    if isinstance(spec, Train):
        return train(job, device, spec, read)
    if isinstance(spec, Infer):
        return infer(job, device, spec, read)
    assert isinstance(spec, Postprocess)
    return postprocess(job, device, spec)


def _no_models(request: Request) -> Workload:
    raise InputError(f"nobody reads the model {request.model!r}", expected="a function that gives its workload")


def _parts(job: Job, stage: Stage, drafts: Sequence[Draft], draws: int, seed: int) -> tuple[PartCost, ...]:
    device = job.devices.get(stage.device)
    own = {} if device is None else {k: v for k, v in device.technology.prices.items() if k != _STATIC}
    parts: list[PartCost] = []
    for draft in drafts:
        prices = Technology(stage.name, {**own, **draft.prices}, _MIXED)
        cost = price(draft.activities, prices, draws=draws, seed=seed)
        parts.append(PartCost(draft.name, cost, np.zeros(1 + draws)))
    if isinstance(stage.spec, Train) and stage.spec.hidden:
        gradient = next(part.time_s for part in parts if part.name == "gradient") * stage.spec.hidden
        parts = [PartCost(p.name, p.cost, np.minimum(gradient, p.time_s)) if p.name == "all-reduce" else p
                 for p in parts]  # fmt: skip
    return tuple(parts)


def _together(times: Sequence[Draws], items: int | None) -> Draws:
    """The longest of `times`, or the pipeline law on them, in every draw: overlapped_s for arrays."""
    longest: Draws = np.max(times, axis=0)
    return longest if items is None else _total(times) / items + longest * ((items - 1) / items)


def _static(job: Job, times: dict[str, Draws], watts: dict[str, Draws | None], draws: int) -> (
    tuple[dict[str, Draws], dict[str, Draws]]
):  # fmt: skip
    """Static energy of each stage, and the busy time of each device."""
    static = {stage.name: np.zeros(1 + draws) for stage in job.stages}
    busy = {name: np.zeros(1 + draws) for name in job.devices}
    on = {stage.name: stage.device for stage in job.stages}
    for block in job.blocks:
        for name in dict.fromkeys(on[stage] for stage in block.stages if on[stage]):
            mine = [stage for stage in block.stages if on[stage] == name]
            length = _together([times[stage] for stage in mine], block.items)
            busy[name] = busy[name] + length
            power, whole = watts[name], _total([times[stage] for stage in mine])
            if power is None:
                continue
            share = np.divide(length, whole, out=np.zeros_like(whole), where=whole > 0)
            for stage in mine:
                static[stage] = power * times[stage] * share
    return static, busy


def _waiting(time_s: Draws, busy: dict[str, Draws], watts: dict[str, Draws | None]) -> list[Idle]:
    """Devices that are held while others work."""
    rows = []
    for name, power in watts.items():
        idle = np.maximum(time_s - busy[name], 0.0)
        if power is not None:
            rows.append(Idle(name, idle, power * idle))
    return rows


def _storages(job: Job, time_s: Draws, draws: int, seed: int) -> list[Idle]:
    """Storages spin or stand by from the first second to the last; reading costs what it costs above that."""
    disks = {s.spec.storage.name: s.spec.storage for s in job.stages if isinstance(s.spec, Load)}
    return [Idle(name, time_s, time_s * drawn(disk.idle, draws, seed)) for name, disk in disks.items() if disk.idle]


def _watts(device: Device, draws: int, seed: int) -> Draws | None:
    value = device.technology.prices.get(_STATIC)
    return None if value is None else drawn(value, draws, seed) * device.count


def drawn(value: Value, draws: int, seed: int) -> Draws:
    """`value` in every draw, in the same worlds as everywhere."""
    one = Activity("one", "", "", {("one", "unit"): 1}, ())
    row: Draws = price([one], Technology("one", {"one.unit": value}), draws=draws, seed=seed).energy_j[0]
    return row


def _conversion(job: Job, energy: Draws, draws: int, seed: int) -> Draws | None:
    """What is lost before the machines: E · (PUE / efficiency − 1), neither factor better than one."""
    if job.power_supply is None and job.facility is None:
        return None
    factor = np.ones(1 + draws)
    if job.power_supply is not None:
        factor = factor / np.minimum(drawn(job.power_supply, draws, seed), 1.0)
    if job.facility is not None:
        factor = factor * np.maximum(drawn(job.facility, draws, seed), 1.0)
    return energy * (factor - 1.0)


def _scope(job: Job, stages: Sequence[StageCost]) -> str:
    """Which scopes were added, and whether they were brought to the wall or the facility."""
    used = [value.scope for stage in stages for part in stage.parts for value in part.cost.prices.values()]
    used += [d.technology.prices[_STATIC].scope for d in job.devices.values() if _STATIC in d.technology.prices]
    base = " + ".join(dict.fromkeys(scope for scope in used if scope)) or "as stated"
    if job.facility is not None:
        return f"facility (from {base})"
    return f"wall (from {base})" if job.power_supply is not None else base


def _notes(job: Job) -> tuple[str, ...]:
    notes = [f"the static power of {name} is unknown: the energy is without it"
             for name, device in job.devices.items() if _STATIC not in device.technology.prices]  # fmt: skip
    working = {s.name: s.device for s in job.stages if not isinstance(s.spec, Load | Transfer | Given)}
    for block in job.blocks:
        notes += _crowded(block, working)
    return tuple(notes)


def _crowded(block: Overlap, working: dict[str, str]) -> list[str]:
    """A note for stages that compute on one device at once: their times are those of stages that run alone."""
    devices = [working[name] for name in block.stages if name in working]
    return [f"several stages of the overlap compute on {name}: each is timed as if it had the machine to itself"
            for name in dict.fromkeys(devices) if devices.count(name) > 1]  # fmt: skip


def _total(rows: Sequence[Draws]) -> Draws:
    total: Draws = np.sum(rows, axis=0)
    return total
