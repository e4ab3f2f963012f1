"""What every level is told beside the demand: the machine, its prices, and how a mapping is to be chosen."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from picojoule.hardware import Architecture, Dataflow, Technology

if TYPE_CHECKING:
    from picojoule.machine import Machine

Objective = Literal["energy", "latency", "edp"]
OBJECTIVES: Final = ("energy", "latency", "edp")


@dataclass(frozen=True, slots=True)
class Search:
    """What level `mapped` looks for. `dataflow` is a constraint on the array; None leaves every mapping open."""

    objective: Objective = "edp"
    dataflow: Dataflow | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One machine at work. Only levels `mapped` and `simulated` read more than the architecture."""

    architecture: Architecture
    technology: Technology
    search: Search = Search()
    machine: "Machine | None" = None  # what programs are compiled for
