"""The runtime of a hardware file: every class has a term, totals of parameters rise."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from picojoule.hardware import Fetch, Pace, Runtime
from picojoule.quantity import Value

from ._faults import Faults
from ._yaml import Location

if TYPE_CHECKING:
    from ._schema import DatumModel, RuntimeModel

Convert = Callable[["DatumModel | None", str, Location], Value | None]


def runtime_of(model: "RuntimeModel", faults: Faults, convert: Convert) -> Runtime:
    """The runtime of a checked file; a class without a term and totals that do not rise are faults with their line."""
    paces = {}
    for name, pace in model.classes.items():
        at: Location = ("runtime", "classes", name)
        if pace.arithmetic is None and pace.stream is None:
            faults.add(at, f"{name!r} has no pace", "arithmetic, stream or both", "conv: {arithmetic: 200 GFLOP/s}")
        paces[name] = Pace(convert(pace.arithmetic, "FLOP/s", (*at, "arithmetic")),
                           convert(pace.stream, "B/s", (*at, "stream")))  # fmt: skip
    fetches: list[Fetch] = []
    for index, fetch in enumerate(model.weights):
        at = ("runtime", "weights", index)
        total = convert(fetch.total, "B", (*at, "total"))
        if total is None:
            continue
        if fetches and total.nominal <= fetches[-1].total.nominal:
            faults.add((*at, "total"), "the totals do not rise", "more bytes than in the entry before",
                       "- {total: 66 MB, product: 30 GB/s}")  # fmt: skip
        fetches.append(Fetch(total, convert(fetch.product, "B/s", (*at, "product")),
                             convert(fetch.vector, "B/s", (*at, "vector"))))  # fmt: skip
    return Runtime(model.name, paces, tuple(fetches))
