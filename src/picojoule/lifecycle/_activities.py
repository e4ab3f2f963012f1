"""Small tools for activities: many times the same, on several devices, from a network at a level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from picojoule.cost import Activity, Term
from picojoule.levels import estimate
from picojoule.quantity import Value
from picojoule.workload import Access, Graph, Work, Workload

from ._job import Device, Job, Wire


@dataclass(frozen=True, slots=True)
class Draft:
    """One part of a stage before it is priced; `prices` stand beside those of the machine."""

    name: str
    activities: tuple[Activity, ...]
    prices: Mapping[str, Value]
    notes: tuple[str, ...] = ()


def repeated(activity: Activity, times: int, devices: int = 1) -> Activity:
    """`activity` `times` times in all, shared out over `devices`: counts times, seconds times / devices."""

    def longer(term: Term) -> Term:
        return replace(term, seconds=term.seconds * times / devices)

    return replace(
        activity, counts={action: n * times for action, n in activity.counts.items()},
        terms=tuple(map(longer, activity.terms)), overhead=longer(activity.overhead) if activity.overhead else None,
    )  # fmt: skip


def run(job: Job, device: Device, workload: Workload, dtype: str | None = None) -> tuple[list[Activity], list[str]]:
    """The activities of `workload` on one `device` at the job's level, and what its user must know of them."""
    result = estimate(workload, device.architecture, device.technology, level=job.level, dtype=dtype, draws=0)
    uncounted = [f"{len(workload.uncounted)} operators are uncounted"] if workload.uncounted else []
    notes = [text for text in result.notes if not text.startswith(("its static power", "mean power"))]
    return list(result.cost.activities), [*notes, *uncounted]


def run_items(job: Job, device: Device, make: "Sequence[tuple[Workload, int]]") -> tuple[list[Activity], list[str]]:
    """Workloads, each so many times, shared out over the devices."""
    activities: list[Activity] = []
    notes: list[str] = []
    for workload, times in make:
        found, said = run(job, device, workload)
        activities += [repeated(activity, times, device.count) for activity in found]
        notes += said
    return activities, list(dict.fromkeys(notes))


def moving(name: str, read: int, write: int, adds: int = 0, dtype: str = "uint8") -> Workload:
    """One operator that reads and writes so many elements of `dtype`."""
    g = Graph(name, dtype=dtype)
    axes = ((("d0", 1),),)
    x = g.input("x", (max(read, 1),))
    g.emit(name, "move", [("d0", max(write, read, 1))], [Access(x.name, axes, read)],
           [((write,), axes)] if write else [], Work.of(adds=adds), name=name, dtype=dtype)  # fmt: skip
    return g.workload()


def carried(name: str, n_bytes: int, times: int, wire: Wire, lanes: int = 1, part: str = "wire") -> Activity:
    """`n_bytes` in all over `lanes` equal wires at once, in `times` transfers one after another on each."""
    terms = (Term(wire.name, n_bytes / lanes / wire.bandwidth.nominal, f"wire.{wire.name}", wire.bandwidth),)
    overhead = None
    if wire.setup is not None:
        overhead = Term("setup", times * wire.setup.nominal, f"wire.{wire.name}.setup", wire.setup)
    return Activity(name, wire.name, "transfer", {(part, "byte"): n_bytes} if n_bytes else {}, terms, overhead)
