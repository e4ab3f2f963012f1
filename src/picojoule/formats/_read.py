"""A hardware file and everything that it names, as an Architecture and the Technology that prices it."""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.hardware import Architecture, Attained, Technology
from picojoule.quantity import InputError, Value

from ._attained import power_limited
from ._boards import LAWS
from ._catalogue import catalogue_entry
from ._convert import Converter
from ._faults import Faults
from ._laws import add, dram, link, multiply_add, sram
from ._parse import parse
from ._place import LIBRARY
from ._tables import read_tables
from ._validate import validate
from ._yaml import Document, Location, parse_document, read_document

if TYPE_CHECKING:
    from ._schema import AttainedModel, HardwareFile, PriceModel, TechnologyInline


def read_hardware(path: Path | str) -> tuple[Architecture, Technology]:
    """Read a hardware file (format: picojoule/hardware/1). Raises one InputError that lists every fault, with lines."""
    return read_hardware_document(read_document(path))


def read_hardware_text(text: str, file: str = "<text>") -> tuple[Architecture, Technology]:
    """As read_hardware, from text; `file` names it in errors."""
    return read_hardware_document(parse_document(text, file))


def read_hardware_document(document: Document) -> tuple[Architecture, Technology]:
    """As read_hardware, from a parsed document."""
    from ._schema import HardwareFile

    faults = Faults(document)
    model: HardwareFile | None = validate(document, HardwareFile, faults)
    faults.raise_all()
    assert model is not None
    convert = Converter(faults, model.source)
    machine = convert.architecture(model)
    _check_parts(machine, faults)
    machine = _attain(machine, model, convert)
    if faults.found and not isinstance(model.technology, str):
        _prices(model.technology.prices, convert, ("technology", "prices"))
    faults.raise_all()
    technology = _price(machine, model.technology, convert)
    faults.raise_all()
    assert technology is not None
    return machine, technology


def _check_parts(machine: Architecture, faults: Faults) -> None:
    """Names are unique, and prices can tell the parts apart."""
    seen: dict[str, str] = {"static": "the static power"}
    sections = {
        "memories": [part.name for part in machine.memories],
        "compute": [part.name for part in machine.compute],
        "links": [part.name for part in machine.links],
    }
    for section, names in sections.items():
        for index, name in enumerate(names):
            if name in seen:
                faults.add((section, index, "name"), f"{name!r} already names {seen[name]}", "another name",
                           f"name: {name}2")  # fmt: skip
            seen[name] = f"one of the {section}"


def _attain(machine: Architecture, model: "HardwareFile", convert: Converter) -> Architecture:
    base = model.attained if isinstance(model.attained, str) else model.attained.base
    launch = machine.launch
    shares: dict[str, Attained] = {}
    for file, own in _chain(base, "attained", ("attained",), convert.faults):
        shares |= _shares(file.classes, own, ("classes",))
        launch = machine.launch or own.value(file.launch, "s", ("launch",)) or launch
        if file.power_law is not None:
            shares |= power_limited(machine, file.power_law, shares)
    if not isinstance(model.attained, str):
        shares |= _shares(model.attained.classes, convert, ("attained", "classes"))
    if "default" not in shares and not convert.faults.found:
        convert.faults.add(
            ("attained",), "no share for operators of no named class", "a class `default`, or the name of a file",
            "attained: npu-datasheet",
        )  # fmt: skip
    return replace(machine, attained=shares, launch=launch)


def _shares(classes: "Mapping[str, AttainedModel]", convert: Converter, at: Location) -> dict[str, Attained]:
    found = {}
    for name, model in classes.items():
        compute = convert.value(model.compute, "1", (*at, name, "compute"))
        memory = convert.value(model.memory, "1", (*at, name, "memory"))
        for what, value in (("compute", compute), ("memory", memory)):
            if value is not None and value.nominal > 1:
                convert.faults.add((*at, name, what), f"{value.nominal:g} is more than the whole peak",
                                   "a share above 0 and up to 1", f"{what}: 0.85")  # fmt: skip
        if compute is not None and memory is not None:
            found[name] = Attained(compute, memory)
    return found


def _chain(name: str | None, folder: str, at: Location, faults: Faults) -> "list[tuple[Any, Converter]]":
    """The named file of the library and the files it builds on, the most basic first."""
    from ._schema import AttainedFile, TechnologyFile

    model: type[AttainedFile] | type[TechnologyFile] = AttainedFile if folder == "attained" else TechnologyFile
    chain: list[tuple[Any, Converter]] = []
    while name is not None:
        path = LIBRARY / (folder if folder == "attained" else "technologies") / f"{name}.yaml"
        names = sorted(file.stem for file in path.parent.glob("*.yaml"))
        if name not in names or len(chain) > len(names):
            near = get_close_matches(name, names, 1, 0.5)
            faults.add(at, f"no {folder} file is named {name!r}", f"one of {', '.join(names)}",
                       f"{folder}: {near[0]}" if near else "")  # fmt: skip
            break
        inner = Faults(read_document(path))
        file = validate(inner.document, model, inner)
        inner.raise_all()
        chain.append((file, Converter(inner, None)))
        name = file.base
    return chain[::-1]


