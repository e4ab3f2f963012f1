"""Fusion against tables, hand counts, an exhaustive search and a literal walk of tiles."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import value

from picojoule.exercises._fusion import fused as fused_by_exercise
from picojoule.frontends.zoo import read_zoo
from picojoule.fusion import compare, fuse, lines, ridge, room
from picojoule.fusion._cost import Run, Walk
from picojoule.fusion._fuse import Plans
from picojoule.fusion._rules import sequence
from picojoule.hardware import Architecture, Attained, Compute, Memory, Technology
from picojoule.levels import demand, estimate
from picojoule.quantity import InputError
from picojoule.workload import Access, Graph, Operator, Tensor, Workload, ops

TABLE = [  # network, batch, bytes apart, bytes together, times fewer, times faster at 4 MACs a byte
    ("alexnet", 1, 253606976, 249661504, 1.016, 1.010), ("alexnet", 32, None, None, 1.306, 1.022),
    ("vgg19", 1, 825282624, 706400320, 1.168, 1.022), ("vgg19", 32, None, None, 1.794, 1.024),
    ("resnet152", 1, 931016256, 476115264, 1.955, 1.155), ("resnet152", 32, None, None, 2.867, 1.155),
    ("resnet50", 1, 425995840, 215740736, 1.975, 1.199), ("resnet50", 32, None, None, 2.797, 1.200),
]  # fmt: skip


@pytest.mark.parametrize(("name", "batch", "apart", "together", "ratio", "faster"), TABLE)
def test_table(name: str, batch: int, apart: int | None, together: int | None, ratio: float, faster: float) -> None:
    """Published: bytes of four networks, normalisations, activations and additions fused, as the project's table has."""
    found = fuse(read_zoo(name, batch=batch), elementwise=True)
    if apart is not None:
        assert (found.unfused_bytes, found.fused_bytes) == (apart, together)
    assert (round(found.ratio, 3), round(found.speedup(4), 3)) == (ratio, faster)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "vgg16", "lenet5", "alexnet"])
def test_elementwise_is_the_exercise(name: str) -> None:
    """Equality: the groups of exercise 5.11, which another program finds, move as many bytes."""
    net = read_zoo(name)
    assert fuse(net, elementwise=True).fused_bytes == sum(one.total for one in fused_by_exercise(net))


def mlp(rows: int = 64) -> Workload:
    """x[rows, 32] · 32 → 128 · relu · 128 → 16, single precision."""
    g = Graph("mlp")
    x = g.input("x", (rows, 32))
    hidden = ops.unary(g, "relu", ops.linear(g, x, g.parameter("w1", (128, 32))))
    g.output(ops.linear(g, hidden, g.parameter("w2", (16, 128))))
    return g.workload()


def test_two_layers_by_hand() -> None:
    """By hand: a row of the hidden layer takes 128 · 4 = 512 B, weights 16,384 + 8,192 B.

    Apart (8,192 + 16,384 + 32,768) + 65,536 + (32,768 + 8,192 + 4,096) = 167,936 B; relu with the first, 102,400 B.
    16 KiB hold 32 rows: two tiles, weights twice: 8,192 + 4,096 + 2 · 24,576 = 61,440 B. 64 rows fit 32 KiB: 36,864 B.
    511 B hold no row.
    """
    assert fuse(mlp(), 511).fused_bytes == 102400
    two, one = fuse(mlp(), 16384), fuse(mlp(), 32768)
    assert (two.unfused_bytes, two.fused_bytes) == (167936, 61440)
    (group,) = two.groups
    assert (group.tile, group.need, group.reread) == ((32, 16), 16384, 24576)
    assert (one.fused_bytes, one.groups[0].reread) == (36864, 0)
    assert [edge.saved for edge in group.edges] == [65536, 65536]


def attention(heads: int = 1, side: int = 64) -> Workload:
    g = Graph("attention")
    q, k, v = (g.input(name, (1, heads, side, 16)) for name in "qkv")
    g.output(ops.attention(g, q, k, v, scales=0) if heads == 0 else ops.matmul(
        g, ops.softmax(g, ops.matmul(g, q, g.view(k, (1, heads, 16, side)), op="attention_scores")), v,
        op="attention_values"))  # fmt: skip
    return g.workload()


