"""How long does a proven mapping take, beside peers on the same layers in this run?

    python benchmarks/mapping.py [--no-peers]

writes docs/mapping-speed.md and ends with 1 if a gap is open, an engine differs, a peer's mapping is better or a
certificate is refused. Times are processor time of one process on one core. A peer may live in an interpreter of its
own: PICOJOULE_ZIGZAG_PYTHON, PICOJOULE_SCALESIM_PYTHON (it needs numpy<2), PICOJOULE_ACCELFORGE_PYTHON (3.12).
Timeloop's recorded mappings are read from the folder PICOJOULE_DATA where there is one.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from mapping_layers import BITS, ROLES, convolution, machines, networks, product, weights_of, without_ports

from picojoule.mapping import (
    Accelerator,
    Array,
    Engine,
    Level,
    Optimum,
    Potentials,
    Problem,
    SpatialAxis,
    batch,
    certificate,
    check,
    optimum,
    per_level,
)
from picojoule.mapping import _engine as engine_module
from picojoule.mapping import _search as search_module
from picojoule.mapping._search import Objective
from picojoule.systolic import points_per_second, systolic

ROOT = Path(__file__).resolve().parents[1]
GOALS = ("energy", "edp", "edp with ports", "latency with ports")
TARGETS = {  # ms a layer: median, worst
    ("numpy", "energy"): (50, 1500), ("numpy", "edp"): (20, 200), ("numpy", "edp with ports"): (500, 4000),
    ("numba", "energy"): (10, 250), ("numba", "edp"): (5, 50),
}  # fmt: skip
DEEP = (15, 300)  # Numba, energy, four levels or more
NETWORK_S = {"numpy": 1.5, "numba": 0.6}
PATIENCE_S = 900  # seconds of one peer
BESIDE = ("layer1.0.conv2", "layer2.1.conv1", "layer4.1.conv1")


@dataclass(frozen=True)
class Timed:
    """One layer searched afresh."""

    network: str
    layer: Problem
    found: Optimum
    spent_s: float


def engines() -> tuple[Engine, ...]:
    """NumPy, and Numba where it is installed."""
    return ("numpy", "numba") if find_spec("numba") else ("numpy",)


def searched(layer: Problem, machine: Accelerator, goal: str, engine: Engine) -> tuple[Optimum, float]:
    """The optimum and the processor seconds it took, nothing remembered."""
    search_module._optimum.cache_clear()
    here = machine if "ports" in goal else without_ports(machine)
    objective: Objective = "energy" if goal == "energy" else "edp" if "edp" in goal else "latency"
    start = time.process_time()
    found = optimum(layer, here, weights_of(here), objective, engine=engine)
    return found, time.process_time() - start


def every() -> dict[tuple[str, str, str], list[Timed]]:
    """(goal, machine, engine) to all layers of all networks."""
    found: dict[tuple[str, str, str], list[Timed]] = {}
    engine_module.LATE = 0  # kernels at once: the layers are timed warm
    warm = convolution("warm", 8, 8, 4, 4, 3, 3)
    for goal in GOALS:
        for machine in machines():
            for engine in engines() if "ports" not in goal else engines()[:1]:  # with ports they share all but a solve
                searched(warm, machine, goal, engine)
                found[goal, machine.name, engine] = [
                    Timed(name, layer, *searched(layer, machine, goal, engine))
                    for name, layers in networks().items()
                    for layer, _ in layers
                ]
            sys.stderr.write(f"{goal}, {machine.name}\n")
    return found


CHILD = """
import sys, time; sys.path.insert(0, {folder!r})
from mapping_layers import machines, weights_of, without_ports
from picojoule import read_model
from picojoule.mapping import map_operators
machine = without_ports(machines()[{index}])
found = map_operators(read_model("resnet50").operators, machine, weights_of(machine), {goal!r}, engine={engine!r})
assert len(found.layers) == 24 and not any(one.gap for one, _ in found.layers)
print(time.process_time())
"""


def whole() -> dict[tuple[str, str, str], float]:
    """(goal, machine, engine) to processor seconds of a new process that maps ResNet-50, best of two."""
    found = {}
    for goal in ("energy", "edp"):
        for index, machine in enumerate(machines()):
            for engine in engines():
                code = CHILD.format(folder=str(Path(__file__).parent), index=index, goal=goal, engine=engine)
                times = []
                for _ in range(2):
                    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
                    times.append(float(done.stdout))
                found[goal, machine.name, engine] = min(times)
    return found


def rates() -> dict[str, tuple[float, float]]:
    """Machine to mappings a second of the batched law, and the share that is legal, on one layer of ResNet-50."""
    layer, found = next(one for one, _ in networks()["ResNet-50"] if one.name == "layer2.1.conv2"), {}
    for machine in machines():
        best = optimum(layer, without_ports(machine), weights_of(machine)).mapping
        spread = dict(best.spatial)
        many = batch(layer, machine, weights_of(machine), tuple(spread.get(dim, 1) for dim in layer.dims))
        chains, stationary = many.draw(np.random.default_rng(0), 500_000)
        times = []
        for _ in range(3):
            start = time.process_time()
            costs = many.cost(chains, stationary)
            times.append(time.process_time() - start)
        found[machine.name] = len(chains) / min(times), float(np.isfinite(costs).mean())
    return found


@dataclass
class Proofs:
    """Certificates of all layers of one goal on one machine: how many, how proven, processor seconds."""

    searched: int = 0
    accepted: int = 0
    unrollings: int = 0
    potentials: int = 0
    opened: int = 0
    written_s: float = 0.0
    checked_s: float = 0.0
    worst_s: float = 0.0
    refused: list[str] = field(default_factory=list)


def proofs(layers: list[Timed]) -> Proofs:
    """Every certificate written and checked."""
    found = Proofs()
    for one in layers:
        start, before = time.process_time(), found.written_s
        faults = check(one.found, _counted(certificate(one.found), found))
        spent = time.process_time() - start
        found.searched += 1
        found.accepted += not faults
        found.unrollings += one.found.unrollings
        found.checked_s += spent - (found.written_s - before)
        found.worst_s = max(found.worst_s, spent)
        found.refused += [f"{one.network} {one.layer.name}: {faults[0]}"] if faults else []
    return found


def _counted(given: Iterator[Potentials], found: Proofs) -> Iterator[Potentials]:
    """The same proofs; what they are and the time to write them go into `found`."""
    while True:
        start = time.process_time()
        one = next(given, None)
        found.written_s += time.process_time() - start
        if one is None:
            return
        found.potentials += 1
        found.opened += len(one.opened)
        yield one


def chosen() -> list[Problem]:
    """Layers for the peers: three of ResNet-50, one of each other network."""
    nets = networks()
    some = [layer for layer, _ in nets["ResNet-50"] if layer.name in BESIDE]
    others = [("MobileNetV2", "features.12.conv.0.0"), ("VGG-16", "features.12"),
              ("BERT-base, 512 tokens", "bert.encoder.layer.0.attention.self.query")]  # fmt: skip
    rest = [layer for name, wanted in others for layer, _ in nets[name] if layer.name == wanted]
    return [*some, *rest, nets["Llama-70B MLP"][3][0]]


def peer(name: str, layers: list[Problem]) -> list[dict[str, Any]] | str:
    """What a peer says of every layer, or in words why it says nothing."""
    python = os.environ.get(f"PICOJOULE_{name.upper()}_PYTHON", sys.executable)
    asked = []
    for layer in layers:
        sizes = dict(layer.space)
        windows = layer.operands[0].windows
        asked.append({"name": layer.name, **sizes, "stride": windows[0][0][1] if windows else 1})
    script = Path(__file__).with_name("mapping_peers.py")
    one_core = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ""}
    try:
        done = subprocess.run([python, str(script), name], check=False, input=json.dumps(asked), capture_output=True,
                              text=True, timeout=PATIENCE_S, env=os.environ | one_core)  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"stopped after {PATIENCE_S} s"
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode == 3:
        version = subprocess.run([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], check=True,
                                 capture_output=True, text=True).stdout.strip()  # fmt: skip
        late = name == "accelforge" and tuple(map(int, version.split("."))) < (3, 12)
        return f"needs Python 3.12, this is {version}" if late else "not installed"
    return said or f"does not run: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"


def accelforge_machine() -> Accelerator:
    """The machine of `mapping_peers`, in our words."""
    levels = (
        Level("DRAM", ROLES),
        Level("SRAM", ("input", "output"), 16_777_216),
        Level("register", ("weight",), 1024),
    )
    return Accelerator("AccelForge's", levels, Array("SRAM", (SpatialAxis("x", 32, ("m",)), SpatialAxis("y", 32, ("c",)))),
                       BITS)  # fmt: skip


def beside_accelforge(layer: Problem) -> tuple[float, float]:
    """(energy of our optimum in its convention, processor seconds): a drained sum is one more read of the SRAM."""
    machine = accelforge_machine()
    price = {"DRAM": 8 * 200.0, "SRAM": 8 * 6.0, "register": 8 * 1.0}  # per word; it prices bits
    search_module._optimum.cache_clear()
    sizes = dict(layer.space)
    target = product(layer.name, sizes["p"] * sizes["q"], sizes["m"], sizes["c"])
    start = time.process_time()
    found = optimum(target, machine, per_level(machine, 1.0, price, price))
    spent = time.process_time() - start
    return found.value + found.traffic.of("DRAM", "output", "update") * price["SRAM"], spent


def timeloop() -> list[tuple[str, dict[str, float] | str]] | str:
    """Recorded mappings over our optimum, or why there are none."""
    sys.path.insert(0, str(ROOT))
    if not os.environ.get("PICOJOULE_DATA"):
        return "PICOJOULE_DATA names no folder with its recorded runs"
    from tests.mapping import test_timeloop as recorded_runs

    return [
        (f"{stem.parent.name.removeprefix('mapper_')}/{stem.name}", recorded_runs.beside(stem))
        for stem, _, _ in recorded_runs.recorded()
    ]


def systolic_peer(said: list[dict[str, Any]]) -> list[str]:
    """Layers whose cycles differ from the closed form under SCALE-Sim's convention."""
    return [
        one["layer"]
        for one in said
        if "gemm" in one and int(systolic("ws", 32, 32, *one["gemm"], convention="scalesim").cycles) != one["cycles"]
    ]


