"""Products and convolutions to instructions."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from picojoule.quantity import InputError

from .._machine import BYTES, DTYPES
from .._meaning import FUNCTIONS
from ._build import DRAM, NRAM, WRAM, Builder, share
from ._choose import Sharing, Tiling, divided, reach, taps
from ._kernel import Contract, Kernel, Part, Window
from ._packed import Piece
from ._shared import Shared
from ._tile import Area, BodyPlan, BodyRun, Ring, bits


@dataclass(frozen=True, slots=True)
class Spot:
    """Output pixels of one tile: in image `image`, rows y to y+th, columns x to x+tw. Rows of a product: one row."""

    image: int
    y: int
    x: int
    th: int
    tw: int


class Item(NamedTuple):
    """A block of channels of a tile: `depth` of them from `k` on, columns from `n` on."""

    part: Part
    spot: Spot
    n: int
    k: int
    depth: int


def areas(builder: Builder) -> tuple[Area, Area]:
    """NRAM and WRAM, empty."""
    machine = builder.machine
    return Area(machine.sizes["nram"], f"machine {machine.name}"), Area(
        machine.sizes["wram"], f"machine {machine.name}"
    )


def refused(kernel: Kernel, builder: Builder) -> InputError:
    return InputError("no tile fits on chip", where=f"node {kernel.name}",
                      expected=f"rows that fit {builder.machine.sizes['nram']} bytes of NRAM",
                      example="a machine with larger memories")  # fmt: skip


def contract(builder: Builder, kernel: Contract, addresses: Mapping[str, int], dtypes: Mapping[str, str]) -> None:
    """Every tile of a Contract, its share on each core."""
    plan = BodyPlan(kernel.body, True)
    width = BYTES[kernel.dtype]
    how, priced, sharing = divided(builder.machine, kernel, plan, width, builder.options.shared)
    tiling = priced.tiling
    kernel.block, kernel.how = tiling.tk, "" if builder.cores == 1 else how
    kernel.shared = "weights" if sharing.w > 1 else "inputs" if sharing.x > 1 else ""
    shared = _shared(builder, kernel, tiling, sharing, width)
    runs = [Contraction(builder, kernel, plan, addresses, dtypes, tiling, how, shared) for _ in builder.each()]
    in_turn(builder, [run.build() for run in runs])


def _shared(builder: Builder, kernel: Contract, tiling: Tiling, sharing: Sharing, width: int) -> Shared | None:
    """Places of SharedRAM for the operand that all cores read, if there is one."""
    if sharing.w > 1:
        groups = taps(kernel.window) if kernel.window else [(0, 0, 1)]
        size = groups[0][2] * tiling.tk * tiling.tn * width
        count = -(-kernel.k // tiling.tk) * -(-kernel.n // tiling.tn) * len(groups) * len(kernel.parts)
        return Shared(builder, size, count)
    if sharing.x > 1:
        window = kernel.window
        pixels = tiling.th * tiling.tw
        spots = -(-kernel.m // tiling.tw)
        if window is not None:
            tall, broad = reach(window, tiling.th, tiling.tw)
            pixels = pixels if window.direct else tall * broad
            spots = window.images * -(-window.out[0] // tiling.th) * -(-window.out[1] // tiling.tw)
        return Shared(builder, pixels * tiling.tk * width, spots * -(-kernel.k // tiling.tk) * len(kernel.parts))
    return None


def in_turn(builder: Builder, cores: Sequence[Iterator[None]]) -> None:
    """Emit a step of each core after the other until all are done: so they are at about the same tile."""
    left = list(enumerate(cores))
    while left:
        for core, steps in tuple(left):
            builder.core = core
            if next(steps, True):
                left.remove((core, steps))


class Contraction:
    def __init__(self, builder: Builder, kernel: Contract, plan: BodyPlan, addresses: Mapping[str, int],
                 dtypes: Mapping[str, str], tiling: Tiling, how: str, shared: Shared | None) -> None:  # fmt: skip
        self.divide(builder, kernel, addresses, tiling, how, shared)
        self.direct = self.window is not None and self.window.direct
        nram, wram = areas(builder)
        pixels = tiling.th * tiling.tw
        self.body = BodyRun(builder, plan, nram, addresses, dtypes, (pixels, tiling.tn))
        self.taps = taps(self.window) if self.window else [(0, 0, 1)]
        wide = self.taps[0][2]
        self.gathers: Ring | None = None
        x_size = pixels * tiling.tk * self.width
        if self.window is not None and not self.direct:
            tall, broad = reach(self.window, tiling.th, tiling.tw)
            x_size = tall * broad * tiling.tk * self.width
            self.gathers = nram.ring(pixels * wide * tiling.tk * self.width, 2)
        self.xs = nram.ring(x_size, tiling.x_slots)
        self.ws = wram.ring(wide * tiling.tk * tiling.tn * self.width, tiling.w_slots)

    def divide(self, builder: Builder, kernel: Contract, addresses: Mapping[str, int], tiling: Tiling, how: str,
               shared: Shared | None) -> None:  # fmt: skip
        """What this core does of the whole."""
        self.builder, self.kernel, self.addresses, self.tiling = builder, kernel, addresses, tiling
        self.shared, self.window = shared, kernel.window
        self.width, self.type = BYTES[kernel.dtype], DTYPES.index(kernel.dtype)
        tall = kernel.window.out[0] if kernel.window else kernel.m
        whole = {"rows": (tall, kernel.grain), "columns": (kernel.n, 1), "parts": (len(kernel.parts), 1)}
        mine = {
            name: share(size, builder.core, builder.cores, grain) if name == how else range(size)
            for name, (size, grain) in whole.items()
        }
        self.rows, self.columns, self.parts = mine["rows"], mine["columns"], mine["parts"]

    def spots(self) -> Iterator[Spot]:
        """The tiles of output pixels."""
        t, window, rows = self.tiling, self.window, self.rows
        if window is None:
            for m in rows[:: t.tw]:
                yield Spot(0, 0, m, 1, min(t.tw, rows.stop - m))
            return
        for image in range(window.images):
            for y in rows[:: t.th]:
                for x in range(0, window.out[1], t.tw):
                    yield Spot(image, y, x, min(t.th, rows.stop - y), min(t.tw, window.out[1] - x))

    def build(self) -> Iterator[None]:
        """Emit everything, tile after tile. Zeros around the inputs of a tile are written before the tile in front of it
        is computed, its inputs are loaded right after that tile's weights: neither then waits for the other's turn."""
        before: tuple[Item, int] | None = None
        for item in self.items():
            if before is not None and self.tiling.x_slots == 1:
                self.tile(*before)
                before = None
            at, loads = self.load_x(item)
            if before is not None:
                self.tile(*before)
            for load in loads:
                load()
            before = item, at
            yield
        if before is not None:
            self.tile(*before)

    def items(self) -> Iterator["Item"]:
        """Blocks of channels of tiles, in order."""
        columns = self.columns[:: self.tiling.tn]
        for part in (self.kernel.parts[i] for i in self.parts):
            pairs = (
                ((spot, n) for spot in self.spots() for n in columns)
                if self.tiling.rows_outside
                else ((spot, n) for n in columns for spot in self.spots())
            )
            for spot, n in pairs:
                for k in range(0, self.kernel.k, self.tiling.tk):
                    yield Item(part, spot, n, k, min(self.tiling.tk, self.kernel.k - k))

    def tile(self, item: "Item", at: int) -> None:
        """One block of channels of one tile, its inputs at `at`; after the last block the body."""
        part, spot, n, k, depth = item
        many = min(self.tiling.tn, self.columns.stop - n)
        key = (part, spot, n)
        y = self.body.result(key)
        for number, tap in enumerate(self.taps):
            w = self.load_w(part, tap, k, depth, n, many)
            x = self.gather(part, spot, k, depth, tap, at)
            self.builder.emit("mm", y=y, x=x, w=w, m=spot.th * spot.tw, k=depth * tap[2], n=many, acc=int(k + number > 0),
                              type=self.type)  # fmt: skip
        if k + depth == self.kernel.k:
            self.body.run(key, self.segments(part, spot), part.column + n, many)

    def segments(self, part: Part, spot: Spot) -> list[tuple[int, int]]:
        """Rows of the result."""
        if self.window is None:
            return [(part.row + spot.x, spot.tw)]
        height, width = self.window.out
        first = part.row + (spot.image * height + spot.y) * width + spot.x
        if spot.tw == width:
            return [(first, spot.th * width)]
        return [(first + row * width, spot.tw) for row in range(spot.th)]

    def load_w(self, part: Part, tap: tuple[int, int, int], k: int, depth: int, n: int, many: int) -> int:
        """Weights of some kernel columns, channels and outputs."""
        key = (part.w, tap, k, n)
        address, fresh = self.ws.find(key)
        if fresh:
            self.bring("weights", key, WRAM, address, self.w_pieces(part, tap, k, depth, n, many))
        return address

    def w_pieces(self, part: Part, tap: tuple[int, int, int], k: int, depth: int, n: int, many: int) -> list[Piece]:
        """Where weights are in DRAM."""
        kernel, width = self.kernel, self.width
        columns = self.window.size[1] if self.window else 1
        base = self.addresses[kernel.w.tensor] + (kernel.w.offset + part.w + n) * width
        stride = (kernel.w.stride or kernel.n) * width
        row = (tap[0] * columns + tap[1]) * kernel.k + k
        if depth == kernel.k:
            return [Piece(base + row * stride, 0, depth * tap[2], many * width, stride)]
        return [Piece(base + (row + x * kernel.k) * stride, x * depth * many * width, depth, many * width, stride)
                for x in range(tap[2])]  # fmt: skip

    def bring(self, what: str, key: Hashable, scope: int, address: int, pieces: Sequence[Piece]) -> None:
        """Pieces from DRAM to `address` on chip, through SharedRAM if `what` passes there."""
        builder, tensor, pack = self.builder, self.kernel.w.tensor, None
        size = self.ws.size
        if what == "weights" and builder.packed is not None and builder.packed.wanted(tensor, size):
            pack = builder.packed.tile(tensor, pieces)
        if self.shared is not None and self.kernel.shared == what:
            self.shared.fetch(key, scope, address, pieces, pack, self.type)
            return
        if pack is not None:
            builder.emit("expand", dst=scope, src=DRAM, far=pack.far, near=address, bytes=pack.size, length=pack.length,
                         type=self.type)  # fmt: skip
            return
        for one in pieces:
            self.builder.copy(scope, DRAM, one.far, address + one.offset, one.rows, one.size, one.stride)

    def load_x(self, item: "Item") -> tuple[int, list[Callable[[], None]]]:
        """Where the inputs of a tile are to be, and the loads still to emit; zeros around them are written now."""
        part, spot, _, k, depth = item
        address, fresh = self.xs.find((part.x, spot, k))
        if not fresh:
            return address, []
        pieces = self.x_pieces(part, spot, k, depth, address)
        return address, [partial(self.bring, "inputs", (part.x, spot, k), NRAM, address, pieces)]

    def x_pieces(self, part: Part, spot: Spot, k: int, depth: int, address: int) -> list[Piece]:
        """Where the inputs of a tile are in DRAM; zeros around them are written now, from `address` on."""
        kernel, width = self.kernel, self.width
        stride = (kernel.x.stride or kernel.k) * width
        base = self.addresses[kernel.x.tensor] + (kernel.x.offset + part.x + k) * width
        window = self.window
        if window is None:
            return [Piece(base + spot.x * stride, 0, spot.tw, depth * width, stride)]
        if self.direct:
            pieces: list[Piece] = []
            for row in range(spot.th):
                y, x = (spot.y + row) * window.stride[0], spot.x * window.stride[1]
                pixel = (spot.image * window.height + y) * window.width + x
                pieces.append(Piece(base + pixel * stride, row * spot.tw * depth * width, spot.tw, depth * width,
                                    stride * window.stride[1]))  # fmt: skip
            return pieces
        return window_pieces(self.builder, window, spot, base, stride, address, depth * width, kernel.dtype, 0.0)

    def gather(self, part: Part, spot: Spot, k: int, depth: int, tap: tuple[int, int, int], at: int) -> int:
        """The inputs of one tap, a row for each output pixel."""
        if self.gathers is None:
            return at
        assert self.window is not None
        address, fresh = self.gathers.find((part.x, spot, k, tap))
        if fresh:
            gather(self.builder, self.window, spot, tap, at, address, depth * self.width)
        return address


def gather(builder: Builder, window: Window, spot: Spot, tap: tuple[int, int, int], at: int, address: int,
           pixel: int) -> None:  # fmt: skip
    """Rows of an input tile at `at` to a packed plane; `pixel` is the bytes of one pixel of the tile."""
    broad = reach(window, spot.th, spot.tw)[1]
    size = tap[2] * pixel
    for row in range(spot.th):
        source = (
            at + ((row * window.stride[0] + tap[0] * window.dilation[0]) * broad + tap[1] * window.dilation[1]) * pixel
        )
        builder.copy(NRAM, NRAM, source, address + row * spot.tw * size, spot.tw, size, window.stride[1] * pixel)


def load_window(builder: Builder, window: Window, spot: Spot, base: int, stride: int, address: int, pixel: int, dtype: str,
                outside: float) -> list[Callable[[], None]]:  # fmt: skip
    """The loads of the input that a tile reaches, packed; where it leaves the image it is now filled with `outside`."""
    pieces = window_pieces(builder, window, spot, base, stride, address, pixel, dtype, outside)
    return [partial(builder.copy, NRAM, DRAM, one.far, address + one.offset, one.rows, one.size, one.stride)
            for one in pieces]  # fmt: skip


def window_pieces(builder: Builder, window: Window, spot: Spot, base: int, stride: int, address: int, pixel: int,
                  dtype: str, outside: float) -> list[Piece]:  # fmt: skip
    """The input that a tile reaches, packed; where it leaves the image it is now filled with `outside`."""
    tall, broad = reach(window, spot.th, spot.tw)
    top, left = spot.y * window.stride[0] - window.pads[0], spot.x * window.stride[1] - window.pads[1]
    first, last = max(0, top), min(window.height, top + tall)
    begin, end = max(0, left), min(window.width, left + broad)
    if last - first < tall or end - begin < broad:
        builder.emit("vec", fn=FUNCTIONS.index("fill"), type=DTYPES.index(dtype), dst=address, imm=1, b=bits(outside),
                     length=tall * broad * pixel // BYTES[dtype])  # fmt: skip
    if begin >= end or first >= last:
        return []
    whole = end - begin == broad == window.width
    pieces: list[Piece] = []
    for y in range(first, last, last - first if whole else 1):
        rows = last - first if whole else 1
        far = base + ((spot.image * window.height + y) * window.width + begin) * stride
        near = ((y - top) * broad + begin - left) * pixel
        pieces.append(Piece(far, near, rows * (end - begin), pixel, stride))
    return pieces