def test_attention_by_hand() -> None:
    """By hand: 64 queries of 16: q, k, v and the result 4,096 B each, scores 16,384 B; apart 81,920 B.

    A row needs q 16, result 16, maximum and sum 2, a score and its weight: 36 numbers, 144 B. 2,304 B hold 16 rows:
    k and v cross four times: 2 · 4,096 + 8 · 4,096 = 40,960 B. 9,216 B hold all rows: 16,384 B.
    """
    assert fuse(attention()).unfused_bytes == 81920
    four, one = fuse(attention(), 2304), fuse(attention(), 9216)
    assert (four.fused_bytes, one.fused_bytes, one.groups[0].need) == (40960, 16384, 9216)
    assert fuse(attention(3), 9216).fused_bytes == 3 * 16384  # heads one after another


def test_depthwise_by_hand() -> None:
    """By hand: 8 channels of 10×10, 3×3 depthwise without padding, then 1×1 to 4: a row of 8×8 is 8·8·4 = 256 B.

    Apart: 3,200 + 288 + 2,048 and 2,048 + 128 + 1,024 = 8,736 B. Line by line 8 tiles would read 416 B of weights each
    and two rows of 320 B again at 7 edges: 12,032 B, so 256 B fuse nothing. 1,216 B hold 4 lines, and the 128 B of 1×1
    weights stay: 3,200 + 1,024 + 128 + 2 · 288 + 640 = 5,568 B. Room for all: 3,200 + 1,024 + 416 B.
    """
    g = Graph("separable")
    x = g.input("x", (1, 8, 10, 10))
    y = ops.conv(g, x, g.parameter("d", (8, 1, 3, 3)), groups=8)
    g.output(ops.conv(g, y, g.parameter("p", (4, 8, 1, 1))))
    net = g.workload()
    assert [fuse(net, room).fused_bytes for room in (0, 256, 1216)] == [8736, 8736, 5568]
    assert fuse(net, 10**6).fused_bytes == 3200 + 1024 + 416


KINDS = ["linear", "relu", "add", "norm", "softmax", "mul"]


@st.composite
def chains(draw: st.DrawFn, most: int = 9) -> Workload:
    """Layers on [2, 6, n] one after another; additions may reach back."""
    g = Graph("chain")
    x = g.input("x", (2, 6, 4))
    made = [x]
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=most)):
        if kind == "linear":
            x = ops.linear(g, x, g.parameter(f"w{len(made)}", (draw(st.sampled_from([4, 8])), x.shape[-1])))
        elif kind == "add":
            x = ops.binary(g, "add", x, draw(st.sampled_from([t for t in made if t.shape == x.shape] or [x])))
        elif kind == "mul":
            x = ops.binary(g, "mul", x, g.parameter(f"s{len(made)}", (x.shape[-1],), "norm"))
        elif kind == "norm":
            x = ops.layer_norm(g, x)
        else:
            x = ops.softmax(g, x) if kind == "softmax" else ops.unary(g, "relu", x)
        made.append(x)
    g.output(x)
    return g.workload()


ROOMS = st.sampled_from([0, 16, 64, 100, 256, 512, 1024, 10**6])


@settings(max_examples=60, deadline=None)
@given(chains(), ROOMS, st.booleans())
def test_optimal(net: Workload, room: int, elementwise: bool) -> None:
    """Equality: the least over every way to cut the chain, tried one by one."""
    found = fuse(net, room, elementwise=elementwise)
    seq = sequence(net)
    plans, count = Plans(seq, room, elementwise), len(seq.workload.operators)
    least = None
    for cuts in itertools.product([False, True], repeat=count - 1):
        edges = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), count]
        parts = [plans.bytes(a, b) for a, b in itertools.pairwise(edges)]
        if None not in parts:
            total = sum(part for part in parts if part is not None)
            least = total if least is None else min(least, total)
    assert found.fused_bytes == least


