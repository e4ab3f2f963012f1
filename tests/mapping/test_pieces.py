import dataclasses
import json

import pytest

from picojoule.mapping import (
    Accelerator,
    Array,
    IllegalMappingError,
    Level,
    Mapping,
    SpatialAxis,
    UnmappableError,
    Weights,
    contraction,
    faults,
    map_dict,
    map_operators,
    nest_lines,
    optimum,
    problem_of,
    require,
    text,
    traffic,
    traffic_lines,
)
from picojoule.mapping._seat import seat, unrollings
from picojoule.workload import Graph, ops
from tests.mapping.machines import ROLES, conv, eyeriss_like, tpu_like, weights_of

BITS = tuple((role, 8) for role in ROLES)
PRODUCT = contraction("product", {"m": 4, "n": 6, "k": 4}, {
    "input": [[("m", 1)], [("k", 1)]], "weight": [[("k", 1)], [("n", 1)]], "output": [[("m", 1)], [("n", 1)]],
})  # fmt: skip
PAGE = Accelerator("page", (Level("DRAM", ROLES), Level("buffer", ROLES, 400), Level("PE", ("weight",))),
                   Array("buffer", (SpatialAxis("x", 2, ("m", "n")),)), BITS)  # fmt: skip
MAPPING = Mapping(((("n", 3), ("k", 2)), (("m", 4), ("k", 2)), ()), (("n", 2),))


def test_legal():
    """By hand: the tile of the page is 4·2 + 2·2 + 4·2 = 20 words, 160 bits of 400."""
    assert faults(PRODUCT, PAGE, MAPPING) == ()
    require(PRODUCT, PAGE, MAPPING)


def refusal(machine=PAGE, mapping=MAPPING):
    (fault,) = faults(PRODUCT, machine, mapping)
    return str(fault)


def with_buffer(**change):
    levels = (PAGE.levels[0], dataclasses.replace(PAGE.levels[1], **change), PAGE.levels[2])
    return dataclasses.replace(PAGE, levels=levels)


def test_capacity_refusal():
    """Message: which capacity refuses which tile, and the least cut that fits."""
    assert refusal(with_buffer(capacity_bits=150)) == (
        "buffer: the tile (m 4, n 2, k 2) needs 160 bits of 150 (input 64 + weight 32 + output 64); "
        "move a factor 2 of m outward, or a capacity of 160 bits would fit"
    )
    assert refusal(with_buffer(double_buffered=True, capacity_bits=319)).startswith(
        "buffer: the tile (m 4, n 2, k 2) needs 320"
    )
    assert refusal(with_buffer(shares=(("weight", 24),))).startswith(
        "buffer (weight): the tile (m 4, n 2, k 2) needs 32 bits of 24"
    )


@pytest.mark.parametrize(("machine", "mapping", "words"), [
    (PAGE, dataclasses.replace(MAPPING, spatial=(("n", 3),), loops=((("n", 2), ("k", 2)), (("m", 4), ("k", 2)), ())),
     "array: no room for n 3 on x 2 (m n); n 2 instead of 3 fits"),
    (PAGE, dataclasses.replace(MAPPING, spatial=(("k", 2),), loops=((("n", 6), ("k", 2)), (("m", 4),), ())),
     "array: no room for k 2 on x 2 (m n); k 1 instead of 2 fits"),
    (PAGE, dataclasses.replace(MAPPING, loops=((("n", 3), ("k", 2)), (("m", 4),), ())),
     "loops: the trips of k multiply to 2, ceil(4 / 1) = 4; make them multiply to 4"),
    (PAGE, dataclasses.replace(MAPPING, spatial=(("n", 4),), loops=((("n", 2), ("k", 2)), (("m", 4), ("k", 2)), ())),
     "array: n = 6 on 4 PEs leaves some idle in all 2 passes; spread it over 3"),
    (PAGE, dataclasses.replace(MAPPING, bypass=(("buffer", "weight"),)),
     "buffer: weight may not be bypassed here; add weight to optional of buffer, or keep it"),
    (with_buffer(loops=("m",)), MAPPING, "buffer: no loop of k may stand here; move it to another level (allowed: m)"),
    (PAGE, dataclasses.replace(MAPPING, loops=((("z", 3),), (), ())), "loops: no dimension z; dimensions are m, n, k"),
    (PAGE, dataclasses.replace(MAPPING, loops=((),)), "loops: 1 lists of loops for 3 levels; give one each"),
])  # fmt: skip
def test_refusals(machine, mapping, words):
    """Message: each rule names what refuses, why, and the smallest change that would pass."""
    assert refusal(machine, mapping) == words


