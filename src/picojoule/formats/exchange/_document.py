"""Files of other tools as plain data that knows its lines: YAML with their tags and anchors, JSON. Bounded, no code."""

import ast
import json
import math
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from picojoule.quantity import InputError

from .._yaml import Document, Location, Plain, _scalar

MAXIMUM_BYTES: Final = 4_000_000
MAXIMUM_DEPTH: Final = 40
MAXIMUM_NODES: Final = 200_000
MAXIMUM_DIMENSIONS: Final = 30
MAXIMUM_LOOPS: Final = 200  # of one nest
TAGS: Final = ("Component", "Container", "Hierarchical", "Parallel", "Pipelined", "Nothing")
KIND: Final = "!"  # key under which the tag of a mapping is kept


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a file and where it stands."""

    document: Document
    at: Location
    value: Plain

    @property
    def where(self) -> str:
        """`file:line: path`."""
        return self.document.where(self.at)

    def refusal(self, what: str, expected: str = "", example: str = "") -> InputError:
        """An error that names this place."""
        return InputError(what, where=self.where, expected=expected, example=example)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of a mapping; none for anything else."""
        return tuple(key for key in self.value if key != KIND) if isinstance(self.value, dict) else ()

    @property
    def kind(self) -> str:
        """The tag of a mapping, without its mark."""
        return str(self.value.get(KIND, "")) if isinstance(self.value, dict) else ""

    def get(self, *names: str) -> "Node | None":
        """The first of these keys that is there and not null; a hyphen is as good as an underscore."""
        if isinstance(self.value, dict):
            for name in names:
                for key in dict.fromkeys((name, name.replace("_", "-"))):
                    if self.value.get(key) is not None:
                        return Node(self.document, (*self.at, key), self.value[key])
        return None

    def need(self, *names: str) -> "Node":
        """As `get`; refused where missing."""
        found = self.get(*names)
        if found is None:
            raise self.refusal(f"{names[0]!r} is missing", f"the key {names[0]}")
        return found

    def mapping(self) -> "Node":
        """This node, refused if it is no mapping."""
        if not isinstance(self.value, dict):
            raise self.refusal(f"{_shown(self.value)} is no mapping", "`key: value` lines")
        return self

    def items(self) -> "list[Node]":
        """Nodes of a list."""
        if not isinstance(self.value, list):
            raise self.refusal(f"{_shown(self.value)} is no list", "a list")
        return [Node(self.document, (*self.at, i), value) for i, value in enumerate(self.value)]

    def pairs(self) -> "Iterator[tuple[str, Node]]":
        """Keys and nodes of a mapping."""
        self.mapping()
        for key in self.keys:
            assert isinstance(self.value, dict)
            yield key, Node(self.document, (*self.at, key), self.value[key])

    def text(self, limit: int = 200) -> str:
        """A word; numbers are taken as written."""
        if isinstance(self.value, (list, dict)) or self.value is None or isinstance(self.value, bool):
            raise self.refusal(f"{_shown(self.value)} is no name", "a name")
        found = str(self.value)
        if len(found) > limit:
            raise self.refusal(f"{len(found)} characters are too many for a name", f"at most {limit}")
        return found

    def number(self, low: float = 0.0, high: float = 1e18) -> float:
        """A number, or simple arithmetic of numbers in text (+ - * / and brackets)."""
        value = self.value
        if isinstance(value, str):
            value = _arithmetic(self, value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.refusal(f"{_shown(value)} is no number", f"a number from {low:g} to {high:g}")
        if not math.isfinite(value) or not low <= value <= high:
            raise self.refusal(f"{_shown(value)} is out of range", f"a number from {low:g} to {high:g}")
        return value

    def integer(self, low: int = 1, high: int = 10**9) -> int:
        """A whole number."""
        value = self.number(low, high)
        if value != int(value):
            raise self.refusal(f"{_shown(value)} is no whole number", f"a whole number from {low} to {high}")
        return int(value)

    def yes(self) -> bool:
        """True or False."""
        if not isinstance(self.value, bool):
            raise self.refusal(f"{_shown(self.value)} is neither true nor false", "true or false")
        return self.value

    def at_most(self, limit: int, what: str) -> "Node":
        """This list or mapping, refused if it is longer."""
        count = len(self.value) if isinstance(self.value, (list, dict)) else 0
        if count > limit:
            raise self.refusal(f"{count} {what} are too many", f"at most {limit}")
        return self

    def words(self) -> list[str]:
        """A list of names: of a YAML list, or of text cut at blanks and commas."""
        if isinstance(self.value, list):
            return [node.text() for node in self.items()]
        return [word for word in re.split(r"[\s,]+", self.text(2000)) if word]


_OPERATORS: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}  # fmt: skip


def _arithmetic(node: Node, text: str) -> float:
    """Value of "14 * 12"; whatever is not such arithmetic is refused."""
    if len(text) > 100 or not re.fullmatch(r"[\d\s.+\-*/()eE]+", text) or "**" in text:
        raise node.refusal(f"{_shown(text)} is not read as a number", "a number, or arithmetic such as 14 * 12")
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError, MemoryError):
        raise node.refusal(f"{_shown(text)} has no value", "a number, or arithmetic such as 14 * 12") from None


