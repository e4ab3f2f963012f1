"""The decoder: a state machine that takes an agent's words one by one and hands them to its streams.

What it does stands in TRANSITIONS: (state, what comes) → (next state, what it does). The layout of every program goes
through this table, and `picojoule isa --decoder` draws the same table. What no line of the table allows is an error.
`drain` and `meet` are left when the streams of the agent, or of all agents, have ended: the timing engines see to that.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

from ._isa import Instruction

DEPTH: Final = 4
SYNC, MEET = -1, -2  # in an expanded order: an epoch ends here, on this agent or on all
TRANSITIONS: Final = {
    ("fetch", "queued"): ("fetch", "dispatch"),
    ("fetch", "step"): ("stepping", "hold"),
    ("stepping", "step"): ("stepping", "hold"),
    ("stepping", "queued"): ("fetch", "dispatch"),
    ("fetch", "loop"): ("fetch", "open"),
    ("fetch", "endloop"): ("fetch", "close"),
    ("fetch", "sync"): ("drain", "mark"),
    ("fetch", "sync cluster"): ("meet", "mark"),
    ("drain", "ended here"): ("fetch", "resume"),
    ("meet", "ended everywhere"): ("fetch", "resume"),
    ("fetch", "end"): ("halt", "stop"),
    ("fetch", "no more words"): ("halt", "stop"),
}
ACTIONS: Final = {
    "dispatch": "to its stream: io, move or compute, with the steps that were held",
    "hold": "keep it for the next instruction",
    "open": "push the loop and its count",
    "close": "next round, or pop after the last",
    "mark": "nothing more until the streams have ended",
    "resume": "go on",
    "stop": "the program of this agent ends",
}


@dataclass(frozen=True, slots=True)
class Loop:
    """A body and how often it is run; `body` holds loops, dispatched numbers, SYNC and MEET."""

    count: int
    body: "list[Loop | int]"
    line: int

    def size(self) -> int:
        """Numbers after unrolling."""
        return self.count * sum(one.size() if isinstance(one, Loop) else 1 for one in self.body)

    def order(self) -> NDArray[np.int32]:
        """The unrolled body, without a Python object for any round."""
        parts, run = [np.zeros(0, np.int32)], list[int]()
        for one in self.body:
            if isinstance(one, Loop):
                parts += [np.array(run, np.int32), one.order()]
                run = []
            else:
                run.append(one)
        parts.append(np.array(run, np.int32))
        return np.tile(np.concatenate(parts), self.count)


class Dispatch(NamedTuple):
    """One word handed to a stream: `trips` are the counts of the loops around it, `steps` move its fields."""

    word: int  # its place in the code
    instruction: Instruction
    steps: tuple[Instruction, ...]
    trips: tuple[int, ...]


@dataclass(slots=True)
class Decoder:
    """State of one agent's decoder; `run` takes its whole code."""

    state: str = "fetch"
    stack: list[Loop] = field(default_factory=lambda: [Loop(1, [], 0)])
    steps: list[Instruction] = field(default_factory=list)
    found: list[Dispatch] = field(default_factory=list)
    trips: tuple[int, ...] = ()
    word: int = -1  # the place in the code

    def run(self, code: tuple[Instruction, ...]) -> Loop:
        """The tree of loops, over the numbers of `found`."""
        for self.word, one in enumerate(code):
            self._take(_symbol(one), one)
            if self.state == "fetch":
                continue
            if self.state == "halt":
                break
            if self.state in ("drain", "meet"):  # the engines hold the streams here; the text goes on
                self._take("ended here" if self.state == "drain" else "ended everywhere", one)
        if self.state != "halt":
            self._take("no more words", self.steps[0] if self.steps else code[-1] if code else None)
        return self.stack[0]

    def _take(self, symbol: str, one: Instruction | None) -> None:
        row = TRANSITIONS.get((self.state, symbol))
        if row is None:
            allowed = ", ".join(known for state, known in TRANSITIONS if state == self.state)
            raise InputError(f"a step before {'nothing' if symbol == 'no more words' else symbol}", where=_line(one),
                             expected=f"an instruction with addresses ({allowed})")  # fmt: skip
        self.state, action = row
        _DO[action](self, one)

    def _dispatch(self, one: Instruction | None) -> None:
        assert one is not None
        self.stack[-1].body.append(len(self.found))
        self.found.append(Dispatch(self.word, one, tuple(self.steps), self.trips))
        if self.steps:
            self.steps = []

    def _hold(self, one: Instruction | None) -> None:
        assert one is not None
        if one.values["level"] >= len(self.stack) - 1:
            raise InputError(f"a step of loop {one.values['level']}", where=_line(one),
                             expected=f"a loop around it: below {len(self.stack) - 1}")  # fmt: skip
        self.steps.append(one)

    def _open(self, one: Instruction | None) -> None:
        assert one is not None
        if len(self.stack) > DEPTH:
            raise InputError("loops nest too deep", where=_line(one), expected=f"at most {DEPTH} deep")
        self.stack.append(Loop(one.values["count"], [], one.line))
        self.trips += (one.values["count"],)

    def _close(self, one: Instruction | None) -> None:
        if len(self.stack) == 1:
            raise InputError("endloop without a loop", where=_line(one), expected="a loop before it")
        done, self.trips = self.stack.pop(), self.trips[:-1]
        if done.body:
            self.stack[-1].body.append(done)

    def _mark(self, one: Instruction | None) -> None:
        assert one is not None
        self.stack[-1].body.append(MEET if one.values["cluster"] else SYNC)

    def _stop(self, one: Instruction | None) -> None:
        if len(self.stack) > 1:
            what = "an end inside a loop" if one is not None and one.name == "end" else "a loop without its endloop"
            where = f"line {self.stack[-1].line}" if self.stack[-1].line else ""
            raise InputError(what, where=where, expected="an endloop for each loop")

    def _resume(self, _: Instruction | None) -> None:
        """The streams have ended: nothing to undo."""


_DO: Final = {
    "dispatch": Decoder._dispatch, "hold": Decoder._hold, "open": Decoder._open, "close": Decoder._close,
    "mark": Decoder._mark, "resume": Decoder._resume, "stop": Decoder._stop,
}  # fmt: skip


_SYMBOLS: Final = {name: name for name in ("step", "loop", "endloop", "sync", "end")}


def _symbol(one: Instruction) -> str:
    found = _SYMBOLS.get(one.name, "queued")
    return "sync cluster" if found == "sync" and one.values["cluster"] else found


def _line(one: Instruction | None) -> str:
    return f"line {one.line}" if one is not None and one.line else ""
