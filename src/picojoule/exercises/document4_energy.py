"""The document on CNN, RNN and Transformer: what its methods count, distances, fits, people, carbon by the hour."""

from typing import Any

import numpy as np

from picojoule.quantity import InputError, format_quantity, parse_quantity
from picojoule.studies import YEAR_S, Measurement, distance, human_energy_j, methods, profile, shift
from picojoule.studies import fit as fit_rows
from picojoule.studies import inference as against_person
from picojoule.studies import shares as shares_of
from picojoule.training import peak_activation_bytes, training_step

from ._counts import is_convolution, network, parameters, total_parameters, weighted
from ._findings import Findings
from ._task import Task, solves

DRAWS = 200


@solves("004.0")
def human(task: Task, findings: Findings) -> None:
    """One inference by a machine against a person who needs a while, each with its scope."""
    from picojoule._api import estimate

    result = estimate(task["model"], task.hardware or task["machine"], draws=DRAWS)
    pair = against_person(result, task["seconds"], power=task["power"], what="one image")
    findings.put("human_J", pair.human_j.nominal, "J")
    findings.put("machine_J", pair.machine_j.nominal, "J")
    findings.put("ratio", {"nominal": pair.ratio.nominal, "low": pair.ratio.low, "high": pair.ratio.high})
    findings.say(str(pair), f"一次识别：人 {format_quantity(pair.human_j.nominal, 'J')}（{pair.human_scope}），{pair.machine} "
                 f"{format_quantity(pair.machine_j.nominal, 'J')}（{pair.machine_scope}）；"
                 f"机器/人 {pair.ratio.nominal:.3g}")  # fmt: skip


@solves("004.2.1", "004.2.2")
def intermediates(task: Task, findings: Findings) -> None:
    """Layers, and the most bytes of intermediate results alive at once."""
    for model in task["models"]:
        net = network(model)
        row = {"weighted_layers": sum(1 for _ in weighted(net)), "neurons": net.neurons,
               "peak_activation_bytes": peak_activation_bytes(net)}  # fmt: skip
        findings.put(model, row)
        findings.say(f"{model}: {row['weighted_layers']} layers with weights, {row['neurons']:,} neurons; at most "
                     f"{row['peak_activation_bytes']:,} B of intermediate results at once",
                     f"{model}：{row['weighted_layers']} 个带权重的层，{row['neurons']:,} 个神经元；中间结果同时最多占 "
                     f"{row['peak_activation_bytes']:,} B")  # fmt: skip


@solves("004.2.4", "004.2.5")
def roles(task: Task, findings: Findings) -> None:
    """Parameters by what they are, and by the sort of layer."""
    net = network(task["model"])
    count = {role: sum(t.stored_elements for t in net.parameters if t.role == role) for role in ("weight", "bias")}
    owned = parameters(net)
    connected = sum(owned[o.name] for o in weighted(net) if not is_convolution(o))
    whole = total_parameters(net)
    findings.put("weights", count["weight"])
    findings.put("biases", count["bias"])
    findings.put("fully_connected_share", connected / whole if whole else 0.0)
    findings.say(f"{task['model']}: {count['weight']:,} weights, {count['bias']:,} biases; {connected:,} of {whole:,} "
                 f"parameters in fully connected layers",
                 f"{task['model']}：{count['weight']:,} 个权重，{count['bias']:,} 个偏置；{whole:,} 个参数中 "
                 f"{connected:,} 个属于全连接层")  # fmt: skip


@solves("004.3.1.2")
def rates(task: Task, findings: Findings) -> None:
    """A count, a rate and a share: FLOP, FLOP/s, utilisation."""
    from picojoule._api import estimate

    result = estimate(task["model"], task.hardware or task["machine"], draws=1)
    found = methods(result.workload)
    unit = result.architecture.unit(result.dtype, "matrix") or result.architecture.unit(result.dtype, "vector")
    time = result.cost.total_time_s.nominal
    if unit is None:  # the estimate chose a format that some unit has
        raise InputError(
            f"no unit of {result.architecture.name} computes in {result.dtype}", expected="another machine"
        )
    peak = unit.peak[result.dtype].nominal
    findings.put("flop_two_a_mac", found.flops_2mac, "FLOP")
    findings.put("flop_true", found.flops_true, "FLOP")
    findings.put("flop_per_s", found.flops_2mac / time, "FLOP/s")
    findings.put("utilisation", found.flops_2mac / time / peak)
    findings.say(f"{task['model']}: {found.flops_2mac:,} FLOP at two a MAC, {found.flops_true:,} multiplications and "
                 f"additions in truth; {format_quantity(time, 's')} on {result.architecture.title}, "
                 f"{found.flops_2mac / time / peak:.3f} of its peak",
                 f"{task['model']}：按每次乘加两次计 {found.flops_2mac:,} FLOP，实际乘加共 {found.flops_true:,}；在 "
                 f"{result.architecture.title} 上 {format_quantity(time, 's')}，为峰值的 "
                 f"{found.flops_2mac / time / peak:.3f}")  # fmt: skip


