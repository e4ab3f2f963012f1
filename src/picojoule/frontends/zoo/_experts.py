"""A mixture of experts that routes each token to two of them (Jiang et al. 2024), by grouped matrix products."""

from picojoule.workload import Access, Axis, Graph, Tensor, Work, ops
from picojoule.workload.ops.pointwise import space_of, whole

from ._layers import act

TOP = 2


def experts(g: Graph, x: Tensor, count: int, inner: int) -> Tensor:
    """x[B, S, D] through the router and the two SwiGLU experts of each token."""
    batch, seq, width = x.shape
    tokens, pairs = batch * seq, batch * seq * TOP
    flat = g.view(x, (tokens, width))
    with g.scope("gate"):
        scores = ops.softmax(g, ops.linear(g, flat, g.parameter("weight", (count, width))))
        best, chosen = ops.topk(g, scores, TOP)
        weights = ops.binary(g, "div", best, ops.reduce(g, "sum", best, (-1,), keep=True))
    with g.scope("experts"):
        up = g.parameter("gate_up_proj", (count, 2 * inner, width))
        down = g.parameter("down_proj", (count, width, inner))
        order, scales, offsets, places = _route(g, g.view(chosen, (pairs,)), g.view(weights, (pairs,)), count)
        rows = ops.gather(g, flat, places)
        packed = _grouped(g, rows, up, offsets)
        half = (pairs, inner)
        gated = act(g, ops.slice_view(g, packed, half), "silu", name="act_fn")
        y = _grouped(g, ops.binary(g, "mul", gated, ops.slice_view(g, packed, half)), down, offsets)
        y = ops.binary(g, "mul", y, g.view(scales, (pairs, 1)))
        inverse = ops.copy(g, order, op="scatter", kind="gather")
        y = ops.reduce(g, "sum", g.view(ops.gather(g, y, inverse), (tokens, TOP, width)), (1,))
    return g.view(y, x.shape)


def _route(g: Graph, chosen: Tensor, weights: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pairs of token and expert sorted by expert: their order, weights, the ends of the groups, their tokens."""
    counted, order = ops.sort(g, chosen)
    places = ops.unary(g, "floor_divide", order, kind="gather", work=Work.of(intdiv=1))
    scales = ops.gather(g, weights, order)
    ones = space_of(chosen.shape)
    tally = g.emit("histogram", "gather", ones, [whole(counted)], [((count,), [()])], Work.of(intop=chosen.elements),
                   dtype="int32")[0]  # fmt: skip
    offsets = ops.unary(g, "cumulative_sum", tally, kind="gather", work=Work.of(adds=1))
    return order, scales, offsets, places


def _grouped(g: Graph, x: Tensor, weight: Tensor, offsets: Tensor) -> Tensor:
    """y[p] = W[expert of p] · x[p] over x[P, K] and weight[E, N, K]; every expert that P rows can reach is read."""
    pairs, k = x.shape
    count, n, _ = weight.shape
    reached = min(count, pairs)
    macs = pairs * n * k
    read = Access(weight.name, ((), (("n", 1),), (("k", 1),)), reached * n * k)
    space = [("m", pairs), ("n", n), ("k", k)]
    rows: tuple[Tensor, list[Axis]] = (x, [(("m", 1),), (("k", 1),)])
    return g.emit("grouped_matmul", "matmul", space, [rows, read, whole(offsets)], [((pairs, n), [(("m", 1),), (("n", 1),)])],
                  Work.of(macs=macs, muls=macs, adds=macs - pairs * n), dtype=x.dtype)[0]  # fmt: skip
