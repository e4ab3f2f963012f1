"""Backward of normalisations, softmax and pooling."""

import math
from typing import Final

from picojoule.workload import Work

from ._draft import Call, Draft, Read, Rule, moved


def _special(call: Call, name: str) -> int:
    return dict(call.operator.work.special).get(name, 0)


def _softmax(call: Call) -> list[Draft]:
    """dX = y · (dY - Σ y·dY): a row of D has 2D muls, D - 1 and D adds less the D of the difference's own row."""
    n = call.out.elements
    rows = n - _special(call, "compare")  # n - rows compares find the maxima
    return [moved(call, (0,), Work.of(muls=2 * n, adds=2 * n - rows), call.result())]


def _log_softmax(call: Call) -> list[Draft]:
    """dX = dY - exp(y) · Σ dY."""
    n = call.out.elements
    rows = n - _special(call, "compare")
    return [moved(call, (0,), Work.of(muls=n, adds=2 * n - rows, exp=n), call.result())]


def _saved(call: Call) -> list[Read]:
    """All that a normalisation read, and the statistics it left in training."""
    reads = [call.input(place) for place in range(len(call.inputs))]
    return reads + [call.result(place) for place in range(1, len(call.outputs))]


def _normalise(call: Call) -> list[Draft]:
    """LayerNorm, GroupNorm, InstanceNorm over r rows of D; x̂ = (x - μ) / σ, h = dY · scale.

    dX = (h - (Σ h + x̂ · Σ h·x̂) / D) / σ: 6 muls, 5 adds an element, 2 adds less a row (1 mul less without a scale).
    Scale: dY · x̂, 1 mul and n - C adds; shift: n - C adds.
    """
    n = call.out.elements
    rows = _special(call, "rsqrt")
    total = Work.of(muls=(6 if len(call.inputs) > 1 else 5) * n, adds=5 * n - 2 * rows) if call.wants[0] else Work()
    for place in call.wanted:
        if place:
            adds = max(0, n - call.inputs[place].elements)
            total += Work.of(muls=n if place == 1 else 0, adds=adds)
    if not call.wants[0]:
        total += Work.of(muls=n, adds=n)  # x̂
    return [moved(call, call.wanted, total, *_saved(call))]


def _batch_norm(call: Call) -> list[Draft]:
    """Statistics of the batch: 4n + 3C muls, 5n - 2C adds; those of training kept fixed (eval) cost less.

    Eval: dX = dY · scale / σ, 1 mul an element, 1 mul, 1 add and 1 rsqrt a channel; scale: dY · (x - μ), 1 mul,
    2 adds an element, C adds less, 1 mul a channel; shift: n - C adds.
    """
    n, c = call.out.elements, call.inputs[1].elements
    if len(call.outputs) > 1:
        saved = [call.input(0), call.input(1), call.result(1), call.result(2)]
        whole = Work.of(muls=4 * n + 3 * c, adds=5 * n - 2 * c)
        part = Work.of(muls=n + c, adds=3 * n - 2 * c)
        return [moved(call, call.wanted, whole if call.wants[0] else part, *saved)]
    work = Work.of(muls=n + c, adds=c, rsqrt=c) if call.wants[0] else Work()
    if len(call.wants) > 3 and call.wants[1]:
        work += Work.of(muls=n + c, adds=2 * n - c)
    if len(call.wants) > 4 and call.wants[2]:
        work += Work.of(adds=n - c)
    fixed = [call.input(place) for place in range(len(call.inputs)) if place != 2 or len(call.inputs) < 5]
    return [moved(call, call.wanted, work, *fixed)]


def _rms_norm(call: Call) -> list[Draft]:
    """y = x · r · scale, r = 1/√(mean x² + ε): dX = r · (h - x̂ · mean(h · x̂)), h = dY · scale; scale: dY · x̂."""
    n, row = call.out.elements, call.out.shape[-1]
    rows = _special(call, "rsqrt")
    work = Work.of(muls=4 * n + rows + n * (len(call.inputs) > 1), adds=2 * n - rows) if call.wants[0] else Work()
    if len(call.wants) > 1 and call.wants[1]:
        work += Work.of(muls=n if call.wants[0] else 2 * n, adds=n - row)
    return [moved(call, call.wanted, work, *_saved(call))]


def _local_response(call: Call) -> list[Draft]:
    """The chain of its parts with a window of k channels: 7 muls, k + 2 adds, 1 neg, 1 pow, 3 div an element."""
    n = call.out.elements
    window = call.operator.work.adds // n if n else 0
    work = Work.of(muls=7 * n, adds=(window + 2) * n, neg=n, pow=n, div=3 * n)
    return [moved(call, (0,), work, call.input(0), call.result())]


def _max_pool(call: Call) -> list[Draft]:
    """Each gradient is added where the maximum was: 1 add an element of the result, no multiplication."""
    saved = (call.input(0), *(call.result(place) for place in range(1, len(call.outputs))))
    return [moved(call, (0,), Work.of(adds=call.out.elements), *saved)]


def _avg_pool(call: Call) -> list[Draft]:
    """Each gradient, divided by the window once, is added to all of the window."""
    n = call.out.elements
    window = math.prod(extent for name, extent in call.operator.space if name.startswith("r"))
    return [moved(call, (0,), Work.of(muls=n, adds=n * window))]


def _adaptive(call: Call) -> list[Draft]:
    """Each gradient, divided by its window once, is added to all of it: an add an element of the input."""
    return [moved(call, (0,), Work.of(muls=call.out.elements, adds=call.inputs[0].elements), call.input(0))]


def _roi_pool(call: Call) -> list[Draft]:
    saved = [call.input(place) for place in range(len(call.inputs))]
    return [moved(call, (0,), Work.of(adds=call.out.elements), *saved)]


RULES: Final[dict[str, Rule]] = {
    "softmax": _softmax, "log_softmax": _log_softmax, "batch_norm": _batch_norm, "rms_norm": _rms_norm,
    **dict.fromkeys(["layer_norm", "group_norm", "instance_norm", "batch_norm_train"], _normalise),
    "local_response_norm": _local_response, "roi_pool": _roi_pool,
    **{f"max_pool{rank}d": _max_pool for rank in (1, 2, 3)},
    **{f"avg_pool{rank}d": _avg_pool for rank in (1, 2, 3)},
    **{f"adaptive_avg_pool{rank}d": _adaptive for rank in (1, 2, 3)},
}  # fmt: skip
