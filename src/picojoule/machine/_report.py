"""A timed program as text and as JSON: cycles, load of every stream, what each unit did."""

from fractions import Fraction
from typing import Any

from picojoule.quantity import format_quantity

from ._machine import Machine
from ._program import Program
from ._run import Run


def imbalance(run: Run) -> Fraction | None:
    """Busy cycles of the busiest stream over the mean of those that have instructions; None if nothing is busy."""
    busy = [load.busy for load in run.streams.values() if load.instructions]
    return max(busy) * len(busy) / sum(busy, Fraction()) if any(busy) else None


def run_json(run: Run, program: Program, machine: Machine) -> dict[str, Any]:
    """Plain data, by docs/schema/time.schema.json."""
    balance = imbalance(run)
    return {
        "schema": "picojoule/time/1", "program": program.source, "machine": machine.name, "engine": run.engine,
        "words": program.words, "instructions": run.instructions, "cycles": float(run.cycles), "time_s": run.seconds,
        "streams": [
            {"agent": agent, "stream": stream, "instructions": load.instructions, "busy_cycles": float(load.busy)}
            for (agent, stream), load in run.streams.items() if load.instructions
        ],
        "imbalance": None if balance is None else float(balance),
        "busy": [{"agent": agent, "kind": kind, "cycles": float(cycles)} for (agent, kind), cycles in run.busy.items()],
        "counts": [{"part": part, "action": action, "count": count} for (part, action), count in run.counts.items()],
    }  # fmt: skip


def run_text(run: Run, program: Program, machine: Machine) -> str:
    """At most 80 columns."""
    cycles, balance = float(run.cycles), imbalance(run)
    lines = [f"{'program':<14}{program.source}", f"{'machine':<14}{machine.name}",
             f"{'instructions':<14}{run.instructions:,} from {program.words:,} words, {run.engine} engine",
             f"{'cycles':<14}{cycles:,.10g}", f"{'time':<14}{format_quantity(run.seconds, 's')}", "",
             f"{'agent':<8}{'stream':<9}{'instructions':>13}{'busy cycles':>18}{'of the time':>13}"]  # fmt: skip
    for (agent, stream), load in run.streams.items():
        if load.instructions:
            share = f"{float(load.busy) / cycles:.1%}" if cycles else "-"
            lines.append(f"{agent:<8}{stream:<9}{load.instructions:>13,}{float(load.busy):>18,.10g}{share:>13}")
    if balance is not None:
        lines.append(f"busiest stream over their mean: {float(balance):.3g} (1: every stream is as busy as the others)")
    lines += ["", f"{'part':<10}{'action':<16}{'count':>20}"]
    lines += [f"{part:<10}{action:<16}{count:>20,}" for (part, action), count in sorted(run.counts.items())]
    return "\n".join(lines) + "\n"
