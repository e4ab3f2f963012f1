"""Counts that exercises ask for, from the operators of a Workload: shares by layer, training, normalisation."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from picojoule.report import count
from picojoule.workload import Graph, Operator, Tensor, Work, Workload, ops

CONVOLUTIONS: Final = ("conv", "depthwise", "conv_transpose")


@lru_cache(maxsize=32)
def network(name: str, batch: int | None = None, shape: tuple[int, ...] | None = None) -> Workload:
    """A network of the zoo, on its own input or on one image of `shape`."""
    from picojoule.frontends import read_model

    return read_model(name, batch=batch, inputs={"x": shape} if shape else None)


def weighted(workload: Workload) -> Iterator[Operator]:
    """Convolutions and products with weights: the layers of the textbook."""
    return (operator for operator in workload.operators if workload.bears_weights(operator))


def is_convolution(operator: Operator) -> bool:
    """A convolution of any sort, else a fully connected layer."""
    return operator.kind in CONVOLUTIONS


def macs(operators: Sequence[Operator] | Iterator[Operator]) -> int:
    """MACs of `operators` with all repeats."""
    return sum(operator.total.macs for operator in operators)


def convolution_macs(workload: Workload) -> int:
    """MACs of the convolutions."""
    return macs(o for o in weighted(workload) if is_convolution(o))


def product_macs(workload: Workload) -> int:
    """MACs of the fully connected layers."""
    return macs(o for o in weighted(workload) if not is_convolution(o))


def layer_names(workload: Workload) -> dict[str, Operator]:
    """conv1, conv2, …, fc6, …: weighted layers numbered through, as the textbook does."""
    return {
        f"{'conv' if is_convolution(o) else 'fc'}{i}": o for i, o in enumerate(weighted(workload), start=1)
    }  # fmt: skip


def parameters(workload: Workload) -> dict[str, int]:
    """Parameters of each operator, by operator name."""
    return {row.operator.name: row.params for row in count(workload).operators}


def total_parameters(workload: Workload) -> int:
    """All trainable parameters."""
    return count(workload).params["total"]


def training_macs(workload: Workload) -> int:
    """MACs of forward and backward, without the gradient of the network's own input."""
    from picojoule.training import training_step

    return training_step(workload, optimiser=None).work.macs


def outputs(operator: Operator) -> int:
    """Elements written in all repeats."""
    return operator.outputs[0].elements * operator.repeats


def normalised(workload: Workload) -> int:
    """Elements that batch normalisation scales and shifts."""
    return sum(outputs(o) for o in workload.operators if o.op == "batch_norm")


def pooled(workload: Workload) -> Work:
    """Work of average pools that pool anything: a pool of as many outputs as inputs is none."""
    return sum(
        (o.total for o in workload.operators if o.kind == "pool" and o.inputs[0].elements != o.outputs[0].elements),
        Work(),
    )


def residual_additions(workload: Workload) -> int:
    """Additions that join two branches."""
    return sum(o.total.adds for o in workload.operators if o.op == "add" and o.kind == "elementwise")


def comparisons(workload: Workload) -> int:
    """One a ReLU (of any sort), window minus one a max pool."""
    rectified = sum(outputs(o) for o in workload.operators if o.op in ("relu", "relu6", "prelu", "leaky_relu"))
    return rectified + dict(pooled(workload).special).get("compare", 0)


def layer_bytes(workload: Workload, operator: Operator) -> dict[str, int]:
    """Bytes of input, weight and output, each once a repeat, biases left out."""
    sizes = {"input": 0, "weight": 0, "output": 0}
    for access in operator.inputs:
        tensor = workload.tensors[access.tensor]
        if tensor.role != "bias":
            sizes["weight" if tensor.role in ("weight", "embedding") else "input"] += tensor.bytes_of(access.elements)
    sizes["output"] = workload.tensors[operator.outputs[0].tensor].bytes_of(operator.outputs[0].elements)
    return {name: size * operator.repeats for name, size in sizes.items()}


def chain(layers: Sequence[int], *, bias: bool = True, batch: int = 1) -> Workload:
    """A multilayer perceptron of these widths."""
    g = Graph("mlp:" + "-".join(map(str, layers)), batch=batch)
    x = g.input("x", (batch, layers[0]))
    for index, width in enumerate(layers[1:], start=1):
        with g.scope(f"layer{index}"):
            x = ops.linear(g, x, g.parameter("weight", (width, x.shape[1])),
                           g.parameter("bias", (width,), "bias") if bias else None)  # fmt: skip
    g.output(x)
    return g.workload()


def one_convolution(height: int, width: int, channels: int, filters: int, kernel: Sequence[int], *, stride: int = 1,
                    padding: int = 0, groups: int = 1, bias: bool = True) -> tuple[Workload, Tensor]:  # fmt: skip
    """A network of one convolution, and its output."""
    g = Graph("conv")
    x = g.input("x", (1, channels, height, width))
    weight = g.parameter("weight", (filters, channels // groups, *kernel))
    shift = g.parameter("bias", (filters,), "bias") if bias else None
    y = ops.conv(g, x, weight, shift, stride=(stride, stride), padding=((padding, padding),) * 2, groups=groups)
    g.output(y)
    return g.workload(), y
