"""A large file without its weights: the bytes of big initializers are stepped over, not read.

A model of 500 MB is then parsed as fast as one of 500 kB, and never held in memory.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LARGE: Final = 8 << 20  # smaller files are simply read
KEPT: Final = 1 << 20  # raw data up to this many bytes stays: it may be a shape, or tell a table from a weight
_GRAPH: Final = 7
_INITIALIZER: Final = 5
_NAME: Final = 8
_RAW: Final = 9


def slim(path: Path, size: int) -> tuple[bytes, dict[str, int]]:
    """The bytes of a file of `size`, without large raw data, and the length of what was left out by initializer."""
    if size < LARGE:
        return path.read_bytes(), {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        lengths: dict[str, int] = {}
        try:
            parts = []
            for number, start, body, end in _fields(data, 0, len(data)):
                parts.append(_graph(data, body, end, lengths) if number == _GRAPH else data[start:end])
            return b"".join(parts), lengths
        except ValueError:  # not protobuf, or cut short: whoever parses it will say so
            return data[:], {}


def _graph(data: mmap.mmap, begin: int, finish: int, lengths: dict[str, int]) -> bytes:
    parts = []
    for number, start, body, end in _fields(data, begin, finish):
        big = number == _INITIALIZER and end - body > KEPT
        parts.append(_tensor(data, body, end, lengths) if big else data[start:end])
    return _message(_GRAPH, b"".join(parts))


def _tensor(data: mmap.mmap, begin: int, finish: int, lengths: dict[str, int]) -> bytes:
    parts, name, left_out = [], b"", -1
    for number, start, body, end in _fields(data, begin, finish):
        if number == _NAME:
            name = data[body:end]
        if number == _RAW and end - body > KEPT:
            left_out = end - body
        else:
            parts.append(data[start:end])
    if left_out >= 0:
        lengths[name.decode("utf-8", "replace")] = left_out
        parts.append(_message(_RAW, b""))
    return _message(_INITIALIZER, b"".join(parts))


def _message(number: int, body: bytes) -> bytes:
    return _varint_bytes(number << 3 | 2) + _varint_bytes(len(body)) + body


def _fields(data: mmap.mmap, position: int, finish: int) -> Iterator[tuple[int, int, int, int]]:
    """(field number, start of its tag, start of its body, end) of each field. Raises ValueError on other bytes."""
    while position < finish:
        start = position
        tag, position = _varint(data, position, finish)
        wire = tag & 7
        body = position
        if wire == 0:
            _, end = _varint(data, position, finish)
        elif wire == 2:
            length, body = _varint(data, position, finish)
            end = body + length
        elif wire in (1, 5):
            end = position + (8 if wire == 1 else 4)
        else:
            raise ValueError(f"wire type {wire}")
        if end > finish:
            raise ValueError("cut short")
        yield tag >> 3, start, body, end
        position = end


def _varint(data: mmap.mmap, position: int, finish: int) -> tuple[int, int]:
    value = shift = 0
    while position < finish and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position
    raise ValueError("cut short")


def _varint_bytes(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
