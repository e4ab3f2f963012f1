"""Certificates and the program that checks them."""

import ast
import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from picojoule import mapping as room
from picojoule.mapping import (
    _check,
    _check_nest,
    _check_proof,
    _check_tree,
    certificate,
    check,
    cost,
    faults,
    latency,
    optimum,
    traffic,
)
from picojoule.mapping._check_bound import Bound, weighing
from picojoule.mapping._check_nest import _counts, wrong
from picojoule.mapping._check_proof import Proof
from picojoule.mapping._check_space import chains, every
from picojoule.mapping._check_world import World
from tests.mapping import cases, exhaustive, forgeries
from tests.mapping.interpreter import walk
from tests.mapping.machines import RESNET50, eyeriss_like, tpu_like, weights_of
from tests.mapping.test_search import searched, small

FOLDER = Path(room.__file__).parent


def test_checker_calls_nothing_of_the_room():
    """By hand: the files of the checker take data types from the other files of the room, and no function."""
    files = sorted(FOLDER.glob("_check*.py"))
    assert len(files) == 7
    taken = []
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.level or node.module.startswith("picojoule")):
                assert node.level == 1
                if not node.module.startswith("_check"):
                    taken += [(node.module, alias.name) for alias in node.names]
            assert not isinstance(node, ast.Import) or node.names[0].name in (
                "itertools",
                "math",
                "numpy",
                "numpy.typing",
            )
    assert {name for _, name in taken} == {"Axis", "Optimum", "Potentials", "Tile"}


def worlds(count):
    """Random optima: capacities, partitions, restricted loops, with and without ports, all objectives."""
    made, seed = 0, 0
    while made < count:
        seed += 1
        target, machine, weights, chosen, factors = small(seed, ports=bool(seed % 2))
        if seed % 5 == 0:
            machine = forgeries.optional(machine)
        objective = ("energy", "latency", "edp")[seed % 3]
        found = searched(target, machine, weights, objective, chosen, factors)
        if found is not None:
            made += 1
            yield seed, found


def test_every_random_optimum_is_proven():
    """Bound: the checker accepts every optimum, and none with its roots raised, its proofs left out, or its value."""
    rejected = 0
    for seed, found in worlds(400):
        proofs = list(certificate(found))
        assert check(found, proofs) == (), seed
        if proofs and found.value:
            higher = found.value * 1.001
            claim = dataclasses.replace(found, value=higher, lower_bound=higher)
            raised = [dataclasses.replace(p, root=tuple(r * 1.001 + 1e-6 for r in p.root)) for p in certificate(claim)]
            assert check(claim, raised), seed
            assert check(claim, certificate(claim)), seed
            assert check(found, []), seed
            rejected += 1
    assert rejected > 25


@pytest.mark.parametrize("make", [eyeriss_like, tpu_like])
def test_layers_of_resnet_are_proven(make):
    """Bound: three layers, all objectives, with ports of few words per cycle: accepted, and not if they are slower."""
    machine = make()
    levels = tuple(
        dataclasses.replace(level, read_bandwidth=(4, 8, None)[i], write_bandwidth=(4, 8, None)[i])
        for i, level in enumerate(machine.levels[:3])
    )
    slow = dataclasses.replace(machine, levels=(*levels, *machine.levels[3:]))
    for layer in (RESNET50[0], RESNET50[10], RESNET50[23]):
        for objective in ("energy", "latency", "edp"):
            for chosen in (machine, slow):
                found = optimum(layer, chosen, weights_of(chosen), objective)
                assert check(found, certificate(found)) == ()
            if found.cycles > optimum(layer, machine, weights_of(machine), objective).cycles:
                quick = dataclasses.replace(found, accelerator=machine)
                assert check(quick, certificate(found))


def test_trees_are_proven():
    """Bound: proofs that look into partial mappings are accepted, and say so where one is missing."""
    opened = 0
    for seed, objective in forgeries.TREES:
        found, proofs = forgeries.tree(seed, objective)
        assert check(found, proofs) == ()
        opened += sum(len(one.opened) for one in proofs)
        bare = [dataclasses.replace(one, opened=frozenset()) for one in proofs]
        assert "is proven" in check(found, bare)[0]
        cut = [dataclasses.replace(one, opened=one.opened - {max(one.opened)} if one.opened else ()) for one in proofs]
        assert check(found, cut)
    assert opened > 100


