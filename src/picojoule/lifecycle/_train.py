"""Training: forward, gradient, all-reduce and update, each apart.

    steps = epochs · ⌈items / (batch · p)⌉;  t = Σ forward + gradient + max(0, all-reduce − hidden) + update

The gradient is dW and dX: twice the forward MACs, less the first layer's dX. All-reduce of S bytes on a ring of p:
2 (p − 1) / p · S over each wire, (p − 1) / p of the values added, in each device. Left out: stragglers, buckets.
"""

from dataclasses import replace

from picojoule.cost import Activity, Term
from picojoule.quantity import InputError, format_quantity
from picojoule.training import peak_memory, training_step
from picojoule.workload import Workload, dtype_bits

from ._activities import Draft, moving, repeated, run
from ._job import Device, Job, Train, Wire
from ._parallel import ring_bytes, ring_s
from ._request import Reader
from ._stages import padded

PHASES = ("forward", "gradient", "update")


def phases(net: Workload, spec: Train) -> dict[str, Workload]:
    """One training step, split: the operators of the network, those of the gradients, those of the update."""
    step = training_step(net, optimiser=spec.optimiser, precision=spec.precision)
    first = len(net.operators)
    rest = step.operators[first:]
    parts = (step.operators[:first], tuple(o for o in rest if o.kind != "update"),
             tuple(o for o in rest if o.kind == "update"))  # fmt: skip
    # What no rule covers is said once, beside the gradient.
    return {name: replace(step, operators=part, uncounted=step.uncounted if name == "gradient" else ())
            for name, part in zip(PHASES, parts, strict=True)}  # fmt: skip


def _memory(job: Job, device: Device, spec: Train, parts: dict[str, Workload]) -> list[str]:
    """Says so if a step does not fit the device."""
    outer = device.architecture.memories[0]
    step = parts["forward"]
    whole = replace(step, operators=tuple(o for part in parts.values() for o in part.operators))
    needed = peak_memory(whole if spec.precision or not job.dtype else whole.with_dtype(job.dtype)).total
    if outer.size is None or needed <= outer.size.nominal:
        return []
    return [f"a step needs {format_quantity(needed, 'B')}, {outer.name} holds {format_quantity(outer.size.nominal, 'B')}"
            ": recompute, or a smaller batch"]  # fmt: skip


def gradient_bytes(update: Workload) -> int:
    """Bytes of the gradients that an update reads: what the devices exchange."""
    tensors = update.tensors
    return sum(tensors[o.inputs[0].tensor].bytes_of(o.inputs[0].elements)
               for o in update.operators if o.op.startswith("update_"))  # fmt: skip


def train(job: Job, device: Device, spec: Train, read: Reader) -> list[Draft]:
    """The parts of a training, all steps of all epochs."""
    p, items = device.count, job.data.items
    steps = -(-items // (job.batch * p))
    parts = phases(read(spec.request(job.batch)), spec)
    drafts = []
    for name, workload in parts.items():
        found, notes = run(job, device, workload, None if spec.precision else job.dtype)
        if name == "forward":
            notes = [*notes, *padded(items, steps, job.batch * p), *_memory(job, device, spec, parts)]
        activities = tuple(repeated(activity, steps * job.epochs * p, p) for activity in found)
        drafts.append(Draft(name, activities, {}, tuple(notes)))
    if p > 1:
        drafts.insert(2, all_reduce(job, device, spec, parts["update"], steps * job.epochs))
    return drafts


def all_reduce(job: Job, device: Device, spec: Train, update: Workload, steps: int) -> Draft:
    """The exchange of gradients: one ring, or one inside the nodes and one between them."""
    if spec.wire is None:
        raise InputError(f"{device.count} devices and no link between them", where=f"device {device.name}",
                         expected="a link of the machine, or one stated", example="link: nvlink")  # fmt: skip
    exchanged = update if spec.precision or not job.dtype else update.with_dtype(job.dtype)
    size = gradient_bytes(exchanged)
    dtype = exchanged.tensors[exchanged.operators[0].inputs[0].tensor].dtype if exchanged.operators else "float32"
    inside = device.count // spec.nodes
    if inside * spec.nodes != device.count or (spec.nodes > 1 and spec.between is None):
        raise InputError(f"{device.count} devices on {spec.nodes} nodes", where=f"device {device.name}",
                         expected="equal nodes, and a link between them", example="between: {link: ethernet}")  # fmt: skip
    activities = _ring(job, device, "all-reduce", (size, dtype), inside, spec.wire, "wire") if inside > 1 else []
    prices = {"wire.byte": spec.wire.energy}
    if spec.between is not None and spec.nodes > 1:
        activities += _ring(job, device, "all-reduce between nodes", (-(-size // inside), dtype), spec.nodes,
                            spec.between, "between")  # fmt: skip
        prices["between.byte"] = spec.between.energy
    p = device.count
    return Draft("all-reduce", tuple(repeated(activity, steps * p, p) for activity in activities), prices)


def _ring(job: Job, device: Device, name: str, what: tuple[int, str], p: int, wire: Wire, part: str) -> list[Activity]:
    """One ring on one device: sends read memory, receipts write it, half of them are added to what is there first.

    `what` are the bytes and the format of the gradients: (p − 1) / p of the values are added in each device.
    """
    size, dtype = what
    sent = ring_bytes(size, p)
    values = -(-sent * 8 // dtype_bits(dtype))
    found, _ = run(job, device, moving(name, values + values // 2, values, values // 2, dtype))
    time = Term(wire.name, ring_s(size, p, wire.bandwidth.nominal), f"wire.{wire.name}", wire.bandwidth)
    setup = wire.setup
    wait = Term("latency", 2 * (p - 1) * setup.nominal, f"wire.{wire.name}.setup", setup) if setup else None
    (one,) = found
    return [replace(one, counts={**one.counts, (part, "byte"): sent}, terms=(*one.terms, time), overhead=wait)]
