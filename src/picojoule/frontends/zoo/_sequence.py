"""What sequence models share: heads, masks, positions, scaled dot-product attention as eager frameworks run it."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Work, ops
from picojoule.workload.ops.pointwise import axes_of, broadcast_access, space_of

from ._entry import Options

Style = Literal["sdpa", "eager"]
STYLES: Final = ("sdpa", "eager")


def start_many(
    name: str, options: Options, inputs: Mapping[str, tuple[Sequence[int], str | None]]
) -> tuple[Graph, list[Tensor]]:
    """A graph and its inputs {name: (shape without the batch, dtype)}, shapes replaced by what the user said."""
    batch = options.batch or 1
    example = next(iter(inputs))
    for given in options.inputs:
        if given not in inputs:
            raise InputError(f"{name} has no input {given!r}", expected=f"one of {', '.join(inputs)}",
                             example=f"--input {example}={_text(batch, inputs[example][0])}")  # fmt: skip
    shapes = {key: tuple(options.inputs.get(key, (batch, *shape))) for key, (shape, _) in inputs.items()}
    for key, shape in shapes.items():
        rank = len(inputs[key][0]) + 1
        if len(shape) != rank or min(shape) < 1:
            raise InputError(f"input {key!r} is {list(shape)}", expected=f"{rank} sizes of 1 or more, batch first",
                             example=f"--input {key}={_text(batch, inputs[key][0])}")  # fmt: skip
    batches = {shape[0] for shape in shapes.values()}
    if len(batches) > 1:
        raise InputError(f"the inputs of {name} have batches {sorted(batches)}", expected="one batch for all inputs")
    g = Graph(name, batch=batches.pop())
    return g, [g.input(key, shapes[key], dtype) for key, (_, dtype) in inputs.items()]


def _text(batch: int, shape: Sequence[int]) -> str:
    return ",".join(str(size) for size in (batch, *shape))


def token_input(name: str, options: Options, seq: int, limit: int = 0) -> tuple[Graph, Tensor]:
    """A graph with input_ids [batch, seq] in int64."""
    g, (ids,) = start_many(name, options, {"input_ids": ((seq,), "int64")})
    if limit and ids.shape[1] > limit:
        raise InputError(f"{name} has learned positions for {limit} tokens, not {ids.shape[1]}",
                         expected=f"a sequence of at most {limit}", example=f"--seq {limit}")  # fmt: skip
    return g, ids


def fill(g: Graph, op: str, shape: Sequence[int], *, dtype: str | None = None, kind: str) -> Tensor:
    """A tensor written from nothing: arange, ones, zeros, a scalar."""
    return g.emit(op, kind, space_of(shape), [], [(shape, axes_of(len(shape)))], Work(), dtype=dtype)[0]


def arange(g: Graph, n: int, *, kind: str = "position", offset: bool = True) -> Tensor:
    """0 … n - 1 in int64, with the start added as a cache would have it."""
    made = fill(g, "arange", (n,), dtype="int64", kind=kind)
    return ops.unary(g, "add_scalar", made, kind=kind) if offset else made


def triangle(g: Graph, rows: int, columns: int) -> Tensor:
    """The causal mask [S, T] of 0 and -inf that scaled_dot_product_attention builds at every call."""
    ones = fill(g, "ones", (rows, columns), dtype="bool", kind="mask")
    lower = ops.copy(g, ones, op="tril", kind="mask")
    hidden, shown = (fill(g, "scalar", (), kind="mask") for _ in range(2))
    return ops.where(g, lower, hidden, shown, kind="mask")


def shared_mask(g: Graph, batch: int, rows: int) -> Tensor:
    """The causal mask [B, 1, S, S] that eager attention adds, built once for all layers."""
    fill(g, "arange", (batch,), dtype="int64", kind="mask")
    fill(g, "arange", (1,), dtype="int64", kind="mask")
    queries, keys = arange(g, rows, kind="mask"), arange(g, rows, kind="mask")
    seen = ops.binary(g, "less", g.view(keys, (1, 1, 1, rows)), g.view(queries, (1, 1, rows, 1)), kind="mask",
                      dtype="bool")  # fmt: skip
    shown, hidden = fill(g, "zeros", (), kind="mask"), fill(g, "scalar", (), kind="mask")
    return ops.where(g, ops.expand(g, seen, (batch, 1, rows, rows)), shown, hidden, kind="mask")


def repeat(g: Graph, x: Tensor, shape: Sequence[int], *, kind: str) -> Tensor:
    """`x` broadcast to `shape` and written out: read once, whatever the number of copies."""
    read = broadcast_access(x, shape)
    return g.emit("repeat", kind, space_of(shape), [read], [(shape, axes_of(len(shape)))], Work(), dtype=x.dtype)[0]


def tell_causal(g: Graph, rows: int, *, under: str = "", cross: str = "-") -> None:
    """Note what the visible part S(S + 1)/2 of causal attention would count; modules named `cross` are not causal."""
    products = (
        o for o in g.operators
        if o.op.startswith("attention") and o.path.startswith(under) and not o.path.endswith(cross)
    )  # fmt: skip
    dense = sum(operator.work.macs for operator in products)
    total = sum(operator.total.macs for operator in g.operators)
    halved = total - dense + dense * (rows + 1) // (2 * rows)
    g.notes.append(f"causal attention counted dense, all S x S scores; halved: {halved:,} MACs instead of {total:,}")


def split_heads(g: Graph, x: Tensor, heads: int) -> Tensor:
    """[B, S, H·D] as [B, H, S, D], a view."""
    batch, rows, width = x.shape
    return g.view(x, (batch, heads, rows, width // heads))


def merge_heads(g: Graph, y: Tensor) -> Tensor:
    """[B, H, S, D] copied to [B, S, H·D]."""
    batch, heads, rows, width = y.shape
    return g.view(ops.transpose(g, y, (0, 2, 1, 3)), (batch, rows, heads * width))


def share_heads(g: Graph, x: Tensor, heads: int) -> Tensor:
    """Key or value heads [B, G, T, D] copied to the `heads` of the queries; as they are if there are as many."""
    batch, shared, rows, width = x.shape
    if shared == heads:
        return x
    shape = (batch, shared, heads // shared, rows, width)
    copied = repeat(g, g.view(x, (batch, shared, 1, rows, width)), shape, kind="move")
    return g.view(copied, (batch, heads, rows, width))


def attend(g: Graph, q: Tensor, k: Tensor, v: Tensor, style: str, *, causal: bool = False,
           bias: Tensor | None = None, mask: Tensor | None = None) -> Tensor:  # fmt: skip
    """softmax(q·kᵀ/√D + bias + mask)·v of q[B, H, S, D], k and v [B, G, T, D]; → [B, H, S, D].

    "sdpa": q and k are scaled by the fourth root each, a causal mask is built and added here if S > 1. "eager": the
    scores are scaled. "matmul": q is scaled. The full S x T square is counted.
    """
    batch, heads, rows, width = q.shape
    columns = k.shape[2]
    if style in ("sdpa", "matmul"):
        q = ops.unary(g, "mul_scalar", q)
    if style == "sdpa" and causal and rows > 1:
        mask = triangle(g, rows, columns)
    k, v = share_heads(g, k, heads), share_heads(g, v, heads)
    if style == "sdpa":
        k = ops.unary(g, "mul_scalar", k)
    scores = ops.matmul(g, q, g.view(k, (batch, heads, width, columns)), op="attention_scores")
    if style == "eager":
        scores = ops.unary(g, "mul_scalar", scores)
    for shift in (bias, mask):
        if shift is not None:
            scores = ops.binary(g, "add", scores, shift, kind="mask")
    return ops.matmul(g, ops.softmax(g, scores), v, op="attention_values")


def transposed_linear(g: Graph, x: Tensor, features: int, *, name: str) -> Tensor:
    """GPT-2's Conv1D: a linear layer with weight [K, features] and a bias."""
    with g.scope(name):
        weight = g.parameter("weight", (x.shape[-1], features))
        return ops.linear(g, x, weight, g.parameter("bias", (features,), "bias"), transposed=False)


def rms_norm(g: Graph, x: Tensor, *, name: str) -> Tensor:
    """RMSNorm over the last axis with a scale, by its parts."""
    with g.scope(name):
        return ops.rms_norm(g, x, g.parameter("weight", (x.shape[-1],), "norm"))


def parts(g: Graph, x: Tensor, count: int) -> list[Tensor]:
    """x[B, S, count·D] as `count` slices [B, S, D], views."""
    shape = (*x.shape[:-1], x.shape[-1] // count)
    return [ops.slice_view(g, x, shape) for _ in range(count)]
