"""One convolution tiled over output channels m, rows y, columns x and input channels c: loop code, traffic, tiles held.

A buffer holds one tile of each tensor. The code loads a tile where the innermost loop that moves it begins, and the law
of picojoule.mapping counts the same words in closed form; kernels r, s stay inside the tile.
"""

import math
import re
from collections.abc import Mapping as Map
from dataclasses import dataclass
from itertools import product

from picojoule.mapping import (
    Accelerator,
    Array,
    Convention,
    Level,
    Mapping,
    NoMappingError,
    Optimum,
    Problem,
    contraction,
    optimum,
    per_level,
    traffic,
)
from picojoule.quantity import InputError

ROLES = ("input", "weight", "output")
DIMS = ("m", "y", "x", "c")
MOVED_BY = {"input": "cyx", "weight": "mc", "output": "myx"}
RULE = Convention(window="hull")  # slices of an array are whole intervals
_SHAPES = 1 << 19
_LAYER = re.compile(r"conv (\d{1,6})->(\d{1,6}), (\d{1,6})x(\d{1,6}) out, (\d{1,3})x(\d{1,3}) s(\d{1,3})\b.*")


@dataclass(frozen=True, slots=True)
class Layer:
    """C -> M channels, Y x X outputs, R x S kernel; its input is already padded."""

    c: int
    m: int
    y: int
    x: int
    r: int
    s: int
    stride: int = 1

    @property
    def problem(self) -> Problem:
        """Its space and what each tensor is indexed by."""
        space = {name: getattr(self, name) for name in "mcyxrs"}
        rows, columns = [("y", self.stride), ("r", 1)], [("x", self.stride), ("s", 1)]
        return contraction("convolution", space, {
            "input": [[("c", 1)], rows, columns], "weight": [[(name, 1)] for name in "mcrs"],
            "output": [[("m", 1)], [("y", 1)], [("x", 1)]]})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tiling:
    """Sizes of a tile by dimension, and the loops over tiles, outermost first."""

    tile: Map[str, int]
    order: str

    def trips(self, layer: Layer) -> dict[str, int]:
        """Tiles along each dimension, in the order of the loops."""
        return {dim: -(-int(getattr(layer, dim)) // self.tile[dim]) for dim in self.order}


def read_layer(text: str, where: str) -> Layer:
    """A layer from `conv C->M, YxX out, RxS sSTRIDE`."""
    found = _LAYER.fullmatch(text.strip())
    if found is None or min(int(number) for number in found.groups()) < 1:
        raise InputError(f"the layer {text[:60]!r} is not read", where=where, expected="conv C->M, YxX out, RxS sSTRIDE",
                         example='--set layer="conv 256->384, 13x13 out, 3x3 s1"')  # fmt: skip
    return Layer(*(int(number) for number in found.groups()))


def read_tiling(layer: Layer, tile: Map[str, int], order: str, where: str) -> Tiling:
    """A tiling with sizes cut to the layer; the order names each of m, y, x, c once."""
    if sorted(order) != sorted(DIMS):
        raise InputError(f"the order {order[:20]!r}", where=where, expected="each of m, y, x, c once, outermost first",
                         example='--set order_outer_to_inner="myxc"')  # fmt: skip
    return Tiling({dim: min(tile[dim], getattr(layer, dim)) for dim in DIMS}, order)


def words_moved(layer: Layer, tiling: Tiling) -> dict[str, int]:
    """Words between memory and buffer by the traffic law."""
    outer = tuple(tiling.trips(layer).items())
    inner = (*tiling.tile.items(), ("r", layer.r), ("s", layer.s))
    moved = traffic(layer.problem, machine_of(None), Mapping((outer, inner)), RULE)
    found = {"input": moved.of("memory", "input", "read"), "weight": moved.of("memory", "weight", "read"),
             "out_write": moved.of("memory", "output", "update"), "out_read": moved.of("memory", "output", "read")}  # fmt: skip
    return {**found, "total": sum(found.values())}


def footprint(layer: Layer, tile: Map[str, int]) -> int:
    """Words of one tile of each tensor."""
    rows, columns = (min(layer.stride * (tile[a] - 1) + k, layer.stride * (x - 1) + k)
                     for a, k, x in (("y", layer.r, layer.y), ("x", layer.s, layer.x)))  # fmt: skip
    outputs = tile["m"] * tile["y"] * tile["x"]
    return tile["c"] * rows * columns + tile["m"] * tile["c"] * layer.r * layer.s + outputs


def machine_of(words: int | None) -> Accelerator:
    """A memory and a buffer of `words` words (None: without limit), one bit a word."""
    levels = (Level("memory", ROLES), Level("buffer", ROLES, capacity_bits=words))
    return Accelerator("buffer", levels, Array("buffer", ()), tuple((role, 1) for role in ROLES))


def least_words(layer: Layer, words: int) -> Optimum:
    """The mapping that moves the fewest words with a buffer of `words`, with its proof; tiles divide the layer."""
    shapes = math.prod(sum(extent % size == 0 for size in range(1, extent + 1)) for extent in layer.problem.extents)
    if shapes > _SHAPES:
        raise InputError(f"a layer of {shapes} tile shapes", expected=f"at most {_SHAPES} to be searched",
                         example='--set layer="conv 256->384, 13x13 out, 3x3 s1"')  # fmt: skip
    machine = machine_of(words)
    counted = {"memory": 1.0, "buffer": 0.0}
    try:
        return optimum(layer.problem, machine, per_level(machine, 0.0, counted, counted), convention=RULE)
    except NoMappingError:
        raise InputError(f"a buffer of {words} words", expected="room for one word of each tensor",
                         example="--set buffer_words=16384") from None  # fmt: skip


def plain_code(layer: Layer) -> list[str]:
    """The six loops of the layer."""
    step = "" if layer.stride == 1 else f"{layer.stride} * "
    loops = [f"{'  ' * depth}for {dim} in range({getattr(layer, dim)}):" for depth, dim in enumerate("myxcrs")]
    return [*loops, f"{'  ' * 6}Y[m, y, x] += X[c, {step}y + r, {step}x + s] * W[m, c, r, s]"]


def tiled_code(layer: Layer, tiling: Tiling) -> list[str]:
    """The loops over tiles, what is loaded and stored where, and the loops inside a tile; Python that runs.

    X, W, Y are arrays of (c, rows, columns), (m, c, r, s), (m, y, x); `load` and `store` move a tile and return it,
    `clear` makes a tile of zeros as large as another; `ndindex` counts all indices of a shape.
    """
    loops = [(dim, trip) for dim, trip in tiling.trips(layer).items() if trip > 1]
    depth = {
        role: max((i + 1 for i, (dim, _) in enumerate(loops) if dim in MOVED_BY[role]), default=0) for role in ROLES
    }
    part = {role: _slice(layer, tiling, role) for role in ROLES}
    returns = any(dim == "c" for dim, _ in loops[: depth["output"]])
    lines = []
    for level in range(len(loops) + 1):
        pad = "  " * level
        if depth["input"] == level:
            lines.append(f"{pad}x = load(X{part['input']})")
        if depth["weight"] == level:
            lines.append(f"{pad}w = load(W{part['weight']})")
        if depth["output"] == level:
            begin = "(load if c0 else clear)" if returns else "clear"
            lines.append(f"{pad}y = {begin}(Y{part['output']})")
        if level < len(loops):
            dim = loops[level][0]
            lines.append(f"{pad}for {dim}0 in range(0, {getattr(layer, dim)}, {tiling.tile[dim]}):")
    pad, step = "  " * len(loops), "" if layer.stride == 1 else f"{layer.stride} * "
    lines += [f"{pad}for m, i, j in ndindex(y.shape):", f"{pad}  for c, r, s in ndindex(w.shape[1:]):",
              f"{pad}    y[m, i, j] += x[c, {step}i + r, {step}j + s] * w[m, c, r, s]"]  # fmt: skip
    return [*lines, f"{'  ' * depth['output']}Y{part['output']} = store(y)"]


def _slice(layer: Layer, tiling: Tiling, role: str) -> str:
    """`[m0:m0+64, c0:c0+16]`, `:` where one tile spans the dimension."""
    trips = tiling.trips(layer)

    def part(dim: str, stride: int = 1, kernel: int = 1) -> str:
        if trips[dim] == 1:
            return ":"
        size = stride * (tiling.tile[dim] - 1) + kernel
        start = f"{dim}0" if stride == 1 else f"{stride}*{dim}0"
        return f"{start}:{start}+{size}"

    parts = {
        "input": [part("c"), part("y", layer.stride, layer.r), part("x", layer.stride, layer.s)],
        "weight": [part("m"), part("c")], "output": [part("m"), part("y"), part("x")],
    }[role]  # fmt: skip
    return f"[{', '.join(parts)}]"


def tiles_held(layer: Layer, tiling: Tiling, most: int) -> tuple[int, dict[str, tuple[int, ...]]]:
    """How many steps the loops over tiles take, and for the first `most` the index of the tile held of each tensor."""
    trips = tiling.trips(layer)
    held: dict[str, list[int]] = {role: [] for role in ROLES}
    for step, place in enumerate(product(*(range(trip) for trip in trips.values()))):
        if step == most:
            break
        at = dict(zip(trips, place, strict=True))
        for role, tiles in held.items():
            index = 0
            for dim in MOVED_BY[role]:
                index = index * trips[dim] + at[dim]
            tiles.append(index)
    return math.prod(trips.values()), {role: tuple(tiles) for role, tiles in held.items()}
