"""Headers of safetensors files: names, number formats and shapes of weights, without the weights."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeGuard

from picojoule.quantity import InputError
from picojoule.workload import dtype_bits

from ._files import inside, parse_object, plain_size, read_json

_DTYPES: Final = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8", "F8_E5M2": "float8",
    "F8_E8M0": "float8", "F4": "float4", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U64": "uint64",
    "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool", "C64": "complex64",
}  # fmt: skip
_DECLARED, _EACH, _ALL, _FILES = 100_000_000, 16_000_000, 64_000_000, 1_000
INDEX: Final = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor of a checkpoint."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Elements by shape."""
        return math.prod(self.shape)


def stored_tensors(folder: Path, notes: list[str]) -> list[Stored]:
    """All tensors of the folder's safetensors files, by the index if there is one; empty if there are none."""
    files, room, found = _files(folder), _ALL, []
    for file in files:
        length = _header_length(file)
        if length > min(_EACH, room):
            notes.append(f"the header of {file.name} has {length:,} bytes: weights not read")
            return []
        room -= length
        found += list(_header(file, length))
    return found


def _files(folder: Path) -> list[Path]:
    index = folder / INDEX
    if index.is_symlink() or index.exists():
        names = read_json(inside(folder, INDEX), index=True).get("weight_map")
        if not isinstance(names, Mapping) or not all(isinstance(name, str) for name in names.values()):
            raise InputError(
                "weight_map is no table of file names", where=INDEX, expected="tensor names with file names"
            )
        wanted = sorted({str(name) for name in names.values()})
    else:
        wanted = sorted(file.name for file in folder.glob("*.safetensors"))
    if len(wanted) > _FILES:
        raise InputError(f"{len(wanted)} safetensors files", where=str(folder), expected=f"at most {_FILES:,}")
    return [inside(folder, name) for name in wanted]


def _header_length(file: Path) -> int:
    size = plain_size(file)
    with file.open("rb") as stream:
        first = stream.read(8)
    length = int.from_bytes(first, "little")
    if len(first) < 8 or length > min(_DECLARED, size - 8) or length < 2:
        raise InputError(f"declares a header of {length:,} bytes in a file of {size:,}", where=file.name,
                         expected="a safetensors file: the length of the header, the header, the weights")  # fmt: skip
    return length


def _header(file: Path, length: int) -> Iterator[Stored]:
    with file.open("rb") as stream:
        stream.seek(8)
        header = parse_object(stream.read(length), file.name)
    room = plain_size(file) - 8 - length
    for name, entry in header.items():
        if name != "__metadata__":
            yield _entry(file.name, name, entry, room)


def _entry(where: str, name: str, entry: object, room: int) -> Stored:
    expected = "dtype, shape and data_offsets that agree with the file"
    if not isinstance(entry, Mapping):
        raise InputError(f"{name[:60]!r} is no tensor", where=where, expected=expected)
    dtype, shape, offsets = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not _wholes(shape) or not _wholes(offsets) or len(offsets) != 2 or not isinstance(dtype, str):
        raise InputError(f"{name[:60]!r} has dtype {dtype!r}, a shape or offsets of another sort", where=where,
                         expected=expected)  # fmt: skip
    full = _DTYPES.get(dtype)
    if full is None:
        raise InputError(
            f"{name[:60]!r} has the unknown dtype {dtype[:20]!r}", where=where, expected=", ".join(_DTYPES)
        )
    begin, end = offsets
    if not begin <= end <= room or end - begin != -(-math.prod(shape) * dtype_bits(full) // 8):
        raise InputError(f"{name[:60]!r} takes bytes {begin:,} to {end:,} of {room:,}", where=where, expected=expected)
    return Stored(name, full, tuple(shape))


def _wholes(value: object) -> TypeGuard[list[int]]:
    if not isinstance(value, list) or len(value) > 64:
        return False
    return all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in value)
