"""How long ONNX Runtime takes for a network on a machine whose paces were measured.

    t = Σ over groups [ launch + operations / arithmetic + bytes / stream + parameter bytes · wait(bytes between two uses) ]

A group is what the runtime runs as one (`_groups`). An activation function other than ReLU inside a convolution, and any
inside a product, is one more pass over the result. Operators of a class without a pace keep the time of the estimate.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from picojoule.cost import Interval
from picojoule.hardware import Fetch, Pace, Runtime
from picojoule.levels import Estimate
from picojoule.quantity import Value
from picojoule.workload import Operator, Workload

from ._groups import ACTIVATIONS, CONVOLUTIONS, PRODUCTS, Group, groups


@dataclass(frozen=True, slots=True)
class AsRun:
    """Seconds of one run with its 90 % interval, the same by class of operators, and what was left to the estimate."""

    time: Interval
    seconds: Mapping[str, float]
    unmeasured: tuple[str, ...]


def as_run(estimate: Estimate, runtime: Runtime) -> AsRun:
    """The law above. Errors of one class go together, those of different classes do not."""
    net, machine = estimate.workload, estimate.architecture
    launch = machine.launch
    total = between_uses(net)
    estimated = dict(zip((o.name for o in net.operators), estimate.cost.activities, strict=True))
    seconds: dict[str, float] = {}
    widths: dict[str, float] = {}
    unmeasured: set[str] = set()
    for group in groups(net):
        pace = runtime.paces.get(group.kind) if _float32(net, group.operators[0]) else None
        kind = group.kind if pace else "unmeasured"
        if pace is None:
            own = sum(max((t.seconds for t in estimated[o.name].terms), default=0.0) for o in group.operators)
            widths[kind] = max(widths.get(kind, 1.0), machine.attained["default"].compute.spread)
            unmeasured.update(o.op for o in group.operators)
        else:
            own = _group_time(net, group, pace, runtime, total)
            widths[kind] = max(widths.get(kind, 1.0), *(v.spread for v in (pace.arithmetic, pace.stream) if v))
        seconds[kind] = seconds.get(kind, 0.0) + own
        if launch is not None and own:
            seconds["launch"] = seconds.get("launch", 0.0) + launch.nominal
            widths["launch"] = launch.spread
    return AsRun(_interval(seconds, widths), seconds, tuple(sorted(unmeasured)))


def between_uses(net: Workload) -> int:
    """Bytes touched between two uses of the same parameter: all parameters, and the most that operators hold at once."""
    held = (net.traffic(operator, weights_once=True) for operator in net.operators)
    most = max((traffic.bytes_in + traffic.bytes_out for traffic in held), default=0)
    return most + sum(tensor.bytes_of(tensor.elements) for tensor in net.parameters)


def _float32(net: Workload, operator: Operator) -> bool:
    return all(net.tensors[access.tensor].dtype == "float32" for access in operator.outputs)


def _group_time(net: Workload, group: Group, pace: Pace, runtime: Runtime, total: int) -> float:
    first = group.operators[0]
    traffic = net.traffic(first, weights_once=True)
    out = net.traffic(group.last, weights_once=True).bytes_out
    others = sum(net.traffic(o, weights_once=True).bytes_in for o in group.operators[1:] if o.op == "add" and o.inputs)
    joined = others - out if group.kind in CONVOLUTIONS and others > out else 0  # the other side of an addition
    work = operations(first)
    time = cost(pace, work, traffic.bytes_in + traffic.bytes_weights + out + joined)
    acted = [o.op for o in group.operators[1:] if o.op in ACTIVATIONS]
    passes = runtime.paces.get("activation")
    if acted and passes and (group.kind in PRODUCTS or acted[-1] != "relu"):
        time += cost(passes, 0, 2 * out)
    if first.work.macs:
        time += traffic.bytes_weights * wait(_points(runtime.fetches, group.kind == "gemv"), total)
    return time


def operations(operator: Operator) -> int:
    """What `arithmetic` counts: 2 · MACs, or what the window of a pooling touches, or nothing."""
    if operator.work.macs:
        return 2 * operator.total.macs
    return operator.points * operator.repeats if operator.kind == "pool" else 0


def cost(pace: Pace, work: float, n_bytes: float) -> float:
    """Seconds: work / arithmetic + bytes / stream."""
    time = work / pace.arithmetic.nominal if pace.arithmetic else 0.0
    return time + (n_bytes / pace.stream.nominal if pace.stream else 0.0)


def wait(points: Sequence[tuple[float, float]], total: float) -> float:
    """Seconds that a product waits for each byte of its parameters, where `total` bytes lie between two uses.

    `points` are (bytes, s/B), rising. Between them it goes with the logarithm of the total, outside it is the nearest's.
    """
    if not points or total <= points[0][0]:
        return points[0][1] if points else 0.0
    for (low, before), (high, after) in pairwise(points):
        if total <= high:
            return before + (after - before) * math.log(total / low) / math.log(high / low)
    return points[-1][1]


def _points(fetches: Sequence[Fetch], vector: bool) -> list[tuple[float, float]]:
    return [(fetch.total.nominal, _per_byte(fetch.vector if vector else fetch.product)) for fetch in fetches]


def _per_byte(rate: Value | None) -> float:
    return 1 / rate.nominal if rate else 0.0


def _interval(seconds: Mapping[str, float], widths: Mapping[str, float]) -> Interval:
    total = sum(seconds.values())
    up = math.sqrt(sum((time * (widths[kind] - 1)) ** 2 for kind, time in seconds.items()))
    down = math.sqrt(sum((time * (1 - 1 / widths[kind])) ** 2 for kind, time in seconds.items()))
    return Interval(total, total - down, total + up)
