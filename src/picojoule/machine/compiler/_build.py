"""Instructions in the order in which one would write them, with what each must wait for; then the order in which they run.

Of each core four lines of instructions keep their order: loads, stores, moves on chip, computations. Loads and stores
share the IO stream; which of them goes next is decided as time passes, the one that can start first, a load among
equals. What an instruction waits for is found from the bytes that it reads and writes, as the instruction set says.
Cores and the DMA of a cluster wait for each other by counters, one for each stream that somebody else waits for.
"""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

from .._isa import SPECS, Instruction, Region, make
from .._machine import Machine
from .._program import Buffer, Program
from ._graph import Array
from ._loops import folded
from ._options import DEFAULT, Options
from ._packed import Packed

DRAM, SRAM, NRAM, WRAM = range(4)
LIMIT: Final = 1_000_000  # instructions of one program, as the planner allows
_LOAD, _STORE, _MOVE, _COMPUTE = range(4)
_STREAM: Final = (0, 0, 1, 2)
_GRAIN: Final = {"dram": 512, "sram": 512, "nram": 64, "wram": 64}  # bytes that are watched together
_COUNTERS: Final = 256  # of a machine
_MAX_ROWS, _MAX_BYTES, _MAX_STRIDE = (1 << 12) - 1, (1 << 20) - 1, (1 << 22) - 1


