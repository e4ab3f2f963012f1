"""What an exercise answers: numbers with units, the way to them, what was assumed, and the slips of the document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from picojoule.quantity import InputError
from picojoule.report import columns, fold

from ._errata import Erratum
from ._figure import Drawing
from ._figure_text import figure_lines
from ._findings import Listing, Quantity
from ._layout import lines as lines_of

SCHEMA: Final = "picojoule/exercise/1"
LANGUAGES: Final = ("en", "zh")
_HEADS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {"assumptions": "Assumed", "derivation": "How", "answers": "Answer", "slips": "Slips of the document",
           "machine": "Machine", "says": "says", "listings": "Code", "figures": "Drawings"},
    "zh": {"assumptions": "假设", "derivation": "推导", "answers": "答案", "slips": "文档中的错误", "machine": "机器",
           "says": "原文", "listings": "代码", "figures": "图"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """One exercise in one language. `inputs` are the parameters used, `hardware` the machine asked, if any.

    Titles of `listings` and of `figures` are (English, Chinese).
    """

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
    listings: tuple[Listing, ...] = ()
    figures: tuple[Drawing, ...] = ()

    def __str__(self) -> str:
        return answer_text(self)


def answer_text(answer: Answer) -> str:
    """Question, assumptions, derivation, numbers and slips."""
    heads = _HEADS[answer.lang]
    lines = [*fold(f"{answer.id}  {answer.title}"), *fold(answer.question)]
    if answer.hardware:
        lines.append(f"{heads['machine']}: {answer.hardware}")
    for name, texts in (("assumptions", answer.assumptions), ("derivation", answer.derivation)):
        if texts:
            lines += ["", heads[name], *(line for text in texts for line in fold(text, first="  ", rest="    "))]
    lines += _shown(answer, heads)
    if answer.answers:
        lines += ["", heads["answers"]]
        table = [line for name, item in answer.answers.items() for line in lines_of(name, item.value, item.unit)]
        width = max(columns(name) for name, _ in table)
        for name, value in table:
            lines += fold(value, first=f"  {name}{' ' * (width - columns(name))}  ", rest=" " * (width + 4))
    if answer.slips:
        lines += ["", heads["slips"]]
        for slip in answer.slips:
            lines += fold(f"{slip.id}  {heads['says']} “{slip.says}”", first="  ", rest="       ")
            lines += fold(f"→ {slip.right}", first="      ", rest="        ")
    return "\n".join(lines) + "\n"


def _shown(answer: Answer, heads: Mapping[str, str]) -> list[str]:
    """Code and drawings."""
    lines: list[str] = []
    chinese = answer.lang == "zh"
    for listing in answer.listings:
        title = f"{heads['listings']}{'：' if chinese else ': '}{listing.title[chinese]}"
        lines += ["", *fold(title), *(part for line in listing.lines for part in fold(line, first="  ", rest=" " * 8))]
    if answer.figures:
        lines += ["", heads["figures"]]
        for index, figure in enumerate(answer.figures):
            lines += [""] * (index > 0) + figure_lines(figure, answer.lang)
    return lines


def answer_json(answer: Answer) -> dict[str, Any]:
    """`answer` as picojoule/exercise/1."""
    return {
        "schema": SCHEMA,
        "id": answer.id,
        "title": answer.title,
        "question": answer.question,
        "hardware": answer.hardware,
        "inputs": {name: _told(value) for name, value in answer.inputs.items()},
        "assumptions": list(answer.assumptions),
        "answers": {name: {"value": item.value, "unit": item.unit} for name, item in answer.answers.items()},
        "derivation": list(answer.derivation),
        "listings": [{"title": one.title[answer.lang == "zh"], "lines": list(one.lines)} for one in answer.listings],
        "figures": [figure.as_dict(answer.lang) for figure in answer.figures],
        "slips": [{"id": slip.id, "says": slip.says, "right": slip.right} for slip in answer.slips],
    }


def answer_svg(answer: Answer) -> str:
    """The drawings of `answer` as one SVG. Raises InputError where there are none."""
    from ._figure_svg import svg

    if not answer.figures:
        raise InputError(f"exercise {answer.id} has no drawing", expected="an exercise that draws",
                         example="picojoule exercise 6.8 --svg utilisation.svg")  # fmt: skip
    return svg(answer.figures, answer.lang)


def _told(value: Any) -> Any:
    """An input as it was used: a zero stands for what the machine's own file says."""
    if isinstance(value, list) and value and all(item == 0.0 and isinstance(item, float) for item in value):
        return "the machine's"
    return "the machine's" if isinstance(value, float) and value == 0 else value
