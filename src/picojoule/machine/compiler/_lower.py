"""Kernels to instructions: planes, windows, folds over pixels, and copies."""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from math import prod

from picojoule.quantity import InputError

from .._machine import BYTES, DTYPES
from .._meaning import BINARY, FOLDS, FUNCTIONS
from ._build import DRAM, NRAM, Builder, share
from ._choose import halves, reach
from ._kernel import Contract, Copy, Kernel, Plane, Shrink, Strided, Sweep
from ._lower_contract import Spot, areas, contract, load_window
from ._tile import BodyPlan, BodyRun, Ring, bits, up

_PIECES = 8  # tiles that a plane is cut into at least, where they stay worth a move
_LOWEST = -3.4028234663852886e38


def lower(builder: Builder, kernel: Kernel, addresses: Mapping[str, int], dtypes: Mapping[str, str]) -> None:
    """Emit the instructions of one kernel, every core's share of them."""
    builder.begin()
    if isinstance(kernel, Contract):
        contract(builder, kernel, addresses, dtypes)
    elif isinstance(kernel, Sweep):
        sweep(builder, kernel, addresses, dtypes)
    elif isinstance(kernel, Shrink):
        shrink(builder, kernel, addresses, dtypes)
    elif isinstance(kernel, Copy):
        copies(builder, kernel, addresses, dtypes)
    else:
        assert isinstance(kernel, Plane)
        plane(builder, kernel, addresses, dtypes)


def _refuse(kernel: Kernel, builder: Builder) -> InputError:
    return InputError("no tile fits on chip", where=f"node {kernel.name}",
                      expected=f"rows that fit {builder.machine.sizes['nram']} bytes of NRAM",
                      example="a machine with larger memories")  # fmt: skip


