"""The verb `compile` with its choices: algorithms, sparse weights, pruning, loops, SharedRAM."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.machine.compiler.networks import Net, feeds

from picojoule.cli import main


def network(folder: Path) -> Path:
    net = Net(3)
    x = net.conv(net.input("x", 1, 16, 12, 12), 16, 32, 3, norm=False)
    return net.save(folder / "net.onnx", net.conv(x, 32, 32, 3, norm=False))


def said(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["compile", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_choices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: 144 pixels by 9·(16·32 + 32·32) products, of which Winograd has 4 in 9; half of the weights pruned and packed
    are read as fewer bytes; without loops or SharedRAM nothing is told of them."""
    path = str(network(tmp_path))
    plain = said(capsys, path)
    assert plain["counts"]["matrix.mac_float32"] == 144 * 9 * (16 * 32 + 32 * 32)
    fast = said(capsys, path, "--convolution", "winograd")
    assert fast["counts"]["matrix.mac_float32"] * 9 == plain["counts"]["matrix.mac_float32"] * 4
    assert sum(": winograd; " in line for line in fast["explain"]) == 2
    small = said(capsys, path, "--sparse", "--prune", "0.5")
    assert small["counts"]["dram.read"] < plain["counts"]["dram.read"]
    assert small["counts"]["decoder.expand_float32"] == 9 * (16 * 32 + 32 * 32)
    assert sum(line.startswith("pruned ") for line in small["explain"]) == 2
    cluster = said(capsys, path, "--on", "textbook-cluster")
    apart = said(capsys, path, "--on", "textbook-cluster", "--no-sharedram")
    assert "sram.read" in cluster["counts"]
    assert "sram.read" not in apart["counts"]
    assert not any(line.startswith("written in hardware loops") for line in apart["explain"])
    short = said(capsys, path, "--loops")
    assert plain["cycles"] == short["cycles"]
    assert any(line.startswith("written in hardware loops") for line in short["explain"])


def test_file_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equality: a file of packed weights gives the values of the dense file, and is smaller."""
    path, x = network(tmp_path), feeds(network(tmp_path))["x"]
    np.save(tmp_path / "x.npy", x)
    for name, words in (("dense", []), ("packed", ["--sparse"])):
        assert main(["compile", str(path), "--prune", "2:4", *words, "-o", str(tmp_path / f"{name}.pjx")]) == 0
        assert main(["run", str(tmp_path / f"{name}.pjx"), "--input", str(tmp_path / "x.npy"), "--output",
                     str(tmp_path / f"{name}.npy")]) == 0  # fmt: skip
    capsys.readouterr()
    assert np.load(tmp_path / "dense.npy").tobytes() == np.load(tmp_path / "packed.npy").tobytes()
    assert (tmp_path / "packed.pjx").stat().st_size < 0.8 * (tmp_path / "dense.pjx").stat().st_size


@pytest.mark.parametrize(("words", "told"), [(("--convolution", "fft"), "no convolution algorithm 'fft'"),
                                             (("--prune", "most"), "cannot prune by 'most'")])  # fmt: skip
def test_refused(words: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Message: one that is none, exit code 2, and no file."""
    path = network(tmp_path)
    assert main(["compile", str(path), *words, "-o", str(tmp_path / "net.pjx")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "net.pjx").exists()
