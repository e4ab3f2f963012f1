"""Weights stored as a bit for each number and the numbers that are not zero, tile by tile, where that is smaller."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from .._meaning import packed as pack
from ._graph import Array

_MOST: Final = 1 << 20  # bytes that one instruction may read
_LINE: Final = 64


class Piece(NamedTuple):
    """Rows of `size` bytes, `stride` apart in DRAM from `far` on, packed from `offset` on in their place on chip."""

    far: int
    offset: int
    rows: int
    size: int
    stride: int


class Pack(NamedTuple):
    """Where the stored bytes of a tile are in DRAM, and how many numbers they make."""

    far: int
    size: int
    length: int


class Packed:
    """Tiles in the order of their first use, from `base` on in DRAM. `lines` say what was stored so."""

    def __init__(self, constants: Mapping[str, Array], addresses: Mapping[str, int], base: int) -> None:
        self.constants, self.addresses, self.base = constants, addresses, base
        self.content = bytearray()
        self.known: dict[Hashable, Pack] = {}
        self.worth: dict[str, bool] = {}
        self.lines: list[str] = []

    def wanted(self, tensor: str, tile_bytes: int) -> bool:
        """Whether a tensor takes fewer bytes so, and its tiles are no larger than an instruction can read."""
        array = self.constants.get(tensor)
        if array is None or tile_bytes * 9 // 8 + 1 >= _MOST:
            return False
        if tensor not in self.worth:
            kept = int(np.count_nonzero(array))
            size = -(-array.size // 8) + kept * array.itemsize
            self.worth[tensor] = size < array.nbytes
            if self.worth[tensor]:
                self.lines.append(f"stored {tensor} as a bitmap: {kept:,} of {array.size:,} numbers are not zero, about "
                                  f"{size:,} B for {array.nbytes:,}")  # fmt: skip
        return self.worth[tensor]

    def tile(self, tensor: str, pieces: Sequence[Piece]) -> Pack:
        """A tile, stored at its first use."""
        key = (tensor, tuple(pieces))
        if key not in self.known:
            array = self.constants[tensor].reshape(-1)
            one, base = array.itemsize, self.addresses[tensor]
            parts = []
            for piece in sorted(pieces, key=lambda piece: piece.offset):
                first = (piece.far - base) // one
                shape, strides = (piece.rows, piece.size // one), (piece.stride, one)
                parts.append(np.lib.stride_tricks.as_strided(array[first:], shape, strides).reshape(-1))
            numbers = np.concatenate(parts)
            content = pack(numbers)
            self.known[key] = Pack(self.base + len(self.content), len(content), numbers.size)
            self.content += content + bytes(-len(content) % _LINE)
        return self.known[key]
