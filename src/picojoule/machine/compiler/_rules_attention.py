"""Attention as one kernel, where that is cheaper than two products with a softmax between them."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Final

import numpy as np

from .._machine import Machine
from ._attention import Attend, Head, Mask, Score
from ._graph import Node, Shape
from ._kernel import Body, Place, packed
from ._match import Group, Link, repeated
from ._price_attention import apart, cheapest, saved
from ._select import Selector, UnsupportedError
from ._stores import View

_INNER: Final = (0, 2, 1, 3)


def attention(selector: Selector, made: Mapping[str, Node], group: Group, machine: Machine, choice: str) -> None:
    """The kernel of a group. Raises UnsupportedError, saying why, where its nodes are better or only run apart."""
    graph = selector.graph
    if choice == "unfused":
        raise UnsupportedError("as asked")
    values = [name for node in group.nodes for name in (*node.inputs, *node.outputs) if name not in graph.constants]
    if any(graph.dtypes.get(name) not in ("float32", "bool") or 0 in graph.shapes.get(name, (0,)) for name in values):
        raise UnsupportedError("a value of it is not float32 or of unknown size")
    scores, out = graph.shape(group.nodes[0].outputs[0]), graph.shape(group.out)
    batch, (queries, keys) = scores[:-2], scores[-2:]
    if (
        out[:-2] != batch
        or len(graph.shape(group.q)) < 2
        or len(graph.shape(group.v)) < 2
        or group.q in graph.constants
    ):
        raise UnsupportedError("its values do not have the heads of its scores")
    depth, width = graph.shape(group.q)[-1], out[-1]
    links = [_mask(selector, link, scores) for link in group.links]
    q, q_at = _matrices(selector, group.q, batch, 1)
    k, k_at, turned = _keys(selector, made, group, batch)
    source, times = repeated(graph, made, group.v)
    v, v_at = _matrices(selector, source, batch, times)
    place, out_at = _result(graph.shapes, selector, group, batch)
    masks, scored = _scores(group.links, links)
    starts = (
        zip(*(at for one in links if one is not None for at in [one[1]]), strict=True) if masks else [()] * len(q_at)
    )
    heads = tuple(Head(a, b, c, d, tuple(e)) for a, b, c, d, e in zip(q_at, k_at, v_at, out_at, starts, strict=True))
    name = group.nodes[-1].name
    kernel = Attend(name, Body(len(heads) * queries, width), list(group.nodes), q, k, v, place, queries, keys, depth, width,
                    heads, scored, masks, turned, guarded=group.guarded)  # fmt: skip
    found = cheapest(kernel, machine)
    if found is None:
        raise UnsupportedError("no block of it fits on chip")
    alone = apart(kernel, machine)
    if choice == "auto" and found[0] > alone and not group.guarded:  # apart, the guard would be the CPU's
        raise UnsupportedError(f"its nodes apart are priced {alone:,.0f} cycles, one kernel {found[0]:,.0f}")
    _add(selector, group, found[1], batch)
    inner = ", ".join(f"{node.name} ({node.op})" for node in group.nodes[:-1])
    selector.explain.append(f"fused {inner} into attention {name}: {saved(kernel):,} bytes of scores stay on the chip")


def _add(selector: Selector, group: Group, kernel: Attend, batch: Shape) -> None:
    name = group.out
    store, out = kernel.out.tensor, selector.graph.shape(name)
    selector.add(kernel, store, out)
    inner = kernel.out.stride != kernel.width
    if inner:
        whole = (batch[0], kernel.queries, batch[1], kernel.width)
        selector.shapes[store] = whole
        strides = tuple(packed(whole)[i] for i in _INNER)
        store = selector.new_view(store, View(store, 0, out, strides))
    selector.bind(name, "plain", store)


def _result(shapes: Mapping[str, Shape], selector: Selector, group: Group, batch: Shape) -> tuple[Place, list[int]]:
    """Where the results go: heads side by side, row by row, where a transpose is what reads them."""
    queries, width = shapes[group.out][-2:]
    store = selector.fresh(group.out) if group.out in selector.home else group.out
    readers = [node for node in selector.graph.nodes if group.out in node.inputs]
    inner = len(batch) == 2 and batch[1] > 1 and queries > 0 and len(readers) == 1 and readers[0].op == "Transpose"
    if inner and tuple(readers[0].attributes.get("perm") or ()) == _INNER and group.out not in selector.graph.outputs:
        row = batch[1] * width
        starts = [b * queries * row + h * width for b, h in product(*map(range, batch))]
        return Place(store, 0, row), starts
    return Place(store, 0, width), [i * queries * width for i in range(prod(batch))]


def _starts(batch: Shape, strides: Sequence[int]) -> list[int]:
    return [sum(i * s for i, s in zip(at, strides, strict=True)) for at in product(*map(range, batch))]


def _spread(shape: Shape, strides: Sequence[int], batch: Shape, times: int) -> list[int]:
    """Where each matrix of `batch` begins in a stack; with `times`, so many heads share one."""
    if times > 1:
        return [b * strides[0] + h // times * strides[1] for b, h in product(*map(range, batch))]
    own = tuple(0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True))
    return _starts(batch, (0,) * (len(batch) - len(shape)) + own)


def _matrices(selector: Selector, name: str, batch: Shape, times: int) -> tuple[Place, list[int]]:
    """Rows of numbers side by side."""
    store, shape = selector.value(name), selector.graph.shape(name)
    view = selector.view_of(store, shape)
    again = view.strides[-2] == 0 and shape[-2] > 1  # one row for all: a place has no such stride
    if (view.strides[-1] != 1 and shape[-1] != 1) or again:
        view = selector.view_of(selector.solid(store), shape)
    return Place(view.base, view.offset, view.strides[-2]), _spread(shape[:-2], view.strides[:-2], batch, times)


def _keys(selector: Selector, made: Mapping[str, Node], group: Group, batch: Shape) -> tuple[Place, list[int], bool]:
    """The keys, and whether they lie row by row, so that the kernel is to transpose them."""
    graph, name = selector.graph, group.k
    node = made.get(name)
    rank = len(graph.shape(name))
    swap = (*range(rank - 2), rank - 1, rank - 2)
    if node is not None and node.op == "Transpose" and tuple(node.attributes.get("perm") or ()) == swap:
        source, times = repeated(graph, made, node.inputs[0])
        place, starts = _matrices(selector, source, batch, times)
        return place, starts, True
    store, shape = selector.value(name), graph.shape(name)
    view = selector.view_of(store, shape)
    if view.strides[-1] > 1 and view.strides[-2] == 1:
        return Place(view.base, view.offset, view.strides[-1]), _spread(shape[:-2], view.strides[:-2], batch, 1), True
    place, starts = _matrices(selector, name, batch, 1)
    return place, starts, False


def _mask(selector: Selector, link: Link, scores: Shape) -> tuple[Mask, list[int]] | None:
    """A tensor that meets the scores, and where it begins for each head."""
    if link.imm is not None or (not link.value and link.made is None):
        return None
    graph = selector.graph
    content = link.made if link.made is not None else graph.constants.get(link.value)
    if content is not None:
        content = np.asarray(content, np.float32)
        store, shape = selector.constant(link.value or "mask", f"added {content.shape}", content), content.shape
    else:
        store, shape = selector.value(link.value), graph.shape(link.value)
    view = selector.view_of(store, shape)
    if view.strides and view.strides[-1] != 1:
        view = selector.view_of(selector.solid(store), shape)
    if not shape or shape[-1] != scores[-1]:
        raise UnsupportedError("what is added to its scores has one number for a whole row")
    missing = len(scores) - len(shape)
    strides = (0,) * missing + tuple(0 if n == 1 else s for n, s in zip(shape, view.strides, strict=True))
    place = Place(view.base, view.offset, strides[-2] if len(strides) > 1 else 0)
    return Mask(place, content), _starts(scores[:-2], strides[:-2])


def _scores(
    links: Sequence[Link], masks: Sequence[tuple[Mask, list[int]] | None]
) -> tuple[tuple[Mask, ...], tuple[Score, ...]]:
    found: list[Mask] = []
    scores = []
    for link, mask in zip(links, masks, strict=True):
        if mask is None:
            scores.append(Score(link.fn, link.imm))
        else:
            scores.append(Score(link.fn, mask=len(found)))
            found.append(mask[0])
    return tuple(found), tuple(scores)
