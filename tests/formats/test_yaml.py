"""Plain data with lines, and everything that is refused before it is built."""

import time
from pathlib import Path

import pytest

from picojoule.formats._yaml import MAXIMUM_BYTES, parse_document, read_document
from picojoule.quantity import InputError


def test_numbers_and_lines() -> None:
    """By hand: YAML 1.2 numbers are numbers, yes is text, and each path knows its line."""
    document = parse_document("a: 1\nb:\n  - 2e-11\n  - yes\n  - {c: true, d: 1_000}\n", "f.yaml")
    assert document.data == {"a": 1, "b": [2e-11, "yes", {"c": True, "d": 1000}]}
    assert document.where(("b", 2, "d")) == "f.yaml:5: b[2].d"
    assert document.where(("b", 7, "x")) == "f.yaml:2: b[7].x"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\nb: !!python/object/apply:os.system ['true']", 2, "tag"),
        ("a: !mine 1", 1, "tag"),
        ("a: &x [1]\nb: *x", 1, "anchors"),
        ("a: 1\na: 2", 2, "twice"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a: [1\nb: 2", 2, "not YAML"),
        ("? [1, 2]\n: 3", 1, "not text"),
    ],
)
def test_refused(text: str, line: int, what: str) -> None:
    """Message: what is no plain data is refused with its file and line, and no tag is executed."""
    with pytest.raises(InputError) as caught:
        parse_document(text, "f.yaml")
    assert str(caught.value).startswith(f"f.yaml:{line}")
    assert what in str(caught.value)


def test_depth_is_bounded() -> None:
    """Bound: a thousand open brackets are refused at once, not by running out of stack."""
    with pytest.raises(InputError, match="deeply"):
        parse_document("a: " + "[" * 1000, "f.yaml")


def test_alias_bomb_is_refused_quickly() -> None:
    """Bound: nine levels of nine aliases would be 400 million nodes; refusal takes less than a second."""
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
    start = time.perf_counter()
    with pytest.raises(InputError, match="anchors"):
        parse_document(bomb, "f.yaml")
    assert time.perf_counter() - start < 1


def test_size_is_bounded(tmp_path: Path) -> None:
    """Bound: one byte above the limit is refused before it is read as YAML."""
    path = tmp_path / "big.yaml"
    path.write_bytes(b"#" * (MAXIMUM_BYTES + 1))
    with pytest.raises(InputError, match="too many"):
        read_document(path)


def test_unreadable(tmp_path: Path) -> None:
    """Message: a missing file, a directory and binary data each say what was expected."""
    with pytest.raises(InputError, match="cannot read"):
        read_document(tmp_path / "no.yaml")
    with pytest.raises(InputError, match="cannot read"):
        read_document(tmp_path)
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_document(tmp_path / "x.yaml")
    (tmp_path / "y.yaml").write_bytes(b"a: \x07")
    with pytest.raises(InputError, match="YAML"):
        read_document(tmp_path / "y.yaml")
