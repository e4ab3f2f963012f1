"""ZigZag's files together: a machine for our search, and the replay of one mapping."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from picojoule.mapping import Accelerator, Array, Convention, Level, Problem, SpatialAxis, Weights
from picojoule.mapping.peers import (
    Direction,
    Hold,
    Nest,
    Prices,
    Printed,
    Replay,
    SpatialLoop,
    Stage,
    Tensor,
    replay_zigzag,
    uncovered,
)
from picojoule.quantity import InputError

from ._document import Node
from ._machine import machine, weights_of
from ._zigzag_architecture import DIRECTIONS, Architecture, Memory, read_zigzag_architecture
from ._zigzag_layer import Layer, Links, read_layer, read_links
from ._zigzag_result import Result, read_result

_READS: Final = ("rd_out_to_low", "rd_out_to_high")
_PAIRS: Final[tuple[tuple[str, Direction], ...]] = (
    ("read", "rd_out_to_low"), ("update", "wr_in_by_low"), ("write", "wr_in_by_high"),
)  # fmt: skip


@dataclass(slots=True)
class ZigZagFiles:
    """ZigZag's files, read when asked for."""

    nodes: dict[str, Node] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)

    def add(self, kind: str, node: Node) -> None:
        """One file: architecture, workload, mapping or result."""
        if kind in self.nodes:
            raise node.refusal(f"a second {kind}; the first stands at {self.nodes[kind].where}", "each once")
        self.nodes[kind] = node

    def _node(self, kind: str) -> Node:
        if kind not in self.nodes:
            file = next(iter(self.nodes.values())).document.file if self.nodes else ""
            raise InputError(f"no {kind} in the files", where=file, expected=f"ZigZag's {kind} file")
        return self.nodes[kind]

    def _read(self) -> tuple[Architecture, Layer, Links]:
        architecture = read_zigzag_architecture(self._node("architecture"), self.left_out)
        layer = read_layer(self._node("workload"), self.left_out)
        links = read_links(self._node("mapping"), layer, self.left_out)
        for role, name in layer.tensors.items():
            operand = links.memory.get(name)
            if not any(operand in memory.operands for memory in architecture.memories):
                raise links.node.refusal(f"{name} ({role}) has no memory", "a link to an operand of some memory")
        for axis, pairs in links.spatial.items():
            if axis not in architecture.axes:
                raise links.node.refusal(f"the array has no dimension {axis!r}", f"of {', '.join(architecture.axes)}")
            for dim, _ in pairs:
                if dim not in layer.extents:
                    raise links.node.refusal(f"no dimension {dim!r}", f"one of {', '.join(layer.extents)}")
        return architecture, layer, links

    def problem(self) -> Problem:
        """The layer."""
        return read_layer(self._node("workload"), self.left_out).problem

    def accelerator(self) -> Accelerator:
        """The machine for our search. Ports are not read as cycles; a memory has one tile for all its operands."""
        architecture, layer, links = self._read()
        levels: list[Level] = []
        below = ""
        for memory in reversed(architecture.memories):
            if memory.served and memory.served != set(architecture.axes):
                raise memory.node.refusal(
                    f"{memory.name} serves {', '.join(sorted(memory.served))} only: that makes a second array",
                    "all dimensions of the array or none, for the search (a replay takes any)",
                )
            if memory.served and levels and below != levels[-1].name:
                raise memory.node.refusal(f"{memory.name} stands above the array, {levels[-1].name} below", "by level")
            keeps = tuple(r for r, name in layer.tensors.items() if links.memory[name] in memory.operands)
            levels.append(Level(memory.name, keeps, memory.size_bits))
            below = memory.name if memory.served or len(levels) == 1 else below
        axes = tuple(
            SpatialAxis(name, size, tuple(d for d, _ in links.spatial[name]) if name in links.spatial else tuple(layer.extents))
            for name, size in architecture.axes.items()
        )  # fmt: skip
        self.left_out |= {"bandwidths of ports", "words rounded up to ports"}
        bits = {role: part.bits for role, part in layer.parts.items()}
        return machine(architecture.name, levels, Array(below, axes), bits, architecture.node)

    def weights(self, accelerator: Accelerator) -> Weights:
        """Joules per word: the cost of an access times the share of a port's widest word."""
        architecture, layer, links = self._read()
        access: dict[tuple[str, str, str], float] = {}
        for memory in architecture.memories:
            for role, part in layer.parts.items():
                for action, direction in _PAIRS:
                    _, wide = memory.ports.get((links.memory[part.role], direction), (1, part.bits))
                    price = memory.read_j if direction in _READS else memory.write_j
                    access[memory.name, role, action] = price * part.bits / wide
        return weights_of(accelerator, Prices(architecture.mac_j, access))

    def replay(self, convention: Convention | None = None) -> Replay:
        """Ours and theirs."""
        architecture, layer, links = self._read()
        result = read_result(self._node("result"))
        parts: dict[str, tuple[Tensor, list[Hold], Nest]] = {}
        access: dict[tuple[str, str, str], float] = {}
        for role, tensor in layer.parts.items():
            operand = links.memory[tensor.role]
            memories = [one for one in architecture.memories if operand in one.operands]
            holds, nest = _holds(layer, links, result, tensor, memories, architecture)
            parts[role] = (tensor, holds, nest)
            for memory in memories:
                for direction in DIRECTIONS.values():
                    access[memory.name, role, direction] = memory.read_j if direction in _READS else memory.write_j
        printed = _printed(result, parts)
        try:
            return replay_zigzag(layer.name, parts, layer.tensors, convention, printed, Prices(architecture.mac_j, access),
                                 sorted(self.left_out))  # fmt: skip
        except ValueError as error:
            raise result.node.refusal(str(error), "a mapping that this convention counts") from None


