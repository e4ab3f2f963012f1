"""One peer on the layers given as JSON on standard input: `python mapping_peers.py zigzag < layers.json`.

Imports nothing of picojoule, so that any interpreter that has the peer will do. One line of JSON a layer: processor
seconds of the search alone, model and imports ready, and what the peer found. ZigZag and AccelForge get the machine of
their own 32 × 32 example in shape; SCALE-Sim simulates a weight-stationary 32 × 32 array.
"""

import contextlib
import io
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Layer = dict[str, Any]  # name and b g m c p q r s stride
ROWS, COLUMNS = 32, 32


def zigzag(layers: list[Layer]) -> Iterator[Layer]:
    """LOMA with its default limit on the TPU-like machine it ships, K and C on the axes, for energy."""
    import yaml
    import zigzag as package
    from zigzag import api

    hardware = Path(package.__file__).parent / "inputs" / "hardware" / "tpu_like.yaml"
    links = {"O": "O", "W": "I2", "I": "I1"}
    spread = {"D1": ["K, 32"], "D2": ["C, 32"]}
    Path("mapping.yaml").write_text(
        yaml.safe_dump([{"name": "default", "memory_operand_links": links, "spatial_mapping": spread}])
    )
    for number, layer in enumerate(layers):
        sizes = {"B": layer["b"], "G": layer["g"], "K": layer["m"], "C": layer["c"], "OY": layer["p"], "OX": layer["q"],
                 "FY": layer["r"], "FX": layer["s"]}  # fmt: skip
        window = [f"{'i' + a}={layer['stride']}*{'o' + a}+1*{'f' + a}" for a in "xy"]
        workload = {
            "id": 0, "name": "layer", "operator_type": "Conv", "dimension_relations": window,
            "equation": "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]",
            "loop_dims": list(sizes), "loop_sizes": list(sizes.values()), "operand_source": {"W": 0, "I": 0},
            "operand_precision": {"W": 8, "I": 8, "O": 16, "O_final": 8},
        }  # fmt: skip
        Path("workload.yaml").write_text(yaml.safe_dump([workload]))
        start = time.process_time()
        found = api.get_hardware_performance_zigzag(
            "workload.yaml", str(hardware), "mapping.yaml", opt="energy", dump_folder=f"out{number}",
            loma_show_progress_bar=False,
        )  # fmt: skip
        yield {"cpu_s": time.process_time() - start, "energy": float(found[0]), "cycles": float(found[1])}


def accelforge(layers: list[Layer]) -> Iterator[Layer]:
    """The optimal mapper on matrix products, one job; the picture of the mapping, which needs Graphviz, is not drawn."""
    import pydot

    pydot.Dot.create = lambda *_, **__: b"<svg/>"
    import accelforge as package

    package.set_n_parallel_jobs(1)
    Path("machine.yaml").write_text(ACCELFORGE)
    for layer in layers:
        if layer["r"] * layer["s"] * layer["stride"] * layer["g"] * layer["b"] != 1:
            yield {"skipped": "no matrix product"}
            continue
        rows = layer["p"] * layer["q"]
        shape = {"m": rows, "n": layer["m"], "k": layer["c"]}
        Path("workload.yaml").write_text(_product(shape))
        specification = package.Spec.from_yaml("machine.yaml", "workload.yaml")
        start = time.process_time()
        found = specification.map_workload_to_arch()
        spent = time.process_time() - start
        yield {"cpu_s": spent, "energy": float(found.energy()), "cycles": float(found.latency())}


