"""The files of a model's folder: opened only inside it, only if plain, only up to a size."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from picojoule.quantity import InputError

CONFIG: Final = "config.json"
_MOST_CONFIG, _MOST_INDEX = 4 << 20, 64 << 20


def find_config(path: Path) -> tuple[Path, Path | None]:
    """The config.json that `path` names or holds, and its folder if a folder was named."""
    try:
        folder = path.is_dir()
        there = path.exists()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot look at {str(path)!r}: {error}", expected="a config.json or its folder") from error
    if folder:
        return inside(path, CONFIG), path
    if not there:
        raise InputError(f"no such file: {path}", expected="a config.json or its folder", example="llama-3/config.json")
    return path, None


def inside(folder: Path, name: str) -> Path:
    """The file `name` of `folder`; raises if it is missing, or if name or link lead out of the folder."""
    where = f"{folder}/{name}"
    plain = Path(name)
    if plain.is_absolute() or len(plain.parts) != 1 or name in ("..", ".") or "\0" in name or "\\" in name:
        raise InputError(f"the file name {name!r} leads out of the folder", where=str(folder),
                         expected="a plain file name", example="model-00001-of-00002.safetensors")  # fmt: skip
    file = folder / name
    try:
        if not file.exists():
            raise InputError(f"no {name}", where=str(folder), expected=f"a folder with a {CONFIG}")
        if file.resolve().parent != folder.resolve():
            raise InputError("is a link that leads out of the folder", where=where,
                             expected="a plain file; copy it here with cp -L, or name it alone")  # fmt: skip
    except OSError as error:
        raise InputError(f"cannot open: {error.strerror or error}", where=where, expected="a readable file") from error
    return file


def plain_size(file: Path) -> int:
    """Bytes of a plain file; raises for pipes, devices and what cannot be read."""
    try:
        found = file.stat()
    except OSError as error:
        raise InputError(
            f"cannot open: {error.strerror or error}", where=str(file), expected="a readable file"
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError("is not a plain file", where=str(file), expected="a file")
    return found.st_size


def read_json(file: Path, *, index: bool = False) -> Mapping[str, object]:
    """The object in a JSON file of bounded size."""
    most, where = _MOST_INDEX if index else _MOST_CONFIG, file.name
    if plain_size(file) > most:
        raise InputError(f"is larger than {most >> 20} MiB", where=where, expected="a file of a few kilobytes")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot open: {error.strerror or error}", where=where, expected="a readable file") from error
    return parse_object(data, where)


def parse_object(data: bytes, where: str) -> Mapping[str, object]:
    """The JSON object in `data`; raises InputError for anything else."""
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"is not text: {error.reason} at byte {error.start}", where=where, expected="JSON in UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}", where=where,
                         expected="a JSON object", example='{"model_type": "llama", …}') from error  # fmt: skip
    except (RecursionError, ValueError) as error:
        raise InputError(
            "is nested too deep or holds a number too long", where=where, expected="a JSON object"
        ) from error
    if not isinstance(value, dict):
        raise InputError(f"holds a {type(value).__name__}", where=where, expected="a JSON object",
                         example='{"model_type": "llama", …}')  # fmt: skip
    return value
