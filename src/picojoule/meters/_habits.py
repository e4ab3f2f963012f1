"""What ONNX Runtime does otherwise than the roofline level: by measured paces, or by three habits where there are none."""

from typing import Final

from picojoule.cost import Activity, Interval
from picojoule.levels import Estimate
from picojoule.workload import Workload

from ._as_run import as_run

_BASES: Final = ("conv", "depthwise", "matmul")
_FUSED: Final = ("relu", "clip", "relu6", "leaky_relu", "sigmoid", "tanh", "hard_sigmoid")


def runtime_interval(estimate: Estimate) -> tuple[Interval, tuple[str, ...]]:
    """Seconds as the runtime would take them with their 90 % interval, and what was assumed, in sentences."""
    runtime = estimate.architecture.runtime
    if runtime is not None:
        found = as_run(estimate, runtime)
        notes = [f"paces of {runtime.name}, measured on this machine, by class of operators"]
        if found.unmeasured:
            names = ", ".join(found.unmeasured)
            notes.append(f"no pace was measured for {names}: they keep the time of level {estimate.level}")
        return found.time, tuple(notes)
    seconds, habits = runtime_time(estimate)
    time = estimate.cost.total_time_s
    factor = seconds / time.nominal if time.nominal else 1.0
    return Interval(seconds, time.low * factor, time.high * factor), habits


def runtime_time(estimate: Estimate) -> tuple[float, tuple[str, ...]]:
    """Nominal seconds with three habits of ONNX Runtime on CPUs, and a sentence for each that applies here.

    Activations that fit in half the last cache do not cross the outer memory. An activation function or a batch norm
    that alone reads a convolution or a matrix product is fused into it and costs nothing. Once the weights of the
    network exceed the last cache, each operator fetches its own first, and the fetch is not hidden behind arithmetic:
    t = time without weights + weight bytes / bandwidth.
    """
    net, machine = estimate.workload, estimate.architecture
    fused = _fused(net)
    outer = machine.memories[0]
    cache = max((m.size.nominal for m in machine.memories[1:] if m.group == "on-chip" and m.size), default=0.0)
    rate = outer.bandwidth.nominal if outer.bandwidth else 0.0
    streams = bool(rate and cache) and sum(t.bytes_of(t.elements) for t in net.parameters) > cache
    total, kept = 0.0, False
    for operator, activity in zip(net.operators, estimate.cost.activities, strict=True):
        if operator.name in fused:
            continue
        bytes_by_role = net.traffic(operator, weights_once=True)
        fetch = bytes_by_role.bytes_weights / rate if streams and operator.work.macs else 0.0
        stays = 0 < bytes_by_role.bytes_in + bytes_by_role.bytes_out <= cache / 2
        kept = kept or stays
        total += _without(activity, outer.name, float("inf") if stays else fetch) + fetch
    notes = ["activations that fit in half the last cache stay there"] if kept else []
    if fused:
        notes.append(f"{len(fused)} activations and batch norms are fused into the operators before them")
    if streams:
        notes.append("weights exceed the last cache: each operator fetches its own first")
    return total, tuple(notes)


def _fused(net: Workload) -> frozenset[str]:
    """Names of the operators that ONNX Runtime runs as a part of the one before."""
    readers: dict[str, int] = {}
    for operator in net.operators:
        for access in operator.inputs:
            root = net.tensors[access.tensor].root
            readers[root] = readers.get(root, 0) + 1
    makers: dict[str, str] = {}  # tensor -> kind of the operator that it may be fused into
    found = set()
    for operator in net.operators:
        data = [net.tensors[a.tensor].root for a in operator.inputs if not _is_parameter(net, a.tensor)]
        into = makers.get(data[0], "") if len(data) == 1 and readers[data[0]] == 1 else ""
        out = net.tensors[operator.outputs[0].tensor].root if operator.outputs else ""
        if operator.kind in _BASES:
            makers[out] = "base"
        elif into and (operator.op in _FUSED or (operator.op == "batch_norm" and into == "base")):
            found.add(operator.name)
            makers[out] = "" if operator.op in _FUSED else "base"
    return frozenset(found)


def _is_parameter(net: Workload, tensor: str) -> bool:
    return net.tensors[tensor].role not in ("input", "activation")


def _without(activity: Activity, outer: str, fetch: float) -> float:
    """Time of one operator that has `fetch` seconds less to wait for the outer memory."""
    terms = [max(0.0, t.seconds - fetch) if t.resource == outer else t.seconds for t in activity.terms]
    return max(terms, default=0.0) + (activity.overhead.seconds if activity.overhead else 0.0)
