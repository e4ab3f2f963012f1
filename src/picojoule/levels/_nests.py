"""The best mapping of every contraction of a network, equal ones once: what `picojoule map` prints."""

from dataclasses import replace
from typing import TYPE_CHECKING

from picojoule.workload import Workload

from ._demand import Demand, contraction
from ._estimate import in_native_dtype
from ._mapped import best
from ._setting import Setting

if TYPE_CHECKING:
    from picojoule.mapping import MappedNetwork, Optimum


def map_network(workload: Workload, setting: Setting, dtype: str | None = None) -> "MappedNetwork":
    """Search every operator that does MACs; repeats of an operator and operators of equal demand count together.

    `dtype` as in `estimate`. Contractions without a mapping are listed with the reason, operators without MACs by name.
    """
    from picojoule.mapping import MappedNetwork, NoMappingError, UnmappableError

    typed = in_native_dtype(workload, setting.architecture, dtype)
    found: dict[Demand, tuple[Optimum, int]] = {}
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
                one = best(asked, setting)[0]
                found[key] = replace(one, problem=replace(one.problem, name=operator.name)), 0
        except (NoMappingError, UnmappableError) as refusal:
            refused.append((operator.name, str(refusal)))
            continue
        found[key] = found[key][0], found[key][1] + operator.repeats
    return MappedNetwork(tuple(found.values()), tuple(refused), tuple(unmapped))
