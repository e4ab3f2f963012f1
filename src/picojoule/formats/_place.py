"""Where the shipped data lie, and the small JSON files that were built from them."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

LIBRARY: Final = Path(__file__).resolve().parent.parent / "library"
BUILT: Final = LIBRARY / "built"


@cache
def built(name: str) -> Any:
    """The JSON file `name` of library/built, which tools/build_library.py writes."""
    return json.loads((BUILT / f"{name}.json").read_text(encoding="utf-8"))
