"""A look over a parsed model before it is walked: names that are text, functions that unfold to a bounded size."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from picojoule.quantity import InputError

from ._session import DEPTH_LIMIT, NODE_LIMIT

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_Key = tuple[str, str]


def survey(model: "ModelProto") -> None:
    """Raise InputError for a model that cannot be walked."""
    if any(not isinstance(text, str) for text in _texts(model)):
        raise InputError("a name in the file is not UTF-8", expected="an undamaged ONNX model")
    _Sizes(model).check(model)


def _texts(model: "ModelProto") -> Iterator[object]:
    """Every string that will be used; protobuf gives bytes where the text is not UTF-8."""
    yield model.graph.name
    for opset in model.opset_import:
        yield opset.domain
    yield from _graph_texts(model.graph)
    for function in model.functions:
        yield from (function.name, function.domain, *function.input, *function.output, *function.attribute)
        yield from (opset.domain for opset in function.opset_import)
        yield from (attribute.name for attribute in function.attribute_proto)
        yield from (info.name for info in function.value_info)
        yield from _node_texts(function.node)


def _graph_texts(graph: "GraphProto") -> Iterator[object]:
    for info in (*graph.input, *graph.output, *graph.value_info):
        yield info.name
        if info.type.HasField("tensor_type"):
            yield from (dim.dim_param for dim in info.type.tensor_type.shape.dim)
    for tensor in graph.initializer:
        yield tensor.name
        for entry in tensor.external_data:
            yield from (entry.key, entry.value)
    yield from (sparse.values.name for sparse in graph.sparse_initializer)
    yield from _node_texts(graph.node)


def _node_texts(nodes: Iterable["NodeProto"]) -> Iterator[object]:
    for node in nodes:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name)
            if attribute.HasField("g"):
                yield from _graph_texts(attribute.g)
            if attribute.HasField("t"):
                yield from (text for entry in attribute.t.external_data for text in (entry.key, entry.value))


class _Sizes:
    """How many nodes each function is when the functions it calls are written out."""

    def __init__(self, model: "ModelProto") -> None:
        self.functions = {("" if f.domain == "ai.onnx" else f.domain, f.name): f for f in model.functions}
        self.sizes: dict[_Key, int] = {}
        self.open: list[_Key] = []

    def check(self, model: "ModelProto") -> None:
        """Refuse what unfolds without end."""
        if self.functions and self.nodes(model.graph.node) > NODE_LIMIT:
            raise InputError(f"more than {NODE_LIMIT} nodes after its functions are inlined",
                             expected="functions that call each other less often")  # fmt: skip

    def nodes(self, nodes: Iterable["NodeProto"]) -> int:
        """Nodes and what they unfold to."""
        total = 0
        for node in nodes:
            total += 1
            key = ("" if node.domain == "ai.onnx" else node.domain, node.op_type)
            if key in self.functions:
                total += self.function(key)
            total += sum(self.nodes(a.g.node) for a in node.attribute if a.HasField("g"))
        return total

    def function(self, key: _Key) -> int:
        """Nodes of one function, worked out once."""
        if key not in self.sizes:
            if key in self.open:
                chain = " -> ".join(name for _, name in [*self.open[self.open.index(key) :], key])
                raise InputError(
                    f"functions call each other in a circle: {chain}", expected="functions without circles"
                )
            if len(self.open) >= DEPTH_LIMIT:
                raise InputError(f"functions call each other more than {DEPTH_LIMIT} deep", expected="less nesting")
            self.open.append(key)
            self.sizes[key] = self.nodes(self.functions[key].node)
            self.open.pop()
        return self.sizes[key]