def _value(tree: ast.expr) -> float:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, (int, float)):
        return tree.value
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_value(tree.operand)
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATORS:
        return _OPERATORS[type(tree.op)](_value(tree.left), _value(tree.right))
    raise ValueError("no arithmetic")


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def read_limited(path: Path | str) -> str:
    """Text of a file of at most MAXIMUM_BYTES."""
    file = str(path)
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(MAXIMUM_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read the file: {why}", where=file, expected="a readable file") from None
    if len(content) > MAXIMUM_BYTES:
        raise InputError("the file is too large", where=file, expected=f"at most {MAXIMUM_BYTES} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", where=file, expected="text") from None


def json_node(text: str, file: str) -> Node:
    """A JSON file. JSON keeps no lines: places are named by their path."""
    try:
        data: Plain = json.loads(text)
    except RecursionError:
        raise InputError("nested too deeply", where=file, expected=f"at most {MAXIMUM_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", where=f"{file}:{error.lineno}", expected="a JSON file") from None
    except ValueError as error:
        raise InputError(f"not JSON: {error}", where=file, expected="a JSON file") from None
    return Node(Document(file, data, {}), (), data)


def yaml_node(text: str, file: str, notes: list[str]) -> Node:
    """A YAML file. `notes` gathers keys that stand twice in one mapping: the last is read, as those tools do."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    for number, line in enumerate(text.splitlines(), 1):
        if "{{" in line or "{%" in line:
            raise InputError("templates (jinja) are not run", where=f"{file}:{number}",
                             expected="the file that the tool's front end writes (parsed-processed-input.yaml)")  # fmt: skip
    try:
        _check(YAML(typ="safe", pure=True), text, file)
        tree = YAML(typ="safe", pure=True).compose(text)
    except InputError:
        raise
    except MarkedYAMLError as error:
        at = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"not YAML: {error.problem}", where=f"{file}:{at}", expected="`key: value` lines") from None
    except YAMLError as error:
        raise InputError(f"not YAML: {str(error).splitlines()[0]}", where=file, expected="printable text") from None
    except (ValueError, IndexError, KeyError, AttributeError, TypeError, AssertionError):  # broken escapes, directives
        raise InputError("not YAML", where=file, expected="`key: value` lines") from None
    reader = _Plainer(file, notes, {})
    data = reader.plain(tree, (), 0) if tree is not None else {}
    return Node(Document(file, data, reader.lines), (), data)


def _check(yaml: Any, text: str, file: str) -> None:
    """Size, depth and tags, seen before anything is built."""
    depth = documents = 0
    for count, event in enumerate(yaml.parse(text)):
        name, where = type(event).__name__, f"{file}:{event.start_mark.line + 1}"
        documents += name == "DocumentStartEvent"
        depth += name in ("MappingStartEvent", "SequenceStartEvent")
        depth -= name in ("MappingEndEvent", "SequenceEndEvent")
        tag = getattr(event, "tag", None)
        if tag is not None and str(tag) not in {f"!{one}" for one in TAGS}:
            raise InputError(f"the tag {str(tag)[:60]} is not read", where=where,
                             expected=f"plain data, or one of {', '.join(f'!{one}' for one in TAGS)}")  # fmt: skip
        if depth > MAXIMUM_DEPTH:
            raise InputError("nested too deeply", where=where, expected=f"at most {MAXIMUM_DEPTH} levels")
        if count > 2 * MAXIMUM_NODES:
            raise InputError("too many values", where=where, expected=f"at most {MAXIMUM_NODES}")
        if documents > 1:
            raise InputError("a second document begins here", where=where, expected="one document in a file")


@dataclass(slots=True)
class _Plainer:
    """Composed YAML to plain data; an alias is copied in, within the limits."""

    file: str
    notes: list[str]
    lines: dict[Location, int]
    count: int = 0

    def plain(self, node: Any, at: Location, depth: int) -> Plain:
        line = node.start_mark.line + 1
        self.lines[at] = line
        self.count += 1
        if self.count > MAXIMUM_NODES or depth > MAXIMUM_DEPTH:
            raise InputError("aliases repeat themselves without end", where=f"{self.file}:{line}",
                             expected=f"at most {MAXIMUM_NODES} values, {MAXIMUM_DEPTH} levels")  # fmt: skip
        kind = type(node).__name__
        if kind == "SequenceNode":
            return [self.plain(item, (*at, i), depth + 1) for i, item in enumerate(node.value)]
        if kind == "MappingNode":
            return self._mapping(node, at, depth)
        return _scalar(str(node.tag), str(node.value))

    def _mapping(self, node: Any, at: Location, depth: int) -> Plain:
        found: dict[str, Plain] = {}
        if str(node.tag).startswith("!"):
            found[KIND] = str(node.tag)[1:]
        for key, value in node.value:
            where = f"{self.file}:{key.start_mark.line + 1}"
            name = str(key.value) if type(key).__name__ == "ScalarNode" else ""
            if not name or name == KIND:
                raise InputError("a key that is not text", where=where, expected="`key: value` lines")
            if name in ("$ref", "<<", "<<<", "$include"):
                raise InputError(f"{name} is not followed", where=where, expected="the value itself, written out")
            if name in found:
                self.notes.append(f"{where}: {name} stands twice, the last is read")
            found[name] = self.plain(value, (*at, name), depth + 1)
            self.lines[(*at, name)] = key.start_mark.line + 1
        return found