def test_forged_columns():
    """Bound: raising any one column of potentials, root and all, is rejected."""
    target, machine, weights, chosen, factors = small(3)
    found = searched(target, machine, weights, "energy", chosen, factors)
    claim = dataclasses.replace(found, value=found.value * 1.01)
    for one in certificate(claim):
        raised = {
            "value": tuple(column * 1.01 + 1e-3 for column in one.value),
            "inner": {key: column * 1.01 + 1e-3 for key, column in one.inner.items()},
            "outer": {key: column * 1.01 + 1e-3 for key, column in one.outer.items()},
        }
        for names in (["value"], ["inner"], ["outer"], list(raised)):
            root = tuple(r * 1.02 + 1 for r in one.root)
            forged = dataclasses.replace(one, root=root, **{name: raised[name] for name in names})
            assert check(claim, [forged])


def test_forgeries():
    """Bound: 1,000 of 1,000 forged certificates of 17 kinds are rejected, every honest one is accepted."""
    (accepted, honest), made, rejected, wrongly = forgeries.run(1000)
    assert not wrongly
    assert accepted == honest > 100
    assert made == rejected
    assert sum(made.values()) == 1000
    assert min(made.values()) >= 40
    assert len(made) == len(forgeries.KINDS) == 17


def test_what_a_certificate_cannot_show_is_refused():
    """Message: claims outside the theorems that the proof rests on, each by its reason."""
    target, machine, weights, chosen, factors = small(3)
    found = searched(target, machine, weights, "energy", chosen, factors)
    window = dataclasses.replace(target.operands[-1], axes=(((0, 1), (1, 1)),))
    twice = dataclasses.replace(target.operands[0], axes=(((0, 1),), ((0, 1),)))
    scalar = dataclasses.replace(target.operands[0], axes=())
    rest = target.operands[1:]
    point = dataclasses.replace(target, space=tuple((dim, 1) for dim in target.dims))  # no dimension is irrelevant
    dear = dataclasses.replace(weights, words=(*weights.words, (("L0", "input", "read"), math.inf)))
    levels = (dataclasses.replace(machine.levels[0], read_bandwidth=0.0), *machine.levels[1:])
    cases_of = {
        "no objective": {"objective": "area"},
        "is not searched": {"convention": room.Convention(halo="consecutive-overlap")},
        "irrelevant to two operands": {"problem": dataclasses.replace(target, operands=(scalar, *rest))},
        "window in the output": {"problem": dataclasses.replace(point, operands=(*target.operands[:-1], window))},
        "two axes": {"problem": dataclasses.replace(point, operands=(twice, *rest))},
        "negative or no number": {"weights": dear},
        "not positive": {"accelerator": dataclasses.replace(machine, levels=levels)},
        "not all are numbers": {"value": math.inf},
        "may not": {"mapping": dataclasses.replace(found.mapping, bypass=(("L0", "input"),))},
        "lower bound": {"lower_bound": found.value / 2},
    }
    for words, change in cases_of.items():
        assert words in check(dataclasses.replace(found, **change), certificate(found))[0], words


BLIND = {
    "divisors": (_check_proof.Proof, "falls", lambda *_: True),
    "stretches": (_check_proof.Proof, "local", lambda *_: True),
    "refusals": (_check_proof.Proof, "refused", lambda proof, _: np.ones(proof.tiles, dtype=bool)),
    "subtrees": (_check_tree, "_ways", lambda *_: []),
    "floors": (_check, "_open", lambda *_: {}),
    "mapping": (_check, "wrong", lambda *_: []),
    "capacity": (_check_nest, "_overflows", lambda *_: False),
    "counts": (_check, "_covering", lambda *_: []),
}


@pytest.mark.parametrize("name", BLIND)
def test_every_check_is_needed(name, monkeypatch):
    """Bound: with any one of its checks left out the checker accepts forgeries that it rejects as a whole."""
    monkeypatch.setattr(*BLIND[name])
    assert forgeries.run(150)[3]


def claim_of(made, weights=None, factors="ragged"):
    """The mapping of a case, with its true cost, said to be the best."""
    rates = {level.name: 2.0 + i for i, level in enumerate(made.machine.levels)}
    weights = weights or room.per_level(made.machine, 1.0, rates, rates)
    moved = traffic(made.problem, made.machine, made.mapping, made.convention)
    energy, cycles = cost(made.problem, moved, weights), latency(made.machine, moved)
    return room.Optimum(
        made.problem, made.machine, weights, "edp", made.convention, factors, made.mapping, moved, energy * cycles,
        energy, cycles, energy * cycles, 0.0, 1, 1, 1, 0.0,
    )  # fmt: skip


