"""The algorithm of every convolution: direct, im2col or Winograd's, with what each multiplies and moves.

Direct: tiles of the input come on chip once and are gathered there, tap by tap. im2col: moves write a matrix with a row
of all taps for each result to DRAM, and a plain product reads it. Winograd: F(2×2, 3×3), or F(4×4, 3×3) on request.
"""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

import numpy as np

from picojoule.quantity import InputError

from .._machine import BYTES, Machine
from ._build import LIMIT
from ._choose import Priced, divided
from ._graph import Array
from ._kernel import Body, Contract, Copy, Kernel, Part, Place, Strided, Window
from ._lower_winograd import METHOD
from ._options import Options
from ._tile import BodyPlan
from ._winograd import Winograd, allowed, transformed

_TILES = {"winograd": 2, "winograd4": 4}


@dataclass(frozen=True, slots=True)
class Way:
    """One algorithm for one convolution: its kernels, products, bytes over the bus if each tensor of it crosses as often
    as it must, and the price [cycles] by which it is chosen where that is asked for."""

    name: str
    kernels: tuple[Kernel, ...]
    multiplications: int
    size_bytes: int
    price: float | None = None
    words: float = 0.0  # instructions, about


@dataclass(slots=True)
class Convolved:
    """Kernels in their algorithms, tensors and constants added, and what to tell."""

    kernels: list[Kernel]
    constants: dict[str, Array]
    sizes: dict[str, int]
    dtypes: dict[str, str]
    lines: list[str]


def convolve(kernels: list[Kernel], constants: Mapping[str, Array], sizes: Mapping[str, int], dtypes: Mapping[str, str],
             machine: Machine, options: Options) -> Convolved:  # fmt: skip
    """Every convolution in the algorithm that `options` asks for, the cheapest with "auto", direct where it cannot be."""
    found = Convolved([], {}, {}, {}, [])
    known = ChainMap(found.sizes, dict(sizes))
    left = LIMIT / 2  # instructions that "auto" may spend on Winograd
    for kernel in kernels:
        if not isinstance(kernel, Contract) or kernel.window is None:
            found.kernels.append(kernel)
            continue
        work = _Ways(kernel, kernel.window, constants, known, dtypes, machine, options, left)
        way, line = work.chosen()
        left -= way.words
        found.kernels += way.kernels
        found.lines.append(line)
        used = {name for one in way.kernels for name in (*one.reads(), *one.writes())}
        found.constants.update({name: array for name, array in work.constants.items() if name in used})
        found.sizes.update({name: size for name, size in work.sizes.items() if name in used})
        found.dtypes.update({name: dtype for name, dtype in work.dtypes.items() if name in used})
    return found


