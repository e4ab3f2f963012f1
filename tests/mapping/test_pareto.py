"""The front of energy against steps."""

import math

import pytest

from picojoule.mapping import Accelerator, Array, Level, NoMappingError, cost, faults, optimum, pareto, traffic
from tests.mapping import cases, exhaustive
from tests.mapping.test_search import small


def front_of(target, machine, weights, chosen, factors):
    """Every mapping priced: the least energy at each number of steps, then what no faster one beats; None: too many."""
    found = exhaustive.mappings(target, machine, factors == "ragged", chosen, 3000)
    if found is None:
        return None
    least = {}
    for mapping in found:
        if not faults(target, machine, mapping, chosen):
            moved = traffic(target, machine, mapping, chosen)
            energy = cost(target, moved, weights)
            least[moved.steps] = min(least.get(moved.steps, math.inf), energy)
    kept, best = [], math.inf
    for steps in sorted(least):
        if least[steps] < best * (1 - 1e-9):
            best = least[steps]
            kept.append((steps, best))
    return kept


def test_pareto_is_the_front_of_every_mapping():
    """Equality: the front and enumeration of every unrolling, factorisation and order on 60 random machines."""
    tried = several = 0
    for seed in range(10_000):
        world = small(seed)
        target, machine, weights, chosen, factors = world
        truth = front_of(*world)
        if truth is None:
            continue
        tried += 1
        try:
            found = pareto(target, machine, weights, convention=chosen, factors=factors)
        except NoMappingError:
            assert truth == [], seed
            continue
        assert found.exact
        assert [p.steps for p in found.points] == [steps for steps, _ in truth], seed
        assert [p.energy for p in found.points] == pytest.approx([energy for _, energy in truth]), seed
        several += len(truth) > 1
        if tried == 60:
            break
    assert several > 10


def test_ends_of_the_front_are_the_optima():
    """Equality: the first point has the least latency, the last the least energy, and some point the least product."""
    for seed in range(30):
        target, machine, weights, chosen, factors = small(seed)
        try:
            points = pareto(target, machine, weights, convention=chosen, factors=factors).points
        except NoMappingError:
            continue
        best = {
            goal: optimum(target, machine, weights, goal, convention=chosen, factors=factors).value
            for goal in ("energy", "latency", "edp")
        }
        assert points[0].cycles == best["latency"]
        assert points[-1].energy == pytest.approx(best["energy"])
        assert min(p.energy * p.cycles for p in points) == pytest.approx(best["edp"])


def test_bandwidth_is_said():
    """By hand: with a port the front is marked as no proof, and every point states its cycles with the port."""
    target, *_ = cases.problem(__import__("random").Random(1), 60)
    roles = ("input", "weight", "output")
    levels = (Level("far", roles, read_bandwidth=0.25), Level("near", roles))
    machine = Accelerator("ports", levels, Array("near", ()), tuple((role, 8) for role in roles))
    weights = small(0)[2]
    weights = type(weights)(1.0, tuple(((level.name, role, action), 1.0) for level in levels for role in roles
                                       for action in ("read", "write", "update")))  # fmt: skip
    found = pareto(target, machine, weights)
    assert not found.exact
    assert all(point.cycles >= point.steps for point in found.points)
