"""Machines for programs, from YAML (format: picojoule/machine/1)."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from picojoule.machine import Machine, Rows
from picojoule.quantity import InputError

from ._faults import Faults
from ._parse import parse
from ._place import LIBRARY
from ._validate import validate
from ._yaml import Document, read_document

if TYPE_CHECKING:
    from . import _machine_schema as schema

_MACHINES = LIBRARY / "machines"
_LARGEST = {"dram": 1 << 36, "sram": 1 << 24, "nram": 1 << 24, "wram": 1 << 24}  # what an address can reach


def read_machine(path: Path | str) -> Machine:
    """The machine of a file. Raises one InputError that lists every fault, with lines."""
    return machine_of(read_document(path))


def machine_names() -> tuple[str, ...]:
    """The shipped machines."""
    return tuple(sorted(path.stem for path in _MACHINES.glob("*.yaml")))


def load_machine(name: str) -> Machine:
    """A shipped machine by name."""
    if name not in machine_names():
        raise InputError(f"no machine is named {name[:60]!r}", expected=f"one of {', '.join(machine_names())}, or a file",
                         example=machine_names()[0])  # fmt: skip
    return read_machine(_MACHINES / f"{name}.yaml")


def machine_of(document: Document) -> Machine:
    """As read_machine, from a parsed document."""
    from ._machine_schema import MachineFile

    faults = Faults(document)
    model: schema.MachineFile | None = validate(document, MachineFile, faults)
    faults.raise_all()
    assert model is not None
    clock = _positive(model.clock, "Hz", ("clock",), "clock: 1 GHz", faults)
    bus = _positive(model.off_chip, "B/s", ("off_chip",), "off_chip: 64 GB/s", faults)
    link = _positive(model.on_chip, "B/s", ("on_chip",), "on_chip: 1 TB/s", faults)
    sizes = {scope: _size(getattr(model.memories, scope), scope, faults) for scope in _LARGEST}
    rows = _rows(model.dram_rows, clock, faults) if model.dram_rows else None
    if model.matrix.dataflow != "vector" and model.matrix.tile is None:
        faults.add(("matrix", "dataflow"), f"a {model.matrix.dataflow} unit without its rows and columns",
                   expected="the size of the array", example="tile: [16, 16]")  # fmt: skip
    faults.raise_all()
    return Machine(
        name=model.name, title=model.title, clock_hz=clock, cores=model.cores, macs=_rates(model.matrix.macs),
        lanes=_rates(model.vector.lanes), special=_rates(model.vector.special), sizes=sizes, bus=bus / clock,
        link=link / clock, tile=model.matrix.tile, setup=model.dma.setup, burst=model.dma.burst,
        whole=model.whole_cycles, dataflow=model.matrix.dataflow, arbitration=model.arbitration, window=model.window,
        rows=rows, assumptions=tuple(model.assumptions),
    )  # fmt: skip


def _rates(rates: "schema.Rates") -> dict[str, int]:
    return {str(dtype): rate for dtype, rate in rates.items()}


def _positive(text: str, unit: str, at: tuple[str, ...], example: str, faults: Faults) -> Fraction:
    with faults.at(at, expected=f"a quantity above 0 in {unit}", example=example):
        number = parse(text, unit)
        if not 0 < number < 1e18:
            raise ValueError(f"{at[-1]} is {text}")
        return Fraction(number).limit_denominator(1_000_000)
    return Fraction(1)


def _rows(model: "schema.RowsModel", clock: Fraction, faults: Faults) -> Rows:
    """Rows of DRAM, times in cycles."""
    size = 1
    with faults.at(("dram_rows", "size"), expected="whole bytes, 64 to 1 MiB", example="size: 8 KiB"):
        number = parse(model.size, "B")
        if not 64 <= number <= 1 << 20 or number % 1:
            raise ValueError(f"size is {model.size}")
        size = int(number)
    times = []
    for name in ("activate", "precharge"):
        with faults.at(("dram_rows", name), expected="a time of 0 to 1 ms", example=f"{name}: 13.33 ns"):
            time = parse(getattr(model, name), "s")
            if not 0 <= time <= 1e-3:
                raise ValueError(f"{name} is {getattr(model, name)}")
            times.append((Fraction(time).limit_denominator(10**15) * clock).limit_denominator(1000))
    return Rows(size, model.banks, *(times if len(times) == 2 else (Fraction(), Fraction())))


def _size(text: str, scope: str, faults: Faults) -> int:
    at = ("memories", scope)
    with faults.at(at, expected=f"whole bytes, at most {_LARGEST[scope]}", example=f"{scope}: 128 KiB"):
        number = parse(text, "B")
        if not (0 if scope == "sram" else 1) <= number <= _LARGEST[scope] or number % 1:
            raise ValueError(f"{scope} is {text}")
        return int(number)
    return 0