def _price(machine: Architecture, model: "str | TechnologyInline", convert: Converter) -> Technology | None:
    inline = None if isinstance(model, str) else model
    chain: list[tuple[TechnologyInline, Converter, Location]] = [
        (file, own, ())
        for file, own in _chain(model if isinstance(model, str) else model.base, "technology", ("technology",),
                                convert.faults)
    ]  # fmt: skip
    if inline is not None:
        chain.append((inline, convert, ("technology",)))
    convert.faults.raise_all()
    constants: dict[str, Value] = {}
    law, mixed = None, ""
    for part, own, at in chain:
        constants |= {
            name: value
            for name, datum in part.constants.items()
            if (value := own.value(datum, _constant_unit(name), (*at, "constants", name), "board")) is not None
        }
        law, mixed = part.law or law, part.mixed_scope or mixed
        if part.static == "idle_power" and machine.idle_power and machine.idle_power.provenance != "recalled":
            constants["idle_power"] = replace(machine.idle_power, scope=machine.idle_power.scope or "board")
        own.faults.raise_all()
    prices: dict[str, Value] = {}
    if law is not None:
        with convert.faults.at(("technology",), example="node: 16 nm"):
            prices = LAWS[law](machine, _Constants(constants), read_tables())
    for part, own, at in chain:
        prices |= _prices(part.prices, own, (*at, "prices"))
        own.faults.raise_all()
    convert.faults.raise_all()
    name = machine.technology if inline is None or inline.name else machine.name
    with convert.faults.at(("technology",)):
        return _complete(Technology(name, prices, mixed), machine, convert.faults)
    return None


class _Constants(dict[str, Value]):
    """Constants of a law; a user's own law may lack one."""

    def __missing__(self, name: str) -> Value:
        raise InputError(
            f"the law needs the constant {name!r}", expected="a technology that has its constants, as `base`",
            example="technology: {base: board-gpu}",
        )  # fmt: skip


def _prices(models: "Mapping[str, PriceModel]", convert: Converter, at: Location) -> dict[str, Value]:
    found = {}
    for key, model in models.items():
        with convert.faults.at((*at, key), example=f"{key}: {{value: 1.2 pJ, spread: 1.7, source: horowitz2014}}"):
            found[key] = _one_price(key, model, convert, (*at, key))
    return found


def _one_price(key: str, model: "PriceModel", convert: Converter, at: Location) -> Value:
    if "." not in key:
        raise ValueError(f"{key!r} is not part.action")
    per_byte = key.endswith((".read", ".write")) or str(model.value).endswith(("/B", "/bit"))
    unit = "W" if key.startswith("static.") else "J/B" if per_byte else "J"
    if model.law is None:
        if model.value is None:
            raise ValueError("a price needs a value or a law")
        return convert.sourced(parse(str(model.value), unit), unit, model, at)
    value = _law(model)
    if model.spread:
        value = replace(value, spread=model.spread)
    return replace(value, scope=model.scope or value.scope, note=model.note or value.note)


def _law(model: "PriceModel") -> Value:
    tables = read_tables()
    of, node = model.of or "", parse(model.node, "m") if model.node else 0.0
    if model.law in ("sram", "mac", "add") and not node:
        raise InputError(f"the law {model.law} needs a node", expected="node", example="node: 16 nm")
    if model.law == "sram":
        if not model.size:
            raise InputError("the law sram needs a size", expected="size", example="size: 108 KiB")
        return sram(parse(model.size, "B"), node, model.action, tables)
    if model.law in ("mac", "add"):
        if of not in tables.operations.add:
            raise InputError(f"no energy for {of!r}", expected=f"of: one of {', '.join(tables.operations.add)}")
        return (multiply_add if model.law == "mac" else add)(of, node, tables)
    if model.law == "catalogue":
        return catalogue_entry(of).value
    return (dram if model.law == "dram" else link)(of, tables)


def _complete(technology: Technology, machine: Architecture, faults: Faults) -> Technology:
    """Every action that a level can do on this machine has a price."""
    needed = [(memory.name, action) for memory in machine.memories for action in ("read", "write")]
    needed += [(u.name, f"{do}_{dtype}") for u in machine.compute for dtype in u.peak for do in ("mac", "add", "exp")]
    for action in needed:
        with faults.at(("technology",)):
            technology.key(action)
    return technology


def _constant_unit(name: str) -> str:
    """The unit that the name of a constant of a law says."""
    if name.startswith("mac_") or name == "power_per_peak":
        return "J"
    return {"on_chip_byte": "J/B", "static": "W", "node": "m"}.get(name, "1")
