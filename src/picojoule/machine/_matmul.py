"""Schedules of Y[m, n] = X[m, k]·W[k, n] on one core and on a cluster, and the bound that no schedule passes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, permutations, product
from typing import Final

from picojoule.quantity import InputError

from ._draft import Draft
from ._machine import BYTES, DTYPES, Machine
from ._program import Buffer, Program

ORDERS: Final = tuple("".join(order) for order in permutations("mkn"))
_DRAM, _SRAM, _NRAM, _WRAM = range(4)
_SUM: Final = 4  # bytes of a sum


@dataclass(frozen=True, slots=True)
class Times:
    """Cycles of the four parts of one product, each taken alone."""

    load_x: Fraction
    load_w: Fraction
    compute: Fraction
    store_y: Fraction

    @property
    def serial(self) -> Fraction:
        """Without overlap."""
        return self.load_x + self.load_w + self.compute + self.store_y

    @property
    def bus(self) -> Fraction:
        """Of the off-chip bus."""
        return self.load_x + self.load_w + self.store_y

    @property
    def bound(self) -> Fraction:
        """No schedule takes fewer cycles."""
        return max(self.compute, self.bus)

    @property
    def bound_by(self) -> str:
        """ "compute" or "memory"."""
        return "compute" if self.compute >= self.bus else "memory"


def times(machine: Machine, m: int, k: int, n: int, dtype: str = "float32", *, compress_x: int = 1,
          compress_w: int = 1, compress_y: int = 1, density: Fraction = Fraction(1)) -> Times:  # fmt: skip
    """Each tensor once over the bus, the products spread over all cores. Compressed tensors are c times shorter.

    `density` is the share of products that are computed.
    """
    one = BYTES[dtype]
    return Times(
        Fraction(m * k * one, compress_x) / machine.bus, Fraction(k * n * one, compress_w) / machine.bus,
        Fraction(m * k * n, machine.rate("macs", dtype) * machine.cores) * density,
        Fraction(m * n * _SUM, compress_y) / machine.bus,
    )  # fmt: skip


def matmul(machine: Machine, m: int, k: int, n: int, tile: tuple[int, int, int], order: str = "mnk", *,
           dtype: str = "float32", overlap: bool = True, decode: tuple[int, int] = (0, 0)) -> Program:  # fmt: skip
    """A program for one core. `tile` is (rows, inner, columns); `order` its loops, outermost first.

    Every tile of X and W is read once and kept to its last use; loads go before stores. Without `overlap` each
    instruction waits for the one before it. `decode` (x, w): X and W cross the bus 2^x and 2^w times shorter.
    """
    work = _Core(machine, (m, k, n), tile, order, BYTES[dtype], DTYPES.index(dtype), decode)
    work.build(overlap)
    work.draft.schedule()
    name = f"matmul {m}x{k}x{n}, tiles {'x'.join(map(str, work.tile))}, {order}" + ("" if overlap else ", no overlap")
    return work.draft.program(buffers_of((m, k, n), dtype, work.base), name)


def no_overlap(machine: Machine, m: int, k: int, n: int, dtype: str = "float32") -> Program:
    """One thing at a time, in the tallest row tiles that fit."""
    one = BYTES[dtype]
    rows = min(m, machine.sizes["nram"] // (k * one + n * _SUM))
    return matmul(machine, m, k, n, (max(1, rows), k, n), overlap=False, dtype=dtype)


def column_blocks(machine: Machine, m: int, k: int, n: int, blocks: int, dtype: str = "float32") -> Program:
    """X whole, W in column blocks, double-buffered: t_X + t_W/blocks + t_C + t_Y/blocks where compute is the slower."""
    return matmul(machine, m, k, n, (m, k, -(-n // blocks)), dtype=dtype)


def row_tiles(machine: Machine, m: int, k: int, n: int, tiles: int, dtype: str = "float32") -> Program:
    """W whole, X in row tiles, double-buffered: t_W + t_X/tiles + t_C + t_Y/tiles where compute is the slower."""
    return matmul(machine, m, k, n, (-(-m // tiles), k, n), dtype=dtype)


def outer_products(machine: Machine, m: int, k: int, n: int, tile: tuple[int, int, int] = (2, 16, 16),
                   dtype: str = "float32") -> Program:  # fmt: skip
    """Small tiles, inner index outermost: the sums stay on chip and computing starts after the first small loads."""
    return matmul(machine, m, k, n, (min(tile[0], m), min(tile[1], k), min(tile[2], n)), "knm", dtype=dtype)


def search(machine: Machine, m: int, k: int, n: int, *, least: tuple[int, int, int] = (1, 16, 16), most: int = 2500,
           orders: Iterable[str] = ORDERS) -> tuple[Fraction, tuple[int, int, int], str]:  # fmt: skip
    """The fastest tiling by powers of two, of at most `most` tiles: (cycles, tile, order). The first among equals."""
    best: tuple[Fraction, tuple[int, int, int], str] | None = None
    for tile in product(_powers(least[0], m), _powers(least[1], k), _powers(least[2], n)):
        if -(-m // tile[0]) * -(-k // tile[1]) * -(-n // tile[2]) > most:
            continue
        for order in orders:
            try:
                work = _Core(machine, (m, k, n), tile, order, 4, 0)
                work.build(True)
                cycles = Fraction(work.draft.schedule(), machine.ticks)
            except InputError:
                continue  # does not fit
            if best is None or cycles < best[0]:
                best = cycles, tile, order
    if best is None:
        raise InputError("no tiling fits", where=f"machine {machine.name}", expected="a larger `most`, smaller `least`")
    return best


def _powers(least: int, most: int) -> list[int]:
    return [1 << e for e in range(13) if min(least, most) <= 1 << e <= most] or [most]


def buffers_of(shape: tuple[int, int, int], dtype: str, base: tuple[int, int, int]) -> tuple[Buffer, ...]:
    m, k, n = shape
    total = "int32" if dtype.startswith("int") else "float32"
    return (Buffer("X", "dram", base[0], dtype, (m, k), "input"), Buffer("W", "dram", base[1], dtype, (k, n), "input"),
            Buffer("Y", "dram", base[2], total, (m, n), "output"))  # fmt: skip


def place(m: int, k: int, n: int, one: int) -> tuple[int, int, int]:
    """Where X, W and Y lie in DRAM."""
    w = -(-m * k * one // 64) * 64
    return 0, w, w + -(-k * n * one // 64) * 64


Tile = tuple[int, int]


class Product:
    """A product in tiles: which there are, when each is used last, and the instructions that move and multiply them."""

    def __init__(self, shape: tuple[int, int, int], tile: tuple[int, int, int], order: str, one: int, dtype: int,
                 decode: tuple[int, int] = (0, 0)) -> None:  # fmt: skip
        if order not in ORDERS or min(*shape, *tile) < 1:
            raise InputError(f"tile {tile} in order {order!r}", expected=f"sizes of 1 or more, order one of {', '.join(ORDERS)}",
                             example="tile=(32, 256, 32), order='mnk'")  # fmt: skip
        self.decode = decode
        self.shape, self.one, self.dtype = shape, one, dtype
        self.tile = tm, tk, tn = tuple(min(size, whole) for size, whole in zip(tile, shape, strict=True))
        self.base = place(*shape, one)
        self.ops = list(self._tiles(order))
        self.x_last = {(m, k): i for i, (m, k, _) in enumerate(self.ops)}
        self.w_last = {(k, n): i for i, (_, k, n) in enumerate(self.ops)}
        self.y_last = {(m, n): i for i, (m, _, n) in enumerate(self.ops)}
        self.y_size, self.x_size, self.w_size = tm * tn * _SUM, tm * tk * one, tk * tn * one
        self.peak = self._peak()

    def _tiles(self, order: str) -> Iterator[tuple[int, int, int]]:
        ranges = [range(0, self.shape["mkn".index(name)], self.tile["mkn".index(name)]) for name in order]
        at = [order.index(name) for name in "mkn"]
        for found in product(*ranges):
            yield found[at[0]], found[at[1]], found[at[2]]

    def _peak(self) -> int:
        """The most tiles of sums that are live at once."""
        first: dict[Tile, int] = {}
        for i, (m, _, n) in enumerate(self.ops):
            first.setdefault((m, n), i)
        change = [0] * (len(self.ops) + 1)
        for y, i in first.items():
            change[i] += 1
            change[self.y_last[y] + 1] -= 1
        return max(accumulate(change))

    def _edge(self, axis: int, at: int) -> int:
        return min(self.tile[axis], self.shape[axis] - at)

    def load(
        self, draft: Draft, kind: str, tile: Tile, near: int, needs: Iterable[int | None], key: tuple[int, ...]
    ) -> int:
        """The load of a tile of "x" or "w"; its number in the draft."""
        row, column = tile
        axis = "xw".index(kind)
        rows, size, stride = (
            self._edge(axis, row),
            self._edge(axis + 1, column) * self.one,
            self.shape[axis + 1] * self.one,
        )
        far = self.base[axis] + (row * self.shape[axis + 1] + column) * self.one
        return draft.add(0, "move", needs, key, dst=(_NRAM, _WRAM)[axis], src=_DRAM, far=far, near=near,
                         decode=self.decode[axis], **packed(rows, size, stride))  # fmt: skip

    def multiply(self, draft: Draft, at: int, needs: Iterable[int | None], x: int, w: int, y: int, acc: bool) -> int:
        """Product number `at`, of what lies in places x and w to place y."""
        m, k, n = (self._edge(axis, start) for axis, start in enumerate(self.ops[at]))
        return draft.add(0, "mm", needs, (at,), y=y, w=w, x=x, m=m, k=k, n=n, acc=int(acc), type=self.dtype)

    def store(self, draft: Draft, tile: Tile, near: int, needs: Iterable[int | None], key: tuple[int, ...]) -> int:
        """The store of a tile of sums."""
        m, n = tile
        rows, size = self._edge(0, m), self._edge(2, n) * _SUM
        far = self.base[2] + (m * self.shape[2] + n) * _SUM
        return draft.add(0, "move", needs, key, dst=_DRAM, src=_NRAM, far=far, near=near,
                         **packed(rows, size, self.shape[2] * _SUM))  # fmt: skip

    def move(
        self, draft: Draft, key: tuple[str, Tile], near: int, needs: Iterable[int | None], order: tuple[int, ...]
    ) -> int:
        """The load of a tile of "x" or "w", the store of one of "y"."""
        if key[0] == "y":
            return self.store(draft, key[1], near, needs, order)
        return self.load(draft, key[0], key[1], near, needs, order)


class _Core(Product):
    """One product on core 0. Tile j of X lies in place j mod slots, and so do those of W and Y."""

    def __init__(self, machine: Machine, shape: tuple[int, int, int], tile: tuple[int, int, int], order: str, one: int,
                 dtype: int, decode: tuple[int, int] = (0, 0)) -> None:  # fmt: skip
        super().__init__(shape, tile, order, one, dtype, decode)
        self.draft = Draft(machine)
        self._slots(machine.sizes["nram"], machine.sizes["wram"])

    def _slots(self, nram: int, wram: int) -> None:
        """Y gets room for its live tiles and one more, X half of NRAM or what all of Y leaves, Y the rest; W all of WRAM."""
        peak, all_y = self.peak, len(self.y_last)
        fair = max((nram - all_y * self.y_size) // self.x_size, nram // 2 // self.x_size)
        for ys in (min(peak + 1, all_y), peak):
            xs = min(len(self.x_last), (nram - ys * self.y_size) // self.x_size, max(1, fair))
            if xs >= 1:
                break
        ys = min(all_y, (nram - xs * self.x_size) // self.y_size)
        ws = min(len(self.w_last), wram // self.w_size)
        if xs < 1 or ws < 1:
            raise InputError(f"tiles of {self.x_size}, {self.w_size} and {peak} times {self.y_size} bytes",
                             expected=f"X and Y within {nram} bytes of NRAM, W within {wram} of WRAM",
                             example="smaller tiles")  # fmt: skip
        self.x_slots, self.w_slots, self.y_slots = xs, ws, ys

    def build(self, overlap: bool) -> None:
        """Every instruction with what it needs."""
        loaded_x: dict[Tile, tuple[int, int]] = {}
        loaded_w: dict[Tile, tuple[int, int]] = {}
        sums: dict[Tile, int] = {}
        x_order, w_order = list(dict.fromkeys((m, k) for m, k, _ in self.ops)), list(
            dict.fromkeys((k, n) for _, k, n in self.ops))  # fmt: skip
        multiplies: list[int] = []
        stores: list[int] = []
        late: list[tuple[int, int]] = []  # a load, and the product (by its place in `ops`) that frees its place
        for i, (m, k, n) in enumerate(self.ops):
            chain = [len(self.draft.nodes) - 1] if not overlap and self.draft.nodes else []
            if (m, k) not in loaded_x:
                j = len(loaded_x)
                loaded_x[m, k] = self._load_x(j, m, k, chain), j % self.x_slots
                if j >= self.x_slots:
                    late.append((loaded_x[m, k][0], self.x_last[x_order[j - self.x_slots]]))
            chain = [len(self.draft.nodes) - 1] if not overlap and self.draft.nodes else []
            if (k, n) not in loaded_w:
                j = len(loaded_w)
                loaded_w[k, n] = self._load_w(j, k, n, chain), j % self.w_slots
                if j >= self.w_slots:
                    late.append((loaded_w[k, n][0], self.w_last[w_order[j - self.w_slots]]))
            chain = [len(self.draft.nodes) - 1] if not overlap else []
            fresh = (m, n) not in sums
            j = sums.setdefault((m, n), len(sums))
            freed = [stores[j - self.y_slots]] if fresh and self.y_slots <= j < len(stores) + self.y_slots else []
            if fresh and j >= self.y_slots and not freed:
                raise InputError("sums outlive their places", where="schedule", expected="another order of the loops",
                                 example="order='mnk'")  # fmt: skip
            needs = [loaded_x[m, k][0], loaded_w[k, n][0], *freed, *chain, *multiplies[-1:]]
            multiplies.append(self._multiply(i, needs, loaded_x[m, k][1], loaded_w[k, n][1], j, not fresh))
            if self.y_last[m, n] == i:
                stores.append(self._store(j, m, n, multiplies[-1]))
        for load, op in late:
            self.draft.nodes[load].needs.append(multiplies[op])

    def _load_x(self, j: int, m: int, k: int, chain: list[int]) -> int:
        near = self.y_slots * self.y_size + j % self.x_slots * self.x_size
        return self.load(self.draft, "x", (m, k), near, chain, (0, len(self.draft.nodes)))

    def _load_w(self, j: int, k: int, n: int, chain: list[int]) -> int:
        return self.load(self.draft, "w", (k, n), j % self.w_slots * self.w_size, chain, (0, len(self.draft.nodes)))

    def _multiply(self, i: int, needs: list[int], x: int, w: int, y: int, acc: bool) -> int:
        x_at, w_at, y_at = self.y_slots * self.y_size + x * self.x_size, w * self.w_size, y % self.y_slots * self.y_size
        return self.multiply(self.draft, i, needs, x_at, w_at, y_at, acc)

    def _store(self, j: int, m: int, n: int, after: int) -> int:
        return self.store(self.draft, (m, n), j % self.y_slots * self.y_size, [after], (1, j))


def packed(rows: int, size: int, stride: int) -> dict[str, int]:
    """The fields of a move of `rows`; rows that follow each other are one."""
    if (rows == 1 or stride == size) and rows * size < 1 << 20:
        return {"rows": 1, "bytes": rows * size}
    return {"rows": rows, "bytes": size, "stride": stride}
