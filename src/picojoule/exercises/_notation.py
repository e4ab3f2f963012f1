"""Programs of one product in the simplified notation of exercise 7.7: move, compute, loop, endloop, sync."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from picojoule.quantity import InputError

if TYPE_CHECKING:
    from picojoule.machine import Machine


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes that cross the bus and MACs that are computed, of the whole product."""

    x: Fraction
    w: Fraction
    y: Fraction
    macs: Fraction

    def part(self, name: str, n: int) -> int | None:
        """An n-th of one of them, None where that is no whole number."""
        value = Fraction(getattr(self, name), n)
        return int(value) if value.denominator == 1 else None


def sizes_of(
    m: int, k: int, n: int, compress_x: int = 1, compress_w: int = 1, density: Fraction = Fraction(1)
) -> Sizes:
    """Of float32, X and W so many times shorter on the bus."""
    return Sizes(
        Fraction(4 * m * k, compress_x), Fraction(4 * k * n, compress_w), Fraction(4 * m * n), m * k * n * density
    )


def serial(sizes: Sizes, tiles: int) -> list[str] | None:
    """W, then X, products and Y tile after tile, each waiting for the one before; None if the tiles are no whole bytes."""
    parts = [sizes.part(name, tiles) for name in ("x", "macs", "y")]
    whole = sizes.part("w", 1)
    if whole is None or None in parts:
        return None
    x, macs, y = parts
    body = [f"move DRAM NRAM {x}", "sync", f"compute MAC_32 {macs}", "sync", f"move NRAM DRAM {y}", "sync"]
    return [f"move DRAM WRAM {whole}", *_looped(body, tiles)]


def pipelined(sizes: Sizes, n: int, tiled: str) -> list[str] | None:
    """The next tile comes and the last result goes while one is computed. `tiled` "w": columns of W, "x": rows of X."""
    held, ram, moving, place = ("x", "NRAM", "w", "WRAM") if tiled == "w" else ("w", "WRAM", "x", "NRAM")
    first, tile = sizes.part(held, 1), sizes.part(moving, n)
    macs, y = sizes.part("macs", n), sizes.part("y", n)
    if None in (first, tile, macs, y):
        return None
    load, store = f"move DRAM {place} {tile}", f"move NRAM DRAM {y}"
    work = [f"compute MAC_32 {macs}", "sync"]
    lines = [f"move DRAM {ram} {first}", load, "sync"]
    if n == 1:
        return [*lines, *work, store]
    middle = _looped([load, store, *work], n - 2) if n > 2 else []
    return [*lines, load, *work, *middle, store, *work, store]


def clustered(sizes: Sizes, cores: int, rounds: int, tiles: int) -> list[str] | None:
    """One core's part where X is shared, W and Y are split by columns over cores and rounds, X by rows in tiles.

    Moves from and to DRAM are those of the whole cluster, made once.
    """
    share = cores * rounds
    x, w, tile = sizes.part("x", 1), sizes.part("w", rounds), sizes.part("x", tiles)
    column, macs = sizes.part("w", share), sizes.part("macs", share * tiles)
    own, y = sizes.part("y", share * tiles), sizes.part("y", rounds * tiles)
    if None in (x, w, tile, column, macs, own, y):
        return None
    body = [f"move SharedRAM NRAM {tile}", "sync", f"compute MAC_32 {macs}", "sync", f"move NRAM SharedRAM {own}", "sync",
            f"move SharedRAM DRAM {y}", "sync"]  # fmt: skip
    turn = [f"move DRAM SharedRAM {w}", "sync", f"move SharedRAM WRAM {column}", *_looped(body, tiles)]
    return [f"move DRAM SharedRAM {x}", *_looped(turn, rounds)]


def _looped(body: Sequence[str], count: int) -> list[str]:
    return list(body) if count == 1 else [f"loop {count}", *(f"  {line}" for line in body), "endloop"]


def cycles(lines: Sequence[str], machine: "Machine") -> float | None:
    """Time of such a program on `machine`, run by the simulator; None if a move is larger than its memory."""
    from picojoule.machine import read_textbook, simulate

    try:
        program = read_textbook("\n".join(lines), machine)
    except InputError:
        return None
    return float(simulate(program, machine, check=False).cycles)


def rows_that_fit(machine: "Machine", m: int, k: int, n: int) -> int:
    """Fewest equal row tiles of which X and Y fit NRAM together."""
    room = machine.sizes["nram"]
    return next((tiles for tiles in range(1, m + 1) if m % tiles == 0 and 4 * (m // tiles) * (k + n) <= room), m)
