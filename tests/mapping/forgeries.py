"""Certificates that lie, each in one of many ways: what the checker must reject.

A forgery is only made where the claim is false or a potential is wrong: a raised potential always breaks an
inequality, because every potential of a true certificate is as large as its inequalities allow.
"""

import dataclasses
import math
import random
from collections import Counter
from functools import cache

import numpy as np

from picojoule.mapping import (
    Convention,
    NoMappingError,
    Weights,
    certificate,
    check,
    cost,
    faults,
    latency,
    optimum,
    traffic,
)
from tests.mapping import cases

CLOSE = 1e-7
TREES = (
    (4, "edp"),
    (33, "edp"),
    (33, "latency"),
    (61, "edp"),
    (99, "edp"),
    (101, "latency"),
    (120, "edp"),
    (123, "edp"),
    (156, "latency"),
    (163, "edp"),
)  # worlds of `tight` whose proofs look into partial mappings


def tight(seed):
    """A world in which ports of few words per cycle set the pace."""
    from tests.mapping.test_search import random_weights

    rng = random.Random(seed)
    while True:
        target, *_ = cases.problem(rng, 2000)
        machine = cases.machine(rng, target.dims, capacities=True, ports=True)
        levels = tuple(
            dataclasses.replace(level, read_bandwidth=rng.choice((0.25, 0.5, 1)),
                                write_bandwidth=rng.choice((0.25, 0.5, 1)), bus_bits=None)
            for level in machine.levels
        )  # fmt: skip
        if 2 <= len(levels) < 5:
            weights = random_weights(rng, machine)
            return (
                target,
                dataclasses.replace(machine, levels=levels),
                weights,
                cases.convention(rng, ("refetch",)),
                "ragged",
            )


