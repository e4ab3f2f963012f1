"""How a network that reads one image becomes an Entry: sizes from the user, errors with an example."""

from collections.abc import Callable, Sequence

from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Workload

from ._entry import Entry, Options
from ._layers import start

Body = Callable[[Graph, Tensor], Tensor]


def entry(body: Body, about: str, aliases: tuple[str, ...] = (), *, side: int = 224, channels: int = 3) -> Entry:
    """The Entry of a network without a spec that reads [batch, channels, side, side]."""

    def build(name: str, options: Options) -> Workload:
        choose_spec(name, options)
        return run(name, options, (channels, side, side), body)

    return Entry(build, about, aliases)


def choose_spec(name: str, options: Options, *choices: str) -> str:
    """The spec, lower case, `_` as `-`; it must be empty or one of `choices`."""
    spec = options.spec.strip().lower().replace("_", "-")
    spec = {choice.replace("-", ""): choice for choice in choices}.get(spec.replace("-", ""), spec)
    if spec and spec not in choices:
        family = name.partition(":")[0]
        raise InputError(
            f"{family} has no variant {options.spec!r}",
            expected=f"{', '.join(choices)}, or nothing after the name" if choices else "nothing after the name",
            example=f"picojoule count {family}:{choices[0]}" if choices else f"picojoule count {family}",
        )
    return spec


def run(name: str, options: Options, shape: Sequence[int], body: Body) -> Workload:
    """Record `body` on the input x of `shape` (without the batch), or on what the user gave instead."""
    g, x = open_image(name, options, shape)
    try:
        g.output(body(g, x))
    except InputError as error:
        if tuple(x.shape[1:]) == tuple(shape):
            raise
        raise InputError(
            f"{name} does not fit the input {list(x.shape)}: {error.what}", where=error.where,
            expected="a larger input", example=example_input(x.shape[0], shape),
        ) from error  # fmt: skip
    return g.workload()


def open_image(name: str, options: Options, shape: Sequence[int]) -> tuple[Graph, Tensor]:
    """A graph and its input x, checked: sizes of 1 or more, the network's own channels, one batch."""
    g, x = start(name, options, shape)
    if any(size < 1 for size in x.shape):
        raise InputError(f"input 'x' of {name} has a size below 1: {list(x.shape)}",
                         expected="whole numbers of 1 or more", example=example_input(1, shape))  # fmt: skip
    if x.shape[1] != shape[0]:
        what = "channels" if len(shape) > 1 else "features"
        raise InputError(f"{name} reads {shape[0]} {what}, not {x.shape[1]}", expected=f"batch, {what}, then the rest",
                         example=example_input(x.shape[0], shape))  # fmt: skip
    if options.batch is not None and options.batch != x.shape[0]:
        raise InputError(
            f"the batch is {options.batch}, but the input 'x' says {x.shape[0]}",
            expected="one of the two, or both equal", example=example_input(options.batch, shape),
        )  # fmt: skip
    if options.seq is not None:
        g.notes.append(f"{name} has no sequence: the sequence length is not used")
    return g, x


def example_input(batch: int, shape: Sequence[int]) -> str:
    """The option that gives x this shape."""
    return f"--input x={','.join(map(str, (batch, *shape)))}"