def _printed(result: Result, parts: dict[str, tuple[Tensor, list[Hold], Nest]]) -> Printed | None:
    if not result.accesses:
        return None
    counters: dict[tuple[str, str, str], float] = {}
    for role, (tensor, holds, _) in parts.items():
        levels = result.accesses.get(tensor.role, [])
        if len(levels) != len(holds):
            raise result.node.refusal(f"accesses of {len(levels)} levels for {tensor.role}, which has {len(holds)}",
                                      "one for every memory, innermost first")  # fmt: skip
        for hold, level in zip(holds, levels, strict=True):
            counters |= {(hold.memory, role, name): count for name, count in level.items()}
    return Printed(counters, {}, result.mac_j, result.cycles, result.energy_j)


def _holds(
    layer: Layer, links: Links, result: Result, tensor: Tensor, memories: Sequence[Memory], architecture: Architecture
) -> tuple[list[Hold], Nest]:
    """What one operand sees: its memories innermost first, with loops and ports; and the same as a nest of ours."""
    levels = result.temporal.get(tensor.role)
    if levels is None or len(levels) != len(memories):
        raise result.node.refusal(
            f"loops at {0 if levels is None else len(levels)} memories for {tensor.role}, which has {len(memories)}",
            "a list of loops for every memory, innermost first",
        )
    trips: dict[str, int] = {}
    for dim, trip in (loop for level in levels for loop in level):
        if dim not in layer.extents:
            raise result.node.refusal(f"no dimension {dim!r}", f"one of {', '.join(layer.extents)}")
        trips[dim] = trips.get(dim, 1) * trip
    spread = _spread(layer, links, result, trips)
    for axis, pairs in spread.items():
        used = math.prod(trip for _, trip in pairs)
        if used > architecture.axes[axis] + 1e-9:
            raise links.node.refusal(f"{used:g} places on {axis}, which has {architecture.axes[axis]}", "what fits")
    holds: list[Hold] = []
    stages: list[Stage] = []
    for k, memory in enumerate(memories):
        below = memories[k - 1].served if k else frozenset[str]()
        axes = [axis for axis in architecture.axes if axis in memory.served and axis not in below]
        loops = [pair for axis in axes for pair in spread.get(axis, ())]
        ports = {d: memory.ports[links.memory[tensor.role], d] for d in DIRECTIONS.values()
                 if (links.memory[tensor.role], d) in memory.ports}  # fmt: skip
        _ported(memory, tensor, ports, k == len(memories) - 1)
        holds.append(Hold(memory.name, tuple(levels[k]), tuple(loops), ports))
        keeps = (
            tuple(layer.tensors) if k == len(memories) - 1 else tuple(r for r, t in layer.parts.items() if t is tensor)
        )
        stages.append(Stage(memory.name, keeps, tuple(reversed(levels[k])),
                            tuple(SpatialLoop(dim, math.ceil(trip - 1e-9)) for dim, trip in loops)))  # fmt: skip
    unserved = set(spread) - memories[-1].served
    if unserved:
        raise memories[-1].node.refusal(f"{memories[-1].name} does not serve {', '.join(sorted(unserved))}",
                                        "an outermost memory that serves the whole array")  # fmt: skip
    nest = Nest(layer.problem, tuple(reversed(stages)))
    for dim, product, extent in uncovered(nest):
        raise result.node.refusal(f"the loops of {dim} multiply to {product}, the layer has {extent}",
                                  f"loops of {tensor.role} that cover {extent}")  # fmt: skip
    return holds, nest


def _ported(memory: Memory, tensor: Tensor, ports: dict[Direction, tuple[int, int]], top: bool) -> None:
    needed: list[Direction] = ["rd_out_to_low"]
    if tensor.output:
        needed += ["wr_in_by_low"] if top else ["wr_in_by_low", "rd_out_to_high", "wr_in_by_high"]
    elif not top:
        needed.append("wr_in_by_high")
    missing = [direction for direction in needed if direction not in ports]
    if missing:
        raise memory.node.refusal(f"{memory.name} has no port for {tensor.role}: {', '.join(missing)}",
                                  "an allocation of tl, th, fl and fh as its traffic needs")  # fmt: skip


def _spread(layer: Layer, links: Links, result: Result, trips: dict[str, int]) -> dict[str, list[tuple[str, float]]]:
    """Spatial factors by axis: extent / temporal trips, a fraction where it does not divide."""
    left = {dim: extent / trips.get(dim, 1) for dim, extent in layer.extents.items()}
    homes = [dim for pairs in links.spatial.values() for dim, _ in pairs]
    found: dict[str, list[tuple[str, float]]] = {}
    for axis, pairs in links.spatial.items():
        for dim, factor in pairs:
            used = left[dim] if homes.count(dim) == 1 else min(left[dim], factor)
            if used > factor + 1e-9:
                raise result.node.refusal(f"{dim} would need {used:g} of {factor} places on {axis}",
                                          "loops that cover the rest of the extent")  # fmt: skip
            left[dim] /= used
            found.setdefault(axis, []).append((dim, used))
    for dim, rest in left.items():
        if abs(rest - 1) > 1e-9:
            raise result.node.refusal(
                f"the loops of {dim} multiply to {layer.extents[dim] / rest:g}, the layer has {layer.extents[dim]}",
                "loops that cover every dimension",
            )
    return found
