"""Numba, loaded by whoever imports this: only the compiled kernels do."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

numba: Final[Any] = import_module("numba")


def jit(function: Callable[..., object]) -> Any:
    """Compiled, and kept on disk where there is a place for it."""
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # no folder that can be written
        return numba.njit(function)
