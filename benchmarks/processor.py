"""How many instructions a second are timed, in plain Python and compiled, and what SCALE-Sim takes for the same products?

    PYTHONPATH=src:. python benchmarks/processor.py [--scalesim PYTHON]

Timed are, in CPU seconds, best of several runs in one process: the engine alone, from layout to ticks; with the layout
before it, which is laid out anew each time; and the whole way, from the bytes of a program file (checksum, words, lines) to
cycles, actions and load of every stream. `first` is the whole way in a process of its own that has done nothing but
import picojoule: with loading Numba and its kernels (compiled before, kept on disk), and all kinds of words new.

PYTHON is an interpreter that has scalesim (3.0.0 needs numpy below 2.3), this one by default; SCALE-Sim's seconds are of a
process of its own, imports taken off, its traces not written.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.machine.compiler import networks as nets

from picojoule.formats import load_machine
from picojoule.frontends.onnx import compile_onnx
from picojoule.machine import (
    Machine,
    Program,
    assemble,
    cluster_matmul,
    dump_program,
    make,
    parse_program,
    plan,
    read_textbook,
    simulate,
)
from picojoule.machine._code import Code
from picojoule.machine._compiled import available
from picojoule.machine._compiled import time as compiled
from picojoule.machine._engine import Engine
from picojoule.machine._matmul import outer_products
from picojoule.machine._plan import COMPILED_LIMIT, LIMIT

ROUNDS = 5
CORE, CLUSTER, SYSTOLIC = (load_machine(name) for name in ("textbook-core", "textbook-cluster", "systolic-16"))
LOOP = """
loop count={}
  loop count=100
    step level=1 a=1024
    move src=dram dst=nram far=0 near=0 bytes=1024 !compute
    mm x=0 y=2048 w=0 m=1 k=256 n=16 ?io !io
    move src=nram dst=dram far=0 near=2048 bytes=64 ?compute
  endloop
endloop
"""
CORES = "".join(f"""
.core {core}
loop count={{0}}
  move src=sram dst=nram far=0 near=0 bytes=64 !compute
  mm x=0 y=2048 w=0 m=1 k=16 n=16 ?move !move
  move src=nram dst=sram far=4096 near=2048 bytes=64 ?compute
endloop
""" for core in range(4)) + ".dma\nloop count={0}\nmove src=dram dst=sram far=0 near=65536 bytes=64\nendloop\n"  # fmt: skip
SYNCS = "loop {}\nmove DRAM NRAM 1024\nmove DRAM WRAM 1024\nsync\ncompute MAC_32 256\nsync\nmove NRAM DRAM 4\nendloop\n"
GEMMS = ((32, 256, 128), (128, 256, 128), (256, 256, 256))
CONFIG = """[general]
run_name = run
[architecture_presets]
ArrayHeight = 16
ArrayWidth = 16
IfmapSramSzkB = 256
FilterSramSzkB = 256
OfmapSramSzkB = 256
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = ws
Bandwidth = 16
ReadRequestBuffer = 32
WriteRequestBuffer = 32
[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = False
SparseRep = ellpack_block
OptimizedMapping = False
BlockSize = 8
RandomNumberGeneratorSeed = 40
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
"""
SCRIPT = """
import sys, time
from scalesim.scale_sim import scalesim
start = time.process_time()
run = scalesim(save_disk_space=True, verbose=False, config="scale.cfg", topology="gemm.csv", layout="layout.csv",
               input_type_gemm=True)
run.run_scale(top_path="out")
print("CPU", time.process_time() - start)
"""


def repeated(program: Program, times: int) -> Program:
    """The code of every agent so many times in a row."""
    sections = {name: Code.read(Code.of(code).content * times) for name, code in program.sections.items()}
    return Program(sections, program.buffers, source=program.source)


def kinds(many: int) -> Program:
    """The worst case: no two instructions alike but for addresses."""
    size = [(1 + i % 1000, 1 + i // 1000) for i in range(many)]
    return Program(
        {"core0": tuple(make("move", src=0, dst=2, far=0, near=0, bytes=a, rows=b, stride=a) for a, b in size)}
    )


def straight() -> list[tuple[str, Machine, Program]]:
    """Programs without loops: what the compiler makes of ResNet-50, the same again and again, no two words of a kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = nets.resnet(Path(folder) / "resnet50.onnx", 50)
        found = [(name, machine, compile_onnx(path, machine).program)
                 for name, machine in (("ResNet-50, one core", CORE), ("ResNet-50, four cores", CLUSTER))]  # fmt: skip
    bare = [(name, machine, Program(one.sections, source=one.source)) for name, machine, one in found]
    again = [(f"{name}, 16 times", machine, repeated(one, 16)) for name, machine, one in bare]
    return [*bare, *again, ("60,000 kinds of moves", CORE, kinds(60_000))]


def programs(looped: bool) -> list[tuple[str, Machine, Program]]:
    """What is timed: loops of tiles, four cores, the textbook's notation with syncs, programs without loops."""
    many = 30_000 if looped else 700
    return [
        ("one core, loops with steps", CORE, assemble(LOOP.format(many))),
        ("four cores and a DMA, loops", CLUSTER, assemble(CORES.format(many * 20))),
        ("textbook's notation, two syncs in five", CORE, read_textbook(SYNCS.format(many * 40))),
        ("product in 4,096 tiles, no loops", CORE, outer_products(CORE, 32, 256, 128, (1, 16, 16))),
        ("product on four cores, no loops", CLUSTER, cluster_matmul(CLUSTER, 1024, 256, 2048, 8, 8)),
    ]


def best(call: Callable[[], object]) -> float:
    """CPU seconds of the best of ROUNDS calls."""
    found = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        call()
        found = min(found, time.process_time() - start)
    return found


FIRST = """
import sys, time
from picojoule.formats import load_machine
from picojoule.machine import parse_program, simulate
content, machine = open(sys.argv[1], "rb").read(), load_machine(sys.argv[2])
start = time.process_time()
simulate(parse_program(content), machine, check=False, engine=sys.argv[3])
print(time.process_time() - start)
"""


def first(content: bytes, machine: Machine, engine: str) -> float:
    """CPU seconds of the whole way in a fresh process."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "program.pjx"
        path.write_bytes(content)
        done = subprocess.run([sys.executable, "-c", FIRST, str(path), machine.name, engine], check=True,
                              capture_output=True, text=True)  # fmt: skip
    return float(done.stdout)


def row(what: str, machine: Machine, program: Program, engine: str) -> None:
    """One line: instructions; millions of them a second alone, with the layout, the whole way; seconds of that, and first."""
    layout, content = plan(program, machine, COMPILED_LIMIT), dump_program(program)
    many = layout.instructions
    if engine == "plain":
        alone = best(lambda: Engine(layout, machine, "program").run())
        laid = best(lambda: Engine(plan(program, machine, COMPILED_LIMIT), machine, "program").run())
    else:
        compiled(layout, machine, "program")  # loads or compiles
        alone = best(lambda: compiled(layout, machine, "program"))
        laid = best(lambda: compiled(plan(program, machine, COMPILED_LIMIT), machine, "program"))
    whole = best(lambda: simulate(parse_program(content), machine, check=False, engine=engine, limit=COMPILED_LIMIT))
    rates = "".join(f"{many / seconds / 1e6:>9.2f}" for seconds in (alone, laid, whole))
    cold = first(content, machine, engine) if many <= LIMIT or engine == "compiled" else float("nan")
    sys.stdout.write(f"{what:<40}{engine:<9}{many:>11,}{rates}{whole:>10.4f}{cold:>9.3f}\n")
    sys.stdout.flush()


def scalesim(python: str) -> tuple[float, list[int]] | str:
    """CPU seconds and compute cycles of SCALE-Sim on GEMMS; or why there are none."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scale.cfg").write_text(CONFIG)
        rows = "".join(f"G{i}, {m}, {n}, {k},\n" for i, (m, k, n) in enumerate(GEMMS))
        (folder / "gemm.csv").write_text("Layer, M, N, K,\n" + rows)
        (folder / "layout.csv").write_text("Layer,\n" + "".join(f"G{i},{'1,' * 14}\n" for i in range(len(GEMMS))))
        try:
            done = subprocess.run(
                [python, "-c", SCRIPT], check=False, capture_output=True, text=True, cwd=folder, timeout=600
            )
        except (OSError, subprocess.TimeoutExpired) as fault:
            return f"does not run: {fault}"
        reports = list(folder.rglob("COMPUTE_REPORT.csv"))
        cpu = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("CPU ")]
        if done.returncode or not reports or not cpu:
            return f"does not run: {(done.stderr.strip().splitlines() or ['no report'])[-1]}"
        with reports[0].open() as file:
            table = [{key.strip(): value for key, value in line.items() if key} for line in csv.DictReader(file)]
        return float(cpu[0]), [int(float(line["Total Cycles"])) - int(float(line["Stall Cycles"])) for line in table]