@settings(max_examples=60, deadline=None)
@given(chains(12), ROOMS)
def test_books_balance(net: Workload, room: int) -> None:
    """Equality: the fused workload moves fused_bytes; edges, folded and re-read bytes explain the difference."""
    found = fuse(net, room)
    assert sum(found.workload.traffic(o).total for o in found.workload.operators) == found.fused_bytes
    assert found.workload.work.macs == net.work.macs
    explained = sum(found.saved_by_edge.values()) + sum(g.folded - g.reread for g in found.groups)
    assert found.unfused_bytes - found.fused_bytes == explained
    assert all(group.folded >= 0 and group.need <= room for group in found.groups)
    assert [n for g in found.groups for n in g.names] == [o.name for o in sequence(net).workload.operators]


@settings(max_examples=40, deadline=None)
@given(chains(), st.integers(0, 2000), st.integers(0, 2000))
def test_more_room_is_never_worse(net: Workload, one: int, two: int) -> None:
    """Bound: elementwise ≥ no buffer ≥ small ≥ unlimited ≥ inputs and outputs once."""
    small, large = sorted((one, two))
    found = [fuse(net, elementwise=True), *(fuse(net, room) for room in (0, small, large, 10**9))]
    sizes = [each.fused_bytes for each in found]
    assert sizes[0] >= sizes[1] >= sizes[2]
    assert sizes[1] >= sizes[3] >= sizes[4]
    ends = {*net.inputs, *net.outputs} & {
        net.tensors[a.tensor].root for o in net.operators for a in (*o.inputs, *o.outputs)
    }
    assert sizes[4] >= sum(net.tensors[name].bytes_of(net.tensors[name].elements) for name in ends)


def points(operator: Operator, wanted: set[tuple[int, ...]]) -> Iterator[dict[str, int]]:
    """Every point of the space that writes one of `wanted`."""
    names = [name for name, _ in operator.space]
    for values in itertools.product(*(range(extent) for _, extent in operator.space)):
        at = dict(zip(names, values, strict=True))
        if index(operator.outputs[0], at) in wanted:
            yield at


def index(access: Access, at: dict[str, int]) -> tuple[int, ...]:
    offsets = access.offsets or (0,) * len(access.axes)
    return tuple(sum(s * at[d] for d, s in axis) + o for axis, o in zip(access.axes, offsets, strict=True))


Counted = dict[str, int]


def literal(net: Workload, tile: tuple[int, ...], loops: tuple[int, ...]) -> tuple[Counted, Counted, Counted]:
    """Walk the tiles: elements read in all; those that the tile before did not hold; most held at once."""
    last = net.operators[-1].outputs[0].tensor
    shape = net.tensors[last].shape
    streamed, kept, most = Counter[str](), Counter[str](), Counter[str]()
    before: dict[str, set[tuple[int, ...]]] = {}
    for starts in itertools.product(*(range(0, shape[axis], tile[axis]) for axis in loops)):
        ranges = [range(size) for size in shape]
        for axis, start in zip(loops, starts, strict=True):
            ranges[axis] = range(start, min(start + tile[axis], shape[axis]))
        wanted: dict[str, set[tuple[int, ...]]] = {last: set(itertools.product(*ranges))}
        for operator in reversed(net.operators):
            for at in points(operator, wanted[operator.outputs[0].tensor]):
                for access in operator.inputs:
                    wanted.setdefault(access.tensor, set()).add(index(access, at))
        for name, elements in wanted.items():
            streamed[name] += len(elements)
            kept[name] += len(elements - before.get(name, set()))
            most[name] = max(most[name], len(elements))
        before = wanted
    return streamed, kept, most


