"""Names from files in messages: made harmless, and guessed when mistyped."""

import difflib
import unicodedata
from collections.abc import Collection

from picojoule.quantity import InputError

_MANY = 2000


def printable(text: str) -> str:
    """`text` with control, bidirectional, surrogate and other invisible characters as \\x.., \\u.... escapes."""
    return "".join(
        ch if ch == " " or unicodedata.category(ch)[0] not in "CZ" else ascii(ch)[1:-1] for ch in text
    )  # fmt: skip


def escaped(error: InputError) -> InputError:
    """The same error with every text printable."""
    parts = (error.what, error.where, error.expected, error.example)
    what, where, expected, example = (printable(part) for part in parts)
    return InputError(what, where=where, expected=expected, example=example)


def nearest(name: str, names: Collection[str]) -> str:
    """ "; did you mean a, b?", or nothing where no name is near."""
    near = difflib.get_close_matches(name, list(names)[:_MANY], n=3, cutoff=0.5)
    return f"; did you mean {', '.join(repr(n) for n in near)}?" if near else ""


def dims(shape: Collection[int | str | None]) -> str:
    """[4,16] or [N,3,H,W]; ? where a size has no name."""
    return "[" + ",".join("?" if size is None or size == "" else str(size) for size in shape) + "]"
