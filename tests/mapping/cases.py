"""Random problems, machines and legal mappings, steered to what laws get wrong."""

import random
from dataclasses import dataclass

from picojoule.mapping import Accelerator, Array, Convention, Level, Mapping, Problem, SpatialAxis, contraction, faults
from tests.mapping.interpreter import Nest

ROLES = ("input", "weight", "output")


@dataclass
class Case:
    problem: Problem
    machine: Accelerator
    mapping: Mapping
    convention: Convention
    nest: Nest

    @property
    def features(self):
        loops = [trip for level in self.mapping.loops for _, trip in level]
        spatial, windows = dict(self.mapping.spatial), self.problem.operands[0].windows
        dims, extents = self.problem.dims, self.problem.extents
        return {
            "spatial window": any(all(dims[d] in spatial for d, _ in axis) for axis in windows),
            "ragged": any(extent % spatial.get(dim, 1) for dim, extent in self.problem.space),
            "bypass": any(len(level.keeps) < 3 for level in self.machine.levels),
            "trip 1": 1 in loops,
            "stride > kernel": any(axis[0][1] > extents[axis[1][0]] for axis in windows),
        }  # fmt: skip


def problem(rng, biggest=400):
    """(problem, extents, raw axes, window axes): conv, grouped, depthwise, matmul or batched matmul."""
    while True:
        if rng.random() < 0.7:
            made = _conv(rng)
        else:
            made = _matmul(rng)
        if made[0].macs <= biggest:
            return made


def _conv(rng):
    pick = lambda *xs: rng.choice(xs)  # noqa: E731
    extents = {"b": pick(1, 1, 2), "g": pick(1, 1, 1, 2, 3), "m": pick(1, 2, 3, 4, 6), "c": pick(1, 2, 3, 4),
               "p": pick(1, 2, 3, 4, 5, 6), "q": pick(1, 1, 2, 3, 4), "r": pick(1, 2, 3, 3), "s": pick(1, 1, 2, 3)}  # fmt: skip
    if rng.random() < 0.2:
        extents.update(m=1, c=1, g=pick(2, 4, 6))
    stride, dilation = pick(1, 1, 2, 3), pick(1, 1, 1, 2)
    axes = {
        "input": [
            (("b", 1),),
            (("g", extents["c"]), ("c", 1)),
            (("p", stride), ("r", dilation)),
            (("q", stride), ("s", dilation)),
        ],
        "weight": [(("g", extents["m"]), ("m", 1)), (("c", 1),), (("r", 1),), (("s", 1),)],
        "output": [(("b", 1),), (("g", extents["m"]), ("m", 1)), (("p", 1),), (("q", 1),)],
    }
    return contraction("conv", extents, axes), extents, axes, {"input": (2, 3)}


def _matmul(rng):
    pick = lambda *xs: rng.choice(xs)  # noqa: E731
    extents = {
        "h": pick(1, 1, 2, 3),
        "m": pick(1, 2, 4, 5, 6, 8),
        "n": pick(1, 2, 3, 4, 7),
        "k": pick(1, 2, 3, 4, 6, 9),
    }
    axes = {
        "input": [(("h", 1),), (("m", 1),), (("k", 1),)],
        "weight": [(("h", 1),), (("k", 1),), (("n", 1),)],
        "output": [(("h", 1),), (("m", 1),), (("n", 1),)],
    }
    return contraction("matmul", extents, axes), extents, axes, {}


