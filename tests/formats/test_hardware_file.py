"""A user's hardware file: what passes, and every fault of one that does not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.formats import hardware_schema, read_hardware
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
compute:
  - {name: pe, unit: matrix, peak: {int8: 3 TOP/s}}
"""

BAD = """\
format: picojoule/hardware/1
name: My NPU
kind: tpu
colour: red
source: my own drawing
technology: chip
attained: npu-datasheet
memories:
  - {name: dram, kind: DDR4-2400, group: off-chip, bandwidth: 19.2 GB}
  - {name: buf, group: on-chip}
compute:
  - {name: pe, unit: matrix, peak: {int8: {value: 3 TOP/s, spread: 0.5}, fp16: 1 TFLOP/s}}
"""


def test_good_file(tmp_path: Path) -> None:
    """By hand: SI values, default spread of a recalled number, DDR4 at 17 pJ/bit, every action priced."""
    path = tmp_path / "my-npu.yaml"
    path.write_text(GOOD)
    machine, technology = read_hardware(path)
    dram, buffer = machine.memories
    assert (dram.bandwidth and dram.bandwidth.nominal, buffer.size and buffer.size.nominal) == (19.2e9, 524288)
    assert dram.bandwidth is not None
    assert (dram.bandwidth.spread, dram.bandwidth.provenance) == (1.25, "recalled")
    assert dram.bandwidth.source == "my own drawing"
    assert machine.compute[0].peak["int8"].nominal == 3e12
    assert machine.attained["default"].compute.nominal <= 1
    assert technology.price(("dram", "read")).nominal == pytest.approx(17e-12 * 8)
    assert technology.price(("pe", "mac_int8")).nominal < technology.price(("dram", "read")).nominal
    assert technology.scopes == ("macro", "device")


def test_every_fault_at_once() -> None:
    """Message: seven faults, each with file, line and path, in one error."""
    with pytest.raises(InputError) as caught:
        read_hardware_text(BAD, "my.yaml")
    text = str(caught.value)
    assert text.startswith("my.yaml: 7 faults")
    for where in (
        "my.yaml:2: name: ", "my.yaml:3: kind: ", "my.yaml:4: colour: ", "my.yaml:9: memories[0].bandwidth: ",
        "my.yaml:10: memories[1].kind: ", "my.yaml:12: compute[0].peak.int8.spread: ",
        "my.yaml:12: compute[0].peak.fp16: ",
    ):  # fmt: skip
        assert where in text
    assert "'float16'" in text
    assert "for example: bandwidth: 19.2 GB/s" in text


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("source: my own drawing\n", "", "a number without a source"),
        ("attained: npu-datasheet", "attained: npu-datasheat", "attained: npu-datasheet"),
        ("technology: chip", "technology: chips", "technology: chip"),
        ("technology: chip", "technology: {prices: {pe.*: 1 pJ}}", "no price for the action 'dram.read'"),
        ("technology: chip", "technology: {base: chip, prices: {pe.mac_int8: 1 W}}", "my.yaml:6: technology.prices"),
        ("technology: chip", "technology: {law: sum}", "technology"),
        ("name: buf", "name: dram", "'dram' already names one of the memories"),
        ("DDR4-2400", "XRAM", "no energy is known for the DRAM kind 'XRAM'"),
        ("node: 16 nm\n", "", "needs the node"),
        ("attained: npu-datasheet",
         "attained: {base: npu-datasheet, classes: {conv: {compute: 1.2, memory: 0.5}}}", "more than the whole peak"),
        ("peak: {int8: 3 TOP/s}", "peak: {}", "compute[0].peak"),
        ("memories:\n", "memories: []\nlinks:\n", "my.yaml:8: memories"),
    ],
)  # fmt: skip
def test_one_fault(old: str, new: str, what: str) -> None:
    """Message: each single fault names the file and what was wrong or what would pass."""
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        read_hardware_text(GOOD.replace(old, new), "my.yaml")
    assert what in str(caught.value)
    assert "my.yaml" in str(caught.value)


def test_prices_above_the_law() -> None:
    """By hand: 2.5 pJ/bit is 20 pJ/B; a named price replaces the law's, the others stay."""
    new = "technology: {base: chip, prices: {dram.read: {value: 2.5 pJ/bit, scope: device}}}"
    base = read_hardware_text(GOOD)[1]
    changed = read_hardware_text(GOOD.replace("technology: chip", new))[1]
    assert changed.price(("dram", "read")).nominal == pytest.approx(20e-12)
    assert changed.price(("dram", "write")) == base.price(("dram", "write"))


def test_mixed_scopes_need_a_reason() -> None:
    """Message: prices of two scopes without `mixed_scope` are refused."""
    prices = "{dram.*: {value: 1 pJ/B, scope: device}, buf.*: {value: 1 pJ/B, scope: board}, pe.*: {value: 1 pJ}}"
    text = GOOD.replace("technology: chip", f"technology: {{prices: {prices}}}")
    with pytest.raises(InputError, match="different scopes"):
        read_hardware_text(text)
    read_hardware_text(text.replace("{prices:", "{mixed_scope: an exercise, prices:"))


def test_schema_admits_the_good_file_only() -> None:
    """Peer: jsonschema agrees with pydantic on one good and one bad file."""
    jsonschema = pytest.importorskip("jsonschema")
    from picojoule.formats._yaml import parse_document

    validator = jsonschema.Draft202012Validator(hardware_schema())
    validator.check_schema(hardware_schema())
    assert not list(validator.iter_errors(parse_document(GOOD, "g").data))
    assert list(validator.iter_errors(parse_document(BAD, "b").data))


SCRAPS = st.sampled_from(
    ["-1", "0", "1e999", "nan", ".inf", "[]", "{}", "null", "true", "[1, 2]", "3 W", "5 nm", "{value: 3}", "board-gpu",
     "{law: fpga}", "{law: board}", "{base: x}", "{base: chip, constants: {a: 1}}", "{prices: {a.b: {law: mac, of: int3}}}",
     "{int2: 3 TOP/s, uint8: 1 TOP/s}", "{classes: {default: {compute: 2, memory: 1}}}", "9" * 30]
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, len(GOOD.splitlines()) - 1), SCRAPS), min_size=1, max_size=3))
def test_any_scrap_is_read_or_refused(changes: list[tuple[int, str]]) -> None:
    """Bound: whatever stands for a value, the file is read or refused with InputError, never with another error."""
    lines = GOOD.splitlines()
    for line, scrap in changes:
        head = lines[line].rpartition(": ")[0]
        lines[line] = f"{head}: {scrap}" + "}" * (lines[line].count("{") if head else 0)
    try:
        architecture, technology = read_hardware_text("\n".join(lines))
    except InputError as fault:
        assert str(fault).strip()
    else:
        assert architecture.memories
        assert technology.prices
