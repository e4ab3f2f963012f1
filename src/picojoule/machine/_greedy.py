"""The product with its rooms given out as time passes: loads go first, as far ahead as there is room.

Unlike in machine._matmul no tile has a place of its own beforehand. Of NRAM, X takes what the sums do not need: all but the
most sums that are live at once and one more. A tile of sums takes its room when its first product starts and gives it back
when it is stored; a tile of X or W when its last product ends. Whenever the bus is free it takes the next load if that has
room, else the sums that were done first. Loads far ahead keep stores waiting, so this may take longer than fixed places do.
When it is known how long each tile stays, each gets a place for that time: first those that are there when the memory is
fullest, in the order in which they leave, so that what is given back together lies together; then the others as they come.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from picojoule.quantity import InputError

from ._draft import Draft
from ._machine import BYTES, DTYPES, Machine
from ._matmul import Product, Tile, buffers_of
from ._program import Program

Key = tuple[str, Tile]  # "x", "w" or "y", and where the tile begins


def greedy(machine: Machine, m: int, k: int, n: int, tile: tuple[int, int, int], order: str = "mnk", *,
           dtype: str = "float32") -> Program:  # fmt: skip
    """A program for one core; `tile` and `order` as for matmul. Raises InputError for tiles that find no room."""
    plan = Product((m, k, n), tile, order, BYTES[dtype], DTYPES.index(dtype))
    work = _Greedy(plan, machine)
    work.run()
    draft = _written(plan, machine, work)
    draft.schedule()
    name = f"matmul {m}x{k}x{n}, tiles {'x'.join(map(str, plan.tile))}, {order}, loads first"
    return draft.program(buffers_of((m, k, n), dtype, plan.base), name)


@dataclass(slots=True)
class _Step:
    """A move of tile `key`, or product number `at`; `needs` are steps that must have ended."""

    key: Key | None
    at: int
    needs: list[int]


@dataclass(slots=True)
class _Stay:
    """How long a tile is on chip [ticks], and the step that ends it."""

    start: int
    end: int = 0
    last: int = -1


class _Room:
    """Bytes of one memory; `freed` is the step that last gave some back."""

    def __init__(self, size: int) -> None:
        self.left, self.freed = size, list[int]()


class _Greedy:
    """Time passes from event to event, in bytes alone: `steps` as they start, and the `stays` of all tiles."""

    def __init__(self, plan: Product, machine: Machine) -> None:
        self.plan, self.machine, self.now = plan, machine, 0
        self.rooms = {"x": _Room(machine.sizes["nram"]), "w": _Room(machine.sizes["wram"])}
        self.rooms["y"] = self.rooms["x"]
        self.sizes = {"x": plan.x_size, "w": plan.w_size, "y": plan.y_size}
        self.x_left = machine.sizes["nram"] - min(plan.peak + 1, len(plan.y_last)) * plan.y_size
        self.loads = deque(dict.fromkeys(key for m, k, n in plan.ops for key in (("x", (m, k)), ("w", (k, n)))))
        self.steps: list[_Step] = []
        self.stays: dict[Key, _Stay] = {}
        self.made: dict[Key, int] = {}  # the step that made a tile: its load, or the last product of sums
        self.done: deque[Tile] = deque()  # sums that wait for the bus

    def run(self) -> None:
        """Every step. At one instant what ends ends, then the matrix unit starts, then the bus."""
        plan, at, stored, io, product = self.plan, 0, 0, -1, -1
        bus = unit = -1  # when they end
        there = set[Key]()
        draft = Draft(self.machine)
        while stored < len(plan.y_last):
            if bus == self.now:
                key, bus = self.steps[io].key, -1
                assert key is not None
                if key[0] == "y":
                    self._give(key, io)
                    stored += 1
                else:
                    there.add(key)
            if unit == self.now:
                self._ended(at - 1, product)
                unit = -1
            if unit < 0 and at < len(plan.ops) and self._may_multiply(at, there):
                product = self._multiply(at, product)
                node = plan.multiply(draft, at, [], 0, 0, 0, False)
                unit, at = self.now + draft.nodes[node].ticks, at + 1
            if bus < 0:
                key = self._next()
                if key is not None:
                    io = self._move(key, io)
                    bus = self.now + draft.nodes[plan.move(draft, key, 0, [], (0,))].ticks
            ends = [end for end in (bus, unit) if end >= 0]
            if not ends and stored < len(plan.y_last):
                raise _no_room(plan)
            self.now = min(ends, default=self.now)

    def _take(self, key: Key) -> list[int]:
        """Room for a tile; what gave it."""
        room, size = self.rooms[key[0]], self.sizes[key[0]]
        room.left -= size
        self.x_left -= size if key[0] == "x" else 0
        self.stays[key] = _Stay(self.now)
        return room.freed

    def _give(self, key: Key, step: int) -> None:
        room, size, stay = self.rooms[key[0]], self.sizes[key[0]], self.stays[key]
        room.left += size
        self.x_left += size if key[0] == "x" else 0
        room.freed = [step]
        stay.end, stay.last = self.now, step

    def _may_multiply(self, at: int, there: set[Key]) -> bool:
        m, k, n = self.plan.ops[at]
        room = ("y", (m, n)) in self.stays or self.rooms["y"].left >= self.plan.y_size
        return room and ("x", (m, k)) in there and ("w", (k, n)) in there

    def _multiply(self, at: int, before: int) -> int:
        m, k, n = self.plan.ops[at]
        needs = [self.made["x", (m, k)], self.made["w", (k, n)], *([before] if before >= 0 else [])]
        if ("y", (m, n)) not in self.stays:
            needs += self._take(("y", (m, n)))
        self.steps.append(_Step(None, at, needs))
        return len(self.steps) - 1

    def _ended(self, at: int, step: int) -> None:
        """What a product was the last to use goes back."""
        m, k, n = self.plan.ops[at]
        if self.plan.x_last[m, k] == at:
            self._give(("x", (m, k)), step)
        if self.plan.w_last[k, n] == at:
            self._give(("w", (k, n)), step)
        if self.plan.y_last[m, n] == at:
            self.made["y", (m, n)] = step
            self.done.append((m, n))

    def _next(self) -> Key | None:
        """What the bus does next."""
        if self.loads:
            kind, size = self.loads[0][0], self.sizes[self.loads[0][0]]
            most = self.machine.sizes["nram"] - min(self.plan.peak + 1, len(self.plan.y_last)) * self.plan.y_size
            spare = kind != "x" or self.x_left >= size or self.x_left == most  # one tile of X at least
            if spare and self.rooms[kind].left >= size:
                return self.loads.popleft()
        return ("y", self.done.popleft()) if self.done else None

    def _move(self, key: Key, before: int) -> int:
        """A load or a store, after the one before it."""
        chain = [before] if before >= 0 else []
        needs = [*chain, self.made[key]] if key[0] == "y" else [*chain, *self._take(key)]
        self.steps.append(_Step(key, -1, needs))
        if key[0] != "y":
            self.made[key] = len(self.steps) - 1
        return len(self.steps) - 1


def _written(plan: Product, machine: Machine, work: _Greedy) -> Draft:
    """The steps as instructions, every tile in its place."""
    places: dict[Key, int] = {}
    before: dict[Key, list[int]] = {}  # the steps that left what a tile is written over
    for kinds, size in ((("x", "y"), machine.sizes["nram"]), (("w",), machine.sizes["wram"])):
        for order in (_fullest_first(work, kinds), _largest_first(work, kinds)):
            found = _places(work, order)
            if all(at + work.sizes[key[0]] <= size for key, at in found.items()):
                break
        else:
            raise _no_room(plan)
        places |= found
        before |= _before(work, found)
    draft, begun = Draft(machine), set[Key]()
    for number, step in enumerate(work.steps):
        if step.key is not None:
            needs = step.needs + before.get(step.key, []) * (step.key[0] != "y")
            plan.move(draft, step.key, places[step.key], needs, (0, number))
            continue
        m, k, n = plan.ops[step.at]
        y = ("y", (m, n))
        needs = step.needs + before.get(y, []) * (y not in begun)
        plan.multiply(draft, step.at, needs, places["x", (m, k)], places["w", (k, n)], places[y], y in begun)
        begun.add(y)
    return draft


def _fullest_first(work: _Greedy, kinds: Iterable[str]) -> list[Key]:
    """Tiles that stay at the fullest moment by their end, then the others by their start."""
    stays = {key: stay for key, stay in work.stays.items() if key[0] in kinds}
    changes = [(stay.start, 1, work.sizes[key[0]]) for key, stay in stays.items()]
    changes += [(stay.end, 0, -work.sizes[key[0]]) for key, stay in stays.items()]
    used = most = moment = 0
    for now, _, change in sorted(changes):
        used += change
        if used > most:
            most, moment = used, now
    there = [key for key, stay in stays.items() if stay.start <= moment < stay.end]
    others = [key for key, stay in stays.items() if not stay.start <= moment < stay.end]
    return sorted(there, key=lambda key: stays[key].end) + sorted(others, key=lambda key: stays[key].start)


def _largest_first(work: _Greedy, kinds: Iterable[str]) -> list[Key]:
    """Large tiles first, of equal ones those that come first."""
    keys = [key for key in work.stays if key[0] in kinds]
    return sorted(keys, key=lambda key: (-work.sizes[key[0]], work.stays[key].start))


def _places(work: _Greedy, keys: Iterable[Key]) -> dict[Key, int]:
    """The lowest address that is free for as long as a tile stays."""
    found: dict[Key, int] = {}
    for key in keys:
        stay, size, at = work.stays[key], work.sizes[key[0]], 0
        beside = sorted(
            (place, work.sizes[other[0]])
            for other, place in found.items()
            if work.stays[other].start < stay.end and stay.start < work.stays[other].end
        )
        for place, long in beside:
            if at + size <= place:
                break
            at = max(at, place + long)
        found[key] = at
    return found


def _before(work: _Greedy, places: dict[Key, int]) -> dict[Key, list[int]]:
    """By tile the steps that ended the stays of what lay there before."""
    left: dict[Key, list[int]] = {}
    latest: list[Key] = []
    for key in sorted(places, key=lambda key: work.stays[key].start):
        at, end = places[key], places[key] + work.sizes[key[0]]
        under = [one for one in latest if places[one] < end and at < places[one] + work.sizes[one[0]]]
        left[key] = [work.stays[one].last for one in under]
        covered = [one for one in under if at <= places[one] and places[one] + work.sizes[one[0]] <= end]
        latest = [one for one in latest if one not in covered] + [key]
    return left


def _no_room(plan: Product) -> InputError:
    return InputError(f"tiles {plan.tile} find no room", where="schedule",
                      expected="smaller tiles, or another order of the loops", example="order='mnk'")  # fmt: skip
