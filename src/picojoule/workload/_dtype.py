"""Names and widths of number formats."""

from typing import Final

from picojoule.quantity import InputError

BITS: Final[dict[str, int]] = {
    "float64": 64, "float32": 32, "tfloat32": 32, "float16": 16, "bfloat16": 16, "float8": 8, "float4": 4,
    "int64": 64, "int32": 32, "int16": 16, "int8": 8, "int4": 4, "int2": 2,
    "uint64": 64, "uint32": 32, "uint16": 16, "uint8": 8, "uint4": 4, "uint2": 2,
    "bool": 8, "complex64": 64, "complex128": 128, "string": 0,
}  # fmt: skip
_ALIASES: Final = {
    "fp64": "float64", "double": "float64", "fp32": "float32", "float": "float32", "tf32": "tfloat32",
    "fp16": "float16", "half": "float16", "bf16": "bfloat16", "fp8": "float8", "fp4": "float4",
    "i8": "int8", "i4": "int4", "i16": "int16", "i32": "int32", "i64": "int64", "u8": "uint8",
}  # fmt: skip


def dtype_name(text: str) -> str:
    """The full name of a number format as users write it: dtype_name("bf16") is "bfloat16"."""
    name = _ALIASES.get(text.strip().lower(), text.strip().lower())
    if name not in BITS:
        raise InputError(f"unknown dtype {text!r}", expected=f"one of {', '.join(BITS)}", example="--dtype bf16")
    return name


def dtype_bits(name: str) -> int:
    """Bits of one element."""
    return BITS[name]


def is_float(name: str) -> bool:
    """Whether `name` is a real floating-point format: what `--dtype` replaces."""
    return "float" in name
