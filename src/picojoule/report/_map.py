"""Mapped layers as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picojoule.mapping import Front, MappedNetwork


def map_json(found: "MappedNetwork", checked: Sequence[bool] = ()) -> dict[str, Any]:
    """`found` as picojoule/map/1: every layer with nest, traffic and proof; what has no mapping, with the reason.

    `checked`: whether the certificate of each layer was accepted, where it was checked.
    """
    from picojoule.mapping import map_dict

    refused = [{"layer": name, "reason": reason} for name, reason in found.refused]
    told = map_dict(found.layers)
    for layer, accepted in zip(told["layers"], checked, strict=False):
        layer["checked"] = accepted
    return {**told, "refused": refused, "unmapped": list(found.unmapped)}


def front_json(fronts: Sequence[tuple["Front", int]], refused: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Fronts as picojoule/front/1: points by rising cycles and falling energy."""
    from picojoule.mapping import nest_levels

    return {
        "schema": "picojoule/front/1",
        "hardware": fronts[0][0].accelerator.name,
        "layers": [
            {"name": one.problem.name, "count": count, "exact": one.exact,
             "points": [{"cycles": point.cycles * one.accelerator.cycles_per_step, "energy_j": point.energy,
                         "utilisation": one.problem.macs / (point.cycles * one.accelerator.array.size),
                         "nest": nest_levels(one.problem, one.accelerator, point.mapping)} for point in one.points]}
            for one, count in fronts
        ],
        "refused": [{"layer": name, "reason": reason} for name, reason in refused],
    }  # fmt: skip
