"""The oracle of the traffic law: walks a loop nest step by step and holds sets of words. Imports nothing from the law.

A nest is plain data: extents by dimension; tensors as {role: [axis]} with axis = ((dimension, stride), …); levels as
lists of roles kept; loops as [(dimension, trip)] per level. A tile is found by enumerating every iteration point of
the loops inside it; what a step fetches is a difference of sets; sharing between PEs is a union of sets.
"""

import itertools
from dataclasses import dataclass


@dataclass
class Nest:
    extents: dict
    tensors: dict  # role -> axes; the last is the output
    windows: dict  # role -> indices of the axes whose hull may exceed what is touched
    keeps: list  # per level: roles
    fanout: int
    loops: list  # per level: [(dim, trip)], outermost first
    spatial: dict  # dim -> PEs
    halo: str = "refetch"
    window: str = "touched"
    multicast: str = "union"  # or identical_tile, or none
    partial_sums: str = "first-free"


class Walk:
    def __init__(self, nest):
        self.nest, self.levels = nest, len(nest.keeps)
        flat = []
        for level, loops in enumerate(nest.loops):
            flat += [(level, dim, trip) for dim, trip in loops]
            if level == nest.fanout:
                flat += [("PE", dim, size) for dim, size in nest.spatial.items()]
        weight, inside = [0] * len(flat), dict.fromkeys(nest.extents, 1)
        for i in reversed(range(len(flat))):
            weight[i] = inside[flat[i][1]]
            inside[flat[i][1]] *= flat[i][2]
        self.time = [(*loop, w) for loop, w in zip(flat, weight, strict=True) if loop[0] != "PE"]
        self.space = [(*loop, w) for loop, w in zip(flat, weight, strict=True) if loop[0] == "PE"]
        self.used = {role: {d for axis in axes for d, _ in axis} for role, axes in nest.tensors.items()}
        self.output = list(nest.tensors)[-1]
        self.counts, self.memo = {}, {}
        self.held, self.place, self.written = {}, {}, {}

    def add(self, level, role, action, count):
        self.counts[level, role, action] = self.counts.get((level, role, action), 0) + count

    def word(self, role, point):
        return tuple(sum(stride * point[d] for d, stride in axis) for axis in self.nest.tensors[role])

    def box(self, role, found):
        """Under `hull`, every word between the first and the last along the window axes."""
        if self.nest.window == "touched" or not found or not self.nest.windows.get(role):
            return frozenset(found)
        values = [sorted({w[i] for w in found}) for i in range(len(self.nest.tensors[role]))]
        for i in self.nest.windows[role]:
            values[i] = range(min(values[i]), max(values[i]) + 1)
        return frozenset(itertools.product(*values))

    def content(self, role, level, start):
        key = (role, level, tuple(start[d] for d in sorted(self.used[role])))
        if key not in self.memo:
            inner = [loop for loop in self.time if loop[0] >= level]
            inner += self.space if level <= self.nest.fanout else []
            inner = [loop for loop in inner if loop[1] in self.used[role] and loop[2] > 1]
            found = set()
            for index in itertools.product(*[range(loop[2]) for loop in inner]):
                point = dict(start)
                for (_, dim, _, step), v in zip(inner, index, strict=True):
                    point[dim] += v * step
                if all(point[d] < self.nest.extents[d] for d in self.used[role]):
                    found.add(self.word(role, point))
            self.memo[key] = self.box(role, found)
        return self.memo[key]

    def run(self):
        for index in itertools.product(*[range(loop[2]) for loop in self.time]):
            for role in self.nest.tensors:
                holders = [level for level in range(self.levels) if role in self.nest.keeps[level]]
                for parent, child in zip(holders, [*holders[1:], self.levels], strict=True):
                    self.step(role, parent, child, index)
        self.drain()
        return {key: count for key, count in self.counts.items() if count}

    def step(self, role, parent, child, index):
        """One instant at one boundary: which children change their tile, and what moves."""
        fan, groups = self.nest.fanout, {}
        pes = list(itertools.product(*[range(loop[2]) for loop in self.space])) if child > fan else [None]
        for pe in pes:
            start = dict.fromkeys(self.nest.extents, 0)
            for (level, dim, _, step), v in zip(self.time, index, strict=True):
                if level < child:
                    start[dim] += v * step
            for (_, dim, _, step), v in zip(self.space, pe or (), strict=pe is not None):
                start[dim] += v * step
            here = tuple(start[d] for d in sorted(self.used[role]))
            who = pe if parent > fan else None
            if child == self.levels:
                if all(start[d] < self.nest.extents[d] for d in start):
                    new = frozenset([self.word(role, start)])
                    groups.setdefault(who, []).append((here, new, frozenset(), frozenset()))
                continue
            if self.place.get((child, role, pe), (None,))[0] == here:
                continue
            new, old = self.content(role, child, start), self.held.get((child, role, pe), frozenset())
            kept = old if self.sweeps(role, child, index, (child, role, pe), here) else frozenset()
            self.held[child, role, pe] = new
            groups.setdefault(who, []).append((here, new, old, kept))
        for who, moves in groups.items():
            (self.give if role != self.output else self.take)(role, parent, child, who, moves)

    def sweeps(self, role, child, index, key, here):
        """Does this step continue a sweep whose overlap stays? Remembers the step."""
        outer = [
            (loop, v)
            for loop, v in zip(self.time, index, strict=True)
            if loop[0] < child and loop[2] > 1 and loop[1] in self.used[role]
        ]
        last = outer[-1] if outer else None
        before = self.place.get(key)
        self.place[key] = (here, [v for _, v in outer[:-1]], last and last[1])
        if self.nest.halo != "consecutive-overlap" or last is None or before is None or role == self.output:
            return False
        (level, dim, _, _), v = last
        axis = [axis for axis in self.nest.tensors[role] if dim in [d for d, _ in axis] and len(axis) == 2]
        if not axis or level != child - 1:
            return False
        ((other, stride),) = [pair for pair in axis[0] if pair[0] != dim]
        own = dict(axis[0])[dim]
        if self.nest.window == "touched" and own % stride:  # strides (own, stride) reduce to (own / stride, 1)
            return False
        spread = [
            d for d in ((dim, other) if self.nest.multicast == "union" else (dim,)) if self.nest.spatial.get(d, 1) > 1
        ]
        if child == self.nest.fanout + 1 and spread:
            return False
        return before[1] == [x for _, x in outer[:-1]] and v == before[2] + 1

    def give(self, role, parent, child, who, moves):
        fetched = [(here, new - kept) for here, new, _, kept in moves]
        mode = self.nest.multicast if child > self.nest.fanout and parent <= self.nest.fanout else "union"
        if mode == "none":
            self.add(parent, role, "read", sum(len(part) for _, part in fetched))
        elif mode == "identical_tile":
            self.add(parent, role, "read", sum(len(part) for part in dict(fetched).values()))
        else:
            new = frozenset().union(*[new for _, new, _, _ in moves])
            kept = frozenset().union(*[kept for *_, kept in moves])
            if (
                child <= self.nest.fanout + 1 and child < self.levels
            ):  # one fill of the array covers the hull of its tile
                new, kept = self.box(role, new), self.box(role, kept)
            self.add(parent, role, "read", len(new - kept))
        if child < self.levels:
            self.add(child, role, "write", sum(len(part) for _, part in fetched))

    def take(self, role, parent, child, who, moves):
        seen = self.written.setdefault((parent, child, who), set())
        old = set().union(*[old for _, _, old, _ in moves])
        new = set().union(*[new for _, new, _, _ in moves])
        first_free = self.nest.partial_sums == "first-free"
        if child < self.levels:
            self.add(parent, role, "update", len(old))
            seen |= old
        self.add(parent, role, "read", len(new & seen if first_free else new))
        if child < self.levels:
            self.add(child, role, "write", sum(len(n & seen if first_free else n) for _, n, _, _ in moves))
        else:
            self.add(parent, role, "update", len(new))
            seen |= new

    def drain(self):
        """At the end every held sum goes up once, added across the PEs that share a parent."""
        holders = [level for level in range(self.levels) if self.output in self.nest.keeps[level]]
        for parent, child in itertools.pairwise(holders):
            held = [words for (level, role, _), words in self.held.items() if (level, role) == (child, self.output)]
            shared = child > self.nest.fanout >= parent
            moved = len(set().union(*held)) if shared else sum(len(words) for words in held)
            self.add(parent, self.output, "update", moved)


def walk(nest):
    """Words by (level index, role, action), zeros left out."""
    return Walk(nest).run()
