"""Instructions in the order in which one would write them, with what each must wait for; then the order in which they run.

Four lines of instructions keep their order: loads, stores, moves on chip, computations. Loads and stores share the IO
stream; which of them goes next is decided as time passes, the one that can start first, a load among equals. What an
instruction waits for is found from the bytes that it reads and writes, as the instruction set says.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

from .._isa import SPECS, Instruction, Region, make
from .._machine import Machine
from .._program import Buffer, Program

DRAM, SRAM, NRAM, WRAM = range(4)
LIMIT: Final = 1_000_000  # instructions of one program, as the planner allows
_LOAD, _STORE, _MOVE, _COMPUTE = range(4)
_STREAM: Final = (0, 0, 1, 2)
_GRAIN: Final = {"dram": 512, "nram": 64, "wram": 64}  # bytes that are watched together
_MAX_ROWS, _MAX_BYTES, _MAX_STRIDE = (1 << 12) - 1, (1 << 20) - 1, (1 << 22) - 1


class Builder:
    """One program of one core. `tracked` bytes of DRAM from 0 on are written; what lies above is constant."""

    def __init__(self, machine: Machine, tracked: int) -> None:
        self.machine = machine
        self.code: list[Instruction] = []
        self.lines: list[int] = []
        self.ticks: list[int] = []
        self.needs: list[NDArray[np.int64]] = []
        self.counts = [0, 0, 0, 0]
        self.tracked = tracked
        sizes = {"dram": tracked, "nram": machine.sizes["nram"], "wram": machine.sizes["wram"]}
        self.seen = {
            scope: np.zeros((2, 4, size // _GRAIN[scope] + 1), np.int32) for scope, size in sizes.items()
        }  # written and read, by line: the number of the last one, from 1

    def emit(self, name: str, **values: int) -> None:
        """One more instruction."""
        one = make(name, **values)
        spec, found = SPECS[name], one.values
        line = _COMPUTE
        if name == "move":
            line = _STORE if found["dst"] == DRAM else _LOAD if found["src"] == DRAM else _MOVE
        reads, writes = spec.reads(found), spec.writes(found)
        needs = np.zeros(4, np.int64)
        for region in reads:
            where = self._where(region)
            if where is not None:
                np.maximum(needs, where[0].max(axis=1), out=needs)
        for region in writes:
            where = self._where(region)
            if where is not None:
                np.maximum(needs, where.max(axis=(0, 2)), out=needs)
        self.counts[line] += 1
        for kind, regions in ((1, reads), (0, writes)):
            for region in regions:
                where = self._where(region)
                if where is not None:
                    where[kind, line] = self.counts[line]
        if len(self.code) >= LIMIT:
            raise InputError(f"more than {LIMIT} instructions", where=f"machine {self.machine.name}",
                             expected="a smaller network, or larger memories")  # fmt: skip
        self.code.append(one)
        self.lines.append(line)
        self.ticks.append(spec.duration(self.machine, found))
        self.needs.append(needs)

    def _where(self, region: Region) -> NDArray[Any] | None:
        end = region.start + (region.rows - 1) * region.stride + region.size
        if region.scope == "dram" and region.start >= self.tracked:
            return None
        grain = _GRAIN[region.scope]
        return self.seen[region.scope][:, :, region.start // grain : (end - 1) // grain + 1]

    def copy(self, dst: int, src: int, far: int, near: int, rows: int, size: int, stride: int) -> None:
        """Rows of `size` bytes, `stride` apart in the outer memory, in as few moves as the fields allow."""
        if rows == 1 or stride == size:
            whole, at = rows * size, 0
            while at < whole:
                part = min(_MAX_BYTES // 64 * 64, whole - at)
                self.emit("move", dst=dst, src=src, far=far + at, near=near + at, bytes=part)
                at += part
            return
        if size > _MAX_BYTES or stride > _MAX_STRIDE:
            for row in range(rows):
                self.copy(dst, src, far + row * stride, near + row * size, 1, size, size)
            return
        for first in range(0, rows, _MAX_ROWS):
            part = min(_MAX_ROWS, rows - first)
            self.emit("move", dst=dst, src=src, far=far + first * stride, near=near + first * size, bytes=size, rows=part,
                      stride=stride if part > 1 else 0)  # fmt: skip

    # Order and tokens --------------------------------------------------------------------------------------------

    def schedule(self) -> tuple[list[list[int]], int]:
        """The order of each stream (io, move, compute), and the ticks until all have ended."""
        queues: list[list[int]] = [[], [], [], []]
        for number, line in enumerate(self.lines):
            queues[line].append(number)
        needs = [tuple(int(x) for x in row) for row in self.needs]
        ends: list[list[int]] = [[0], [0], [0], [0]]  # of the first so many of each line
        free, order = [0, 0, 0], [[], [], []]  # type: tuple[list[int], list[list[int]]]

        def ready(line: int) -> int:
            """When the head of a line could start; -1: not known yet, -2: the line is empty."""
            at = len(ends[line]) - 1
            if at == len(queues[line]):
                return -2
            latest = 0
            for other, need in enumerate(needs[queues[line][at]]):
                if need >= len(ends[other]):
                    return -1
                latest = max(latest, ends[other][need])
            return latest

        def go(line: int, start: int) -> None:
            number, stream = queues[line][len(ends[line]) - 1], _STREAM[line]
            end = max(start, free[stream]) + self.ticks[number]
            ends[line].append(max(end, ends[line][-1]))
            free[stream] = end
            order[stream].append(number)

        while True:
            moved = False
            for line in (_MOVE, _COMPUTE):
                while (start := ready(line)) >= 0:
                    go(line, start)
                    moved = True
            starts = [max(start, free[0]) if (start := ready(line)) >= 0 else start for line in (_LOAD, _STORE)]
            if starts == [-2, -2]:
                if not moved:
                    break
                continue
            if max(starts) < 0:
                if moved:
                    continue
                raise InputError("instructions wait for each other", where="compiler", expected="an order")
            line = _LOAD if starts[1] < 0 or 0 <= starts[0] <= starts[1] else _STORE
            go(line, max(0, starts[line]))
        return order, max(max(one) for one in ends)

    def program(self, buffers: list[Buffer], constants: dict[str, bytes], source: str) -> tuple[Program, int]:
        """The program in its order with its tokens, and the ticks that it takes."""
        order, ticks = self.schedule()
        place = [0] * len(self.code)
        for stream in order:
            for at, number in enumerate(stream):
                place[number] = at
        rows: list[list[int]] = [[], [], [], []]
        for number, line in enumerate(self.lines):
            rows[line].append(place[number])
        # of the first so many of each line, the last in its stream
        latest = [[-1, *np.maximum.accumulate(row).tolist()] if row else [-1] for row in rows]
        tokens = [0] * len(self.code)
        needs = [row.tolist() for row in self.needs]
        for here, stream in enumerate(order):
            seen = [-1, -1, -1]
            for number in stream:
                wanted = [-1, -1, -1]
                for line, need in enumerate(needs[number]):
                    wanted[_STREAM[line]] = max(wanted[_STREAM[line]], latest[line][need])
                for there, position in enumerate(wanted):
                    if there != here and position > seen[there]:
                        seen[there] = position
                        tokens[number] |= 1 << _bit(here, there)
                        tokens[order[there][position]] |= 4 << _bit(there, here)
        code: list[Instruction] = []
        for number in self._written(order):
            one = self.code[number]
            code.append(Instruction(one.name, one.values, tokens[number], len(code) + 1))
        return Program({"core0": tuple(code)}, tuple(buffers), constants, source), ticks

    def _written(self, order: list[list[int]]) -> list[int]:
        """One list with each stream in its order: by the order in which they were emitted as far as that allows."""
        result = list[int]()
        at = [0, 0, 0]
        while True:
            heads = [stream[i] for stream, i in zip(order, at, strict=True) if i < len(stream)]
            if not heads:
                return result
            number = min(heads)
            result.append(number)
            at[_STREAM[self.lines[number]]] += 1


def _bit(here: int, other: int) -> int:
    """Which of the two other streams `other` is to `here`."""
    return [s for s in range(3) if s != here].index(other)
