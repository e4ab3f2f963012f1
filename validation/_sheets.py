"""Sheets of the devices in the published sets, and what else had to be assumed: assumed.json, each value with its mark."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from picojoule.devices import Sheet, sheet
from picojoule.formats import load_hardware


@cache
def _document() -> Any:
    return json.loads((Path(__file__).parent / "assumed.json").read_text("utf-8"))


def assumed(name: str) -> float:
    """A value that no set states, in SI units."""
    return float(_document()["values"][name]["value"])


@cache
def sheet_of(name: str) -> Sheet:
    """The sheet of a device by its name in the library, or of one of the few that only validation knows."""
    if name in _document()["sheets"]:
        s = _document()["sheets"][name]
        return Sheet(
            name,
            s["vendor"],
            s["matrix"],
            s["vector"],
            s["bandwidth"],
            s["multiprocessors"],
            s["clock"],
            s["l2"],
            s["power"],
            s["node"],
        )
    return sheet(load_hardware(name)[0], **_document()["facts"].get(name, {}))
