"""Exercises 3.1 and 3.2: neurons, parameters, multiplications and additions of whole networks."""

from typing import Any, Final

from picojoule.workload import Workload

from ._counts import (
    comparisons,
    convolution_macs,
    layer_names,
    macs,
    network,
    normalised,
    outputs,
    parameters,
    pooled,
    product_macs,
    residual_additions,
    total_parameters,
    training_macs,
    weighted,
)
from ._findings import Findings
from ._task import Task, solves

MEBI: Final = 2**20


def network_counts(workload: Workload) -> dict[str, int]:
    """The row of the table of 3.1 and 3.2, for one sample."""
    layers = list(weighted(workload))
    batch = workload.batch
    pools, scaled = pooled(workload), normalised(workload)
    multiplications, additions = sum(o.total.muls for o in layers), sum(o.total.adds for o in layers)
    pixels = sum(workload.tensors[name].elements for name in workload.inputs)
    totals = {
        "macs": macs(layers), "macs_conv": convolution_macs(workload), "macs_fc": product_macs(workload),
        "multiplications_conv_fc": multiplications, "additions_conv_fc": additions,
        "multiplications_with_folded_bn_avgpool": multiplications + scaled + pools.muls,
        "additions_with_bn_residual_avgpool": additions + scaled + pools.adds + residual_additions(workload),
        "comparisons": comparisons(workload),
        "neurons": sum(outputs(o) for o in layers),
        "neurons_with_input": sum(outputs(o) for o in layers) + pixels,
        "training_macs_per_sample": training_macs(workload),
    }  # fmt: skip
    return {"params": total_parameters(workload), **{name: total // batch for name, total in totals.items()}}


def _shape(task: Task) -> tuple[int, ...] | None:
    """The input shape asked for, batch first; zeros leave the network's own."""
    return (task["batch"], *task["input"]) if all(task["input"]) else None


_UNITS: Final = {"macs": "MAC", "macs_conv": "MAC", "macs_fc": "MAC", "training_macs_per_sample": "MAC"}


@solves("3.1-3.2-<model>")
def one_network(task: Task, findings: Findings) -> None:
    """Every number of one network."""
    workload = network(task["model"], task["batch"], _shape(task))
    row = network_counts(workload)
    for name, value in row.items():
        findings.put(name, value, _UNITS.get(name, "1"))
    shape = list(workload.tensors[workload.inputs[0]].shape[1:])
    findings.say(f"input {shape}; {sum(1 for _ in weighted(workload))} layers with weights",
                 f"输入 {shape}；{sum(1 for _ in weighted(workload))} 个带权重的层")  # fmt: skip
    findings.say(f"training = 3·{row['macs']:,} - input gradient of the first layer = {row['training_macs_per_sample']:,}",
                 f"训练 = 3·{row['macs']:,} - 第一层的输入梯度 = {row['training_macs_per_sample']:,}")  # fmt: skip


@solves("3.1")
def three_networks(task: Task, findings: Findings) -> None:
    """Neurons and parameters of the networks named, and where the document's mult-adds come from."""
    for model in task["models"]:
        row = network_counts(network(model))
        findings.put(model, {"params": row["params"], "neurons": row["neurons"],
                             "neurons_with_input": row["neurons_with_input"]})  # fmt: skip
        findings.say(f"{model}: {row['params']:,} parameters, {row['neurons']:,} neurons",
                     f"{model}：{row['params']:,} 个参数，{row['neurons']:,} 个神经元")  # fmt: skip
        again = container_mult_adds(network(model))
        findings.put(f"{model}_as_torchinfo_2021", again)
        findings.say(
            f"{model}: {row['macs']:,} MACs; with every weight added once more per enclosing container {again:,}",
            f"{model}：{row['macs']:,} 次乘加；每个权重按其外层容器再加一遍得 {again:,}",
        )


@solves("3.2")
def operations(task: Task, findings: Findings) -> None:
    """Multiplications and additions of one forward pass."""
    for model in task["models"]:
        workload = network(model)
        row = network_counts(workload)
        keep = ("multiplications_conv_fc", "additions_conv_fc", "multiplications_with_folded_bn_avgpool",
                "additions_with_bn_residual_avgpool", "comparisons")  # fmt: skip
        findings.put(model, {name: row[name] for name in keep})
        findings.say(
            f"{model}: {row[keep[0]]:,} multiplications and {row[keep[1]]:,} additions in layers with weights",
            f"{model}：带权重的层共 {row[keep[0]]:,} 次乘法、{row[keep[1]]:,} 次加法",
        )
    softmax = softmax_work(task["classes"])
    findings.put("softmax", softmax)
    findings.say(f"exponentials are a column of their own: softmax of {task['classes']} classes: {softmax}",
                 f"指数单独成列：{task['classes']} 类的 softmax：{softmax}")  # fmt: skip


def softmax_work(classes: int) -> dict[str, int]:
    """Operations of one softmax by name, special functions included."""
    from picojoule.workload import Graph, ops

    g = Graph("softmax")
    ops.softmax(g, g.input("x", (1, classes)))
    return dict(g.workload().work.as_dict())


@solves("3.1-alexnet-layers", "3.1-<model>-layers")
def by_layer(task: Task, findings: Findings) -> None:
    """Layer by layer."""
    workload = network(task["model"])
    owned = parameters(workload)
    for name, operator in layer_names(workload).items():
        row = {"neurons": outputs(operator), "params": owned[operator.name], "multiplications": operator.total.muls,
               "additions": operator.total.adds}  # fmt: skip
        findings.put(name, row)
        findings.say(f"{name}: {row['neurons']:,} neurons, {row['params']:,} parameters, {row['multiplications']:,} MACs",
                     f"{name}：{row['neurons']:,} 个神经元，{row['params']:,} 个参数，"
                     f"{row['multiplications']:,} 次乘加")  # fmt: skip


def container_mult_adds(workload: Workload) -> int:
    """What torchinfo of 2021 prints: MACs, normalisation weights, and each weight again per enclosing container.

    A container is every module between the network and the layer: features, layer1, layer1.0, …; biases are left out.
    """
    weights = [t for t in workload.parameters if t.name.rsplit(".", 1)[-1] == "weight"]
    normal = sum(t.elements for t in weights if t.role == "norm")
    again = sum(t.elements * (t.name.count(".") - 1) for t in weights)
    return macs(weighted(workload)) + normal + again


@solves("3.1-torchinfo-cause")
def torchinfo(task: Task, findings: Findings) -> None:
    """The mult-adds that the document prints, reproduced by their cause."""
    for model in task["models"]:
        true, printed = macs(weighted(network(model))), container_mult_adds(network(model))
        findings.put(model, printed)
        findings.say(f"{model}: {true:,} MACs + {printed - true:,} weights counted again = {printed:,}",
                     f"{model}：{true:,} 次乘加 + 重复计入的 {printed - true:,} 个权重 = {printed:,}")  # fmt: skip


@solves("3.1-sizes")
def sizes(task: Task, findings: Findings) -> None:
    """The sizes that the document prints, in their real unit."""
    for index, model in enumerate(task["models"]):
        workload = network(model)
        maps = sum(outputs(o) for o in workload.operators if workload.bears_weights(o) or o.op == "batch_norm")
        row: dict[str, Any] = {}
        if index == 0:
            row["input"] = (
                sum(t.bytes_of(t.elements) for t in map(workload.tensors.__getitem__, workload.inputs)) / MEBI
            )
        row["fwd_bwd"] = 2 * 4 * maps / MEBI
        row["params"] = sum(t.bytes_of(t.stored_elements) for t in workload.parameters) / MEBI
        findings.put(model, row, "MiB")
        megabytes = row["params"] * MEBI / 1e6
        findings.say(f"{model}: parameters {row['params']:.2f} MiB = {megabytes:.2f} MB; forward and backward "
                     f"{row['fwd_bwd']:.2f} MiB", f"{model}：参数 {row['params']:.2f} MiB = {megabytes:.2f} MB；"
                     f"前向加反向 {row['fwd_bwd']:.2f} MiB")  # fmt: skip
