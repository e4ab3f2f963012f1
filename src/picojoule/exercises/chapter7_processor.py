"""Exercises on the processor: programs of the instruction set, run to the cycle on a machine file."""

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from ._findings import Findings
from ._task import Task, solves

_UNITS: Final = {"bound_by": "1", "macs": "MAC", "seconds": "s"}

if TYPE_CHECKING:
    from picojoule.machine import Machine


def _machine(task: Task) -> "Machine":
    """The machine asked for, else the exercise's own: a shipped name or a file of the format picojoule/machine/1."""
    from picojoule.formats import load_machine, read_machine

    name = task.hardware or task.own
    return read_machine(name) if name.endswith((".yaml", ".yml")) else load_machine(name)


def _tell(machine: "Machine", findings: Findings) -> None:
    rates = ", ".join(f"{dtype} {float(n):g}" for dtype, n in machine.macs.items())
    findings.assume(f"{machine.title}: {rates} MAC a cycle, bus {float(machine.bus):g} B a cycle; loads and stores share it",
                    f"{machine.title}：每周期乘加 {rates}，总线每周期 {float(machine.bus):g} B；读写共用总线")  # fmt: skip


@solves("7.7", "7.8", "7.9")
def matrix_product(task: Task, findings: Findings) -> None:
    """Time of a matrix product without overlap, its parts, and the bound."""
    from picojoule.machine import exercise_product

    machine = _machine(task)
    if task["bytes_per_cycle"]:
        machine = replace(machine, bus=Fraction(task["bytes_per_cycle"]))
    if task["macs_per_cycle"]:
        machine = replace(machine, macs={**machine.macs, "float32": int(task["macs_per_cycle"])})
    _tell(machine, findings)
    found = exercise_product(machine, task["M"], task["K"], task["N"], compress_x=task["compress_x"],
                             compress_w=task["compress_w"], density=Fraction(task["density_computed"]))  # fmt: skip
    for name, value in found.items():
        if value is not None:
            findings.put(name, value, _UNITS.get(name, "cycle"))
    findings.say("without overlap: the sum of the parts; bound: the busier of the bus and the matrix unit",
                 "不重叠时为各部分之和；下界取总线与矩阵单元中较忙者")  # fmt: skip


@solves("7.8-double-buffer")
def column_blocks(task: Task, findings: Findings) -> None:
    """X whole, W in column blocks, loaded while the block before is computed."""
    from picojoule.machine import exercise_7_8

    machine = _machine(task)
    _tell(machine, findings)
    found = exercise_7_8(machine, task["n"])
    findings.put("cycles", found["double_buffer_cycles"], "cycle")
    findings.put("best_found_cycles", found["best_found_cycles"], "cycle")
    findings.say("T = tX + tW/n + tC + tY/n", "T = tX + tW/n + tC + tY/n")


@solves("7.9-double-buffer")
def row_tiles(task: Task, findings: Findings) -> None:
    """W whole, X in row tiles."""
    from picojoule.machine import exercise_7_9

    machine = _machine(task)
    _tell(machine, findings)
    found = exercise_7_9(machine, task["n"])
    findings.put("cycles", found["double_buffer_cycles"], "cycle")
    findings.put("largest_double_buffered_rows", found["largest_double_buffered_rows"], "1")
    findings.say("T = tW + tX/n + tC + tY/n", "T = tW + tX/n + tC + tY/n")


@solves("7.11")
def cluster(task: Task, findings: Findings) -> None:
    """The same product on four cores behind one shared memory."""
    from picojoule.machine import exercise_7_11

    machine = _machine(task)
    _tell(machine, findings)
    found = exercise_7_11(machine, task["rounds"], [int(link) for link in task["link_Bpc"]])
    findings.put("no_overlap", found["no_overlap"], "cycle")
    findings.put("lower_bound", found["lower_bound"], "cycle")
    findings.put("rounds", {"n": found["rounds"], "cycles": found["cycles"]}, "cycle")
    findings.assume(
        "1 TB/s to a core is read as 1024 and as 1000 B a cycle", "到每个核的 1 TB/s 分别按每周期 1024 B 和 1000 B 计"
    )
    findings.say(
        "N is split over the cores, X is multicast, W passes through in rounds", "N 分给各核，X 广播，W 分轮通过"
    )


@solves("7.5")
def out_of_order(task: Task, findings: Findings) -> None:
    """What issuing out of order could still gain."""
    from picojoule.machine import exercise_7_5

    machine = _machine(task)
    _tell(machine, findings)
    for name, value in exercise_7_5(machine).items():
        findings.put(name, value, "1" if "gain" in name else "cycle")
    findings.say("best static schedule of 7.8 against the bound: what is left for dynamic scheduling",
                 "7.8 的最佳静态调度与下界之差，就是动态调度最多能得到的")  # fmt: skip


@solves("6.7")
def balance(task: Task, findings: Findings) -> None:
    """Busy time of each queue in 7.8 without overlap."""
    from picojoule.machine import exercise_6_7

    machine = _machine(task)
    _tell(machine, findings)
    for name, value in exercise_6_7(machine).items():
        findings.put(name, value, "cycle" if name == "queue_busy" else "1")
    findings.say("cures: strided moves, vectors of any length, hardware loops, double buffers",
                 "改进：带跨步的搬运、任意长度的向量、硬件循环、双缓冲")  # fmt: skip
