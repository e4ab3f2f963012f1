"""Drawings of an answer: curves over two axes, and lanes that show which tile is held when. Texts are (English, Chinese)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Words = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Axis:
    """What stands along one side, in which unit ("1": a pure number), logarithmic or not."""

    title: Words
    unit: str = "1"
    log: bool = False

    def label(self, lang: str) -> str:
        """Title with its unit."""
        return self.title[lang == "zh"] + ("" if self.unit == "1" else f" [{self.unit}]")

    def place(self, value: float) -> float:
        """The value as it is spaced."""
        return math.log10(value) if self.log else value


@dataclass(frozen=True, slots=True)
class Curve:
    """Points joined in their order, or, without `joined`, alone."""

    title: Words
    points: tuple[tuple[float, float], ...]
    joined: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """Curves over two axes."""

    title: Words
    x: Axis
    y: Axis
    curves: tuple[Curve, ...]

    def as_dict(self, lang: str) -> dict[str, Any]:
        """For JSON: every point, so that it can be drawn elsewhere."""
        axes = {
            name: {"title": axis.title[lang == "zh"], "unit": axis.unit, "log": axis.log}
            for name, axis in (("x", self.x), ("y", self.y))
        }
        return {"kind": "curves", "title": self.title[lang == "zh"], **axes,
                "series": [{"title": one.title[lang == "zh"], "joined": one.joined, "points": [list(p) for p in one.points]}
                           for one in self.curves]}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lanes:
    """Which tile of each tensor is held at each of the first `steps` steps: `held[tensor]` are indices of tiles."""

    title: Words
    steps: int
    held: Mapping[str, tuple[int, ...]]

    def as_dict(self, lang: str) -> dict[str, Any]:
        """For JSON."""
        lanes = {name: list(tiles) for name, tiles in self.held.items()}
        return {"kind": "lanes", "title": self.title[lang == "zh"], "steps": self.steps, "lanes": lanes}


Drawing = Figure | Lanes
