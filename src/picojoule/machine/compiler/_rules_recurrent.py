"""LSTM and GRU, one step after the other. The products with the inputs of all steps are one."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from ._graph import Array, Node
from ._kernel import Body, Contract, Place, Plane
from ._select import Selector, UnsupportedError, apply

_STEPS: Final = 10_000


class _Layer:
    """One direction: where its weights and states are. Gates are planes of a tensor of `gates`·hidden columns."""

    def __init__(self, selector: Selector, node: Node, direction: int, gates: int) -> None:
        self.selector, self.node, self.direction, self.gates = selector, node, direction, gates
        graph = selector.graph
        steps, batch, width = graph.shape(node.inputs[0])
        self.steps, self.batch, self.width = steps, batch, width
        self.hidden = graph.constants[node.inputs[2]].shape[2]
        self.columns = gates * self.hidden
        weights = [graph.constants[node.inputs[i]][direction] for i in (1, 2)]
        none = np.zeros(2 * self.columns, np.float32)
        biases = graph.constants[node.inputs[3]][direction] if node.input(3) else none
        self.biases = (biases[: self.columns], biases[self.columns :])
        self.w = self.constant("W", weights[0].T)
        self.r = self.constant("R", weights[1].T)

    def constant(self, name: str, array: Array) -> str:
        """A stored constant of this layer."""
        return self.selector.constant(self.node.name, f"{name}{self.direction}", array)

    def scratch(self, name: str, shape: tuple[int, ...]) -> str:
        """A stored tensor that only this layer uses."""
        store = self.selector.fresh(f"{self.node.name}:{name}")
        self.selector.shapes[store] = shape
        return store

    def product(self, name: str, x: Place, w: Place, m: int, k: int, n: int, store: str, row: str = "",
                full: Place | None = None) -> None:  # fmt: skip
        """store = x·w + row + full."""
        body = Body(m, n)
        kernel = Contract(f"{self.node.name} {name}", body, [], x, w, m, k, n)
        y = body.register("full")
        if row:
            y = apply(body, "add", y, body.load("row", Place(row)))
        if full is not None:
            y = apply(body, "add", y, body.load("full", full))
        body.stores[y] = Place(store, 0, n)
        self.selector.add(kernel, store, (m, n))

    def inputs(self, row: Array) -> str:
        """The products of the inputs of all steps, with `row` added."""
        store = self.scratch("inputs", (self.steps * self.batch, self.columns))
        x = self.selector.plane(self.selector.value(self.node.inputs[0]), self.steps * self.batch, self.width)
        self.product("inputs", x, Place(self.w, 0, self.columns), self.steps * self.batch, self.width, self.columns, store,
                     self.constant("B", row))  # fmt: skip
        return store

    def first(self, position: int) -> Place | None:
        """The first state, None where it is zero."""
        name = self.node.input(position)
        if not name or (name in self.selector.graph.constants and not self.selector.graph.constants[name].any()):
            return None
        store = self.selector.solid(self.selector.value(name))
        return Place(store, self.direction * self.batch * self.hidden, self.hidden)

    def sums(self, step: int, inputs: str, h: Place | None) -> tuple[str, int]:
        """x·W + b + h·R of one step: where it is stored, and which step of that (-1: it has one step only)."""
        if h is None:
            return inputs, step
        store = self.scratch("gates", (self.batch, self.columns))
        start = Place(inputs, step * self.batch * self.columns, self.columns)
        self.product(f"step {step}", h, Place(self.r, 0, self.columns), self.batch, self.hidden, self.columns, store,
                     full=start)  # fmt: skip
        return store, -1

    def gate(self, body: Body, store: str, step: int, number: int) -> int:
        """A register with one gate of one step (-1: the tensor has one step only)."""
        offset = max(step, 0) * self.batch * self.columns + number * self.hidden
        return body.load("full", Place(store, offset, self.columns))

    def plane(self, step: int) -> tuple[Plane, Body]:
        """A kernel on [batch, hidden]."""
        body = Body(self.batch, self.hidden)
        return Plane(f"{self.node.name} step {step}", body, [self.node]), body


def lstm(selector: Selector, node: Node) -> None:
    """i, o, f, c = x·W + h·R + b; c' = σ(f)·c + σ(i)·tanh(c); h' = σ(o)·tanh(c')."""
    outs = _prepare(selector, node, 3)
    for direction in range(outs.directions):
        layer = _Layer(selector, node, direction, 4)
        inputs = layer.inputs(layer.biases[0] + layer.biases[1])
        h, c = layer.first(5), layer.first(6)
        for step in outs.order(direction, layer.steps):
            gates, at = layer.sums(step, inputs, h)
            kernel, body = layer.plane(step)
            i, o, f, g = (layer.gate(body, gates, at, number) for number in range(4))
            cell = body.step("mul", body.step("sigmoid", i), body.step("tanh", g))
            if c is not None:
                cell = body.step("add", body.step("mul", body.step("sigmoid", f), body.load("full", c)), cell)
            new = body.step("mul", body.step("sigmoid", o), body.step("tanh", cell))
            c = Place(layer.scratch("cell", (layer.batch, layer.hidden)), 0, layer.hidden)
            h = outs.place(direction, step, layer)
            body.stores[cell], body.stores[new] = c, h
            selector.add(kernel, outs.store, outs.shape)
            selector.home[c.tensor] = len(selector.kernels) - 1
        outs.last(direction, (h, c))
    outs.bind()


def gru(selector: Selector, node: Node) -> None:
    """z, r = σ(x·W + h·R + b); n = tanh(...); h' = (1 - z)·n + z·h."""
    outs = _prepare(selector, node, 2)
    late = bool(node.attributes.get("linear_before_reset", 0))
    for direction in range(outs.directions):
        layer = _Layer(selector, node, direction, 3)
        size, batch = layer.hidden, layer.batch
        own = layer.biases[0].copy()
        own[: 2 * size] += layer.biases[1][: 2 * size]
        own[2 * size :] += 0 if late else layer.biases[1][2 * size :]
        inputs = layer.inputs(own)
        rest = layer.constant("Rb", layer.biases[1][2 * size :])
        h = layer.first(5)
        if h is None:
            zero = layer.constant("zero", np.zeros((batch, size), np.float32))
            h = Place(zero, 0, size)
        for step in outs.order(direction, layer.steps):
            columns = layer.columns if late else 2 * size
            sums = layer.scratch("sums", (batch, columns))
            layer.product(f"step {step}", h, Place(layer.r, 0, layer.columns), batch, size, columns, sums)
            kernel, body = layer.plane(step)
            z = body.step(
                "sigmoid", body.step("add", layer.gate(body, inputs, step, 0), _part(body, sums, 0, size, columns))
            )
            r = body.step(
                "sigmoid", body.step("add", layer.gate(body, inputs, step, 1), _part(body, sums, 1, size, columns))
            )
            if late:
                back = apply(body, "add", _part(body, sums, 2, size, columns), body.load("row", Place(rest)))
                back = body.step("mul", r, back)
            else:
                wet = layer.scratch("reset", (batch, size))
                body.stores[body.step("mul", r, body.load("full", h))] = Place(wet, 0, size)
                keep = layer.scratch("update", (batch, size))
                body.stores[z] = Place(keep, 0, size)
                selector.add(kernel, wet, (batch, size))
                selector.home[keep] = len(selector.kernels) - 1
                again = layer.scratch("again", (batch, size))
                layer.product(f"step {step} reset", Place(wet, 0, size), Place(layer.r, 2 * size, layer.columns), batch, size,
                              size, again)  # fmt: skip
                kernel, body = layer.plane(step)
                z = body.load("full", Place(keep, 0, size))
                back = body.load("full", Place(again, 0, size))
            new = body.step("tanh", body.step("add", layer.gate(body, inputs, step, 2), back))
            old = body.load("full", h)
            less = apply(body, "sub", 1.0, z)
            y = body.step("add", body.step("mul", less, new), body.step("mul", z, old))
            h = outs.place(direction, step, layer)
            body.stores[y] = h
            selector.add(kernel, outs.store, outs.shape)
        outs.last(direction, (h,))
    outs.bind()


def _part(body: Body, store: str, number: int, size: int, columns: int) -> int:
    return body.load("full", Place(store, number * size, columns))


class _Outputs:
    """Y of [steps, directions, batch, hidden]; the last states are views of it, or of the last cells."""

    def __init__(self, selector: Selector, node: Node, directions: int, shape: tuple[int, ...]) -> None:
        self.selector, self.node, self.directions, self.shape = selector, node, directions, shape
        name = node.outputs[0] or f"{node.name}:Y"
        self.store = selector.fresh(name)
        self.ends: list[tuple[Place | None, ...]] = []

    def order(self, direction: int, steps: int) -> Sequence[int]:
        """Steps in the order in which they run."""
        back = direction == 1 or self.node.attributes.get("direction", "forward") == "reverse"
        return range(steps - 1, -1, -1) if back else range(steps)

    def place(self, direction: int, step: int, layer: _Layer) -> Place:
        """Where the state of one step is."""
        at = (step * self.directions + direction) * layer.batch * layer.hidden
        return Place(self.store, at, layer.hidden)

    def last(self, direction: int, states: tuple[Place | None, ...]) -> None:
        """Note the states after the last step."""
        assert direction == len(self.ends)
        self.ends.append(states)

    def bind(self) -> None:
        """Give the outputs their names."""
        if self.node.outputs[0]:
            self.selector.bind(self.node.outputs[0], "plain", self.store)
        for position, name in enumerate(self.node.outputs[1:]):
            if name:
                self._bind_last(name, position)

    def _bind_last(self, name: str, position: int) -> None:
        from ._kernel import Copy, Strided

        size = self.shape[2] * self.shape[3]
        store = self.selector.fresh(name)
        pieces = []
        for direction, states in enumerate(self.ends):
            place = states[position]
            assert place is not None
            pieces.append(Strided(place, Place(store, direction * size), ((size, 1, 1),)))
        shape = (self.directions, *self.shape[2:])
        self.selector.add(Copy(f"{self.node.name} last", Body(1, size), [self.node], tuple(pieces)), store, shape)
        self.selector.bind(name, "plain", store)


def _prepare(selector: Selector, node: Node, functions: int, names: Sequence[str] = ()) -> _Outputs:
    graph = selector.graph
    if any(node.input(i) not in graph.constants for i in (1, 2)) or (
        node.input(3) and node.input(3) not in graph.constants
    ):
        raise UnsupportedError("its weights are no constants")
    if node.input(4) or node.input(7) or node.attributes.get("layout", 0) or node.attributes.get("clip", 0):
        raise UnsupportedError("it has lengths, peepholes, a clip or another layout")
    if node.attributes.get("input_forget", 0):
        raise UnsupportedError("input_forget")
    usual = [name.encode() for name in names] or [b"Sigmoid", *[b"Tanh"] * (functions - 1)]
    given = [a if isinstance(a, bytes) else str(a).encode() for a in node.attributes.get("activations") or []]
    directions = graph.constants[node.inputs[1]].shape[0]
    if given and given != usual * directions:
        raise UnsupportedError("its activations are not the usual ones")
    steps, batch, _ = graph.shape(node.inputs[0])
    hidden = graph.constants[node.inputs[2]].shape[2]
    if steps > _STEPS:
        raise UnsupportedError(f"it has more than {_STEPS} steps, which are unrolled")
    return _Outputs(selector, node, directions, (steps, directions, batch, hidden))
