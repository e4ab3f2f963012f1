"""Architecture and Technology as small JSON, so that the shipped library needs no YAML and no checks to load."""

from collections.abc import Mapping
from typing import Any

from picojoule.hardware import (
    Architecture,
    Attained,
    Axis,
    Compute,
    Link,
    Memory,
    ProcessingArray,
    Store,
    Technology,
)
from picojoule.quantity import Value

Packed = list[Any]


def write_value(value: Value) -> Packed:
    """A value as a list, in the order of its fields."""
    return [
        value.nominal,
        value.unit,
        value.spread,
        value.source,
        value.where,
        value.scope,
        value.provenance,
        value.note,
    ]


def read_value(packed: Packed) -> Value:
    """The inverse of write_value."""
    return Value(*packed)


class _Pool:
    """Each distinct value once; parts of a device hold its place in the list."""

    def __init__(self) -> None:
        self.values: list[Packed] = []
        self.places: dict[Value, int] = {}

    def put(self, value: Value | None) -> int | None:
        if value is None:
            return None
        if value not in self.places:
            self.places[value] = len(self.values)
            self.values.append(write_value(value))
        return self.places[value]

    def put_all(self, values: Mapping[Any, Value]) -> dict[str, int | None]:
        return {name: self.put(value) for name, value in values.items()}


def pack(architecture: Architecture, technology: Technology) -> dict[str, Any]:
    """One device as JSON data: its values once, its parts by reference."""
    pool, a = _Pool(), architecture
    device = {
        "name": a.name, "title": a.title, "kind": a.kind, "vendor": a.vendor, "technology": a.technology,
        "year": a.year, "notes": list(a.notes), "aliases": list(a.aliases),
        "node": pool.put(a.node), "launch": pool.put(a.launch),
        "max_power": pool.put(a.max_power), "idle_power": pool.put(a.idle_power), "facts": pool.put_all(a.facts),
        "memories": [[m.name, m.kind, pool.put(m.size), pool.put(m.bandwidth), m.group, m.note] for m in a.memories],
        "compute": [[c.name, c.unit, pool.put_all(c.peak), pool.put(c.clock), c.note] for c in a.compute],
        "links": [[x.name, x.kind, pool.put(x.bandwidth), x.note] for x in a.links],
        "attained": {name: [pool.put(x.compute), pool.put(x.memory)] for name, x in a.attained.items()},
    }  # fmt: skip
    if a.array is not None:
        device["array"] = _pack_array(a.array, pool)
    if a.machine:
        device["machine"] = a.machine
    prices = {"name": technology.name, "mixed_scope": technology.mixed_scope,
              "prices": pool.put_all(technology.prices)}  # fmt: skip
    return {"device": device, "technology": prices, "values": pool.values}


def _pack_array(array: ProcessingArray, pool: _Pool) -> dict[str, Any]:
    return {
        "unit": array.unit, "below": array.below, "multicast": array.multicast, "reduction": array.reduction,
        "source": array.source, "where": array.where, "note": array.note, "whole": list(array.whole),
        "axes": [[axis.name, axis.size, list(axis.spread)] for axis in array.axes],
        "stores": [[s.name, s.memory, list(s.keeps), pool.put(s.size), pool.put_all(s.shares), s.double_buffered,
                    list(s.optional), None if s.loops is None else list(s.loops)] for s in array.stores],
    }  # fmt: skip


def _read_array(data: Mapping[str, Any], values: list[Value | None]) -> ProcessingArray:
    stores = [
        Store(name, memory, tuple(keeps), None if size is None else values[size],
              {role: value for role, place in shares.items() if (value := values[place]) is not None}, double,
              tuple(optional), None if loops is None else tuple(loops))
        for name, memory, keeps, size, shares, double, optional, loops in data["stores"]
    ]  # fmt: skip
    axes = tuple(Axis(name, size, tuple(spread)) for name, size, spread in data["axes"])
    return ProcessingArray(data["unit"], data["below"], axes, tuple(stores), data["multicast"], data["reduction"],
                           data["source"], data["where"], data["note"], tuple(data["whole"]))  # fmt: skip


def unpack(data: Mapping[str, Any]) -> tuple[Architecture, Technology]:
    """The inverse of pack."""
    values: list[Value | None] = [read_value(packed) for packed in data["values"]]
    values.append(None)

    def at(place: int | None) -> Value | None:
        return values[-1 if place is None else place]

    def sure(place: int) -> Value:
        value = values[place]
        assert value is not None
        return value

    def by_name(places: Mapping[str, int]) -> dict[str, Value]:
        return {name: sure(place) for name, place in places.items()}

    d, t = data["device"], data["technology"]
    architecture = Architecture(
        name=d["name"], title=d["title"], kind=d["kind"], vendor=d["vendor"], technology=d["technology"],
        year=d["year"], notes=tuple(d["notes"]), aliases=tuple(d["aliases"]), facts=by_name(d["facts"]),
        node=at(d["node"]), launch=at(d["launch"]), max_power=at(d["max_power"]), idle_power=at(d["idle_power"]),
        memories=tuple(Memory(n, k, at(s), at(b), g, note) for n, k, s, b, g, note in d["memories"]),
        compute=tuple(Compute(n, u, by_name(p), at(c), note) for n, u, p, c, note in d["compute"]),
        links=tuple(Link(n, k, at(b), note) for n, k, b, note in d["links"]),
        attained={name: Attained(sure(c), sure(m)) for name, (c, m) in d["attained"].items()},
        array=_read_array(d["array"], values) if "array" in d else None,
        machine=d.get("machine", ""),
    )  # fmt: skip
    return architecture, Technology(t["name"], by_name(t["prices"]), t["mixed_scope"])
