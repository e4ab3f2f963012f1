"""Exercises on the processor: programs of the instruction set, run to the cycle on a machine file."""

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from picojoule.quantity import InputError

from ._findings import Findings
from ._notation import cycles, pipelined, rows_that_fit, serial, sizes_of
from ._task import Task, solves

_UNITS: Final = {"bound_by": "1", "macs": "MAC", "seconds": "s"}

if TYPE_CHECKING:
    from picojoule.machine import Machine


def processor(task: Task) -> "Machine":
    """The machine asked for, else the exercise's own: a shipped name or a file of the format picojoule/machine/1."""
    from picojoule.formats import load_machine, read_machine

    name = task.hardware or task.own
    return read_machine(name) if name.endswith((".yaml", ".yml")) else load_machine(name)


def tell_machine(machine: "Machine", findings: Findings) -> None:
    """Assume what the machine says of itself."""
    rates = ", ".join(f"{dtype} {float(n):g}" for dtype, n in machine.macs.items())
    findings.assume(f"{machine.title}: {rates} MAC a cycle, bus {float(machine.bus):g} B a cycle; loads and stores share it",
                    f"{machine.title}：每周期乘加 {rates}，总线每周期 {float(machine.bus):g} B；读写共用总线")  # fmt: skip


def _core(task: Task) -> "Machine":
    """The machine with the rates that the exercise sets."""
    machine = processor(task)
    if task["bytes_per_cycle"]:
        machine = replace(machine, bus=Fraction(task["bytes_per_cycle"]))
    if task["macs_per_cycle"]:
        machine = replace(machine, macs={**machine.macs, "float32": int(task["macs_per_cycle"])})
    return machine


@solves("7.7", "7.8", "7.9")
def matrix_product(task: Task, findings: Findings) -> None:
    """Time of a matrix product without overlap, its parts, and the bound."""
    from picojoule.machine import exercise_product

    machine = _core(task)
    if not 0 < task["density_computed"] <= 1:
        raise InputError(f"density_computed is {task['density_computed']:g}", where=f"exercise {task.id}",
                         expected="a share above 0 and up to 1", example="--set density_computed=0.125")  # fmt: skip
    tell_machine(machine, findings)
    found = exercise_product(machine, task["M"], task["K"], task["N"], compress_x=task["compress_x"],
                             compress_w=task["compress_w"], density=Fraction(task["density_computed"]))  # fmt: skip
    for name, value in found.items():
        if value is not None:
            findings.put(name, value, _UNITS.get(name, "cycle"))
    findings.say("without overlap: the sum of the parts; bound: the busier of the bus and the matrix unit",
                 "不重叠时为各部分之和；下界取总线与矩阵单元中较忙者")  # fmt: skip
    sizes = sizes_of(task["M"], task["K"], task["N"], task["compress_x"], task["compress_w"],
                     Fraction(task["density_computed"]))  # fmt: skip
    show_program(findings, machine, serial(sizes, rows_that_fit(machine, task["M"], task["K"], task["N"])),
             ("without overlap", "不重叠"))  # fmt: skip


def show_program(findings: Findings, machine: "Machine", lines: list[str] | None, title: tuple[str, str]) -> None:
    """A program in the exercise's own notation, with the time that it takes when it is run."""
    taken = None if lines is None else cycles(lines, machine)
    if lines is None or taken is None:
        findings.say("no program is printed: its moves are no whole bytes or larger than a memory",
                     "不给出程序：搬运量不是整数字节，或大于片上存储")  # fmt: skip
        return
    findings.show(f"{title[0]}, {taken:g} cycles when run", f"{title[1]}，运行 {taken:g} 周期", lines)
    findings.put("program_cycles", taken, "cycle")


@solves("7.8-double-buffer")
def column_blocks(task: Task, findings: Findings) -> None:
    """X whole, W in column blocks, loaded while the block before is computed."""
    from picojoule.machine import exercise_7_8

    machine = processor(task)
    tell_machine(machine, findings)
    found = exercise_7_8(machine, task["n"])
    findings.put("cycles", found["double_buffer_cycles"], "cycle")
    findings.put("best_found_cycles", found["best_found_cycles"], "cycle")
    findings.say("T = tX + tW/n + tC + tY/n", "T = tX + tW/n + tC + tY/n")
    n = task["n"][0]
    show_program(findings, machine, pipelined(sizes_of(32, 256, 128), n, "w"),
             (f"W in {n} column blocks", f"W 分 {n} 个列块"))  # fmt: skip