def test_reduction_refusal():
    """Message: without a reduction network sums may not be spread; all faults come in one error."""
    array = Array("buffer", (SpatialAxis("x", 2, ("k",)),), reduction=False)
    machine = dataclasses.replace(PAGE, array=array)
    mapping = Mapping(((("n", 6), ("k", 2)), (("m", 4),), ()), (("k", 2),))
    with pytest.raises(IllegalMappingError, match=r"product on page:\n  array: k would add sums across PEs"):
        require(PRODUCT, machine, mapping)


def test_window_refusal():
    """Message: a window that PEs share without a memory right below the array is refused, not miscounted."""
    line = contraction("line", {"p": 4, "r": 2}, {
        "input": [[("p", 1), ("r", 1)]], "weight": [[("r", 1)]], "output": [[("p", 1)]]})  # fmt: skip
    machine = Accelerator("line", (Level("DRAM", ROLES),), Array("DRAM", (SpatialAxis("x", 8, ("p", "r")),)), BITS)
    (fault,) = faults(line, machine, Mapping(((),), (("p", 4), ("r", 2))))
    assert fault.why == "input is not kept right below the array, and PEs share scattered words of the window p and r"


def test_machines_that_cannot_be():
    """Message: a machine is refused where it is made."""
    with pytest.raises(ValueError, match="the outermost level DRAM must keep"):
        Accelerator("bad", (Level("DRAM", ("input",)),), Array("DRAM", ()), BITS)
    with pytest.raises(ValueError, match="the array stands below 'GLB'; levels are DRAM"):
        Accelerator("bad", (Level("DRAM", ROLES),), Array("GLB", ()), BITS)
    with pytest.raises(ValueError, match="two levels share a name"):
        Accelerator("bad", (Level("DRAM", ROLES), Level("DRAM", ROLES)), Array("DRAM", ()), BITS)


