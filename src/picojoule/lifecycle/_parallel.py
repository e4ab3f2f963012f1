"""Training on several devices: what crosses the links, and what waits for what."""

from picojoule.quantity import InputError


def ring_bytes(gradient_bytes: int, devices: int) -> int:
    """Bytes that each of p devices sends in a ring all-reduce of S bytes: 2 (p − 1) / p · S, rounded up.

    Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms, JPDC 69(2) 2009.
    """
    _check(devices)
    return -(-2 * (devices - 1) * gradient_bytes // devices)


def ring_s(gradient_bytes: float, devices: int, bandwidth: float, latency_s: float = 0.0) -> float:
    """Time of a ring all-reduce: 2 (p − 1) / p · S / BW + 2 (p − 1) · latency."""
    _check(devices)
    return 2 * (devices - 1) / devices * gradient_bytes / bandwidth + 2 * (devices - 1) * latency_s


def hierarchical_s(
    gradient_bytes: float, per_node: int, nodes: int, inside: float, between: float, *, inside_latency_s: float = 0.0,
    between_latency_s: float = 0.0,
) -> float:  # fmt: skip
    """Reduce-scatter inside each node, a ring between nodes on the shard, gather inside: the sum of two rings.

    t = ring(S, g, BW inside) + ring(S / g, n, BW between); each device has its own way out of the node.
    """
    inner = ring_s(gradient_bytes, per_node, inside, inside_latency_s)
    return inner + ring_s(gradient_bytes / per_node, nodes, between, between_latency_s)


def step_s(
    load: float, forward: float, gradient: float, all_reduce: float, update: float, *, hidden: float = 0.0
) -> float:
    """One data-parallel step: max(load, forward + gradient + max(0, all_reduce − hidden)) + update.

    Loading runs beside the step; `hidden` seconds of the all-reduce run beside the gradient of earlier layers.
    """
    return max(load, forward + gradient + max(0.0, all_reduce - min(hidden, gradient))) + update


def _check(devices: int) -> None:
    if devices < 1:
        raise InputError(f"{devices} devices", expected="one or more", example="8")
