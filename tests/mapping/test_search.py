import dataclasses
import math
import random

import numpy as np
import pytest

from picojoule.mapping import (
    NoMappingError,
    UnmappableError,
    Weights,
    _search,
    contraction,
    cost,
    faults,
    latency,
    optimum,
    traffic,
)
from picojoule.mapping._bound import floor
from picojoule.mapping._field import field
from picojoule.mapping._lattice import lattice
from picojoule.mapping._refine import Loose, refine, refine_loosely, refinement
from picojoule.mapping._seat import unrollings
from picojoule.mapping._solve import solve
from picojoule.mapping._weights import prices
from tests.mapping import cases, exhaustive
from tests.mapping.machines import RESNET50, ROLES, conv, eyeriss_like, tpu_like, weights_of


def random_weights(rng, machine):
    actions = ("read", "write", "update")
    table = [
        ((level.name, r, a), rng.choice((0, 1, 2, 5, 10)) * rng.random())
        for level in machine.levels
        for r in level.keeps
        for a in actions
    ]
    return Weights(rng.random(), tuple(table))


def small(seed, ports=False):
    """(problem, machine, weights, convention, factors): capacities, partitions, restricted loops, arrays anywhere."""
    rng = random.Random(seed)
    while True:
        target, *_ = cases.problem(rng, 60)
        machine = cases.machine(rng, target.dims, capacities=True, restrict=rng.random() < 0.4, ports=ports)
        if len(machine.levels) < 5:
            chosen = cases.convention(rng, ("refetch", "refetch", "perfect"))
            return target, machine, random_weights(rng, machine), chosen, rng.choice(("perfect", "ragged"))


def least(target, machine, weights, chosen, factors, objective):
    """Exhaustive optimum, or None where there are too many mappings."""
    found = exhaustive.mappings(target, machine, factors == "ragged", chosen, 3000)
    return None if found is None else exhaustive.best(target, machine, weights, objective, chosen, found)[0]


def searched(target, machine, weights, objective, chosen, factors):
    try:
        return optimum(target, machine, weights, objective, convention=chosen, factors=factors)
    except NoMappingError:
        return None


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
@pytest.mark.parametrize("ports", [False, True])
def test_exhaustive(objective, ports):
    """Equality: search and enumeration of every unrolling, factorisation and loop order, 40 random machines each."""
    tried = 0
    for seed in range(10_000):
        world = small(seed, ports)
        value = least(*world, objective)
        if value is None:
            continue
        tried += 1
        target, machine, weights, chosen, factors = world
        found = searched(target, machine, weights, objective, chosen, factors)
        assert (found is None) == (value == math.inf), seed
        if found:
            assert found.root_bound <= found.lower_bound * (1 + 1e-9), seed
            assert found.lower_bound <= value * (1 + 1e-9), seed
            assert found.gap == 0, seed
            assert found.value == pytest.approx(value, rel=1e-9), seed
        if tried == 40:
            return


def test_bypass_exhaustive():
    """Equality: with optional levels the search finds the best of all bypass masks, each searched alone."""
    for seed in range(20):
        target, machine, weights, chosen, factors = small(seed)
        levels = tuple(
            dataclasses.replace(level, optional=level.keeps if i else ()) for i, level in enumerate(machine.levels)
        )
        free = dataclasses.replace(machine, levels=levels)
        alone = [
            searched(target, machine.without(mask), weights, "energy", chosen, factors) for mask in _search.masks(free)
        ]
        found = searched(target, free, weights, "energy", chosen, factors)
        best = min((one.value for one in alone if one), default=None)
        assert (found and found.value) == pytest.approx(best, rel=1e-9)


