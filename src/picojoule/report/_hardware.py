"""A machine as JSON: every field with its source and spread."""

from typing import Any

from picojoule.hardware import Architecture, ProcessingArray, Technology
from picojoule.quantity import Value


def hardware_json(architecture: Architecture, technology: Technology) -> dict[str, Any]:
    """`architecture` and its prices as picojoule/hardware-show/1."""
    a = architecture
    return {
        "schema": "picojoule/hardware-show/1", "name": a.name, "title": a.title, "kind": a.kind, "vendor": a.vendor,
        "year": a.year, "node_m": value_json(a.node), "max_power_w": value_json(a.max_power),
        "idle_power_w": value_json(a.idle_power), "launch_s": value_json(a.launch),
        "memories": [{"name": m.name, "kind": m.kind, "group": m.group, "size_bytes": value_json(m.size),
                      "bandwidth_bytes_per_s": value_json(m.bandwidth), "note": m.note} for m in a.memories],
        "compute": [{"name": c.name, "unit": c.unit, "clock_hz": value_json(c.clock), "note": c.note,
                     "peak_ops_per_s": {d: value_json(v) for d, v in c.peak.items()}} for c in a.compute],
        "links": [{"name": k.name, "kind": k.kind, "bandwidth_bytes_per_s": value_json(k.bandwidth)} for k in a.links],
        "array": _array_json(a.array),
        "attained": {k: {"compute": value_json(v.compute), "memory": value_json(v.memory)}
                     for k, v in a.attained.items()},
        "facts": {k: value_json(v) for k, v in a.facts.items()}, "notes": list(a.notes), "aliases": list(a.aliases),
        "technology": {"name": technology.name, "scope": technology.scope, "mixed_scope": technology.mixed_scope,
                       "prices": {k: value_json(v) for k, v in technology.prices.items()}},
    }  # fmt: skip


def _array_json(array: ProcessingArray | None) -> dict[str, Any] | None:
    """The array, or None where the file states none; `memory` "" is a register inside the price of a MAC."""
    if array is None:
        return None
    return {
        "unit": array.unit, "below": array.below, "elements": array.elements, "multicast": array.multicast,
        "reduction": array.reduction, "source": array.source, "where": array.where, "note": array.note,
        "axes": [{"name": axis.name, "size": axis.size, "spread": list(axis.spread)} for axis in array.axes],
        "levels": [
            {"name": store.name, "memory": store.memory, "keeps": list(store.keeps), "size_bytes": value_json(store.size),
             "shares_bytes": {role: value_json(share) for role, share in store.shares.items()},
             "double_buffered": store.double_buffered, "optional": list(store.optional),
             "loops": None if store.loops is None else list(store.loops)}
            for store in array.stores
        ],
    }  # fmt: skip


def value_json(value: Value | None) -> dict[str, Any] | None:
    """A value with all it knows; None is unknown."""
    if value is None:
        return None
    return {"value": value.nominal, "unit": value.unit, "spread": value.spread, "source": value.source,
            "where": value.where, "scope": value.scope, "provenance": value.provenance, "note": value.note}  # fmt: skip