@solves("004.3.1.3")
def operators(task: Task, findings: Findings) -> None:
    """How often operators of each kind run, forward, and in a step of training."""
    net = network(task["model"])
    for name, workload in (("forward", net), ("training_step", training_step(net))):
        found = methods(workload)
        findings.put(name, {"all": found.operator_count, **found.operators})
        kinds = ", ".join(f"{kind} {n}" for kind, n in found.operators.items())
        label = {"forward": "前向", "training_step": "一步训练"}[name]
        findings.say(f"{name.replace('_', ' ')}: {found.operator_count} operators: {kinds}",
                     f"{label}：{found.operator_count} 个算子：{kinds}")  # fmt: skip


@solves("004-memory", "004-memory-<model>")
def accesses(task: Task, findings: Findings) -> None:
    """Elements touched, against parameters: of convolutions, of fully connected layers, of everything."""
    net = network(task["model"])
    found = methods(net)
    owned = parameters(net)
    findings.put("accesses", {"in": found.accesses.activations_in, "out": found.accesses.activations_out,
                              "parameters": found.accesses.parameters, "all": found.accesses.total})  # fmt: skip
    findings.put("params", found.params)
    findings.put("accesses_per_parameter", found.accesses.total / found.params if found.params else 0.0)
    for name, labels, wanted in (("conv", ("convolutions", "卷积"), True),
                                 ("fc", ("fully connected layers", "全连接层"), False)):  # fmt: skip
        layers = [o for o in weighted(net) if is_convolution(o) == wanted]
        params, made = sum(owned[o.name] for o in layers), sum(o.outputs[0].elements * o.repeats for o in layers)
        findings.put(name, {"params": params, "outputs": made})
        findings.say(f"{labels[0]}: {params:,} parameters, {made:,} outputs",
                     f"{labels[1]}：{params:,} 个参数，{made:,} 个输出")  # fmt: skip


@solves("004-norm")
def norms(task: Task, findings: Findings) -> None:
    """Norms and distances of two lists of parameters."""
    if len(task["a"]) != len(task["b"]):
        raise InputError(f"a has {len(task['a'])} numbers, b {len(task['b'])}", where=f"exercise {task.id}",
                         expected="two lists of one length", example="--set a=[1.0,-2.0,3.0]")  # fmt: skip
    a, b = (np.array(task[name], dtype=np.float64) for name in "ab")
    apart, size = distance("w", a, b), distance("w", a, np.zeros_like(a))
    findings.put("l1_distance", apart.l1)
    findings.put("l2_distance", apart.l2)
    findings.put("l1_norm_a", size.l1)
    findings.put("l2_norm_a", size.norm_a)
    findings.put("seed_l2_of_a", size.norm_a**0.5)
    findings.say(f"sum of |a - b| = {apart.l1:g}, root of the sum of squares {apart.l2:.6g}; the norms of a alone are "
                 f"{size.l1:g} and {size.norm_a:.6g}",
                 f"Σ|a - b| = {apart.l1:g}，平方和的根 {apart.l2:.6g}；a 自身的范数为 {size.l1:g} 和 "
                 f"{size.norm_a:.6g}")  # fmt: skip
    findings.say(f"the document's root of the norm would be {size.norm_a**0.5:.6g}",
                 f"按文档“范数的根”则得 {size.norm_a**0.5:.6g}")  # fmt: skip


@solves("004.3.2.3", "004.3.3.3")
def parts(task: Task, findings: Findings) -> None:
    """Disjoint shares of compute, traffic, element-wise work and static power."""
    from picojoule._api import estimate

    result = estimate(task["model"], task.hardware or task["machine"], draws=DRAWS)
    four = shares_of(result)
    row = {"alpha": four.alpha, "beta": four.beta, "gamma": four.gamma, "sigma": four.sigma}
    moved = sum(result.workload.traffic(o).total for o in result.workload.operators)
    findings.put("shares", row)
    findings.put("energy_per_sample", four.per_sample_j().nominal, "J")
    findings.put("mac_per_byte", result.workload.work.macs / moved if moved else 0.0, "MAC/B")
    terms = " + ".join(f"{share:.4f}" for share in row.values())
    findings.say(f"alpha + beta + gamma + sigma = {terms} = {sum(row.values()):.6g}; "
                 f"{format_quantity(four.per_sample_j().nominal, 'J')} a sample on {result.architecture.title}",
                 f"α + β + γ + σ = {terms} = {sum(row.values()):.6g}；在 {result.architecture.title} 上每个样本 "
                 f"{format_quantity(four.per_sample_j().nominal, 'J')}")  # fmt: skip


