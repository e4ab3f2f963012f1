"""Flat arrays of stored tensors, for what works on whole arrays."""

from collections.abc import Mapping

import numpy as np

from .._meaning import NUMPY
from ._graph import Array
from ._kernel import Place


class Stored:
    """Flat arrays by name of stored tensor."""

    def __init__(self, sizes: Mapping[str, int], dtypes: Mapping[str, str]) -> None:
        self.sizes, self.dtypes = sizes, dtypes
        self.arrays: dict[str, Array] = {}

    def flat(self, name: str) -> Array:
        """The elements, made at the first use."""
        if name not in self.arrays:
            self.arrays[name] = np.zeros(self.sizes[name], NUMPY[self.dtypes.get(name, "float32")])
        return self.arrays[name]

    def plane(self, place: Place, m: int, n: int) -> Array:
        """m×n of a tensor, writable."""
        flat = self.flat(place.tensor)[place.offset :]
        stride = (place.stride or n) * flat.itemsize
        return np.lib.stride_tricks.as_strided(flat, (m, n), (stride, flat.itemsize))
