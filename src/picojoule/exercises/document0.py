"""Questions on weights, shapes and the traffic of a little network."""

import math
from typing import Any

from picojoule.quantity import InputError
from picojoule.workload import Graph, Workload, dtype_name, ops

from ._counts import layer_bytes, macs, one_convolution, parameters, total_parameters, weighted
from ._findings import Findings
from ._small_net import small_net
from ._task import Task, solves


def _image(task: Task, key: str = "input") -> tuple[int, int, int]:
    sizes = task[key]
    if len(sizes) != 3:
        raise InputError(f"{key} has {len(sizes)} sizes", where=f"exercise {task.id}", expected="height, width, channels",
                         example=f"--set {key}=[32,32,3]")  # fmt: skip
    return sizes[0], sizes[1], sizes[2]


def _fully_connected(task: Task) -> Workload:
    features, results = math.prod(_image(task)), math.prod(_image(task, "output"))
    g = Graph("fc")
    x = g.input("x", (1, features))
    g.output(ops.linear(g, x, g.parameter("weight", (results, features)), g.parameter("bias", (results,), "bias")))
    return g.workload()


@solves("000.1", "000-weights-fc", "000-weights-conv", "000-weights-<kind>")
def weights(task: Task, findings: Findings) -> None:
    """Weights and biases of one layer."""
    if task["kind"] == "fc":
        workload = _fully_connected(task)
        findings.say(
            "weights = W1·H1·C1 · W2·H2·C2, one bias an output", "权重 = W1·H1·C1 · W2·H2·C2，每个输出一个偏置"
        )
    elif task["kind"] == "conv":
        tall, wide = (task["k"] * 2)[:2]
        channels, filters, groups = task["in_channels"], task["out_channels"], task["groups"]
        workload, _ = one_convolution(tall, wide, channels, filters, (tall, wide), groups=groups)
        findings.say("weights = kh·kw · (C1/groups) · C2, one bias a filter",
                     "权重 = kh·kw · (C1/groups) · C2，每个卷积核一个偏置")  # fmt: skip
    else:
        raise InputError(f"kind is {task['kind']!r}", where=f"exercise {task.id}", expected="fc or conv",
                         example='--set kind="conv"')  # fmt: skip
    by_role = {role: sum(t.elements for t in workload.parameters if t.role == role) for role in ("weight", "bias")}
    findings.put("weights", by_role["weight"])
    findings.put("biases", by_role["bias"])
    findings.put("params", total_parameters(workload))


@solves("000.12", "000.cnn", "000-cnn-flatten", "000-cnn-second-pool", "000-cnn-nopool", "000.13")
def little_traffic(task: Task, findings: Findings) -> None:
    """Each tensor of each weighted layer once."""
    workload = small_net(task["model"], dtype=dtype_name(task["dtype"]))
    total = biases = 0
    for operator in weighted(workload):
        sizes: dict[str, Any] = layer_bytes(workload, operator)
        if task["bias_counted"]:
            bias = sum(workload.tensors[a.tensor].bytes_of(a.elements) for a in operator.inputs
                       if workload.tensors[a.tensor].role == "bias")  # fmt: skip
            sizes["bias"] = bias
        layer = sum(sizes.values())
        total, biases = total + layer, biases + sizes.get("bias", 0)
        findings.put(operator.path, {**sizes, "total": layer}, "B")
        terms = " + ".join(f"{n:,}" for n in sizes.values())
        shape = "x".join(map(str, workload.tensors[operator.outputs[0].tensor].shape[1:]))
        findings.say(f"{operator.path} (gives {shape}): {terms} = {layer:,} B",
                     f"{operator.path}（输出 {shape}）：{terms} = {layer:,} B")  # fmt: skip
    if task["pools_counted"]:
        pools = sum(workload.traffic(o).total for o in workload.operators if o.kind == "pool")
        findings.put("pools", pools, "B")
        total += pools
    findings.put("all", total, "B")
    findings.say(f"together {total:,} B", f"合计 {total:,} B")


@solves("000-cnn-params", "000.16")
def little_parameters(task: Task, findings: Findings) -> None:
    """Parameters and MACs of the same network."""
    workload = small_net(task["model"])
    by_layer = {o.path: o.total.macs for o in weighted(workload)}
    owned = parameters(workload)
    for operator in weighted(workload):
        findings.say(f"{operator.path}: {owned[operator.name]:,} parameters, {operator.total.macs:,} MACs",
                     f"{operator.path}：{owned[operator.name]:,} 个参数，{operator.total.macs:,} 次乘加")  # fmt: skip
    findings.put("params", total_parameters(workload))
    findings.put("macs", {**by_layer, "all": sum(by_layer.values())}, "MAC")


@solves("000.14", "000-conv-shape", "004.3.2.2")
def convolution_shape(task: Task, findings: Findings) -> None:
    """Output of a convolution."""
    height, width, channels = _image(task)
    k = task["k"]
    workload, y = one_convolution(height, width, channels, task["filters"], (k, k), stride=task["stride"],
                                  padding=task["pad"])  # fmt: skip
    _, filters, rows, columns = y.shape
    findings.say(f"floor(({width} + 2·{task['pad']} - {k}) / {task['stride']}) + 1 = {columns}",
                 f"⌊({width} + 2·{task['pad']} - {k}) / {task['stride']}⌋ + 1 = {columns}")  # fmt: skip
    findings.put("output", [rows, columns, filters])
    findings.put("elements", y.elements)
    findings.put("macs", macs(weighted(workload)), "MAC")
    findings.put("params", total_parameters(workload))
