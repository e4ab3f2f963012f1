"""A look over a parsed model before it is walked: names that are text, functions that unfold to a bounded size."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from picojoule.quantity import InputError

from ._session import DEPTH_LIMIT, NODE_LIMIT

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

_Key = tuple[str, str]


def survey(model: "ModelProto") -> None:
    """Raise InputError for a model that cannot be walked."""
    _check(model.graph.name, *[opset.domain for opset in model.opset_import])
    _check_graph(model.graph)
    for function in model.functions:
        _check(function.name, function.domain, *function.input, *function.output, *function.attribute)
        _check(*[opset.domain for opset in function.opset_import])
        _check(*[attribute.name for attribute in function.attribute_proto])
        _check(*[info.name for info in function.value_info])
        _check_nodes(function.node)
    if model.functions:
        _Sizes(model).check(model)


def _check(*texts: str) -> None:
    """Every string that will be used must be one; protobuf gives bytes where the text is not UTF-8."""
    try:
        "".join(texts)
    except TypeError:
        raise InputError("a name in the file is not UTF-8", expected="an undamaged ONNX model") from None


def _check_graph(graph: "GraphProto") -> None:
    for infos in (graph.input, graph.output, graph.value_info):  # their sizes are looked at when they are used
        _check(*[info.name for info in infos])
    for tensor in graph.initializer:
        _check(tensor.name)
        _check_places(tensor)
    for sparse in graph.sparse_initializer:
        _check(sparse.values.name)
    _check_nodes(graph.node)


def _check_nodes(nodes: Iterable["NodeProto"]) -> None:
    for node in nodes:
        _check(node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            _check(attribute.name, attribute.ref_attr_name)
            if attribute.HasField("g"):
                _check_graph(attribute.g)
            if attribute.HasField("t"):
                _check_places(attribute.t)


def _check_places(tensor: "TensorProto") -> None:
    for entry in tensor.external_data:
        _check(entry.key, entry.value)


class _Sizes:
    """How many nodes each function is when the functions it calls are written out."""

    def __init__(self, model: "ModelProto") -> None:
        self.functions = {("" if f.domain == "ai.onnx" else f.domain, f.name): f for f in model.functions}
        self.sizes: dict[_Key, int] = {}
        self.open: list[_Key] = []

    def check(self, model: "ModelProto") -> None:
        """Refuse what unfolds without end."""
        if self.nodes(model.graph.node) > NODE_LIMIT:
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
