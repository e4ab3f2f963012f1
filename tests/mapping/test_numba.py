"""The compiled twin of the search against NumPy."""

import ast
import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

import picojoule.mapping
from picojoule.mapping import NoMappingError, _engine, _search, optimum, pareto
from picojoule.quantity import InputError
from tests.mapping.machines import RESNET50, conv, eyeriss_like, tpu_like, weights_of
from tests.mapping.test_search import small

WORDS = "Numba is not installed: pip install 'picojoule[fast]'"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """The compiled kernels solve from the first unrolling on."""
    monkeypatch.setattr(_engine, "LATE", 0)


def said(world, objective, engine):
    """Everything that a search says, but how long it took."""
    target, machine, weights, chosen, factors = world
    try:
        found = optimum(target, machine, weights, objective, convention=chosen, factors=factors, engine=engine)
    except NoMappingError as error:
        return str(error)
    return {field.name: getattr(found, field.name) for field in dataclasses.fields(found) if field.name != "search_s"}


@pytest.mark.parametrize("ports", [False, True])
@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_random_machines(objective, ports):
    """Equality: value, bound, path and mapping to the last bit; partitions, restricted loops, optional bypass."""
    pytest.importorskip("numba", reason=WORDS)
    refused = 0
    for seed in range(60):
        target, machine, *rest = small(seed, ports)
        levels = tuple(
            dataclasses.replace(level, optional=level.keeps[:1] if i and seed % 3 == 0 else ())
            for i, level in enumerate(machine.levels)
        )
        world = (target, dataclasses.replace(machine, levels=levels), *rest)
        one, two = said(world, objective, "numpy"), said(world, objective, "numba")
        assert one == two, seed
        refused += isinstance(one, str)
    assert refused < 40


@pytest.mark.parametrize("make", [eyeriss_like, tpu_like])
def test_real_layers(make):
    """Equality: the same on layers of ResNet-50, depthwise and ragged shapes."""
    pytest.importorskip("numba", reason=WORDS)
    machine = make()
    for layer in (*RESNET50[::4], conv("depthwise", 1, 1, 56, 3, 2, g=96), conv("odd", 17, 5, 13, 5)):
        for objective in ("energy", "edp"):
            world = (layer, machine, weights_of(machine), None, None)
            assert said(world, objective, "numpy") == said(world, objective, "numba"), layer.name


def test_running_minimum():
    """Equality: the compiled running minimum and NumPy's on random lattices."""
    pytest.importorskip("numba", reason=WORDS)
    from picojoule.mapping._kernels import running_minimum
    from picojoule.mapping._lattice import lattice

    rng = np.random.default_rng(0)
    for passes in ((12, 5, 18), (1, 1), (64, 3, 7, 30), (16,)):
        grid = lattice(passes)
        axes = np.array([(axis.dim, axis.length, axis.after) for axis in grid.axes], dtype=np.int64).reshape(-1, 3)
        for _ in range(4):
            dims = rng.random(len(passes)) < 0.5
            values = rng.random(grid.size)
            twin = values.copy()
            running_minimum(twin, grid.size, axes, len(axes), dims)
            assert np.array_equal(twin, grid.running_minimum(values, np.flatnonzero(dims).tolist()))


def test_no_place_to_write(monkeypatch):
    """Equality: where no folder can be written the kernels are compiled in memory and say the same."""
    numba = pytest.importorskip("numba", reason=WORDS)
    from picojoule.mapping import _kernels

    compile_ = numba.njit

    def refuses(*, cache, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compile_(cache=cache, **options)

    monkeypatch.setattr(numba, "njit", refuses)
    assert _kernels.compiled(_kernels._measure.py_func)(3, 3, 1, 1, 1, False) == 5


def test_fronts():
    """Equality: the front of energy against steps, point by point, by either engine and by the one that is chosen."""
    pytest.importorskip("numba", reason=WORDS)
    for seed in range(20):
        target, machine, weights, chosen, factors = small(seed)
        try:
            fronts = [
                pareto(target, machine, weights, convention=chosen, factors=factors, engine=engine).points
                for engine in ("numpy", "numba", None)
            ]
        except NoMappingError:
            continue
        assert fronts[0] == fronts[1] == fronts[2]


def test_front_where_numba_does_not_load(monkeypatch):
    """Equality: an engine that nobody named may fail: NumPy goes on, with the same front."""
    target, machine, weights, chosen, factors = small(0)
    quiet = pareto(target, machine, weights, convention=chosen, factors=factors, engine="numpy").points

    def refuses():
        raise InputError("NumPy is newer than it knows", expected="another", example="numpy")

    monkeypatch.setattr(_engine, "find_spec", lambda _: True)
    monkeypatch.setattr(_engine, "_load", refuses)
    assert pareto(target, machine, weights, convention=chosen, factors=factors).points == quiet
    with pytest.raises(InputError):
        pareto(target, machine, weights, convention=chosen, factors=factors, engine="numba")


def test_without_numba(monkeypatch):
    """Message: an engine that is not there or not known is refused with what to install or write."""
    machine = tpu_like()
    monkeypatch.setattr(_engine, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"engine numba needs Numba: it is not installed[\s\S]*picojoule\[fast\]"):
        optimum(conv("absent", 8, 8, 8, 3), machine, weights_of(machine), engine="numba")
    monkeypatch.setattr(_engine, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "picojoule.mapping._compiled", None)
    with pytest.raises(InputError, match=r"engine numba needs Numba: [\s\S]*picojoule\[fast\]"):
        optimum(conv("absent", 8, 8, 8, 3), machine, weights_of(machine), engine="numba")
    with pytest.raises(InputError, match="unknown engine 'fortran'"):
        optimum(conv("absent", 8, 8, 8, 3), machine, weights_of(machine), engine="fortran")


def test_late(monkeypatch):
    """Equality: a search that changes over from NumPy to the kernels after 0 … 40 solves says the same."""
    pytest.importorskip("numba", reason=WORDS)
    machine, layer = eyeriss_like(), conv("layer", 64, 64, 56, 3)
    whole = said((layer, machine, weights_of(machine), None, None), "edp", "numpy")
    assert whole["solved"] > 7  # or nothing would change over in the middle
    for late in (0, 1, 7, 40):
        monkeypatch.setattr(_engine, "LATE", late)
        monkeypatch.setattr(_engine, "_solved", [0])
        _search._optimum.cache_clear()
        assert said((layer, machine, weights_of(machine), None, None), "edp", "numba") == whole


def test_kernels_in_one_file():
    """Bound: only one module imports Numba, and it calls nothing of ours, so a stale kernel cannot be kept."""
    room = Path(picojoule.mapping.__file__).parent
    found = {}
    for path in room.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
                found.setdefault(path.name, set()).update(
                    ("." if isinstance(node, ast.ImportFrom) and node.level else "") + name.split(".")[0]
                    for name in names
                )
    assert [name for name, modules in found.items() if "numba" in modules] == ["_kernels.py"]
    assert found["_kernels.py"] == {"numba", "numpy", "typing", "collections"}
