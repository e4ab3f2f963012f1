"""ZigZag's files: architecture, workload and mapping YAML, and the JSON of one evaluated mapping."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from picojoule.mapping import (
    Accelerator,
    Array,
    Convention,
    Level,
    Problem,
    SpatialAxis,
    UnmappableError,
    Weights,
    contraction,
)
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
    Window,
    replay_zigzag,
    uncovered,
)
from picojoule.quantity import InputError

from ._document import Node
from ._machine import machine, weights_of
from ._timeloop_problem import roles_of

PICO: Final = 1e-12
_DIRECTIONS: Final[dict[str, Direction]] = {
    "tl": "rd_out_to_low", "th": "rd_out_to_high", "fl": "wr_in_by_low", "fh": "wr_in_by_high",
}  # fmt: skip
_READS: Final = ("rd_out_to_low", "rd_out_to_high")
_MEMORY_KEYS: Final = ("size", "r_cost", "w_cost", "area", "latency", "operands", "ports", "served_dimensions",
                       "auto_cost_extraction", "mem_type", "min_r_granularity", "min_w_granularity")  # fmt: skip
_ARRAY_KEYS: Final = ("unit_energy", "unit_area", "dimensions", "sizes", "input_precision", "multiplier_energy",
                      "multiplier_area")  # fmt: skip
_LAYER_KEYS: Final = ("id", "name", "operator_type", "equation", "dimension_relations", "loop_dims", "loop_sizes",
                      "operand_precision", "operand_source", "pr_loop_dims", "pr_loop_sizes", "padding")  # fmt: skip
_LINK_KEYS: Final = ("name", "spatial_mapping", "memory_operand_links", "core_allocation", "temporal_ordering",
                     "spatial_mapping_hint")  # fmt: skip
_UNUSED: Final = ("area", "latency", "unit_area", "mem_type", "operand_source", "core_allocation",
                  "temporal_ordering", "spatial_mapping_hint")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory: operands by ZigZag's name, ports by (operand, direction) as (narrowest, widest) bits, what it serves."""

    name: str
    node: Node
    size_bits: int
    read_j: float
    write_j: float
    operands: tuple[str, ...]
    ports: dict[tuple[str, Direction], tuple[int, int]]
    served: frozenset[str]


@dataclass(frozen=True, slots=True)
class Architecture:
    """Memories innermost first, and the array."""

    name: str
    node: Node
    memories: tuple[Memory, ...]
    axes: dict[str, int]
    mac_j: float


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: extents, tensors by role with ZigZag's names, and the same as a contraction."""

    name: str
    node: Node
    kind: str
    extents: dict[str, int]
    tensors: dict[str, str]
    parts: dict[str, Tensor]
    problem: Problem


@dataclass(frozen=True, slots=True)
class Links:
    """How a layer meets the machine: memory operand by tensor, and what every axis of the array spreads."""

    node: Node
    memory: dict[str, str]
    spatial: dict[str, tuple[tuple[str, int], ...]]


def read_zigzag_architecture(node: Node, left_out: set[str]) -> Architecture:
    """An architecture file."""
    for key, child in node.mapping().pairs():
        if key not in ("name", "memories", "operational_array"):
            raise child.refusal(f"{key!r} is not read in an architecture", "name, memories, operational_array")
    array = node.need("operational_array")
    for key, child in array.pairs():
        if key not in _ARRAY_KEYS:
            raise child.refusal(f"{key!r} is not modelled here", f"a digital array: {', '.join(_ARRAY_KEYS[:4])}")
        if key in _UNUSED:
            left_out.add(key)
    names = [one.text() for one in array.need("dimensions").items()]
    sizes = [one.integer(1, 1 << 20) for one in array.need("sizes").items()]
    if len(names) != len(sizes) or len(set(names)) != len(names):
        raise array.refusal(f"{len(names)} dimensions and {len(sizes)} sizes", "a size for every dimension, each once")
    axes = dict(zip(names, sizes, strict=True))
    memories = tuple(_memory(name, one, axes, left_out) for name, one in node.need("memories").pairs())
    if not memories:
        raise node.need("memories").refusal("no memory", "memories, innermost first")
    title = node.get("name")
    energy = array.need("unit_energy").number(0, 1e12) * PICO
    return Architecture(title.text() if title else "zigzag", node, memories, axes, energy)