def convolutions(kernels: tuple[int, int], strides: tuple[int, int], depthwise: bool, batch: int = 1) -> Workload:
    g = Graph("convolutions")
    x = g.input("x", (batch, 2, 13, 4 + kernels[1]))
    first = g.parameter("a", (2, 1 if depthwise else 2, kernels[0], 2))
    y = ops.unary(g, "relu", ops.conv(g, x, first, stride=(strides[0], 1), groups=2 if depthwise else 1))
    ops.conv(g, y, g.parameter("b", (3, 2, kernels[1], 2)), stride=(strides[1], 1))
    return g.workload()


def shapes() -> Iterator[Workload]:
    """Windows that leave no row over: 13 rows, then what the first leaves, divide by their strides."""
    for kernels, strides in itertools.product([(1, 3), (3, 1), (3, 3), (2, 4)], [(1, 1), (2, 1), (1, 2)]):
        middle, left = divmod(13 - kernels[0], strides[0])
        wide = all(k >= s for k, s in zip(kernels, strides, strict=True))
        if wide and not left and (middle + 1 - kernels[1]) % strides[1] == 0:
            yield from (convolutions(kernels, strides, depthwise) for depthwise in (False, True))


def batched() -> Workload:
    """Rows of three images through two layers, with one table of positions for all of them."""
    g = Graph("batched")
    x = g.input("x", (3, 5, 4))
    y = ops.binary(g, "add", ops.linear(g, x, g.parameter("w1", (6, 4))), g.parameter("table", (5, 6)))
    ops.linear(g, y, g.parameter("w2", (2, 6)))
    return g.workload()


def products(heads: int = 2) -> Workload:
    """(q·k)·v of every head."""
    g = Graph("products")
    q, k, v = (g.input(name, (1, heads, *size)) for name, size in (("q", (5, 2)), ("k", (2, 4)), ("v", (4, 3))))
    ops.matmul(g, ops.matmul(g, q, k), v)
    return g.workload()


CASES = [
    (mlp(5), (0,)), (batched(), (0, 1)), (batched(), (1,)), (products(), (1, 2)), (products(), (2,)),
    (convolutions((3, 3), (1, 1), False, batch=2), (0, 2)), *((net, (2,)) for net in shapes()),
]  # fmt: skip


@pytest.mark.parametrize(("net", "loops"), CASES)
def test_tiles_are_those_of_a_walk(net: Workload, loops: tuple[int, ...]) -> None:
    """Equality: what streams, what stays and what lies on the chip, element by element on tiles of several heights."""
    run = Run(sequence(net), 0, len(net.operators))
    shape = net.tensors[net.operators[-1].outputs[0].tensor].shape
    walk = Walk(run, run.made, loops)
    assert walk.legal()
    size = shape[loops[-1]]
    for t in {1, 2, 3, 5, size} & set(range(1, size + 1)):
        tile = tuple((t if i == loops[-1] else 1) if i in loops else full for i, full in enumerate(shape))
        streamed, kept, most = literal(net, tile, loops)
        for key in walk.outer:
            name = net.operators[key[0]].inputs[key[1]].tensor
            assert walk._reads(key, t)[:2] == (kept[name], streamed[name])
        assert walk.need(t) == sum(4 * most[name] for name in walk.held)


def test_what_is_made_twice_is_not_fused() -> None:
    """By hand: columns of the result outside its rows would make every hidden row again for each column."""
    net = mlp(5)
    run = Run(sequence(net), 0, 3)
    assert not Walk(run, run.made, (1, 0)).legal()
    wide = convolutions((3, 3), (1, 1), False)
    run = Run(sequence(wide), 0, 3)
    assert not Walk(run, run.made, (2, 3)).legal()  # a window over rows, walked inside each column


def test_two_readers() -> None:
    """By hand: a value that somebody outside reads is written all the same, but not read again inside.

    x → a → b, and a + x later: 100 elements, 400 B. One group of all three: x read twice, the sum written.
    """
    g = Graph("readers")
    x = g.input("x", (100,))
    a = ops.unary(g, "relu", x)
    b = ops.unary(g, "tanh", a)
    g.output(ops.binary(g, "add", b, a))
    assert fuse(g.workload()).fused_bytes == 800
    g.output(a)
    assert fuse(g.workload()).fused_bytes == 1200
    h = Graph("apart")
    y = ops.linear(h, h.input("x", (4, 4)), h.parameter("w", (4, 4)))
    with h.repeated(3):
        z = ops.unary(h, "relu", y)
    h.output(z)
    assert len(fuse(h.workload()).groups) == 2  # what runs once and what runs three times


