"""`hardware show`: the array of a machine in text and in JSON."""

import json

import pytest

from picojoule.formats import list_hardware, load_hardware
from picojoule.report import hardware_json
from picojoule.report.terminal import Paint, hardware_text

WITH_ARRAY = [row.name for row in list_hardware() if load_hardware(row.name)[0].array is not None]


@pytest.mark.parametrize("name", WITH_ARRAY)
def test_text_shows_the_array(name: str) -> None:
    """Bound: within 80 columns, every axis and level stands in the text, with the source of the array."""
    machine, technology = load_hardware(name)
    assert machine.array is not None
    text = hardware_text(machine, technology, Paint(False))
    lines = text[text.index("\narray: ") :].splitlines()
    assert max(len(line) for line in lines) <= 80
    for axis in machine.array.axes:
        assert [axis.name, str(axis.size), *axis.spread] in [line.split() for line in lines]
    for store in machine.array.stores:
        assert any(line.startswith(f"{store.name} ") for line in lines)
    assert f"array read in {machine.array.source}:" in text


def test_capacities_by_hand() -> None:
    """By hand: Eyeriss keeps 100 KiB of inputs and sums and, in an element, 24 + 448 + 48 bytes; DRAM has no limit."""
    text = hardware_text(*load_hardware("eyeriss"), Paint(False))
    lines = [line.split()[:4] for line in text[text.index("\narray: ") :].splitlines()]
    assert ["dram", "all", "no", "limit"] in lines
    assert ["glb", "inputs,", "sums", "102"] in lines
    for role, number in (("inputs", "24.0"), ("weights", "448"), ("sums", "48.0")):
        assert ["rf", role, number, "B"] in lines
    assert "14 × 12 = 168 elements of pe below glb" in text


def test_no_array_is_said() -> None:
    """Message: a machine whose file states none says so; its JSON holds null, not an empty array."""
    machine, technology = load_hardware("rtx4090")
    assert "array: not stated" in hardware_text(machine, technology, Paint(False))
    assert hardware_json(machine, technology)["array"] is None


@pytest.mark.parametrize("name", WITH_ARRAY)
def test_json_holds_the_array(name: str) -> None:
    """Equality: axes, levels, capacities and source of the JSON are those of the machine, and it is JSON."""
    machine, technology = load_hardware(name)
    shown = json.loads(json.dumps(hardware_json(machine, technology)))["array"]
    array = machine.array
    assert array is not None
    assert [(a["name"], a["size"], tuple(a["spread"])) for a in shown["axes"]] == [
        (a.name, a.size, a.spread) for a in array.axes]  # fmt: skip
    assert shown["elements"] == array.elements
    assert (shown["unit"], shown["below"], shown["source"]) == (array.unit, array.below, array.source)
    for level, store in zip(shown["levels"], array.stores, strict=True):
        assert (level["name"], level["memory"], tuple(level["keeps"])) == (store.name, store.memory, store.keeps)
        assert (level["size_bytes"] or {}).get("value") == (store.size.nominal if store.size else None)
        assert {r: v["value"] for r, v in level["shares_bytes"].items()} == {
            r: v.nominal for r, v in store.shares.items()}  # fmt: skip
