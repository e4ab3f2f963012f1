"""Eyeriss v1 on the convolutions of AlexNet, batch 4: latency, buffer and DRAM traffic, power, layer by layer.

The nest is the one of least energy · latency under the row-stationary dataflow; no mapping was taken from the paper.
From the paper come the zeros of the inputs, which gate MACs and compress DRAM traffic, and the width of the link.

    processing = steps / (0.87 · 200 MHz)             0.87 was fitted on these and 13 layers of VGG-16
    total      = processing + inputs read from DRAM / link: the buffer holds them once, so nothing hides their loading
    DRAM       = weights + inputs · min(1, density · 64 / (3 · 16)) and outputs alike, at the density of the next input
    power      = (205 mW · total + MACs and registers of inputs that are not zero, fills of registers, buffer) / total

A run-length word of 64 bits holds three values of 16 bits with their runs. The interval of power is that of the prices;
of time, that of the attained share.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from picojoule import estimate, read_hardware, read_model
from picojoule.cost import Activity, Cost, Term, price
from picojoule.hardware import Technology
from picojoule.levels import Estimate
from picojoule.quantity import Value

from ._row import Row, lines

CHIP = "Eyeriss v1"
WORD = 2  # bytes
SUMMED = ("total_ms", "processing_ms", "glb_mb", "dram_mb")
# What a zero input spares in the register files: it is found in a buffer of zero marks, before anything is read.
GATED = (("input", "read"), ("weight", "read"), ("output", "read"), ("output", "update"))
Line = Mapping[str, str]


def rows() -> list[Row]:
    """Five quantities of five layers, and of all together."""
    published = lines("eyeriss_v1.csv")
    found = estimate(read_model("alexnet-2012", batch=4), "eyeriss", level="mapped", dataflow="rs", draws=2000)
    layers = [i for i, activity in enumerate(found.cost.activities) if activity.kind == "conv"]
    zeros = [float(line["zeros_input_pct"]) / 100 for line in published]
    following = [*zeros[1:], zeros[-1]]
    cost = price([_layer(found, i, z, line) for i, z, line in zip(layers, zeros, published, strict=True)], _chip_alone(),
                 draws=2000)  # fmt: skip
    made: list[Row] = []
    for n, (i, line) in enumerate(zip(layers, published, strict=True)):
        counts = found.cost.activities[i].counts
        glb = (counts["glb", "read"] + counts["glb", "write"]) / 1e6
        made += _of(line["layer"], line, cost, [n], glb, _dram_bytes(found, i, zeros[n], following[n]) / 1e6)
    whole = {key: str(sum(float(line[key]) for line in published)) for key in SUMMED}
    energy = sum(float(line["power_mw"]) * float(line["total_ms"]) for line in published)
    whole["power_mw"] = str(energy / float(whole["total_ms"]))
    glb, dram = (sum(row.predicted for row in made if row.quantity == name) for name in ("buffer", "DRAM"))
    return made + _of("all five", whole, cost, list(range(len(layers))), glb, dram)


def _of(what: str, line: Line, cost: Cost, at: list[int], glb: float, dram: float) -> list[Row]:
    """Latency and power with intervals from the draws, traffic as counts."""
    total = cost.time_s[at].sum(axis=0)
    power = cost.energy_j[at].sum(axis=0) / total
    loads = sum(load.seconds for n in at if (load := cost.activities[n].overhead) is not None)
    return [
        _row(what, "total latency", "ms", line["total_ms"], 1e3 * total),
        _row(what, "processing latency", "ms", line["processing_ms"], 1e3 * (total - loads)),
        Row(CHIP, what, "buffer", "MB", float(line["glb_mb"]), glb, glb, glb),
        Row(CHIP, what, "DRAM", "MB", float(line["dram_mb"]), dram, dram, dram),
        _row(what, "power", "mW", line["power_mw"], 1e3 * power),
    ]


def _row(what: str, quantity: str, unit: str, published: str, draws: NDArray[np.float64]) -> Row:
    low, high = np.quantile(draws[1:], (0.05, 0.95))
    return Row(CHIP, what, quantity, unit, float(published), float(draws[0]), float(low), float(high))


def _layer(found: Estimate, index: int, zeros: float, line: Line) -> Activity:
    """One layer on the chip alone: steps, then the load of its inputs; zeros gate MACs and register reads."""
    own, repeats = found.cost.activities[index], found.workload.operators[index].repeats
    moved = found.nests[own.operator].traffic
    every = sum(n for (level, _, _), n in moved.counts.items() if level == "rf")
    gated = sum(moved.of("rf", role, action) for role, action in GATED)
    counts = {key: n for key, n in own.counts.items() if key[0] == "glb"}
    counts["pe", "mac_int16"] = round(own.counts["pe", "mac_int16"] * (1 - zeros))
    counts["rf", "read"] = round((every - gated * zeros) * repeats * WORD)
    seconds = _compressed(moved.of("dram", "input", "read") * repeats * WORD, zeros) / (
        1e6 * float(line["link_mb_per_s"])
    )
    share = Value(1.0, "1", float(line["load_spread"]), "eyeriss2017", "share of the link that a load attains")
    steps = tuple(term for term in own.terms if term.key.endswith("attained.mapped.compute"))
    return Activity(own.operator, own.path, own.kind, counts, steps, Term("link", seconds, "eyeriss-v1.link", share))


def _compressed(n_bytes: float, zeros: float) -> float:
    """Run-length words of 64 bits with three values of 16."""
    return n_bytes * min(1.0, (1 - zeros) * 64 / 48)


def _dram_bytes(found: Estimate, index: int, zeros: float, zeros_out: float) -> float:
    moved = found.nests[found.cost.activities[index].operator].traffic
    repeats = found.workload.operators[index].repeats
    inputs, weights, outputs = (
        moved.of("dram", role, action) * WORD * repeats
        for role, action in (("input", "read"), ("weight", "read"), ("output", "update"))
    )
    return _compressed(inputs, zeros) + weights + _compressed(outputs, zeros_out)


def _chip_alone() -> Technology:
    technology = read_hardware("eyeriss").technology
    kept = {key: value for key, value in technology.prices.items() if not key.startswith("dram")}
    return Technology("eyeriss-chip", kept, technology.mixed_scope)