def machine(rng, dims, capacities=False, restrict=False, ports=False):
    count = rng.randint(2, 5)
    fanout = rng.randrange(count)
    levels = []
    for i in range(count):
        keeps = ROLES if i == 0 or rng.random() < 0.4 else tuple(r for r in ROLES if rng.random() < 0.6)
        limit = rng.choice((None, 8 * rng.randint(4, 200))) if capacities and i else None
        shares = tuple((r, 8 * rng.randint(1, 60)) for r in keeps if rng.random() < 0.3) if capacities and i else ()
        loops = tuple(d for d in dims if rng.random() < 0.7) if restrict and i and rng.random() < 0.5 else None
        rate = (lambda: rng.choice((None, 0.25, 0.5, 1, 2, 4))) if ports else (lambda: None)
        bus = rng.choice((None, None, 4, 16)) if ports else None
        levels.append(Level(f"L{i}", keeps, limit, shares, loops, (), rate(), rate(), rng.random() < 0.2, bus))
    axes = tuple(
        SpatialAxis(name, rng.choice((1, 2, 3, 4, 6)), tuple(d for d in dims if rng.random() < 0.6))
        for name in ("x", "y")
    )
    whole = tuple(d for d in dims if rng.random() < 0.15) if restrict else ()
    array = Array(f"L{fanout}", axes, rng.random() < 0.85, rng.random() < 0.9, whole)
    bits = (("input", 8), ("weight", 8), ("output", rng.choice((8, 16))))
    return Accelerator("random", tuple(levels), array, bits)


def split(rng, number, homes):
    """Trips that multiply to `number`, one per home, with ones among them."""
    trips = [1] * homes
    prime = 2
    while number > 1:
        while number % prime == 0:
            trips[rng.randrange(homes)] *= prime
            number //= prime
        prime += 1
    return trips


def convention(rng, halos=("refetch", "consecutive-overlap")):
    return Convention(
        rng.choice(halos), rng.choice(("touched", "touched", "hull")),
        rng.choice(("union", "union", "identical_tile")), rng.choice(("first-free", "first-free", "always")),
    )  # fmt: skip


def random_mapping(rng, target, accelerator):
    """A random spread over the array and random loops, trip-1 loops and split loops included."""
    spatial, window = {}, rng.random() < 0.3  # now and then both dimensions of a window
    for axis in accelerator.array.axes:
        room = axis.size
        for dim in ("p", "r") if window else ():
            extent = dict(target.space).get(dim, 1)
            if dim in axis.dims and dim not in spatial and extent > 1 and room > 1:
                size = -(-extent // -(-extent // rng.randint(2, min(room, extent))))
                room //= size
                spatial[dim] = size
        for dim in rng.sample(axis.dims, len(axis.dims)):
            if dim in spatial:
                continue
            extent = dict(target.space)[dim]
            size = rng.randint(1, min(room, extent))
            size = -(-extent // -(-extent // size))
            room //= size
            spatial[dim] = size
    loops = [[] for _ in accelerator.levels]
    for dim, extent in target.space:
        passes = -(-extent // spatial.get(dim, 1))
        for level, trip in enumerate(split(rng, passes, len(loops))):
            if trip > 1 or rng.random() < 0.2:
                loops[level].append((dim, trip))
    for level in loops:
        rng.shuffle(level)
    return Mapping(tuple(map(tuple, loops)), tuple((d, s) for d, s in spatial.items() if s > 1))


def case(seed):
    """One legal random case; rare features are drawn more often by rejecting plain cases."""
    rng = random.Random(seed)
    while True:
        target, extents, axes, windows = problem(rng)
        accelerator = machine(rng, target.dims)
        mapping, chosen = random_mapping(rng, target, accelerator), convention(rng)
        if faults(target, accelerator, mapping, chosen):
            continue
        made = Case(target, accelerator, mapping, chosen, Nest(
            extents, axes, windows, [list(level.keeps) for level in accelerator.levels], accelerator.fanout,
            [list(level) for level in mapping.loops], dict(mapping.spatial), chosen.halo, chosen.window,
            chosen.multicast if accelerator.array.multicast else "none", chosen.partial_sums,
        ))  # fmt: skip
        rare = made.features
        if rare["spatial window"] or rare["ragged"] or rare["stride > kernel"] or rng.random() < 0.3:
            return made