class _Ways:
    """The algorithms of one convolution."""

    def __init__(self, kernel: Contract, window: Window, constants: Mapping[str, Array], known: Mapping[str, int],
                 dtypes: Mapping[str, str], machine: Machine, options: Options, left: float) -> None:  # fmt: skip
        self.kernel, self.window, self.machine, self.options = kernel, window, machine, options
        self.given, self.known, self.types, self.left = constants, known, dtypes, left
        self.constants: dict[str, Array] = {}
        self.sizes: dict[str, int] = {}
        self.dtypes: dict[str, str] = {}
        self.one, self.wanted = BYTES[kernel.dtype], options.convolution
        self.taps = prod(window.size)

    def chosen(self) -> tuple[Way, str]:
        """The algorithm that is taken, and the line that says so."""
        wanted = self.wanted
        why = allowed(self.window, self.kernel.dtype)
        ways = [self.direct(), self.im2col()]
        if not why:
            ways += [way for name, tile in _TILES.items() if (way := self.winograd(name, tile)) is not None]
            if len(ways) == 2 or (wanted in _TILES and wanted not in {way.name for way in ways}):
                why = "no tile of it fits on chip"
        known = {way.name: way for way in ways}
        if wanted == "auto":
            offered = [one for one in ways if one.name != "winograd4" and one.words <= self.left]
            way = min(offered, key=lambda one: one.price or 0.0)
        else:
            way = known.get(wanted, known["direct"])
        if isinstance(way.kernels[0], Winograd):
            self.transform(way.kernels[0])
        refused = f" (no Winograd: {why})" if why else ""
        counts = "; ".join(map(_counts, ways))
        return way, f"convolution {self.kernel.name}: {way.name}{refused}; {counts}"

    @property
    def once(self) -> int:
        """Bytes of inputs and of what the body loads and stores."""
        kernel, window = self.kernel, self.window
        pixels = window.images * window.height * window.width
        channels = len({part.x for part in kernel.parts}) * kernel.k
        return pixels * channels * self.one + BodyPlan(kernel.body, True).traffic(kernel.body.m, kernel.body.n)

    @property
    def matrices(self) -> int:
        """Different weights of the parts, in numbers of one tap."""
        return len({part.w for part in self.kernel.parts}) * self.kernel.k * self.kernel.n

    def direct(self) -> Way:
        """As it is."""
        products = self.kernel.m * self.taps * self.kernel.k * self.kernel.n * len(self.kernel.parts)
        size = self.once + self.taps * self.matrices * self.one
        priced = self.priced("direct", self.kernel)
        return Way("direct", (self.kernel,), products, size, priced.price if priced else None)

    def priced(self, name: str, kernel: Contract) -> Priced | None:
        """A product at its best tiling, where it matters."""
        if self.wanted != name and (self.wanted != "auto" or name == "winograd4"):
            return None
        plan, method = BodyPlan(kernel.body, True), METHOD if isinstance(kernel, Winograd) else None
        return divided(self.machine, kernel, plan, self.one, self.options.shared, method)[1]

    def im2col(self) -> Way:
        """A copy that writes the matrix, and a product."""
        kernel, window, one = self.kernel, self.window, self.one
        name = self.fresh(f"{kernel.name}!patches")
        starts = sorted({part.x for part in kernel.parts})
        k = self.taps * kernel.k
        wide = len(starts) * k
        pieces, read = [], 0
        for g, start in enumerate(starts):
            for tap in range(self.taps):
                piece = self.piece(name, start, tap, g * k + tap * kernel.k, wide)
                if piece is not None:
                    pieces.append(piece)
                    read += prod(size for size, _, _ in piece.dims)
        total = kernel.m * wide
        copy = Copy(f"patches of {kernel.name}", Body(1, total), [], tuple(pieces), 0.0 if read < total else None)
        parts = tuple(Part(starts.index(part.x) * k, part.w, part.row, part.column) for part in kernel.parts)
        plain = Contract(kernel.name, kernel.body, kernel.nodes, Place(name, 0, wide), kernel.w, kernel.m, k, kernel.n, parts,
                         None, kernel.dtype)  # fmt: skip
        self.sizes[name], self.dtypes[name] = total, kernel.dtype
        written = total * (2 if copy.fill is not None else 1)
        moved = (read + written) * one  # of the copy
        inputs = window.images * window.height * window.width * len(starts) * kernel.k * one
        size = self.once - inputs + moved + (total + self.taps * self.matrices) * one
        priced = self.priced("im2col", plain)
        price = priced.price + float(Fraction(moved) / self.machine.bus) if priced else None
        return Way("im2col", (copy, plain), kernel.m * k * kernel.n * len(parts), size, price)

    def piece(self, name: str, start: int, tap: int, column: int, wide: int) -> Strided | None:
        """The moves of one tap: from where it lies inside the image to its columns of the matrix."""
        kernel, window = self.kernel, self.window
        at = divmod(tap, window.size[1])
        bounds = []
        for axis, size in enumerate((window.height, window.width)):
            shift = at[axis] * window.dilation[axis] - window.pads[axis]
            step = window.stride[axis]
            first = max(0, -(shift // step))
            last = min(window.out[axis], (size - 1 - shift) // step + 1)
            if first >= last:
                return None
            bounds.append((first, last - first, first * step + shift))
        (y, tall, above), (x, many, left) = bounds
        stride = kernel.x.stride or kernel.k
        row = window.width * stride
        source = kernel.x.offset + start + above * row + left * stride
        target = (y * window.out[1] + x) * wide + column
        dims = (
            (window.images, window.height * row, prod(window.out) * wide),
            (tall, window.stride[0] * row, window.out[1] * wide),
            (many, window.stride[1] * stride, wide),
            (kernel.k, 1, 1),
        )
        return Strided(Place(kernel.x.tensor, source), Place(name, target), dims)

    def winograd(self, name: str, tile: int) -> Way | None:
        """Winograd's kernel with its weights transformed; None where no tile of it fits."""
        kernel, side = self.kernel, tile + 2
        starts = sorted({part.w for part in kernel.parts})
        stored = self.fresh(f"{kernel.w.tensor}!winograd{tile}")
        parts = tuple(
            replace(part, w=starts.index(part.w) * side * side * kernel.k * kernel.n) for part in kernel.parts
        )
        found = Winograd(kernel.name, kernel.body, kernel.nodes, kernel.x, Place(stored, 0, kernel.n), kernel.m, kernel.k,
                         kernel.n, parts, kernel.window, kernel.dtype, tile=tile)  # fmt: skip
        try:
            priced = self.priced(name, found)
        except InputError:  # no tile fits: the caller says so
            return None
        size = self.once + side * side * self.matrices * self.one
        price, words = (priced.price, priced.words * self.machine.cores) if priced else (None, 0.0)
        return Way(name, (found,), found.products, size, price, words)

    def transform(self, found: Winograd) -> None:
        """Its weights."""
        kernel = self.kernel
        flat, size = self.given[kernel.w.tensor].reshape(-1), self.taps * kernel.k * kernel.n
        starts = (kernel.w.offset + start for start in sorted({part.w for part in kernel.parts}))
        turned = [
            transformed(flat[start : start + size].reshape(3, 3, kernel.k, kernel.n), found.tile) for start in starts
        ]
        self.constants[found.w.tensor] = np.stack(turned)
        self.sizes[found.w.tensor] = self.constants[found.w.tensor].size

    def fresh(self, name: str) -> str:
        """A name that no stored tensor has."""
        while name in self.known or name in self.given:
            name += "'"
        return name


def _counts(way: Way) -> str:
    about = "" if way.price is None else f", about {way.price:,.0f} cycles"
    return f"{way.name} {way.multiplications:,} multiplications, {way.size_bytes:,} B{about}"
