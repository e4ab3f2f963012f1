"""What a runtime makes of a machine: the pace of each class of operators, and how long products wait for parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

from picojoule.quantity import Value


@dataclass(frozen=True, slots=True)
class Pace:
    """Time of one class of operators: t = operations / `arithmetic` + bytes / `stream`. None: there is no such term.

    `arithmetic` [FLOP/s] of 2 · MACs, or of what a window of a pooling touches; `stream` [B/s] of all operands. They
    add: a core waits for what it did not have in time.
    """

    arithmetic: Value | None
    stream: Value | None


@dataclass(frozen=True, slots=True)
class Fetch:
    """For networks with `total` [B] of parameters: the rate [B/s] at which a product waits for its own.

    `product` with many rows, `vector` with one; None: nothing is waited for.
    """

    total: Value
    product: Value | None
    vector: Value | None


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime as measured on one machine. `paces` by class, `fetches` by rising total."""

    name: str
    paces: Mapping[str, Pace]
    fetches: tuple[Fetch, ...]
