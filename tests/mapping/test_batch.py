"""Many mappings at once against the law, one by one."""

import dataclasses
import math

import numpy as np
import pytest

from picojoule.mapping import UnmappableError, Weights, _search, batch, contraction, cost, faults, optimum, traffic
from picojoule.mapping._seat import unrollings
from tests.mapping.machines import conv, eyeriss_like, weights_of
from tests.mapping.test_search import small


def test_random_mappings():
    """Equality: cost and legality of random chains and the law with `faults`, on random machines and unrollings."""
    rng, legal, illegal, ties = np.random.default_rng(0), 0, 0, 0
    for seed in range(150):
        target, machine, weights, chosen, kind = small(seed)
        rows = _search.lawful(target, machine, unrollings(target, machine.array, kind), chosen)
        if not len(rows):
            continue  # a dimension must be whole and has no seat
        spatial = tuple(rows[rng.integers(len(rows))].tolist())
        many = batch(target, machine, weights, spatial, chosen)
        chains, stationary = many.draw(rng, 20)
        for chain, s, found in zip(chains, stationary, many.cost(chains, stationary), strict=True):
            mapping = many.mapping(chain, s)
            if faults(target, machine, mapping, chosen):
                assert found == math.inf, seed
                illegal += 1
            else:
                true = cost(target, traffic(target, machine, mapping, chosen), weights)
                assert found == pytest.approx(true, rel=1e-9, abs=1e-9), seed
                legal += 1
                ties += any(not level for level in mapping.loops)
    assert legal > 800
    assert illegal > 300
    assert ties > 300


def test_never_below_the_optimum():
    """Bound: of 20,000 mappings of the best unrolling none costs less than the optimum."""
    machine, layer = eyeriss_like(), conv("layer", 64, 32, 28, 3)
    weights = weights_of(machine)
    found = optimum(layer, machine, weights)
    spread = dict(found.mapping.spatial)
    many = batch(layer, machine, weights, tuple(spread.get(dim, 1) for dim in layer.dims))
    costs = many.cost(*many.draw(np.random.default_rng(0), 20_000))
    assert np.isfinite(costs).sum() > 100
    assert costs.min() >= found.value * (1 - 1e-12)


def test_chains_that_are_none():
    """Bound: a tile that does not divide the one above it has no mapping; a wrong shape or index is refused."""
    machine, layer = eyeriss_like(), conv("layer", 6, 4, 6, 1)
    many = batch(layer, machine, weights_of(machine), (1,) * 8)
    size = many.field.lattice.size
    every = np.stack([one.ravel() for one in np.meshgrid(np.arange(size), np.arange(size))], axis=1)
    costs = many.cost(every, np.zeros_like(every))
    tiles = many.field.lattice.tiles
    divides = (tiles[:, every[:, 0]] % tiles[:, every[:, 1]] == 0).all(axis=0)
    assert np.isinf(costs[~divides]).all()
    assert np.isfinite(costs[divides]).any()
    with pytest.raises(ValueError, match="must both be"):
        many.cost(every[:, :1], every[:, :1])
    with pytest.raises(ValueError, match="index the"):
        many.cost(every + size, np.zeros_like(every))
    with pytest.raises(ValueError, match="position of one of 3"):
        many.cost(every, np.full_like(every, 3))


def test_refusals():
    """Message: what cannot be counted in columns is named."""
    machine = eyeriss_like()
    rule = dataclasses.replace(_search.Convention(), halo="consecutive-overlap")
    with pytest.raises(UnmappableError, match="consecutive-overlap"):
        batch(conv("layer", 6, 4, 6, 3), machine, weights_of(machine), (1,) * 8, rule)
    deep = contraction("deep", {"m": 2**30, "n": 2**20, "k": 2**20}, {
        "input": [[("m", 1)], [("k", 1)]], "weight": [[("k", 1)], [("n", 1)]], "output": [[("m", 1)], [("n", 1)]]
    })  # fmt: skip
    with pytest.raises(UnmappableError, match="70 prime factors"):
        batch(deep, machine, Weights(0.0, weights_of(machine).words), (1, 1, 1))