def scalesim(layers: list[Layer]) -> Iterator[Layer]:
    """One weight-stationary array; a layer is the matrix product it unrolls to."""
    from scalesim.scale_sim import scalesim as simulator

    Path("machine.cfg").write_text(SCALESIM.format(rows=ROWS, columns=COLUMNS))
    Path("layout.csv").write_text("," * 20 + "\nlayer," + "1," * 20 + "\n")
    for number, layer in enumerate(layers):
        m, n, k = layer["p"] * layer["q"] * layer["b"], layer["m"], layer["c"] * layer["r"] * layer["s"]
        if layer["g"] > 1 or m * n * k > 60e6:
            yield {"skipped": "over 60 million MACs" if layer["g"] == 1 else "grouped"}
            continue
        Path("topology.csv").write_text(f"Layer,M,N,K,\nlayer,{m},{n},{k},\n")
        start = time.process_time()
        run = simulator(
            save_disk_space=True, verbose=False, config="machine.cfg", topology="topology.csv", layout="layout.csv",
            input_type_gemm=True,
        )  # fmt: skip
        run.run_scale(top_path=f"out{number}")
        spent = time.process_time() - start
        report = next(Path(f"out{number}").rglob("COMPUTE_REPORT.csv")).read_text().splitlines()[1].split(",")
        yield {"cpu_s": spent, "cycles": float(report[2]) - float(report[3]), "gemm": [m, n, k]}


def _product(shape: dict[str, int]) -> str:
    bounds = "\n".join(f"    {dim}: 0 <= {dim} < {size}" for dim, size in shape.items())
    return f"""workload:
  iteration_space_shape:
{bounds}
  bits_per_value: {{All: 8}}
  einsums:
  - name: product
    tensor_accesses:
    - {{name: X, projection: [m, k]}}
    - {{name: W, projection: [k, n], persistent: True}}
    - {{name: Y, projection: [m, n], output: True}}
renames:
  einsums:
  - name: default
    tensor_accesses:
    - {{name: input, source: X, expected_count: 1}}
    - {{name: output, source: Outputs, expected_count: 1}}
    - {{name: weight, source: W, expected_count: 1}}
"""


ACCELFORGE = """arch:
  nodes:
  - !Memory
    name: DRAM
    size: inf
    leak_power: 0
    area: 0
    tensors: {keep: All}
    actions: [{name: read, energy: 200, throughput: inf}, {name: write, energy: 200, throughput: inf}]
  - !Memory
    name: SRAM
    size: 16777216
    leak_power: 0
    area: 0
    tensors: {keep: input | output}
    actions: [{name: read, energy: 6, throughput: inf}, {name: write, energy: 6, throughput: inf}]
  - !Container
    name: PE
    spatial: [{name: x, fanout: 32, may_reuse: input}, {name: y, fanout: 32, may_reuse: output}]
  - !Memory
    name: register
    size: 1024
    leak_power: 0
    area: 0
    tensors: {keep: weight}
    actions: [{name: read, energy: 1, throughput: inf}, {name: write, energy: 1, throughput: inf}]
  - !Compute
    name: MAC
    leak_power: 0
    area: 0
    actions: [{name: compute, energy: 1, throughput: 1}]
"""
SCALESIM = """[general]
run_name = run
[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {columns}
IfmapSramSzkB: 1024
FilterSramSzkB: 1024
OfmapSramSzkB: 1024
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Bandwidth: 32
Dataflow: ws
MemoryBanks: 1
ReadRequestBuffer: 32
WriteRequestBuffer: 32
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""
PEERS: dict[str, Callable[[list[Layer]], Iterator[Layer]]] = {
    "zigzag": zigzag, "accelforge": accelforge, "scalesim": scalesim,
}  # fmt: skip


def main(name: str) -> int:
    """Run one peer; 3 where it cannot be imported."""
    layers = json.load(sys.stdin)
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        answers = PEERS[name](layers)
        for layer in layers:
            said = {"layer": layer["name"]}
            try:
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    said |= next(answers)
            except ImportError as error:
                sys.stdout.write(json.dumps({"missing": str(error)}) + "\n")
                return 3
            except StopIteration:
                said["error"] = "stopped after the layer before"
            except Exception as error:
                said["error"] = f"{type(error).__name__}: {error}"[:200]
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()
        os.chdir("/")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