def test_folded_normalisation() -> None:
    """By hand: 4 parameters of 8 channels, 128 B, become a shift of 32 B, or nothing where there is a bias."""
    for bias, shift in ((False, 32), (True, 0)):
        g = Graph("folded")
        x = g.input("x", (1, 8, 4, 4))
        b = g.parameter("b", (8,), "bias") if bias else None
        y = ops.conv(g, x, g.parameter("w", (8, 8, 1, 1)), b)
        norm = [g.parameter(f"n{i}", (8,), "norm") for i in range(4)]
        g.output(ops.batch_norm(g, y, *norm))
        found = fuse(g.workload())
        assert found.fused_bytes == 512 + 256 + 512 + 32 * bias + shift
        assert found.groups[0].folded == 128 - shift
        assert sum(t.elements for t in found.workload.parameters) == 64 + 8
        (only,) = found.workload.operators
        assert only.total.adds == 8 * 16 * 7 + 8 * 16
        assert demand(found.workload, only).macs == 1024


def test_real_networks() -> None:
    """Bound: deep, thin networks gain most; every network's books balance; text stays within 80 columns."""
    found = {name: fuse(read_zoo(name), 2**18, longest=8) for name in ("mobilenet_v2", "alexnet", "gpt2", "vgg16")}
    for one in found.values():
        assert sum(one.workload.traffic(o).total for o in one.workload.operators) == one.fused_bytes
        assert max(map(len, lines(one, ridge=4))) <= 80
    assert found["mobilenet_v2"].ratio > found["gpt2"].ratio > found["alexnet"].ratio > 1
    table = compare(tuple(found.values()), ridge=4)
    assert table[1].startswith("mobilenet_v2")
    assert max(map(len, table)) <= 80
    assert len(compare(tuple(found.values()))) == 5


def test_nothing_to_fuse() -> None:
    """Message: a network without operators, and one where nothing fuses, say so."""
    assert lines(fuse(Graph("none").workload()))[-1] == "nothing fuses"
    assert fuse(Graph("none").workload()).ratio == fuse(Graph("none").workload()).speedup(4) == 1


def test_refusals() -> None:
    """Message: what cannot be says what would pass."""
    for wrong in ({"buffer_bytes": -1}, {"buffer_bytes": math.nan}, {"longest": 0}):
        with pytest.raises(InputError, match="expected"):
            fuse(mlp(), **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="ridge"):
        fuse(mlp()).speedup(0)


def test_reshaped_boxes() -> None:
    """By hand: a run of rows keeps its size through a reshape; what is no run becomes all."""
    from picojoule.fusion._tiles import _reshaped

    a, b = Tensor("a", (2, 6, 4)), Tensor("b", (12, 4))
    assert _reshaped((1, 3, 4), a, b) == (3, 4)
    assert _reshaped((3, 4), b, a) == (1, 3, 4)
    assert _reshaped((12, 2), b, a) == (2, 6, 4)
    assert _reshaped((5, 4), b, a) == (2, 6, 4)  # rows 5 … 9 lie in both


MACHINE = Architecture(
    "hand", "By hand", "npu", "nobody",
    (Memory("dram", "DDR4", value(1e9, "B"), value(100e9, "B/s"), "off-chip"),
     Memory("sram", "SRAM", value(65536, "B"), value(1e12, "B/s"))),
    (Compute("matrix", "matrix", {"float32": value(1e12, "op/s")}),
     Compute("vector", "vector", {"float32": value(1e11, "op/s")})),
    {"default": Attained(value(0.5, "1"), value(0.8, "1"))}, value(1e-6, "s"), "hand",
)  # fmt: skip
PRICES = Technology("hand", {
    "dram.*": value(100e-12, "J", 1.5, "device"), "sram.*": value(1e-12, "J", 2.0, "device"),
    "matrix.*": value(0.5e-12, "J", 1.3, "device"), "vector.*": value(0.2e-12, "J", 1.3, "device"),
    "static.leak": value(0.1, "W", 1.4, "device")})  # fmt: skip


