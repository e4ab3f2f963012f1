"""What an exercise answers: numbers with units, the way to them, what was assumed, and the slips of the document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ._errata import Erratum

SCHEMA: Final = "picojoule/exercise/1"
LANGUAGES: Final = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, a list of numbers or a mapping of them, all in one unit; "1" is a pure number."""

    value: Any
    unit: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One exercise in one language. `inputs` are the parameters used, `hardware` the machine asked, if any."""

    id: str
    title: str
    capability: str
    question: str
    inputs: Mapping[str, Any]
    hardware: str | None
    assumptions: tuple[str, ...]
    answers: Mapping[str, Quantity]
    derivation: tuple[str, ...]
    slips: tuple[Erratum, ...]
    lang: str = "en"

    def __str__(self) -> str:
        from ._text import answer_text

        return answer_text(self)


@dataclass(slots=True)
class Findings:
    """What a solver collects: answers by name, and the lines of the derivation in both languages."""

    answers: dict[str, Quantity] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    assumptions: list[tuple[str, str]] = field(default_factory=list)

    def put(self, name: str, value: Any, unit: str = "1") -> None:
        """Answer `name`."""
        self.answers[name] = Quantity(value, unit)

    def say(self, en: str, zh: str) -> None:
        """One line of the derivation."""
        self.lines.append((en, zh))

    def assume(self, en: str, zh: str) -> None:
        """An assumption that depends on what was asked."""
        self.assumptions.append((en, zh))


def answer_json(answer: Answer) -> dict[str, Any]:
    """`answer` as picojoule/exercise/1."""
    return {
        "schema": SCHEMA,
        "id": answer.id,
        "title": answer.title,
        "question": answer.question,
        "hardware": answer.hardware,
        "inputs": dict(answer.inputs),
        "assumptions": list(answer.assumptions),
        "answers": {name: {"value": item.value, "unit": item.unit} for name, item in answer.answers.items()},
        "derivation": list(answer.derivation),
        "slips": [{"id": slip.id, "says": slip.says, "right": slip.right} for slip in answer.slips],
    }
