"""QuantizeLinear and DequantizeLinear: weights worked out, and a pair of them as rounding to a grid.

y = s·clip(round(x / s), low - z, high - z): quotients are rounded to the nearest even, by adding and taking away
1.5·2²³, which float32 rounds to whole numbers; what is clipped before is below 2²².
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from ._graph import Array, Graph, Node, scalar

GRID: Final = "RoundToGrid"
_TYPES: Final = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "uint16": (0, 65535)}


def gridded(graph: Graph) -> tuple[Graph, list[str]]:
    """The graph with pairs as one node each and dequantised constants as constants, and a line for each."""
    made = {name: node for node in graph.nodes for name in node.outputs}
    constants, lines = dict(graph.constants), list[str]()
    shapes, dtypes = dict(graph.shapes), dict(graph.dtypes)
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.op != "DequantizeLinear":
            nodes.append(node)
            continue
        known = _values(node, constants)
        if known is not None:
            constants[node.outputs[0]], shapes[node.outputs[0]], dtypes[node.outputs[0]] = known, known.shape, "float32"
            lines.append(f"folded {node.name} (DequantizeLinear): its inputs are constants")
            continue
        before = made.get(node.inputs[0])
        rounded = _rounded(graph, before, node, constants) if before is not None else None
        if rounded is not None:
            constants[node.outputs[0]] = rounded
            shapes[node.outputs[0]], dtypes[node.outputs[0]] = rounded.shape, "float32"
            lines.append(f"folded {node.name} (DequantizeLinear): its inputs are constants")
            continue
        pair = _pair(graph, before, node) if before is not None else None
        if pair is None or before is None:
            nodes.append(node)
            continue
        nodes.append(pair)
        lines.append(f"joined {before.name} (QuantizeLinear) and {node.name} (DequantizeLinear): rounding to a grid")
    return replace(graph, nodes=tuple(nodes), constants=constants, shapes=shapes, dtypes=dtypes), lines


def _values(node: Node, constants: Mapping[str, Array]) -> Array | None:
    """(q - z)·s of constants."""
    arrays = [constants.get(name) if name else None for name in node.inputs]
    if any(array is None for name, array in zip(node.inputs, arrays, strict=True) if name) or node.attributes.get(
        "block_size", 0
    ):
        return None
    whole, scale = arrays[0], arrays[1]
    assert whole is not None
    assert scale is not None
    if whole.dtype.name not in (*_TYPES, "int32") or scale.dtype != np.float32:
        return None
    zero = arrays[2] if len(arrays) > 2 and arrays[2] is not None else np.zeros_like(scale, whole.dtype)
    if scale.size > 1:
        axis = int(node.attributes.get("axis", 1)) % whole.ndim
        spread = [-1 if i == axis else 1 for i in range(whole.ndim)]
        scale, zero = scale.reshape(spread), zero.reshape(spread)
    return np.asarray((whole.astype(np.int64) - zero).astype(np.float32) * scale, np.float32)


def _rounded(graph: Graph, first: Node, second: Node, constants: Mapping[str, Array]) -> Array | None:
    """Constant weights that are quantised and dequantised again."""
    arrays = [constants.get(name) if name else None for name in first.inputs]
    ends = _TYPES.get(graph.dtypes.get(first.outputs[0], ""))
    if first.op != "QuantizeLinear" or ends is None or first.inputs[1:] != second.inputs[1:] or arrays[0] is None:
        return None
    axis, scale = int(first.attributes.get("axis", 1)), arrays[1]
    if scale is None or (len(arrays) > 2 and first.inputs[2] and arrays[2] is None):
        return None
    zero = arrays[2] if len(arrays) > 2 and arrays[2] is not None else np.zeros_like(scale, np.int64)
    if scale.size > 1:
        spread = [-1 if i == axis % arrays[0].ndim else 1 for i in range(arrays[0].ndim)]
        scale, zero = scale.reshape(spread), zero.reshape(spread)
    whole = np.clip(np.rint(arrays[0] / scale) + zero, *ends).astype(graph.dtypes[first.outputs[0]])
    kept = {"whole": whole, "scale": constants[first.inputs[1]]}
    names = ("whole", "scale", *first.inputs[2:])
    return _values(Node(second.op, second.name, names, second.outputs, second.attributes), {**constants, **kept})


def _pair(graph: Graph, first: Node, second: Node) -> Node | None:
    """One node for a pair with the same constant scale and zero of the whole tensor."""
    if first.op != "QuantizeLinear":
        return None
    scales = [scalar(graph, node.input(1)) for node in (first, second)]
    kinds = _TYPES.get(graph.dtypes.get(first.outputs[0], ""))
    zeros = [scalar(graph, node.input(2)) if node.input(2) else 0.0 for node in (first, second)]
    known = graph.shapes.get(first.inputs[0]) is not None and graph.dtypes.get(first.inputs[0]) == "float32"
    if (
        kinds is None
        or scales[0] is None
        or zeros[0] is None
        or scales != scales[::-1]
        or zeros != zeros[::-1]
        or not known
    ):
        return None
    if first.inputs[0] in graph.constants or graph.dtypes.get(second.outputs[0]) != "float32":
        return None
    low, high = (float(end - zeros[0]) for end in kinds)
    return Node(GRID, second.name, first.inputs[:1], second.outputs, {"scale": scales[0], "low": low, "high": high})
