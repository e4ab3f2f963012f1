"""Scaled dot-product attention from its parts, so that no part of it can be a silent zero."""

import math

from picojoule.quantity import InputError

from .._graph import Graph
from .._tensor import Tensor
from .._work import Work
from .contract import matmul
from .norm import softmax
from .pointwise import binary, unary


def attention(g: Graph, q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None = None, causal: bool = False,
              halved: bool = False, scales: int = 1, name: str = "") -> Tensor:  # fmt: skip
    """softmax(q·kᵀ · scale + mask)·v over q[B, H, S, D], k[B, Hk, T, D], v[B, Hk, T, Dv]; Hk divides H (GQA, MQA).

    The full S × T square is counted, causal or not, unless `halved` counts only the visible part. The scale is one
    mul an element of q (`scales=1`) or of both q and k (`scales=2`, as PyTorch's reference path). Shared key heads
    are read once, whatever the number of query heads.
    """
    batch, heads, rows, width = q.shape
    shared, columns = k.shape[1], k.shape[2]
    if heads % shared or v.shape[1] != shared or k.shape[3] != width or v.shape[2] != columns:
        raise InputError(f"attention of q{list(q.shape)}, k{list(k.shape)}, v{list(v.shape)} does not fit",
                         where=name or g.path, expected="q[B,H,S,D], k[B,G,T,D], v[B,G,T,E] with G dividing H")  # fmt: skip
    group = heads // shared
    q = unary(g, "mul_scalar", q, name=name)
    if scales == 2:
        k = unary(g, "mul_scalar", k, name=name)
    # Query heads that share a key head lie beside each other: [B, G, H/G·S, D] · [B, G, D, T].
    grouped = g.view(q, (batch, shared, group * rows, width))
    turned = g.view(k, (batch, shared, width, columns), stored=k.stored_elements)
    scores = matmul(g, grouped, turned, name=name, op="attention_scores")
    scores = g.view(scores, (batch, heads, rows, columns))
    if mask is not None:
        scores = binary(g, "add", scores, mask, name=name)
    weights = softmax(g, scores, name=name)
    weights = g.view(weights, (batch, shared, group * rows, columns))
    y = matmul(g, weights, v, name=name, op="attention_values")
    if causal and halved:
        _halve(g, rows, columns)
    return g.view(y, (batch, heads, rows, v.shape[3]))


def _halve(g: Graph, rows: int, columns: int) -> None:
    """Keep only the visible part of the two products just recorded: row i sees columns - rows + i + 1 columns."""
    from dataclasses import replace

    visible = sum(max(0, min(columns, columns - rows + i + 1)) for i in range(rows))
    for index in range(len(g.operators) - 1, -1, -1):
        operator = g.operators[index]
        if operator.op in ("attention_scores", "attention_values"):
            macs = operator.work.macs * visible // (rows * columns)
            outputs = math.prod(extent for dim, extent in operator.space if dim != "k")
            kept = outputs * visible // (rows * columns) if operator.op == "attention_scores" else outputs
            g.operators[index] = replace(operator, work=Work.of(macs=macs, muls=macs, adds=max(0, macs - kept)))
            if operator.op == "attention_scores":
                return
