"""What a solver finds: numbers with units, and the way to them in two languages."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ._figure import Drawing


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, a list of numbers or a mapping of them, all in one unit; "1" is a pure number."""

    value: Any
    unit: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Code, line by line, under a title (English, Chinese)."""

    title: tuple[str, str]
    lines: tuple[str, ...]


@dataclass(slots=True)
class Findings:
    """What a solver collects: answers by name, the lines of the derivation in both languages, code, drawings."""

    answers: dict[str, Quantity] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    assumptions: list[tuple[str, str]] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    figures: list[Drawing] = field(default_factory=list)

    def put(self, name: str, value: Any, unit: str = "1") -> None:
        """Answer `name`."""
        self.answers[name] = Quantity(value, unit)

    def say(self, en: str, zh: str) -> None:
        """One line of the derivation."""
        self.lines.append((en, zh))

    def show(self, en: str, zh: str, lines: Iterable[str]) -> None:
        """Code under a title."""
        self.listings.append(Listing((en, zh), tuple(lines)))

    def draw(self, figure: Drawing) -> None:
        """A drawing."""
        self.figures.append(figure)

    def assume(self, en: str, zh: str) -> None:
        """An assumption that depends on what was asked."""
        self.assumptions.append((en, zh))