def honest(seed):
    """A proven optimum and its proofs, or None where nothing fits or nothing is moved: every fourth a tree."""
    from tests.mapping.test_search import small

    if seed % 4 == 0:
        return tree(*TREES[seed // 4 % len(TREES)])
    objective = random.Random(seed).choice(("energy", "edp", "latency"))
    target, machine, weights, chosen, factors = small(seed, ports=seed % 4 > 1)
    if seed % 4 == 3:
        machine = optional(machine)
    try:
        found = optimum(target, machine, weights, objective, convention=chosen, factors=factors)
    except NoMappingError:
        return None
    proofs = list(certificate(found))
    return (found, proofs) if found.value > 0 and sum(one.value[0].size for one in proofs) < 1500 else None


@cache
def tree(seed, objective):
    """An optimum whose proofs look into partial mappings."""
    target, machine, weights, chosen, factors = tight(seed)
    found = optimum(target, machine, weights, objective, convention=chosen, factors=factors)
    return found, list(certificate(found, mixed=False))


def optional(machine):
    """The first role of every level but the outermost may be bypassed."""
    levels = [dataclasses.replace(one, optional=one.keeps[:1] if i else ()) for i, one in enumerate(machine.levels)]
    return dataclasses.replace(machine, levels=tuple(levels))


def value_of(found, mapping, **changes):
    """(energy, value) of a mapping under a claim's conditions, some changed."""
    other = dataclasses.replace(found, **changes)
    moved = traffic(other.problem, other.accelerator, mapping, other.convention)
    energy = cost(other.problem, moved, other.weights)
    cycles = latency(other.accelerator, moved)
    return energy, cycles, {"energy": energy, "latency": cycles, "edp": energy * cycles}[found.objective], moved


def raised_value(rng, found, proofs):
    """The optimum is said to be larger, and the roots are raised with it."""
    more = 1 + 10 ** rng.uniform(-6, 0)
    claim = dataclasses.replace(found, value=found.value * more)
    claim = dataclasses.replace(claim, lower_bound=claim.value, energy=found.energy * rng.choice((1, more)))
    return claim, [dataclasses.replace(one, root=tuple(r * more + 1e-6 for r in one.root)) for one in proofs]


def lowered_value(rng, found, proofs):
    """The mapping is said to cost less than it does."""
    return dataclasses.replace(found, value=found.value * (1 - 10 ** rng.uniform(-6, -0.5))), proofs


def false_field(rng, found, proofs):
    """Energy, cycles or value is altered, made infinite or no number."""
    name = rng.choice(("energy", "cycles", "value"))
    value = rng.choice((math.nan, math.inf, getattr(found, name) * 1.01 + 1, 0.0, -1.0))
    if value == getattr(found, name):
        return None
    return dataclasses.replace(found, **{name: value}), proofs


def worse_mapping(rng, found, proofs):
    """A legal mapping that is not the best is claimed, with its true cost and the best proofs there are."""
    for _ in range(30):
        other = cases.random_mapping(rng, found.problem, found.accelerator)
        if faults(found.problem, found.accelerator, other, found.convention):
            continue
        energy, cycles, value, moved = value_of(found, other)
        if value > found.value * (1 + CLOSE):
            claim = dataclasses.replace(
                found, mapping=other, energy=energy, cycles=cycles, value=value, lower_bound=value, traffic=moved
            )
            return claim, list(certificate(claim)) if rng.random() < 0.5 else proofs
    return None


def altered_mapping(rng, found, proofs):
    """The numbers stay, the mapping under them is another: it costs more or is illegal."""
    loops = [list(level) for level in found.mapping.loops]
    full = [i for i, level in enumerate(loops) if level]
    if not full:
        return None
    level = rng.choice(full)
    at = rng.randrange(len(loops[level]))
    dim, trip = loops[level][at]
    kind = rng.choice(("move", "drop", "grow"))
    if kind == "move":
        del loops[level][at]
        loops[(level + 1) % len(loops)].insert(0, (dim, trip))
    elif kind == "drop":
        del loops[level][at]
    else:
        loops[level][at] = (dim, trip + 1)
    mapping = dataclasses.replace(found.mapping, loops=tuple(map(tuple, loops)))
    if not faults(found.problem, found.accelerator, mapping, found.convention):
        energy, _, value, _ = value_of(found, mapping)
        same = math.isclose(energy, found.energy, rel_tol=CLOSE) and math.isclose(value, found.value, rel_tol=CLOSE)
        if same:
            return None
    return dataclasses.replace(found, mapping=mapping), proofs


def raised_potential(rng, found, proofs):
    """One number of one column is a little too large."""
    if not proofs:
        return None
    which = rng.randrange(len(proofs))
    one, kind = proofs[which], rng.choice(("value", "inner", "outer", "root"))
    if kind == "root":
        if not any(map(math.isfinite, one.root)):
            return None
        forged = dataclasses.replace(one, root=tuple(r * 1.001 + 1e-6 for r in one.root))
    else:
        columns = dict(enumerate(one.value)) if kind == "value" else dict(getattr(one, kind))
        places = [
            (key, i) for key, column in columns.items() for i in zip(*np.nonzero(np.isfinite(column)), strict=True)
        ]
        places = [place for place in places if kind != "value" or place[0] > 0]  # nothing reads the outermost column
        if not places:
            return None
        key, at = rng.choice(places)
        columns[key] = columns[key].copy()
        columns[key][at] += abs(columns[key][at]) * 10 ** rng.uniform(-4, 0) + 1e-6
        forged = dataclasses.replace(one, **{kind: tuple(columns.values()) if kind == "value" else columns})
    return found, [*proofs[:which], forged, *proofs[which + 1 :]]


def missing_proof(rng, found, proofs):
    """One unrolling is passed over; its floor alone does not reach the value."""
    if not proofs:
        return None
    which = rng.randrange(len(proofs))
    return found, [*proofs[:which], *proofs[which + 1 :]]


def missing_column(rng, found, proofs):
    """A column is left out, cut short or filled with what is no number."""
    if not proofs:
        return None
    which = rng.randrange(len(proofs))
    one, kind = proofs[which], rng.choice(("value", "short", "key", "nan"))
    if kind == "value":
        forged = dataclasses.replace(one, value=one.value[:-1])
    elif kind == "short":
        longer = np.concatenate([one.value[-1], one.value[-1][:, :1]], axis=1)
        forged = dataclasses.replace(one, value=(*one.value[:-1], longer))
    elif kind == "nan":
        forged = dataclasses.replace(one, root=(math.nan, *one.root[1:]))
    elif one.inner:
        forged = dataclasses.replace(one, inner=dict(list(one.inner.items())[1:]))
    else:
        return None
    return found, [*proofs[:which], forged, *proofs[which + 1 :]]


def exchanged_proofs(rng, found, proofs):
    """Proofs stand under each other's unrollings, or under one that does not exist."""
    if len(proofs) < 2 or rng.random() < 0.3:
        if not proofs:
            return None
        strange = tuple(x + 1 for x in found.problem.extents)
        return found, [dataclasses.replace(proofs[0], spatial=strange), *proofs[1:]]
    a, b = rng.sample(range(len(proofs)), 2)
    if proofs[a].bypass != proofs[b].bypass or proofs[a].root == proofs[b].root:
        return None
    mixed = list(proofs)
    mixed[a] = dataclasses.replace(proofs[b], spatial=proofs[a].spatial)
    mixed[b] = dataclasses.replace(proofs[a], spatial=proofs[b].spatial)
    same = proofs[a].value[0].shape == proofs[b].value[0].shape and proofs[a].rows == proofs[b].rows
    pairs = zip(proofs[a].root, proofs[b].root, strict=True) if same else ()
    apart = any(not math.isclose(x, y, rel_tol=1e-6, abs_tol=1e-9) for x, y in pairs)
    return (found, mixed) if apart or not same else None


def wrong_convention(rng, found, proofs):
    """The numbers of one convention under the name of another."""
    other = Convention(
        rng.choice(("refetch", "consecutive-overlap", "perfect")), rng.choice(("touched", "hull")),
        rng.choice(("union", "identical_tile")), rng.choice(("first-free", "always")),
    )  # fmt: skip
    return _elsewhere(found, proofs, convention=other)


def wrong_weights(rng, found, proofs):
    """The numbers of other weights."""
    other = Weights(
        found.weights.mac, tuple((key, w * rng.choice((0.5, 1, 1, 2))) for key, w in found.weights.words)
    )  # fmt: skip
    return _elsewhere(found, proofs, weights=other)


def wrong_machine(rng, found, proofs):
    """The numbers of a larger memory: here the mapping does not fit."""
    levels = list(found.accelerator.levels)
    at = rng.randrange(1, len(levels)) if len(levels) > 1 else 0
    levels[at] = dataclasses.replace(
        levels[at], capacity_bits=8, shares=tuple((role, 1) for role, _ in levels[at].shares)
    )
    return _elsewhere(found, proofs, accelerator=dataclasses.replace(found.accelerator, levels=tuple(levels)))


def wrong_ports(rng, found, proofs):
    """The numbers of other bandwidths: there the mapping takes other cycles."""
    levels = list(found.accelerator.levels)
    at, factor = rng.randrange(len(levels)), rng.choice((0.01, 0.5, 2.0, 100.0))
    rates = {name: getattr(levels[at], name) for name in ("read_bandwidth", "write_bandwidth", "bus_bits")}
    levels[at] = dataclasses.replace(levels[at], **{name: rate and rate * factor for name, rate in rates.items()})
    machine = dataclasses.replace(found.accelerator, levels=tuple(levels))
    same = math.isclose(value_of(found, found.mapping, accelerator=machine)[1], found.cycles, rel_tol=CLOSE)
    return None if same else (dataclasses.replace(found, accelerator=machine), proofs)


def wrong_rows(rng, found, proofs):
    """A row weighs less than its potentials, or something that is not there, or by no number."""
    whole = [i for i, one in enumerate(proofs) if any(0 < root < math.inf for root in one.root)]
    if not whole:
        return None
    which = rng.choice(whole)
    one = proofs[which]
    row = rng.choice([r for r, root in enumerate(one.root) if 0 < root < math.inf])
    other = {
        "less": tuple((level, port, share / 2) for level, port, share in one.rows[row]),
        "unknown": (*one.rows[row], ("nowhere", "read", 1.0)),
        "negative": tuple((level, port, -share) for level, port, share in one.rows[row]),
        "no number": tuple((level, port, math.nan) for level, port, _ in one.rows[row]),
        "nothing": (),
    }[rng.choice(("less", "less", "unknown", "negative", "no number", "nothing"))]
    forged = dataclasses.replace(one, rows=(*one.rows[:row], other, *one.rows[row + 1 :]))
    return found, [*proofs[:which], forged, *proofs[which + 1 :]]


def missing_subtree(rng, found, proofs):
    """A partial mapping that is not bounded is not looked into: with all that follows it, or alone."""
    trees = [i for i, one in enumerate(proofs) if one.opened]
    if not trees:
        return None
    which = rng.choice(trees)
    one = proofs[which]
    cut = rng.choice(sorted(one.opened))
    wide = rng.random() < 0.5
    left = frozenset(path for path in one.opened if path != cut and not (wide and path[: len(cut)] == cut))
    return found, [*proofs[:which], dataclasses.replace(one, opened=left), *proofs[which + 1 :]]


def narrow_space(rng, found, proofs):
    """The best of a part of the space is said to be that of the whole, with all counts and proofs of the whole."""
    if found.problem.macs > 60 or any(level.optional for level in found.accelerator.levels):
        return None
    machine = optional(found.accelerator) if rng.random() < 0.7 else found.accelerator
    wide = optimum(
        found.problem, machine, found.weights, found.objective, convention=found.convention, factors="ragged"
    )
    if wide.value >= found.value * (1 - CLOSE):
        return None
    claim = dataclasses.replace(
        wide, mapping=found.mapping, traffic=found.traffic, value=found.value, energy=found.energy,
        cycles=found.cycles, lower_bound=found.value,
    )  # fmt: skip
    return claim, [*proofs, *certificate(claim)]


def false_cover(rng, found, proofs):
    """The search is said to cover more, or its bounds are not those of the value."""
    name = rng.choice(("unrollings", "mappings_covered", "lower_bound", "root_bound"))
    value = getattr(found, name)
    other = value + 1 if isinstance(value, int) else rng.choice((math.nan, math.inf, found.value * 1.001, -1.0))
    return dataclasses.replace(found, **{name: other}), proofs


def _elsewhere(found, proofs, **changes):
    """The claim under other conditions, if its mapping is illegal there or costs something else."""
    claim = dataclasses.replace(found, **changes)
    if not faults(claim.problem, claim.accelerator, found.mapping, claim.convention):
        energy, _, value, _ = value_of(found, found.mapping, **changes)
        if math.isclose(energy, found.energy, rel_tol=CLOSE) and math.isclose(value, found.value, rel_tol=CLOSE):
            return None
    return claim, proofs


KINDS = (raised_value, lowered_value, false_field, worse_mapping, altered_mapping, raised_potential, missing_proof,
         missing_column, exchanged_proofs, wrong_convention, wrong_weights, wrong_machine, wrong_ports, wrong_rows,
         missing_subtree, narrow_space, false_cover)  # fmt: skip


def run(forgeries, seed=0):
    """(honest certificates accepted of how many, forgeries rejected of how many by kind, what was accepted wrongly)."""
    rng, made, rejected, wrong = random.Random(seed), Counter(), Counter(), []
    proven = honests = 0
    while sum(made.values()) < forgeries:
        seed += 1
        world = honest(seed)
        if world is None:
            continue
        honests += 1
        proven += check(*world) == ()
        rarest = sorted(KINDS, key=lambda kind: (made[kind.__name__], rng.random()))
        for kind in rarest[:5]:
            forged = kind(rng, *world)
            if forged is None or sum(made.values()) >= forgeries:
                continue
            made[kind.__name__] += 1
            if check(*forged):
                rejected[kind.__name__] += 1
            else:
                wrong.append((kind.__name__, seed))
    return (proven, honests), made, rejected, wrong
