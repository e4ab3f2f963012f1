"""The slips of the documents: what they say, what is right. Numbers of the corrections are computed, never stored."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from picojoule.quantity import InputError

from ._errata_checks import CHECKS
from ._task import DATA

KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "N": {"en": "wrong number", "zh": "数值错误"},
    "F": {"en": "wrong formula or unit", "zh": "公式或单位错误"},
    "C": {"en": "wrong concept", "zh": "概念错误"},
    "M": {"en": "missing", "zh": "缺失"},
    "t": {"en": "slip of the pen", "zh": "笔误"},
}


@dataclass(frozen=True, slots=True)
class Erratum:
    """`says` quotes the document; `right` is our correction with its numbers filled in; `numbers` are those numbers."""

    id: str
    document: str
    section: str
    kind: str
    kind_name: str
    says: str
    right: str
    numbers: Mapping[str, float]


def list_errata(lang: str = "en") -> tuple[Erratum, ...]:
    """Every slip, in the order of the documents."""
    if lang not in ("en", "zh"):
        raise InputError(f"no language {lang!r}", expected="en or zh", example="--lang zh")
    return tuple(erratum(id_, lang) for id_ in _read())


@cache
def _read() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads((DATA / "errata.toml").read_text(encoding="utf-8"))


@cache
def erratum(id_: str, lang: str) -> Erratum:
    """One slip."""
    table = _read()[id_]
    numbers = CHECKS[table["check"]]() if "check" in table else {}
    right = table[lang].format(**numbers)
    return Erratum(id_, table["document"], table["section"], table["kind"], KINDS[table["kind"]][lang],
                   table["says"], right, numbers)  # fmt: skip
