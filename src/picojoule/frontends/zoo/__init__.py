"""Networks written natively from their papers: no framework needed, sizes as arguments."""

import difflib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module

from picojoule.quantity import InputError
from picojoule.workload import Workload

from ._entry import Entry as Entry
from ._entry import Options as Options

_SHELVES = ("vision", "detection", "generative", "recurrent", "transformers", "llm", "small", "classical")


@cache
def zoo() -> Mapping[str, Entry]:
    """Every model by its first name."""
    shelves = (import_module(f"{__name__}.{shelf}") for shelf in _SHELVES)
    return {name: entry for shelf in shelves for name, entry in shelf.MODELS.items()}


def known(name: str) -> bool:
    """Whether `name` (with or without a ":spec") is of the zoo."""
    return _key(name) in _names()


@cache
def _names() -> Mapping[str, Entry]:
    return {alias: entry for first, entry in zoo().items() for alias in (first, *entry.aliases)}


def _key(name: str) -> str:
    """The family of `name` as the zoo spells it."""
    key = name.partition(":")[0].strip().lower().replace("_", "-")
    squeezed = {alias.replace("-", ""): alias for alias in _names()}
    return key if key in _names() else squeezed.get(key.replace("-", ""), key)


def read_zoo(
    name: str, *, batch: int | None = None, seq: int | None = None, inputs: Mapping[str, Sequence[int]] | None = None
) -> Workload:
    """The Workload of the zoo model `name`, upper or lower case, `_` or `-`, with an optional ":spec"."""
    spec = name.partition(":")[2]
    key, names = _key(name), _names()
    if key not in names:
        near = difflib.get_close_matches(key, names, n=3, cutoff=0.5)
        raise InputError(
            f"no model {name!r} in the zoo" + (f"; did you mean {', '.join(near)}?" if near else ""),
            expected="a name that `picojoule zoo` lists, or an .onnx file", example="picojoule count resnet50",
        )  # fmt: skip
    for label, value in (("batch", batch), ("seq", seq)):
        if value is not None and value < 1:
            raise InputError(f"{label} is {value}", expected="a whole number of 1 or more", example=f"--{label} 8")
    return names[key].build(name, Options(batch, seq, inputs or {}, spec))
