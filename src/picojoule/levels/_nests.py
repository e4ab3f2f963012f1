"""The best mapping of every contraction of a network, equal ones once: what `picojoule map` prints."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from picojoule.workload import Workload

from ._demand import Demand, contraction
from ._estimate import in_native_dtype
from ._mapped import best, front
from ._setting import Setting

if TYPE_CHECKING:
    from picojoule.mapping import Front, MappedNetwork, Optimum

Found = TypeVar("Found")
Refused = tuple[tuple[str, str], ...]


def map_network(workload: Workload, setting: Setting, dtype: str | None = None) -> "MappedNetwork":
    """Search every operator that does MACs; repeats of an operator and operators of equal demand count together.

    `dtype` as in `estimate`. Contractions without a mapping are listed with the reason, operators without MACs by name.
    """
    from picojoule.mapping import MappedNetwork

    def search(asked: Demand) -> "Optimum":
        one = best(asked, setting)[0]
        return replace(one, problem=asked.problem or one.problem)

    found, refused, unmapped = _each(workload, setting, dtype, search)
    return MappedNetwork(found, refused, unmapped)


def front_network(
    workload: Workload, setting: Setting, dtype: str | None = None
) -> "tuple[tuple[tuple[Front, int], ...], Refused]":
    """The front of energy against cycles of every contraction, equal ones once, and those without a mapping."""

    def search(asked: Demand) -> "Front":
        one = front(asked, setting)
        return replace(one, problem=asked.problem or one.problem)

    found, refused, _ = _each(workload, setting, dtype, search)
    return found, refused


def _each(
    workload: Workload, setting: Setting, dtype: str | None, search: Callable[[Demand], Found]
) -> tuple[tuple[tuple[Found, int], ...], Refused, tuple[str, ...]]:
    """(what `search` finds, how often), (operator, reason) where it finds nothing, operators without MACs."""
    from picojoule.mapping import NoMappingError, UnmappableError

    typed = in_native_dtype(workload, setting.architecture, dtype)
    found: dict[Demand, tuple[Found, int]] = {}
    refused, unmapped = [], []
    for operator in typed.operators:
        asked = contraction(typed, operator)
        if not asked.macs:
            unmapped.append(operator.name)
            continue
        if asked.problem is None:
            refused.append((operator.name, asked.unmappable))
            continue
        key = replace(asked, kind="", in_bytes=0, out_bytes=0, weight_bytes=0, repeats=1, macs=0)
        try:
            if key not in found:
                found[key] = search(replace(asked, problem=replace(asked.problem, name=operator.name))), 0
        except (NoMappingError, UnmappableError) as refusal:
            refused.append((operator.name, str(refusal)))
            continue
        found[key] = found[key][0], found[key][1] + operator.repeats
    return tuple(found.values()), tuple(refused), tuple(unmapped)
