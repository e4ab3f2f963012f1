"""Einsum of one or two operands as transposes, one product and sums."""

from collections.abc import Sequence
from math import prod

from ._graph import Node
from ._rewrite import Rewriter, UnexpandedError


def einsum(r: Rewriter, node: Node) -> None:
    """Letters of both operands and of the result are stacked, those of both alone are summed in the product."""
    text = str(node.attributes["equation"]).replace(" ", "")
    left, arrow, out = text.partition("->")
    terms = left.split(",")
    if not arrow or "." in text or any(len(set(term)) < len(term) for term in (*terms, out)) or len(terms) > 2:
        raise UnexpandedError(f"the equation {text} has an ellipsis, a diagonal, no result or more than two operands")
    if r.fixed(node.inputs[:1]) or any(
        len(term) != len(r.shape(name)) for term, name in zip(terms, node.inputs, strict=True)
    ):
        raise UnexpandedError("its first operand is a constant, or its letters are not its axes")
    size = {
        letter: n
        for term, name in zip(terms, node.inputs, strict=True)
        for letter, n in zip(term, r.shape(name), strict=True)
    }
    operands = [_summed(r, term, name, "".join(terms[:i] + terms[i + 1 :]) + out) for i, (term, name) in
                enumerate(zip(terms, node.inputs, strict=True))]  # fmt: skip
    if len(operands) == 1:
        _ordered(r, *operands[0], out, node.outputs[0])
        return
    (first, a), (second, b) = operands
    both = [c for c in first if c in second and c in out]
    rows = [c for c in first if c not in second]
    sums = [c for c in first if c in second and c not in out]
    columns = [c for c in second if c not in first]
    g, m, k, n = (prod(size[c] for c in part) for part in (both, rows, sums, columns))
    x = r.reshape(_ordered(r, first, a, "".join((*both, *rows, *sums))), (g, m, k))
    w = r.reshape(_ordered(r, second, b, "".join((*both, *sums, *columns))), (g, k, n))
    y = r.add("MatMul", [x, w], (g, m, n))
    term = "".join((*both, *rows, *columns))
    _ordered(r, term, r.reshape(y, tuple(size[c] for c in term)), out, node.outputs[0])


def _summed(r: Rewriter, term: str, name: str, wanted: Sequence[str]) -> tuple[str, str]:
    """An operand without the letters that nobody else has."""
    axes = [i for i, letter in enumerate(term) if letter not in wanted]
    if not axes:
        return term, name
    shape = tuple(n for i, n in enumerate(r.shape(name)) if i not in axes)
    y = r.add("ReduceSum", [name], shape, axes=axes, keepdims=0)
    return "".join(letter for i, letter in enumerate(term) if i not in axes), y


def _ordered(r: Rewriter, term: str, name: str, order: str, into: str = "") -> str:
    """Axes in another order."""
    perm = [term.index(letter) for letter in order]
    if perm == sorted(perm) and not into:
        return name
    shape = tuple(r.shape(name)[i] for i in perm)
    return r.add("Transpose", [name], shape, perm=perm, into=into)
