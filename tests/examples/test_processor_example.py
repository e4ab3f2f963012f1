"""The trained networks on the processor."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module("processor")
    finally:
        sys.path.remove(str(FOLDER))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("machine", ["textbook-core", "textbook-cluster"])
def test_all_sums_are_right(example: ModuleType, dtype: str, machine: str) -> None:
    """By hand: 512 of 512 sums of a, b and a carry, computed by the instructions of the compiled adder."""
    net, x, y = example.sums()
    found, cycles = example.on_processor(net, x, machine, dtype, x)
    assert ((found > 0) == y).all()
    assert (1 << np.arange(5)) @ (found > 0).T == pytest.approx(x @ np.array([1, 2, 4, 8, 1, 2, 4, 8, 1]))
    assert cycles > 64 * 680 / 256 / (4 if machine == "textbook-cluster" else 1)


def test_digits_in_int8(example: ModuleType) -> None:
    """Bound: int8 reads 95 % of 360 held-out digits, and float32 gives the class of the network itself each time."""
    net, x, classes, data = example.images()
    found, slow = example.on_processor(net, x, "textbook-core", "float32", data)
    assert np.array_equal(found.argmax(1), net(x).argmax(1))
    small, fast = example.on_processor(net, x, "textbook-core", "int8", data)
    assert (small.argmax(1) == classes).mean() >= 0.95
    assert abs(int((small.argmax(1) == classes).sum()) - int((found.argmax(1) == classes).sum())) <= 7
    assert fast < slow


def test_table(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: four lines, the adder right everywhere."""
    assert example.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert sum("512 of 512 sums right" in line for line in lines) == 2