def test_the_checker_counts_words_as_the_interpreter():
    """Equality: words of 500 random nests under all conventions but one: the checker and the interpreter."""
    counted = 0
    for seed in range(900):
        made = cases.case(seed)
        if made.convention.halo == "consecutive-overlap":
            continue
        claim = claim_of(made)
        found = {key: n for key, n in _counts(claim, World(claim, ())).items() if n}
        names = [level.name for level in made.machine.levels]
        assert {(names.index(level), role, action): n for (level, role, action), n in found.items()} == walk(
            made.nest
        ), seed
        spaces = {bypass: (world, rows) for bypass, world, rows in every(claim)}
        assert wrong(claim, *spaces[()]) == [], seed
        counted += 1
    assert counted > 300


def test_the_checker_lists_every_unrolling():
    """Equality: unrollings and chains of tiles of 60 random machines, found by trying all factors and all placements."""
    for seed in range(60):
        target, machine, weights, chosen, factors = small(seed)
        mapping = exhaustive.covering(target, room.Mapping(()), len(machine.levels))
        claim = claim_of(cases.Case(target, machine, mapping, chosen, None), weights, factors)
        ((_, world, rows),) = every(claim)
        homes, truth, ways = len(machine.levels), set(), 0
        for spatial in exhaustive.spreads(target, machine, factors == "ragged"):
            base = room.Mapping((), tuple((d, s) for d, s in zip(target.dims, spatial, strict=True) if s > 1))
            base = exhaustive.covering(target, base, homes)
            if any(fault.where == "array" for fault in faults(target, machine, base, chosen)):
                continue
            truth.add(tuple(spatial))
            ways += math.prod(
                sum(
                    all(trip == 1 or level.loops is None or dim in level.loops
                        for trip, level in zip(trips, machine.levels, strict=True))
                    for trips in exhaustive.placements(-(-x // s), homes)
                )
                for (dim, x), s in zip(target.space, spatial, strict=True)
            )  # fmt: skip
        assert {tuple(row) for row in rows.tolist()} == truth, seed
        assert chains(world, rows) == ways, seed


def test_nothing_proven_exceeds_the_best_of_an_unrolling():
    """Bound: floor and proof of every unrolling against all its mappings enumerated, energy, latency and their product."""
    tried = proofs = 0
    for seed in itertools.count():
        if tried == 40:
            break
        target, machine, weights, chosen, factors = small(seed, ports=True)
        listed = exhaustive.mappings(target, machine, factors == "ragged", chosen, 1500)
        objective = ("energy", "latency", "edp")[seed % 3]
        found = listed and searched(target, machine, weights, objective, chosen, factors)
        if not found:
            continue
        tried += 1
        least = {}
        for one in listed:
            if not faults(target, machine, one, chosen):
                spatial = tuple(dict(one.spatial).get(d, 1) for d in target.dims)
                moved = traffic(target, machine, one, chosen)
                energy, cycles = cost(target, moved, weights), latency(machine, moved)
                value = {"energy": energy, "latency": cycles, "edp": energy * cycles}[objective]
                least[spatial] = min(least.get(spatial, math.inf), value)
        ((_, world, rows),) = every(found)
        above, bound = dataclasses.replace(found, value=found.value * 100 + 1), Bound(objective, math.inf)
        floors = np.vstack([(low := world.floor(rows))[:1], world.passes(rows).prod(axis=1)[None], low[1:]])
        for row, value in zip(rows.tolist(), bound.of(weighing(world, ENERGY), floors, floors[:1] * 0), strict=True):
            assert value <= least.get(tuple(row), math.inf) * (1 + 1e-9), seed
        for one in itertools.islice(certificate(above), 30):
            rows_of = weighing(world, one.rows)
            proof = Proof(world, np.array(one.spatial), one, rows_of)
            floor = floors[:, [rows.tolist().index(list(one.spatial))]]
            assert proof.broken() == "", seed
            value = bound.of(rows_of, floor, proof.least()[:, None])[0]
            assert value <= least.get(one.spatial, math.inf) * (1 + 1e-9), (seed, one.spatial)
            proofs += 1
    assert proofs > 150


ENERGY = ((("", "energy", 1.0),),)