def _memory(name: str, node: Node, axes: dict[str, int], left_out: set[str]) -> Memory:
    for key, child in node.mapping().pairs():
        if key not in _MEMORY_KEYS or key.startswith("min_"):
            raise child.refusal(f"{key!r} is not read in a memory", f"one of {', '.join(_MEMORY_KEYS[:8])}")
        if key in _UNUSED:
            left_out.add(key)
    extracted = node.get("auto_cost_extraction")
    if extracted is not None and extracted.value:
        raise extracted.refusal("costs that another program works out are not read", "r_cost and w_cost as numbers")
    operands = tuple(one.text() for one in node.need("operands").items())
    served = [one.text() for one in node.need("served_dimensions").items()]
    for one in served:
        if one not in axes:
            raise node.need("served_dimensions").refusal(f"no dimension {one!r} of the array", f"of {', '.join(axes)}")
    ports: dict[tuple[str, Direction], tuple[int, int]] = {}
    for port in node.need("ports").items():
        narrow = port.need("bandwidth_min").integer(1, 1 << 30)
        wide = port.need("bandwidth_max").integer(narrow, 1 << 30)
        for allocation in port.need("allocation").items():
            words = allocation.words()
            if len(words) != 2 or words[0] not in operands or words[1] not in _DIRECTIONS:
                raise allocation.refusal(f"{' '.join(words)[:40]!r} is no allocation",
                                         f"one of {', '.join(operands)}, then tl, th, fl or fh", "- I1, tl")  # fmt: skip
            ports[words[0], _DIRECTIONS[words[1]]] = (narrow, wide)
    read, write = (node.need(key).number(0, 1e15) * PICO for key in ("r_cost", "w_cost"))
    size = node.need("size").integer(1, 1 << 60)
    return Memory(name, node, size, read, write, operands, ports, frozenset(served))


def read_layer(node: Node, left_out: set[str]) -> Layer:
    """One layer of a workload file."""
    if isinstance(node.value, list):
        layers = node.items()
        if len(layers) != 1:
            raise node.refusal(f"{len(layers)} layers", "a file with the one layer that was mapped")
        node = layers[0]
    for key, child in node.mapping().pairs():
        if key not in _LAYER_KEYS:
            raise child.refusal(f"{key!r} is not read in a layer", f"one of {', '.join(_LAYER_KEYS)}")
        if key in _UNUSED:
            left_out.add(key)
    dims = [one.text() for one in node.need("loop_dims").items()]
    sizes = [one.integer() for one in node.need("loop_sizes").items()]
    if len(dims) != len(sizes) or len(set(dims)) != len(dims):
        raise node.need("loop_sizes").refusal(f"{len(sizes)} sizes for {len(dims)} dimensions", "a size for each")
    extents = dict(zip(dims, sizes, strict=True))
    relations = _relations(node, extents)
    indices, output = _equation(node, extents, relations)
    tensors = roles_of(list(indices), output)
    clips = _clips(node)
    precision = node.need("operand_precision")
    parts, axes = {}, {}
    for role, name in tensors.items():
        windows = tuple(
            Window(*relations[index], clips.get(index, _total(relations[index], extents)))
            for index in indices[name] if index in relations
        )  # fmt: skip
        bits = precision.need(name).integer(1, 1 << 16)
        final = precision.get(f"{name}_final")
        parts[role] = Tensor(name, frozenset(i for i in indices[name] if i in extents), windows, bits,
                             final.integer(1, 1 << 16) if final else bits, name == output)  # fmt: skip
        axes[role] = [
            [(index, 1)] if index in extents else [relations[index][:2], relations[index][2:]] for index in indices[name]
        ]
    title, kind = node.get("name"), node.get("operator_type")
    name = title.text() if title else "layer"
    try:
        problem = contraction(name, extents, axes)
    except UnmappableError as error:
        raise node.refusal(str(error), "a contraction with windows of two dimensions") from None
    return Layer(name, node, kind.text() if kind else "", extents, tensors, parts, problem)


Relation = tuple[str, int, str, int]


