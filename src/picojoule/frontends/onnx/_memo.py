"""Workloads of small files that were read before, found by all that they follow from: every byte and every size asked.

A sweep over machines reads one file again and again. Compared are the bytes themselves, so a file that changed is never
mistaken for the one before, whatever its name and its times say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from picojoule.workload import Tensor, Workload

from ._formula import FORMULAS

_LARGEST: Final = 1 << 18  # bytes of a file that is kept
_LIMIT: Final = 32  # files kept; the oldest goes first
_PARTS: Final = (
    4096  # operators, tensors, lines of text of an answer that is kept: small files may unfold to large ones
)

_known: dict[Any, tuple[Workload, dict[str, Tensor]]] = {}


def forget() -> None:
    """Drop what is remembered."""
    _known.clear()


def key_of(data: bytes, whole: bool, path: Path, batch: int | None, seq: int | None,
           inputs: Mapping[str, Sequence[int]]) -> Any:  # fmt: skip
    """All that the Workload of a file follows from; None for what is not kept.

    That is a large file, one whose bytes are not the `whole` of it, and any file while the user has formulas.
    """
    if len(data) > _LARGEST or not whole or FORMULAS:
        return None
    return (data, path.stem, batch, seq, tuple([(name, *map(int, sizes)) for name, sizes in inputs.items()]))


def recall(key: Any) -> Workload | None:
    """What `key` was remembered by, with tensors that the caller may change."""
    found = _known.get(key) if key is not None else None
    return None if found is None else replace(found[0], tensors=dict(found[1]))


def remember(key: Any, workload: Workload) -> None:
    """Keep a Workload, and its tensors apart: the caller may change those that it has."""
    parts = (workload.operators, workload.tensors, workload.uncounted, workload.notes, workload.warnings)
    if key is None or sum(map(len, parts)) > _PARTS:
        return
    if len(_known) >= _LIMIT:
        del _known[next(iter(_known))]
    _known[key] = workload, dict(workload.tensors)
