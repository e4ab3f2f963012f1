"""The cheapest way to cut a network into groups that run as one.

Over operators in order, with c(i, j) the bytes of operators i … j - 1 as one (see `_cost`):

    b(0) = 0        b(j) = min over i < j of b(i) + c(i, j)

which is the least over all cuts into runs of at most `longest` operators.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from picojoule.quantity import InputError
from picojoule.workload import Workload

from ._cost import Plan, Run, alone, together
from ._merge import merged
from ._rules import Sequence, sequence

LONGEST: Final = 16


@dataclass(frozen=True, slots=True)
class Edge:
    """A tensor that a group keeps on the chip: bytes not written and not read again."""

    tensor: str
    writer: str
    readers: tuple[str, ...]
    saved: int


@dataclass(frozen=True, slots=True)
class Group:
    """Operators that run as one. `after` are bytes read after the products of its first: other operands of additions.

    `reread` bytes cross the outer memory again, one tile after another; `folded` bytes are parameters that vanish in
    others. bytes = unfused - Σ saved of edges - folded + reread.
    """

    names: tuple[str, ...]
    ops: tuple[str, ...]
    macs: int
    unfused: int
    bytes: int
    need: int
    tile: tuple[int, ...]
    edges: tuple[Edge, ...]
    reread: int
    folded: int
    after: int

    @property
    def saved(self) -> int:
        """Bytes less than apart."""
        return self.unfused - self.bytes


@dataclass(frozen=True)
class Fused:
    """A network cut into groups. `workload` has one operator a group; its traffic is `fused_bytes`."""

    groups: tuple[Group, ...]
    unfused_bytes: int
    fused_bytes: int
    buffer_bytes: float
    workload: Workload
    apart: tuple[tuple[int, int], ...]  # MACs and bytes of each operator by itself

    @property
    def ratio(self) -> float:
        """Bytes apart over bytes together."""
        return self.unfused_bytes / self.fused_bytes if self.fused_bytes else 1.0

    @cached_property
    def saved_by_edge(self) -> Mapping[str, int]:
        """Bytes saved by every tensor that stays on the chip."""
        return {edge.tensor: edge.saved for group in self.groups for edge in group.edges}

    def speedup(self, ridge: float) -> float:
        """Times faster on a roofline that does `ridge` MACs while it moves a byte, operators one after another.

        Σ max(MACs/ridge, bytes) over Σ max(MACs/ridge, bytes - after) + after: the other operand of an addition is
        read after the products, so that its time is not hidden behind them. A group of several layers overlaps all its
        products with all its bytes, which is the most that a buffer can do for time.
        """
        if not ridge > 0:
            raise InputError(f"a ridge of {ridge:g}", expected="MACs a byte above 0", example="4")
        before = sum(max(macs / ridge, moved) for macs, moved in self.apart)
        now = sum(max(one.macs / ridge, one.bytes - one.after) + one.after for one in self.groups)
        return before / now if now else 1.0


def fuse(workload: Workload, buffer_bytes: float = 0, *, elementwise: bool = False, longest: int = LONGEST) -> Fused:
    """`workload` cut so that least crosses the outer memory, with `buffer_bytes` on the chip.

    A buffer of 0 still passes results on element by element. `elementwise` only fuses normalisations by stored
    statistics, activations and additions into the layer with weights before them, as compilers have always done.
    Unfused, every operator reads its operands once and writes its results once; pools that pool nothing do neither.
    """
    if not buffer_bytes >= 0:
        raise InputError(f"a buffer of {buffer_bytes:g} bytes", expected="0 or more", example="--buffer 2MB")
    if longest < 1:
        raise InputError(f"groups of {longest}", expected="1 or more", example="16")
    seq = sequence(workload)
    plans = Plans(seq, buffer_bytes, elementwise)
    count = len(seq.workload.operators)
    best, cut = [0] * (count + 1), [0] * (count + 1)
    for last in range(1, count + 1):
        best[last], cut[last] = best[last - 1] + plans.alone[last - 1].total, last - 1
        for first in range(last - 2, max(-1, last - 1 - longest), -1):
            total = plans.bytes(first, last)
            if total is not None and best[first] + total < best[last]:
                best[last], cut[last] = best[first] + total, first
            if not plans.may_grow(first, last):
                break
    runs: list[tuple[int, int]] = []
    last = count
    while last:
        runs.append((cut[last], last))
        last = cut[last]
    return _result(seq, plans, runs[::-1], buffer_bytes)


class Plans:
    """Plans of runs, each looked for once; runs equal but for names share theirs."""

    def __init__(self, seq: Sequence, buffer_bytes: float, elementwise: bool) -> None:
        self.seq, self.room, self.elementwise = seq, buffer_bytes, elementwise
        self.alone = [alone(seq, index) for index in range(len(seq.workload.operators))]
        self._signs = [self._sign(index) for index in range(len(seq.workload.operators))]
        self._numbers: dict[object, int] = {}
        self._kinds = [self._numbers.setdefault(sign, len(self._numbers)) for sign in self._signs]
        self._memo: dict[object, tuple[Plan | None, bool]] = {}

    def _sign(self, index: int) -> object:
        operator, tensors = self.seq.workload.operators[index], self.seq.workload.tensors
        touched = tuple(
            (a.axes, a.elements, t.shape, t.dtype, t.role, tensors[t.root].shape)
            for a in (*operator.inputs, *operator.outputs) if (t := tensors[a.tensor])
        )  # fmt: skip
        return operator.op, operator.kind, operator.space, operator.repeats, operator.work, touched

    def _wiring(self, first: int, last: int) -> object:
        """Who reads what of whom inside, and who outside."""
        seq, wires = self.seq, []
        for index in range(first, last):
            operator = seq.workload.operators[index]
            writers = [seq.writer.get(seq.root(a), -1) for a in operator.inputs]
            readers = [seq.readers.get(seq.root(a), ()) for a in operator.outputs]
            outs = [seq.root(a) in seq.workload.outputs for a in operator.outputs]
            wires.append((
                tuple(w - first if w >= first else -1 for w in writers), tuple(outs),
                tuple(tuple(r - first if r < last else -1 for r in found) for found in readers),
            ))  # fmt: skip
        return tuple(wires)

    def plan(self, first: int, last: int) -> Plan | None:
        """Of operators first … last - 1 as one."""
        return self.alone[first] if last - first == 1 else self._found(first, last)[0]

    def may_grow(self, first: int, last: int) -> bool:
        """Whether a longer run that ends here may have a plan."""
        return self._found(first, last)[1]

    def _found(self, first: int, last: int) -> tuple[Plan | None, bool]:
        key = (tuple(self._kinds[first:last]), self._wiring(first, last))
        if key not in self._memo:
            self._memo[key] = together(Run(self.seq, first, last), self.room, self.elementwise)
        return self._memo[key]

    def bytes(self, first: int, last: int) -> int | None:
        """Bytes of operators first … last - 1 as one, None where they cannot be."""
        plan = self.plan(first, last)
        return None if plan is None else plan.total


def _result(seq: Sequence, plans: Plans, runs: list[tuple[int, int]], room: float) -> Fused:
    groups, operators = [], []
    tensors = dict(seq.workload.tensors)
    for first, last in runs:
        plan = plans.plan(first, last)
        assert plan is not None  # the cut was made of plans
        run = Run(seq, first, last)
        groups.append(_group(run, plan, sum(plans.alone[i].total for i in range(first, last))))
        operators.append(merged(run, plan, tensors))
    apart = tuple((o.total.macs, one.total) for o, one in zip(seq.workload.operators, plans.alone, strict=True))
    note = f"{len(apart)} operators run as {len(groups)}; what lies inside a group does not cross the outer memory"
    net = replace(seq.workload, operators=tuple(operators), tensors=tensors, notes=(*seq.workload.notes, note))
    before, now = sum(moved for _, moved in apart), sum(group.bytes for group in groups)
    return Fused(tuple(groups), before, now, room, net, apart)


def _group(run: Run, plan: Plan, unfused: int) -> Group:
    operators, seq, made = run.operators, run.seq, run.made
    times = operators[0].repeats
    edges = []
    for root, index in made.items():
        inside = [(o, a) for o in operators for a in o.inputs if seq.root(a) == root]
        if not inside:
            continue
        saved = sum(seq.bytes(access) for _, access in inside)
        if run.stays(root):
            saved += sum(seq.bytes(access) for access in operators[index].outputs)
        names = tuple(dict.fromkeys(o.name for o, _ in inside))
        edges.append(Edge(root, operators[index].name, names, saved * times))
    tensors = seq.workload.tensors
    reread = after = 0
    for (index, place), count in plan.elements.items():
        access = operators[index].inputs[place]
        tensor = tensors[access.tensor]
        reread += tensor.bytes_of(count) - tensor.bytes_of(access.elements)
        after += tensor.bytes_of(count) if index and not plan.tile and operators[index].op != "batch_norm" else 0
    folded = unfused - sum(edge.saved for edge in edges) + reread * times - plan.total
    return Group(
        tuple(o.name for o in operators), tuple(o.op for o in operators), sum(o.total.macs for o in operators), unfused,
        plan.total, plan.need, plan.tile, tuple(edges), reread * times, folded, after * times,
    )  # fmt: skip
