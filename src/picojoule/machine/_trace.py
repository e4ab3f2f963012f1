"""A run as a Chrome trace, which Perfetto and chrome://tracing open: a process for each agent, a thread for each stream."""

from typing import Any

from ._engine import STREAMS
from ._machine import Machine
from ._run import Run


def trace_json(run: Run, machine: Machine, source: str) -> dict[str, Any]:
    """The trace of a run with events. Times in microseconds, as the format wants; exact cycles stand in `args`."""
    micro = 1e6 / float(machine.clock_hz)
    agents = {name: number for number, name in enumerate(machine.agents)}
    used = sorted({(agents[event.agent], STREAMS.index(event.stream)) for event in run.events})
    events: list[dict[str, Any]] = []
    for agent in dict.fromkeys(agent for agent, _ in used):
        events.append({"ph": "M", "name": "process_name", "pid": agent, "args": {"name": machine.agents[agent]}})
        events.append({"ph": "M", "name": "process_sort_index", "pid": agent, "args": {"sort_index": agent}})
    for agent, stream in used:
        events.append(
            {"ph": "M", "name": "thread_name", "pid": agent, "tid": stream, "args": {"name": STREAMS[stream]}}
        )
        events.append(
            {"ph": "M", "name": "thread_sort_index", "pid": agent, "tid": stream, "args": {"sort_index": stream}}
        )
    for event in run.events:
        cycles = event.end - event.start
        events.append({
            "ph": "X", "name": event.kind, "cat": event.stream, "pid": agents[event.agent],
            "tid": STREAMS.index(event.stream), "ts": float(event.start) * micro, "dur": float(cycles) * micro,
            "args": {"instruction": event.text.partition(" (line ")[0], "line": event.line, "cycle": float(event.start),
                     "cycles": float(cycles)},
        })  # fmt: skip
    about = {"program": source, "machine": machine.name, "cycles": float(run.cycles), "time_s": run.seconds}
    return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": about}