def products(python: str) -> None:
    """The same products on a 16×16 weight-stationary array: cycles and CPU seconds of both."""
    sys.stdout.write("\nmm on a 16x16 weight-stationary array, cycles of the array alone\n")
    code = [assemble(f"mm x=0 w=0 y=0 m={m} k={k} n={n} type=int8") for m, k, n in GEMMS]
    roomy = Machine(**{name: getattr(SYSTOLIC, name) for name in SYSTOLIC.__slots__ if name != "ticks"}
                    | {"sizes": {**SYSTOLIC.sizes, "nram": 1 << 24, "wram": 1 << 24}})  # fmt: skip
    own = [int(simulate(one, roomy, check=False).cycles) for one in code]
    seconds = best(lambda: [simulate(one, roomy, check=False) for one in code])
    peer = scalesim(python)
    sys.stdout.write(f"{'m k n':<18}{'picojoule':>14}{'SCALE-Sim':>14}\n")
    theirs: list[object] = ["-"] * len(GEMMS) if isinstance(peer, str) else list(peer[1])
    for shape, mine, other in zip(GEMMS, own, theirs, strict=True):
        sys.stdout.write(f"{' '.join(map(str, shape)):<18}{mine:>14}{other!s:>14}\n")
    said = peer if isinstance(peer, str) else f"{peer[0]:.3f}"
    sys.stdout.write(f"{'CPU seconds':<18}{seconds:>14.5f}{said:>14}\n")


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description="instructions a second, and the same products in SCALE-Sim")
    options.add_argument(
        "--scalesim", default=sys.executable, metavar="PYTHON", help="an interpreter that has scalesim"
    )
    given = options.parse_args()
    head = f"{'program':<40}{'engine':<9}{'instructions':>11}{'alone':>9}{'layout':>9}{'whole':>9}{'whole, s':>10}{'first, s':>9}"
    sys.stdout.write(f"millions of instructions a second\n{head}\n")
    long = straight()
    for engine in ("plain", "compiled"):
        if engine == "compiled" and not available():
            sys.stdout.write("compiled engine: Numba is not installed\n")
            continue
        short = [one for one in long if one[2].words <= LIMIT] if engine == "plain" else long
        for what, machine, program in [*programs(engine == "compiled"), *short]:
            row(what, machine, program, engine)
    products(given.scalesim)


if __name__ == "__main__":
    main()