def test_bounds_of_every_unrolling():
    """Bound: floor, loose, coarse and tight bound never exceed the exact least cost, for every unrolling, not the winner's
    alone; where the tight one is used it is the sharper, and mostly exact.
    """
    checked = sharp = exactly = 0
    for seed in range(400):
        target, machine, weights, chosen, factors = small(seed)
        rows = _search.lawful(target, machine, unrollings(target, machine.array, factors), chosen)
        table = prices(target, machine, weights)
        below = floor(target, machine, rows, table, chosen)
        shared = refinement(target, machine, table, chosen) if factors == "perfect" else None
        refined = refine(shared, rows) if shared else below.least
        tight = refine(shared, rows, np.full(len(rows), np.inf)) if shared else refined
        assert (tight >= refined * (1 - 1e-9)).all(), seed
        sharp += len(rows) if shared else 0
        inside = machine.fanout < len(machine.levels) - 1
        loose = refine_loosely(Loose(target, machine, chosen, table), rows) if inside else below.least
        assert (loose >= below.least * (1 - 1e-9)).all(), seed
        for i, row in enumerate(rows.tolist()):
            exact = below.fixed[i] + solve(field(target, machine, tuple(row), chosen), [table]).least[0]
            assert max(below.least[i], loose[i], refined[i], tight[i]) <= exact * (1 + 1e-9) + 1e-9, seed
            exactly += shared is not None and (tight[i] >= exact * (1 - 1e-9) or exact == math.inf)
            checked += 1
    assert checked > 1000
    assert sharp > 100
    assert exactly > 0.9 * sharp


def test_many_prime_factors():
    """Bound: extents with more prime factors than a word has bits are searched without the sharper bounds, and proven."""
    axes = {"input": [[("m", 1)], [("c", 1)]], "weight": [[("c", 1)], [("n", 1)]], "output": [[("m", 1)], [("n", 1)]]}
    for m, sharp in ((2**20, True), (2**24, False)):
        target = contraction("long", {"m": m, "n": 2**20, "c": 2**20}, axes)
        machine = tpu_like()
        table = prices(target, machine, weights_of(machine))
        assert (refinement(target, machine, table, _search.Convention()) is not None) == sharp
        assert optimum(target, machine, weights_of(machine)).gap == 0


def test_running_minimum():
    """Equality: running minima on the lattice and a minimum over divisors tile by tile."""
    rng = np.random.default_rng(0)
    grid = lattice((12, 5, 18))
    values = rng.random(grid.size)
    for dims in ((0,), (1, 2), (0, 1, 2)):
        found = grid.running_minimum(values.copy(), dims)
        for i, tile in enumerate(grid.tiles.T):
            same = [
                j for j, other in enumerate(grid.tiles.T)
                if all(tile[d] % other[d] == 0 if d in dims else tile[d] == other[d] for d in range(3))
            ]  # fmt: skip
            assert found[i] == min(values[j] for j in same)


def test_more_never_costs_more():
    """Metamorphic: a larger memory, another dimension on an axis, freer loops, an optional bypass cost no more."""
    for seed in range(60):
        target, machine, weights, chosen, factors = small(seed)
        for objective in ("energy", "edp"):
            before = searched(target, machine, weights, objective, chosen, factors)
            for freer in _freer(machine, target):
                after = searched(target, freer, weights, objective, chosen, factors)
                if before:
                    assert after is not None, (seed, objective)
                    assert after.value <= before.value * (1 + 1e-9), (seed, objective)


def _freer(machine, target):
    twice = lambda bits: None if bits is None else 2 * bits  # noqa: E731
    larger = tuple(
        dataclasses.replace(
            level, capacity_bits=twice(level.capacity_bits), shares=tuple((r, 2 * b) for r, b in level.shares)
        )
        for level in machine.levels
    )
    free = tuple(dataclasses.replace(level, loops=None) for level in machine.levels)
    optional = tuple(
        dataclasses.replace(level, optional=level.keeps if i else ()) for i, level in enumerate(machine.levels)
    )
    axes = tuple(dataclasses.replace(axis, dims=target.dims) for axis in machine.array.axes)
    yield from (dataclasses.replace(machine, levels=levels) for levels in (larger, free, optional))
    yield dataclasses.replace(machine, array=dataclasses.replace(machine.array, axes=axes))


def test_scaled_weights():
    """Metamorphic: weights times 8 give a value times 8; ragged factors never cost more EDP than perfect ones."""
    machine, layer = eyeriss_like(), conv("layer", 20, 6, 10, 3)
    weights = weights_of(machine)
    eight = Weights(8 * weights.mac, tuple((key, 8 * w) for key, w in weights.words))
    assert optimum(layer, machine, eight).value == pytest.approx(8 * optimum(layer, machine, weights).value, rel=1e-12)
    ragged = optimum(layer, machine, weights, "edp")
    assert ragged.value <= optimum(layer, machine, weights, "edp", factors="perfect").value


