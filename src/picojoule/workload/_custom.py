"""The work of an operator that no table knows, as its user states it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from picojoule.quantity import InputError

from ._work import Work


@dataclass(frozen=True, slots=True)
class CustomWork:
    """`work` for each element of the output, or of input number `shape_of`; the output has that input's shape."""

    work: Work
    per: Literal["output", "input"] = "output"
    shape_of: int = 0

    def of(self, shapes: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], Work]:
        """Output shape and total work for inputs of `shapes`."""
        if self.shape_of >= len(shapes):
            raise InputError(f"the operator has {len(shapes)} inputs, the shape is taken from number {self.shape_of}",
                             expected="the number of an input, 0 for the first", example="shape_of: 0")  # fmt: skip
        shape = tuple(shapes[self.shape_of])
        return shape, self.work * math.prod(shape)
