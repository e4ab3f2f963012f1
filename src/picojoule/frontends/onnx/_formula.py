"""Formulas that users register for operators of their own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from picojoule.workload import Work

Shape = tuple[int, ...]
Formula = Callable[[Sequence[Shape], Mapping[str, object]], tuple[Sequence[Shape], Work]]
FORMULAS: Final[dict[str, Formula]] = {}


def register_formula(op: str, formula: Formula) -> None:
    """Count `op` ("domain::Name", or "Name" of the standard domain) by `formula`.

    The formula takes the shapes of the inputs present and the attributes, and returns the output shapes and the Work
    of one run. It goes before the built-in count of the same operator.
    """
    FORMULAS[op] = formula
