"""The product on a cluster: columns of W and Y split over the cores, X sent to all of them through SharedRAM."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from picojoule.quantity import InputError

from ._draft import Draft
from ._machine import BYTES, DTYPES, Machine
from ._matmul import Times, buffers_of, packed, place, times
from ._program import Program

_DRAM, _SRAM, _NRAM, _WRAM = range(4)
_SUM: Final = 4


@dataclass(frozen=True, slots=True)
class ClusterTimes:
    """Cycles of a product's parts on a cluster; the links of the cores work side by side."""

    off_chip: Times
    inward: Fraction  # X and its part of W, to one core
    outward: Fraction  # its part of Y, from one core

    @property
    def serial(self) -> Fraction:
        """Without overlap."""
        return self.off_chip.serial + self.inward + self.outward

    @property
    def bound(self) -> Fraction:
        """No schedule takes fewer cycles."""
        return max(self.off_chip.bound, self.inward + self.outward)


def cluster_times(machine: Machine, m: int, k: int, n: int, dtype: str = "float32", passes: int = 1) -> ClusterTimes:
    """X goes to every core `passes` times, W and Y once, a part to each."""
    one, part = BYTES[dtype], Fraction(n, machine.cores)
    return ClusterTimes(times(machine, m, k, n, dtype), (passes * m * k * one + k * part * one) / machine.link,
                        m * part * _SUM / machine.link)  # fmt: skip


def cluster_matmul(machine: Machine, m: int, k: int, n: int, rounds: int, rows: int | None = None, *,
                   dtype: str = "float32", overlap: bool = True) -> Program:  # fmt: skip
    """A program for every core and the DMA: W in `rounds` column rounds, X in tiles of `rows` (all of it by default).

    X stays in SharedRAM; W passes through it. With several tiles of rows each core reads X again in every round.
    """
    if not machine.sizes["sram"]:
        raise InputError(
            "no SharedRAM", where=f"machine {machine.name}", expected="a cluster", example="textbook-cluster"
        )
    if rounds < 1 or n % (machine.cores * rounds) or m % (rows or m):
        raise InputError(f"{n} columns over {machine.cores} cores in {rounds} rounds, {m} rows by {rows or m}",
                         expected="sizes that divide", example="32 256 128, 16 rounds")  # fmt: skip
    work = _Cluster(machine, (m, k, n), rounds, rows or m, BYTES[dtype], DTYPES.index(dtype), overlap)
    work.build()
    work.draft.schedule()
    name = f"matmul {m}x{k}x{n} on {machine.cores} cores, {rounds} rounds" + ("" if overlap else ", no overlap")
    return work.draft.program(buffers_of((m, k, n), dtype, work.base), name)


