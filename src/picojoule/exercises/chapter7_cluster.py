"""Chapter 7: products on four cores behind one shared memory."""

from dataclasses import replace
from fractions import Fraction
from typing import Final

from ._findings import Findings
from ._notation import clustered, sizes_of
from ._task import Task, solves
from .chapter7_processor import processor, show_program, tell_machine

_EACH: Final = (
    "each core, without overlap; moves of DRAM are those of all cores",
    "每个核，不重叠；DRAM 搬运为各核之和",
)


@solves("7.11")
def cluster(task: Task, findings: Findings) -> None:
    """The same product on four cores behind one shared memory."""
    from picojoule.machine import exercise_7_11

    machine = processor(task)
    tell_machine(machine, findings)
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
    one_link = replace(machine, link=Fraction(int(task["link_Bpc"][0])))
    show_program(findings, one_link, clustered(sizes_of(32, 256, 128), machine.cores, 1, 1), _EACH)


@solves("7.12")
def large_cluster(task: Task, findings: Findings) -> None:
    """A product whose W fits no core: column rounds, X kept in the shared memory."""
    from picojoule.machine import cluster_times, exercise_7_12

    machine = processor(task)
    tell_machine(machine, findings)
    served = [replace(machine, link=Fraction(link)) for link in task["link_Bpc"]]
    apart = [cluster_times(one, 1024, 256, 2048, passes=task["rounds"]) for one in served]
    for name, value in exercise_7_12(served[0], task["rounds"], task["rows"]).items():
        findings.put(name, value, "1" if name.startswith("use") else "cycle")
    findings.put("no_overlap", [float(one.serial) for one in apart], "cycle")
    findings.assume("1 TB/s to a core is read as 1024 and as 1000 B a cycle: " + ", ".join(map(str, task["link_Bpc"])),
                    "到每个核的 1 TB/s 按每周期 1024 B 和 1000 B 计：" + "、".join(map(str, task["link_Bpc"])))  # fmt: skip
    part = 4 * 256 * 2048 // machine.cores
    findings.put("w_bytes_a_core", part, "B")
    findings.say(f"W is {part:,} B a core, WRAM {machine.sizes['wram']:,} B: it passes in {task['rounds']} column rounds; X "
                 f"(1,048,576 B) stays in SharedRAM and goes to the cores by {task['rows']} rows, again in every round",
                 f"每核的 W 为 {part:,} B，WRAM 只有 {machine.sizes['wram']:,} B：分 {task['rounds']} 轮按列通过；"
                 f"X（1,048,576 B）留在 SharedRAM，每轮按 {task['rows']} 行再送给各核")  # fmt: skip
    show_program(findings, served[0], clustered(sizes_of(1024, 256, 2048), machine.cores, task["rounds"], 1024 // task["rows"]),
                 _EACH)  # fmt: skip
