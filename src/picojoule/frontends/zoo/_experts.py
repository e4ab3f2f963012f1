"""Mixtures of experts: a router picks some experts for each token, grouped matrix products run them."""

from dataclasses import dataclass

from picojoule.workload import Access, Axis, Graph, Tensor, Work, ops
from picojoule.workload.ops.pointwise import space_of, whole

from ._feed import activate, swiglu
from ._layers import linear
from ._sequence import fill


@dataclass(frozen=True, slots=True)
class Mixture:
    """`count` experts of width `inner`, `top` of which run for a token; `shared` is the width of one that always runs.

    `router` "softmax" picks among all (Jiang et al. 2024); "grouped" (DeepSeek V2) and "biased" (DeepSeek V3) first
    keep the best `kept` of `groups` groups. `normalised`: the weights of the chosen sum to one. `scaled`: then times a
    constant. `gated`: the shared expert has a gate of its own (Qwen2-MoE).
    """

    count: int
    inner: int
    top: int = 2
    router: str = "softmax"
    normalised: bool = True
    scaled: bool = False
    groups: int = 1
    kept: int = 1
    shared: int = 0
    gated: bool = False
    act: str = "silu"
    bias: bool = False


def experts(g: Graph, x: Tensor, mixture: Mixture) -> Tensor:
    """x[B, S, D] through the router, the chosen experts of each token, and the shared one."""
    batch, seq, width = x.shape
    flat = g.view(x, (batch * seq, width))
    with g.scope("gate"):
        chosen, weights = _choose(g, flat, mixture)
    y = _run(g, flat, chosen, weights, mixture)
    if mixture.shared:
        with g.scope("shared_expert" if mixture.gated else "shared_experts"):
            always = swiglu(g, flat, mixture.shared, mixture.act, bias=mixture.bias)
        if mixture.gated:
            gate = ops.unary(g, "sigmoid", linear(g, flat, 1, name="shared_expert_gate", bias=False))
            always = ops.binary(g, "mul", gate, always)
        y = ops.binary(g, "add", y, always)
    return g.view(y, x.shape)


def _choose(g: Graph, flat: Tensor, mixture: Mixture) -> tuple[Tensor, Tensor]:
    """The experts of each token [N, top] and their weights [N, top]."""
    logits = ops.linear(g, flat, g.parameter("weight", (mixture.count, flat.shape[1])))
    if mixture.router == "biased":
        scores = ops.unary(g, "sigmoid", logits)
        shifted = ops.binary(g, "add", scores, g.parameter("e_score_correction_bias", (mixture.count,), "buffer"))
        _, chosen = ops.topk(g, _keep_groups(g, shifted, mixture, 2), mixture.top)
        best = ops.whole_op(g, "gather", [scores, chosen], [chosen.shape], Work(), kind="gather")[0]
    else:
        scores = ops.softmax(g, logits)
        if mixture.router == "grouped":
            scores = _keep_groups(g, scores, mixture, 1)
        best, chosen = ops.topk(g, scores, mixture.top)
    if mixture.normalised:
        total = ops.reduce(g, "sum", best, (-1,), keep=True)
        if mixture.router == "biased":
            total = ops.unary(g, "add_scalar", total)
        best = ops.binary(g, "div", best, total)
    if mixture.scaled:
        best = ops.unary(g, "mul_scalar", best)
    return chosen, best


def _keep_groups(g: Graph, scores: Tensor, mixture: Mixture, best: int) -> Tensor:
    """Scores [N, E] with those of all but the `kept` best groups masked; a group is worth its `best` largest."""
    tokens, count = scores.shape
    grouped = g.view(scores, (tokens, mixture.groups, count // mixture.groups))
    if best == 1:
        worth = ops.reduce(g, "max", grouped, (-1,))
    else:
        values, _ = ops.topk(g, grouped, best)
        worth = ops.reduce(g, "sum", values, (-1,))
    _, groups = ops.topk(g, worth, mixture.kept)
    blank = fill(g, "zeros", worth.shape, kind="gather")
    marked = g.emit("scatter", "gather", space_of(worth.shape), [whole(blank), whole(groups)],
                    [(worth.shape, [(("d0", 1),), (("d1", 1),)])], Work())[0]  # fmt: skip
    wide = ops.expand(g, g.view(marked, (tokens, mixture.groups, 1)), grouped.shape)
    mask = ops.copy(g, g.view(ops.copy(g, wide), scores.shape), op="cast", dtype="bool")
    mask = ops.unary(g, "not", mask, dtype="bool")
    return ops.binary(g, "masked_fill", scores, mask, work=Work())


def _run(g: Graph, flat: Tensor, chosen: Tensor, weights: Tensor, mixture: Mixture) -> Tensor:
    """Each token through its experts: y[N, D]."""
    tokens, width = flat.shape
    pairs, count, inner = tokens * mixture.top, mixture.count, mixture.inner
    with g.scope("experts"):
        up = g.parameter("gate_up_proj", (count, 2 * inner, width))
        down = g.parameter("down_proj", (count, width, inner))
        order, scales, offsets, places = _route(g, g.view(chosen, (pairs,)), g.view(weights, (pairs,)), count)
        rows = ops.gather(g, flat, places)
        packed = _grouped(g, rows, up, offsets)
        half = (pairs, inner)
        gated = activate(g, ops.slice_view(g, packed, half), mixture.act, name="act_fn")
        y = _grouped(g, ops.binary(g, "mul", gated, ops.slice_view(g, packed, half)), down, offsets)
        y = ops.binary(g, "mul", y, g.view(scales, (pairs, 1)))
        inverse = ops.copy(g, order, op="scatter", kind="gather")
        return ops.reduce(g, "sum", g.view(ops.gather(g, y, inverse), (tokens, mixture.top, width)), (1,))


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
