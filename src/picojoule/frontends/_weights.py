"""Stored parameters of .safetensors and .onnx files, read piece by piece. Nothing in a file is ever executed.

A header may claim anything: lengths, shapes and offsets are checked against the file before one element is read. Pickles
(.pt, .pth, .bin, .pkl, …) are refused, since reading one runs whatever code it holds.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError
from picojoule.workload import BITS

from ._decode import STORED, decode

if TYPE_CHECKING:
    from onnx import TensorProto

Array: TypeAlias = NDArray[Any]
_HEADER: Final = 100_000_000
_TENSORS: Final = 1_000_000
_PICKLES: Final = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib")
_PICKLE_MAGIC: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_SAFETENSORS: Final = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3",
    "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0", "F4": "float4", "I64": "int64", "I32": "int32", "I16": "int16",
    "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
_EXAMPLE: Final = "picojoule diff a.safetensors b.safetensors"


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of a file: `read` gives some of its elements, decoded; the rest stays where it is."""

    name: str
    shape: tuple[int, ...]
    form: str  # how it is stored: "float8_e4m3", "bfloat16", …
    _bytes: Callable[[], Array]  # all of its bytes, mapped rather than copied where the file allows it

    @property
    def dtype(self) -> str:
        """The number format as the library names it."""
        return "float8" if self.form.startswith("float8") else self.form

    @property
    def elements(self) -> int:
        """Elements by shape."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return bytes_of(self.form, self.elements)

    def read(self, start: int, stop: int) -> Array:
        """Elements `start` to `stop` in storage order: floats as float32 or float64, integers as themselves."""
        return decode(self._bytes(), self.form, start, min(stop, self.elements))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        whole = self.read(0, self.elements).reshape(self.shape)
        return whole if dtype is None else whole.astype(dtype)


def read_weights(path: str | Path) -> Mapping[str, StoredTensor]:
    """The parameters of a .safetensors file, of a folder of them, or the initializers of an .onnx file, by name.

    Raises InputError for what is no such file, or lies about itself.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    try:
        if file.is_dir():
            return _folder(file)
        if not file.is_file():
            raise InputError("no such file", where=str(path), expected="a .safetensors or .onnx file", example=_EXAMPLE)
        with file.open("rb") as stream:
            start = stream.read(4)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read the file: {error}", where=str(path), expected="a readable file",
                         example=_EXAMPLE) from None  # fmt: skip
    if suffix in _PICKLES or start.startswith(_PICKLE_MAGIC):
        raise InputError("is a Python pickle, or may hold one: reading it would run its code, so it is not read",
                         where=file.name, expected="the same weights as .safetensors or .onnx",
                         example="safetensors.torch.save_file(model.state_dict(), 'model.safetensors')")  # fmt: skip
    if suffix == ".onnx":
        return _onnx(file)
    if suffix == ".safetensors":
        return _safetensors(file)
    raise InputError(f"weights in {suffix or 'a file without a suffix'} are not read", where=file.name,
                     expected="a .safetensors or .onnx file", example=_EXAMPLE)  # fmt: skip


