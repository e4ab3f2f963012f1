"""Every operator by name: "Conv", or "com.microsoft::FusedConv"."""

from typing import Final

from . import (
    attention,
    contraction,
    layout,
    microsoft,
    norm,
    pointwise,
    pooling,
    quantised,
    recurrent,
    reduction,
    sampling,
    sequence,
)
from ._call import Call, Handler, Result


def _elsewhere(call: Call) -> list[Result]:
    raise AssertionError(f"{call.key} is run by the interpreter itself")


_MODULES: Final = (attention, contraction, layout, microsoft, norm, pointwise, pooling, quantised, recurrent,
                   reduction, sampling, sequence)  # fmt: skip
HANDLERS: Final[dict[str, Handler]] = {
    **{key: handler for module in _MODULES for key, handler in module.HANDLERS.items()},
    **dict.fromkeys(("Constant", "If", "Loop", "Scan", "SequenceMap"), _elsewhere),
}
