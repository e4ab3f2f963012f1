"""Bytes of stored tensors to numbers: every format of safetensors and ONNX, bit by bit where NumPy has none."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import TensorProto

Array: TypeAlias = NDArray[Any]
# Name of the ONNX data type: how it is stored.
STORED: Final[Mapping[str, str]] = {
    "FLOAT": "float32", "DOUBLE": "float64", "FLOAT16": "float16", "BFLOAT16": "bfloat16", "FLOAT8E4M3FN": "float8_e4m3",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz", "FLOAT8E5M2": "float8_e5m2", "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT8E8M0": "float8_e8m0", "FLOAT4E2M1": "float4", "INT64": "int64", "INT32": "int32", "INT16": "int16",
    "INT8": "int8", "UINT64": "uint64", "UINT32": "uint32", "UINT16": "uint16", "UINT8": "uint8", "INT4": "int4",
    "UINT4": "uint4", "BOOL": "bool",
}  # fmt: skip
_PLAIN: Final = (
    "float64",
    "float32",
    "float16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
)
_NIBBLES: Final = ("float4", "int4", "uint4")
# exponent bits, mantissa bits, bias; whether the top exponent is infinite (IEEE); whether 0x80 is the only NaN.
_FLOAT8: Final[Mapping[str, tuple[int, int, int, bool, bool]]] = {
    "float8_e4m3": (4, 3, 7, False, False), "float8_e5m2": (5, 2, 15, True, False),
    "float8_e4m3fnuz": (4, 3, 8, False, True), "float8_e5m2fnuz": (5, 2, 16, False, True),
}  # fmt: skip


def decode(data: Array, form: str, start: int, stop: int) -> Array:
    """Elements `start` to `stop` of the little-endian bytes `data`: as NumPy has them, else as float32 or int8."""
    if form in _NIBBLES:
        return _nibbles(data, form, start, stop)
    width = {"bfloat16": 2, "bool": 1}.get(form) or (1 if form.startswith("float8") else np.dtype(form).itemsize)
    part = np.ascontiguousarray(data[start * width : stop * width])
    if form in _PLAIN:
        plain: Array = part.view(np.dtype(form).newbyteorder("<"))
        return plain
    if form == "bfloat16":
        wide: Array = (part.view("<u2").astype("<u4") << 16).view("<f4")
        return wide
    if form == "bool":
        return np.asarray(part != 0)
    return np.asarray(_float8(form)[part])


@cache
def _float8(form: str) -> Array:
    """The value of each of the 256 bytes."""
    if form == "float8_e8m0":  # a power of two, 2^(byte - 127); 255 is NaN
        powers = np.full(256, np.nan, np.float32)
        powers[:255] = 2.0 ** (np.arange(255) - 127.0)
        return powers
    exponents, mantissas, bias, ieee, unsigned_zero = _FLOAT8[form]
    codes = np.arange(256)
    sign = np.where(codes & 128, -1.0, 1.0)
    exponent, mantissa = (codes >> mantissas) & (2**exponents - 1), codes & (2**mantissas - 1)
    normal = (1 + mantissa / 2**mantissas) * 2.0 ** (exponent - bias)
    value = sign * np.where(exponent > 0, normal, mantissa / 2**mantissas * 2.0 ** (1 - bias))
    top = exponent == 2**exponents - 1
    if ieee:
        value = np.where(top, np.where(mantissa == 0, sign * np.inf, np.nan), value)
    elif unsigned_zero:
        value = np.where(codes == 128, np.nan, value)
    else:
        value = np.where(top & (mantissa == 2**mantissas - 1), np.nan, value)
    return value.astype(np.float32)


def _nibbles(data: Array, form: str, start: int, stop: int) -> Array:
    """Two elements a byte, the first in the low half."""
    part = np.asarray(data[start // 2 : -(-stop // 2)])
    codes = np.stack([part & 15, part >> 4], axis=1).reshape(-1)[start % 2 :][: stop - start]
    if form == "uint4":
        return codes.astype(np.uint8)
    if form == "int4":
        return ((codes.astype(np.int8) ^ 8) - 8).astype(np.int8)
    magnitudes = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], dtype=np.float32)  # E2M1
    return np.concatenate([magnitudes, -magnitudes])[codes]


def plain_field(proto: "TensorProto", form: str) -> Array:
    """The bytes of an initializer whose elements stand as numbers in the field of its type."""
    field, kind = {"float32": ("float_data", "<f4"), "float64": ("double_data", "<f8"), "int64": ("int64_data", "<i8"),
                   "uint64": ("uint64_data", "<u8"), "uint32": ("uint64_data", "<u4")}.get(form, ("int32_data", ""))  # fmt: skip
    if not kind:  # narrower formats stand as the bits of an int32, packed ones two to a byte
        narrow = {"int32": "<u4", "float16": "<u2", "bfloat16": "<u2", "int16": "<u2", "uint16": "<u2"}
        kind = narrow.get(form, "u1")
        numbers = np.asarray(proto.int32_data, dtype=np.int64) & (2 ** (8 * np.dtype(kind).itemsize) - 1)
        bits: Array = numbers.astype(kind).view(np.uint8)
        return bits
    return np.asarray(getattr(proto, field), dtype=kind).view(np.uint8)
