"""SharedRAM: what several cores read comes from DRAM once, and goes to each of them over its own link.

The DMA of the cluster fills places of SharedRAM, the cores move out of them. A place is filled again when every core
that reads it has; the order of all that is kept by the builder, from the bytes alone.
"""

from collections.abc import Hashable, Sequence

from ._build import DRAM, SRAM, Builder
from ._packed import Pack, Piece
from ._tile import Area


class Shared:
    """Places of SharedRAM for one kernel."""

    def __init__(self, builder: Builder, size: int, count: int) -> None:
        self.builder = builder
        room = builder.machine.sizes["sram"]
        area = Area(room, f"machine {builder.machine.name}")
        self.ring = area.ring(size, places(room, size, count))

    def fetch(self, key: Hashable, scope: int, near: int, pieces: Sequence[Piece], pack: Pack | None = None,
              dtype: int = 0) -> None:  # fmt: skip
        """Pieces, or the numbers of a pack, into a core's memory at `near`; from DRAM only if no place has them."""
        if pack is not None:
            pieces = [Piece(pack.far, 0, 1, pack.size, pack.size)]
        builder, core = self.builder, self.builder.core
        at, fresh = self.ring.find(key)
        if fresh:
            builder.core = builder.cores
            for piece in pieces:
                builder.copy(SRAM, DRAM, piece.far, at + piece.offset, piece.rows, piece.size, piece.stride)
            builder.core = core
        if pack is not None:
            builder.emit(
                "expand", dst=scope, src=SRAM, far=at, near=near, bytes=pack.size, length=pack.length, type=dtype
            )
            return
        for first, size in runs(pieces):
            builder.copy(scope, SRAM, at + first, near + first, 1, size, 0)


def runs(pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    """(first byte, bytes) of what the pieces fill on chip, as few as can be."""
    found: list[tuple[int, int]] = []
    for piece in sorted(pieces, key=lambda one: one.offset):
        size = piece.rows * piece.size
        if found and sum(found[-1]) == piece.offset:
            found[-1] = (found[-1][0], found[-1][1] + size)
        else:
            found.append((piece.offset, size))
    return found


def places(room: int, size: int, count: int) -> int:
    """How many of `count` places of `size` bytes SharedRAM has room for."""
    return min(count, room // (-(-size // 64) * 64))
