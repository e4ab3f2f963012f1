import importlib.util
import inspect
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.mapping import (
    Accelerator,
    Array,
    Convention,
    Level,
    Mapping,
    SpatialAxis,
    _mapping,
    _traffic,
    _window,
    contraction,
    latency,
    port_cycles,
    traffic,
)
from tests.mapping.cases import ROLES, case
from tests.mapping.fuzz import differences, law
from tests.mapping.interpreter import Walk, walk


def test_random_mappings():
    """Equality: the law and the interpreter, which walks the nest holding sets of words, on 1,000 seeded cases."""
    wrong, drawn = differences(range(1000))
    assert not wrong
    assert min(drawn.values()) > 50, drawn


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_any_mapping(seed):
    """Equality: the law and the interpreter, seeds drawn by Hypothesis."""
    made = case(seed)
    assert law(made) == walk(made.nest)


def test_held_tiles():
    """Equality: the tile that capacity is checked against is the largest set of words the interpreter ever holds."""
    for seed in range(300):
        made = case(seed)
        walked = Walk(made.nest)
        walked.run()
        largest = {}
        for (role, level, _), found in walked.memo.items():
            largest[level, role] = max(largest.get((level, role), 0), len(found))
        for (level, role), count in largest.items():
            operand = made.problem.operands[ROLES.index(role)]
            tile = _mapping.held(made.problem, made.mapping, level, made.machine.fanout)
            assert _window.words(operand, tile, made.convention) == count


TRIP_1 = "            if trip == 1:\n                continue\n            if position"
LOOPS = "        for dim, trip in reversed(mapping.loops[level]):\n"
# One line of the law replaced by a plausible error; each must differ from the interpreter somewhere.
MUTANTS = {
    "reuse does not cross levels": (
        _traffic,
        LOOPS + TRIP_1,
        "        stationary = stationary and level == child - 1\n" + LOOPS + TRIP_1,
    ),
    "a trip-1 loop ends the run": (_traffic, TRIP_1, "            if position"),
    "halo not shared across PEs": (_traffic, 'convention.multicast == "union":', "False:"),
    "first visit charged": (_traffic, "above - first[0] * free", "above"),
    "sum fill counted once, not per PE": (_traffic, "whole * (sharing if child > machine.fanout else 1)", "whole"),
    "MACs of a bypassed PE read alone": (
        _traffic,
        "if parent > machine.fanout or not (machine.array.multicast or output):",
        "if True:",
    ),
    "X / S passes at the MACs, not ceil": (_traffic, "else passes[i] for i, x", "else x // spatial[i] for i, x"),
    "padded words": (
        _traffic,
        "    whole = passes * spread(operand, extents,",
        "    extents = tuple(s * -(-x // s) for s, x in zip(spatial, extents))\n"
        "    whole = passes * spread(operand, extents,",
    ),
    "a relevant loop of 2 passed over": (
        _traffic,
        "in operand.relevant:\n                stationary = False",
        "in operand.relevant:\n                stationary = stationary and trip == 2",
    ),
    "one PE filled, not all": (_traffic, "    copies = apart * reusers(operand, spatial)", "    copies = apart"),
    "stationary only next to the child": (
        _traffic,
        "            elif not stationary:",
        "            elif not stationary and level == child - 1:",
    ),
    "bypass charged to the nearest level": (
        _traffic,
        "parent = machine.parent(operand.role, child)\n            above",
        "parent = child - 1\n            above",
    ),
    "hull where the stride exceeds the kernel": (
        _window,
        "return p * r - max(0, p - dilation // common) * max(0, r - stride // common)",
        "return stride * (p - 1) + dilation * (r - 1) + 1",
    ),
    "MACs keep the last word": (_traffic, "        return problem.macs\n", "        return problem.macs // 2\n"),
    "overlap kept at every stride": (
        _traffic,
        'if one == moved and (convention.window == "hull" or step // math.gcd(stride, step) == 1):',
        "if one == moved:",
    ),
    "overlap kept across PEs": (_traffic, "(child == machine.fanout + 1 and shared)", "False"),
}


