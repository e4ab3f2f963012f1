"""The laws behind prices that nobody measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.formats import catalogue_entry, read_catalogue
from picojoule.formats._laws import add, combined, dram, link, multiply_add, node_factor, sram
from picojoule.formats._tables import read_tables
from picojoule.quantity import InputError

TABLES = read_tables()
NODES = st.floats(3e-9, 130e-9)


def test_sram_by_hand() -> None:
    """By hand: 32 KiB at 45 nm is 5.895 pJ per 64 bits x 1.8 / 8 = 1.3264 pJ/B; a write costs twice that."""
    assert sram(32768, 45e-9, "read", TABLES).nominal == pytest.approx(1.326375e-12)
    assert sram(32768, 45e-9, "write", TABLES).nominal == pytest.approx(2.65275e-12)


def test_sram_lies_between_its_sources() -> None:
    """Published: at 45 nm the law lies between CACTI 7 and Horowitz for 8 KiB, 32 KiB and 1 MiB."""
    for size, cacti, name in (
        (8192, 2.9, "hz45_sram8kb"),
        (32768, 5.9, "hz45_sram32kb"),
        (2**20, 40.6, "hz45_sram1mb"),
    ):
        horowitz = catalogue_entry(name).value.nominal
        assert cacti * 1e-12 < sram(size, 45e-9, "read", TABLES).nominal * 8 < horowitz


@given(st.floats(512, 2**30), st.floats(1, 64), NODES)
def test_larger_sram_never_cheaper(size: float, times: float, node: float) -> None:
    """Metamorphic: a larger store never costs less per byte, and a smaller node never more."""
    small, large = sram(size, node, "read", TABLES), sram(size * times, node, "read", TABLES)
    assert small.nominal <= large.nominal * (1 + 1e-12)
    assert sram(size, node, "read", TABLES).nominal <= sram(size, node * 1.3, "read", TABLES).nominal * (1 + 1e-9)


def test_scaling_by_hand() -> None:
    """By hand: f(45) = 0.69302, f(7) = 0.065358 at 0.8 V; (1 / 10.6) ^ 0.7 = 0.1914 lies between 1/10.6 and 1/2.6."""
    factor, spread = node_factor(45e-9, 7e-9, TABLES.scaling)
    assert factor == pytest.approx((0.065358 / 0.69302) ** 0.7, rel=1e-4)
    assert 1 / 10.6 < factor < 1 / 2.6
    assert spread >= 3 * 0.999


@given(NODES, NODES)
def test_scaling_there_and_back(one: float, other: float) -> None:
    """Round trip: to another node and back is where it began, as wide on both ways."""
    there, back = node_factor(one, other, TABLES.scaling), node_factor(other, one, TABLES.scaling)
    assert there[0] * back[0] == pytest.approx(1)
    assert there[1] == pytest.approx(back[1] if one else 1) or there[1] * back[1] == pytest.approx(1)
    assert there[1] >= 1


def test_mac_by_hand() -> None:
    """Published: Horowitz's 45 nm figures: int8 0.2 + 0.1 pJ, float32 3.7 + 0.9 pJ, add int8 0.03 pJ."""
    assert multiply_add("int8", 45e-9, TABLES).nominal == pytest.approx(0.3e-12)
    assert multiply_add("float32", 45e-9, TABLES).nominal == pytest.approx(4.6e-12)
    assert add("int8", 45e-9, TABLES).nominal == pytest.approx(0.03e-12)
    assert multiply_add("float32", 45e-9, TABLES).spread == pytest.approx(1.7)


def test_wider_costs_more() -> None:
    """Metamorphic: integers and floats cost more as they widen, and a MAC more than an add."""
    for names in (("int4", "int8", "int16", "int32"), ("float4", "float8", "float16", "float32", "float64")):
        macs = [multiply_add(name, 16e-9, TABLES).nominal for name in names]
        assert macs == sorted(macs)
        assert all(add(name, 16e-9, TABLES).nominal < mac for name, mac in zip(names, macs, strict=True))


@pytest.mark.parametrize(
    ("kind", "pj_per_bit"), [("DDR4-2400 x64", 17), ("HBM2e", 6), ("HBM2", 3.92), ("GDDR6X", 7.25), ("LPDDR4X-4266", 8)]
)
def test_dram_kinds(kind: str, pj_per_bit: float) -> None:
    """Published: a kind as data sheets write it finds the row of its longest known beginning."""
    assert dram(kind, TABLES).nominal == pytest.approx(pj_per_bit * 8e-12)


def test_unknown_kinds() -> None:
    """Message: an unknown kind lists the known ones."""
    with pytest.raises(ValueError, match="known are DDR3"):
        dram("XRAM", TABLES)
    with pytest.raises(ValueError, match="PCIe"):
        link("string", TABLES)
    assert link("PCIe 4.0 x16", TABLES).nominal == pytest.approx(40e-12)


def test_store_order_per_bit() -> None:
    """Bound: registers-size SRAM < 1 MiB SRAM < any DRAM, per byte; one int8 add is below one SRAM read."""
    for node in (7e-9, 16e-9, 28e-9, 45e-9):
        small, large = (sram(size, node, "read", TABLES).nominal for size in (8192, 2**20))
        cheapest = min(dram(kind, TABLES).nominal for kind in TABLES.dram)
        assert small < large < cheapest
        assert add("int8", node, TABLES).nominal < small


def test_combined_by_hand() -> None:
    """By hand: two factors of e combine to exp(sqrt 2); a factor of one changes nothing."""
    assert combined(2.718281828, 2.718281828) == pytest.approx(4.1132, rel=1e-4)
    assert combined(1.0, 1.7) == pytest.approx(1.7)


def test_catalogue() -> None:
    """Published: at least 110 entries; Horowitz's DRAM access is 1.95 nJ per 64 bits, between 1.3 and 2.6."""
    assert len(read_catalogue()) >= 110
    entry = catalogue_entry("hz45_dram")
    assert (entry.bits, entry.per) == (64, "access")
    assert entry.node == pytest.approx(45e-9)
    assert entry.value.nominal == pytest.approx(1.95e-9)
    assert entry.value.low <= 1.31e-9
    assert entry.value.high >= 2.59e-9
    with pytest.raises(InputError, match="hz45_dram"):
        catalogue_entry("hz45_drams")
