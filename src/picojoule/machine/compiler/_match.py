"""Where a graph has attention: a product, steps on its result, a softmax along the rows, and the product with values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ._attention import CLOSED
from ._graph import Array, Graph, Node, scalar

_STEPS: Final = {"Mul": "mul", "Add": "add", "Div": "div", "Sub": "sub"}
_LONGEST: Final = 8  # steps between product and softmax


@dataclass(frozen=True, slots=True)
class Link:
    """One step on the scores: fn with a number, with a value of the graph, or with a constant made here."""

    fn: str
    imm: float | None = None
    value: str = ""
    made: Array | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes that are one attention, in order; `links` are what is done between product and softmax.

    `guarded`: weights that are not a number, of rows that a mask closes as a whole, are replaced by 0.
    """

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    guarded: bool = False

    @property
    def q(self) -> str:
        """The queries."""
        return self.nodes[0].inputs[0]

    @property
    def k(self) -> str:
        """The keys, transposed."""
        return self.nodes[0].inputs[1]

    @property
    def v(self) -> str:
        """The values."""
        return self.nodes[-1].inputs[1]

    @property
    def out(self) -> str:
        """The result."""
        return self.nodes[-1].outputs[0]


def producers(graph: Graph) -> dict[str, Node]:
    """Which node makes a value."""
    return {name: node for node in graph.nodes for name in node.outputs if name}


def attentions(graph: Graph) -> list[Group]:
    """Every attention of a graph whose inner values nobody else reads."""
    made, readers = producers(graph), graph.readers()
    alone = {name for name, found in readers.items() if len(found) == 1} - set(graph.outputs)
    groups = []
    for node in graph.nodes:
        if node.op == "Softmax" and _along_rows(graph, node):
            guard = _guard(graph, readers, node)
            weights = (guard or (node,))[-1].outputs[0]
            if weights not in alone:
                continue
            after = graph.nodes[readers[weights][0]]
            if after.op == "MatMul" and after.inputs[0] == weights != after.inputs[1]:
                found = _before(graph, made, alone, node)
                if found is not None:
                    groups.append(Group((*found[0], node, *guard, after), found[1], bool(guard)))
    return groups


def _guard(graph: Graph, readers: Mapping[str, list[int]], softmax: Node) -> tuple[Node, ...]:
    """Where(IsNaN(p), 0, p) after a softmax."""
    name = softmax.outputs[0]
    found = [graph.nodes[i] for i in readers.get(name, ())]
    if [node.op for node in found] != ["IsNaN", "Where"] or name in graph.outputs:
        return ()
    test, choice = found
    alone = len(readers.get(test.outputs[0], ())) == 1 and test.outputs[0] not in graph.outputs
    same = choice.inputs[0] == test.outputs[0] and choice.inputs[2] == name and scalar(graph, choice.inputs[1]) == 0
    return (test, choice) if alone and same else ()


def _along_rows(graph: Graph, node: Node) -> bool:
    rank = len(graph.shapes.get(node.inputs[0], ()))
    default = 1 if graph.opset < 13 else -1
    return rank >= 2 and int(node.attributes.get("axis", default)) in (-1, rank - 1)


def _before(graph: Graph, made: Mapping[str, Node], alone: set[str],
            softmax: Node) -> tuple[list[Node], tuple[Link, ...]] | None:  # fmt: skip
    """The nodes from the product to a softmax, and the steps that they are."""
    nodes: list[Node] = []
    links: list[Link] = []
    name = softmax.inputs[0]
    while name in alone and name in made and len(nodes) <= _LONGEST:
        node = made[name]
        nodes.append(node)
        if node.op == "MatMul":
            return nodes[::-1], tuple(links[::-1])
        step = _step(graph, made, node)
        if step is None:
            return None
        name, link = step
        links.append(link)
    return None


def _step(graph: Graph, made: Mapping[str, Node], node: Node) -> tuple[str, Link] | None:
    """The scores that a node works on, and what it does with them."""
    if node.op == "Tanh":
        return node.inputs[0], Link("tanh")
    if node.op == "Where":
        return _choice(graph, node)
    fn = _STEPS.get(node.op)
    if fn is None or "broadcast" in node.attributes:
        return None
    whole = graph.shapes.get(node.outputs[0])
    order = node.inputs if fn in ("mul", "add") else node.inputs[:1]
    fits = [n for n in order if n not in graph.constants and graph.shapes.get(n) == whole]
    fits.sort(key=lambda n: n not in made or made[n].op not in ("MatMul", "Tanh", "Where", *_STEPS))
    if not fits or node.inputs[0] == node.inputs[1]:
        return None
    other = node.inputs[1] if node.inputs[0] == fits[0] else node.inputs[0]
    number = scalar(graph, other)
    return fits[0], Link(fn, number) if number is not None else Link(fn, value=other)


def _choice(graph: Graph, node: Node) -> tuple[str, Link] | None:
    """Scores where a constant says so, a number at or below -10³⁰ elsewhere: to a softmax, that number added."""
    condition = graph.constants.get(node.inputs[0])
    if condition is None:
        return None
    for chosen, other in ((1, 2), (2, 1)):
        number = scalar(graph, node.inputs[other])
        if (
            number is not None
            and number <= CLOSED
            and graph.shapes.get(node.inputs[chosen]) == graph.shapes.get(node.outputs[0])
        ):
            kept = condition if chosen == 1 else np.logical_not(condition)
            if kept.any(axis=-1).all():  # a row of nothing but that number would be the mean of the values
                return node.inputs[chosen], Link("add", made=np.where(kept, 0, number).astype(np.float32))
    return None


def repeated(graph: Graph, made: Mapping[str, Node], name: str) -> tuple[str, int]:
    """Heads that several others share are written out as Unsqueeze, Expand, Reshape: what they are copies of, how often."""
    reshape = made.get(name)
    expand = made.get(reshape.inputs[0]) if reshape is not None and reshape.op == "Reshape" else None
    first = made.get(expand.inputs[0]) if expand is not None and expand.op == "Expand" else None
    if expand is None or first is None or first.op not in ("Unsqueeze", "Reshape"):
        return name, 1
    own, wide, out = (graph.shapes.get(n, ()) for n in (first.inputs[0], expand.outputs[0], name))
    narrow = graph.shapes.get(expand.inputs[0])
    same = (
        len(own) == 4 and len(wide) == 5 and narrow == (*own[:2], 1, *own[2:]) and wide == (*own[:2], wide[2], *own[2:])
    )
    if same and out == (own[0], own[1] * wide[2], *own[2:]):
        return first.inputs[0], wide[2]
    return name, 1
