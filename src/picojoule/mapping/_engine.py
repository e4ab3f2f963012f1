"""Who solves one unrolling: NumPy, the reference, or its compiled twin, which needs the extra `fast` (Numba).

NumPy is the default although Numba may be there: most layers need a handful of solves, and loading Numba and its
kernels costs more than it saves below some hundred layers or with arrays that leave many unrollings open. Both add
the same numbers in the same order, so they take the same path and find the same mapping.
"""

from collections.abc import Callable
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


def least_numpy(problem: Problem, machine: Accelerator, prices: Prices, convention: Convention) -> Least:
    """Least cost of an unrolling without what the tiles do not change."""
    return lambda spatial: float(solve(field(problem, machine, spatial, convention), [prices]).least[0])


def solver(engine: Engine) -> Solver:
    """What solves one unrolling after another of one problem on one machine."""
    if engine == "numpy":
        return least_numpy
    if engine != "numba":
        raise InputError(f"unknown engine {engine!r}", expected="numpy or numba", example="numpy")
    try:
        from ._compiled import least_numba
    except ImportError as error:
        raise InputError(
            f"the engine numba needs Numba: {error}", expected="pip install 'picojoule[fast]'", example="engine='numpy'"
        ) from error
    return least_numba
