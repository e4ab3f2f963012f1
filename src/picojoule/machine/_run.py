"""Values, time and action counts of a program in one walk: the way in to the engines."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from picojoule.cost import Activity, Term
from picojoule.hardware import Action
from picojoule.quantity import InputError

from ._engine import STREAMS, Engine
from ._machine import Machine
from ._memory import Memory
from ._plan import COMPILED_LIMIT, LIMIT, Layout, busy, kind, plan, tally
from ._program import Program

ENGINES: Final = ("auto", "plain", "compiled")
WORTH_COMPILING: Final = 200_000  # instructions that plain Python times while the compiled engine is still loading


class Event(NamedTuple):
    """One instruction in time [cycles]."""

    agent: str
    stream: str
    kind: str
    text: str
    line: int
    start: Fraction
    end: Fraction


@dataclass(frozen=True, slots=True)
class Run:
    """What a program did. `busy` is in cycles, by (agent, load | store | move | matrix | vector | other)."""

    cycles: Fraction
    seconds: float
    instructions: int
    counts: Mapping[Action, int]
    busy: Mapping[tuple[str, str], Fraction]
    outputs: Mapping[str, NDArray[Any]]
    events: tuple[Event, ...] = ()

    def activity(self, name: str = "program") -> Activity:
        """For cost.price: the counts, and the time as one exact term."""
        return Activity(name, name, "program", self.counts, (Term("program", self.seconds),))


def simulate(
    program: Program,
    machine: Machine,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    trace: bool = False,
    check: bool = True,
    seed: int | None = None,
    limit: int = LIMIT,
) -> Run:
    """Run `program`. With `inputs` (arrays for its input buffers, maybe none) values are computed too.

    `check` watches that nothing touches bytes which another instruction in flight is writing. `seed` gives every
    instruction a random duration: another legal order, to find races; `cycles` then mean nothing.
    """
    layout = plan(program, machine, limit)
    memory = Memory(program, layout, machine, inputs) if inputs is not None else None
    engine = Engine(layout, machine, program.source, memory, check or memory is not None, seed)
    ticks = engine.run(trace)
    scale, queues = machine.ticks, layout.queues
    return Run(
        Fraction(ticks, scale), float(Fraction(ticks, scale) / machine.clock_hz), layout.instructions, tally(layout),
        {key: Fraction(value, scale) for key, value in busy(layout, engine.opening).items()},
        memory.outputs() if memory is not None else {},
        tuple(Event(queues[op.agent].name, STREAMS[op.stream], kind(layout.slots[number]), op.text, op.instruction.line,
                    Fraction(start, scale), Fraction(end, scale)) for number, op, start, end in engine.events or ()),
    )  # fmt: skip


def find_races(program: Program, machine: Machine, inputs: Mapping[str, NDArray[Any]], seeds: Iterable[int]) -> Run:
    """Run once in time and once in random order for each seed; raise InputError if an order fails or changes a value."""
    first = simulate(program, machine, inputs)
    for seed in seeds:
        other = simulate(program, machine, inputs, seed=seed)
        for name, value in first.outputs.items():
            if value.tobytes() != other.outputs[name].tobytes():
                raise InputError(f"a race: {name!r} has other values in another legal order (seed {seed})",
                                 where=program.source, expected="tokens between what writes and what reads",
                                 example="move ... !compute before mm ... ?io")  # fmt: skip
    return first