def test_unrollings():
    """Equality: every seat on a 4 × 3 array, ragged or not, found by trying all factors."""
    target = contraction("small", {"m": 10, "n": 5, "k": 1}, {
        "input": [[("m", 1)], [("k", 1)]], "weight": [[("k", 1)], [("n", 1)]], "output": [[("m", 1)], [("n", 1)]],
    })  # fmt: skip
    array = Array("DRAM", (SpatialAxis("x", 4, ("m", "n")), SpatialAxis("y", 3, ("m", "k"))))
    for kind in ("perfect", "ragged"):
        tried = {
            (m, n, 1)
            for m in range(1, 11) for n in range(1, 6)
            if seat(target, array, (m, n, 1)) is not None
            and (m == -(-10 // -(-10 // m)) and n == -(-5 // -(-5 // n)) if kind == "ragged" else 10 % m == 0 and 5 % n == 0)
        }  # fmt: skip
        assert set(map(tuple, unrollings(target, array, kind).tolist())) == tried
    assert seat(target, array, (10, 1, 1)) == ((("m", 4),), (("m", 3),))


def test_problem_of_operators():
    """By hand: a grouped, strided convolution of the workload; its bias is left out by name, a pool is no contraction."""
    g = Graph("net", dtype="int8")
    x = g.input("x", (1, 8, 9, 9))
    weight, bias = g.parameter("w", (8, 4, 3, 3)), g.parameter("bias", (8,))
    y = ops.conv(g, x, weight, bias, stride=(2, 2), padding=((1, 1), (1, 1)), groups=2, name="conv")
    g.output(ops.softmax(g, y))
    conv_, *others = g.workload().operators
    target = problem_of(conv_)
    assert target.macs == conv_.work.macs == 8 * 25 * 4 * 9
    found = {operand.role: (len(operand.axes), len(operand.windows)) for operand in target.operands}
    assert found == {"input": (5, 2), "weight": (5, 0), "output": (5, 0)}
    assert target.left_out == ("bias",)
    with pytest.raises(UnmappableError, match="is no contraction: one MAC per point"):
        problem_of(others[0])


def test_unmappable():
    """Message: what is no contraction of two tensors is refused with the reason."""
    axes = {"input": [[("m", 1)]], "weight": [[("k", 1)]], "output": [[("m", 1)]]}
    with pytest.raises(UnmappableError, match="every extent must be at least 1"):
        contraction("none", {"m": 0, "k": 2}, axes)
    with pytest.raises(UnmappableError, match="no tensor depends on z; count those as repeats"):
        contraction("idle", {"m": 2, "k": 2, "z": 3}, axes)
    with pytest.raises(UnmappableError, match="stands in two axes of input; a diagonal"):
        contraction("diagonal", {"m": 2, "k": 2}, axes | {"input": [[("m", 1)], [("m", 1)]]})
    with pytest.raises(UnmappableError, match=r"the output output overlaps itself"):
        contraction("scatter", {"m": 3, "k": 3}, axes | {"output": [[("m", 1), ("k", 1)]]})
    with pytest.raises(UnmappableError, match="sums 3 overlapping dimensions"):
        contraction("three", {"m": 3, "k": 3, "n": 3}, axes | {"input": [[("m", 1), ("k", 1), ("n", 1)]]})


def test_nest():
    """By hand: the page's loop nest, drawn."""
    assert nest_lines(PRODUCT, PAGE, MAPPING) == [
        "DRAM [input 16, weight 24, output 24]",
        "| for n in [0:3)",
        "|   for k in [0:2)",
        "buffer [input 8, weight 4, output 8]",
        "|     for m in [0:4)",
        "|       for k in [0:2)",
        "array 2 [2 PEs used]",
        "|         par-for n in [0:2) on x",
        "PE [weight 1]",
        "|           MAC",
    ]
    assert traffic_lines(PAGE, traffic(PRODUCT, PAGE, MAPPING))[2].split() == ["DRAM", "weight", "24", "0", "0"]


def test_map_dict():
    """Equality: the JSON holds the optimum's own numbers, and joules only where the weights are joules."""
    machine, layer = eyeriss_like(), conv("layer", 8, 4, 6, 3)
    plain, weights = weights_of(machine), weights_of(machine)
    found = optimum(layer, machine, dataclasses.replace(weights, joules=True), "edp")
    made = json.loads(json.dumps(map_dict([(found, 3)])))
    assert (made["schema"], made["hardware"], made["objective"]) == ("picojoule/map/1", "eyeriss-like", "edp")
    (row,) = made["layers"]
    assert set(row) == {"name", "count", "energy_j", "cycles", "utilisation", "root_bound", "gap", "mappings_covered",
                        "search_s", "nest", "traffic"}  # fmt: skip
    assert (row["name"], row["count"], row["energy_j"], row["gap"]) == ("layer", 3, found.energy, 0.0)
    assert row["traffic"]["DRAM"]["output"]["update"] == 8 * 36
    assert map_dict([(optimum(layer, machine, plain, "edp"), 1)])["layers"][0]["energy_j"] is None
    assert "proven optimal" in text(found)
    assert "halo refetch" in text(found)
    with pytest.raises(ValueError, match="different machines"):
        map_dict([(found, 1), (optimum(layer, tpu_like(), weights_of(tpu_like()), "edp"), 1)])
    with pytest.raises(ValueError, match="no layer"):
        map_dict([])
    assert isinstance(plain, Weights)


def network():
    """Two equal convolutions, a softmax, a recurrent-like repeat and a product whose window overlaps in the output."""
    g = Graph("net", dtype="int8")
    x = g.input("x", (1, 4, 8, 8))
    for name in ("one", "two"):
        x = ops.conv(g, x, g.parameter(name, (4, 4, 3, 3)), padding=((1, 1), (1, 1)), name=name)
    x = ops.softmax(g, x)
    g.output(ops.conv_transpose(g, x, g.parameter("up", (4, 4, 3, 3)), stride=(2, 2), name="up"))
    return g.workload()


def test_network():
    """By hand: two equal layers are one row counted twice; what cannot be mapped is named with the reason."""
    machine = eyeriss_like()
    mapped = map_operators(network().operators, machine, weights_of(machine), "edp")
    assert [(one.problem.name, count) for one, count in mapped.layers] == [("one", 2)]
    assert [name for name, _ in mapped.refused] == ["up"]
    assert "overlaps itself" in mapped.refused[0][1]
    assert mapped.unmapped


def test_ladder():
    """Bound: mapped outer traffic is no less than the elements each operand touches, cycles no less than MACs / PEs."""
    machine = eyeriss_like()
    for operator in network().operators[:2]:
        found = optimum(problem_of(operator), machine, weights_of(machine), "edp")
        elements = [access.elements for access in (*operator.inputs, *operator.outputs)]
        actions = (("input", "read"), ("weight", "read"), ("output", "update"))
        for (role, action), least in zip(actions, elements, strict=True):
            assert found.traffic.of("DRAM", role, action) >= least
        assert found.cycles * machine.array.size >= operator.work.macs
