"""The named dataflows of the library, from built JSON."""

from functools import cache

from picojoule.hardware import Dataflow
from picojoule.quantity import InputError

from ._place import built


@cache
def list_dataflows() -> tuple[Dataflow, ...]:
    """Weight, output, input and row stationary, and no local reuse."""
    return tuple(
        Dataflow(name, row["title"], tuple(row["keeps"]), tuple(tuple(dims) for dims in row["spread"]),
                 None if row["loops"] is None else tuple(row["loops"]), tuple(row["whole"]))
        for name, row in built("_dataflows")["dataflows"].items()
    )  # fmt: skip


def load_dataflow(name: str) -> Dataflow:
    """A dataflow by its short name ("ws"). Raises InputError with the names."""
    for dataflow in list_dataflows():
        if dataflow.name == name.strip().lower():
            return dataflow
    known = ", ".join(f"{dataflow.name} ({dataflow.title})" for dataflow in list_dataflows())
    raise InputError(f"no dataflow is named {name[:40]!r}", expected=f"one of {known}", example="--dataflow ws")
