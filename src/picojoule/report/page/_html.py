"""Text from strangers made safe for HTML, for people's eyes and for the data island."""

import html
import json
from collections.abc import Mapping
from typing import Any

from .._plain import plain

_LONGEST = 160


def clean(text: str, longest: int = _LONGEST) -> str:
    r"""`text` on one line with every control, bidi and other invisible character written out (`\u202e`), cut if too long.

    A name that reorders the text beside it, or hides in it, must be seen as what it is.
    """
    if not text.isprintable():
        text = plain(text.replace("\n", " ").replace("\t", " "))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def esc(text: str, longest: int = _LONGEST) -> str:
    """`text` cleaned and escaped, fit for an element and for a quoted attribute."""
    return html.escape(clean(text, longest))


def island(data: Mapping[str, Any]) -> str:
    """`data` as JSON that cannot end its own script element nor a line of a script."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def section(anchor: str, title: str, lead: str, body: str) -> str:
    """One section with its heading and one sentence that says how to read it."""
    return (
        f'<section id="{anchor}" aria-labelledby="h-{anchor}"><h2 id="h-{anchor}">{title}</h2>'
        f'<p class="lead">{lead}</p>{body}</section>'
    )
