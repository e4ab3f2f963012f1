"""A network with zeros: bytes of its tensors as they are stored, MACs as its hardware meets them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from picojoule.workload import Access, Operator, Workload, dtype_bits

from ._compute import Effect, Hardware
from ._formats import Format

MAKES_ZEROS: Final = frozenset(("relu", "relu6", "threshold"))
WEIGHTS: Final = ("weight", "embedding")
NOTHING: Final = Hardware()


@dataclass(frozen=True, slots=True)
class Sparse:
    """`workload` moves the compressed bytes and does the MACs that take time; levels estimate it as any other.

    `active` MACs take energy: fewer than those that take time where zeros are gated.
    """

    workload: Workload
    dense_bytes: int
    bytes: int
    weight_bytes: tuple[int, int]
    effect: Effect


def sparse(
    workload: Workload,
    *,
    weights: float = 1.0,
    activations: float | Mapping[str, float] = 1.0,
    weight_format: Format = Format("dense"),  # noqa: B008  frozen
    activation_format: Format = Format("dense"),  # noqa: B008  frozen
    hardware: Hardware = NOTHING,
) -> Sparse:
    """`workload` with weights at density `weights` and activations at density `activations`.

    One number for the activations is that of what a ReLU writes; a mapping names tensors. Everything else is dense, as
    are biases and normalisations. n:m stores its share whatever the density.
    """
    densities = {**_densities(workload, weights, activations)}
    operators, slots, active = [], 0.0, 0.0
    for operator in workload.operators:
        effect = _effect(workload, operator, densities, hardware)
        slots += effect.slots * operator.repeats
        active += effect.active * operator.repeats
        operators.append(_stored(workload, operator, densities, effect, weight_format, activation_format))
    net = replace(workload, operators=tuple(operators))
    dense = [workload.traffic(o) for o in workload.operators]
    now = [net.traffic(o) for o in net.operators]
    return Sparse(net, sum(t.total for t in dense), sum(t.total for t in now),
                  (sum(t.bytes_weights for t in dense), sum(t.bytes_weights for t in now)),
                  Effect(workload.work.macs, slots, active))  # fmt: skip


def _densities(workload: Workload, weights: float, activations: float | Mapping[str, float]) -> dict[str, float]:
    """Density of every tensor that has zeros, by root."""
    found = {name: weights for name, tensor in workload.tensors.items() if tensor.role in WEIGHTS and not tensor.base}
    if isinstance(activations, Mapping):
        return found | dict(activations)
    made = (o.outputs[0] for o in workload.operators if o.op in MAKES_ZEROS)
    return found | {workload.tensors[access.tensor].root: activations for access in made}


def _effect(workload: Workload, operator: Operator, densities: Mapping[str, float], hardware: Hardware) -> Effect:
    """Of one run of one operator: its first two operands, if it multiplies them."""
    macs = operator.work.macs
    if not macs or len(operator.inputs) < 2:
        return Effect(macs, macs, macs)
    pair = [workload.tensors[access.tensor] for access in operator.inputs[:2]]
    first, second = (densities.get(tensor.root, 1.0) for tensor in pair)
    one, two = ("weight" if tensor.role in WEIGHTS else "activation" for tensor in pair)
    return hardware.effect(macs, first, second, roles=(one, two))


def _stored(workload: Workload, operator: Operator, densities: Mapping[str, float], effect: Effect,
            weight_format: Format, activation_format: Format) -> Operator:  # fmt: skip
    """The operator with as many elements as the stored bits would fill, and the MACs that take time."""

    def stored(access: Access) -> Access:
        tensor = workload.tensors[access.tensor]
        bits = dtype_bits(tensor.dtype)
        if tensor.root not in densities or not bits:
            return access
        form = weight_format if tensor.role in WEIGHTS else activation_format
        rows = tensor.shape[0] if len(tensor.shape) > 1 else 1
        filled = form.bits(access.elements, densities[tensor.root], bits, rows=max(1, rows))
        return replace(access, elements=math.ceil(filled / bits - 1e-9))

    work, gone = operator.work, operator.work.macs - round(effect.slots)
    if gone:
        work = replace(work, macs=work.macs - gone, muls=max(0, work.muls - gone), adds=max(0, work.adds - gone))
    inputs, outputs = tuple(map(stored, operator.inputs)), tuple(map(stored, operator.outputs))
    return replace(operator, inputs=inputs, outputs=outputs, work=work)


def lines(found: Sparse) -> list[str]:
    """Bytes and MACs with and without zeros, in 80 columns."""
    effect, before, now = found.effect, found.dense_bytes, found.bytes
    rows = [
        ("bytes", before, now),
        ("of weights", *found.weight_bytes),
        ("MACs that take time", effect.macs, round(effect.slots)),
        ("MACs that take energy", effect.macs, round(effect.active)),
    ]
    head = f"{found.workload.name:<24}{'dense':>22}{'sparse':>22}{'share':>8}"
    return [head, *(f"{name:<24}{a:>22,}{b:>22,}{b / a if a else 1:>8.3f}" for name, a, b in rows)]
