"""The document on the energy of a job, where a machine answers: platforms, their parts, training, inference."""

from picojoule.lifecycle import pipelined
from picojoule.quantity import InputError, format_quantity, parse_quantity
from picojoule.studies import shares

from ._counts import network
from ._findings import Findings
from ._task import Task, solves

DRAWS = 200


@solves("002.0")
def platforms(task: Task, findings: Findings) -> None:
    """One network on several platforms."""
    from picojoule._api import estimate

    for name in [task.hardware] if task.hardware else task["machines"]:
        result = estimate(task["model"], name, batch=task["batch"], draws=DRAWS)
        energy, time = result.cost.total_energy_j, result.cost.total_time_s
        row = {"energy_J": energy.nominal, "low_J": energy.low, "high_J": energy.high, "time_s": time.nominal,
               "outer_memory_bytes": next(iter(result.traffic_bytes.values()))}  # fmt: skip
        findings.put(result.architecture.name, row)
        low, high = format_quantity(energy.low, "J", 2), format_quantity(energy.high, "J", 2)
        joule = f"{format_quantity(energy.nominal, 'J')} ({low} to {high})"
        title, seconds = result.architecture.title, format_quantity(time.nominal, "s")
        findings.say(f"{title}, {result.dtype}, {result.cost.scope}: {joule}, {seconds}",
                     f"{title}，{result.dtype}，{result.cost.scope}：{joule}，{seconds}")  # fmt: skip


@solves("002.2.1.2")
def money(task: Task, findings: Findings) -> None:
    """Energy in kilowatt-hours times a price for each."""
    kwh = task["energy_J"] / parse_quantity("1 kWh", "J")
    findings.put("kWh", kwh, "kWh")
    findings.put("cost", kwh * task["price_per_kWh"], "currency")
    findings.say(f"{task['energy_J']:g} J = {kwh:.6g} kWh, times {task['price_per_kWh']:g} = "
                 f"{kwh * task['price_per_kWh']:.6g}",
                 f"{task['energy_J']:g} J = {kwh:.6g} kWh，乘以 {task['price_per_kWh']:g} = "
                 f"{kwh * task['price_per_kWh']:.6g}")  # fmt: skip


@solves("002.2.2.3")
def configurations(task: Task, findings: Findings) -> None:
    """What batch and number format do to the energy of a sample."""
    from picojoule._api import estimate

    machine = task.hardware or task["machine"]
    for dtype in task["dtypes"]:
        for batch in task["batches"]:
            result = estimate(task["model"], machine, batch=batch, dtype=dtype, draws=1)
            joule = result.cost.total_energy_j.nominal / batch
            findings.put(f"{dtype}_batch{batch}", joule, "J")
            findings.say(f"{dtype}, batch {batch}: {format_quantity(joule, 'J')} a sample",
                         f"{dtype}，批大小 {batch}：每个样本 {format_quantity(joule, 'J')}")  # fmt: skip


@solves("002.2.2.4")
def both_phases(task: Task, findings: Findings) -> None:
    """Inference and a step of training on a CPU and on a GPU."""
    from picojoule._api import estimate

    for name in [task.hardware] if task.hardware else task["machines"]:
        for phase in ("infer", "train"):
            result = estimate(task["model"], name, batch=task["batch"], phase=phase, draws=1)
            joule = result.cost.total_energy_j.nominal / task["batch"]
            findings.put(f"{result.architecture.name}_{phase}", joule, "J")
            findings.say(f"{result.architecture.title}, {phase}: {format_quantity(joule, 'J')} a sample",
                         f"{result.architecture.title}，{phase}：每个样本 {format_quantity(joule, 'J')}")  # fmt: skip


@solves("002.2.2.5")
def parts(task: Task, findings: Findings) -> None:
    """Which parts of a machine take the energy."""
    from picojoule._api import estimate

    result = estimate(task["model"], task.hardware or task["machine"], draws=DRAWS)
    spent: dict[str, float] = {}
    for (part, _), row in result.cost.energy_by_action().items():
        spent[part] = spent.get(part, 0.0) + float(row.sum())
    findings.put("energy_by_part", spent, "J")
    whole = sum(spent.values())
    findings.put("total", whole, "J")
    for part, joule in spent.items():
        findings.say(f"{part}: {format_quantity(joule, 'J')}, {joule / whole:.3f} of it",
                     f"{part}：{format_quantity(joule, 'J')}，占 {joule / whole:.3f}")  # fmt: skip
    four = shares(result)
    findings.say(f"compute {four.alpha:.3f}, traffic {four.beta:.3f}, element-wise {four.gamma:.3f}, static "
                 f"{four.sigma:.3f}; scope {result.cost.scope}",
                 f"计算 {four.alpha:.3f}，访存 {four.beta:.3f}，逐元素 {four.gamma:.3f}，静态 {four.sigma:.3f}；"
                 f"范围 {result.cost.scope}")  # fmt: skip


@solves("002.3.1.2.3")
def training(task: Task, findings: Findings) -> None:
    """One step of training: forward, backward, update."""
    from picojoule._api import estimate

    result = estimate(task["model"], task.hardware or task["machine"], batch=task["batch"], phase="train",
                      optimiser=task["optimiser"], draws=1)  # fmt: skip
    forward = len(network(task["model"], task["batch"]).operators)
    spent = {"forward": 0.0, "backward": 0.0, "update": 0.0}
    rows = zip(result.workload.operators, result.cost.energy_j[:, 0].tolist(), strict=True)
    for index, (operator, joule) in enumerate(rows):
        spent["update" if operator.kind == "update" else "forward" if index < forward else "backward"] += joule
    whole = sum(spent.values())
    findings.put("energy", spent, "J")
    findings.put("total", whole, "J")
    for name, joule in spent.items():
        findings.say(f"{name}: {format_quantity(joule, 'J')}, {joule / whole:.3f} of a step of {task['batch']} samples",
                     f"{name}：{format_quantity(joule, 'J')}，占一步（{task['batch']} 个样本）的 "
                     f"{joule / whole:.3f}")  # fmt: skip


@solves("002.3.1.3.3")
def inference(task: Task, findings: Findings) -> None:
    """A network cut over several machines in a row."""
    from picojoule._api import estimate

    if task["devices"] > 64:
        raise InputError(f"{task['devices']} devices", where=f"exercise {task.id}", expected="64 or fewer",
                         example="--set devices=4")  # fmt: skip
    result = estimate(task["model"], task.hardware or task["machine"], draws=DRAWS)
    run = pipelined(result, task["devices"], task["items"])
    energy, time = run.total_energy_j, run.total_time_s
    findings.put("energy", {"nominal": energy.nominal, "low": energy.low, "high": energy.high}, "J")
    findings.put("time", {"nominal": time.nominal, "low": time.low, "high": time.high}, "s")
    findings.put("part_s", list(run.pipeline.stage_s), "s")
    findings.put("bubble", run.pipeline.bubble)
    findings.say(f"{task['items']} items over {task['devices']} machines cut where the slowest part is fastest: "
                 f"{format_quantity(time.nominal, 's')}, {format_quantity(energy.nominal, 'J')}, bubble "
                 f"{run.pipeline.bubble:.3f}; links left out",
                 f"{task['items']} 个输入经 {task['devices']} 台机器，按最慢段最快来切分："
                 f"{format_quantity(time.nominal, 's')}，{format_quantity(energy.nominal, 'J')}，气泡 "
                 f"{run.pipeline.bubble:.3f}；不计链路")  # fmt: skip
