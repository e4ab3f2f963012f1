"""Mappings that Timeloop (master 4cf6d4c) found on its Eyeriss-like machine, replayed by the law counter by counter.

Needs the recorded runs in the folder named by PICOJOULE_DATA; skips without them.
"""

import json
import os
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from picojoule.mapping import (
    Accelerator,
    Array,
    Convention,
    Level,
    Mapping,
    SpatialAxis,
    Weights,
    contraction,
    cost,
    faults,
    latency,
    optimum,
    traffic,
)

TIMELOOP = Path(os.environ.get("PICOJOULE_DATA", "")) / "accelerators" / "timeloop"
pytestmark = pytest.mark.skipif(
    not os.environ.get("PICOJOULE_DATA") or not (TIMELOOP / "triples.jsonl").exists(),
    reason="PICOJOULE_DATA has no Timeloop runs",
)
CONVENTION = Convention("consecutive-overlap", "hull", "identical_tile")
ROLE = {"Weights": "weight", "Inputs": "input", "Outputs": "output"}
MEMORIES = {
    "DRAM": ("input", "weight", "output"), "shared_glb": ("input", "output"),
    "ifmap_spad": ("input",), "weights_spad": ("weight",), "psum_spad": ("output",),
}  # fmt: skip


def read(stem):
    """(problem, mapping) of one recorded run."""
    instance = YAML(typ="safe").load(Path(f"{stem}.in.yaml").read_text())["problem"]["instance"]
    axes = {
        "input": [[("N", 1)], [("C", 1)], [("P", instance["Hstride"]), ("R", instance.get("Hdilation", 1))],
                  [("Q", instance["Wstride"]), ("S", instance.get("Wdilation", 1))]],
        "weight": [[("M", 1)], [("C", 1)], [("R", 1)], [("S", 1)]],
        "output": [[("N", 1)], [("M", 1)], [("P", 1)], [("Q", 1)]],
    }  # fmt: skip
    target = contraction(stem.name, {d: instance[d] for d in "NMCPQRS"}, axes)
    loops, spatial, where = {name: [] for name in MEMORIES}, dict.fromkeys("NMCPQRS", 1), ""
    for line in Path(f"{stem}.map.txt").read_text().splitlines():
        if head := re.match(r"(\w+) \[", line):
            where = head[1]
        elif loop := re.search(r"for (\w) in \[0:(\d+)\)( \(Spatial)?", line):
            if loop[3]:
                spatial[loop[1]] *= int(loop[2])
            else:
                loops[where].append((loop[1], int(loop[2])))
    mapping = Mapping(tuple(tuple(one) for one in loops.values()), tuple((d, s) for d, s in spatial.items() if s > 1))
    return target, mapping


def replayed(stem):
    """Counters of the law for one recorded mapping: {(memory, role, action): words}."""
    target, mapping = read(stem)
    levels = tuple(Level(name, keeps) for name, keeps in MEMORIES.items())
    machine = Accelerator("eyeriss", levels, Array("shared_glb", (SpatialAxis("PE", 168, tuple("NMCPQRS")),)),
                          tuple((role, 8) for role in MEMORIES["DRAM"]))  # fmt: skip
    return traffic(target, machine, mapping, CONVENTION)


def recorded():
    """[(stem of the files, {(memory, role, action): words}, cycles)]."""
    names = {"reads": "read", "fills": "write", "updates": "update"}
    for line in (TIMELOOP / "triples.jsonl").read_text().splitlines():
        run = json.loads(line)
        if "mapper_eyeriss" not in run["stats_file"]:
            continue
        counts = {
            (memory, ROLE[tensor], names[action]): int(found[action] * found["instances"])
            for memory, tensors in run["per_level"].items()
            for tensor, found in tensors.items()
            for action in names
        }
        stem = TIMELOOP.parent / run["stats_file"].removesuffix(".stats.txt")
        yield stem, counts, int(run["cycles"])


