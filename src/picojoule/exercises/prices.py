"""Exercises on unit energies: prices of the library, with spread and source, and estimates on its machines."""

from typing import Any

from picojoule.quantity import Value, format_quantity

from ._findings import Findings
from ._task import Task, solves


def _price(findings: Findings, name: str, value: Value, unit: str, scale: float = 1.0) -> None:
    low, mid, high = (value.low * scale, value.nominal * scale, value.high * scale)
    findings.put(name, {"nominal": mid, "low": low, "high": high}, unit)
    shown = [format_quantity(mid, unit), format_quantity(low, unit, 2), format_quantity(high, unit, 2)]
    findings.say(f"{name}: {shown[0]} ({shown[1]} to {shown[2]}), {value.provenance}: {value.source}",
                 f"{name}：{shown[0]}（{shown[1]} 到 {shown[2]}），{value.provenance}：{value.source}")  # fmt: skip


@solves("000-cache-bound")
def cache_bound(task: Task, findings: Findings) -> None:
    """One read of a small cache against one 8-bit addition at the same node."""
    from picojoule.formats import catalogue_entry

    add, read = (catalogue_entry(task[name]) for name in ("add_entry", "read_entry"))
    pico = 1e12
    findings.put("int8_add_45nm_pJ", add.value.nominal * pico, "pJ")
    findings.put("sram_8KB_64b_45nm_pJ", read.value.nominal * pico, "pJ")
    lowest, highest = task["claim_pJ"][0], task["claim_pJ"][-1]
    holds = read.value.nominal > add.value.nominal
    findings.put("law_holds", holds)
    findings.put("claim_too_low_by", [read.value.nominal * pico / highest, read.value.nominal * pico / lowest])
    for entry in (add, read):
        findings.say(f"{entry.component}, {entry.action}: {format_quantity(entry.value.nominal, 'J')}, {entry.value.source}",
                     f"{entry.component}，{entry.action}：{format_quantity(entry.value.nominal, 'J')}，"
                     f"{entry.value.source}")  # fmt: skip
    findings.say("a read costs more than an addition; the claimed range lies at or below one addition",
                 "一次读取比一次加法贵；文档给的范围与一次加法相当或更低")  # fmt: skip


@solves("000.3", "000.5")
def memory_access(task: Task, findings: Findings) -> None:
    """Energy of one access to the outermost memory of a machine."""
    machine = task.machine() if task.hardware else None
    from picojoule._api import read_hardware

    machine = machine or read_hardware(task["machine"])
    memory = machine.architecture.memories[0]
    price = machine.technology.price((memory.name, "read"))
    findings.assume(f"an access moves {task['bytes']} B of {memory.kind}; scope: {machine.technology.scope}",
                    f"一次访问移动 {task['bytes']} B（{memory.kind}）；范围：{machine.technology.scope}")  # fmt: skip
    _price(findings, "energy_per_access", price, "J", task["bytes"])
    claim = task["claim_J"]
    findings.put("claim_over_ours", [bound / (price.nominal * task["bytes"]) for bound in claim])


@solves("000.4", "000.6")
def matrix_product(task: Task, findings: Findings) -> None:
    """Energy of square matrix products on a machine."""
    from picojoule._api import estimate

    machine = task.hardware or task["machine"]
    for n in task["sizes"]:
        result = estimate(f"matmul:{n}x{n}x{n}", machine, dtype=task["dtype"])
        energy = result.cost.total_energy_j
        row: dict[str, Any] = {"nominal": energy.nominal, "low": energy.low, "high": energy.high}
        findings.put(f"n{n}", row, "J")
        low, high = format_quantity(energy.low, "J", 2), format_quantity(energy.high, "J", 2)
        joule = format_quantity(energy.nominal, "J")
        findings.say(f"{n}³ {result.dtype}: {joule} ({low} to {high}), scope {result.cost.scope}",
                     f"{n}³ {result.dtype}：{joule}（{low} 到 {high}），范围 {result.cost.scope}")  # fmt: skip


@solves("000.9")
def batches(task: Task, findings: Findings) -> None:
    """Energy per inference on two machines at growing batches, and the batch from which the second wins."""
    from picojoule._api import estimate

    second = task.hardware or task["accelerator"]
    winner = None
    for batch in task["batches"]:
        results = [estimate(task["model"], name, batch=batch, draws=1) for name in (task["baseline"], second)]
        one, two = (result.cost.total_energy_j.nominal / batch for result in results)
        findings.put(f"batch_{batch}", [one, two], "J")
        winner = winner or (batch if two < one else None)
        text = f"{batch}: {format_quantity(one, 'J')} | {format_quantity(two, 'J')}"
        findings.say(f"batch {text}", f"批大小 {text}")
    findings.put("first_batch_where_the_second_wins", winner or 0)
    findings.say(f"columns: {task['baseline']}, {second}; energy of one inference",
                 f"两列：{task['baseline']}，{second}；一次推理的能量")  # fmt: skip


@solves("000.7")
def cache_curve(task: Task, findings: Findings) -> None:
    """Published energies of one 64-bit read by capacity."""
    from picojoule.formats import catalogue_entry

    for name in task["entries"]:
        entry = catalogue_entry(name)
        per_access = 1 if entry.per == "access" else task["bits"] if entry.per == "bit" else task["bits"] / 8
        _price(findings, name, entry.value, "J", per_access)
    findings.say("memory further out costs more a read, and every read more than one 8-bit addition",
                 "越往外的存储每次读取越贵，且都贵于一次 8 位加法")  # fmt: skip


@solves("002-units")
def units(task: Task, findings: Findings) -> None:
    """A kilowatt-hour in joules; a millijoule per kilowatt-hour is a pure number."""
    from picojoule.quantity import parse_quantity

    joule = parse_quantity(f"{task['kWh']!r} kWh", "J")
    findings.put("joule", joule, "J")
    findings.put("mJ_per_kWh_as_number", parse_quantity("1 mJ", "J") / joule)
    findings.say(f"{task['kWh']} kWh = {joule:,.0f} J; J/J cancels, so mJ/kWh measures no efficiency",
                 f"{task['kWh']} kWh = {joule:,.0f} J；J/J 约去，mJ/kWh 不是效率单位")  # fmt: skip
