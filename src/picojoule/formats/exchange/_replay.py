"""Files of a tool, told apart by what they hold, and their replay."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picojoule.mapping import Convention
from picojoule.mapping.peers import Replay, replay_dict, replay_text
from picojoule.quantity import InputError

from ._document import Node, json_node, read_limited, yaml_node
from ._timeloop import TimeloopFiles, timeloop_keys
from ._timeloop_output import is_stats, read_stats
from ._zigzag import ZigZagFiles


@dataclass(frozen=True, slots=True)
class Replayed:
    """The replay of the files of one mapping."""

    replay: Replay

    def text(self) -> str:
        """For a terminal."""
        return replay_text(self.replay)

    def as_dict(self) -> dict[str, Any]:
        """`picojoule/replay/1`."""
        return replay_dict([self.replay])


def read_files(paths: Sequence[Path | str]) -> TimeloopFiles | ZigZagFiles:
    """Sections of the files of one tool. Raises InputError where a file is of no known kind, or of another tool."""
    timeloop, zigzag = TimeloopFiles(), ZigZagFiles()
    first = {"Timeloop": "", "ZigZag": ""}
    for path in paths:
        file, content = str(path), read_limited(path)
        tool = _add(file, content, timeloop, zigzag)
        first[tool] = first[tool] or file
        other = "ZigZag" if tool == "Timeloop" else "Timeloop"
        if first[other]:
            raise InputError(f"a file of {tool} next to one of {other} ({first[other]})", where=file,
                             expected="files of one tool")  # fmt: skip
    if not paths:
        raise InputError("no file to replay", expected="the files of one mapping: machine, problem, mapping")
    return timeloop if first["Timeloop"] else zigzag


def _add(file: str, content: str, timeloop: TimeloopFiles, zigzag: ZigZagFiles) -> str:
    if is_stats(content):
        if timeloop.stats is not None:
            raise InputError("a second stats file", where=file, expected=f"one; the first is {timeloop.stats.file}")
        timeloop.stats = read_stats(content, file)
        return "Timeloop"
    notes: list[str] = []
    node = json_node(content, file) if file.endswith(".json") else yaml_node(content, file, notes)
    kind = _kind(node)
    if kind == "timeloop":
        timeloop.left_out |= set(notes)
        timeloop.add(node)
        return "Timeloop"
    zigzag.left_out |= set(notes)
    zigzag.add(kind, node)
    return "ZigZag"


def _kind(node: Node) -> str:
    """What a file holds, by its keys."""
    keys = node.keys
    if isinstance(node.value, list) and node.value:
        keys = node.items()[0].keys
    for kind, known in (
        ("workload", "equation"), ("mapping", "memory_operand_links"), ("architecture", "operational_array"),
        ("result", "temporal"), ("result", "temporal_mapping"), ("result", "inputs"),
    ):  # fmt: skip
        if known in keys:
            return kind
    if timeloop_keys(keys):
        return "timeloop"
    raise node.refusal(
        "no file of Timeloop or ZigZag",
        "Timeloop: architecture, problem, mapping, ERT or a stats file; ZigZag: memories and operational_array, a layer "
        "with its equation, a mapping with memory_operand_links, or the JSON of a result",
    )


def replay_files(paths: Sequence[Path | str], convention: Convention | None = None) -> Replayed:
    """The mapping that these files hold, counted by our law and by the tool's rules, next to its own numbers.

    Timeloop: architecture, problem and mapping (one file or several), with energies (ERT) and the stats file if there
    are any. ZigZag: architecture, workload, mapping YAML and the JSON of the result. `convention` None: the one of ours
    that is closest to the tool's. Raises InputError with file and line.
    """
    return Replayed(read_files(paths).replay(convention))
