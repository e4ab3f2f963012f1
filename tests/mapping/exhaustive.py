"""The oracle of the search: every unrolling, every placement of the trips, every loop order, priced by the law.

Search and oracle on many random spaces: python -m tests.mapping.exhaustive [spaces of each objective] [engine].
"""

import itertools
import math
import sys

from picojoule.mapping import Mapping, _engine, cost, faults, latency, traffic


def spreads(target, accelerator, ragged):
    """Every vector of spatial factors, found by trying all of them (faults refuse what has no seat)."""
    dims = {dim for axis in accelerator.array.axes for dim in axis.dims}
    choices = []
    for dim, extent in target.space:
        reach = range(1, (extent if dim in dims else 1) + 1)
        choices.append([s for s in reach if (s == -(-extent // -(-extent // s)) if ragged else extent % s == 0)])
    return itertools.product(*choices)


def placements(number, homes):
    """All ordered factorisations of `number` into `homes` factors."""
    if homes == 1:
        yield (number,)
        return
    for first in range(1, number + 1):
        if number % first == 0:
            for rest in placements(number // first, homes - 1):
                yield (first, *rest)


def mappings(target, accelerator, ragged, convention, limit=None):
    """Every mapping without its order, then every order; None if there are more than `limit`."""
    found, homes = [], len(accelerator.levels)
    for spatial in spreads(target, accelerator, ragged):
        spread = tuple((d, s) for d, s in zip(target.dims, spatial, strict=True) if s > 1)
        base = Mapping(((),) * homes, spread)
        if any(
            fault.where == "array" for fault in faults(target, accelerator, covering(target, base, homes), convention)
        ):
            continue
        passes = [-(-x // s) for x, s in zip(target.extents, spatial, strict=True)]
        for chain in itertools.product(*[list(placements(y, homes)) for y in passes]):
            loops = [
                [(d, chain[i][level]) for i, d in enumerate(target.dims) if chain[i][level] > 1]
                for level in range(homes)
            ]
            orders = itertools.product(*[itertools.permutations(level) for level in loops])
            for order in orders:
                found.append(Mapping(tuple(order), spread))
                if limit and len(found) > limit:
                    return None
    return found


def covering(target, mapping, homes):
    """The same spread with all loops outermost, so that only the array can refuse."""
    spatial = dict(mapping.spatial)
    loops = tuple((d, -(-x // spatial.get(d, 1))) for d, x in target.space)
    return Mapping((loops, *[()] * (homes - 1)), mapping.spatial)


def best(target, accelerator, weights, objective, convention, found):
    """(least value, mapping) over the legal ones."""
    least = (math.inf, None)
    for mapping in found:
        if faults(target, accelerator, mapping, convention):
            continue
        moved = traffic(target, accelerator, mapping, convention)
        energy, cycles = cost(target, moved, weights), latency(accelerator, moved)
        value = {"energy": energy, "latency": cycles, "edp": energy * cycles}[objective]
        if value < least[0]:
            least = (value, mapping)
    return least


def compare(objective, ports, spaces, engine="numpy"):
    """(spaces compared, mappings enumerated, seeds that differ): search against enumeration on random machines."""
    from picojoule.mapping import NoMappingError, optimum
    from tests.mapping.test_search import small

    done, counted, wrong, seed = 0, 0, [], 0
    while done < spaces:
        target, accelerator, weights, convention, kind = small(seed, ports)
        found = mappings(target, accelerator, kind == "ragged", convention, 3000)
        if found is not None:
            done, counted = done + 1, counted + len(found)
            value = best(target, accelerator, weights, objective, convention, found)[0]
            try:
                one = optimum(
                    target, accelerator, weights, objective, convention=convention, factors=kind, engine=engine
                )
                same = math.isclose(one.value, value, rel_tol=1e-9, abs_tol=1e-9) and one.gap == 0
            except NoMappingError:
                same = value == math.inf
            if not same:
                wrong.append(seed)
        seed += 1
    return done, counted, wrong


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    chosen = sys.argv[2] if len(sys.argv) > 2 else "numpy"
    failed, _engine.LATE = False, 0  # compiled from the first solve on
    for goal, bandwidths in itertools.product(("energy", "latency", "edp"), (False, True)):
        done, counted, wrong = compare(goal, bandwidths, number, chosen)
        failed |= bool(wrong)
        ports = "with ports" if bandwidths else "without ports"
        print(f"{goal} {ports}: {done} spaces, {counted:,} mappings, {len(wrong)} differ {wrong[:5]}", flush=True)
    sys.exit(failed)
