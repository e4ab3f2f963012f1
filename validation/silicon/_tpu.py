"""TPU v1 on three of its applications: the rate at level roofline once activations stay in its unified buffer.

Layers were not published; equal ones with as many weights and MACs per weight stand in for them. Fusion keeps what fits
the 24 MiB buffer off the weight memory. The attained shares of the machine (0.95 of its rate, 0.85 of its weight memory)
were fitted on five applications, these among them: agreement here is no proof, disagreement would be.
"""

from collections.abc import Mapping

import numpy as np

from picojoule import estimate, read_hardware
from picojoule.fusion import fuse, room
from picojoule.workload import Graph, Workload, ops

from ._row import Row, lines

CHIP = "TPU v1"


def rows() -> list[Row]:
    """The rate of each application [TOP/s]."""
    machine, made = read_hardware("tpu-v1"), []
    for line in lines("tpu_v1.csv"):
        net = stack(line)
        check(net, line)
        fused = fuse(net, room(machine.architecture)).workload
        found = estimate(fused, machine, draws=2000)
        rates = 2 * net.work.macs / 1e12 / found.cost.time_s.sum(axis=0)
        low, high = np.quantile(rates[1:], (0.05, 0.95))
        made.append(Row(CHIP, line["application"], "rate", "TOP/s", float(line["tops"]), float(rates[0]), float(low),
                        float(high)))  # fmt: skip
    return made


def stack(line: Mapping[str, str]) -> Workload:
    """Equal layers with ReLU between, int8."""
    width, kernel, side, batch = (int(line[name]) for name in ("width", "kernel", "side", "batch"))
    g = Graph(line["application"], dtype="int8", batch=batch)
    x = g.input("x", (batch, width, side, side) if side > 1 else (batch, width))
    for index in range(int(line["layers"])):
        with g.scope(f"layer{index}"):
            if side > 1:
                weight = g.parameter("weight", (width, width, kernel, kernel))
                x = ops.conv(g, x, weight, padding=[(kernel // 2, kernel // 2)] * 2)
            else:
                x = ops.linear(g, x, g.parameter("weight", (width, width)))
            x = ops.unary(g, "relu", x)
    g.output(x)
    return g.workload()


def check(net: Workload, line: Mapping[str, str]) -> None:
    """Weights and MACs per weight are those of the paper, to 2 %."""
    weights = sum(tensor.elements for tensor in net.parameters)
    for what, have, want in (("weights", weights / 1e6, float(line["weights_m"])),
                             ("MACs per weight", net.work.macs / weights, float(line["macs_per_weight"]))):  # fmt: skip
        if abs(have / want - 1) > 0.02:
            raise ValueError(f"{line['application']}: {what} {have:g}, published {want:g}")