def bytes_of(form: str, elements: int) -> int:
    """Bytes of `elements` in a stored form; formats below 8 bits are packed."""
    return -(-elements * BITS["float8" if form.startswith("float8") else form] // 8)


def _folder(folder: Path) -> Mapping[str, StoredTensor]:
    found: dict[str, StoredTensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        if file.resolve().parent != folder.resolve():
            raise InputError("is a link that leads out of the folder", where=str(file), expected="a plain file")
        for name, tensor in _safetensors(file).items():
            if name in found:
                raise InputError(f"holds {name[:60]!r}, which another file of the folder holds too", where=file.name,
                                 expected="each tensor once")  # fmt: skip
            found[name] = tensor
    if not found:
        raise InputError(
            "no .safetensors file in the folder", where=str(folder), expected="one or more", example=_EXAMPLE
        )
    return found


def _safetensors(file: Path) -> Mapping[str, StoredTensor]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 10 or length > min(_HEADER, size - 8) or length < 2:
            raise InputError(f"declares a header of {length:,} bytes in a file of {size:,}", where=file.name,
                             expected="a safetensors file: the length of the header, the header, the weights",
                             example=_EXAMPLE)  # fmt: skip
        header = _header(stream.read(length), file.name)
    room, first = size - 8 - length, 8 + length
    places: list[tuple[int, int, str]] = []
    found: dict[str, StoredTensor] = {}
    for name, entry in header:
        if name == "__metadata__":
            continue
        form, shape, begin, end = _entry(name, entry, room, file.name)
        places.append((begin, end, name))
        found[name] = StoredTensor(name, shape, form, _mapped(file, first + begin, end - begin))
    _no_overlap(places, room, file.name)
    return found


def _header(data: bytes, where: str) -> list[tuple[str, Any]]:
    """Names and entries, each name once. Outer pairs stay a list, inner ones become dictionaries."""
    if not data.startswith(b"{"):
        raise InputError(
            "its header is not a JSON object", where=where, expected="a safetensors file", example=_EXAMPLE
        )

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise InputError("a name stands twice in the header", where=where, expected="each tensor once")
        return table

    try:
        header = json.loads(data.decode("utf-8"), object_pairs_hook=once)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"its header is not JSON: {str(error)[:80]}", where=where, expected="a safetensors file",
                         example=_EXAMPLE) from None  # fmt: skip
    if len(header) > _TENSORS:
        raise InputError(f"{len(header):,} tensors", where=where, expected=f"at most {_TENSORS:,}")
    return list(header.items())


def _entry(name: str, entry: Any, room: int, where: str) -> tuple[str, tuple[int, ...], int, int]:
    table = entry if isinstance(entry, dict) else {}
    shape, offsets, form = table.get("shape"), table.get("data_offsets"), _SAFETENSORS.get(str(table.get("dtype")))
    if form is None or not _wholes(shape) or not _wholes(offsets) or len(offsets) != 2:
        raise InputError(f"{name[:60]!r} has the dtype {str(table.get('dtype'))[:20]!r}, a shape or offsets that make no "
                         "sense", where=where, expected=f"shape and offsets as whole numbers, dtype of {', '.join(_SAFETENSORS)}",
                         example='{"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}')  # fmt: skip
    begin, end = offsets
    if not begin <= end <= room or end - begin != bytes_of(form, math.prod(shape)):
        raise InputError(f"{name[:60]!r} takes bytes {begin:,} to {end:,} of {room:,} for {list(shape)} in {form}",
                         where=where, expected="offsets inside the file that agree with the shape")  # fmt: skip
    return form, tuple(shape), begin, end


def _no_overlap(places: list[tuple[int, int, str]], room: int, where: str) -> None:
    """The data have no holes and no byte is two tensors': the format says so, and a file that does not is suspect."""
    reached = 0
    for begin, end, name in sorted(places):
        if begin != reached:
            raise InputError(f"{name[:60]!r} begins at byte {begin:,}, the tensor before it ends at {reached:,}", where=where,
                             expected="tensors one after another, without holes or overlaps")  # fmt: skip
        reached = end
    if reached != room:
        raise InputError(
            f"{room - reached:,} bytes belong to no tensor", where=where, expected="a whole safetensors file"
        )


def _wholes(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and len(value) <= 64 and all(type(n) is int and n >= 0 for n in value)


def _mapped(file: Path, begin: int, length: int) -> Callable[[], Array]:
    def bytes_() -> Array:
        if not length:
            return np.zeros(0, np.uint8)
        try:
            return np.memmap(file, np.uint8, "r", begin, (length,))
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read bytes {begin:,} to {begin + length:,}: {error}", where=file.name,
                             expected="a file that does not change while it is read") from None  # fmt: skip

    return bytes_


def _onnx(file: Path) -> Mapping[str, StoredTensor]:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
    from onnx import ModelProto

    if file.stat().st_size > 2**31 - 1:
        raise InputError("is larger than 2 GiB, which no ONNX protobuf can be", where=file.name,
                         expected="a model with its weights as external data")  # fmt: skip
    model = ModelProto()
    try:
        model.ParseFromString(file.read_bytes())
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"is not a whole ONNX protobuf: {error}", where=file.name, expected="an ONNX model") from None
    return _by_name(model.graph.initializer, file)


def _by_name(protos: Iterable["TensorProto"], file: Path) -> Mapping[str, StoredTensor]:
    from onnx import TensorProto

    forms: dict[int, str] = {number: STORED[name] for name, number in TensorProto.DataType.items() if name in STORED}
    found: dict[str, StoredTensor] = {}
    for proto in protos:
        form, shape, name = forms.get(proto.data_type), tuple(proto.dims), proto.name
        if form is None:
            continue  # text and complex numbers are no parameters
        if any(size < 0 for size in shape) or name in found:
            raise InputError(f"{name[:60]!r} stands twice or has a negative size: {list(shape)}", where=file.name,
                             expected="each tensor once, sizes of 0 or more")  # fmt: skip
        found[name] = StoredTensor(name, shape, form, _source(proto, form, bytes_of(form, math.prod(shape)), file))
    return found


def _source(proto: "TensorProto", form: str, length: int, file: Path) -> Callable[[], Array]:
    """Where the bytes of an initializer are: beside the model, inline as bytes, or inline as numbers."""
    if proto.data_location == 1:
        return _external(proto, length, file)
    if proto.HasField("raw_data"):
        _enough(proto.name, len(proto.raw_data), length, file)
        return lambda: np.frombuffer(proto.raw_data, np.uint8)
    from ._decode import plain_field

    values = plain_field(proto, form)
    _enough(proto.name, values.nbytes, length, file)
    return lambda: values


def _external(proto: "TensorProto", length: int, file: Path) -> Callable[[], Array]:
    from .onnx._initializers import refuse_escape

    entries = {entry.key: entry.value for entry in proto.external_data}
    location = entries.get("location", "")
    refuse_escape(file, location, proto.name)
    try:
        begin = int(entries.get("offset") or 0)
        held = int(entries.get("length") or length)
        size = (file.parent / location).stat().st_size
    except (OSError, ValueError) as error:
        raise InputError(f"the external data of {proto.name[:60]!r} cannot be read: {error}", where=file.name,
                         expected="a file beside the model", example="weights.bin") from None  # fmt: skip
    if begin < 0 or held != length or begin + length > size:
        raise InputError(f"the external data of {proto.name[:60]!r} are bytes {begin:,} to {begin + held:,} of {size:,}, "
                         f"its shape needs {length:,}", where=file.name, expected="offset and length that agree")  # fmt: skip
    return _mapped(file.parent / location, begin, length)


def _enough(name: str, held: int, length: int, file: Path) -> None:
    if held != length:
        raise InputError(f"{name[:60]!r} holds {held:,} bytes, its shape needs {length:,}", where=file.name,
                         expected="as many as its shape says: the file is cut short or edited")  # fmt: skip
