"""Colour if wanted, letters if not; bars and dots of fixed width."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 80
# part: letter without colour, 256-colour number with it. Warm is near the multiplier, cold is far.
PARTS: Final[Mapping[str, tuple[str, int]]] = {
    "arithmetic": ("A", 208), "registers": ("R", 220), "network": ("N", 114), "on-chip": ("B", 37),
    "off-chip": ("D", 62), "static": ("S", 245),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Paint:
    """How to colour: not at all where `colour` is off (NO_COLOR, a pipe, a dumb terminal)."""

    colour: bool = False

    def bold(self, text: str) -> str:
        """Headline figures."""
        return f"\x1b[1m{text}\x1b[0m" if self.colour else text

    def dim(self, text: str) -> str:
        """Side remarks."""
        return f"\x1b[2m{text}\x1b[0m" if self.colour else text

    def bar(self, shares: Mapping[str, float], width: int) -> str:
        """A bar of `width` columns split by part; blocks in colour, letters without. `shares` may sum below 1."""
        cells = _allot([shares.get(part, 0.0) for part in PARTS], width)
        text = ""
        for (letter, number), n in zip(PARTS.values(), cells, strict=True):
            if n:
                text += f"\x1b[38;5;{number}m{'█' * n}\x1b[0m" if self.colour else letter * n
        return text + " " * (width - sum(cells))

    def legend(self) -> str:
        """What the letters or colours mean."""
        if self.colour:
            return "  ".join(f"\x1b[38;5;{number}m█\x1b[0m {part}" for part, (_, number) in PARTS.items())
        return "  ".join(f"{letter} {part}" for part, (letter, _) in PARTS.items())


def dots(low: float, nominal: float, high: float, floor: float, ceiling: float, width: int) -> str:
    """An interval on a log axis from `floor` to `ceiling`: ···━━●━···."""
    span = math.log(ceiling / floor)

    def column(value: float) -> int:
        return max(0, min(width - 1, round(math.log(value / floor) / span * (width - 1))))

    left, middle, right = column(low), column(nominal), column(high)
    return "".join("●" if i == middle else "━" if left <= i <= right else "·" for i in range(width))


def decades(values: Sequence[float]) -> tuple[float, float]:
    """Powers of ten that enclose `values`."""
    floor = 10.0 ** math.floor(math.log10(min(values)) + 1e-9)
    ceiling = 10.0 ** math.ceil(math.log10(max(values)) - 1e-9)
    return floor, ceiling if ceiling > floor else floor * 10


def _allot(shares: Sequence[float], width: int) -> list[int]:
    """Whole columns for shares, largest remainders first, so that the bar is as long as the sum says."""
    exact = [share * width for share in shares]
    cells = [int(x) for x in exact]
    left = min(width, round(sum(exact))) - sum(cells)
    for index in sorted(range(len(exact)), key=lambda i: cells[i] - exact[i])[: max(0, left)]:
        cells[index] += 1
    return cells
