"""Nested numbers as lines of a table."""

from collections.abc import Iterator
from typing import Any


def lines(name: str, value: Any, unit: str) -> Iterator[tuple[str, str]]:
    """Name and shown value of each number in `value`; inner names follow a dot."""
    if isinstance(value, dict):
        for part, inner in value.items():
            yield from lines(f"{name}.{part}", inner, unit)
    else:
        yield name, _shown(value) + ("" if unit == "1" else f" {unit}")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.10g}"