class _Cluster:
    """Step i of every core multiplies row tile i mod tiles with the columns of round i div tiles."""

    def __init__(self, machine: Machine, shape: tuple[int, int, int], rounds: int, rows: int, one: int, dtype: int,
                 overlap: bool) -> None:  # fmt: skip
        self.machine, self.shape, self.rounds, self.rows, self.one = machine, shape, rounds, rows, one
        self.dtype, self.overlap, self.draft, self.base = dtype, overlap, Draft(machine), place(*shape, one)
        self.tiles, self.wide = shape[0] // rows, shape[2] // rounds  # columns of all cores in one round
        self.part = self.wide // machine.cores
        m, k, _ = shape
        steps = self.tiles * rounds
        w, y = k * self.wide * one, rows * self.wide * _SUM
        left = machine.sizes["sram"] - m * k * one
        self.y_ring = min(steps, max(2, (left - rounds * w) // y))
        self.w_ring = min(rounds, (left - self.y_ring * y) // w)
        self.w_base, self.y_base = m * k * one, m * k * one + max(0, self.w_ring) * w
        nram, x_core, y_core = machine.sizes["nram"], rows * k * one, rows * self.part * _SUM
        self.x_core = min(self.tiles, 2)
        self.y_core = min(steps, (nram - self.x_core * x_core) // y_core)
        self.w_core = min(rounds, machine.sizes["wram"] // (k * self.part * one))
        if min(self.w_ring, self.y_core, self.w_core) < 1:
            raise InputError(f"{rounds} rounds of {self.wide} columns, tiles of {rows} rows do not fit",
                             where=f"machine {machine.name}", expected="tiles that fit SharedRAM, NRAM and WRAM",
                             example="more rounds, fewer rows")  # fmt: skip

    def build(self) -> None:
        """Every instruction of every agent."""
        _, k, n = self.shape
        dma, cores = len(self.machine.agents) - 1, range(self.machine.cores)
        x_in: list[int] = []
        w_in: list[int] = []
        stores: list[int] = []
        taken: list[list[int]] = []  # by round: the moves that read W out of SharedRAM
        state = [_State() for _ in cores]
        late: list[tuple[int, int]] = []
        add, tile = self.draft.add, self.rows * k * self.one
        for i in range(self.tiles * self.rounds):
            r, t = divmod(i, self.tiles)
            if r == 0:
                x_in.append(
                    add(
                        dma,
                        "move",
                        self._last(dma),
                        (0, 2 * i),
                        dst=_SRAM,
                        src=_DRAM,
                        far=self.base[0] + t * tile,
                        near=t * tile,
                        **packed(self.rows, k * self.one, k * self.one),
                    )
                )
            if t == 0:
                w_in.append(
                    add(
                        dma,
                        "move",
                        self._last(dma),
                        (0, 2 * i + 1),
                        dst=_SRAM,
                        src=_DRAM,
                        far=self.base[1] + r * self.wide * self.one,
                        near=self._w_at(r),
                        **packed(k, self.wide * self.one, n * self.one),
                    )
                )
                taken.append([])
                if r >= self.w_ring:
                    late.append((w_in[r], r - self.w_ring))
            before = self._last(dma)
            outs = []
            for c in cores:
                w_move, out = self._core(c, i, x_in[t], w_in[r], stores, state[c], before)
                taken[r] += [w_move] if w_move is not None else []
                outs.append(out)
            stores.append(add(dma, "move", outs, (1, i), dst=_DRAM, src=_SRAM, near=self._y_at(i),
                              far=self.base[2] + (t * self.rows * n + r * self.wide) * _SUM,
                              **packed(self.rows, self.wide * _SUM, n * _SUM)))  # fmt: skip
        for load, r in late:
            self.draft.nodes[load].needs += taken[r]

    def _last(self, _: int) -> list[int]:
        """What an instruction without overlap waits for."""
        return [len(self.draft.nodes) - 1] if not self.overlap and self.draft.nodes else []

    def _w_at(self, r: int) -> int:
        return self.w_base + r % self.w_ring * self.shape[1] * self.wide * self.one

    def _y_at(self, i: int) -> int:
        return self.y_base + i % self.y_ring * self.rows * self.wide * _SUM

    def _core(self, c: int, i: int, x_in: int, w_in: int, stores: list[int], state: "_State",
              before: list[int]) -> tuple[int | None, int]:  # fmt: skip
        """One step of one core; (its move of W, its move of Y)."""
        k, add, (r, t) = self.shape[1], self.draft.add, divmod(i, self.tiles)
        x_size, y_size = self.rows * k * self.one, self.rows * self.part * _SUM
        w_move = None
        if self.tiles > 1 or i == 0:
            free = state.multiplies[i - self.x_core] if i >= self.x_core else None
            state.x = add(c, "move", [x_in, free, *before], (2 * i - 2, 0), dst=_NRAM, src=_SRAM, far=t * x_size,
                          near=i % self.x_core * x_size, **packed(self.rows, k * self.one, k * self.one))  # fmt: skip
        if t == 0:
            free = state.multiplies[(r - self.w_core + 1) * self.tiles - 1] if r >= self.w_core else None
            w_move = state.w = add(
                c, "move", [w_in, free, *before], (2 * i - 2, 1), dst=_WRAM, src=_SRAM,
                far=self._w_at(r) + c * self.part * self.one, near=r % self.w_core * k * self.part * self.one,
                **packed(k, self.part * self.one, self.wide * self.one),
            )  # fmt: skip
        free = state.outs[i - self.y_core] if i >= self.y_core else None
        y = self.x_core * x_size + i % self.y_core * y_size
        state.multiplies.append(
            add(c, "mm", [state.x, state.w, free, *state.multiplies[-1:]], (i,), y=y, x=i % self.x_core * x_size,
                w=r % self.w_core * k * self.part * self.one, m=self.rows, k=k, n=self.part, type=self.dtype)
        )  # fmt: skip
        room = stores[i - self.y_ring] if i >= self.y_ring else None
        state.outs.append(
            add(c, "move", [state.multiplies[-1], room], (2 * i + 1, 0), dst=_SRAM, src=_NRAM, near=y,
                far=self._y_at(i) + c * self.part * _SUM, **packed(self.rows, self.part * _SUM, self.wide * _SUM))
        )  # fmt: skip
        return w_move, state.outs[-1]


class _State:
    """What one core has issued."""

    def __init__(self) -> None:
        self.x = self.w = -1
        self.multiplies: list[int] = []
        self.outs: list[int] = []
