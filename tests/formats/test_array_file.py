"""The array of a hardware file: what passes, and every fault of one that does not, with its line."""

import pytest

from picojoule.formats._read import read_hardware_text
from picojoule.quantity import InputError

GOOD = """\
format: picojoule/hardware/1
name: my-npu
kind: npu
source: my own drawing
node: 16 nm
technology: chip
attained: npu-datasheet
memories:
  - {name: dram, kind: DDR4-2400, group: off-chip, bandwidth: 19.2 GB/s}
  - {name: buf, kind: SRAM, group: on-chip, size: 512 KiB}
  - {name: rf, kind: register file, group: registers, size: 96 KiB}
compute:
  - {name: pe, unit: matrix, peak: {int8: 3 TOP/s}}
array:
  unit: pe
  below: buf
  where: sheet 2
  axes:
    - {name: row, size: 16, spread: [c, r0]}
    - {name: column, size: 12, spread: [m, p1]}
  levels:
    - {memory: dram}
    - {memory: buf, keeps: [input, output]}
    - {memory: rf, shares: {input: 24 B, weight: 448 B, output: 40 B}}
    - {registers: operand, keeps: [weight], size: 2 B, double_buffered: true, loops: [b, p]}
"""


def test_good_array() -> None:
    """By hand: 192 elements, sizes in bytes, the file's own source, registers without a memory behind them."""
    array = read_hardware_text(GOOD)[0].array
    assert array is not None
    assert array.elements == 192
    assert (array.unit, array.below, array.source, array.where) == ("pe", "buf", "my own drawing", "sheet 2")
    assert [(axis.name, axis.size, axis.spread) for axis in array.axes] == [
        ("row", 16, ("c", "r0")), ("column", 12, ("m", "p1"))]  # fmt: skip
    assert [(store.name, store.memory) for store in array.stores] == [
        ("dram", "dram"), ("buf", "buf"), ("rf", "rf"), ("operand", "")]  # fmt: skip
    assert {role: share.nominal for role, share in array.stores[2].shares.items()} == {
        "input": 24, "weight": 448, "output": 40}  # fmt: skip
    last = array.stores[3]
    assert last.size is not None
    assert (last.size.nominal, last.keeps, last.double_buffered, last.loops) == (2, ("weight",), True, ("b", "p"))
    assert array.multicast
    assert array.reduction


BUF, RF = "{memory: buf, keeps: [input, output]}", "{memory: rf, shares: {input: 24 B, weight: 448 B, output: 40 B}}"


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("{memory: rf,", "{memory: spad,", "my.yaml:24: array.levels[2].memory", "no memory is named 'spad'"),
        ("unit: pe\n", "unit: mac\n", "my.yaml:15: array.unit", "no compute unit is named 'mac'"),
        ("below: buf", "below: glb", "my.yaml:16: array.below", "no level is named 'glb'"),
        (f"{BUF}\n    - {RF}", f"{RF}\n    - {BUF}", "my.yaml:21: array.levels", "in another order than the memories"),
        ("keeps: [weight], size: 2 B", "keeps: [weight]", "my.yaml:25: array.levels[3]", "the size of operand is unknown"),
        (", output: 40 B}", "}", "my.yaml:24: array.levels[2]", "the size of rf is unknown"),
        ("{memory: rf,", "{memory: rf, registers: rf,", "my.yaml:24: array.levels[2]", "either a memory or registers"),
        ("{memory: dram}", "{keeps: [input, weight, output]}", "my.yaml:22: array.levels[0]", "either a memory or registers"),
        (f"- {BUF}", f"- {BUF}\n    - {BUF}", "my.yaml:24: array.levels[2]", "two levels are named 'buf'"),
        (BUF, "{memory: buf, keeps: [input, output], shares: {weight: 1 KiB}}", "my.yaml:23: array.levels[1]",
         "weight has a share or may be bypassed but is not kept"),
        (BUF, "{memory: buf, keeps: [input, output], optional: [weight]}", "my.yaml:23: array.levels[1]",
         "weight has a share or may be bypassed but is not kept"),
        ("{memory: dram}", "{memory: dram, keeps: [input, weight]}", "my.yaml:22: array.levels[0]",
         "must be the outermost memory and keep everything"),
        ("    - {memory: dram}\n", "", "my.yaml:22: array.levels[0]", "must be the outermost memory and keep everything"),
        ("source: my own drawing\n", "", "my.yaml:13: array", "an array without a source"),
        ("size: 2 B", "size: 2 W", "my.yaml:25: array.levels[3].size", "2 W"),
        ("size: 16,", "size: 0,", "my.yaml:19: array.axes[0].size", "0"),
        ("[c, r0]", "[c, k]", "my.yaml:19: array.axes[0].spread[1]", "spread: [m, p, b]"),
        ("[c, r0]", "[]", "my.yaml:19: array.axes[0].spread", "at least 1 item"),
        ("keeps: [weight]", "keeps: [filter]", "my.yaml:25: array.levels[3].keeps[0]", "'input', 'weight' or 'output'"),
        ("  below: buf\n", "", "my.yaml:14: array.below", "'below' is missing"),
    ],
)  # fmt: skip
def test_one_fault_of_an_array(old: str, new: str, where: str, what: str) -> None:
    """Message: each single fault names file, line and place, what is wrong, and what would pass."""
    assert GOOD.count(old) == 1
    with pytest.raises(InputError) as caught:
        read_hardware_text(GOOD.replace(old, new), "my.yaml")
    text = str(caught.value)
    assert where in text
    assert what in text
    assert "expected" in text or "for example" in text