class Builder:
    """One program of all cores. `tracked` bytes of DRAM from 0 on are written; what lies above is constant.

    Instructions go to `core`; the number after the last core is the DMA of a cluster. What cores write to DRAM between
    two calls of `begin` must not overlap; in SharedRAM every byte is watched across agents.
    """

    def __init__(
        self, machine: Machine, tracked: int, options: Options = DEFAULT, packed: Packed | None = None
    ) -> None:
        self.options, self.packed = options, packed
        self.machine, self.tracked, self.core, self.cores = machine, tracked, 0, machine.cores
        self.agents = len(machine.agents)
        self.kernel = 0  # whose instructions are emitted
        self.written = 0  # words before loops
        self.owners: list[int] = []
        self.code: list[Instruction] = []
        self.lines: list[int] = []  # 4·agent + line
        self.ticks: list[int] = []
        self.needs: list[NDArray[np.int64]] = []
        self.counts = [0] * (4 * self.agents)
        # written and read, by line: the number of the last one, from 1
        self.dram = np.zeros((2, 4 * self.agents, tracked // _GRAIN["dram"] + 1), np.int32)
        self.sram = np.zeros((2, 4 * self.agents, machine.sizes["sram"] // _GRAIN["sram"] + 1), np.int32)
        self.before = self.dram  # as it was at the last `begin`
        self.near = [
            {scope: np.zeros((2, 4, machine.sizes[scope] // _GRAIN[scope] + 1), np.int32) for scope in ("nram", "wram")}
            for _ in range(self.cores)
        ]

    def each(self) -> Iterator[int]:
        """Every core in turn: what is emitted meanwhile is its own."""
        for core in range(self.cores):
            self.core = core
            yield core

    def begin(self) -> None:
        """What follows reads and overwrites what came before, whichever core wrote it."""
        if self.agents > 1:
            self.before = self.dram.copy()

    def emit(self, name: str, **values: int) -> None:
        """One more instruction."""
        one = make(name, **values)
        spec, found = SPECS[name], one.values
        line = _COMPUTE
        if name in ("move", "expand"):
            line = _STORE if found["dst"] == DRAM else _LOAD if found["src"] == DRAM else _MOVE
        elif name == "gather":
            line = _LOAD
        reads, writes = spec.reads(found), spec.writes(found)
        needs = np.zeros(4 * self.agents, np.int64)
        own = slice(4 * self.core, 4 * self.core + 4)
        for kinds, regions in ((1, reads), (2, writes)):
            for region in regions:
                places = self._where(region)
                if places is None:
                    continue
                if region.scope == "sram":
                    np.maximum(needs, self.sram[:kinds, :, places].max(axis=(0, 2)), out=needs)
                    continue
                if self.agents > 1 and region.scope == "dram":
                    np.maximum(needs, self.before[:kinds, :, places].max(axis=(0, 2)), out=needs)
                mine = self._table(region.scope)[:kinds, :, places].max(axis=(0, 2))
                np.maximum(needs[own], mine, out=needs[own])
        self.counts[own.start + line] += 1
        for kind, regions in ((1, reads), (0, writes)):
            for region in regions:
                places = self._where(region)
                if places is not None:
                    self._table(region.scope)[kind, line, places] = self.counts[own.start + line]
        if len(self.code) >= LIMIT:
            raise InputError(f"more than {LIMIT} instructions", where=f"machine {self.machine.name}",
                             expected="a smaller network, or larger memories")  # fmt: skip
        self.code.append(one)
        self.lines.append(own.start + line)
        self.ticks.append(spec.duration(self.machine, found))
        self.needs.append(needs)
        self.owners.append(self.kernel)

    def _table(self, scope: str) -> NDArray[Any]:
        """What this core did to a memory: (written or read, line, place)."""
        if scope in ("dram", "sram"):
            return (self.dram if scope == "dram" else self.sram)[:, 4 * self.core : 4 * self.core + 4]
        return self.near[self.core][scope]

    def _where(self, region: Region) -> slice | None:
        end = region.start + (region.rows - 1) * region.stride + region.size
        if region.scope == "dram" and region.start >= self.tracked:
            return None
        grain = _GRAIN[region.scope]
        return slice(region.start // grain, (end - 1) // grain + 1)

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

    def reads(self, address: int, array: Array) -> bool:
        """Whether some move reads a constant in DRAM."""
        end = address + array.nbytes
        return any(one.name == "move" and one.values["src"] == DRAM and address <= one.values["far"] < end
                   for one in self.code)  # fmt: skip

    # Order and tokens --------------------------------------------------------------------------------------------

    def schedule(self) -> tuple[list[list[int]], int]:
        """The order of each stream (io, move, compute of each agent), and the ticks until all have ended.

        The bus goes to the agent that has been ready for longest, the first among equals.
        """
        queues: list[list[int]] = [[] for _ in self.counts]
        for number, line in enumerate(self.lines):
            queues[line].append(number)
        needs = [[(int(i), int(row[i])) for i in np.flatnonzero(row)] for row in self.needs]
        ends: list[list[int]] = [[0] for _ in queues]  # of the first so many of each line
        order: list[list[int]] = [[] for _ in range(3 * self.agents)]
        free, bus = [0] * (3 * self.agents), 0

        def ready(line: int) -> int:
            """When the head of a line could start; -1: not known yet, -2: the line is empty."""
            at = len(ends[line]) - 1
            if at == len(queues[line]):
                return -2
            latest = 0
            for other, need in needs[queues[line][at]]:
                if need >= len(ends[other]):
                    return -1
                latest = max(latest, ends[other][need])
            return latest

        def go(line: int, start: int) -> int:
            number, stream = queues[line][len(ends[line]) - 1], _stream(line)
            end = max(start, free[stream]) + self.ticks[number]
            ends[line].append(max(end, ends[line][-1]))
            free[stream] = end
            order[stream].append(number)
            return end

        inner = [4 * core + line for core in range(self.cores) for line in (_MOVE, _COMPUTE)]
        outer = [(4 * agent + _LOAD, 4 * agent + _STORE) for agent in range(self.agents)]
        while True:
            moved = True
            while moved:
                moved = False
                for line in inner:
                    while (start := ready(line)) >= 0:
                        go(line, start)
                        moved = True
            heads = [[ready(line) for line in pair] for pair in outer]
            starts = [
                (max(start, free[_stream(line)]), core, line - pair[0], line)
                for core, pair in enumerate(outer)
                for line, start in zip(pair, heads[core], strict=True)
                if start >= 0
            ]
            if not starts:
                if all(start == -2 for pair in heads for start in pair):
                    return order, max(max(one) for one in ends)
                raise InputError("instructions wait for each other", where="compiler", expected="an order")
            start, _, _, line = min(starts)
            bus = go(line, max(start, bus))

    def program(
        self, buffers: list[Buffer], constants: dict[str, bytes], source: str
    ) -> tuple[Program, int | None, dict[str, tuple[int, ...]]]:
        """The program in its order with its tokens and counters, its ticks, and by core the kernel of each line.

        Where hardware finds what may start, there are no tokens and no ticks: see `sequential`.
        """
        if self.machine.window:
            return self.sequential(buffers, constants, source)
        order, ticks = self.schedule()
        place = [0] * len(self.code)
        for stream in order:
            for at, number in enumerate(stream):
                place[number] = at
        rows: list[list[int]] = [[] for _ in self.counts]
        for number, line in enumerate(self.lines):
            rows[line].append(place[number])
        # of the first so many of each line, the last in its stream
        latest = [[-1, *np.maximum.accumulate(row).tolist()] if row else [-1] for row in rows]
        tokens, waits = [0] * len(self.code), dict[int, list[tuple[int, int]]]()
        posts: dict[int, set[int]] = {}
        for here, stream in enumerate(order):
            seen = [-1] * len(order)
            for number in stream:
                for there, position in self._wanted(number, latest):
                    if there == here or position <= seen[there]:
                        continue
                    seen[there] = position
                    if there // 3 == here // 3:
                        tokens[number] |= 1 << _bit(here % 3, there % 3)
                        tokens[order[there][position]] |= 4 << _bit(there % 3, here % 3)
                    else:
                        posts.setdefault(there, set()).add(position)
                        waits.setdefault(number, []).append((there, position))
        return self._sections(order, tokens, waits, posts, place, Program({}, tuple(buffers), constants, source), ticks)

    def _sections(
        self, order: list[list[int]], tokens: list[int], waits: dict[int, list[tuple[int, int]]],
        posts: dict[int, set[int]], place: list[int], empty: Program, ticks: int,
    ) -> tuple[Program, int, dict[str, tuple[int, ...]]]:  # fmt: skip
        """The code of every agent, with counters before what waits and after what is waited for."""
        sems = {stream: sem for sem, stream in enumerate(sorted(posts))}
        if len(sems) > _COUNTERS:
            raise InputError(f"{len(sems)} counters", where=f"machine {self.machine.name}",
                             expected=f"streams that wait for each other with {_COUNTERS}", example="fewer cores")  # fmt: skip
        ranks = {there: {at: rank + 1 for rank, at in enumerate(sorted(found))} for there, found in posts.items()}
        sections, kernels = {}, {}
        for agent, name in enumerate(self.machine.agents):
            code: list[Instruction] = []
            owners: list[int] = []
            mine = order[3 * agent : 3 * agent + 3]
            # stream after stream more repeats; as emitted it is easier to read
            for number in [one for stream in mine for one in stream] if self.options.loops else self._written(mine):
                stream = _stream(self.lines[number])
                for there, position in waits.get(number, ()):
                    code.append(
                        make("wait", on=stream % 3, sem=sems[there], value=ranks[there][position], line=len(code) + 1)
                    )
                one = self.code[number]
                code.append(Instruction(one.name, one.values, tokens[number], len(code) + 1))
                if place[number] in posts.get(stream, ()):
                    code.append(make("post", on=stream % 3, sem=sems[stream], line=len(code) + 1))
                owners += [self.owners[number]] * (len(code) - len(owners))
            self.written += len(code)
            if code:
                fold = self.options.loops
                sections[name], kernels[name] = folded(code, owners) if fold else (tuple(code), tuple(owners))
        return Program(sections, empty.buffers, empty.constants, empty.source), ticks, kernels

    def sequential(
        self, buffers: list[Buffer], constants: dict[str, bytes], source: str
    ) -> tuple[Program, None, dict[str, tuple[int, ...]]]:
        """The program of a machine with a window: every agent's instructions in the order in which they were emitted,
        which is that of their meaning; counters between agents alone.

        A post issues when all before it on its agent has ended, and nothing passes a wait: a wait for the post after the
        last instruction that another agent needs is therefore enough. All that an agent needs of others was emitted
        before, so no two wait for each other.
        """
        owner = [line // 4 for line in self.lines]
        place, counts = [0] * len(self.code), [0] * self.agents
        rows: list[list[int]] = [[] for _ in self.counts]
        for number, core in enumerate(owner):
            place[number] = counts[core]
            counts[core] += 1
            rows[self.lines[number]].append(place[number])
        waits: dict[int, list[tuple[int, int]]] = {}
        posts: list[set[int]] = [set() for _ in range(self.agents)]
        seen = [[-1] * self.agents for _ in range(self.agents)]
        for number, core in enumerate(owner if self.agents > 1 else ()):
            for line in np.flatnonzero(self.needs[number]).tolist():
                other, position = line // 4, rows[line][self.needs[number][line] - 1]
                if other != core and position > seen[core][other]:
                    seen[core][other] = position
                    waits.setdefault(number, []).append((other, position))
        for found in waits.values():
            latest = dict(sorted(found))  # by agent the last position, which is the greatest
            found[:] = latest.items()
            for other, position in found:
                posts[other].add(position)
        ranks = [{position: rank + 1 for rank, position in enumerate(sorted(one))} for one in posts]
        code: list[list[Instruction]] = [[] for _ in range(self.agents)]
        kernels: list[list[int]] = [[] for _ in range(self.agents)]
        for number, core in enumerate(owner):
            mine, one, stream = code[core], self.code[number], _stream(self.lines[number]) % 3
            for other, position in waits.get(number, ()):
                mine.append(make("wait", on=stream, sem=other, value=ranks[other][position], line=len(mine) + 1))
            mine.append(Instruction(one.name, one.values, 0, len(mine) + 1))
            if place[number] in posts[core]:
                mine.append(make("post", on=stream, sem=core, line=len(mine) + 1))
            kernels[core] += [self.owners[number]] * (len(mine) - len(kernels[core]))
        names = self.machine.agents
        sections = {name: tuple(one) for name, one in zip(names, code, strict=True) if one}
        return (Program(sections, tuple(buffers), constants, source), None,
                {name: tuple(one) for name, one in zip(names, kernels, strict=True) if one})  # fmt: skip

    def _wanted(self, number: int, latest: list[list[int]]) -> list[tuple[int, int]]:
        """(stream, position in it) that an instruction waits for."""
        wanted: dict[int, int] = {}
        row = self.needs[number]
        for line in np.flatnonzero(row).tolist():
            there = _stream(line)
            wanted[there] = max(wanted.get(there, -1), latest[line][row[line]])
        return sorted(wanted.items())

    def _written(self, order: list[list[int]]) -> list[int]:
        """One list with each stream in its order: by the order in which they were emitted as far as that allows."""
        result = list[int]()
        at = [0, 0, 0]
        while True:
            heads = [(stream[i], s) for s, (stream, i) in enumerate(zip(order, at, strict=True)) if i < len(stream)]
            if not heads:
                return result
            number, s = min(heads)
            result.append(number)
            at[s] += 1


def _stream(line: int) -> int:
    """The stream, 3·agent + io, move or compute, of a line."""
    return 3 * (line // 4) + _STREAM[line % 4]


def share(whole: int, core: int, cores: int, grain: int = 1) -> range:
    """The part of 0 to `whole` that is one core's, in whole grains."""
    part = grain * ceil(Fraction(whole, grain * cores))
    return range(min(whole, core * part), min(whole, (core + 1) * part))


def _bit(here: int, other: int) -> int:
    """Which of the two other streams `other` is to `here`."""
    return [s for s in range(3) if s != here].index(other)
