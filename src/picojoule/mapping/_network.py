"""Every contraction of a network, equal shapes once."""

from collections.abc import Iterable
from dataclasses import dataclass

from picojoule.workload import Operator

from ._accelerator import Accelerator
from ._convention import Convention
from ._engine import Engine
from ._problem import Problem, UnmappableError, problem_of
from ._search import NoMappingError, Objective, Optimum, optimum
from ._seat import Factors
from ._weights import Weights


@dataclass(frozen=True, slots=True)
class MappedNetwork:
    """`layers`: the optimum of every shape, named after its first operator, and how often it runs.

    `refused`: (operator, reason) of contractions without a mapping; `unmapped`: operators that do no MAC.
    """

    layers: tuple[tuple[Optimum, int], ...]
    refused: tuple[tuple[str, str], ...]
    unmapped: tuple[str, ...]


def map_operators(
    operators: Iterable[Operator], accelerator: Accelerator, weights: Weights, objective: Objective = "energy", *,
    convention: Convention | None = None, factors: Factors | None = None, engine: Engine = "numpy",
) -> MappedNetwork:  # fmt: skip
    """Search every operator that does MACs; repeats of an operator and operators of one shape count together."""
    found: dict[Problem, tuple[Optimum, int]] = {}
    refused, unmapped = [], []
    for operator in operators:
        if not operator.work.macs:
            unmapped.append(operator.name)
            continue
        try:
            problem = problem_of(operator)
            one, count = found.get(problem.shape, (None, 0))
            one = one or optimum(
                problem, accelerator, weights, objective, convention=convention, factors=factors, engine=engine
            )
            found[problem.shape] = one, count + operator.repeats
        except (UnmappableError, NoMappingError) as error:
            refused.append((operator.name, str(error)))
    return MappedNetwork(tuple(found.values()), tuple(refused), tuple(unmapped))
