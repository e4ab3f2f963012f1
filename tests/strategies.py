"""Hypothesis: any operator, any machine, any prices."""

from hypothesis import strategies as st

from picojoule.hardware import ROLES, Architecture, Attained, Axis, Compute, Memory, ProcessingArray, Store, Technology
from picojoule.quantity import Value
from picojoule.workload import Graph, Workload, ops

sizes = st.integers(1, 24)
DTYPES = ("float32", "float16", "int8")


def value(nominal: float, unit: str, spread: float = 1.2, scope: str | None = None) -> Value:
    return Value(nominal, unit, spread, "test2026", scope=scope)


def fractions() -> st.SearchStrategy[float]:
    return st.floats(0.01, 1.0)


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """One or two on-chip levels behind a DRAM, a matrix and a vector unit, everything positive."""
    peak = draw(st.floats(1e9, 1e15))
    dtypes = draw(st.lists(st.sampled_from(DTYPES), min_size=1, unique=True))
    memories = [Memory("dram", "DDR4", value(1e12, "B"), value(draw(st.floats(1e8, 1e13)), "B/s"), "off-chip")]
    if draw(st.booleans()):
        bandwidth = draw(st.one_of(st.none(), st.floats(1e8, 1e14)))
        size = value(draw(st.floats(1e3, 1e8)), "B")
        memories.append(Memory("sram", "SRAM", size, None if bandwidth is None else value(bandwidth, "B/s")))
    compute = [Compute("matrix", "matrix", {d: value(peak, "op/s") for d in dtypes})]
    if draw(st.booleans()):
        compute.append(Compute("vector", "vector", {d: value(peak / 8, "op/s") for d in dtypes}))
    attained = {
        name: Attained(value(draw(fractions()), "1"), value(draw(fractions()), "1"))
        for name in draw(st.lists(st.sampled_from(["gemm", "conv", "norm", "elementwise"]), unique=True))
    }
    attained["default"] = Attained(value(draw(fractions()), "1"), value(draw(fractions()), "1"))
    launch = draw(st.one_of(st.none(), st.floats(1e-8, 1e-4)))
    return Architecture(
        "any", "Any machine", "npu", "nobody", tuple(memories), tuple(compute), attained,
        None if launch is None else value(launch, "s"), "any", array=draw(arrays(tuple(m.name for m in memories))),
    )  # fmt: skip


@st.composite
def arrays(draw: st.DrawFn, memories: tuple[str, ...]) -> ProcessingArray:
    """A few elements below the innermost memory, with registers for some tensors."""
    dims = st.lists(st.sampled_from("bgmcpr"), min_size=1, unique=True).map(tuple)
    axes = tuple(Axis(f"a{i}", draw(st.integers(1, 8)), draw(dims)) for i in range(draw(st.integers(1, 2))))
    stores = [Store(name, name) for name in memories]
    if draw(st.booleans()):
        keeps = draw(st.lists(st.sampled_from(ROLES), min_size=1, unique=True).map(tuple))
        stores.append(Store("register", "", keeps, value(draw(st.floats(64, 1e4)), "B")))
    return ProcessingArray("matrix", memories[-1], axes, tuple(stores), source="test2026")


@st.composite
def technologies(draw: st.DrawFn) -> Technology:
    """Prices for whatever `architectures` can do."""

    def joules() -> Value:
        return Value(draw(st.floats(1e-15, 1e-9)), "J", draw(st.floats(1.0, 4.0)), "test2026", scope="device")

    return Technology(
        "any",
        {"dram.*": joules(), "sram.*": joules(), "matrix.*": joules(), "vector.*": joules(),
         "static.leak": Value(draw(st.floats(1e-3, 100)), "W", draw(st.floats(1.0, 3.0)), "test2026", scope="device")},
    )  # fmt: skip


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """A few operators of every sort, recurrent repeats included."""
    g = Graph("any", dtype=draw(st.sampled_from(DTYPES)), batch=draw(st.integers(1, 4)))
    for index in range(draw(st.integers(1, 4))):
        with g.scope(f"m{index}"):
            _any_operator(g, draw)
    return g.workload()


def _any_operator(g: Graph, draw: st.DrawFn) -> None:
    sort = draw(st.sampled_from(["linear", "matmul", "conv", "relu", "softmax", "norm", "pool", "repeated", "gather"]))
    if sort in ("linear", "repeated"):
        x = g.input(f"x{g.path}", (g.batch, draw(sizes), k := draw(sizes)))
        weight = g.parameter("weight", (draw(sizes), k))
        with g.repeated(draw(st.integers(1, 9)) if sort == "repeated" else 1):
            ops.linear(g, x, weight)
    elif sort == "matmul":
        a = g.input(f"a{g.path}", (g.batch, draw(sizes), k := draw(sizes)))
        ops.matmul(g, a, g.input(f"b{g.path}", (g.batch, k, draw(sizes))))
    elif sort == "gather":
        table = g.parameter("table", (draw(sizes), draw(sizes)), "embedding")
        ops.gather(g, table, g.input(f"i{g.path}", (g.batch, draw(sizes)), "int64"))
    else:
        size = draw(st.integers(3, 12))
        x = g.input(f"x{g.path}", (g.batch, c := draw(st.integers(1, 8)), size, size))
        if sort == "conv":
            k = draw(st.integers(1, 3))
            weight = g.parameter("weight", (draw(sizes), c, k, k))
            ops.conv(g, x, weight, stride=(draw(st.integers(1, 2)),) * 2)
        elif sort == "pool":
            ops.pool(g, x, draw(st.sampled_from(["max", "avg"])), (2, 2), stride=(2, 2))
        elif sort == "norm":
            ops.layer_norm(g, x)
        else:
            ops.softmax(g, x) if sort == "softmax" else ops.unary(g, "relu", x)
