"""Names that come from files are untrusted: nothing of them may steer a terminal or turn text around."""

import re
import unicodedata


def plain(text: str, width: int | None = None) -> str:
    """`text` with control, bidirectional and other invisible characters escaped, cut to `width` columns.

    Too long a name loses its middle, since both ends tell layers apart.
    """
    # Two blanks are harmless though not "printable": no-break space and the ideographic one.
    safe = "".join(c if c.isprintable() or c in "\u00a0\u3000" else f"\\u{ord(c):04x}" for c in text)
    if width is None or columns(safe) <= width:
        return safe
    head = safe[: (width - 1) // 2]
    tail = safe[len(safe) - (width - 1 - len(head)) :] if width - 1 - len(head) else ""
    while columns(head) + 1 + columns(tail) > width and (head or tail):
        head, tail = (head[:-1], tail) if len(head) >= len(tail) else (head, tail[1:])
    return f"{head}…{tail}"


def columns(text: str) -> int:
    """Terminal columns of `text`: wide East Asian characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def pad(text: str, width: int, *, right: bool = False) -> str:
    """`text` filled with blanks to `width` columns, at the left if `right`-aligned."""
    gap = " " * max(0, width - columns(text))
    return gap + text if right else text + gap


def fold(text: str, *, first: str = "", rest: str = "", width: int = 80) -> list[str]:
    """`text` in lines of at most `width` columns, broken at blanks and between wide characters."""
    lines, line = [], first
    for word in re.findall(r"\s+|[^\s\u2e80-\uffef]+|[\u2e80-\uffef][，。；：、！？）”」》]*", text):
        if columns(line + word.rstrip()) > width and line.strip() and line != rest:
            lines.append(line.rstrip())
            line = rest
            if not word.strip():
                continue
        left = word
        while columns(line + left.rstrip()) > width:  # one word wider than a line
            cut = max(1, width - columns(line))
            lines.append(line + left[:cut])
            line, left = rest, left[cut:]
        line += left
    return [*lines, line.rstrip()] if line.strip() else lines
