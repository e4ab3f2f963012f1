"""Values, time and action counts of a program in one walk: the way in to the engines."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from picojoule.cost import Activity, Term
from picojoule.hardware import Action
from picojoule.quantity import InputError

from . import _compiled
from ._engine import STREAMS, Engine
from ._layout import Layout, Op, Shape, busy, loads, tally
from ._machine import Machine
from ._memory import Memory
from ._plan import COMPILED_LIMIT, LIMIT, plan
from ._program import Program
from ._window import WindowEngine

ENGINES: Final = ("auto", "plain", "compiled")
WORTH_COMPILING: Final = 500_000  # instructions that plain Python times while the compiled engine is still loading


class Event(NamedTuple):
    """One instruction in time [cycles]."""

    agent: str
    stream: str
    kind: str
    text: str
    line: int
    start: Fraction
    end: Fraction


class Load(NamedTuple):
    """Of one stream."""

    instructions: int
    busy: Fraction  # cycles


@dataclass(frozen=True, slots=True)
class Run:
    """What a program did. `busy` is in cycles, by (agent, load | store | move | matrix | vector | other).

    `streams` says what the decoder handed to each stream, by (agent, io | move | compute).
    """

    cycles: Fraction
    seconds: float
    instructions: int
    counts: Mapping[Action, int]
    busy: Mapping[tuple[str, str], Fraction]
    outputs: Mapping[str, NDArray[Any]]
    events: tuple[Event, ...] = ()
    streams: Mapping[tuple[str, str], Load] = field(default_factory=dict)
    engine: str = "plain"

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
    limit: int | None = None,
    engine: str = "auto",
) -> Run:
    """Run `program`. With `inputs` (arrays for its input buffers, maybe none) values are computed too.

    `check` watches that nothing touches bytes which another instruction in flight is writing. `seed` gives every
    instruction a random duration: another legal order, to find races; `cycles` then mean nothing. `engine`: "plain"
    Python; "compiled", for time alone, needs Numba; "auto": compiled where it can be and is worth loading. `limit`:
    of instructions after unrolling.
    """
    if engine not in ENGINES:
        raise InputError(
            f"no engine {engine!r}", where="engine", expected=f"one of {', '.join(ENGINES)}", example="auto"
        )
    alone = inputs is None and not (check or trace) and seed is None
    if engine == "compiled" and not alone:
        raise InputError("the compiled engine gives time alone", where="engine", example="engine='plain'",
                         expected="no inputs, check=False, no trace, no seed")  # fmt: skip
    may = alone and engine != "plain" and (engine == "compiled" or _compiled.available())
    layout = plan(program, machine, limit or (COMPILED_LIMIT if may else LIMIT))
    many = engine == "compiled" or layout.instructions >= WORTH_COMPILING
    if may and many and _compiled.fits(layout, machine):
        timed = _compiled.time(layout, machine, program.source)
        return _result(layout, machine, timed.ticks, timed.opening, {}, (), "compiled")
    if layout.instructions > (limit or LIMIT):
        raise InputError(f"{layout.instructions} instructions after unrolling, with numbers that need Python",
                         where=program.source, expected=f"at most {LIMIT}", example="fewer rounds")  # fmt: skip
    memory = Memory(program, layout, machine, inputs) if inputs is not None else None
    kind = WindowEngine if machine.window else Engine
    walk = kind(layout, machine, program.source, memory, check or memory is not None, seed)
    ticks = walk.run(trace)
    outputs = memory.outputs() if memory is not None else {}
    events = [(layout.slots[number].shape, op, start, end) for number, op, start, end in walk.events or ()]
    return _result(layout, machine, ticks, walk.opening, outputs, events, "plain")


def _result(layout: Layout, machine: Machine, ticks: int, opening: list[int], outputs: Mapping[str, NDArray[Any]],
            events: Iterable[tuple[Shape, Op, int, int]], engine: str) -> Run:  # fmt: skip
    scale, queues = machine.ticks, layout.queues
    return Run(
        Fraction(ticks, scale), float(Fraction(ticks, scale) / machine.clock_hz), layout.instructions, tally(layout),
        {key: Fraction(value, scale) for key, value in busy(layout, opening).items()}, outputs,
        tuple(Event(queues[op.agent].name, STREAMS[op.stream], shape.kind, op.text, op.instruction.line,
                    Fraction(start, scale), Fraction(end, scale)) for shape, op, start, end in events),
        {key: Load(many, Fraction(ticks, scale)) for key, (many, ticks) in loads(layout, opening).items()},
        engine,
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
