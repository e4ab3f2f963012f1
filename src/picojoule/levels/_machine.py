"""Which unit of a machine runs what, and in which number format."""

from functools import lru_cache
from typing import Final, Literal

from picojoule.hardware import Architecture, Compute, Memory
from picojoule.quantity import InputError

# Formats that hold every value of the first without loss of range, nearest first.
WIDER: Final[dict[str, tuple[str, ...]]] = {
    "float4": ("float8", "bfloat16", "float16", "tfloat32", "float32"),
    "float8": ("bfloat16", "float16", "tfloat32", "float32"),
    "bfloat16": ("tfloat32", "float32", "float16"), "float16": ("bfloat16", "tfloat32", "float32"),
    "tfloat32": ("float32",), "float32": ("float64",), "float64": (),
    "int2": ("int4", "int8", "int16", "float16", "bfloat16", "float32"),
    "int4": ("int8", "int16", "float16", "bfloat16", "float32"), "int8": ("int16", "float16", "bfloat16", "float32"),
    "int16": ("int32", "float32"), "int32": ("float32", "float64"), "int64": ("int32", "float64", "float32"),
}  # fmt: skip

# The attained fraction of one class serves the operators of these kinds.
CLASS_OF: Final[dict[str, str]] = {
    "matmul": "gemm", "conv": "conv", "depthwise": "depthwise", "conv_transpose": "conv", "norm": "norm",
    "softmax": "softmax", "activation": "elementwise", "elementwise": "elementwise", "reduce": "norm", "pool": "pool",
    "gather": "gather", "move": "elementwise", "recurrent": "recurrent", "sort": "gather", "mask": "elementwise",
    "position": "elementwise",
}  # fmt: skip


def native_dtype(architecture: Architecture, dtype: str) -> str:
    """`dtype` if the machine computes in it, else the nearest wider format, else the widest it has."""
    have = architecture.dtypes
    if not have:
        raise InputError("no unit of this machine computes in any dtype", where=f"hardware {architecture.name}",
                         expected="a peak for at least one dtype")  # fmt: skip
    for candidate in (dtype, *WIDER.get(dtype, ())):
        if candidate in have:
            return candidate
    return max(have, key=lambda name: (len(WIDER.get("int4" if name.startswith("int") else "float4", ())), _bits(name)))


def _bits(dtype: str) -> int:
    return int("".join(c for c in dtype if c.isdigit()))


@lru_cache(maxsize=4096)
def unit_for(architecture_key: "Key", dtype: str, prefer: Literal["matrix", "vector"]) -> tuple[Compute, str]:
    """The unit that does `dtype` arithmetic and the format it does it in."""
    architecture = architecture_key.architecture
    plain = dtype.removeprefix("u") if dtype.startswith("uint") else dtype
    plain = {"bool": "int8", "complex64": "float32", "complex128": "float64"}.get(plain, plain)
    for candidate in (plain, *WIDER.get(plain, ())):
        unit = architecture.unit(candidate, prefer)
        if unit is not None:
            return unit, candidate
    fallback = native_dtype(architecture, plain)
    unit = architecture.unit(fallback, prefer)
    assert unit is not None  # native_dtype answers only with a dtype some unit has
    return unit, fallback


class Key:
    """An Architecture hashed by identity: its mappings cannot be hashed by value."""

    __slots__ = ("architecture",)

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture

    def __hash__(self) -> int:
        return id(self.architecture)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and other.architecture is self.architecture


def keeps(architecture: Architecture, n_bytes: int) -> bool:
    """Whether some on-chip memory holds `n_bytes`, so that a repeated operator reads its weights once."""
    return any(_holds(memory, n_bytes) for memory in architecture.memories[1:])


def _holds(memory: Memory, n_bytes: int) -> bool:
    return memory.group == "on-chip" and memory.size is not None and memory.size.nominal >= n_bytes
