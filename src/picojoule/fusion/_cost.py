"""Bytes of a run of operators as one, and the tile with which it fits.

Nothing but the first operator may be more than element-by-element: the results pass on as they are finished, no buffer
is needed, each operand crosses the outer memory once. Otherwise the group works through its last result tile by tile,
along one axis `t` at a time inside loops over leading axes (images, heads) one by one:

    need  = Σ boxes of tensors made inside that a window, a sum or several operators read  (line buffers included)
    bytes = Σ outer operands: bytes · tiles that read them again + rows read twice at tile edges  +  results once

An outer operand that is read again may stay on the chip if there is room: its box adds to `need`, it is read once. A
softmax whose only reader sums over its axis needs no whole row: running maximum and sum (M. Milakov, N. Gimelshein,
arXiv:1805.02867; T. Dao et al., FlashAttention, arXiv:2205.14135) cost the reader's box and two numbers a row.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from picojoule.workload import Operator

from ._rules import Sequence, pointwise, simple, tiled
from ._tiles import Box, boxes


@dataclass(frozen=True, slots=True)
class Plan:
    """`total` bytes over the outer memory, `need` on the chip; how many `elements` of each operand cross, by place."""

    total: int
    need: int
    elements: Mapping[tuple[int, int], int]
    tile: Box = ()
    folded: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Run:
    """Operators first … last - 1 of a sequence, looked at as one."""

    seq: Sequence
    first: int
    last: int

    @property
    def operators(self) -> tuple[Operator, ...]:
        """In order."""
        return self.seq.workload.operators[self.first : self.last]

    @property
    def made(self) -> dict[str, int]:
        """Roots that it writes, and which operator of it does."""
        return {
            self.seq.root(a): index
            for index, operator in enumerate(self.operators)
            for a in operator.outputs
            if self.seq.writer.get(self.seq.root(a)) == self.first + index
        }

    def stays(self, root: str) -> bool:
        """Whether nobody outside reads `root`."""
        readers = self.seq.readers.get(root, ())
        return bool(readers) and max(readers) < self.last and root not in self.seq.workload.outputs


def alone(seq: Sequence, index: int) -> Plan:
    """One operator by itself: each operand once a repeat."""
    operator = seq.workload.operators[index]
    elements = {(0, place): access.elements for place, access in enumerate(operator.inputs)}
    return Plan(seq.workload.traffic(operator).total, 0, elements)


def together(run: Run, buffer_bytes: float, elementwise: bool) -> tuple[Plan | None, bool]:
    """The cheapest plan of a run of two operators or more, None where there is none; whether longer runs can have one.

    Runs that begin earlier and end here make all that this one makes: what does not fit here does not fit there.
    """
    operators, made = run.operators, run.made
    if len({operator.repeats for operator in operators}) != 1 or len(made) != len(operators):
        return None, False
    if not _connected(run, made):
        return None, False
    streams = _streams(run, made)
    if elementwise:
        net = run.seq.workload
        single = all(run.stays(root) and len(run.seq.readers[root]) == 1 for root in list(made)[:-1])
        fits = all(simple(net, o) for o in operators[1:])
        ready = fits and streams and single and net.bears_weights(operators[0])
        return (_streamed(run, made) if ready else None), fits
    if streams:
        return _streamed(run, made), True
    if not buffer_bytes or not all(tiled(operator) for operator in operators) or operators[0].repeats != 1:
        return None, False
    walks = [walk for loops in _loops(run) if (walk := Walk(run, made, loops)).need(1) <= buffer_bytes]
    walks.sort(key=lambda walk: walk.need(1))
    if not walks:
        return None, False
    return _best(run, made, walks, buffer_bytes), True


def _best(run: Run, made: Mapping[str, int], walks: list["Walk"], room: float) -> Plan | None:
    """The least bytes of all nests and tiles; looks no further once every operand crosses once."""
    folded, best = _folded(run, made), None
    operators = run.operators
    outer = [key for key in walks[0].outer if not (key[0] in folded and key[1])]
    once = {(index, place): operators[index].inputs[place].elements for index, place in outer}
    floor = _total(run, made, once, folded)
    for walk in walks:
        if walk.legal():
            for plan in _walked(walk, room):
                best = plan if best is None or plan.total < best.total else best
                if best.total <= floor:
                    return best
    return best


def _connected(run: Run, made: Mapping[str, int]) -> bool:
    """Whether every operator leads to the last one, and nothing is read before it is written, as a state is."""
    for root, index in made.items():
        inside = [reader for reader in run.seq.readers.get(root, ()) if run.first <= reader < run.last]
        if any(reader <= run.first + index for reader in inside) or (not inside and index < len(made) - 1):
            return False
    return True


def _streams(run: Run, made: Mapping[str, int]) -> bool:
    """Whether all but the first work element by element on results of one size."""
    operators = run.operators
    if not all(pointwise(operator) for operator in operators[1:]):
        return False
    tensors = run.seq.workload.tensors
    for operator in operators[1:]:
        for access in operator.inputs:
            tensor = tensors[access.tensor]
            if tensor.root in made:
                sizes = {access.elements, tensors[tensor.root].elements, operator.outputs[0].elements}
                if len(sizes) != 1:
                    return False
    return len(operators[0].outputs) == 1


def _streamed(run: Run, made: Mapping[str, int]) -> Plan:
    folded = _folded(run, made)
    elements = {
        (index, place): access.elements
        for index, operator in enumerate(run.operators)
        for place, access in enumerate(operator.inputs)
        if run.seq.root(access) not in made and not (index in folded and place)
    }
    return Plan(_total(run, made, elements, folded), 0, elements, (), folded)


def _folded(run: Run, made: Mapping[str, int]) -> frozenset[int]:
    """Normalisations by stored statistics right after a layer with weights: they fold into these."""
    found: set[int] = set()
    for index, operator in enumerate(run.operators):
        root = run.seq.root(operator.inputs[0]) if operator.inputs else ""
        if operator.op != "batch_norm" or root not in made or not run.stays(root) or len(run.seq.readers[root]) != 1:
            continue
        source = run.operators[made[root]]
        if made[root] in found or (
            run.seq.workload.bears_weights(source) and source.kind in ("conv", "depthwise", "matmul")
        ):
            found.add(index)
    return frozenset(found)


def shift_of(run: Run, made: Mapping[str, int], index: int) -> int:
    """Elements of the shift that a folded normalisation leaves: none where the layer has a bias to take it in."""
    source = made[run.seq.root(run.operators[index].inputs[0])]
    layer = run.operators[source]
    biased = any(run.seq.workload.tensors[a.tensor].role == "bias" for a in layer.inputs)
    return 0 if biased or layer.op == "batch_norm" else run.operators[index].inputs[-1].elements


def _total(run: Run, made: Mapping[str, int], elements: Mapping[tuple[int, int], int], folded: frozenset[int]) -> int:
    """Bytes of the operands that cross, of shifts, and of the results that somebody else reads."""
    operators, tensors = run.operators, run.seq.workload.tensors
    total = 0
    for (index, place), count in elements.items():
        total += tensors[operators[index].inputs[place].tensor].bytes_of(count)
    for index in folded:
        total += tensors[operators[index].outputs[0].tensor].bytes_of(shift_of(run, made, index))
    for index, operator in enumerate(operators):
        root = run.seq.root(operator.outputs[0])
        if index == len(operators) - 1 or not run.stays(root):
            total += sum(run.seq.bytes(a) for a in operator.outputs)
    return total * operators[0].repeats


def _loops(run: Run) -> Iterator[tuple[int, ...]]:
    """Axes of the last result that are worked through: leading ones one by one, then one in tiles."""
    shape = run.seq.workload.tensors[run.operators[-1].outputs[0].tensor].shape
    for row, size in enumerate(shape):
        leads = [tuple(a for a in range(n) if a != row and shape[a] > 1) for n in range(min(3, len(shape)))]
        if size > 1 or not any(n > 1 for n in shape):
            yield from (tuple(dict.fromkeys((*lead, row))) for lead in dict.fromkeys(leads))


def _walked(walk: "Walk", room: float) -> Iterator[Plan]:
    """Plans of one nest for tiles of half the axis, a quarter, …, and the largest that fits."""
    size = walk.shape[walk.loops[-1]]
    low, high = 1, size
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if walk.need(middle) <= room else (low, middle - 1)
    tiles = {-(-size // n) for n in (2**i for i in range(size.bit_length() + 1))}
    for tile in sorted({one for one in tiles if one < low} | {low}, reverse=True):
        yield walk.plan(tile, room)


class Walk:
    """One nest of loops over the last result of a run."""

    def __init__(self, run: Run, made: Mapping[str, int], loops: tuple[int, ...]) -> None:
        self.run, self.made, self.loops = run, made, loops
        self.operators, self.tensors = run.operators, run.seq.workload.tensors
        self.shape = self.tensors[self.operators[-1].outputs[0].tensor].shape
        self._memo: dict[Box, tuple[dict[str, Box], dict[tuple[int, int], Box]]] = {}
        self.least = self._tile(1)
        self.held = self._held()
        self.online = self._online()
        self.outer = tuple(self._boxes(self.least)[1])

    def _tile(self, t: int, **grown: int) -> Box:
        tile = [1 if axis in self.loops else size for axis, size in enumerate(self.shape)]
        tile[self.loops[-1]] = t
        for axis, size in grown.items():
            tile[int(axis)] = size
        return tuple(tile)

    def _boxes(self, tile: Box) -> tuple[dict[str, Box], dict[tuple[int, int], Box]]:
        if tile not in self._memo:
            self._memo[tile] = boxes(self.operators, self.tensors, self.made, tile)
        return self._memo[tile]

    def _held(self) -> tuple[str, ...]:
        """Results that must lie somewhere: read by a window or a sum, or by several operators."""
        found = []
        for root, index in self.made.items():
            readers = [r for r in self.run.seq.readers.get(root, ()) if self.run.first + index < r < self.run.last]
            heavy = any(self._waits(root, r) for r in readers)
            if heavy or len(readers) > 1:
                found.append(root)
        return tuple(found)

    def _waits(self, root: str, reader: int) -> bool:
        """Whether `reader` needs elements of `root` together or again, or waits for an operand written later."""
        operator = self.run.seq.workload.operators[reader]
        if not pointwise(operator) or self.tensors[root].elements != operator.outputs[0].elements:
            return True
        others = [self.made.get(self.run.seq.root(access), -1) for access in operator.inputs]
        return max(others) > self.made[root]

    def _online(self) -> dict[str, int]:
        """Softmax results and what they read, whose rows need not be whole; and the operator that sums over them."""
        found: dict[str, int] = {}
        for root, index in self.made.items():
            readers = self.run.seq.readers.get(root, ())
            if self.operators[index].op != "softmax" or len(readers) != 1 or not self.run.stays(root):
                continue
            reader = self.operators[readers[0] - self.run.first]
            axes = next(a.axes for a in reader.inputs if self.run.seq.root(a) == root)
            summed = {dim for dim, _ in axes[-1]} if axes else set()
            source = self.run.seq.root(self.operators[index].inputs[0])
            if reader.work.macs and summed and not summed & reader.outputs[0].dims:
                found[root] = readers[0] - self.run.first
                if source in self.made and self.run.seq.readers[source] == (self.run.first + index,):
                    found[source] = readers[0] - self.run.first
        return found

    def _grows(self, axis: int, size: int) -> tuple[dict[str, Box], dict[tuple[int, int], Box]]:
        return self._boxes(self._tile(1, **{str(axis): size}))

    def legal(self) -> bool:
        """Nothing made inside is made twice: no window over leading axes, no tensor made again in an inner pass."""
        base = self._boxes(self.least)[0]
        for place, axis in enumerate(self.loops):
            if self.shape[axis] == 1:
                continue
            two, full = self._grows(axis, 2)[0], self._grows(axis, self.shape[axis])[0]
            for root in base:
                if full[root] == base[root]:
                    inner = self.loops[place + 1 :]
                    if any(self._grows(a, self.shape[a])[0][root] != base[root] for a in inner if self.shape[a] > 1):
                        return False
                elif place < len(self.loops) - 1 and _overlap(base[root], two[root]):
                    return False
        return True

    def need(self, t: int) -> int:
        """Bytes on the chip with tiles of `t`."""
        inside = self._boxes(self._tile(t))[0]
        total = 0
        for root in self.held:
            count = math.prod(inside[root])
            total += self.tensors[root].bytes_of(count // inside[root][-1] if root in self.online else count)
        for reader in set(self.online.values()):
            written = self.operators[reader].outputs[0].tensor
            box = inside[self.tensors[written].root]
            total += self.tensors[written].bytes_of(math.prod(box) + 2 * math.prod(box) // box[-1])
        return total + sum(self._query(reader, t) for reader in set(self.online.values()))

    def _query(self, reader: int, t: int) -> int:
        """Bytes of the rows of queries, which every column of an online softmax meets again."""
        scores = max((i for i in range(reader) if self.operators[i].work.macs), default=None)
        if scores is None:
            return 0
        access = self.operators[scores].inputs[0]
        box = self._boxes(self._tile(t))[1].get((scores, 0))
        return 0 if box is None else self.tensors[access.tensor].bytes_of(min(access.elements, math.prod(box)))

    def plan(self, t: int, room: float) -> Plan:
        """Bytes with tiles of `t`; operands that are read again stay on the chip while there is room."""
        need, folded = self.need(t), _folded(self.run, self.made)
        elements: dict[tuple[int, int], int] = {}
        stay: list[tuple[int, int, tuple[int, int], int]] = []
        for key in self.outer:
            if key[0] in folded and key[1]:
                continue
            once, streamed, box = self._reads(key, t)
            elements[key] = streamed
            if once < streamed:
                tensor = self.tensors[self.operators[key[0]].inputs[key[1]].tensor]
                stay.append((tensor.bytes_of(streamed - once), tensor.bytes_of(box), key, once))
        for _, size, key, once in sorted(stay, key=lambda one: (-one[0] / max(1, one[1]), -one[0], one[2])):
            if need + size <= room:
                need += size
                elements[key] = once
        return Plan(_total(self.run, self.made, elements, folded), need, elements, self._tile(t), folded)

    def _reads(self, key: tuple[int, int], t: int) -> tuple[int, int, int]:
        """Elements of one outer operand that cross if its box stays between tiles, and if not; elements of the box."""
        access = self.operators[key[0]].inputs[key[1]]
        box, base = self._boxes(self._tile(t))[1][key], self._boxes(self.least)[1][key]
        passes, again, follows = 1, 1, False
        edge = 0
        for axis in reversed(self.loops):
            tiles = -(-self.shape[axis] // (t if axis == self.loops[-1] else 1))
            if tiles == 1:
                continue
            full = self._grows(axis, self.shape[axis])[1][key]
            if full != base:
                follows = True
                if over := _overlap(base, self._grows(axis, 2)[1][key]):
                    edge += sum(access.elements // full[i] * rows for i, rows in over) * (tiles - 1)
            else:
                passes *= tiles
                again *= tiles if follows else 1
        return access.elements * again, (access.elements + edge) * passes, min(access.elements, math.prod(box))


def _overlap(one: Box, two: Box) -> list[tuple[int, int]]:
    """(axis, rows that tiles share) from the boxes of tiles of one and of two."""
    return [(i, a - (b - a)) for i, (a, b) in enumerate(zip(one, two, strict=True)) if b > a > b - a]