def test_transposed():
    """Metamorphic: rows and columns of an image may change places where the axes treat them alike."""
    machine = tpu_like()
    axes = (
        dataclasses.replace(machine.array.axes[0], dims=("m", "p", "q")),
        dataclasses.replace(machine.array.axes[1], dims=("c", "r", "s")),
    )
    machine = dataclasses.replace(machine, array=dataclasses.replace(machine.array, axes=axes))
    one, two = conv("tall", 8, 4, 12, 3, q=6, s=1), conv("wide", 8, 4, 6, 1, q=12, s=3)
    weights = weights_of(machine)
    assert optimum(one, machine, weights).value == pytest.approx(optimum(two, machine, weights).value, rel=1e-12)


@pytest.mark.parametrize("make", [eyeriss_like, tpu_like])
def test_real_layers(make):
    """Bound: ResNet-50 layers are proven (gap 0), above the floor, and no random mapping beats them."""
    machine = make()
    weights, rng = weights_of(machine), random.Random(1)
    for layer in (RESNET50[0], RESNET50[10], RESNET50[23]):
        found = optimum(layer, machine, weights, "edp")
        assert found.gap == 0
        assert found.root_bound <= found.value
        assert 0 < found.utilisation <= 1
        assert found.mappings_covered > 10_000
        moved = traffic(layer, machine, found.mapping)
        assert (cost(layer, moved, weights), latency(machine, moved)) == (found.energy, found.cycles)
        for _ in range(200):
            other = cases.random_mapping(rng, layer, machine)
            if not faults(layer, machine, other):
                moved = traffic(layer, machine, other)
                assert cost(layer, moved, weights) * latency(machine, moved) >= found.value * (1 - 1e-12)


def test_stopped_early():
    """Bound: a search stopped after one unrolling still brackets the optimum, and its gap says how closely."""
    machine, gaps = eyeriss_like(), 0
    for layer in (RESNET50[0], RESNET50[23], conv("small", 24, 10, 20, 3)):
        weights = weights_of(machine)
        whole, part = optimum(layer, machine, weights), optimum(layer, machine, weights, solves=1)
        assert part.lower_bound <= whole.value * (1 + 1e-12) <= part.value * (1 + 2e-12)
        assert part.solved == 1
        gaps += part.gap > 0
    assert gaps


def test_equal_layers_are_searched_once():
    """Equality: a layer of the same shape under another name gives the same object inside and its own name outside."""
    machine = tpu_like()
    one = optimum(conv("one", 8, 8, 8, 3), machine, weights_of(machine))
    two = optimum(conv("two", 8, 8, 8, 3), machine, weights_of(machine))
    assert one.mapping is two.mapping
    assert (one.problem.name, two.problem.name) == ("one", "two")


def test_refusals():
    """Message: what cannot be searched is refused with the reason."""
    machine = tpu_like()
    weights = weights_of(machine)
    outer = contraction("outer", {"m": 4, "n": 4, "k": 2}, {
        "input": [[("m", 1)]], "weight": [[("n", 1)]], "output": [[("m", 1)], [("n", 1)]]
    } | {"input": [[("m", 1)], [("k", 1)]]})  # fmt: skip
    with pytest.raises(UnmappableError, match="k is irrelevant to weight and output"):
        optimum(outer, machine, weights)
    tiny = dataclasses.replace(
        machine,
        levels=(*machine.levels[:1], dataclasses.replace(machine.levels[1], capacity_bits=8), machine.levels[2]),
    )
    with pytest.raises(NoMappingError, match=r"no mapping on tpu-like.*SRAM.*bits would fit"):
        optimum(conv("layer", 8, 8, 8, 3), tiny, weights)
    with pytest.raises(ValueError, match="no weight for read of input at DRAM"):
        optimum(conv("layer", 8, 8, 8, 3), machine, Weights(1.0, ()))
    negative = Weights(1.0, tuple((key, -1.0) for key, _ in weights.words))
    with pytest.raises(ValueError, match="may not be negative"):
        optimum(conv("layer", 8, 8, 8, 3), machine, negative)
    assert tuple(role for role, _ in machine.word_bits) == ROLES