@pytest.mark.parametrize("level", ["count", "roofline"])
@pytest.mark.parametrize("name", ["lenet5", "mobilenet_v2", "vit_b_16"])
def test_estimates(name: str, level: str) -> None:
    """Equality: any level estimates the fused network; DRAM moves fused_bytes, MACs stay, joules and seconds fall."""
    net = read_zoo(name)
    found = fuse(net, room(MACHINE), longest=6)
    apart, together = (estimate(one, MACHINE, PRICES, level=level) for one in (net, found.workload))
    assert together.traffic_bytes["dram"] == found.fused_bytes
    assert together.cost.total_energy_j.nominal < apart.cost.total_energy_j.nominal
    assert together.cost.total_time_s.nominal <= apart.cost.total_time_s.nominal


def test_machine() -> None:
    """By hand: 64 KiB on the chip; 1e12 / 2 MACs over 100e9 bytes a second are 5 a byte; nothing known of int8."""
    assert (room(MACHINE), ridge(MACHINE, "float32"), ridge(MACHINE, "int8")) == (65536, 5.0, None)


def test_state_is_not_an_intermediate() -> None:
    """By hand: a storage written in two parts, as a cache is, and one read before it is written do not fuse."""
    g = Graph("state")
    x, state = g.input("x", (8,)), g.tensor("state", (8,), role="buffer")
    y = ops.binary(g, "add", x, state)
    g.emit("copy", "move", [("d0", 8)], [(y, [(("d0", 1),)])], [state], g.operators[-1].work, name="keep")
    assert len(fuse(g.workload(), 10**6).groups) == 2


def test_one_of_two_branches_waits() -> None:
    """By hand: two layers of [8, 4] summed: 16 weights each, 128 B of rows. One result waits on the chip for the other.

    Apart 3 · 128 + 2 · (128 + 64 + 128) + 0 = 1,024 B; the sum with one of them 768 B; all three 128 · 3 + 128 = 512 B,
    with weights once if all rows, 128 B, fit; with a row, 16 B, weights eight times: 1,408 B, no gain.
    """
    g = Graph("branches")
    a, b = g.input("a", (8, 4)), g.input("b", (8, 4))
    one, two = (ops.linear(g, x, g.parameter(f"w{x.name}", (4, 4))) for x in (a, b))
    g.output(ops.binary(g, "add", one, two))
    found = [fuse(g.workload(), room) for room in (0, 16, 128)]
    assert [each.unfused_bytes for each in found] == [1024] * 3
    assert [each.fused_bytes for each in found] == [768, 768, 512]


def test_softmax_of_another_axis() -> None:
    """By hand: columns of [6, 4] normalised after a product: rows cannot be worked through one by one."""
    for axis, groups in ((-1, 1), (0, 2)):
        g = Graph("softmax")
        y = ops.linear(g, g.input("x", (6, 4)), g.parameter("w", (4, 4)))
        g.output(ops.softmax(g, y, axis=axis))
        assert len(fuse(g.workload(), 10**6).groups) == groups


def test_a_shared_layer_does_not_fold() -> None:
    """By hand: a layer whose result is added to its own normalisation keeps it: 4 parameters of 8 channels are read."""
    g = Graph("shared")
    y = ops.conv(g, g.input("x", (1, 8, 4, 4)), g.parameter("w", (8, 8, 1, 1)))
    norm = ops.batch_norm(g, y, *(g.parameter(f"n{i}", (8,), "norm") for i in range(4)))
    g.output(ops.binary(g, "add", norm, y))
    found = fuse(g.workload())
    assert found.fused_bytes == 512 + 256 + 128 + 512
    assert found.groups[0].folded == 0
