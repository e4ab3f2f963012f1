"""The simple recurrent layer, one step after the other."""

from typing import Final

from ._graph import Node
from ._rules_recurrent import _Layer, _prepare
from ._select import Selector

_FUNCTIONS: Final = ("Tanh", "Relu", "Sigmoid")


def rnn(selector: Selector, node: Node) -> None:
    """h' = f(x·W + h·R + b), f the hyperbolic tangent unless said otherwise."""
    given = [a.decode() if isinstance(a, bytes) else str(a) for a in node.attributes.get("activations") or ["Tanh"]]
    fn = given[0]
    outs = _prepare(selector, node, 1, [fn] if fn in _FUNCTIONS else ["Tanh"])
    for direction in range(outs.directions):
        layer = _Layer(selector, node, direction, 1)
        inputs = layer.inputs(layer.biases[0] + layer.biases[1])
        h = layer.first(5)
        for step in outs.order(direction, layer.steps):
            sums, at = layer.sums(step, inputs, h)
            kernel, body = layer.plane(step)
            new = body.step(fn.lower(), layer.gate(body, sums, at, 0))
            h = outs.place(direction, step, layer)
            body.stores[new] = h
            selector.add(kernel, outs.store, outs.shape)
        outs.last(direction, (h,))
    outs.bind()
