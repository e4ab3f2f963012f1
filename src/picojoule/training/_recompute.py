"""Which runs of forward operators are computed a second time in the backward pass."""

import math
from typing import Literal

from picojoule.quantity import InputError
from picojoule.workload import Operator

Recompute = Literal["none", "selective", "full"]


def runs_of(operators: tuple[Operator, ...], recompute: Recompute) -> dict[int, int]:
    """{last: first} of each run.

    "full" (Chen et al. 2016): every checkpoint segment, the operators of one numbered block ("layers.5", "layer1.0")
    or those between blocks; only tensors that cross segments are kept. Where blocks hold fewer than three operators
    each, as in a plain stack of layers, the n operators are cut into √n segments instead. "selective" (Korthikanti et
    al. 2022): the core of attention, from the scores to their product with the values.
    """
    if recompute == "none":
        return {}
    if recompute == "full":
        return _segments(operators)
    if recompute == "selective":
        return _attentions(operators)
    raise InputError(f"no recomputation {recompute!r}", expected="none, selective or full", example='recompute="full"')


def _segments(operators: tuple[Operator, ...]) -> dict[int, int]:
    runs: dict[int, int] = {}
    first, last = 0, ""
    keys: dict[str, str] = {}
    for index, operator in enumerate(operators):
        path = operator.path
        key = keys.get(path)
        if key is None:
            key = keys[path] = _segment(path)
        if index and key != last:
            runs[index - 1] = first
            first = index
        last = key
    if operators:
        runs[len(operators) - 1] = first
    return runs if len(operators) >= 3 * len(runs) else _square_root(len(operators))


def _square_root(count: int) -> dict[int, int]:
    """⌈√n⌉ segments of equal length, the last perhaps shorter."""
    length = max(1, math.isqrt(count))
    return {min(first + length, count) - 1: first for first in range(0, count, length)}


def _segment(path: str) -> str:
    """The path up to its first number; "" outside of numbered blocks."""
    names = path.split(".")
    for place, name in enumerate(names):
        if name.isdigit():
            return ".".join(names[: place + 1])
    return ""


def _attentions(operators: tuple[Operator, ...]) -> dict[int, int]:
    runs: dict[int, int] = {}
    first = -1
    for index, operator in enumerate(operators):
        if operator.op == "attention_scores":
            first = index
        elif operator.op == "attention_values" and first >= 0:
            runs[index] = first
            first = -1
    return runs
