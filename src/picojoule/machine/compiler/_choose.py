"""Tile sizes: every candidate is priced by the bytes it moves and the cycles it computes, and the cheapest is taken.

The price is max(bus, matrix and vector unit) plus the first loads and the last store, plus half a cycle for each
instruction, so that of two schedules about as fast the shorter program wins. It is a rule for choosing, not a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product

from picojoule.quantity import InputError

from .._machine import Machine
from ._kernel import Contract, Window
from ._tile import BodyPlan, up


@dataclass(frozen=True, slots=True)
class Tiling:
    """Rows and columns of output pixels (rows alone: th = 1), channels in and out; which loop is outside; places."""

    th: int
    tw: int
    tk: int
    tn: int
    rows_outside: bool
    x_slots: int
    w_slots: int


def halves(whole: int, least: int) -> list[int]:
    """`whole` and its halves, rounded up, down to `least`."""
    found = [whole]
    while found[-1] > least:
        found.append(max(least, -(-found[-1] // 2)))
    return found


_KNOWN: dict[object, tuple[float, Tiling]] = {}  # layers alike are priced once


def choose(machine: Machine, kernel: Contract, plan: BodyPlan, width: int) -> tuple[float, Tiling]:
    """The cheapest tiling that fits, and its price. `width` is the bytes of an operand."""
    sizes = tuple(sorted(machine.sizes.items()))
    rates = (
        machine.bus,
        machine.link,
        machine.tile,
        machine.setup,
        tuple(sorted(machine.macs.items())),
        _lanes(machine),
    )
    key = (
        sizes,
        rates,
        kernel.m,
        kernel.k,
        kernel.n,
        kernel.window,
        kernel.dtype,
        tuple(plan.shelves),
        len(plan.body.steps),
    )
    if key not in _KNOWN:
        if len(_KNOWN) > 10_000:
            _KNOWN.clear()
        _KNOWN[key] = _cheapest(machine, kernel, plan, width)
    return _KNOWN[key]


def _cheapest(machine: Machine, kernel: Contract, plan: BodyPlan, width: int) -> tuple[float, Tiling]:
    best: tuple[float, Tiling] | None = None
    for th, tw, tk, tn in _candidates(kernel):
        found = _price(machine, kernel, plan, width, th, tw, tk, tn)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    if best is None:
        raise InputError("no tile fits on chip", where=f"node {kernel.name}", expected="a machine with larger memories",
                         example="nram: 128 KiB")  # fmt: skip
    return best


def divided(machine: Machine, kernel: Contract, plan: BodyPlan, width: int) -> tuple[str, Tiling]:
    """How the cores share a product: "parts", "rows" or "columns" of the result; and the tiling of each share."""
    cores, window = machine.cores, kernel.window
    if cores == 1:
        return "rows", choose(machine, kernel, plan, width)[1]
    slower = replace(machine, bus=machine.bus / cores)
    if len(kernel.parts) >= cores:
        return "parts", choose(slower, kernel, plan, width)[1]
    tall = window.out[0] if window else kernel.m
    high, wide = -(-tall // cores), -(-kernel.n // cores)
    if window is None:
        rows = replace(kernel, m=high)
    else:
        rows = replace(kernel, m=kernel.m * high // tall, window=replace(window, out=(high, window.out[1])))
    options = {"rows": rows, "columns": replace(kernel, n=wide)}
    priced = {name: choose(slower, one, plan, width) for name, one in options.items()}
    name = min(priced, key=lambda one: priced[one][0])
    return name, priced[name][1]


def _candidates(kernel: Contract) -> Iterator[tuple[int, int, int, int]]:
    window = kernel.window
    if window is None:
        return iter(product([1], halves(kernel.m, 8), halves(kernel.k, 32), halves(kernel.n, 8)))
    wide = window.out[1]
    return iter(product(halves(window.out[0], 1), halves(wide, 8), halves(kernel.k, 16), halves(kernel.n, 8)))


def reach(window: Window, th: int, tw: int) -> tuple[int, int]:
    """Rows and columns of the input that a tile of th×tw results needs."""
    tall, wide = window.reach
    return (th - 1) * window.stride[0] + tall, (tw - 1) * window.stride[1] + wide


def taps(window: Window) -> list[tuple[int, int, int]]:
    """(kernel row, first kernel column, columns) that one gather takes together."""
    height, width = window.size
    if window.dilation[1] == 1:
        return [(y, 0, width) for y in range(height)]
    return [(y, x, 1) for y in range(height) for x in range(width)]


def _price(machine: Machine, kernel: Contract, plan: BodyPlan, width: int, th: int, tw: int, tk: int,
           tn: int) -> tuple[float, Tiling] | None:  # fmt: skip
    window = kernel.window
    chunks, columns = -(-kernel.k // tk), -(-kernel.n // tn)
    pixels = th * tw
    if window is None:
        spots, x_bytes, gathered, tap_count, wide = -(-kernel.m // tw), up(tw * tk * width), 0, 1, 1
    else:
        spots = window.images * -(-window.out[0] // th) * -(-window.out[1] // tw)
        groups = taps(window)
        tap_count, wide = len(groups), groups[0][2]
        direct = window.direct
        tall, broad = reach(window, th, tw)
        gathered = 0 if direct else 2 * up(pixels * wide * tk * width)
        x_bytes = up((pixels if direct else tall * broad) * tk * width)
    w_bytes = up(wide * tk * tn * width)
    nram = machine.sizes["nram"] - plan.bytes(pixels, tn) - gathered
    x_slots = min(chunks * spots, nram // x_bytes)
    w_slots = min(chunks * columns * tap_count, machine.sizes["wram"] // w_bytes)
    if x_slots < 1 or w_slots < 1:
        return None
    best = None
    macs = float(machine.mac_cycles(pixels, wide * tk, tn, kernel.dtype))
    products = spots * columns * chunks * tap_count
    compute = macs * products + len(plan.body.steps) * kernel.m * kernel.n / _lanes(machine)
    for outside in (True, False):
        x_loads = _loads(chunks, spots, columns, x_slots, outside)
        w_loads = _loads(chunks * tap_count, columns, spots, w_slots, not outside)
        moved = x_loads * x_bytes + w_loads * w_bytes + plan.traffic(kernel.m, kernel.n)
        fill = x_bytes + w_bytes + pixels * tn * 4
        slow = 1 if min(x_slots, w_slots) > 1 or products == 1 else 2  # one place: loading and computing take turns
        bus = float(Fraction(moved) / machine.bus) + machine.setup * (x_loads + w_loads)
        rows = 1 if window is None else reach(window, th, tw)[0]
        count = products * (1 + (th if gathered else 0)) + x_loads * rows + w_loads * 2
        price = (
            max(bus, compute)
            + (min(bus, compute) if slow == 2 else 0)
            + float(Fraction(fill) / machine.bus)
            + count * 2.0
        )
        found = (price, Tiling(th, tw, tk, tn, outside, x_slots, w_slots))
        if best is None or found[0] < best[0]:
            best = found
    return best


def _loads(inner: int, own: int, other: int, slots: int, outside: bool) -> int:
    """Tiles loaded: `inner`·`own` different ones, used `other` times; kept while the other loop runs if they fit."""
    if inner * own <= slots:
        return inner * own
    if outside and inner <= slots - (inner * own > slots):
        return inner * own
    return inner * own * other


def _lanes(machine: Machine) -> int:
    return machine.lanes.get("float32", 1)