def mutated(module, old, new):
    source = inspect.getsource(module)
    assert source.count(old) >= 1, old
    namespace = importlib.util.module_from_spec(module.__spec__).__dict__
    exec(compile(source.replace(old, new), module.__file__, "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def walked():
    made = [case(seed) for seed in range(400)]
    return [(one, walk(one.nest)) for one in made]


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name, walked):
    """Equality: a law with one error planted differs from the interpreter on some of 400 cases."""
    module, old, new = MUTANTS[name]
    namespace = mutated(module, old, new)
    if module is _window:
        whole = mutated(_traffic, "import math", "import math")
        whole.update(spread=namespace["spread"], words=namespace["words"])
        namespace = whole
    assert any(law(one, namespace["traffic"]) != counted for one, counted in walked)


def test_capacity_mutant(walked):
    """Equality: capacity of the padded tile S·Y instead of its part inside X refuses something that is never held."""
    padded = 0
    for one, _ in walked:
        spatial, tile = _mapping.factors(one.problem, one.mapping), _mapping.tiles(one.problem, one.mapping)[0]
        padded += any(s * y > x for s, y, x in zip(spatial, tile, one.problem.extents, strict=True))
    assert padded > 50


def test_by_hand():
    """By hand: the page in docs/mapping.md, a 4×6×4 product on 2 PEs under a buffer."""
    target = contraction("product", {"m": 4, "n": 6, "k": 4}, {
        "input": [[("m", 1)], [("k", 1)]], "weight": [[("k", 1)], [("n", 1)]], "output": [[("m", 1)], [("n", 1)]],
    })  # fmt: skip
    levels = (
        Level("DRAM", ROLES, read_bandwidth=2, write_bandwidth=2),
        Level("buffer", ROLES),
        Level("PE", ("weight",)),
    )
    machine = Accelerator(
        "page", levels, Array("buffer", (SpatialAxis("x", 2, ("m", "n")),)), tuple((r, 8) for r in ROLES)
    )
    mapping = Mapping(((("n", 3), ("k", 2)), (("m", 4), ("k", 2)), ()), (("n", 2),))
    moved = traffic(target, machine, mapping)
    assert moved.counts == {
        ("DRAM", "input", "read"): 48, ("buffer", "input", "write"): 48, ("buffer", "input", "read"): 48,
        ("DRAM", "weight", "read"): 24, ("buffer", "weight", "write"): 24,
        ("buffer", "weight", "read"): 96, ("PE", "weight", "write"): 96, ("PE", "weight", "read"): 96,
        ("DRAM", "output", "update"): 24, ("DRAM", "output", "read"): 0, ("buffer", "output", "write"): 0,
        ("buffer", "output", "update"): 96, ("buffer", "output", "read"): 72,
    }  # fmt: skip
    assert (moved.steps, moved.pes) == (48, 2)
    assert port_cycles(machine, moved) == {("DRAM", "read"): 36.0, ("DRAM", "write"): 12.0}
    assert latency(machine, moved) == 48


def test_perfect_halo():
    """By hand: under perfect halo a 3-tap window over 8 outputs moves its 10 inputs once, refetched in tiles of 2: 16."""
    target = contraction("line", {"p": 8, "r": 3}, {
        "input": [[("p", 1), ("r", 1)]], "weight": [[("r", 1)]], "output": [[("p", 1)]]})  # fmt: skip
    machine = Accelerator(
        "line", (Level("DRAM", ROLES), Level("PE", ROLES)), Array("DRAM", ()), tuple((r, 8) for r in ROLES)
    )
    mapping = Mapping(((("p", 4),), (("p", 2), ("r", 3))))
    reads = {
        halo: traffic(target, machine, mapping, Convention(halo=halo)).of("DRAM", "input", "read")
        for halo in ("refetch", "consecutive-overlap", "perfect")
    }
    assert reads == {"refetch": 16, "consecutive-overlap": 10, "perfect": 10}


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 6), st.integers(1, 6))
def test_distinct(p, r, stride, dilation):
    """Equality: the closed form of a window's words and the set of its values; its hull and their range."""
    values = {stride * i + dilation * j for i in range(p) for j in range(r)}
    assert _window.distinct(p, r, stride, dilation) == len(values)
    assert _window.hull(p, r, stride, dilation) == max(values) - min(values) + 1


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_compulsory(seed):
    """Bound: every tensor leaves or enters the outermost level at least once, whole; every MAC reads two words."""
    made = case(seed)
    moved = traffic(made.problem, made.machine, made.mapping, made.convention)
    outer = made.machine.levels[0].name
    for operand in made.problem.operands:
        whole = _window.words(operand, made.problem.extents, Convention())
        assert moved.of(outer, operand.role, "update" if operand.role == "output" else "read") >= whole
    assert moved.steps * moved.pes >= made.problem.macs
    assert moved.steps == math.prod(-(-x // dict(made.mapping.spatial).get(d, 1)) for d, x in made.problem.space)
