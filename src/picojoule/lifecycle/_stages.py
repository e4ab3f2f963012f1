"""Stages to activities: counts and time terms of each, on its device, before any physics.

    load        t = files · t_open + D / BW                    D read from the storage, D written to memory
    preprocess  by core time: t = Σ values · t_step / cores     or operators from the shapes of the images
    convert     each value read and written once               1 + 4 B from uint8 to float32
    transfer    t = batches · t_0 + D / BW                      data every pass, weights once
    infer       t = steps · Σ operators                        at the level of the job

Left out: file systems, decompression other than of images, results on their way back.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from picojoule.cost import Activity, Term
from picojoule.hardware import Action
from picojoule.quantity import product
from picojoule.workload import Workload, dtype_bits

from ._activities import Draft, carried, moving, repeated, run, run_items
from ._job import Convert, Device, Given, Infer, Job, Load, Postprocess, Preprocess, Stage, Train, Transfer
from ._prepare import conversion, postprocessing, prepared, preprocessing, values_of
from ._request import Reader


@dataclass(frozen=True, slots=True)
class Flow:
    """The form in which an item reaches a stage."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def item_bytes(self) -> int:
        """Bytes of one item."""
        elements = 1
        for side in self.shape:
            elements *= side
        return -(-elements * dtype_bits(self.dtype) // 8)

    def after(self, stage: Stage, job: Job) -> "Flow":
        """The form in which `stage` leaves an item."""
        if isinstance(stage.spec, Preprocess):
            return Flow(*prepared(job.data, stage.spec))
        return replace(self, dtype=stage.spec.to) if isinstance(stage.spec, Convert) else self


def load(job: Job, device: Device, spec: Load) -> list[Draft]:
    """Files from the storage into memory; later epochs from the page cache if the data fit it."""
    n_bytes, outer, disk = job.data.total_bytes, device.architecture.memories[0], spec.storage
    cache = spec.cache_bytes if spec.cache_bytes is not None else outer.size.nominal if outer.size else None
    notes = []
    if job.epochs > 1 and cache is None:
        notes.append(f"the size of {outer.name} is unknown: every epoch reads the storage")
    cold = 1 if cache is not None and n_bytes <= cache else job.epochs
    term = Term(disk.name, n_bytes / disk.bandwidth.nominal, f"storage.{disk.name}", disk.bandwidth)
    opening = None
    if disk.opening is not None:
        opening = Term("opening", job.data.files * disk.opening.nominal, f"storage.{disk.name}.open", disk.opening)
    counts: dict[Action, int] = {("storage", "read"): n_bytes, (outer.name, "write"): n_bytes}
    first = Activity("read files", disk.name, "load", counts, (term,), opening)
    activities = [repeated(first, cold, device.count)]
    if job.epochs > cold:
        found, said = run_items(job, device, [(moving("read page cache", n_bytes, 0), job.epochs - cold)])
        activities, notes = [*activities, *found], [*notes, *said]
    return [Draft("load", tuple(activities), {"storage.read": disk.read}, tuple(notes))]


def preprocess(job: Job, device: Device, spec: Preprocess) -> list[Draft]:
    """By measured core time, or as operators."""
    if spec.cores is None:
        activities, notes = run_items(job, device, _batches(job, job.data.items * job.epochs,
                                                            lambda n: preprocessing(job.data, spec, n)))  # fmt: skip
        if spec.decode:
            notes.append("decoding is without its entropy decoding")
        return [Draft("preprocess", tuple(activities), {}, tuple(notes))]
    cores, prices, timed = spec.cores, {}, []
    for step, values in core_units(job, spec).items():
        seconds = cores.seconds[step]
        n = values * job.data.items * job.epochs
        term = Term("cores", n * seconds.nominal / cores.count / device.count, f"core.{step}", seconds)
        timed.append(Activity(step, step, "preprocess", {("core", step): n}, (term,)))
        prices[f"core.{step}"] = replace(product(seconds, cores.power), unit="J", scope=cores.power.scope)
    return [Draft("preprocess", tuple(timed), prices)]


def core_units(job: Job, spec: Preprocess) -> dict[str, int]:
    """What core time is measured by, an item: pixels decoded, pixels before resizing, values normalised."""
    values = values_of(job.data, spec)
    channels = job.data.shape[-1] if len(job.data.shape) == 3 else 1
    pixels = job.data.elements // channels
    units = {"decode": pixels, "resize": pixels, "normalise": values.get("normalise", 0)}
    return {step: n for step, n in units.items() if step in values}


def convert(job: Job, device: Device, spec: Convert, flow: Flow) -> list[Draft]:
    """From the format in which the items come to another."""
    activities, notes = run_items(job, device, _batches(
        job, job.data.items * job.epochs, lambda n: conversion(flow.shape, flow.dtype, spec, n)))  # fmt: skip
    return [Draft("convert", tuple(activities), {}, tuple(notes))]


def transfer(job: Job, device: Device, spec: Transfer, flow: Flow, read: Reader) -> list[Draft]:
    """Items batch by batch, every epoch; the weights of each model of the device once."""
    wire = spec.wire
    items = job.data.items * job.epochs
    batches = job.epochs * -(-job.data.items // (job.batch * device.count))
    data = carried("data", items * (flow.item_bytes + job.data.label_bytes), batches, wire, device.count)
    models = {s.spec.model: s.spec for s in reversed(job.stages)
              if isinstance(s.spec, Train | Infer) and s.device == device.name}  # fmt: skip
    weights = []
    for name, user in models.items():
        n_bytes = weight_bytes(typed(read(user.request(job.batch)), job.dtype)) * device.count
        weights.append(carried(f"weights of {name}", n_bytes, 1, wire, device.count))
    return [Draft("transfer", (data, *weights), {"wire.byte": wire.energy})]


def infer(job: Job, device: Device, spec: Infer, read: Reader) -> list[Draft]:
    """Batches of items through the model; the last one is counted as a full one."""
    items = job.data.items if spec.items is None else spec.items
    steps = -(-items // (job.batch * device.count))
    found, notes = run(job, device, read(spec.request(job.batch)), job.dtype)
    times = steps * spec.tokens * device.count
    activities = [repeated(activity, times, device.count) for activity in found]
    notes += padded(items, steps, job.batch * device.count)
    return [Draft("infer", tuple(activities), {}, tuple(notes))]


def postprocess(job: Job, device: Device, spec: Postprocess) -> list[Draft]:
    """Scores to answers."""
    items = job.data.items if spec.items is None else spec.items
    activities, notes = run_items(job, device, _batches(job, items, lambda n: postprocessing(spec, n)))
    return [Draft("postprocess", tuple(activities), {}, tuple(notes))]


def given(stage: Stage, spec: Given) -> list[Draft]:
    """The stated energy, once."""
    overhead = Term("given", spec.time.nominal, f"given.{stage.name}", spec.time) if spec.time else None
    activity = Activity(stage.name, stage.name, "given", {("given", "energy"): 1}, (), overhead)
    return [Draft(stage.name, (activity,), {"given.energy": spec.energy})]


def typed(workload: Workload, dtype: str | None) -> Workload:
    """`workload` in the number format of the job, if it states one."""
    return workload.with_dtype(dtype) if dtype else workload


def weight_bytes(workload: Workload) -> int:
    """Bytes of the parameters, each stored tensor once."""
    return sum(tensor.bytes_of(tensor.stored_elements) for tensor in workload.parameters)


def padded(items: int, steps: int, at_once: int) -> list[str]:
    """Says so if the last step is not full."""
    return [] if items == steps * at_once else [f"the last batch holds {items - (steps - 1) * at_once} of {at_once} "
                                                "items and is counted as full"]  # fmt: skip


def _batches(job: Job, items: int, make: Callable[[int], Workload]) -> list[tuple[Workload, int]]:
    """Full batches and what is left, exactly."""
    full, rest = divmod(items, job.batch)
    return [(make(n), times) for n, times in ((job.batch, full), (rest, 1)) if n and times]
