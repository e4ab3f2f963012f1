"""ONNX element types."""

from typing import Final

from picojoule.quantity import InputError

DTYPES: Final = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8", 18: "float8", 19: "float8", 20: "float8", 21: "uint4", 22: "int4", 23: "float4", 24: "float8",
    25: "uint2", 26: "int2",
}  # fmt: skip
# Where a tensor without raw data keeps its elements, and how many elements one entry holds.
FIELDS: Final = {
    1: "float_data", 14: "float_data", 7: "int64_data", 11: "double_data", 15: "double_data", 12: "uint64_data",
    13: "uint64_data", 8: "string_data",
}  # fmt: skip


def dtype_of(code: int) -> str:
    """The name of ONNX element type `code`."""
    if code not in DTYPES:
        raise InputError(f"element type {code} is unknown", expected="an element type of ONNX, 1 to 26")
    return DTYPES[code]
