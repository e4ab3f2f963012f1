"""Backward of elementwise operators: the derivative and its product with the incoming gradient."""

from typing import Final

from picojoule.workload import Work

from ._draft import Call, Draft, Rule, passed, pointwise

_W: Final = Work.of
# Work an element, the product with the incoming gradient included, and what it reads: x, the result y, or nothing.
UNARY: Final[dict[str, tuple[Work, str]]] = {
    "relu": (_W(compare=1), "y"), "relu6": (_W(compare=2), "y"), "clip": (_W(compare=2), "x"),
    "clip1": (_W(compare=1), "x"), "threshold": (_W(compare=1), "x"), "leaky_relu": (_W(muls=1, compare=1), "y"),
    "elu": (_W(muls=1, adds=1, compare=1), "y"), "selu": (_W(muls=2, adds=1, compare=1), "y"),
    "celu": (_W(muls=1, exp=1, div=1, compare=1), "x"), "sigmoid": (_W(muls=2, adds=1), "y"),
    "tanh": (_W(muls=2, adds=1), "y"), "erf": (_W(muls=3, neg=1, exp=1), "x"), "exp": (_W(muls=1), "y"),
    "log": (_W(div=1), "x"), "log1p": (_W(adds=1, div=1), "x"), "sqrt": (_W(muls=1, div=1), "y"),
    "rsqrt": (_W(muls=4), "y"), "reciprocal": (_W(muls=2, neg=1), "y"), "sin": (_W(muls=1, cos=1), "x"),
    "cos": (_W(muls=1, sin=1, neg=1), "x"), "tan": (_W(muls=2, adds=1), "y"),
    "asin": (_W(muls=2, adds=1, rsqrt=1), "x"), "acos": (_W(muls=2, adds=1, rsqrt=1, neg=1), "x"),
    "atan": (_W(muls=1, adds=1, div=1), "x"), "sinh": (_W(muls=1, cosh=1), "x"), "cosh": (_W(muls=1, sinh=1), "x"),
    "asinh": (_W(muls=2, adds=1, rsqrt=1), "x"), "acosh": (_W(muls=2, adds=1, rsqrt=1), "x"),
    "atanh": (_W(muls=1, adds=1, div=1), "x"), "neg": (_W(neg=1), ""), "abs": (_W(muls=1, compare=1), "x"),
    "square": (_W(muls=2), "x"), "cube": (_W(muls=3), "x"), "gelu": (_W(muls=7, adds=2, erf=1, exp=1), "x"),
    "gelu_tanh": (_W(muls=12, adds=5, tanh=1), "x"), "quick_gelu": (_W(muls=5, adds=2, sigmoid=1), "x"),
    "silu": (_W(muls=3, adds=2, sigmoid=1), "x"),
    "mish": (_W(muls=4, adds=3, exp=1, log=1, tanh=1, sigmoid=1, compare=1), "x"),
    "softplus": (_W(muls=1, sigmoid=1), "x"), "softsign": (_W(muls=1, adds=1, abs=1, div=1), "x"),
    "hard_sigmoid": (_W(muls=1, compare=2), "y"), "hard_swish": (_W(muls=2, adds=1, compare=2), "x"),
    "mul_scalar": (_W(muls=1), ""), "div_scalar": (_W(div=1), ""), "pow_scalar": (_W(muls=2, pow=1), "x"),
}  # fmt: skip


def _unary(call: Call) -> list[Draft]:
    each, saved = UNARY[call.operator.op]
    reads = [call.grad]
    if saved:
        reads.append(call.input(0) if saved == "x" else call.result())
    return pointwise(call, 0, each, reads)


def alias(call: Call) -> list[Draft]:
    """The derivative is one: each wanted input gets the gradient as it is."""
    return [draft for place in call.wanted for draft in passed(call, place)]


def _sub(call: Call) -> list[Draft]:
    made: list[Draft] = []
    for place in call.wanted:
        made += passed(call, 0) if place == 0 else pointwise(call, 1, _W(neg=1), [call.grad])
    return made


def _mul(call: Call) -> list[Draft]:
    """d(ab): dY · b and dY · a. The square of one tensor by itself wants both."""
    made: list[Draft] = []
    for place in call.wanted:
        made += pointwise(call, place, _W(muls=1), [call.grad, call.input(1 - place)])
    return made


def _div(call: Call) -> list[Draft]:
    """d(a/b): dY / b, and -dY · ((a / b) / b)."""
    made: list[Draft] = []
    for place in call.wanted:
        if place == 0:
            made += pointwise(call, 0, _W(div=1), [call.grad, call.input(1)])
        else:
            made += pointwise(call, 1, _W(muls=1, neg=1, div=2), [call.grad, call.input(0), call.input(1)])
    return made


def _pow(call: Call) -> list[Draft]:
    """d(a^b): dY · b · a^(b-1), and dY · y · ln a."""
    made: list[Draft] = []
    for place in call.wanted:
        if place == 0:
            made += pointwise(call, 0, _W(muls=2, adds=1, pow=1), [call.grad, call.input(0), call.input(1)])
        else:
            made += pointwise(call, 1, _W(muls=2, log=1), [call.grad, call.input(0), call.result()])
    return made


def _chosen(call: Call) -> list[Draft]:
    """Larger or smaller of two: the gradient goes where the comparison, made again, says."""
    made: list[Draft] = []
    for place in call.wanted:
        made += pointwise(call, place, _W(compare=1), [call.grad, call.input(0), call.input(1)])
    return made


def _prelu(call: Call) -> list[Draft]:
    made: list[Draft] = []
    for place in call.wanted:
        made += pointwise(
            call, place, _W(muls=1, compare=1), [call.grad, call.input(0), call.input(1 - place)][: 3 - place]
        )
    return made


def _where(call: Call) -> list[Draft]:
    made: list[Draft] = []
    for place in call.wanted:
        made += pointwise(call, place, _W(select=1), [call.grad, call.input(0)])
    return made


def _dropout(call: Call) -> list[Draft]:
    """dY · mask, the mask already divided by the share kept; without a mask the layer was the identity."""
    if len(call.outputs) < 2:
        return alias(call)
    return pointwise(call, 0, _W(muls=1), [call.grad, call.result(1)])


RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(["add", "add_scalar", "identity"], alias),
    "sub": _sub, "mul": _mul, "div": _div, "pow": _pow, "max": _chosen, "min": _chosen, "prelu": _prelu,
    "where": _where, "dropout": _dropout,
}  # fmt: skip