def plane(builder: Builder, kernel: Plane, addresses: Mapping[str, int], dtypes: Mapping[str, str]) -> None:
    """A body, in tiles of whole rows where it folds, else of whatever fits."""
    body, room = kernel.body, builder.machine.sizes["nram"]
    plan = BodyPlan(body, False)
    n = body.n
    while plan.bytes(1, n) > room and n > 1 and not body.whole:
        n = -(-n // 2)
    if plan.bytes(1, n) > room:
        raise _refuse(kernel, builder)
    split = body.m >= builder.cores or body.whole  # rows, else columns
    part = len(share(body.m, 0, builder.cores)) if split else body.m
    m = max(1, -(-part // _PIECES))
    m = min(part, max(m, -(-4096 // (4 * n))))
    while plan.bytes(m, n) > room:
        m = -(-m // 2)
    for _ in builder.each():
        nram, _ = areas(builder)
        run = BodyRun(builder, plan, nram, addresses, dtypes, (m, n))
        rows = share(body.m, builder.core, builder.cores) if split else range(body.m)
        columns = range(body.n) if split else share(body.n, builder.core, builder.cores)
        for row in rows[::m]:
            for column in columns[::n]:
                few, many = min(m, rows.stop - row), min(n, columns.stop - column)
                run.run((row, column), [(row, few)], column, many)


def sweep(builder: Builder, kernel: Sweep, addresses: Mapping[str, int], dtypes: Mapping[str, str]) -> None:
    """Pooling and depthwise convolution: every tap is folded into the result."""
    assert kernel.window is not None
    for _ in builder.each():
        run = _Sweeping(builder, kernel, addresses, dtypes)
        before: tuple[Spot, int, int] | None = None
        for spot, c in run.tiles():
            at, loads = run.inputs(spot, c)
            if before is not None:
                run.tile(*before)
            for load in loads:
                load()
            before = spot, c, at
        if before is not None:
            run.tile(*before)


class _Sweeping:
    """Tiles of a Sweep. For each kernel column one plane is gathered, its rows sorted by what they are modulo the
    stride: then the plane under every tap is a run of rows of it."""

    def __init__(
        self, builder: Builder, kernel: Sweep, addresses: Mapping[str, int], dtypes: Mapping[str, str]
    ) -> None:
        assert kernel.window is not None
        self.builder, self.kernel, self.window, self.addresses = builder, kernel, kernel.window, addresses
        self.dtype = dtypes.get(kernel.x.tensor, "float32")
        self.width = BYTES[self.dtype]
        plan = BodyPlan(kernel.body, True)
        tall, channels = self.window.out[0], self.window.channels
        split = tall >= builder.cores or tall > channels
        self.rows = share(tall, builder.core, builder.cores) if split else range(tall)
        self.channels = range(channels) if split else share(channels, builder.core, builder.cores)
        self.th, self.tw, self.tc = _sweep_tile(builder, kernel, plan, self.width)
        nram, _ = areas(builder)
        self.run = BodyRun(builder, plan, nram, addresses, dtypes, (self.th * self.tw, self.tc))
        tall, broad = reach(self.window, self.th, self.tw)
        self.xs = nram.ring(tall * broad * self.tc * self.width, 2)
        self.gathers = nram.ring(tall * self.tw * self.tc * self.width, 2)
        self.spare = nram.ring(self.th * self.tw * self.tc * 4, 1).base
        self.count = self.window.size[0] * self.window.size[1]
        self.ws = nram.ring(self.count * self.tc * 4, 2)

    def tiles(self) -> Iterator[tuple[Spot, int]]:
        """Output pixels and first channel of the tiles of this core: its share of the rows, or of the channels."""
        window, rows = self.window, self.rows
        for c in self.channels[:: self.tc]:
            for image in range(window.images):
                for y in rows[:: self.th]:
                    for x in range(0, window.out[1], self.tw):
                        yield Spot(image, y, x, min(self.th, rows.stop - y), min(self.tw, window.out[1] - x)), c

    def inputs(self, spot: Spot, c: int) -> tuple[int, list[Callable[[], None]]]:
        """Where the inputs of a tile are to be, and the loads still to emit."""
        at, many = self.xs.find((spot, c))[0], min(self.tc, self.channels.stop - c)
        base = self.addresses[self.kernel.x.tensor] + (self.kernel.x.offset + c) * self.width
        stride = (self.kernel.x.stride or self.window.channels) * self.width
        outside = 0.0 if self.kernel.fn == "add" else _LOWEST if self.dtype == "float32" else -128.0
        return at, load_window(
            self.builder, self.window, spot, base, stride, at, many * self.width, self.dtype, outside
        )

    def gather(self, spot: Spot, at: int, column: int, target: int, pixel: int) -> None:
        """The plane of one kernel column."""
        window, copy = self.window, self.builder.copy
        tall, broad = reach(window, spot.th, spot.tw)
        step, row = window.stride[0], spot.tw * pixel
        first = at + column * window.dilation[1] * pixel
        for rest in range(min(step, tall)):
            count = len(range(rest, tall, step))
            near = target + _before(tall, step, rest) * row
            if window.stride[1] == 1:
                copy(NRAM, NRAM, first + rest * broad * pixel, near, count, row, step * broad * pixel)
                continue
            for i in range(count):
                source = first + (rest + i * step) * broad * pixel
                copy(NRAM, NRAM, source, near + i * row, spot.tw, pixel, window.stride[1] * pixel)

    def tile(self, spot: Spot, c: int, at: int) -> None:
        """Every tap of a tile: the taps of one kernel column after those of the one before."""
        window, kernel, emit = self.window, self.kernel, self.builder.emit
        many = min(self.tc, self.channels.stop - c)
        pixel, tall = many * self.width, reach(window, spot.th, spot.tw)[0]
        weights, fresh = self.ws.find(c) if kernel.w is not None else (-1, False)
        if fresh and kernel.w is not None:
            far = self.addresses[kernel.w.tensor] + c * 4
            self.builder.copy(NRAM, DRAM, far, weights, self.count, many * 4, window.channels * 4)
        result, length = self.run.result((spot, c)), spot.th * spot.tw
        first = True
        for column in range(window.size[1]):
            planes = self.gathers.find((spot, c, column))[0]
            self.gather(spot, at, column, planes, pixel)
            for row in range(window.size[0]):
                down, rest = divmod(row * window.dilation[0], window.stride[0])
                a = planes + (_before(tall, window.stride[0], rest) + down) * spot.tw * pixel
                target = result if first else self.spare
                if self.dtype == "int8":
                    emit("vec", fn=FUNCTIONS.index("dequantise"), type=DTYPES.index("int8"), dst=target, a=a, imm=1,
                         b=bits(1.0), length=length * many)  # fmt: skip
                    a = target
                if weights >= 0:
                    w = weights + (row * window.size[1] + column) * many * 4
                    emit("rows", fn=BINARY.index("mul"), dst=target, a=a, b=w, m=length, n=many)
                    a = target
                if not first:
                    emit("vec", fn=FUNCTIONS.index(kernel.fn), dst=result, a=result, b=a, length=length * many)
                elif a != result:
                    emit("vec", fn=FUNCTIONS.index("copy"), dst=result, a=a, length=length * many)
                first = False
        self.run.run((spot, c), _segments(kernel, spot), c, many)


def _before(tall: int, step: int, rest: int) -> int:
    """How many of `tall` rows have a smaller rest than `rest` modulo `step`."""
    return sum(len(range(r, tall, step)) for r in range(rest))


def _segments(kernel: Sweep, spot: Spot) -> list[tuple[int, int]]:
    assert kernel.window is not None
    height, width = kernel.window.out
    first = (spot.image * height + spot.y) * width + spot.x
    if spot.tw == width:
        return [(first, spot.th * width)]
    return [(first + row * width, spot.tw) for row in range(spot.th)]


def _sweep_tile(builder: Builder, kernel: Sweep, plan: BodyPlan, width: int) -> tuple[int, int, int]:
    """The tile that moves the fewest bytes again and again, and of those the one with the fewest gathers."""
    window, room = kernel.window, builder.machine.sizes["nram"]
    assert window is not None
    best: tuple[float, tuple[int, int, int]] | None = None
    for tc in halves(window.channels, 1):
        for th in halves(window.out[0], 1):
            for tw in halves(window.out[1], 1):
                tall, broad = reach(window, th, tw)
                pixels = th * tw
                count = window.size[0] * window.size[1]
                need = plan.bytes(pixels, tc) + 2 * up(tall * broad * tc * width) + 2 * up(tall * tw * tc * width)
                need += 2 * up(count * tc * 4) + up(pixels * tc * 4)
                if need > room:
                    continue
                tiles = -(-window.out[0] // th) * -(-window.out[1] // tw) * -(-window.channels // tc)
                moved = tiles * tall * broad * tc * width / float(builder.machine.bus)
                gathers = window.size[1] * (window.stride[0] if window.stride[1] == 1 else tall)
                price = moved + tall * broad * tc * width / float(builder.machine.bus)
                price += tiles * (2 * count + gathers + tall) * 2
                if best is None or price < best[0]:
                    best = (price, (th, tw, tc))
    if best is None:
        raise _refuse(kernel, builder)
    return best[1]


def shrink(builder: Builder, kernel: Shrink, addresses: Mapping[str, int], dtypes: Mapping[str, str]) -> None:
    """Pixels in slices; the running result of one slice is the first row of the next, so the order is that of pixels."""
    body, room = kernel.body, builder.machine.sizes["nram"]
    plan = BodyPlan(body, True)
    dtype = dtypes.get(kernel.x.tensor, "float32")
    width = BYTES[dtype]
    tc, rows = len(share(body.n, 0, builder.cores)), kernel.rows
    while plan.bytes(1, tc) + 2 * up((rows + 1) * tc * 4) + (2 * up(rows * tc) if width == 1 else 0) > room:
        if tc > 64 or rows == 1:
            if tc == 1:
                raise _refuse(kernel, builder)
            tc = -(-tc // 2)
        else:
            rows = -(-rows // 2)
    for _ in builder.each():
        nram, _ = areas(builder)
        run = BodyRun(builder, plan, nram, addresses, dtypes, (1, tc))
        places = nram.ring((rows + 1) * tc * 4, 2)
        small = nram.ring(rows * tc, 2) if width == 1 else None
        channels = share(body.n, builder.core, builder.cores)
        for image in range(body.m):
            for c in channels[::tc]:
                many = min(tc, channels.stop - c)
                result = run.result((image, c))
                slices = range(0, kernel.rows, rows)
                at = places.find((image, c, 0))[0]
                for number, first in enumerate(slices):
                    count = min(rows, kernel.rows - first)
                    stride = (kernel.x.stride or body.n) * width
                    far = (
                        addresses[kernel.x.tensor]
                        + kernel.x.offset * width
                        + (image * kernel.rows + first) * stride
                        + c * width
                    )
                    data = at + many * 4
                    near = data if small is None else small.find((image, c, number))[0]
                    builder.copy(NRAM, DRAM, far, near, count, many * width, stride)
                    if small is not None:
                        builder.emit("vec", fn=FUNCTIONS.index("dequantise"), type=DTYPES.index("int8"), dst=data, a=near, imm=1,
                                     b=bits(1.0), length=count * many)  # fmt: skip
                    last = first + rows >= kernel.rows
                    following = result if last else places.find((image, c, number + 1))[0]
                    start = data if number == 0 else at
                    builder.emit(
                        "fold",
                        fn=FOLDS.index(kernel.fn),
                        dst=following,
                        a=start,
                        m=count + (number > 0),
                        n=many,
                        down=1,
                    )
                    at = following
                run.run((image, c), [(image, 1)], c, many)


def copies(builder: Builder, kernel: Copy, addresses: Mapping[str, int], dtypes: Mapping[str, str]) -> None:
    """Pieces of a tensor, through NRAM."""
    builder.core = 0
    nram, _ = areas(builder)
    target = kernel.pieces[0].target.tensor
    width = BYTES[dtypes.get(target, "float32")]
    if kernel.fill is not None:
        size = min(kernel.body.n * width, up(builder.machine.sizes["nram"] // 8))
        at = nram.ring(size, 1).base
        builder.emit("vec", fn=FUNCTIONS.index("fill"), type=DTYPES.index("float32" if width == 4 else "int8"), dst=at, imm=1,
                     b=bits(kernel.fill), length=size // width)  # fmt: skip
        for first in range(0, kernel.body.n * width, size):
            part = min(size, kernel.body.n * width - first)
            builder.copy(DRAM, NRAM, addresses[target] + first, at, 1, part, 0)
        builder.begin()
    size = builder.machine.sizes["nram"] // 4 // 64 * 64
    for _ in builder.each():
        if builder.core:
            nram, _ = areas(builder)
        ring = nram.ring(size, min(3, (builder.machine.sizes["nram"] - nram.used) // size))
        for number, piece in enumerate(kernel.pieces):
            _piece(builder, piece, addresses, width, ring, size, number)


def _merged(piece: Strided) -> list[tuple[int, int, int]]:
    """Axes of size 1 dropped, axes that run on in both tensors made one."""
    dims: list[tuple[int, int, int]] = []
    for size, source, target in piece.dims:
        if size == 1:
            continue
        if dims and dims[-1][1] == size * source and dims[-1][2] == size * target:
            dims[-1] = (dims[-1][0] * size, source, target)
        else:
            dims.append((size, source, target))
    return dims


def _piece(builder: Builder, piece: Strided, addresses: Mapping[str, int], width: int, ring: Ring, room: int,
           number: int) -> None:  # fmt: skip
    """One piece of a copy: every so many-th tile of it is this core's."""
    dims = _merged(piece)
    run = 1
    if dims and dims[-1][1:] == (1, 1):
        run = dims.pop()[0]
    source = addresses[piece.source.tensor] + piece.source.offset * width
    target = addresses[piece.target.tensor] + piece.target.offset * width
    largest = max(1, room // width)
    if run > largest:  # one long run: in slices
        dims.append((-(-run // largest), largest, largest))
        tail = run
        run = largest
    else:
        tail = 0
    if not dims:
        dims = [(1, run, run)]
    by_source = sorted(dims, key=lambda d: -d[1])
    by_target = sorted(dims, key=lambda d: -d[2])
    order = by_source if by_source[-1][0] > by_target[-1][0] else by_target
    if tail or any(d[1] == 0 for d in order[-1:]):
        order = by_target
    *outer, (rows, s, t) = order
    fit = max(1, min(rows, room // (run * width)))
    block, (q, sq, tq) = 1, (1, 0, 0)
    if outer and fit == rows:
        q, sq, tq = outer.pop()
        block = max(1, min(q, room // (rows * run * width)))
    rounds = prod(size for size, _, _ in outer)
    if builder.cores > 1 and q > 1:
        block = max(1, min(block, -(-q * rounds // builder.cores)))
    tile = 0
    for index in product(*(range(size) for size, _, _ in outer)):
        a = sum(i * dim[1] for i, dim in zip(index, outer, strict=True))
        b = sum(i * dim[2] for i, dim in zip(index, outer, strict=True))
        for first in range(0, q, block):
            many = min(block, q - first)
            for row in range(0, rows, fit):
                count = min(fit, rows - row)
                size = run
                if tail and row + count == rows and tail % run:
                    size = tail % run
                tile += 1
                if tile % builder.cores != builder.core:
                    continue
                at = ring.find((number, a, b, first, row))[0]
                far = source + (a + first * sq + row * s) * width
                _side(builder, NRAM, DRAM, far, at, many, sq, count, s, size, width)
                far = target + (b + first * tq + row * t) * width
                _side(builder, DRAM, NRAM, far, at, many, tq, count, t, size, width)


def _side(builder: Builder, dst: int, src: int, far: int, at: int, many: int, outer: int, count: int, inner: int, run: int,
          width: int) -> None:  # fmt: skip
    """`many` times `count` runs, in as few moves as their strides allow."""
    outer = count * inner if many == 1 else outer
    if inner == run and outer == count * run:
        builder.copy(dst, src, far, at, 1, many * count * run * width, 0)
    elif outer == count * inner and inner:
        builder.copy(dst, src, far, at, many * count, run * width, inner * width)
    else:
        for one in range(many):
            begin = far + one * outer * width
            near = at + one * count * run * width
            if inner == 0:
                for again in range(count):
                    builder.copy(dst, src, begin, near + again * run * width, 1, run * width, 0)
            else:
                builder.copy(dst, src, begin, near, count, run * width, inner * width)
