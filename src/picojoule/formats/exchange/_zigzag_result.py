"""The JSON of one mapping that ZigZag evaluated: loops of every operand, accesses, energy."""

import re
from dataclasses import dataclass

from ._document import MAXIMUM_LOOPS, Node
from ._zigzag_architecture import PICO


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
    for _, levels in temporal.pairs():
        for level in levels.at_most(MAXIMUM_LOOPS, "levels").items():
            level.at_most(MAXIMUM_LOOPS, "loops")
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
    match = (
        re.fullmatch(r"\(?'?(\w+)'?, *(\d{1,9})(?:\.0)?\)?", node.text()) if not isinstance(node.value, list) else None
    )
    if match is None or int(match[2]) < 1:
        raise node.refusal("no loop", "a dimension and its trip", '["OX", 7]')
    return match[1], int(match[2])
