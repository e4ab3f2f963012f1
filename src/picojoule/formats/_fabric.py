"""Fabrics of FPGAs, from YAML (format: picojoule/fabric/1)."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from picojoule.fpga import Core, Fabric
from picojoule.quantity import Value

from ._convert import Converter
from ._faults import Faults
from ._place import LIBRARY
from ._validate import validate
from ._yaml import read_document

if TYPE_CHECKING:
    from ._fabric_schema import CoreModel, FabricFile
    from ._schema import Strict

_FABRICS: Final = LIBRARY / "fabrics"
_SECONDS: Final = ("layer", "frame")


@cache
def load_fabric(name: str = "xilinx") -> Fabric:
    """A shipped fabric; there is one so far."""
    return read_fabric(_FABRICS / f"{name}.yaml")


def read_fabric(path: Path | str) -> Fabric:
    """The fabric of a file. Raises one InputError that lists every fault, with lines."""
    from ._fabric_schema import FabricFile

    faults = Faults(read_document(path))
    model: FabricFile | None = validate(faults.document, FabricFile, faults)
    faults.raise_all()
    assert model is not None
    convert = Converter(faults, None)

    def group(section: "Strict", at: str, unit: str) -> dict[str, Value]:
        return convert.values({key: value for key, value in section if hasattr(value, "provenance")}, unit, (at,))

    rates = {
        key: convert.value(value, "s" if key in _SECONDS else "1", ("rates", key)) for key, value in model.rates
    }  # fmt: skip
    cores = {name: _core(name, core, model) for name, core in model.overlay.cores.items()}
    fabric = Fabric(
        model.name, group(model.usable, "usable", "1"), group(model.dsp_per_mac, "dsp_per_mac", "1"),
        group(model.look_up_tables_per_mac, "look_up_tables_per_mac", "1"), group(model.block_ram, "block_ram", "1"),
        group(model.overlay, "overlay", "1"), cores, {key: value for key, value in rates.items() if value is not None},
        group(model.energies, "energies", "J"), convert.values({"node": model.node}, "m", ())["node"],
        convert.values(model.static, "W", ("static",)),
    )  # fmt: skip
    faults.raise_all()
    return fabric


def _core(name: str, core: "CoreModel", model: "FabricFile") -> Core:
    def count(number: int) -> Value:
        return Value(number, "1", 1.2, model.overlay.source, model.overlay.where, provenance="seen (secondary)")

    return Core(name, core.pixels, core.inputs, core.outputs, count(core.look_up_tables), count(core.flip_flops))
