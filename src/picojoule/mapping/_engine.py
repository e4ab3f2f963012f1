"""Who solves one unrolling: NumPy, the reference, or its compiled twin, which needs the extra `fast` (Numba).

NumPy is the default although Numba may be there: most layers need a handful of solves, and loading Numba with its
kernels takes as long as several hundred of NumPy's. For the same reason the engine "numba" solves with NumPy until a
process has solved LATE unrollings, and only then loads the kernels. Both add the same numbers in the same order, so
they take the same path and find the same mapping, whenever they change over.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal

from picojoule.quantity import InputError

from ._accelerator import Accelerator
from ._convention import Convention
from ._field import field
from ._problem import Problem, Tile
from ._solve import solve
from ._weights import Prices

Engine = Literal["numpy", "numba"]
Least = Callable[[Tile], float]
Solver = Callable[[Problem, Accelerator, Prices, Convention], Least]
LATE = 1000  # solves of one process before the kernels are loaded
_solved = [0]


def least_numpy(problem: Problem, machine: Accelerator, prices: Prices, convention: Convention) -> Least:
    """Least cost of an unrolling without what the tiles do not change."""
    return lambda spatial: float(solve(field(problem, machine, spatial, convention), [prices]).least[0])


def least_late(problem: Problem, machine: Accelerator, prices: Prices, convention: Convention) -> Least:
    """The same; compiled once this process has solved LATE unrollings."""
    chosen, compiled = least_numpy(problem, machine, prices, convention), False

    def least(spatial: Tile) -> float:
        nonlocal chosen, compiled
        if not compiled and _solved[0] >= LATE:
            chosen, compiled = _load()(problem, machine, prices, convention), True
        _solved[0] += 1
        return chosen(spatial)

    return least


def least_any(problem: Problem, machine: Accelerator, prices: Prices, convention: Convention) -> Least:
    """The same; NumPy goes on where Numba refuses to load, for nobody asked for it by name."""
    given, refused = least_late(problem, machine, prices, convention), False

    def least(spatial: Tile) -> float:
        nonlocal given, refused
        try:
            return given(spatial)
        except InputError:
            if refused:
                raise
            given, refused = least_numpy(problem, machine, prices, convention), True
            return given(spatial)

    return least


def solver(engine: Engine | None) -> Solver:
    """What solves one unrolling after another of one problem on one machine; None: the quicker of what there is."""
    if engine is None:
        return least_any if find_spec("numba") else least_numpy
    if engine == "numpy":
        return least_numpy
    if engine != "numba":
        raise InputError(f"unknown engine {engine!r}", expected="numpy or numba", example="numpy")
    if find_spec("numba") is None:
        raise _absent("it is not installed")
    return least_late


def _load() -> Solver:
    try:
        from ._compiled import least_numba
    except ImportError as error:  # Numba refuses a NumPy that is newer than it knows
        raise _absent(str(error)) from error
    return least_numba


def _absent(why: str) -> InputError:
    return InputError(f"the engine numba needs Numba: {why}", expected="pip install 'picojoule[fast]'",
                      example="engine='numpy'")  # fmt: skip
