"""What a name of an ONNX graph stands for while the graph is walked."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picojoule.workload import Tensor

Array = NDArray[Any]
LIMIT = 100_000  # elements of the largest constant that is ever held
FLOAT_LIMIT = 16  # and of a floating-point one: scales and limits, not weights


@dataclass(eq=False, slots=True)
class Value:
    """`shape` is None while unknown. `data` are the elements of a small constant.

    `tensor` is recorded on demand by `make`: a constant that nobody reads costs nothing. `sources` names the
    initializers it is computed from, None if anything else feeds it. `codes` are the integers behind a
    DequantizeLinear, whose arithmetic is only notation in front of a contraction, `aside` its scales and zero points.
    `items` are those of a sequence.
    """

    shape: tuple[int, ...] | None
    dtype: str = "float32"
    tensor: Tensor | None = None
    data: Array | None = None
    sources: frozenset[str] | None = None
    make: Callable[[], Tensor] | None = None
    codes: "Value | None" = None
    aside: "tuple[Value, ...]" = ()
    items: "list[Value] | None" = None
    mark: str = ""

    @property
    def elements(self) -> int:
        """Elements; 0 if the shape is unknown."""
        return math.prod(self.shape) if self.shape is not None else 0

    @property
    def constant(self) -> bool:
        """Whether it is computed from constants alone."""
        return self.sources is not None

    @property
    def rooted(self) -> bool:
        """Whether it is an initializer, or computed from initializers."""
        return bool(self.sources)


def of_tensor(tensor: Tensor) -> Value:
    """The value of a recorded tensor."""
    return Value(tensor.shape, tensor.dtype, tensor)


BOUND = "bound"


def at_most(tensor: Tensor) -> Value:
    """The value of a tensor that is as large as its data says: `tensor` has the size it has at most."""
    return Value(tensor.shape, tensor.dtype, tensor, mark=BOUND)


def of_data(data: Array, dtype: str, sources: frozenset[str] = frozenset()) -> Value:
    """A known constant."""
    return Value(tuple(int(size) for size in data.shape), dtype, data=data, sources=sources)


def integers(data: Array) -> tuple[int, ...]:
    """The elements as Python integers, whatever the shape."""
    return tuple(int(item) for item in np.asarray(data).reshape(-1).tolist())


UNKNOWN_DTYPE = "float32"


def unknown(dtype: str = UNKNOWN_DTYPE) -> Value:
    """A value of unknown shape."""
    return Value(None, dtype)
