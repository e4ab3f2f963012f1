"""One operator, or a few, with sizes after the colon: what one computes by hand."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Workload, ops

from ._entry import Entry, Options
from ._image import choose_spec, run
from ._layers import act, conv, flatten, linear, max_pool
from ._layers import layer_norm as norm

MLP: Final = "mlp:33-512-10"
LINEAR: Final = "linear:4096-1000"
MATMUL: Final = "matmul:1024x1024x1024"
CONV: Final = "conv:3x224x224-64x7x7:stride=2:pad=3"
DEPTHWISE: Final = "depthwise:32x112x112-3x3:stride=2:pad=1"
_ACTIVATIONS: Final = ("relu", "sigmoid", "tanh", "gelu", "silu", "identity")


def mlp(name: str, options: Options) -> Workload:
    """Products with an activation between: `mlp:33-512-10`, then `:nobias` or an activation (ReLU if none is said)."""
    head, flags = _parts(options.spec)
    widths = _sizes(head, "-", 2, 99, MLP, "two or more widths joined by '-'")
    unknown = [flag for flag in flags if flag not in ("nobias", *_ACTIVATIONS)]
    if unknown:
        raise InputError(f"mlp: cannot read {unknown[0]!r}", expected=f"nobias, {', '.join(_ACTIVATIONS)}",
                         example=f"picojoule count {MLP}:nobias")  # fmt: skip
    chosen = [flag for flag in flags if flag in _ACTIVATIONS] or ["relu"]
    return run(name, options, widths[:1], _stack(widths, chosen[-1], bias="nobias" not in flags))


def _stack(widths: Sequence[int], activation: str, *, bias: bool = True) -> Callable[[Graph, Tensor], Tensor]:
    def body(g: Graph, x: Tensor) -> Tensor:
        for layer, width in enumerate(widths[1:], start=1):
            x = linear(g, x, width, name=f"fc{layer}", bias=bias)
            if layer < len(widths) - 1 and activation != "identity":
                x = act(g, x, activation, name=f"{activation}{layer}")
        return x

    return body


def adder(name: str, options: Options) -> Workload:
    """Adds two four-bit numbers and a carry: 9-20-20-5 with ReLU, five outputs. "no-carry" has 8 inputs."""
    inputs = 8 if choose_spec(name, options, "no-carry") else 9
    return run(name, options, (inputs,), _stack((inputs, 20, 20, 5), "relu"))


def one_linear(name: str, options: Options) -> Workload:
    """y = W·x + b: `linear:IN-OUT`, then `:nobias`; the batch is the number of rows."""
    head, flags = _parts(options.spec)
    widths = _sizes(head, "-", 2, 2, LINEAR, "IN-OUT")
    if any(flag != "nobias" for flag in flags):
        raise InputError(f"linear: cannot read {flags[0]!r}", expected="nobias or nothing",
                         example=f"picojoule count {LINEAR}:nobias")  # fmt: skip
    return run(name, options, widths[:1], lambda g, x: linear(g, x, widths[1], name="linear", bias=not flags))


def matmul(name: str, options: Options) -> Workload:
    """C[M, N] = A[M, K] · B[K, N], both read as activations: `matmul:MxNxK`, or `matmul:N` for a cube.

    A batch makes as many independent products.
    """
    sizes = _sizes(options.spec, "x", 1, 3, MATMUL, "M, N and K joined by 'x', or one size for a cube")
    if len(sizes) == 2:
        raise InputError(f"matmul: {options.spec!r} has two sizes", expected="M, N and K joined by 'x', or one size",
                         example=f"picojoule count {MATMUL}")  # fmt: skip
    m, n, k = sizes if len(sizes) == 3 else sizes * 3
    _no_inputs("matmul", options, MATMUL)
    lead = () if options.batch is None else (options.batch,)
    g = Graph(name, batch=options.batch or 1)
    a, b = g.input("a", (*lead, m, k)), g.input("b", (*lead, k, n))
    g.output(ops.matmul(g, a, b, name="matmul"))
    return g.workload()


def one_conv(name: str, options: Options) -> Workload:
    """`conv:CxHxW-MxRxS`: C maps of H x W, M filters of R x S, then `:stride=2`, `:pad=3` or `:pad=same`, `:groups=1`,
    `:dilation=1`, `:nobias`. Two numbers joined by 'x' differ by axis. One or three axes work alike.
    """
    head, flags = _parts(options.spec)
    left, _, right = head.partition("-")
    shape = _sizes(left, "x", 2, 4, CONV, "CxHxW-MxRxS")
    kernel = _sizes(right, "x", len(shape), len(shape), CONV, "CxHxW-MxRxS")
    return _conv(name, options, shape, kernel[0], kernel[1:], flags, CONV)


def one_depthwise(name: str, options: Options) -> Workload:
    """`depthwise:CxHxW-RxS`: one filter for each of C maps, with the options of `conv` but groups."""
    head, flags = _parts(options.spec)
    left, _, right = head.partition("-")
    shape = _sizes(left, "x", 2, 4, DEPTHWISE, "CxHxW-RxS")
    kernel = _sizes(right, "x", len(shape) - 1, len(shape) - 1, DEPTHWISE, "CxHxW-RxS")
    if any(flag.startswith("groups") for flag in flags):
        raise InputError("depthwise has as many groups as maps", expected="no groups",
                         example=f"picojoule count {DEPTHWISE}")  # fmt: skip
    return _conv(name, options, shape, shape[0], kernel, [*flags, f"groups={shape[0]}"], DEPTHWISE)


def _conv(name: str, options: Options, shape: Sequence[int], filters: int, kernel: Sequence[int],
          flags: Sequence[str], example: str) -> Workload:  # fmt: skip
    rank = len(kernel)
    said = _conv_options(flags, kernel, example)
    groups = said["groups"][0]

    def body(g: Graph, x: Tensor) -> Tensor:
        with g.scope("conv"):
            weight = g.parameter("weight", (filters, x.shape[1] // groups, *kernel))
            bias = None if "nobias" in flags else g.parameter("bias", (filters,), "bias")
            return ops.conv(g, x, weight, bias, stride=said["stride"], dilation=said["dilation"], groups=groups,
                            padding=[(said["pad"][i], said["after"][i]) for i in range(rank)])  # fmt: skip

    if shape[0] % groups or filters % groups:
        raise InputError(f"groups = {groups} does not divide {shape[0]} maps and {filters} filters",
                         expected="a number that divides both", example=f"picojoule count {example}")  # fmt: skip
    try:
        return run(name, options, shape, body)
    except InputError as error:
        example = error.example or f"picojoule count {example}"
        raise InputError(error.what, where=error.where, expected=error.expected, example=example) from error


def _conv_options(flags: Sequence[str], kernel: Sequence[int], example: str) -> dict[str, tuple[int, ...]]:
    """stride, dilation, groups, padding before (`pad`) and after each axis."""
    rank = len(kernel)
    said = {"stride": (1,) * rank, "pad": (0,) * rank, "dilation": (1,) * rank, "groups": (1,)}
    same = False
    for flag in flags:
        key, _, value = flag.partition("=")
        numbers = [int(number) for number in value.split("x") if number.isdecimal()]
        fits = value == "x".join(map(str, numbers)) and len(numbers) in (1, rank if key != "groups" else 1)
        if flag == "pad=same":
            same = True
        elif key in said and fits and (key == "pad" or min(numbers) > 0):
            said[key] = tuple(numbers) if len(numbers) == len(said[key]) else tuple(numbers * rank)
        elif flag != "nobias":
            raise InputError(
                f"cannot read {flag!r}", expected="stride=2, pad=3, pad=same, groups=2, dilation=2 or nobias",
                example=f"picojoule count {example}",
            )  # fmt: skip
    said["after"] = said["pad"]
    if same:
        if max(said["stride"]) > 1:
            raise InputError("pad=same needs stride=1", expected="a pad in numbers beside a stride",
                             example=f"picojoule count {example}")  # fmt: skip
        spans = [dilation * (size - 1) for dilation, size in zip(said["dilation"], kernel, strict=True)]
        said["pad"], said["after"] = tuple(s // 2 for s in spans), tuple(s - s // 2 for s in spans)
    return said


def one_row_operator(build: Callable[[Graph, Tensor], Tensor], about: str, example: str) -> Entry:
    """An operator on one tensor of the sizes after the colon, the last of them its row."""

    def make(name: str, options: Options) -> Workload:
        return run(name, options, _sizes(options.spec, "x", 1, 9, example, "sizes joined by 'x'"), build)

    return Entry(make, about, example=example)


def elementwise(op: str, about: str) -> Entry:
    """a op b on two tensors of the sizes after the colon."""
    example = f"{op}:4000x4000"

    def make(name: str, options: Options) -> Workload:
        sizes = _sizes(options.spec, "x", 1, 9, example, "sizes joined by 'x'")
        _no_inputs(op, options, example)
        batch = options.batch or 1
        g = Graph(name, batch=batch)
        g.output(ops.binary(g, op, g.input("a", (batch, *sizes)), g.input("b", (batch, *sizes)), name=op))
        return g.workload()

    return Entry(make, about, example=example)


def little_cnn(name: str, options: Options) -> Workload:
    """32 x 32 x 3: 32 filters of 3 x 3, max pool 3 x 3 by 2, 64 filters of 3 x 3, 10 classes, no activations.

    "second-pool" adds a max pool of 2 x 2 before the product, "no-pool" takes the first away.
    """
    spec = choose_spec(name, options, "second-pool", "no-pool")

    def body(g: Graph, x: Tensor) -> Tensor:
        x = conv(g, x, 32, 3, name="conv1")
        if spec != "no-pool":
            x = max_pool(g, x, 3, 2, name="pool1")
        x = conv(g, x, 64, 3, name="conv2")
        if spec == "second-pool":
            x = max_pool(g, x, 2, 2, name="pool2")
        return linear(g, flatten(g, x), 10, name="fc")

    return run(name, options, (3, 32, 32), body)


def _parts(spec: str) -> tuple[str, list[str]]:
    """What stands before the first `:` or `,`, and what follows it, without blanks, lower case."""
    head, *rest = re.split("[:,]", re.sub(r"\s", "", spec.lower()).replace("×", "x"))
    return head, [part for part in rest if part]


def _sizes(text: str, mark: str, least: int, most: int, example: str, expected: str) -> tuple[int, ...]:
    """The whole numbers above 0 in `text`, joined by `mark`."""
    found = re.sub(r"\s", "", text.lower()).replace("×", "x").split(mark)
    if not least <= len(found) <= most or not all(re.fullmatch("[0-9]+", size) and int(size) for size in found):
        family = example.partition(":")[0]
        what = f"cannot read the sizes {text!r}" if text else "no sizes after the colon"
        raise InputError(f"{family}: {what}", expected=f"{expected}, whole numbers above 0",
                         example=f"picojoule count {example}")  # fmt: skip
    return tuple(map(int, found))


def _no_inputs(family: str, options: Options, example: str) -> None:
    if options.inputs:
        raise InputError(f"{family} takes its sizes after the colon, not as inputs", expected="no --input",
                         example=f"picojoule count {example}")  # fmt: skip


MODELS: Final[dict[str, Entry]] = {
    "mlp": Entry(mlp, "Fully connected layers of any widths", example=MLP),
    "adder": Entry(adder, "Four-bit full adder, 9-20-20-5", ("full-adder",), "adder:no-carry"),
    "little-cnn": Entry(little_cnn, "Two convolutions and a product on 32 x 32 x 3", example="little-cnn:second-pool"),
    "linear": Entry(one_linear, "One fully connected layer, IN-OUT", ("fc",), LINEAR),
    "matmul": Entry(matmul, "One matrix product, MxNxK", ("gemm",), MATMUL),
    "conv": Entry(one_conv, "One convolution, CxHxW-MxRxS", ("conv2d",), CONV),
    "depthwise": Entry(one_depthwise, "One depthwise convolution, CxHxW-RxS", example=DEPTHWISE),
    "softmax": one_row_operator(lambda g, x: ops.softmax(g, x, name="softmax"), "Softmax over the last axis",
                                "softmax:1000"),
    "layer-norm": one_row_operator(lambda g, x: norm(g, x, name="layer_norm"), "LayerNorm over the last axis",
                                   "layer-norm:768"),
    "relu": one_row_operator(act, "ReLU of one tensor", "relu:4000x4000"),
    "add": elementwise("add", "Sum of two tensors"),
    "mul": elementwise("mul", "Product of two tensors, element by element"),
}  # fmt: skip
