"""ZigZag workloads of one layer, and the mapping entry that links it to a machine."""

import re
from dataclasses import dataclass
from typing import Final

from picojoule.mapping import Problem, UnmappableError, contraction
from picojoule.mapping.peers import Tensor, Window

from ._document import MAXIMUM_DIMENSIONS, Node
from ._timeloop_problem import roles_of

_LAYER_KEYS: Final = ("id", "name", "operator_type", "equation", "dimension_relations", "loop_dims", "loop_sizes",
                      "operand_precision", "operand_source", "pr_loop_dims", "pr_loop_sizes", "padding")  # fmt: skip
_LINK_KEYS: Final = ("name", "spatial_mapping", "memory_operand_links", "core_allocation", "temporal_ordering",
                     "spatial_mapping_hint")  # fmt: skip
_UNUSED: Final = ("operand_source", "core_allocation", "temporal_ordering", "spatial_mapping_hint")


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
    dims = [one.text() for one in node.need("loop_dims").at_most(MAXIMUM_DIMENSIONS, "dimensions").items()]
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
            [(index, 1)] if index in extents else [relations[index][:2], relations[index][2:]]
            for index in indices[name]
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


def _equation(node: Node, extents: dict[str, int], relations: dict[str, Relation]) -> tuple[dict[str, list[str]], str]:
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