def test_recorded_mappings():
    """Peer: all weight and output counters and the MACs' cycles of 18 mappings equal Timeloop's; inputs but for known ones.

    What differs is Timeloop's credit for neighbouring PEs and for one tile a step of the loop outside a sweep.
    """
    equal, total = {"input": 0, "weight": 0, "output": 0}, {"input": 0, "weight": 0, "output": 0}
    different, slower = [], 0
    for stem, counts, cycles in recorded():
        moved = replayed(stem)
        slower += moved.steps != cycles  # a port is the bottleneck there
        assert moved.steps <= cycles, stem.name
        for (memory, role, action), words in counts.items():
            if (role == "output" or action != "update") and (memory != "DRAM" or action != "write"):
                same = moved.of(memory, role, action) == words
                total[role] += 1
                equal[role] += same
                if not same:
                    different.append((stem.name, memory, role, action, moved.of(memory, role, action) / words))
    assert (equal["weight"], equal["output"]) == (total["weight"], total["output"]), different
    assert slower <= 3
    assert total["weight"] + total["output"] >= 162
    assert total["input"] - equal["input"] == 7, different


def machine_of(stem):
    """The machine of a recorded run with its constraints, and its prices per word."""
    given = YAML(typ="safe").load(Path(f"{stem}.in.yaml").read_text())
    bare = lambda name: name.split("[")[0].split(".")[-1]  # noqa: E731
    parts = {bare(part["name"]): part.get("attributes", {}) for part in given["architecture"]["subtree"][0]["local"]}
    prices = {
        bare(table["name"]): {one["name"]: one["energy"] for one in table["actions"]}
        for table in given["ERT"]["tables"]
    }
    loops = {"ifmap_spad": (), "weights_spad": ("C", "R"), "psum_spad": ("M",)}  # what its constraints leave
    levels, weights = [], []
    for name, keeps in MEMORIES.items():
        part, words = parts[name], parts[name]["width"] // parts[name]["datawidth"]
        bits = 8 * part["depth"] * words if name != "DRAM" else None  # it counts words, of 8 bits but in one scratchpad
        rates = (None, None) if name == "DRAM" else (part.get("read_bandwidth"), part.get("write_bandwidth"))
        levels.append(
            Level(name, keeps, bits, loops=loops.get(name), read_bandwidth=rates[0], write_bandwidth=rates[1])
        )
        weights += [
            ((name, role, action), prices[name][action] / words)
            for role in keeps
            for action in ("read", "write", "update")
        ]
    axes = (SpatialAxis("x", 14, ("Q", "M")), SpatialAxis("y", 12, ("C", "M", "S")))
    mac = next(table["compute"] for name, table in prices.items() if "compute" in table)
    machine = Accelerator("Timeloop's Eyeriss", tuple(levels), Array("shared_glb", axes),
                          (("input", 8), ("weight", 8), ("output", 8)))  # fmt: skip
    return machine, Weights(mac, tuple(weights))


def beside(stem):
    """Energy and energy · latency of a recorded mapping over the optimum, under the search's own convention."""
    target, mapping = read(stem)
    machine, weights = machine_of(stem)
    illegal = faults(target, machine, mapping)
    if illegal:
        return str(illegal[0])
    moved = traffic(target, machine, mapping)
    energy, cycles = cost(target, moved, weights), latency(machine, moved)
    found = {goal: optimum(target, machine, weights, goal, factors="perfect") for goal in ("energy", "edp")}
    return {"energy": energy / found["energy"].value, "edp": energy * cycles / found["edp"].value}


def test_never_worse():
    """Peer: no recorded mapping costs less energy or energy · latency than the optimum on the same machine."""
    checked = 0
    for stem, _, _ in recorded():
        ratios = beside(stem)
        assert isinstance(ratios, dict), (stem.name, ratios)
        assert min(ratios.values()) >= 1 - 1e-12, (stem.name, ratios)
        checked += 1
    assert checked >= 18
