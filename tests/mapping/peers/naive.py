"""Second, slow ways to the same counts: Timeloop's walk by recursion over boxes, and a nest of arrays step by step."""

import itertools
import math


class Box:
    """An axis-aligned box."""

    def __init__(self, low, high):
        self.low, self.high = tuple(low), tuple(high)

    @property
    def size(self):
        return math.prod(h - b for b, h in zip(self.low, self.high, strict=True))

    def less(self, other):
        """This box without the other: one axis may differ, else all of it stays."""
        axes = [i for i in range(len(self.low)) if (self.low[i], self.high[i]) != (other.low[i], other.high[i])]
        if not axes:
            return Box(self.low, self.low)
        if any(other.high[i] <= self.low[i] or other.low[i] >= self.high[i] for i in range(len(self.low))):
            return self
        if len(axes) > 1:
            return self
        i, low, high = axes[0], list(self.low), list(self.high)
        if other.low[i] < self.low[i]:
            low[i] = other.high[i]
        else:
            high[i] = other.low[i]
        return Box(low, high)


def walked(size, loops):
    """Words of a walk over loops [(trip, step of the box)], outermost first: iteration 1 stands for all but the first."""
    state = {"last": None, "way": None}

    def visit(at):
        now = Box(at, [a + s for a, s in zip(at, size, strict=True)])
        last, state["last"] = state["last"], now
        if last is None:
            return now.size
        way, before = [b - a for a, b in zip(last.low, now.low, strict=True)], state["way"]
        if any(way) and before is not None and way != before:
            state["way"] = None
            return now.size
        state["way"] = way if any(way) else None
        return now.less(last).size

    def run(depth, at, times):
        if depth == len(loops):
            return visit(at) * times
        trip, step = loops[depth]
        first = run(depth + 1, at, times)
        if trip == 1:
            return first
        return first + run(depth + 1, [a + s for a, s in zip(at, step, strict=True)], times * (trip - 1))

    return run(0, [0] * len(size), 1)


def stepped(nest, role):
    """Words of an operand without windows by (stage, action): every instance, every step; equal tiles share a read."""
    dims = nest.problem.dims
    operand = next(one for one in nest.problem.operands if one.role == role)
    relevant = {dims[i] for i in operand.relevant}
    output, holders, found = operand is nest.problem.operands[-1], nest.holders(role), {}
    for parent, child in zip(holders, (*holders[1:], len(nest.stages)), strict=True):
        visits, again, filled, refilled = _boundary(nest, relevant, parent, child)
        found[nest.stages[parent].name, "read"] = again if output else visits
        if output:
            found[nest.stages[parent].name, "update"] = visits
        if child < len(nest.stages):
            found[nest.stages[child].name, "write"] = refilled if output else filled
    return found


def _boundary(nest, relevant, parent, child):
    """Words (seen by a parent, by a parent again, by a child, by a child again)."""
    stages, keeps = nest.stages, child < len(nest.stages)
    temporal = [loop for stage in stages[:child] for loop in stage.temporal]
    outer = [(loop.dim, loop.trip) for stage in stages[:parent] for loop in stage.spatial]
    between = [(loop.dim, loop.trip) for stage in stages[parent:child] for loop in stage.spatial]
    inner = [loop for stage in stages[child:] for loop in stage.temporal]
    inner += [(loop.dim, loop.trip) for stage in stages[child:] for loop in stage.spatial]
    tile = math.prod(trip for dim, trip in inner if dim in relevant)
    totals = [0, 0, 0, 0]
    for _ in itertools.product(*(range(trip) for _, trip in outer)):
        last, known, seen = {}, set(), set()
        for time in itertools.product(*(range(trip) for _, trip in temporal)):
            now = set()
            for leaf in itertools.product(*(range(trip) for _, trip in between)):
                places = zip([*temporal, *between], [*time, *leaf], strict=True)
                tag = tuple(i if dim in relevant else 0 for (dim, _), i in places)
                if keeps and last.get(leaf) == tag:
                    continue
                last[leaf] = tag
                now.add(tag)
                totals[2] += tile
                totals[3] += tile * ((leaf, tag) in seen)
                seen.add((leaf, tag))
            totals[0] += tile * len(now)
            totals[1] += tile * len(now & known)
            known |= now
    return totals
