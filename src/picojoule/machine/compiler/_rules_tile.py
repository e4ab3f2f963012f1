"""Tile: a tensor side by side with itself."""

from math import prod

from ._graph import Node
from ._kernel import Body, Copy, Place, Strided, packed
from ._select import Selector, UnsupportedError


def tile(selector: Selector, node: Node) -> None:
    """One copy whose every axis comes twice: how often, then the numbers."""
    graph, name = selector.graph, node.inputs[0]
    shape, out = graph.shape(name), graph.shape(node.outputs[0])
    if node.inputs[1] not in graph.constants or name in graph.constants or not shape:
        raise UnsupportedError("how often is no constant")
    view, to = selector.view_of(selector.value(name), shape), packed(out)
    dims = []
    for size, wide, source, target in zip(shape, out, view.strides, to, strict=True):
        dims += [(wide // size, 0, size * target), (size, source, target)]
    store = selector.fresh(node.outputs[0]) if node.outputs[0] in selector.home else node.outputs[0]
    piece = Strided(Place(view.base, view.offset), Place(store), tuple(dims))
    selector.add(Copy(node.name, Body(1, prod(out)), [node], (piece,)), store, out)
    selector.bind(node.outputs[0], "plain", store)
