"""The work of a user's own operators, from YAML (format: picojoule/operators/1)."""

from pathlib import Path
from typing import TYPE_CHECKING

from picojoule.workload import CustomWork, Work

from ._faults import Faults
from ._validate import validate
from ._yaml import Document, read_document

if TYPE_CHECKING:
    from . import _operators_schema as schema


def read_operators(path: Path | str) -> dict[str, CustomWork]:
    """Work by operator name ("domain::Name", or "library::op" of PyTorch). Raises one InputError with every fault."""
    return operators_of(read_document(path))


def operators_of(document: Document) -> dict[str, CustomWork]:
    """As read_operators, from a parsed document."""
    from ._operators_schema import OperatorsFile

    faults = Faults(document)
    model: schema.OperatorsFile | None = validate(document, OperatorsFile, faults)
    faults.raise_all()
    assert model is not None
    found = {}
    for name, stated in model.operators.items():
        counts = dict(stated.work)
        macs = counts.pop("mac", 0)
        work = Work.of(macs=macs, muls=counts.pop("mul", 0) + macs, adds=counts.pop("add", 0) + macs, **counts)
        found[name] = CustomWork(work, stated.per, stated.shape_of)
    return found
