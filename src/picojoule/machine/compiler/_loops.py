"""Instructions that repeat, written once in hardware loops.

A run of words that follows itself again and again, the same but for addresses that grow by the same steps, becomes one
loop: `loop`, its words with a `step` before each whose addresses move, `endloop`. What is found so is looked through again
for loops of loops, as deep as the decoder allows. The unrolled program is the same instruction by instruction: values,
time and traffic cannot change.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._decoder import DEPTH
from .._isa import Instruction, make

_LONGEST: Final = (8, 64, 512, 4096)[:DEPTH]  # items of one body, by pass: inner loops first, one deeper in each
_KEY: Final = 4  # bytes
_TRIED: Final = 10  # periods at each place
_FARTHEST: Final = 1 << 35  # that one round may move an address
Ints = NDArray[np.int64]


@dataclass(slots=True)
class _Item:
    """A word, or a loop over items. `moves` are what a round of the loop adds to the numbers of its words, in order."""

    key: int
    words: int
    one: Instruction | None = None
    owner: int = 0
    fields: tuple[str, ...] = ()
    count: int = 1
    body: "list[_Item]" = field(default_factory=list)
    moves: Ints = field(default_factory=lambda: np.zeros(0, np.int64))


class _Found(NamedTuple):
    """`rounds` of `period` items, and what each round adds."""

    saved: int
    period: int
    rounds: int
    moves: Ints


def folded(code: Sequence[Instruction], owners: Sequence[int]) -> tuple[tuple[Instruction, ...], tuple[int, ...]]:
    """The code in loops, its lines numbered anew, and the owner of each word."""
    keys: dict[Hashable, int] = {}
    items, numbers = [], []
    for one, owner in zip(code, owners, strict=True):
        names = one.spec.steps
        if one.values.get("imm"):
            names = tuple(name for name in names if name != "b")  # the bits of a number, not an address
        rest = tuple(value for name, value in one.values.items() if name not in names)
        key = keys.setdefault((one.name, one.tokens, owner, rest), len(keys))
        items.append(_Item(key, 1, one, owner, names))
        numbers.append([one.values[name] for name in names])
    for longest in _LONGEST:
        items, numbers = _pass(items, numbers, keys, longest)
    out: list[Instruction] = []
    whose: list[int] = []
    for item, values in zip(items, numbers, strict=True):
        _write(item, np.asarray(values, np.int64), [], out, whose)
    return tuple(replace(one, line=i + 1) for i, one in enumerate(out)), tuple(whose)


class _Row:
    """The items of one pass as arrays: their keys, their numbers one after the other, the word of each number."""

    def __init__(self, items: list[_Item], numbers: list[list[int]]) -> None:
        keys = np.array([item.key for item in items], np.int32)
        self.raw, self.count = keys.tobytes(), len(items)  # runs are compared as bytes: there are many, most unlike
        self.words = list(accumulate((item.words for item in items), initial=0))
        self.first = list(accumulate(map(len, numbers), initial=0))
        self.numbers = np.array([one for part in numbers for one in part], np.int64)
        owned: list[int] = []
        word = 0
        for item in items:
            for leaf in _leaves(item):
                owned += [word] * len(leaf.fields)
                word += 1
        self.word = np.array(owned, np.int64)
        self.next = _next(keys)

    def at(self, start: int, period: int) -> Ints:
        """What the second round adds to the numbers of the first."""
        a, b, c = self.first[start], self.first[start + period], self.first[start + 2 * period]
        moved: Ints = self.numbers[b:c] - self.numbers[a:b]
        return moved

    def best(self, start: int, longest: int) -> _Found | None:
        """The loop from `start` on that saves the most words, its body no longer than that."""
        found: _Found | None = None
        period, tried = 0, 0
        while tried < _TRIED:
            step = self.next[start + period]
            if step < 0:
                break
            period += step
            tried += 1
            if period > longest or start + 2 * period > self.count:
                break
            one = self.loop(start, period)
            if one is not None and (found is None or one.saved > found.saved):
                found = one
        return found

    def loop(self, start: int, period: int) -> _Found | None:
        """The loop of that period, if it saves any word."""
        size = _KEY * period
        block = self.raw[_KEY * start : _KEY * start + size]
        if not self.raw.startswith(block, _KEY * start + size):
            return None
        moves = self.at(start, period)
        if moves.size and np.abs(moves).max() >= _FARTHEST:
            return None
        rounds, here = 2, start + period
        while self.raw.startswith(block, _KEY * (here + period)) and np.array_equal(moves, self.at(here, period)):
            rounds, here = rounds + 1, here + period
        words = self.words[start + period] - self.words[start]
        moved = len(np.unique(self.word[self.first[start] : self.first[start + period]][moves != 0]))
        saved = (rounds - 1) * words - 2 - moved
        return _Found(saved, period, rounds, moves) if saved > 0 else None


def _pass(items: list[_Item], numbers: list[list[int]], keys: dict[Hashable, int],
          longest: int) -> tuple[list[_Item], list[list[int]]]:  # fmt: skip
    """One level of loops, from the first word to the last."""
    row = _Row(items, numbers)
    out: list[_Item] = []
    left: list[list[int]] = []
    at = 0
    while at < len(items):
        found = row.best(at, longest)
        if found is None:
            out.append(items[at])
            left.append(numbers[at])
            at += 1
            continue
        body = items[at : at + found.period]
        identity = ("loop", found.rounds, tuple(item.key for item in body), found.moves.tobytes())
        words = (row.words[at + found.period] - row.words[at]) * found.rounds - found.saved
        key = keys.setdefault(identity, len(keys))
        out.append(_Item(key, words, count=found.rounds, body=body, moves=found.moves))
        left.append([one for part in numbers[at : at + found.period] for one in part])
        at += found.period * found.rounds
    return out, left


def _next(keys: NDArray[np.int32]) -> list[int]:
    """How far the next item of the same key is from each; -1 for none."""
    order = np.argsort(keys, kind="stable")
    distance = np.full(len(keys), -1, np.int64)
    same = keys[order[1:]] == keys[order[:-1]]
    distance[order[:-1][same]] = (order[1:] - order[:-1])[same]
    return [int(one) for one in distance.tolist()]


def _leaves(item: _Item) -> list[_Item]:
    return [leaf for one in item.body for leaf in _leaves(one)] if item.one is None else [item]


def _write(item: _Item, values: Ints, moves: list[Ints], out: list[Instruction], whose: list[int]) -> None:
    """An item whose numbers are `values`; `moves` are what the loops around it add to them, outermost first."""
    if item.one is not None:
        for level, move in enumerate(moves):
            if move.any():
                by: dict[str, Any] = {
                    letter: int(move[item.fields.index(name)])
                    for name, letter in zip(item.one.spec.steps, "abc", strict=False)
                    if name in item.fields
                }
                out.append(make("step", level=level, **by))
                whose.append(item.owner)
        given = {**item.one.values, **dict(zip(item.fields, map(int, values), strict=True))}
        out.append(Instruction(item.one.name, given, item.one.tokens))
        whose.append(item.owner)
        return
    owner = _leaves(item)[0].owner
    out.append(make("loop", count=item.count))
    whose.append(owner)
    at = 0
    for one in item.body:
        size = sum(len(leaf.fields) for leaf in _leaves(one))
        inner = [move[at : at + size] for move in (*moves, item.moves)]
        _write(one, values[at : at + size], inner, out, whose)
        at += size
    out.append(make("endloop"))
    whose.append(owner)
