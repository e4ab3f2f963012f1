"""From checked models to the core types: text becomes SI floats, defaults become spreads, laws become prices."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from picojoule.hardware import Architecture, Compute, Link, Memory
from picojoule.quantity import InputError, Provenance, Scope, Value

from ._array import array_of
from ._faults import Faults
from ._parse import parse
from ._place import LIBRARY
from ._runtime import runtime_of
from ._yaml import Location, read_document

if TYPE_CHECKING:
    from ._schema import ActionModel, DatumModel, HardwareFile, Sourced

_FACT_UNITS: Final = ("Hz", "B/s", "B", "W", "J", "m", "s", "FLOP/s")
_EXAMPLES: Final = {
    "B": "80 GB", "B/s": "3352 GB/s", "FLOP/s": "989 TFLOP/s", "Hz": "1.98 GHz", "m": "5 nm", "W": "700 W",
    "s": "2.7 us", "1": "0.85", "J": "1.2 pJ", "J/B": "27 pJ/bit",
}  # fmt: skip


@cache
def default_spreads() -> Mapping[str, float]:
    """Spread by provenance, for data that state none."""
    data: Any = read_document(LIBRARY / "defaults.yaml").data
    return {name: float(value) for name, value in data["spread"].items()}


class Converter:
    """One file on its way to core types; every fault is noted with its line, none stops the others."""

    def __init__(self, faults: Faults, source: str | None) -> None:
        self.faults, self.source = faults, source

    def value(
        self, datum: "DatumModel | ActionModel | None", unit: str, at: Location, scope: Scope | None = None
    ) -> Value | None:
        """The SI value of a datum in `unit`, or None if there is none or it is faulty."""
        if datum is None:
            return None
        with self.faults.at((*at, "value"), example=_EXAMPLES.get(unit, "")):
            return self.sourced(parse(str(datum.value), unit), unit, datum, at, scope)
        return None

    def sourced(self, number: float, unit: str, datum: "Sourced", at: Location, scope: Scope | None = None) -> Value:
        """A Value of `number` with the source, spread and marks of `datum`."""
        source = datum.source or self.source
        if not source:
            raise InputError(
                "a number without a source", where=self.faults.document.where(at),
                expected="a source for it, or one for the whole file", example="source: vendor2024",
            )  # fmt: skip
        provenance: Provenance = datum.provenance or "recalled"
        spread = datum.spread or default_spreads()[provenance]
        return Value(number, unit, spread, source, datum.where, datum.scope or scope, provenance, datum.note)

    def values(self, data: "Mapping[str, DatumModel]", unit: str, at: Location) -> dict[str, Value]:
        """The faultless ones of `data`, by name."""
        found = {name: self.value(datum, unit, (*at, name)) for name, datum in data.items()}
        return {name: value for name, value in found.items() if value is not None}

    def facts(self, data: "Mapping[str, DatumModel]", at: Location) -> dict[str, Value]:
        """Numbers of any unit: the first unit that fits the text is theirs."""
        found = {}
        for name, datum in data.items():
            unit = next((u for u in _FACT_UNITS if _fits(str(datum.value), u)), "1")
            value = self.value(datum, unit, (*at, name))
            if value is not None:
                found[name] = value
        return found

    def architecture(self, model: "HardwareFile") -> Architecture:
        """Parts and rates; `attained` and `launch` are filled in later, as they may follow from the rest."""
        memories = [
            Memory(m.name, m.kind, self.value(m.size, "B", ("memories", i, "size")),
                   self.value(m.bandwidth, "B/s", ("memories", i, "bandwidth")), m.group, m.note)
            for i, m in enumerate(model.memories)
        ]  # fmt: skip
        compute = [
            Compute(c.name, c.unit, self.values(c.peak, "FLOP/s", ("compute", i, "peak")),
                    self.value(c.clock, "Hz", ("compute", i, "clock")), c.note)
            for i, c in enumerate(model.compute)
        ]  # fmt: skip
        links = [
            Link(x.name, x.kind, self.value(x.bandwidth, "B/s", ("links", i, "bandwidth")), x.note)
            for i, x in enumerate(model.links)
        ]
        technology = model.technology if isinstance(model.technology, str) else model.technology.name or model.name
        return Architecture(
            name=model.name, title=model.title or model.name, kind=model.kind, vendor=model.vendor,
            memories=tuple(memories), compute=tuple(compute), links=tuple(links), attained={}, technology=technology,
            launch=self.value(model.launch, "s", ("launch",)), node=self.value(model.node, "m", ("node",)),
            max_power=self.value(model.max_power, "W", ("max_power",)),
            idle_power=self.value(model.idle_power, "W", ("idle_power",)),
            year=model.year, notes=tuple(model.notes), aliases=tuple(model.aliases),
            facts=self.facts(model.facts, ("facts",)),
            machine=model.machine,
            array=array_of(model, self.faults, self.value) if model.array else None,
            runtime=runtime_of(model.runtime, self.faults, self.value) if model.runtime else None,
        )  # fmt: skip


def _fits(text: str, unit: str) -> bool:
    try:
        parse(text, unit)
    except ValueError:
        return False
    return True
