"""What one row of the zoo is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from picojoule.workload import Workload


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may say about a zoo model; None keeps the model's own default. `spec` is the text after the colon."""

    batch: int | None = None
    seq: int | None = None
    inputs: Mapping[str, Sequence[int]] = field(default_factory=dict)
    spec: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """`build` makes the Workload; `about` is one line with the paper; `example` shows a spec where one is needed."""

    build: Callable[[str, Options], Workload]
    about: str
    aliases: tuple[str, ...] = ()
    example: str = ""
