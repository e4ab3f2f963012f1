"""ZigZag architectures: memories with ports, the array, and which of its dimensions every memory serves."""

from dataclasses import dataclass
from typing import Final

from picojoule.mapping.peers import Direction

from ._document import Node

PICO: Final = 1e-12
DIRECTIONS: Final[dict[str, Direction]] = {
    "tl": "rd_out_to_low", "th": "rd_out_to_high", "fl": "wr_in_by_low", "fh": "wr_in_by_high",
}  # fmt: skip
_MEMORY_KEYS: Final = ("size", "r_cost", "w_cost", "area", "latency", "operands", "ports", "served_dimensions",
                       "auto_cost_extraction", "mem_type", "min_r_granularity", "min_w_granularity")  # fmt: skip
_ARRAY_KEYS: Final = ("unit_energy", "unit_area", "dimensions", "sizes", "input_precision", "multiplier_energy",
                      "multiplier_area")  # fmt: skip
_UNUSED: Final = ("area", "latency", "unit_area", "mem_type")


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
            if len(words) != 2 or words[0] not in operands or words[1] not in DIRECTIONS:
                raise allocation.refusal(f"{' '.join(words)[:40]!r} is no allocation",
                                         f"one of {', '.join(operands)}, then tl, th, fl or fh", "- I1, tl")  # fmt: skip
            ports[words[0], DIRECTIONS[words[1]]] = (narrow, wide)
    read, write = (node.need(key).number(0, 1e15) * PICO for key in ("r_cost", "w_cost"))
    size = node.need("size").integer(1, 1 << 60)
    return Memory(name, node, size, read, write, operands, ports, frozenset(served))
