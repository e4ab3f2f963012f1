"""Mapped layers as JSON."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picojoule.mapping import MappedNetwork


def map_json(found: "MappedNetwork") -> dict[str, Any]:
    """`found` as picojoule/map/1: every layer with nest, traffic and proof; what has no mapping, with the reason."""
    from picojoule.mapping import map_dict

    refused = [{"layer": name, "reason": reason} for name, reason in found.refused]
    return {**map_dict(found.layers), "refused": refused, "unmapped": list(found.unmapped)}
