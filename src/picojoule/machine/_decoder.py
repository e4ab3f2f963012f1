"""The decoder: a state machine that takes an agent's words one by one and hands them to its streams.

What it does stands in TRANSITIONS: (state, what comes) → (next state, what it does). The layout of every program goes
through this table, and `picojoule isa --decoder` draws the same table. What no line of the table allows is an error.
`drain` and `meet` are left when the streams of the agent, or of all agents, have ended: the timing engines see to that.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

from ._code import Code
from ._isa import SPECS, Instruction

DEPTH: Final = 4
SYNC, MEET = -1, -2  # in an expanded order: an epoch ends here, on this agent or on all
Order = NDArray[np.int32]
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
    """A body and how often it is run; `body` holds loops, dispatched numbers, SYNC and MEET, alone or in a row."""

    count: int
    body: "list[Loop | int | Order]"
    line: int

    def size(self) -> int:
        """Numbers after unrolling."""
        return self.count * sum(
            one.size() if isinstance(one, Loop) else 1 if isinstance(one, int) else len(one) for one in self.body
        )

    def order(self) -> Order:
        """The unrolled body, without a Python object for any round."""
        parts, run = list[Order](), list[int]()
        for one in self.body:
            if isinstance(one, int):
                run.append(one)
                continue
            if run:
                parts.append(np.array(run, np.int32))
                run = []
            parts.append(one.order() if isinstance(one, Loop) else one)
        if run or not parts:
            parts.append(np.array(run, np.int32))
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return whole if self.count == 1 else np.tile(whole, self.count)


@dataclass(slots=True)
class Decoder:
    """State of one agent's decoder; `run` takes its whole code.

    Words are numbered as they are dispatched; `stepped` has, for those that steps move, the steps and the counts of the
    loops around them. Where nothing is held, words that leave the machine as it was are taken in a row.
    """

    state: str = "fetch"
    stack: list[Loop] = field(default_factory=lambda: [Loop(1, [], 0)])
    steps: list[Instruction] = field(default_factory=list)
    stepped: dict[int, tuple[tuple[Instruction, ...], tuple[int, ...]]] = field(default_factory=dict)
    trips: tuple[int, ...] = ()
    count: int = 0  # dispatched
    word: int = -1  # the place in the code
    words: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # of what is dispatched

    def run(self, code: Code) -> Loop:
        """The tree of loops, over the numbers of what is dispatched."""
        symbols = _symbols(code)[code.kinds.of]
        stops = np.flatnonzero(symbols == _ALONE)
        at = 0
        for stop in (*stops.tolist(), len(code)):
            if at < stop and self.steps:
                self._one(at, code[at])
                at += 1
            if at < stop:
                self.word = stop - 1
                self._row(symbols[at:stop])
            at = stop + 1
            if stop == len(code):
                break
            self._one(stop, code[stop])
            if self.state == "halt":
                break
        end = self.word + 1
        self.words = np.flatnonzero(symbols[:end] == _QUEUED) if self.count < end else np.arange(end)
        if self.state != "halt":
            self._take("no more words", self.steps[0] if self.steps else code[len(code) - 1] if len(code) else None)
        return self.stack[0]

    def _one(self, word: int, one: Instruction) -> None:
        """Take one word by itself."""
        self.word = word
        self._take(_symbol(one), one)
        if self.state in ("drain", "meet"):  # the engines hold the streams here; the text goes on
            self._take("ended here" if self.state == "drain" else "ended everywhere", one)

    def _row(self, symbols: NDArray[np.int32]) -> None:
        """Take words that leave the machine in `fetch`: to their streams, or an epoch ends."""
        first = self.count
        if (symbols == _QUEUED).all():
            self.count += len(symbols)
            self.stack[-1].body.append(np.arange(first, self.count, dtype=np.int32))
            return
        numbers = np.cumsum(symbols == _QUEUED, dtype=np.int32)
        self.count += int(numbers[-1])
        self.stack[-1].body.append(np.where(symbols == _QUEUED, numbers + np.int32(first - 1), symbols))

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
        self.stack[-1].body.append(self.count)
        if self.steps:
            self.stepped[self.count] = (tuple(self.steps), self.trips)
            self.steps = []
        self.count += 1

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


_CONTROL: Final = ("step", "loop", "endloop", "sync", "end")
_QUEUED, _ALONE = 0, 1  # in a column of symbols, beside SYNC and MEET


def _passes(symbol: str) -> bool:
    """Whether what comes leaves the machine in `fetch` with nothing pushed, popped or held."""
    state, action = TRANSITIONS["fetch", symbol]
    after = [row for (held, _), row in TRANSITIONS.items() if held == state]
    back = state == "fetch" or after == [("fetch", "resume")]
    return back and action in ("dispatch", "mark")


_IN_A_ROW: Final = {name: value if _passes(name) else _ALONE
                    for name, value in (("queued", _QUEUED), ("sync", SYNC), ("sync cluster", MEET))}  # fmt: skip


def _symbol(one: Instruction) -> str:
    found = one.name if one.name in _CONTROL else "queued"
    return "sync cluster" if found == "sync" and one.values["cluster"] else found


_CONTROL_CODES: Final = {SPECS[name].opcode for name in _CONTROL}


def _symbols(code: Code) -> Order:
    """By kind: what comes, as a number."""
    found = np.full(len(code.kinds.first), _IN_A_ROW["queued"], np.int32)
    for kind in np.flatnonzero(np.isin(code.opcodes(), sorted(_CONTROL_CODES))).tolist():
        found[kind] = _IN_A_ROW.get(_symbol(code[int(code.kinds.first[kind])]), _ALONE)
    return found


def _line(one: Instruction | None) -> str:
    return f"line {one.line}" if one is not None and one.line else ""