def _relations(node: Node, extents: dict[str, int]) -> dict[str, Relation]:
    """`ix=2*ox+1*fx` as {IX: (OX, 2, FX, 1)}."""
    listed, found = node.get("dimension_relations"), {}
    for one in listed.items() if listed else []:
        text = one.text().replace(" ", "").upper()
        match = re.fullmatch(r"(\w+)=(?:(\d{1,6})\*)?([A-Z]\w*)\+(?:(\d{1,6})\*)?([A-Z]\w*)", text)
        if match is None or match[3] not in extents or match[5] not in extents or "0" in (match[2], match[4]):
            raise one.refusal(f"{one.text()[:60]!r} is no relation of two dimensions", "sums of two dimensions",
                              "- ix=2*ox+1*fx")  # fmt: skip
        found[match[1]] = (match[3], int(match[2] or 1), match[5], int(match[4] or 1))
    return found


def _equation(
    node: Node, extents: dict[str, int], relations: dict[str, Relation]
) -> tuple[dict[str, list[str]], str]:
    """Indices by tensor, and the output."""
    equation = node.need("equation")
    match = re.fullmatch(r"([A-Z]\w*)((?:\[\w+\])+)\+?=([A-Z]\w*)((?:\[\w+\])+)\*([A-Z]\w*)((?:\[\w+\])+)",
                         equation.text(400).replace(" ", ""))  # fmt: skip
    if match is None:
        raise equation.refusal("no product of two tensors", "one output, two inputs", "O[b][k]+=W[c][k]*I[b][c]")
    found = {match[i]: [index.upper() for index in re.findall(r"\[(\w+)\]", match[i + 1])] for i in (1, 3, 5)}
    for indices in found.values():
        for index in indices:
            if index not in extents and index not in relations:
                raise equation.refusal(f"no dimension {index!r}", f"one of {', '.join((*extents, *relations))}")
    if len(found) != 3:
        raise equation.refusal("a tensor stands twice", "three tensors with three names")
    return found, match[1]


def _clips(node: Node) -> dict[str, int]:
    names, sizes = node.get("pr_loop_dims"), node.get("pr_loop_sizes")
    if names is None or sizes is None:
        return {}
    found = {name.text().upper(): size.integer() for name, size in zip(names.items(), sizes.items(), strict=False)}
    if len(names.items()) != len(sizes.items()):
        raise sizes.refusal(f"{len(sizes.items())} sizes for {len(names.items())} dimensions", "a size for each")
    return found


def _total(relation: Relation, extents: dict[str, int]) -> int:
    first, stride, second, dilation = relation
    return Window(first, stride, second, dilation, 1 << 62).words(extents[first], extents[second], False)


def read_links(node: Node, layer: Layer | None, left_out: set[str]) -> Links:
    """The entry of a mapping file for this layer: by its name, its operator, or `default`."""
    entries = {one.need("name").text(): one for one in node.items()}
    wanted = (layer.name, layer.kind, "default") if layer else ("default",)
    found = next((entries[name] for name in wanted if name in entries), None)
    if found is None:
        raise node.refusal(f"no entry for {' or '.join(wanted)}", "an entry `default`")
    for key, child in found.pairs():
        if key not in _LINK_KEYS:
            raise child.refusal(f"{key!r} is not read in a mapping", f"one of {', '.join(_LINK_KEYS)}")
        if key in _UNUSED:
            left_out.add(key)
    memory = {key: child.text() for key, child in found.need("memory_operand_links").pairs()}
    spatial = {}
    mapping = found.get("spatial_mapping")
    for axis, listed in mapping.pairs() if mapping else []:
        pairs = []
        for one in listed.items():
            words = one.words()
            if len(words) != 2 or not re.fullmatch(r"\d{1,7}", words[1]) or words[1] == "0":
                raise one.refusal(f"{' '.join(words)[:40]!r} is no factor", "dimension, number", "- K, 32")
            pairs.append((words[0], int(words[1])))
        spatial[axis] = tuple(pairs)
    return Links(found, memory, spatial)


@dataclass(frozen=True, slots=True)
class Result:
    """One evaluated mapping: temporal loops by tensor and memory, innermost first, and what ZigZag printed."""

    node: Node
    temporal: dict[str, list[list[tuple[str, int]]]]
    accesses: dict[str, list[dict[str, float]]]
    energy_j: float | None
    mac_j: float | None
    cycles: float | None