def measured(with_peers: bool) -> Mapping[str, Any]:
    """Everything that the document shows."""
    layers = chosen()
    table = every()
    names = ("zigzag", "accelforge", "scalesim") if with_peers else ()
    said = {name: peer(name, layers) for name in names}
    tpu = machines()[0]
    own = {layer.name: {engine: searched(layer, tpu, "energy", engine)[1] for engine in engines()} for layer in layers}
    proven = {(goal, name): proofs(layers) for (goal, name, engine), layers in table.items() if engine == "numpy"}
    return {
        "table": table, "whole": whole(), "rates": rates(), "systolic": points_per_second(3_000_000), "own": own,
        "said": said, "proofs": proven, "timeloop": timeloop(),
        "accelforge": {layer.name: beside_accelforge(layer) for layer in layers if _is_product(layer)},
    }  # fmt: skip


def _is_product(layer: Problem) -> bool:
    sizes = dict(layer.space)
    return sizes["r"] * sizes["s"] * sizes["g"] * sizes["b"] == 1


def main(arguments: list[str]) -> int:
    """Measure, print, write."""
    from mapping_text import document, faults

    unknown = set(arguments) - {"--no-peers"}
    if unknown:
        sys.stderr.write(f"unknown: {' '.join(sorted(unknown))}; there is --no-peers\n")
        return 2
    result = measured("--no-peers" not in arguments)
    text = document(result)
    sys.stdout.write(text)
    wrong = faults(result)
    sys.stderr.writelines(f"WRONG: {line}\n" for line in wrong)
    if not wrong and "--no-peers" not in arguments and len(engines()) == 2:
        (ROOT / "docs" / "mapping-speed.md").write_text(text, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
