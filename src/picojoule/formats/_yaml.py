"""Text of a YAML file to plain data that still knows its lines. Bounded: size, depth, no tags, no aliases."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from picojoule.quantity import InputError

MAXIMUM_BYTES: Final = 1_000_000
MAXIMUM_DEPTH: Final = 20

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None
Location: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data of one file and the line on which each of its paths begins."""

    file: str
    data: Plain
    lines: Mapping[Location, int]

    def where(self, location: Location) -> str:
        """`file:line: path` of `location`, or of the nearest parent that was written."""
        known = location
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known, 1)
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
        return f"{self.file}:{line}: {path}" if path else f"{self.file}:{line}"


def read_document(path: Path | str) -> Document:
    """Read one YAML 1.2 file. Raises InputError with file and line for whatever is not plain data."""
    file = str(path)
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the file: {error.strerror}", where=file, expected="a readable YAML file"
        ) from None
    if len(content) > MAXIMUM_BYTES:
        raise InputError(f"{len(content)} bytes are too many", where=file, expected=f"at most {MAXIMUM_BYTES} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", where=file, expected="a YAML file") from None
    return parse_document(text, file)


def parse_document(text: str, file: str) -> Document:
    """Parse YAML text; `file` names it in errors. No tag is executed: a tag, an anchor or an alias is refused."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        _check_events(YAML(typ="safe", pure=True), text, file)
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(
            f"not YAML: {error.problem}", where=f"{file}:{line}", expected="`key: value` lines", example="kind: npu"
        ) from None
    except YAMLError as error:
        raise InputError(f"not YAML: {str(error).splitlines()[0]}", where=file, expected="printable text") from None
    lines: dict[Location, int] = {}
    data = _plain(node, (), lines, file) if node is not None else {}
    return Document(file, data, lines)


def _check_events(yaml: Any, text: str, file: str) -> None:
    """Refuse what could run code or grow: seen before anything is built."""
    depth = documents = 0
    for event in yaml.parse(text):
        name = type(event).__name__
        where = f"{file}:{event.start_mark.line + 1}"
        if name == "AliasEvent" or getattr(event, "anchor", None):
            raise InputError("anchors and aliases are not read", where=where, expected="the value itself, written out")
        if getattr(event, "tag", None) is not None:
            raise InputError(f"the tag {event.tag} is not read", where=where, expected="plain YAML without tags")
        documents += name == "DocumentStartEvent"
        depth += name in ("MappingStartEvent", "SequenceStartEvent")
        depth -= name in ("MappingEndEvent", "SequenceEndEvent")
        if depth > MAXIMUM_DEPTH:
            raise InputError("nested too deeply", where=where, expected=f"at most {MAXIMUM_DEPTH} levels")
        if documents > 1:
            raise InputError("a second document begins here", where=where, expected="one document in a file")


def _plain(node: Any, at: Location, lines: dict[Location, int], file: str) -> Plain:
    lines[at] = node.start_mark.line + 1
    kind = type(node).__name__
    if kind == "SequenceNode":
        return [_plain(item, (*at, index), lines, file) for index, item in enumerate(node.value)]
    if kind == "MappingNode":
        mapping: dict[str, Plain] = {}
        for key, value in node.value:
            name = str(key.value) if type(key).__name__ == "ScalarNode" else ""
            if not name or name in mapping:
                what = f"the key {name!r} stands twice" if name else "a key that is not text"
                raise InputError(what, where=f"{file}:{key.start_mark.line + 1}", expected="each key once, as text")
            mapping[name] = _plain(value, (*at, name), lines, file)
            lines[(*at, name)] = key.start_mark.line + 1
        return mapping
    return _scalar(str(node.tag), str(node.value))


def _scalar(tag: str, text: str) -> Plain:
    if tag.endswith(":null"):
        return None
    if tag.endswith(":bool"):
        return text.lower() in ("true", "yes", "on")
    if tag.endswith((":int", ":float")):
        return _number(text)
    return text


def _number(text: str) -> Plain:
    """An int or a float; text that only looks like one (an octal, a sexagesimal) stays text."""
    digits = text.replace("_", "")
    for kind in (int, float):
        try:
            return kind(digits)
        except ValueError:
            continue
    return text
