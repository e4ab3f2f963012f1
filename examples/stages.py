"""What the stages of an example cost on a chosen machine: a job file filled in, and its result as a table."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import wrap

import picojoule as pj
from picojoule.cost import interval
from picojoule.lifecycle import JobResult, weight_bytes
from picojoule.quantity import format_quantity
from picojoule.studies import shares

JOB = """\
format: picojoule/job/1
name: {name}
batch: {batch}
epochs: {epochs}
data: {{items: {items}, shape: [{shape}], label_bytes: 1}}
devices: {{host: {on}}}
stages:
  - {{stage: load, on: host, storage: nvme}}
  - {{stage: preprocess, on: host, normalise: true, by: operators}}
  - {{stage: train, on: host, model: "{model}", optimiser: {optimiser}{mixed}}}
  - {{stage: infer, on: host, model: "{model}", items: {held_out}}}
"""


@dataclass(frozen=True)
class Setting:
    """An example as its stages need it."""

    name: str
    model: str
    items: int
    held_out: int
    shape: str
    batch: int
    epochs: int
    optimiser: str


def result(setting: Setting, on: str, mixed: bool = False) -> JobResult:
    """Energy and time of loading, preparing, training and answering on the machine `on`."""
    text = JOB.format(**vars(setting), on=on, mixed=", mixed: float16" if mixed else "")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "job.yaml"
        file.write_text(text, encoding="utf-8")
        return pj.job(file)


def table(results: dict[str, JobResult]) -> str:
    """Stages down, kinds of training across; 90 % intervals of the totals below."""
    first = next(iter(results.values()))
    lines = [f"{'energy of one run':<20}" + "".join(f"{name:>18}" for name in results)]
    for stage in first.stages:
        cells = [one.stage(stage.name).energy_j[0] for one in results.values()]
        lines.append(f"  {stage.name:<18}" + "".join(f"{format_quantity(float(j), 'J'):>18}" for j in cells))
    rest = [one.energy_j[0] - sum(s.energy_j[0] for s in one.stages) for one in results.values()]
    lines.append(f"  {'waiting':<18}" + "".join(f"{format_quantity(max(0.0, float(j)), 'J'):>18}" for j in rest))
    totals = [interval(one.energy_j) for one in results.values()]
    lines.append(f"  {'total':<18}" + "".join(f"{format_quantity(t.nominal, 'J'):>18}" for t in totals))
    lines.append(f"  {'90 %':<18}" + "".join(f"{_range(t.low, t.high):>18}" for t in totals))
    lines.append(
        f"  {'time':<18}" + "".join(f"{format_quantity(o.total_time_s.nominal, 's'):>18}" for o in results.values())
    )
    lines.append(f"scope: {first.scope}")
    notes = dict.fromkeys(note for one in results.values() for stage in one.stages for note in stage.notes)
    for note in notes:
        lines += wrap(f"note: {note}", 80, subsequent_indent="  ")
    return "\n".join(lines)


def sparse_note(setting: Setting, on: str, zeros: float) -> str:
    """What the zeros are worth: bytes of a weight by storage, and the energy of one answer if their products are skipped."""
    answer = pj.estimate(setting.model, on)
    part = shares(answer)
    saved = zeros * part.alpha
    kept = 1 - zeros
    bytes_ = [weight_bytes(kept, form) for form in ("dense", "bitmap", "csr")]
    text = (
        f"{zeros:.0%} zeros: {bytes_[0]:g} B a weight dense, {bytes_[1]:g} as bitmap, {bytes_[2]:g} as CSR. Dense hardware "
        f"multiplies by zero like by anything else; one that skips zeros saves {saved:.2g} of the energy of an answer: "
        f"multiply-adds are {part.alpha:.2g} of it, static power {part.sigma:.2g}."
    )
    return "\n".join(wrap(text, 80))


def _range(low: float, high: float) -> str:
    return f"{format_quantity(low, 'J', 2)} – {format_quantity(high, 'J', 2)}"
