"""A workload as the loops that an FPGA design runs: convolutions, products, maps; the rest is named and left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from picojoule.workload import Operator, Workload

Kind = Literal["conv", "depthwise", "product", "map"]
_FOLDED: Final = frozenset({"batch_norm"})  # into weights and bias of the layer before
_PLAIN: Final = frozenset({"mul", "add", "compare", "sub", "abs", "neg", "select", "min", "max"})


@dataclass(frozen=True, slots=True)
class Layer:
    """`outputs` and `inputs` are channels of one group, `rows` × `columns` the output map, `count` runs of it all.

    Elements are those of one run. A product of P rows has one row of P columns and a kernel of one; a map (pool,
    residual sum) does `kernel` operations for each of its output elements.
    """

    name: str
    kind: Kind
    outputs: int
    inputs: int
    rows: int
    columns: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    groups: int
    count: int
    input_elements: int
    weight_elements: int
    output_elements: int

    @property
    def macs(self) -> int:
        """Of one run; none in a map."""
        if self.kind == "map":
            return 0
        return self.groups * self.outputs * self.inputs * self.rows * self.columns * self.kernel[0] * self.kernel[1]


def layers_of(workload: Workload) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """Layers in order, and the names of operators that such designs leave to a processor (softmax, gather, …).

    Folded into the layer before, at no cost: batch normalisation, activations without special functions, moves that
    only rename or place. Everything else that does work is named in the second part, never dropped in silence.
    """
    parameters = {tensor.name for tensor in workload.parameters}
    layers: list[Layer] = []
    left: list[str] = []
    for operator in workload.operators:
        if _folded(operator):
            continue
        layer = _layer(operator, parameters)
        if layer is None:
            left.append(operator.name)
        else:
            layers.append(layer)
    return tuple(layers), tuple(left)


def _folded(operator: Operator) -> bool:
    if operator.op in _FOLDED:
        return True
    if operator.kind == "move":
        return operator.op != "resize"
    return operator.kind == "activation" and _plain(operator)


def _plain(operator: Operator) -> bool:
    return set(operator.work.as_dict()) <= _PLAIN


def _layer(operator: Operator, parameters: set[str]) -> Layer | None:
    sizes = _sizes(operator, parameters)
    if operator.work.macs and operator.work.macs == operator.points and len(operator.inputs) > 1:
        if "r0" in operator.extents and "p0" in operator.extents:
            return _conv(operator, sizes)
        return _product(operator, sizes)
    if operator.kind == "pool":
        # A mean over the whole map has no window: it reads every element once.
        windowed = "r0" in operator.extents
        return _map(operator, sizes, sizes[2] if windowed else max(sizes[0], sizes[2]), _kernel(operator.extents))
    if operator.kind == "move" or (operator.kind in ("elementwise", "reduce") and _plain(operator)):
        return _map(operator, sizes, sizes[2], 1)
    return None


def _map(operator: Operator, sizes: Sequence[int], elements: int, taps: int) -> Layer:
    return Layer(operator.name, "map", elements, 1, 1, 1, (taps, 1), (1, 1), 1, operator.repeats, *sizes)


def _sizes(operator: Operator, parameters: set[str]) -> tuple[int, int, int]:
    """Elements of activations read, of parameters read, of activations written."""
    read = sum(access.elements for access in operator.inputs if access.tensor not in parameters)
    weights = sum(access.elements for access in operator.inputs if access.tensor in parameters)
    return read, weights, sum(access.elements for access in operator.outputs)


def _conv(operator: Operator, sizes: tuple[int, int, int]) -> Layer:
    e = operator.extents
    sides = [name for name in ("p0", "p1", "p2") if name in e]
    columns = e[sides[-1]]
    rows = operator.points // (columns * e["b"] * e["g"] * e["m"] * e["c"] * _kernel(e))
    taps = [e[f"r{side[1]}"] for side in sides]
    kernel = (taps[0], taps[1]) if len(sides) == 2 else (_kernel(e) // taps[-1], taps[-1])
    strides = _strides(operator)
    stride = (strides.get(sides[0], 1) if len(sides) > 1 else 1, strides.get(sides[-1], 1))
    batch = e["b"]
    kind: Kind = "depthwise" if e["c"] == 1 and e["g"] > 1 else "conv"
    read, weights, written = sizes
    return Layer(operator.name, kind, e["m"], e["c"], rows, columns, kernel, stride, e["g"], operator.repeats * batch,
                 read // batch, weights, written // batch)  # fmt: skip


def _kernel(e: Mapping[str, int]) -> int:
    product = 1
    for name in ("r0", "r1", "r2"):
        product *= e.get(name, 1)
    return product


def _strides(operator: Operator) -> dict[str, int]:
    """Stride of each output side in the input, from the axes of the first operand."""
    return {dim: abs(step) for axis in operator.inputs[0].axes for dim, step in axis if dim.startswith("p")}


def _product(operator: Operator, sizes: tuple[int, int, int]) -> Layer:
    """A dimension of both operands and the result is a group, of the first and the result a pixel, of both a channel."""
    first, second, result = operator.inputs[0].dims, operator.inputs[1].dims, operator.outputs[0].dims
    pixels = outputs = inputs = groups = 1
    for dim, extent in operator.space:
        if dim not in result:
            inputs *= extent
        elif dim in first and dim in second:
            groups *= extent
        elif dim in first:
            pixels *= extent
        else:
            outputs *= extent
    return Layer(operator.name, "product", outputs, inputs, 1, pixels, (1, 1), (1, 1), groups, operator.repeats, *sizes)
