"""Windows that fold channel by channel, and folds over whole images, to instructions."""

from collections.abc import Callable, Iterator, Mapping

from .._machine import BYTES, DTYPES
from .._meaning import BINARY, FOLDS, FUNCTIONS
from ._build import DRAM, NRAM, Builder, share
from ._choose import halves, reach
from ._kernel import Shrink, Sweep
from ._lower_contract import Spot, areas, load_window, refused
from ._tile import BodyPlan, BodyRun, bits, up

_LOWEST = float("-inf")


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
        raise refused(kernel, builder)
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
                raise refused(kernel, builder)
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