def read_result(node: Node) -> Result:
    """ZigZag's JSON (`outputs`, `inputs`), or the same pieces flat: temporal, word_accesses, energy."""
    outputs, inputs = node.mapping().get("outputs") or node, node.get("inputs") or node
    temporal = inputs.get("temporal_mapping") or inputs.need("temporal")
    loops = {
        name: [[_loop(one) for one in level.items()] for level in levels.items()] for name, levels in temporal.pairs()
    }
    memory = outputs.get("memory") or outputs
    accesses: dict[str, list[dict[str, float]]] = {}
    found = memory.get("word_accesses")
    for name, levels in found.pairs() if found else []:
        accesses[name] = [{key: one.number(0, 1e20) for key, one in level.pairs()} for level in levels.items()]
    energy = outputs.get("energy")
    total, mac = (
        (energy.get("energy_total"), energy.get("operational_energy"))
        if energy is not None and isinstance(energy.value, dict)
        else (energy, outputs.get("mac_energy"))
    )
    cycles = outputs.get("latency0") or ((outputs.get("latency") or outputs).get("computation"))
    numbers = [one.number(0, 1e24) if one else None for one in (total, mac, cycles)]
    joules = [None if one is None else one * PICO for one in numbers[:2]]
    return Result(node, loops, accesses, joules[0], joules[1], numbers[2])


def _loop(node: Node) -> tuple[str, int]:
    """`["OX", 7]` or "(OX, 7)"."""
    if isinstance(node.value, list) and len(node.value) == 2:
        name, trip = node.items()
        return name.text(), trip.integer()
    match = re.fullmatch(r"\(?'?(\w+)'?, *(\d{1,9})(?:\.0)?\)?", node.text()) if not isinstance(node.value, list) else None
    if match is None or int(match[2]) < 1:
        raise node.refusal("no loop", "a dimension and its trip", '["OX", 7]')
    return match[1], int(match[2])


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
        levels, below = [], ""
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
        access = {}
        pairs: tuple[tuple[str, Direction], ...] = (("read", "rd_out_to_low"), ("update", "wr_in_by_low"), ("write", "wr_in_by_high"))  # fmt: skip
        for memory in architecture.memories:
            for role, part in layer.parts.items():
                for action, direction in pairs:
                    _, wide = memory.ports.get((links.memory[part.role], direction), (1, part.bits))
                    price = memory.read_j if direction in _READS else memory.write_j
                    access[memory.name, role, action] = price * part.bits / wide
        return weights_of(accelerator, Prices(architecture.mac_j, access))

    def replay(self, convention: Convention | None = None) -> Replay:
        """Ours and theirs."""
        architecture, layer, links = self._read()
        result = read_result(self._node("result"))
        parts, access = {}, {}
        for role, tensor in layer.parts.items():
            operand = links.memory[tensor.role]
            memories = [one for one in architecture.memories if operand in one.operands]
            holds, nest = _holds(layer, links, result, tensor, memories, architecture)
            parts[role] = (tensor, holds, nest)
            for memory in memories:
                for direction in _DIRECTIONS.values():
                    access[memory.name, role, direction] = memory.read_j if direction in _READS else memory.write_j
        printed = _printed(result, layer, parts)
        return replay_zigzag(layer.name, parts, layer.tensors, convention, printed, Prices(architecture.mac_j, access),
                             sorted(self.left_out))  # fmt: skip


def _printed(result: Result, layer: Layer, parts: dict[str, tuple[Tensor, list[Hold], Nest]]) -> Printed | None:
    if not result.accesses:
        return None
    counters = {}
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
    holds, stages = [], []
    for k, memory in enumerate(memories):
        below = memories[k - 1].served if k else frozenset[str]()
        axes = [axis for axis in architecture.axes if axis in memory.served and axis not in below]
        loops = [pair for axis in axes for pair in spread.get(axis, ())]
        ports = {d: memory.ports[links.memory[tensor.role], d] for d in _DIRECTIONS.values()
                 if (links.memory[tensor.role], d) in memory.ports}  # fmt: skip
        _ported(memory, tensor, ports, k == len(memories) - 1)
        holds.append(Hold(memory.name, tuple(levels[k]), tuple(loops), ports))
        keeps = tuple(layer.tensors) if k == len(memories) - 1 else tuple(r for r, t in layer.parts.items() if t is tensor)
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