@solves("004-fit")
def fitted(task: Task, findings: Findings) -> None:
    """Prices from measurements."""
    rows: list[dict[str, float]] = task["rows"]
    with_ops = any(row["ops"] for row in rows)
    found = fit_rows([
        Measurement(f"row {index}", row["macs"], row["bytes"], row["s"], row["energy_J"], row["ops"] if with_ops else None)
        for index, row in enumerate(rows, start=1)
    ])  # fmt: skip
    names = {"macs": ("alpha_J_per_mac", "J/MAC"), "bytes": ("beta_J_per_byte", "J/B"), "seconds": ("gamma_W", "W"),
             "ops": ("delta_J_per_op", "J/op")}  # fmt: skip
    for column, value in found.coefficients.items():
        name, unit = names[column]
        findings.put(name, value.nominal, unit)
        findings.say(f"{name} = {value.nominal:.6g} {unit} ({value.low:.3g} to {value.high:.3g})",
                     f"{name} = {value.nominal:.6g} {unit}（{value.low:.3g} 到 {value.high:.3g}）")  # fmt: skip
    findings.put("condition", found.condition)
    findings.put("mape", found.mape)
    findings.say(f"condition of the scaled columns {found.condition:.3g}, mean error {found.mape:.2%} on {found.rows} rows",
                 f"缩放后各列的条件数 {found.condition:.3g}，{found.rows} 行的平均误差 {found.mape:.2%}")  # fmt: skip


@solves("004-brain")
def brain(task: Task, findings: Findings) -> None:
    """Energy of a brain over years."""
    joule = human_energy_j(task["power_W"], task["years"] * YEAR_S).nominal
    kwh = joule / parse_quantity("1 kWh", "J")
    findings.put("joule", joule, "J")
    findings.put("kWh", kwh, "kWh")
    findings.say(f"{task['power_W']:g} W · {task['years']:g} · {YEAR_S:,.0f} s = {joule:,.0f} J = {kwh:.6g} kWh",
                 f"{task['power_W']:g} W · {task['years']:g} · {YEAR_S:,.0f} s = {joule:,.0f} J = {kwh:.6g} kWh")  # fmt: skip


@solves("004-grid")
def grid(task: Task, findings: Findings) -> None:
    """Best and worst hour to start a job that can wait, by region."""
    power = task["load_MW"] * 1e6
    rows = [shift(power, task["hours"], profile(region)) for region in task["region"]]
    findings.put("best_kg", [row.best.carbon_kg for row in rows], "kg")
    findings.put("worst_kg", [row.worst.carbon_kg for row in rows], "kg")
    findings.put("best_start_hour", [row.best.start_h for row in rows], "h")
    findings.put("flat_24h_kg", [row.flat_kg for row in rows], "kg")
    for row in rows:
        findings.say(f"{row.profile.title}: {row.best.carbon_kg:,.2f} kg from {row.best.start_h:g} h, "
                     f"{row.worst.carbon_kg:,.2f} kg from {row.worst.start_h:g} h; source: {row.profile.source}",
                     f"{row.profile.region}：{row.best.start_h:g} 时开始 {row.best.carbon_kg:,.2f} kg，"
                     f"{row.worst.start_h:g} 时开始 {row.worst.carbon_kg:,.2f} kg；来源：{row.profile.source}")  # fmt: skip


@solves("004.conclusion", "004.3.4.4")
def side_by_side(task: Task, findings: Findings) -> None:
    """All methods for several networks, and how often a parameter and a byte are used."""
    for model in task["models"]:
        found = methods(network(model))
        row: dict[str, Any] = {
            "macs": found.macs, "flop_true": found.flops_true, "operators": found.operator_count,
            "accesses": found.accesses.total, "bytes": found.traffic.total, "macs_per_param": found.macs_per_param,
            "macs_per_byte": found.macs_per_byte,
        }  # fmt: skip
        findings.put(model, row)
        findings.say(f"{model}: {found.macs:,} MACs, {found.operator_count} operators, {found.accesses.total:,} accesses; "
                     f"{found.macs_per_byte:.4g} MAC/B",
                     f"{model}：{found.macs:,} 次乘加，{found.operator_count} 个算子，{found.accesses.total:,} 次访存；"
                     f"{found.macs_per_byte:.4g} MAC/B")  # fmt: skip


@solves("004.3.4.1", "004.3.4.2", "004.3.4.3")
def block_operators(task: Task, findings: Findings) -> None:
    """Every operator of a Transformer block with its work."""
    net = network(task["model"])
    for operator in net.operators:
        work = operator.total
        counts = {"mac": work.macs, **{name: n for name, n in work.as_dict().items() if n}}
        findings.put(operator.name, {**counts, "bytes": net.traffic(operator).total})
        terms = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n)
        findings.say(f"{operator.op}: {terms or 'no arithmetic'}", f"{operator.op}：{terms or '无运算'}")
