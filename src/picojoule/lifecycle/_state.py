"""Bytes that training keeps and moves for each parameter, and bytes of sparse weights."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final, Literal

from picojoule.quantity import InputError

# Tensors of the parameter's size that an update reads and writes; w weight, g gradient, m and v the two moments.
_READS_WRITES: Final[Mapping[str, tuple[str, str]]] = {"sgd": ("wg", "w"), "momentum": ("wgm", "wm"),
                                                       "adam": ("wgmv", "wmv")}  # fmt: skip
Storage = Literal["dense", "bitmap", "csr"]


def update_bytes(parameters: int, optimiser: str, *, element_bytes: int = 4) -> int:
    """Bytes that one update reads and writes: 12, 20 and 28 a parameter in fp32 for SGD, momentum and Adam."""
    reads, writes = _READS_WRITES[_known(optimiser)]
    return parameters * element_bytes * (len(reads) + len(writes))


def state_bytes(parameters: int, optimiser: str, *, mixed: bool = False) -> int:
    """Bytes kept for weights, gradients and moments.

    Single precision: 4 bytes each. Mixed: weight and gradient in 2 bytes, master weight and moments in 4; for Adam
    2 + 2 + 4 + 4 + 4 = 16, as many as without. P. Micikevicius et al., Mixed Precision Training, ICLR 2018.
    """
    kept = len(_READS_WRITES[_known(optimiser)][0])
    each = 2 + 2 + 4 + 4 * (kept - 2) if mixed else 4 * kept
    return parameters * each


def weight_bytes(density: Fraction | float, storage: Storage, *, element_bytes: int = 4, index_bytes: int = 2) -> float:
    """Mean bytes of one weight at `density`: dense e; bitmap d · e + 1/8; CSR d · (e + index), row starts left out."""
    share = float(density)
    if not 0 <= share <= 1:
        raise InputError(f"density {share:g}", expected="a share from 0 to 1", example="0.5")
    if storage == "dense":
        return float(element_bytes)
    if storage == "bitmap":
        return share * element_bytes + 1 / 8
    return share * (element_bytes + index_bytes)


def _known(optimiser: str) -> str:
    if optimiser not in _READS_WRITES:
        raise InputError(f"no optimiser is named {optimiser!r}", expected=f"one of {', '.join(_READS_WRITES)}",
                         example="sgd")  # fmt: skip
    return optimiser
