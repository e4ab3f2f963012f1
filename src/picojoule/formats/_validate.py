"""A document against its schema: every fault of its shape, with its line and an example."""

from typing import TYPE_CHECKING, Any, Final

from ._faults import Faults
from ._yaml import Document, Location

if TYPE_CHECKING:
    from pydantic import BaseModel

# One example that passes, by the last name of the path.
_EXAMPLES: Final = {
    "format": "format: picojoule/hardware/1", "name": "name: my-npu", "kind": "kind: npu",
    "memories": "memories: [{name: dram, kind: DDR4, group: off-chip, bandwidth: 19.2 GB/s}]",
    "compute": "compute: [{name: pe, unit: matrix, peak: {int8: 3 TOP/s}}]",
    "peak": "peak: {int8: 3 TOP/s}", "technology": "technology: chip", "attained": "attained: npu-datasheet",
    "group": "group: off-chip", "unit": "unit: matrix", "value": "value: 19.2 GB/s", "year": "year: 2024",
    "memories.kind": "kind: DDR4-2400", "links.kind": "kind: PCIe 4.0 x16", "compute.name": "name: pe",
    "memories.name": "name: dram", "bandwidth": "bandwidth: 19.2 GB/s", "size": "size: 512 KiB",
    "clock": "clock: 1 GHz", "node": "node: 16 nm", "launch": "launch: 3 us", "max_power": "max_power: 75 W",
    "idle_power": "idle_power: 10 W",
    "spread": "spread: 1.3", "provenance": "provenance: seen", "scope": "scope: board", "law": "law: chip",
    "array.unit": "unit: pe", "below": "below: buffer", "keeps": "keeps: [input, weight, output]",
    "axes": "axes: [{name: row, size: 16, spread: [c, r]}, {name: column, size: 16, spread: [m]}]",
    "axes.name": "name: row", "axes.size": "size: 16", "axes.spread": "spread: [m, p, b]", "loops": "loops: [c, r]",
    "levels": "levels: [{memory: dram}, {memory: buffer}, {registers: weight, keeps: [weight], size: 2 B}]",
    "shares": "shares: {input: 24 B, weight: 448 B, output: 48 B}", "optional": "optional: [weight]",
}  # fmt: skip


def validate(document: Document, model: "type[BaseModel]", faults: Faults) -> Any:
    """The document as `model`, or None after noting every fault of its shape."""
    from pydantic import ValidationError

    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        for fault in error.errors():
            at = _written(document, fault["loc"])
            last = str(fault["loc"][-1]) if fault["loc"] else ""
            if fault["type"] == "extra_forbidden":
                faults.add(at, f"{last!r} is no key here", _known(model, fault["loc"]))
            elif fault["type"] == "missing":
                faults.add(at, f"{last!r} is missing", _described(model, fault["loc"]), _example(fault["loc"]))
            else:
                what = fault["msg"].removeprefix("Value error, ")
                what = what[0].lower() + what[1:]
                faults.add(at, what, _described(model, fault["loc"]), _example(fault["loc"]))
    return None


def _example(location: Location) -> str:
    """A line that passes at `location`: by its last two names if they are known, else by the last."""
    names = [part for part in location if isinstance(part, str)]
    return _EXAMPLES.get(".".join(names[-2:]), "") or _EXAMPLES.get(names[-1] if names else "", "")


def _written(document: Document, location: Location) -> Location:
    """The path as a user wrote it: pydantic also names the branch of a union, which stands in no file."""
    path: Location = ()
    for part in location:
        if (*path, part) in document.lines or (part == location[-1] and part != "[key]"):
            path = (*path, part)
    return path


def _model(model: "type[BaseModel]", location: Location) -> "type[BaseModel] | None":
    """The model that holds the last part of `location`, where it can be told."""
    from pydantic import BaseModel

    current: type[BaseModel] | None = model
    for part in location[:-1]:
        if isinstance(part, int) or current is None:
            continue
        field = current.model_fields.get(part)
        current = next(_models(field.annotation), None) if field is not None else current
    return current


def _models(annotation: Any) -> "Any":
    from typing import get_args

    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _known(model: "type[BaseModel]", location: Location) -> str:
    holder = _model(model, location)
    return f"one of {', '.join(holder.model_fields)}" if holder else ""


def _described(model: "type[BaseModel]", location: Location) -> str:
    holder = _model(model, location)
    field = holder.model_fields.get(str(location[-1])) if holder and location else None
    return (field.description or "") if field else ""
