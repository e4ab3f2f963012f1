"""Backward of data movement and reductions, and the operators through which no gradient flows."""

from typing import Final

from picojoule.workload import Work

from ._draft import GRAD, Call, Draft, Read, Rule, Write, into, moved

# Results that are integers or flags, piecewise constant, or written from nothing.
STOPS: Final = frozenset([
    "equal", "less", "greater", "logic", "shift", "not", "isnan", "isinf", "sign", "floor", "ceil", "round", "argmax",
    "argmin", "arange", "ones", "zeros", "scalar", "zeros_like", "full_like", "eye", "tril", "histogram",
    "floor_divide", "reduce_any", "reduce_all",
])  # fmt: skip


def _mirrored(call: Call) -> list[Draft]:
    """A copy forward is a copy back."""
    return [moved(call, (0,), Work())]


def _slice(call: Call) -> list[Draft]:
    """The gradient of a slice copied out is a part of the input's: nothing moves until the parts are joined."""
    o = call.operator
    elements = min(o.inputs[0].elements, call.out.elements)
    write = Write(0, call.out.shape, o.outputs[0].axes, part=elements)
    return [Draft("", "", (), (call.grad,), (write,), Work())]


def _spread(call: Call) -> list[Draft]:
    """Copies forward are sums back: n - m additions for n copies of m elements."""
    return [moved(call, (0,), Work.of(adds=max(0, call.out.elements - call.inputs[0].elements)))]


def _gather(call: Call) -> list[Draft]:
    """Each row's gradient is added into a dense gradient of the whole table: 1 add an element gathered."""
    others = [call.input(place) for place in range(1, len(call.inputs))]
    return [moved(call, (0,), Work.of(adds=call.out.elements), *others)]


def _placed(call: Call) -> list[Draft]:
    """Gradients of chosen elements are written at their places, zeros elsewhere."""
    others = [call.result(place) for place in range(1, len(call.outputs))]
    return [moved(call, (0,), Work(), *others)]


def _mean(call: Call) -> list[Draft]:
    """dY / n at each of the n elements averaged: 1 div an element."""
    return [moved(call, (0,), Work.of(div=call.inputs[0].elements))]


def _sum(call: Call) -> list[Draft]:
    """dY itself, seen by all that was summed."""
    return [Draft("", "", (), (call.grad,), (into(call, 0),), Work())]


def _parts(call: Call) -> list[Draft]:
    """What was joined is seen in parts: nothing moves."""
    made = []
    for place in call.wanted:
        read = Read(GRAD, (), call.inputs[place].stored_elements)
        made.append(Draft("", "", (), (read,), (into(call, place),), Work()))
    return made


def _extreme(call: Call) -> list[Draft]:
    """The gradient goes to the elements equal to the extreme: 1 compare an element."""
    return [moved(call, (0,), Work.of(compare=call.inputs[0].elements), call.input(0), call.result())]


def _scaled(muls: int, *, div: int = 0, exp: int = 0) -> Rule:
    def rule(call: Call) -> list[Draft]:
        n = call.inputs[0].elements
        return [moved(call, (0,), Work.of(muls=muls * n, div=div * n, exp=exp * n), call.input(0), call.result())]

    return rule


def _cumulative(call: Call) -> list[Draft]:
    """A running sum forward is one backward from the other end."""
    return [moved(call, (0,), call.operator.work)]


def _resize(call: Call) -> list[Draft]:
    """Every tap's share of a gradient is added to its source."""
    taps = call.operator.work.muls or call.out.elements
    return [moved(call, (0,), Work.of(muls=call.operator.work.muls, adds=taps))]


def _sampled(call: Call) -> list[Draft]:
    """The image as any resampled one; the places along every axis once more, from the taps and the gradient."""
    work, made = call.operator.work, []
    if 0 in call.wanted:
        made += _resize(call)
    if 1 in call.wanted:
        n = (len(call.out.shape) - 2) * work.muls
        made.append(moved(call, (1,), Work.of(muls=n, adds=n), call.input(0), call.input(1)))
    return made


def _hidden(call: Call) -> list[Draft]:
    """Zeros where the mask hid what was read, the gradient elsewhere."""
    return [moved(call, (0,), Work(), call.input(1))]


def _scattered(call: Call) -> list[Draft]:
    """What was written over and what was written each take the gradient at their places."""
    return [moved(call, (place,), Work(), call.input(1)) for place in call.wanted if place != 1]


RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(["copy", "transpose", "cast", "pad", "flip", "roll", "depthtospace", "spacetodepth", "col2im"], _mirrored),
    **dict.fromkeys(["slice", "split", "crop", "select"], _slice),
    **dict.fromkeys(["repeat", "tile", "expand", "upsample_nearest"], _spread),
    **dict.fromkeys(["concat", "stack"], _parts),
    **dict.fromkeys(["embedding", "gather", "gather_elements", "gather_nd"], _gather),
    **dict.fromkeys(["topk", "sort"], _placed), **dict.fromkeys(["resize", "warp"], _resize),
    "grid_sample": _sampled, "scatter": _scattered, "masked_fill": _hidden,
    "mean": _mean, "reduce_sum": _sum, "reduce_max": _extreme, "reduce_min": _extreme,
    "reduce_l1": _scaled(1), "reduce_sum_square": _scaled(2), "reduce_l2": _scaled(1, div=1),
    "reduce_log_sum_exp": _scaled(1, exp=1), "reduce_prod": _scaled(1, div=1), "reduce_log_sum": _scaled(0, div=1),
    "cumulative_sum": _cumulative,
}  # fmt: skip