@solves("7.9-double-buffer")
def row_tiles(task: Task, findings: Findings) -> None:
    """W whole, X in row tiles."""
    from picojoule.machine import exercise_7_9

    machine = processor(task)
    tell_machine(machine, findings)
    found = exercise_7_9(machine, task["n"])
    findings.put("cycles", found["double_buffer_cycles"], "cycle")
    findings.put("largest_double_buffered_rows", found["largest_double_buffered_rows"], "1")
    findings.put(
        "tiled_cycles", {name: taken for name, taken in found["tiled_cycles"].items() if taken is not None}, "cycle"
    )
    findings.say("T = tW + tX/n + tC + tY/n", "T = tW + tX/n + tC + tY/n")
    n = task["n"][0]
    show_program(findings, machine, pipelined(sizes_of(1024, 256, 128), n, "x"),
             (f"X in {n} row tiles", f"X 分 {n} 个行块"))  # fmt: skip


@solves("7.10")
def compressed(task: Task, findings: Findings) -> None:
    """7.9 with W and X shorter on the bus, decoded as they arrive; beside it, zeros skipped as well."""
    from picojoule.machine import exercise_7_10, exercise_product

    matrix_product(task, findings)
    machine, shape = _core(task), (task["M"], task["K"], task["N"])
    cx, cw = task["compress_x"], task["compress_w"]
    skip = exercise_product(machine, *shape, compress_x=cx, compress_w=cw, density=Fraction(1, cx * cw))
    names = ("t_compute", "no_overlap_cycles", "lower_bound_cycles")
    findings.put("zeros_skipped", {name: skip[name] for name in names}, "cycle")
    findings.assume("compressed data are decoded on the fly and every product is computed; with zeros skipped, one product "
                    f"in {cx * cw} is",
                    f"压缩数据边到边解码，所有乘法照做；若跳过零，则每 {cx * cw} 次乘法只做一次")  # fmt: skip
    bound = findings.answers["lower_bound_cycles"].value
    findings.say(f"t_x / {cx} and t_w / {cw}; the unit is as busy as before: bound {bound:g} cycles, with zeros skipped "
                 f"{skip['lower_bound_cycles']:g}",
                 f"t_x 除以 {cx}，t_w 除以 {cw}；计算单元照样忙：下界 {bound:g} 周期，跳过零时为 "
                 f"{skip['lower_bound_cycles']:g}")  # fmt: skip
    if shape == (1024, 256, 128) and {cx, cw} <= {1, 2, 4, 8}:  # what the decoder of the instruction set can do
        overlapped = exercise_7_10(machine, cx, cw)["double_buffer_cycles"]
        findings.put("double_buffer_cycles", overlapped, "cycle")
        findings.say(f"X in row tiles of 32, double-buffered: {overlapped:g} cycles",
                     f"X 按 32 行分块并双缓冲：{overlapped:g} 周期")  # fmt: skip


@solves("6.4", "7.5")
def out_of_order(task: Task, findings: Findings) -> None:
    """What issuing out of order could still gain."""
    from picojoule.machine import exercise_7_5

    machine = processor(task)
    tell_machine(machine, findings)
    for name, value in exercise_7_5(machine).items():
        findings.put(name, value, "1" if "gain" in name else "cycle")
    findings.say("best static schedule of 7.8 against the bound: what is left for dynamic scheduling",
                 "7.8 的最佳静态调度与下界之差，就是动态调度最多能得到的")  # fmt: skip


@solves("6.7")
def balance(task: Task, findings: Findings) -> None:
    """Busy time of each queue in 7.8 without overlap."""
    from picojoule.machine import exercise_6_7

    machine = processor(task)
    tell_machine(machine, findings)
    for name, value in exercise_6_7(machine).items():
        findings.put(name, value, "cycle" if name == "queue_busy" else "1")
    findings.say("cures: strided moves, vectors of any length, hardware loops, double buffers",
                 "改进：带跨步的搬运、任意长度的向量、硬件循环、双缓冲")  # fmt: skip
