"""The decoder's state machine as text, DOT and SVG, drawn from the table that the decoder runs on."""

from collections.abc import Callable
from html import escape
from typing import Final

from ._decoder import ACTIONS, TRANSITIONS

Edges = dict[tuple[str, str], list[str]]
_WIDTH, _ROW, _NODE = 880, 96, (128, 40)
_LEFT, _RIGHT = 250, 760


def states() -> list[str]:
    """Every state, the first one first."""
    return list(dict.fromkeys(state for (state, _), (after, _) in TRANSITIONS.items() for state in (state, after)))


def _edges() -> Edges:
    """What leads from one state to another: `what comes / what it does`."""
    edges: Edges = {}
    for (state, symbol), (after, action) in TRANSITIONS.items():
        edges.setdefault((state, after), []).append(f"{symbol} / {action}")
    return edges


def _text() -> str:
    rows = [("state", "what comes", "next state", "does")]
    rows += [(state, symbol, after, action) for (state, symbol), (after, action) in TRANSITIONS.items()]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(size) for cell, size in zip(row, wide, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * size for size in wide))
    lines += ["", *(f"{action:<8}  {what}" for action, what in ACTIONS.items())]
    return "\n".join([*lines, "", "What no line allows is an error with the line of the program.", ""])


def _dot() -> str:
    lines = ["digraph decoder {", "  rankdir=LR;", "  node [shape=box, style=rounded];"]
    lines += [f'  "{state}"{" [peripheries=2]" if state == "halt" else ""};' for state in states()]
    for (first, last), labels in _edges().items():
        lines.append(f'  "{first}" -> "{last}" [label="' + r"\n".join(labels) + '"];')
    return "\n".join([*lines, "}", ""])


def _svg() -> str:
    """The first state on the left, the others under each other on the right."""
    names = states()
    height = _ROW * (len(names) - 1) + 40
    at = {name: (_RIGHT, 20 + _ROW // 2 + _ROW * i) for i, name in enumerate(names[1:])}
    at[names[0]] = (_LEFT, height // 2)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
             'font-family="system-ui, sans-serif" font-size="13">', "<title>State machine of the decoder</title>",
             f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
             '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
             '<path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>']  # fmt: skip
    for (first, last), labels in _edges().items():
        parts += _arrow(at[first], at[last], labels, leaving=first == names[0])
    for name, (x, y) in at.items():
        shape = f'<rect x="{x - _NODE[0] // 2}" y="{y - _NODE[1] // 2}" width="{_NODE[0]}" height="{_NODE[1]}" rx="8"'
        parts.append(f'{shape} fill="#eef3fb" stroke="#234" stroke-width="{2.5 if name == "halt" else 1.5}"/>')
        parts.append(
            f'<text x="{x}" y="{y + 4}" text-anchor="middle" font-weight="600" fill="#123">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _arrow(a: tuple[int, int], b: tuple[int, int], labels: list[str], *, leaving: bool) -> list[str]:
    """A curve with its labels: forward arrows bend up, backward ones down, a state's own stand beside it."""
    half = _NODE[0] // 2
    if a == b:
        side = -1 if leaving else 1
        x, y, anchor = a[0] + side * half, a[1], "end" if leaving else "start"
        path = f"M{x} {y - 10}C{x + side * 44} {y - 34} {x + side * 44} {y + 34} {x} {y + 10}"
        where = (x + side * (40 if leaving else 38), y - 8 * (len(labels) - 1))
        if not leaving:  # no room on the right: under the state
            path = f"M{a[0] - 16} {y + 20}C{a[0] - 40} {y + 50} {a[0] + 40} {y + 50} {a[0] + 16} {y + 20}"
            where, anchor = (a[0] + 24, y + 46), "start"
    else:
        side, bend = (1, -10) if leaving else (-1, 10)
        x1, y1, x2, y2 = a[0] + side * half, a[1] + bend // 2, b[0] - side * half, b[1] + bend // 2
        path = f"M{x1} {y1}C{x1 + side * 120} {y1} {x2 - side * 120} {y2 + bend} {x2} {y2}"
        near, far = (x2, y2) if leaving else (x1, y1)
        where, anchor = (near - 100, far - 8 if leaving else far + 20), "middle"
    lines = [f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#a)"/>']
    style = f'text-anchor="{anchor}" fill="#333" stroke="#fff" stroke-width="3" paint-order="stroke"'
    for i, label in enumerate(labels):
        lines.append(f'<text x="{where[0]}" y="{where[1] + 16 * i + 4}" {style}>{escape(label)}</text>')
    return lines


DRAWINGS: Final[dict[str, Callable[[], str]]] = {"text": _text, "dot": _dot, "svg": _svg}
