"""Nodes written in place of one node."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._graph import Array, Graph, Node, Shape


class UnexpandedError(Exception):
    """Why a node stays whole."""


class Rewriter:
    """Nodes in place of one: each has its name, and values of names that no other has."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.shapes, self.dtypes, self.constants = dict(graph.shapes), dict(graph.dtypes), dict(graph.constants)
        self.nodes: list[Node] = []
        self.name = ""
        self.count = 0

    def begin(self, node: Node) -> None:
        """Start with another node. Raises UnexpandedError where a size of it is unknown."""
        self.nodes, self.name = [], node.name
        for name in (*node.inputs, *node.outputs):
            if name and 0 in self.shape(name):
                raise UnexpandedError(f"{name} is empty")
        for name in node.outputs:
            if name and self.dtypes.get(name) != "float32":
                raise UnexpandedError(f"{name} is {self.dtypes.get(name, 'of unknown type')}")

    def shape(self, name: str) -> Shape:
        """The shape of a value."""
        if name not in self.shapes:
            raise UnexpandedError(f"the shape of {name} is unknown")
        return self.shapes[name]

    def fixed(self, names: Sequence[str]) -> bool:
        """Whether all are constants."""
        return all(name in self.constants for name in names)

    def fresh(self) -> str:
        """A name that no value has."""
        while True:
            self.count += 1
            name = f"{self.name}:{self.count}"
            if name not in self.shapes:
                return name

    def add(
        self, op: str, inputs: Sequence[str], shape: Shape, dtype: str = "float32", into: str = "", **attributes: Any
    ) -> str:
        """One node; the name of its result."""
        name = into or self.fresh()
        self.shapes[name], self.dtypes[name] = shape, dtype
        self.nodes.append(Node(op, self.name, tuple(inputs), (name,), attributes))
        return name

    def constant(self, array: Array) -> str:
        """A constant."""
        name = self.fresh()
        self.constants[name], self.shapes[name], self.dtypes[name] = array, array.shape, array.dtype.name
        return name

    def number(self, value: float) -> str:
        """A constant of one number."""
        return self.constant(np.array(value, np.float32))

    def reshape(self, name: str, shape: Shape, into: str = "") -> str:
        """The same numbers in another shape."""
        return self.add("Reshape", [name, self.constant(np.array(shape, np.int64))], shape, into=into)

    def rearranged(self, name: str, split: Shape, order: Sequence[int], shape: Shape, into: str) -> None:
        """Axes split, moved and joined."""
        y = self.reshape(name, split)
        y = self.add("Transpose", [y], tuple(split[i] for i in order), perm=list(order))
        self.reshape(y, shape, into=into)

    def split(self, name: str, parts: int, axis: int) -> list[str]:
        """Equal parts along an axis."""
        own = self.shape(name)
        size = own[axis] // parts
        names = [self.fresh() for _ in range(parts)]
        for one in names:
            self.shapes[one], self.dtypes[one] = (*own[:axis], size, *own[axis + 1 :]), "float32"
        self.nodes.append(Node("Split", self.name, (name,), tuple(names), {"axis": axis}))
        return names
