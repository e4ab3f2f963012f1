"""What a data sheet says of a device, as plain SI numbers: all that a prediction without measurements may use."""

from collections.abc import Mapping
from dataclasses import dataclass

from picojoule.hardware import Architecture
from picojoule.quantity import InputError

_UNITS = ("streaming_multiprocessors", "compute_units", "xe_cores")
# A format that a device lacks is computed in the next wider one, as the estimate does.
_WIDER = {"float4": "float8", "float8": "bfloat16", "int8": "bfloat16", "bfloat16": "float16", "float16": "bfloat16"}
_CLOCKS = ("clock_boost", "clock_maximum", "clock_tensor_peak")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A device by its sheet. `matrix` and `vector` map a dtype to dense operations per second, two per MAC.

    `multiprocessors` are the units that a library hands one tile each (SM, CU, Xe core). What no source gives is None;
    a law that needs it says so.
    """

    name: str
    vendor: str
    matrix: Mapping[str, float]
    vector: Mapping[str, float]
    bandwidth_bytes_per_s: float
    multiprocessors: int
    clock_hz: float
    l2_bytes: float | None
    max_power_w: float | None
    node_m: float | None = None
    link_bytes_per_s: float | None = None
    memory_kind: str = ""
    year: int | None = None

    def peak(self, dtype: str) -> float:
        """Operations per second in `dtype`, of the matrix units where they compute in it, else of the vector units.

        A format that the device lacks runs at the rate of the next wider one it has.
        """
        tried: list[str] = []
        name: str | None = dtype
        while name is not None and name not in tried:
            for rates in (self.matrix, self.vector):
                if name in rates and not (
                    rates is self.vector and self.matrix and name in ("bfloat16", "float16", "int8")
                ):
                    return rates[name]
            tried.append(name)
            name = _WIDER.get(name)
        for rates in (self.vector, self.matrix):
            if dtype in rates:
                return rates[dtype]
        raise InputError(f"{self.name} has no {dtype} arithmetic on its sheet", where="devices",
                         expected=f"one of {', '.join(dict.fromkeys([*self.matrix, *self.vector]))}",
                         example="bfloat16")  # fmt: skip


def sheet(architecture: Architecture, **known: float) -> Sheet:
    """The sheet of an architecture. `known` adds facts that its file lacks: multiprocessors=20, clock_hz=2.4e9.

    Raises InputError naming the fact that a device model cannot do without.
    """
    memory = architecture.memories[0]
    facts = {name: value.nominal for name, value in architecture.facts.items()}
    count = known.get("multiprocessors") or _first(facts, _UNITS)
    clock = known.get("clock_hz") or _first(facts, _CLOCKS) or _clock(architecture)
    for name, value in (("memory bandwidth", memory.bandwidth), ("count of multiprocessors", count), ("clock", clock)):
        if value is None:
            raise InputError(f"the {name} is unknown", where=architecture.name,
                             expected="its facts: streaming_multiprocessors (or compute_units), clock_boost, and the "
                             "bandwidth of the outermost memory", example="streaming_multiprocessors: 132")  # fmt: skip
    assert memory.bandwidth is not None
    assert count is not None
    assert clock is not None
    caches = [m.size.nominal for m in architecture.memories[1:] if m.size is not None and m.group == "on-chip"]
    rates = {unit: _rates(architecture, unit) for unit in ("matrix", "vector")}
    link = next((x.bandwidth.nominal for x in architecture.links if x.bandwidth and x.name != "pcie"), None)
    return Sheet(
        architecture.name, architecture.vendor, rates["matrix"], rates["vector"], memory.bandwidth.nominal, int(count),
        float(clock), max(caches) if caches else None,
        architecture.max_power.nominal if architecture.max_power else None,
        architecture.node.nominal if architecture.node else None, link, memory.kind, architecture.year,
    )  # fmt: skip


def _rates(architecture: Architecture, unit: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in architecture.compute:
        if part.unit == unit:
            for dtype, value in part.peak.items():
                found[dtype] = max(found.get(dtype, 0.0), value.nominal)
    return found


def _clock(architecture: Architecture) -> float | None:
    return next((part.clock.nominal for part in architecture.compute if part.clock is not None), None)


def _first(facts: Mapping[str, float], names: tuple[str, ...]) -> float | None:
    return next((facts[name] for name in names if name in facts), None)
