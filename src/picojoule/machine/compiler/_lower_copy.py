"""Strided copies to instructions, through NRAM."""

from collections.abc import Mapping
from itertools import product
from math import prod

from .._machine import BYTES, DTYPES
from .._meaning import FUNCTIONS
from ._build import DRAM, NRAM, Builder
from ._kernel import Copy, Strided
from ._lower_contract import areas
from ._tile import Ring, bits, up


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
