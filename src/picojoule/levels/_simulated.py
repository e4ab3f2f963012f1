"""Level `simulated`: every operator as a program, compiled, and timed instruction by instruction.

    t = max(terms of level `mapped`, cycles of the program / clock)

The compiler tiles the operator to the memories, overlaps moves with arithmetic and orders the instructions; the timing
of the processor (`picojoule.machine`) counts cycles and every byte of every memory. Images stand channels last between
operators. Rows that no window touches, and statistics that the compiler folds, are counted at the outermost memory as
the levels below count them.

Operators without a rule run on the CPU of the host: they are taken at the roofline and named.
Left out: fusion of operators, of which `picojoule compile` knows; several cores.
"""

from typing import Final

from picojoule.cost import Term
from picojoule.quantity import InputError

from ._count import Outcome, add
from ._demand import Demand
from ._mapped import mapped
from ._setting import Setting

PROGRAM: Final = "program"  # the key of the term that the program gives


def simulated(demand: Demand, setting: Setting) -> Outcome:
    """Actions and time terms of one operator by its program."""
    machine = setting.machine
    if machine is None:
        raise InputError(
            f"no machine for programs stands for {setting.architecture.title}",
            where=f"hardware {setting.architecture.name}", expected="a machine that programs can be compiled for: aics-core",
            example="picojoule estimate resnet18 --on aics-core --level simulated",
        )  # fmt: skip
    below = mapped(demand, setting)
    if demand.idle:
        return below
    if demand.lone is None:
        return below._replace(note=demand.unmappable)
    from picojoule.machine.compiler import time_alone

    timing = time_alone(demand.lone, machine)
    if isinstance(timing, str):
        return below._replace(note=timing)
    counts: dict[tuple[str, str], int] = {}
    outer = setting.architecture.memories[0].name
    for action, n in timing.counts.items():
        add(counts, action, n * demand.repeats)
    for verb in ("read", "write"):
        least = below.counts.get((outer, verb), 0)
        counts[outer, verb] = max(counts.get((outer, verb), 0), least)
    # What the program waits for is what bounds it below: the cycles it adds are of order and of fill and drain.
    waits = max(below.terms, key=lambda term: term.seconds).resource if below.terms else "compute"
    program = Term(waits, timing.seconds * demand.repeats, PROGRAM)
    return Outcome({key: n for key, n in counts.items() if n}, (*below.terms, program), below.overhead, below.nest)
