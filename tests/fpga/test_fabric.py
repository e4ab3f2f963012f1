"""The file of a fabric: sourced, and faults told with their lines."""

from pathlib import Path

import pytest

from picojoule.formats import load_fabric, read_references
from picojoule.formats._fabric import read_fabric
from picojoule.formats._place import LIBRARY
from picojoule.quantity import InputError

TEXT = (LIBRARY / "fabrics" / "xilinx.yaml").read_text(encoding="utf-8")


def test_every_number_has_a_source() -> None:
    """Bound: sources are keys of references.bib, spreads at least 1, shares at most 1."""
    fabric, keys = load_fabric(), read_references()
    groups = (fabric.usable, fabric.dsp_per_mac, fabric.look_up_tables_per_mac, fabric.block_ram, fabric.overlay,
              fabric.rates, fabric.energies, fabric.static, {"node": fabric.node})  # fmt: skip
    for group in groups:
        assert group
        for name, value in group.items():
            assert value.source in keys, name
            assert value.where, name
    assert all(value.nominal <= 1 for value in fabric.usable.values())
    assert {core.look_up_tables.source for core in fabric.cores.values()} == {"pg338"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [("dsp: {value: 0.9", "dsp: {valu: 0.9", "valu"), ("pixels: 4", "pixels: 0", "pixels"),
     ("14.15 us", "14.15 W", "rates.layer"), ("picojoule/fabric/1", "picojoule/fabric/2", "format")],
)  # fmt: skip
def test_faults_name_their_line(old: str, new: str, says: str, tmp_path: Path) -> None:
    """Message: a wrong key, size, unit or format is told with file and line."""
    path = tmp_path / "mine.yaml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_fabric(path)
    assert says in str(caught.value)
    assert f"{path}:" in str(caught.value)
